//! Sends requests, with retries within the provider's deadline; says nothing secret when it fails.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ferrite_runtime::Redacted;
use parking_lot::Mutex;
use reqwest::{Certificate, Client, Identity, Proxy, Response, StatusCode};

use crate::credentials::Connection;
use crate::providers::{Judge, Outgoing, Target};

const RETRIES: u32 = 4;
const FIRST_DELAY: Duration = Duration::from_secs(2);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read when nothing in it matters but what is wrong.
const ANSWER_BYTES: usize = 64 << 10;
/// Bytes of an answer that was asked for: a hundred long comments.
const ASKED_BYTES: usize = 8 << 20;
/// Bytes of an answer that an error shows.
const SHOWN_BYTES: usize = 1024;
/// Connection pools that are kept.
const CLIENTS: usize = 256;
const REDIRECTS: usize = 5;

/// Why a request did not arrive. Texts are free of addresses, tokens and passwords.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The certificates or the proxy cannot be used.
    #[error("cannot connect with the provider's {what}: {problem}")]
    Connection {
        /// `CA certificate`, `client certificate`, `proxy`.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// No answer.
    #[error("request failed: {0}")]
    Unreachable(String),
    /// An answer that is no success.
    #[error("request failed: request failed with status code {status}: {body}")]
    Status {
        /// The code.
        status: u16,
        /// The beginning of the body, secrets masked.
        body: String,
    },
    /// Slack's API refused.
    #[error("Slack responded with error: {0}")]
    Slack(String),
    /// An answer of which nothing can be made.
    #[error("the answer is no JSON, or longer than {ASKED_BYTES} bytes")]
    Answer,
    /// The deadline passed.
    #[error("request failed: no success within {0:?}")]
    Deadline(Duration),
}

/// Keeps a connection pool for each way of connecting.
#[derive(Debug, Default)]
pub struct Sender {
    clients: Mutex<HashMap<Connection, Client>>,
}

impl Sender {
    /// The pool for `connection`.
    ///
    /// # Errors
    ///
    /// [`SendError::Connection`] when certificates or the proxy cannot be used.
    pub fn client(&self, connection: &Connection) -> Result<Client, SendError> {
        if let Some(client) = self.clients.lock().get(connection) {
            return Ok(client.clone());
        }
        let client = build(connection)?;
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(connection.clone(), client.clone());
        Ok(client)
    }

    /// Sends one request until it succeeds, is refused for good, or `deadline` has passed since the call.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the target's secrets masked.
    pub async fn send(
        &self,
        connection: &Connection,
        target: &Target,
        request: &Outgoing,
        deadline: Duration,
    ) -> Result<(), SendError> {
        self.exchange(connection, target, request, (deadline, ANSWER_BYTES)).await.map(|_body| ())
    }

    /// Like [`Sender::send`], for requests whose answer matters.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the target's secrets masked; [`SendError::Answer`] when the answer is no JSON.
    pub async fn ask(
        &self,
        connection: &Connection,
        target: &Target,
        request: &Outgoing,
        deadline: Duration,
    ) -> Result<serde_json::Value, SendError> {
        let body = self.exchange(connection, target, request, (deadline, ASKED_BYTES)).await?;
        serde_json::from_slice(&body).map_err(|_| SendError::Answer)
    }

    /// The body of the answer that counts.
    async fn exchange(
        &self,
        connection: &Connection,
        target: &Target,
        request: &Outgoing,
        (deadline, limit): (Duration, usize),
    ) -> Result<Vec<u8>, SendError> {
        let client = self.client(connection)?;
        let mut last = None;
        let attempts = async {
            let mut attempt = 0;
            loop {
                let (error, after) = match once(&client, target, request, limit).await {
                    Ok(body) => return Ok(body),
                    Err(Attempt::Final(error)) => return Err(error),
                    Err(Attempt::Again(error, after)) => (error, after),
                };
                if attempt == RETRIES {
                    return Err(error);
                }
                last = Some(error);
                let delay = after.unwrap_or_else(|| FIRST_DELAY.saturating_mul(1 << attempt)).min(LAST_DELAY);
                tokio::time::sleep(delay).await;
                attempt += 1;
            }
        };
        match tokio::time::timeout(deadline, attempts).await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or(SendError::Deadline(deadline))),
        }
    }
}

enum Attempt {
    Final(SendError),
    Again(SendError, Option<Duration>),
}

async fn once(
    client: &Client,
    target: &Target,
    outgoing: &Outgoing,
    limit: usize,
) -> Result<Vec<u8>, Attempt> {
    let mut request = client.request(outgoing.method.clone(), outgoing.url.expose_secret().as_str());
    if outgoing.method != http::Method::GET {
        request =
            request.header(http::header::CONTENT_TYPE, outgoing.content_type).body(outgoing.body.clone());
    }
    for (name, value) in outgoing.headers.expose_secret() {
        request = request.header(name, value);
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            let again = !error.is_builder();
            let error = SendError::Unreachable(masked(&cause(error), target));
            return Err(if again { Attempt::Again(error, None) } else { Attempt::Final(error) });
        }
    };
    let status = response.status();
    let after = retry_after(&response);
    let body = bounded_body(response, limit).await;
    if outgoing.judge == Judge::SlackOk {
        return slack(&body, target).map_err(Attempt::Final).map(|()| body);
    }
    if status.is_success() {
        return Ok(body);
    }
    let mut shown = masked(&String::from_utf8_lossy(&body), target);
    shown.truncate(shown.floor_char_boundary(SHOWN_BYTES));
    let error = SendError::Status { status: status.as_u16(), body: shown };
    let again = status == StatusCode::TOO_MANY_REQUESTS
        || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    Err(if again { Attempt::Again(error, after) } else { Attempt::Final(error) })
}

fn slack(body: &[u8], target: &Target) -> Result<(), SendError> {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if answer["ok"] == true {
        return Ok(());
    }
    let error = answer["error"].as_str().unwrap_or("an answer without `ok`");
    Err(SendError::Slack(masked(error, target)))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(http::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

async fn bounded_body(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= limit {
            body.truncate(limit);
            break;
        }
    }
    body
}

/// The error with its causes, without the URL.
fn cause(error: reqwest::Error) -> String {
    ferrite_runtime::chain(&error.without_url())
}

/// Replaces every secret of the target that stands in `text`.
pub(crate) fn masked(text: &str, target: &Target) -> String {
    let plain = |secret: Option<&Redacted<String>>| secret.map(|s| s.expose_secret().trim().to_owned());
    let address = target.address.expose_secret();
    let url = url::Url::parse(address).ok();
    let path = url.as_ref().map(|url| url.path().trim_matches('/').to_owned());
    let password = url.as_ref().and_then(|url| url.password().map(str::to_owned));
    let token = plain(target.token.as_ref());
    // Bitbucket's token is user and password.
    let second = token.as_ref().and_then(|token| token.split_once(':')).map(|(_, second)| second.to_owned());
    let keys = [plain(target.bearer.as_ref()), plain(target.creds.as_ref()), plain(target.nkey.as_ref())];
    let secrets = [token, second, plain(target.password.as_ref()), Some(address.clone()), path, password];
    let secrets = secrets.into_iter().chain(keys);
    let mut text = text.to_owned();
    // Short strings would mask ordinary words.
    for secret in secrets.flatten().filter(|secret| secret.len() >= 4) {
        text = text.replace(&secret, "*****");
    }
    text
}

fn build(connection: &Connection) -> Result<Client, SendError> {
    let refuse = |what: &'static str, problem: &dyn std::fmt::Display| SendError::Connection {
        what,
        problem: problem.to_string(),
    };
    // A redirect to another host would take custom headers, and so tokens, along.
    let same_host = reqwest::redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(|url| url.origin());
        if attempt.previous().len() > REDIRECTS || from != Some(attempt.url().origin()) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let mut builder = Client::builder().redirect(same_host).user_agent("ferrite-notification-controller");
    if let Some(ca) = &connection.ca {
        let certificates = Certificate::from_pem_bundle(ca).unwrap_or_default();
        if certificates.is_empty() {
            return Err(refuse("CA certificate", &"expected one or more certificates in PEM form"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(identity) = &connection.identity {
        let (certificate, key) = identity.expose_secret();
        let pem = [key.as_slice(), b"\n", certificate].concat();
        let identity = Identity::from_pem(&pem)
            .map_err(|_| refuse("client certificate", &"expected a certificate and its key in PEM form"))?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &connection.proxy {
        let proxy = Proxy::all(proxy.expose_secret().as_str())
            .map_err(|_| refuse("proxy", &"expected an http://, https:// or socks5:// URL"))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| refuse("TLS settings", &error.without_url()))
}

/// Shared by every dispatcher of a process.
pub type SharedSender = Arc<Sender>;
