//! Azure's Blob service.

mod shared_key;

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reqwest::{Client, Response, StatusCode, Url, header::ETAG};
use serde::Deserialize;

use crate::{
    BucketError, Listed, Object, Secret, TokenSource,
    bucket::Page,
    http::{self, XmlError},
};
use shared_key::SharedKey;

/// The version of the protocol.
const VERSION: &str = "2023-11-03";

/// A container of the Blob service.
#[derive(Debug)]
pub struct Azure {
    client: Client,
    account: Url,
    container: String,
    login: AzureLogin,
}

/// How a client of the Blob service says who it is.
#[derive(Debug, Clone, Default)]
pub enum AzureLogin {
    /// Not at all.
    #[default]
    Anonymous,
    /// With a key of the account, in base64.
    SharedKey(Secret),
    /// With a shared access signature, a query with or without its question mark.
    SharedAccess(Secret),
    /// With a token of the directory; over TLS only.
    Bearer(Arc<dyn TokenSource>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blobs {
    #[serde(default)]
    blob: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    #[serde(default)]
    properties: Properties,
}

/// A name that XML cannot hold is escaped, and says so.
#[derive(Debug, Deserialize)]
struct Name {
    #[serde(default, rename = "@Encoded")]
    encoded: bool,
    #[serde(default, rename = "$text")]
    text: String,
}

#[derive(Debug, Default, Deserialize)]
struct Properties {
    #[serde(default, rename = "Etag")]
    etag: String,
    #[serde(default, rename = "Content-Length")]
    size: u64,
}

impl Azure {
    /// The container of the account at `endpoint`, an address such as `https://account.blob.core.windows.net`.
    ///
    /// # Errors
    /// [`BucketError::Endpoint`], [`BucketError::Name`], and [`BucketError::Credentials`] when the login cannot be
    /// used with this address.
    pub fn new(
        client: Client,
        endpoint: &str,
        container: &str,
        login: AzureLogin,
    ) -> Result<Self, BucketError> {
        let wrong = || BucketError::Endpoint { endpoint: endpoint.chars().take(256).collect() };
        let account = Url::parse(endpoint).map_err(|_| wrong())?;
        if !matches!(account.scheme(), "http" | "https")
            || !account.has_host()
            || !account.username().is_empty()
        {
            return Err(wrong());
        }
        if container.is_empty() || container.len() > 63 || container.contains(['/', '?', '#']) {
            return Err(BucketError::Name { name: container.chars().take(256).collect() });
        }
        let refuse = |problem: &str| Err(BucketError::Credentials { problem: problem.to_owned() });
        match &login {
            AzureLogin::Bearer(_) if account.scheme() != "https" => {
                return refuse(
                    "authenticated requests are not permitted for non TLS protected (https) endpoints",
                );
            }
            AzureLogin::SharedKey(key) => {
                SharedKey::new(&account, key)?;
            }
            AzureLogin::Anonymous | AzureLogin::SharedAccess(_) | AzureLogin::Bearer(_) => {}
        }
        Ok(Self { client, account, container: container.to_owned(), login })
    }

    pub(crate) async fn exists(&self) -> Result<bool, BucketError> {
        let query = [("comp", "list"), ("maxresults", "1"), ("restype", "container")];
        match self.ask("", &query).await {
            Ok(_) => Ok(true),
            Err(BucketError::Answer { code, .. }) if code == "ContainerNotFound" => Ok(false),
            // What a signature for one container gets for another.
            Err(BucketError::Answer { status, code, message, region }) if code == "AuthenticationFailed" => {
                let message = format!(
                    "the specified bucket name may be incorrect, nonexistent, or the caller might lack sufficient \
                     permissions to access it: {message}"
                );
                Err(BucketError::Answer { status, code, message, region })
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn page(&self, prefix: &str, next: Option<&str>) -> Result<Page, BucketError> {
        let mut query = vec![("comp", "list"), ("restype", "container")];
        if !prefix.is_empty() {
            query.push(("prefix", prefix));
        }
        query.extend(next.map(|next| ("marker", next)));
        let body = http::body(self.host(), self.ask("", &query).await?).await?;
        // Some answers begin with a byte order mark.
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
        let answer: ListAnswer = http::xml(self.host(), body)?;
        let mut objects = Vec::with_capacity(answer.blobs.blob.len());
        for Blob { name, properties } in answer.blobs.blob {
            let key = if name.encoded {
                let decoded = percent_decode_str(&name.text).decode_utf8();
                decoded.map_err(|_| http::malformed(self.host(), "a name is not UTF-8"))?.into_owned()
            } else {
                name.text
            };
            let etag = quoted(&properties.etag);
            objects.push(Listed { key, etag, size: properties.size, generation: None });
        }
        Ok(Page { objects, next: answer.next_marker.filter(|marker| !marker.is_empty()) })
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Object>, BucketError> {
        match self.ask(&format!("/{}", http::escaped_path(key)), &[]).await {
            Ok(response) => {
                let etag =
                    response.headers().get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
                Ok(Some(Object { etag: quoted(etag), response }))
            }
            Err(BucketError::Answer { code, .. }) if code == "BlobNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn host(&self) -> &str {
        self.account.host_str().unwrap_or_default()
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, BucketError> {
        http::persistently(|| self.ask_once(path, query)).await
    }

    async fn ask_once(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, BucketError> {
        let mut url = self.account.clone();
        let path = format!("{}/{}{path}", self.account.path().trim_end_matches('/'), self.container);
        url.set_path(&path);
        if url.path() != path {
            return Err(http::malformed(self.host(), "a name of dots cannot be asked for"));
        }
        let mut parts: Vec<String> = self.account.query().map(str::to_owned).into_iter().collect();
        parts.extend(Some(http::query(query)).filter(|query| !query.is_empty()));
        if let AzureLogin::SharedAccess(signature) = &self.login {
            parts.push(signature.expose().trim().trim_start_matches('?').to_owned());
        }
        url.set_query(Some(parts.join("&")).filter(|query| !query.is_empty()).as_deref());
        let date = httpdate::fmt_http_date(std::time::SystemTime::from(jiff::Timestamp::now()));
        let mut request = self.client.get(url.clone());
        match &self.login {
            AzureLogin::SharedKey(key) => {
                let value = SharedKey::new(&self.account, key)?.authorization(&url, &date, VERSION);
                request = request.header("authorization", value);
            }
            AzureLogin::Bearer(tokens) => request = request.bearer_auth(tokens.token().await?.expose()),
            AzureLogin::Anonymous | AzureLogin::SharedAccess(_) => {}
        }
        let request = request.header("x-ms-date", date).header("x-ms-version", VERSION);
        let response = request.send().await.map_err(|error| http::broken(self.host(), error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = response.headers().get("x-ms-error-code").and_then(|value| value.to_str().ok());
        let code = code.unwrap_or_default().to_owned();
        let body = http::body(self.host(), response).await.unwrap_or_default();
        Err(error_of(status, code, &body))
    }
}

/// Headers carry entity tags with quotes, listings without; revisions are made of those of headers.
fn quoted(etag: &str) -> String {
    if etag.is_empty() || etag.ends_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}

fn error_of(status: StatusCode, code: String, body: &[u8]) -> BucketError {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let told: XmlError = http::xml("", body).unwrap_or_default();
    let code = if code.is_empty() { told.code } else { code };
    if code.is_empty() {
        return http::by_status(status);
    }
    // The first line is the sentence; request id and time follow.
    let sentence: String = told.message.lines().next().unwrap_or_default().chars().take(1024).collect();
    let message = if sentence.is_empty() { code.clone() } else { format!("{code}: {sentence}") };
    BucketError::Answer { status: status.as_u16(), code, message, region: None }
}

#[cfg(test)]
mod tests;
