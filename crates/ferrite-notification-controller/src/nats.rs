//! Publishes events on NATS: its text protocol, over a plain connection or TLS.
//!
//! ```text
//! ◀ INFO {…}   (TLS)   ▶ CONNECT {…}, PUB <subject> <bytes>, <event>, PING   ◀ PONG: everything was taken
//! ```
//!
//! Who publishes, in this order: a credentials file, an NKey, user and password, a token, what the address says.

mod keys;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

use crate::credentials::Connection;
use crate::event::Event;
use crate::providers::{ProviderError, Target};
use crate::sender::{SendError, masked};
use crate::wire::{self, BoxedStream};
use keys::UserKey;

const PORT: u16 = 4222;
/// Bytes of a line of the server.
const LINE_BYTES: u64 = 64 << 10;
/// Lines read before the answer that counts.
const LINES: usize = 64;
/// Servers of one address that are tried.
const SERVERS: usize = 8;
/// The name that Flux's controller has on the server.
const NAME: &str = "NATS Provider Publisher";

/// Where to publish, as whom, and what.
pub(crate) struct Publication<'a> {
    target: &'a Target,
    connection: &'a Connection,
    servers: Vec<url::Url>,
    subject: &'a str,
    identity: Option<Identity>,
    payload: Vec<u8>,
}

/// Somebody who signs the server's nonce.
struct Identity {
    key: UserKey,
    jwt: Option<String>,
}

/// Reads the target.
///
/// # Errors
///
/// [`ProviderError`] when there is no subject or no server, or a key is none; the text holds no secret.
pub(crate) fn plan<'a>(
    target: &'a Target,
    connection: &'a Connection,
    event: &Event,
) -> Result<Publication<'a>, ProviderError> {
    let field = |field: &'static str, problem: &'static str| ProviderError::Field {
        kind: target.kind.clone(),
        field,
        problem,
    };
    let subject = target.channel.as_str();
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '*' | '>');
    if subject.is_empty() || subject.contains(odd) {
        return Err(field("spec.channel", "must be a subject without spaces and wildcards"));
    }
    let address = target.address.expose_secret();
    let servers: Option<Vec<url::Url>> = address.split(',').take(SERVERS).map(server).collect();
    let servers = servers.ok_or_else(|| {
        field(
            "the address",
            "must be nats://<host>[:<port>] or tls://<host>[:<port>], or several with commas",
        )
    })?;
    let text = |secret: &'a Option<ferrite_runtime::Redacted<String>>| {
        secret.as_ref().map(|secret| secret.expose_secret().as_str())
    };
    let identity = match (text(&target.creds), text(&target.nkey)) {
        (Some(creds), _) => {
            let problem = "must be a credentials file with the JWT and the seed of a user";
            let (jwt, key) = keys::credentials(creds).ok_or_else(|| field("the key `creds`", problem))?;
            Some(Identity { key, jwt: Some(jwt) })
        }
        (None, Some(seed)) => {
            let key = UserKey::parse(seed)
                .ok_or_else(|| field("the key `nkey`", "must be the seed of a user (SU…)"))?;
            Some(Identity { key, jwt: None })
        }
        (None, None) => None,
    };
    // Serialising an event cannot fail.
    let payload = serde_json::to_vec(event).unwrap_or_default();
    Ok(Publication { target, connection, servers, subject, identity, payload })
}

fn server(text: &str) -> Option<url::Url> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let url = url::Url::parse(&with_scheme).ok()?;
    let named = url.host_str().is_some_and(|host| !host.is_empty());
    (named && matches!(url.scheme(), "nats" | "tls")).then_some(url)
}

impl Publication<'_> {
    /// Publishes on the first server that can be reached, and waits until it has taken the event.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the target's secrets masked.
    pub(crate) async fn send(&self, deadline: Duration) -> Result<(), SendError> {
        let talk = async {
            let mut last = Err(SendError::Deadline(deadline));
            for server in &self.servers {
                last = self.publish(server).await;
                if last.is_ok() {
                    break;
                }
            }
            last
        };
        tokio::time::timeout(deadline, talk).await.unwrap_or(Err(SendError::Deadline(deadline)))
    }

    async fn publish(&self, server: &url::Url) -> Result<(), SendError> {
        let host = server.host_str().unwrap_or_default();
        let port = server.port().unwrap_or(PORT);
        let stream = wire::connect(host, port).await.map_err(|error| self.failed(&error))?;
        let mut plain = BufReader::new(stream);
        let info = self.info(&mut plain).await?;
        let stream: BoxedStream = if server.scheme() == "tls" || info["tls_required"] == true {
            if !plain.buffer().is_empty() {
                return Err(self.failed(&"the server speaks before TLS"));
            }
            wire::encrypt(plain.into_inner(), host, self.connection).await?
        } else {
            Box::new(plain)
        };
        let connect = self.connect(server, &info)?;
        let (read, write) = tokio::io::split(stream);
        self.talk(BufReader::new(read), write, &connect).await
    }

    async fn info(&self, read: &mut (impl AsyncBufRead + Unpin)) -> Result<Value, SendError> {
        let first = self.line(read).await?;
        let info: Value = first
            .strip_prefix("INFO ")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| self.failed(&"this is no NATS server"))?;
        if info["max_payload"].as_u64().is_some_and(|most| self.payload.len() as u64 > most) {
            let problem = format!("the event has {} bytes, the server takes fewer", self.payload.len());
            return Err(self.failed(&problem));
        }
        Ok(info)
    }

    async fn talk(
        &self,
        mut read: impl AsyncBufRead + Unpin,
        mut write: impl AsyncWrite + Unpin,
        connect: &Value,
    ) -> Result<(), SendError> {
        let mut out =
            format!("CONNECT {connect}\r\nPUB {} {}\r\n", self.subject, self.payload.len()).into_bytes();
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\nPING\r\n");
        write.write_all(&out).await.map_err(|error| self.failed(&error))?;
        write.flush().await.map_err(|error| self.failed(&error))?;
        for _ in 0..LINES {
            let line = self.line(&mut read).await?;
            if line == "PONG" {
                return Ok(());
            }
            if line == "PING" {
                write.write_all(b"PONG\r\n").await.map_err(|error| self.failed(&error))?;
                write.flush().await.map_err(|error| self.failed(&error))?;
            }
            if let Some(error) = line.strip_prefix("-ERR") {
                return Err(self.failed(&error.trim()));
            }
        }
        Err(self.failed(&"the server does not say that it took the event"))
    }

    fn connect(&self, server: &url::Url, info: &Value) -> Result<Value, SendError> {
        let mut connect = json!({
            "verbose": false, "pedantic": false, "tls_required": false, "name": NAME, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "echo": false,
        });
        let (user, password) = (server.username(), server.password());
        if let Some(identity) = &self.identity {
            let nonce = info["nonce"]
                .as_str()
                .ok_or_else(|| self.failed(&"the server asks for no signature, so keys say nothing to it"))?;
            match &identity.jwt {
                Some(jwt) => connect["jwt"] = json!(jwt),
                None => connect["nkey"] = json!(identity.key.public()),
            }
            connect["sig"] = json!(identity.key.sign(nonce));
        } else if let Some((user, password)) = self.target.basic().filter(|(user, _)| !user.is_empty()) {
            connect["user"] = json!(user);
            connect["pass"] = json!(password);
        } else if let Some(token) = self.target.token() {
            connect["auth_token"] = json!(token);
        } else if let Some(password) = password {
            connect["user"] = json!(user);
            connect["pass"] = json!(password);
        } else if !user.is_empty() {
            connect["auth_token"] = json!(user);
        }
        Ok(connect)
    }

    async fn line(&self, read: &mut (impl AsyncBufRead + Unpin)) -> Result<String, SendError> {
        let mut line = Vec::new();
        read.take(LINE_BYTES).read_until(b'\n', &mut line).await.map_err(|error| self.failed(&error))?;
        if line.last() != Some(&b'\n') {
            return Err(self.failed(&"the server hung up, or sent a line that is too long"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> SendError {
        SendError::Unreachable(masked(&problem.to_string(), self.target))
    }
}

#[cfg(test)]
mod tests;
