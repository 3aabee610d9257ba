//! Google Cloud Storage over its JSON API: the XML API has other entity tags, and revisions are made of these.

use std::{fmt, sync::Arc};

use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::{BucketError, Listed, Object, TokenSource, bucket::Page, http};

/// Where Google serves it.
const GOOGLE: &str = "https://storage.googleapis.com";

/// A bucket of Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs {
    client: Client,
    base: Url,
    bucket: String,
    tokens: Option<Arc<dyn TokenSource>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListAnswer {
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    name: String,
    #[serde(default)]
    etag: String,
    #[serde(default)]
    generation: Option<Number>,
    #[serde(default)]
    size: Option<Number>,
}

/// 64-bit numbers are strings in Google's JSON; emulators write numbers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(u64),
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Plain(number) => write!(formatter, "{number}"),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    error: Told,
}

#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

impl From<Item> for Listed {
    fn from(Item { name, etag, generation, size }: Item) -> Self {
        let size = size.and_then(|size| size.to_string().parse().ok()).unwrap_or_default();
        Self { key: name, etag, size, generation: generation.map(|generation| generation.to_string()) }
    }
}

impl Gcs {
    /// The bucket at Google, or at `emulator`, a host with perhaps a port and a scheme. Without tokens requests are
    /// anonymous.
    ///
    /// # Errors
    /// [`BucketError::Endpoint`] and [`BucketError::Name`].
    pub fn new(client: Client, emulator: Option<&str>, bucket: &str) -> Result<Self, BucketError> {
        let address = match emulator {
            None => GOOGLE.to_owned(),
            Some(address) if address.contains("://") => address.to_owned(),
            Some(host) => format!("http://{host}"),
        };
        let wrong = |_| BucketError::Endpoint { endpoint: address.chars().take(256).collect() };
        let base = Url::parse(&address).map_err(wrong)?;
        if bucket.is_empty() || bucket.len() > 222 || bucket.contains(['/', '?', '#']) {
            return Err(BucketError::Name { name: bucket.chars().take(256).collect() });
        }
        Ok(Self { client, base, bucket: bucket.to_owned(), tokens: None })
    }

    /// Shows these tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: impl TokenSource) -> Self {
        self.tokens = Some(Arc::new(tokens));
        self
    }

    pub(crate) async fn exists(&self) -> Result<bool, BucketError> {
        match self.ask("", &[("alt", "json"), ("prettyPrint", "false"), ("projection", "noAcl")]).await {
            Ok(_) => Ok(true),
            Err(BucketError::Answer { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn page(&self, prefix: &str, next: Option<&str>) -> Result<Page, BucketError> {
        let fields = "items(name,etag,generation,size),nextPageToken";
        let mut query = vec![("alt", "json"), ("fields", fields), ("maxResults", "1000"), ("prefix", prefix)];
        query.push(("prettyPrint", "false"));
        query.extend(next.map(|next| ("pageToken", next)));
        let body = http::body(self.host(), self.ask("/o", &query).await?).await?;
        let page: ListAnswer =
            serde_json::from_slice(&body).map_err(|error| http::malformed(self.host(), error))?;
        let next = page.next_page_token.filter(|token| !token.is_empty());
        Ok(Page { objects: page.items.into_iter().map(Into::into).collect(), next })
    }

    pub(crate) async fn get(&self, object: &Listed) -> Result<Option<Object>, BucketError> {
        let path = format!("/o/{}", http::escaped(&object.key));
        let mut wanted = object.clone();
        // Once as listed, and once more if it was replaced meanwhile.
        for _ in 0..2 {
            if wanted.generation.is_none() {
                match self.attributes(&path).await? {
                    Some(now) => wanted = now,
                    None => return Ok(None),
                }
            }
            let generation = wanted.generation.take().unwrap_or_default();
            match self.ask(&path, &[("alt", "media"), ("ifGenerationMatch", &generation)]).await {
                Ok(response) => return Ok(Some(Object { etag: wanted.etag, response })),
                Err(BucketError::Answer { status: 404 | 412, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn attributes(&self, path: &str) -> Result<Option<Listed>, BucketError> {
        let answer = self.ask(path, &[("alt", "json"), ("projection", "noAcl")]).await;
        let response = match answer {
            Ok(response) => response,
            Err(BucketError::Answer { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = http::body(self.host(), response).await?;
        let item: Item =
            serde_json::from_slice(&body).map_err(|error| http::malformed(self.host(), error))?;
        Ok(Some(item.into()))
    }

    fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, BucketError> {
        http::persistently(|| self.ask_once(path, query)).await
    }

    async fn ask_once(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, BucketError> {
        let mut url = self.base.clone();
        url.set_path(&format!("/storage/v1/b/{}{path}", http::escaped(&self.bucket)));
        url.set_query(Some(&http::query(query)));
        let mut request = self.client.get(url);
        if let Some(tokens) = &self.tokens {
            request = request.bearer_auth(tokens.token().await?.expose());
        }
        let response = request.send().await.map_err(|error| http::broken(self.host(), error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = http::body(self.host(), response).await.unwrap_or_default();
        Err(error_of(status, &body))
    }
}

fn error_of(status: StatusCode, body: &[u8]) -> BucketError {
    let told: ErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    let code = told.error.errors.into_iter().next().map(|first| first.reason).unwrap_or_default();
    let message = match told.error.message.as_str() {
        "" => return http::by_status(status),
        message => message.chars().take(1024).collect::<String>(),
    };
    let reason = if code.is_empty() { String::new() } else { format!(", {code}") };
    let message = format!("googleapi: Error {}: {message}{reason}", status.as_u16());
    BucketError::Answer { status: status.as_u16(), code, message, region: None }
}

#[cfg(test)]
mod tests;
