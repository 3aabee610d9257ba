//! S3, as AWS, MinIO, Ceph, SeaweedFS and many others speak it.

mod answers;
mod ldap;
mod sign;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{Client, Method, Response, Url, header::ETAG};

use crate::{BucketError, KeySource, Object, bucket::Page, http};
use answers::{ListResult, Location, error_of};
pub use ldap::LdapIdentity;

/// The region of stores that have none, and the one that knows all others.
const FIRST_REGION: &str = "us-east-1";
/// What signs for a body that is not hashed first.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A bucket of a store that speaks S3.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    endpoint: Url,
    bucket: String,
    style: Style,
    keys: Option<Arc<dyn KeySource>>,
    /// `None` until it is known.
    region: Mutex<Option<String>>,
}

/// Where the bucket's name goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `host/bucket/key`.
    Path,
    /// `bucket.host/key`.
    Host,
}

/// One request before it is signed.
#[derive(Debug, Clone)]
struct Ask<'a> {
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<Bytes>,
}

impl S3 {
    /// The bucket of the store at `endpoint`, a host with perhaps a port. Without keys requests are anonymous.
    ///
    /// The bucket's name goes into the host for the stores that ask for it: AWS, Google, Alibaba.
    ///
    /// # Errors
    /// [`BucketError::Endpoint`] and [`BucketError::Name`].
    pub fn new(client: Client, endpoint: &str, insecure: bool, bucket: &str) -> Result<Self, BucketError> {
        let wrong = || BucketError::Endpoint { endpoint: endpoint.chars().take(256).collect() };
        let plain = |letter: char| {
            letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':' | '[' | ']')
        };
        if endpoint.is_empty() || !endpoint.chars().all(plain) {
            return Err(wrong());
        }
        let scheme = if insecure { "http" } else { "https" };
        let mut url = Url::parse(&format!("{scheme}://{endpoint}")).map_err(|_| wrong())?;
        let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
        if !(3..=222).contains(&bucket.len()) || !bucket.chars().all(letters) || bucket.starts_with('.') {
            return Err(BucketError::Name { name: bucket.chars().take(256).collect() });
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let by_host = host.ends_with(".amazonaws.com")
            || host.ends_with(".amazonaws.com.cn")
            || host.ends_with(".aliyuncs.com")
            || host == "storage.googleapis.com";
        // A certificate for *.host covers no further dot.
        let style = if by_host && (insecure || !bucket.contains('.')) { Style::Host } else { Style::Path };
        if style == Style::Host {
            url.set_host(Some(&format!("{bucket}.{host}"))).map_err(|_| wrong())?;
        }
        let region = region_of(&host);
        Ok(Self {
            client,
            endpoint: url,
            bucket: bucket.to_owned(),
            style,
            keys: None,
            region: Mutex::new(region),
        })
    }

    /// Signs with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: impl KeySource) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Signs for this region, instead of finding it out.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        *self.region.lock() = Some(region.to_owned());
        self
    }

    pub(crate) async fn exists(&self) -> Result<bool, BucketError> {
        let head = || Ask { method: Method::HEAD, key: "", query: &[], body: None };
        match self.ask(head()).await {
            Ok(_) => Ok(true),
            Err(BucketError::Answer { status: 404, .. }) => Ok(false),
            // Without a body nobody says which region it is.
            Err(BucketError::Answer { status: 400 | 301, .. }) if self.learn_region().await? => {
                match self.ask(head()).await {
                    Ok(_) => Ok(true),
                    Err(BucketError::Answer { status: 404, .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn page(&self, prefix: &str, next: Option<&str>) -> Result<Page, BucketError> {
        // Google's S3 knows the first version of the request only.
        let first_version = self.host().ends_with("storage.googleapis.com");
        let mut query = vec![("encoding-type", "url"), ("max-keys", "1000"), ("prefix", prefix)];
        if !first_version {
            query.push(("list-type", "2"));
        }
        if let Some(next) = next {
            query.push((if first_version { "marker" } else { "continuation-token" }, next));
        }
        let response = self.ask(Ask { method: Method::GET, key: "", query: &query, body: None }).await?;
        let body = http::body(self.host(), response).await?;
        let page: ListResult = http::xml(self.host(), &body)?;
        page.into_page(first_version)
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Object>, BucketError> {
        match self.ask(Ask { method: Method::GET, key, query: &[], body: None }).await {
            Ok(response) => {
                let etag =
                    response.headers().get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
                Ok(Some(Object { etag: answers::without_quotes(etag).to_owned(), response }))
            }
            Err(BucketError::Answer { code, .. }) if code == "NoSuchKey" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object.
    ///
    /// # Errors
    /// [`BucketError`] when the store refuses or the connection breaks.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<(), BucketError> {
        self.ask(Ask { method: Method::PUT, key, query: &[], body: Some(body) }).await.map(drop)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// [`BucketError`] when the store refuses or the connection breaks.
    pub async fn remove(&self, key: &str) -> Result<(), BucketError> {
        match self.ask(Ask { method: Method::DELETE, key, query: &[], body: None }).await {
            Ok(_) => Ok(()),
            Err(BucketError::Answer { code, .. }) if code == "NoSuchKey" => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn host(&self) -> &str {
        self.endpoint.host_str().unwrap_or_default()
    }

    /// Asks the store where the bucket is; returns whether that is news.
    async fn learn_region(&self) -> Result<bool, BucketError> {
        let before = self.region.lock().clone();
        if self.keys.is_none() {
            return Ok(false);
        }
        *self.region.lock() = Some(FIRST_REGION.to_owned());
        let location = Ask { method: Method::GET, key: "", query: &[("location", "")], body: None };
        let response = self.ask(location).await?;
        let body = http::body(self.host(), response).await?;
        let Location { region } = http::xml(self.host(), &body)?;
        let region = match region.as_str() {
            "" => FIRST_REGION.to_owned(),
            "EU" => "eu-west-1".to_owned(),
            other => other.to_owned(),
        };
        let news = before.as_ref() != Some(&region);
        *self.region.lock() = Some(region);
        Ok(news)
    }

    /// Sends a request, again when the network or the server fails, and once more in the region that an error names.
    async fn ask(&self, ask: Ask<'_>) -> Result<Response, BucketError> {
        match http::persistently(|| self.ask_once(&ask)).await {
            Err(BucketError::Answer { region: Some(region), .. })
                if self.region.lock().as_ref() != Some(&region) =>
            {
                *self.region.lock() = Some(region);
                http::persistently(|| self.ask_once(&ask)).await
            }
            answer => answer,
        }
    }

    /// AWS's global endpoint answers for one region only; once another is known, that one is asked.
    fn endpoint_of_region(&self) -> Url {
        let mut url = self.endpoint.clone();
        let region = self.region.lock().clone();
        if let Some(region) = region.filter(|region| region != FIRST_REGION)
            && let Some(before) = self.host().strip_suffix("s3.amazonaws.com")
        {
            // A region that cannot be part of a host's name leaves the endpoint as it is.
            let _unchanged = url.set_host(Some(&format!("{before}s3.{region}.amazonaws.com"))).is_err();
        }
        url
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Response, BucketError> {
        let bucket = if self.style == Style::Path { format!("/{}", self.bucket) } else { String::new() };
        let path = match (ask.key, self.style) {
            ("", Style::Path) => bucket,
            (key, _) => format!("{bucket}/{}", http::escaped_path(key)),
        };
        let query = http::query(ask.query);
        let mut url = self.endpoint_of_region();
        url.set_path(&path);
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        if url.path() != path {
            // A key of `.` or `..` would be asked for as something else.
            return Err(http::malformed(self.host(), format!("the key '{}' cannot be asked for", ask.key)));
        }
        let mut request = self.client.request(ask.method.clone(), url.clone());
        if let Some(keys) = &self.keys {
            let keys = keys.keys().await?;
            let region = self.region.lock().clone().unwrap_or_else(|| FIRST_REGION.to_owned());
            let payload = if ask.body.is_some() { UNSIGNED } else { sign::EMPTY };
            let scope = sign::Scope { region: &region, service: "s3", now: jiff::Timestamp::now() };
            for (name, value) in sign::headers(&ask.method, &url, payload, &keys, &scope) {
                request = request.header(name, value);
            }
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(|error| http::broken(self.host(), error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let is_head = ask.method == Method::HEAD;
        Err(self.error(response, is_head, ask.key).await)
    }

    async fn error(&self, response: Response, is_head: bool, key: &str) -> BucketError {
        let status = response.status();
        let region = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let region = region.map(str::to_owned);
        let body =
            if is_head { Vec::new() } else { http::body(self.host(), response).await.unwrap_or_default() };
        error_of(status, &body, region, !key.is_empty())
    }
}

/// The region that an AWS host's name says.
fn region_of(host: &str) -> Option<String> {
    let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let rest = rest
        .strip_prefix("s3.dualstack.")
        .or_else(|| rest.strip_prefix("s3."))
        .or_else(|| rest.strip_prefix("s3-"))?;
    let is_region = rest.split('-').count() >= 3 && !rest.contains('.');
    is_region.then(|| rest.to_owned())
}

#[cfg(test)]
mod tests;
