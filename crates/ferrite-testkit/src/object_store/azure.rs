//! Azure's Blob service, as far as readers use it.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::header::ETAG;
use http::{HeaderValue, Request, Response, StatusCode};
use sha2::Sha256;

use super::{Buckets, Running, escape_xml, lock, parameters, serve};

/// The account's name, the first segment of every path.
const ACCOUNT: &str = "account";

/// Containers of one storage account on the loopback address; ends with the value.
#[derive(Debug)]
pub struct AzureServer {
    running: Running,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    store: Buckets,
    /// The account's key.
    key: Option<Vec<u8>>,
    /// The value of `sig` in a shared access signature.
    signature: Option<String>,
    page_size: usize,
}

impl AzureServer {
    /// Listens on a free port, without TLS.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let state = State { store: Buckets::default(), key: None, signature: None, page_size: 1000 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let running = serve(None, move |request| lock(&shared).answer(request)).await?;
        Ok(Self { running, state })
    }

    /// The address of the account.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.running.address)
    }

    /// Puts a blob, and its container if need be.
    pub fn put(&self, container: &str, key: &str, bytes: impl Into<Bytes>) {
        lock(&self.state).store.put(container, key, bytes.into());
    }

    /// Answers from now on only whoever signs with this key, given in base64.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn allow_key(&self, key: &str) -> Result<()> {
        lock(&self.state).key = Some(STANDARD.decode(key).context("the account's key")?);
        Ok(())
    }

    /// Answers from now on only whoever has `sig=<signature>` in the query.
    pub fn allow_signature(&self, signature: &str) {
        lock(&self.state).signature = Some(signature.to_owned());
    }

    /// Lists at most so many blobs at once.
    pub fn paginate(&self, blobs: usize) {
        lock(&self.state).page_size = blobs;
    }

    /// What was asked for so far, oldest first: method and path.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).store.asked.clone()
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        self.store.asked.push(format!("{} {path}", request.method()));
        let query = parameters(request.uri().query().unwrap_or_default(), false);
        if !self.is_allowed(request, query.get("sig")) {
            let message = "Server failed to authenticate the request.\nRequestId:1";
            return error(StatusCode::FORBIDDEN, "AuthenticationFailed", message);
        }
        let Some(rest) = path.strip_prefix(&format!("/{ACCOUNT}/")) else {
            return error(
                StatusCode::BAD_REQUEST,
                "InvalidUri",
                "The requested URI does not represent any resource.",
            );
        };
        let (container, key) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(blobs) = self.store.buckets.get(container) else {
            let message = "The specified container does not exist.\nRequestId:1";
            return error(StatusCode::NOT_FOUND, "ContainerNotFound", message);
        };
        if key.is_empty() {
            let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
            let limit = field("maxresults").parse().unwrap_or(self.page_size).min(self.page_size);
            return self.list(container, field("prefix"), field("marker"), limit);
        }
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let Some(blob) = blobs.get(key.as_ref()) else {
            return error(
                StatusCode::NOT_FOUND,
                "BlobNotFound",
                "The specified blob does not exist.\nRequestId:1",
            );
        };
        let mut response = Response::new(blob.bytes.clone());
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", tag(&blob.tag))) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }

    fn is_allowed(&self, request: &Request<Bytes>, signature: Option<&String>) -> bool {
        match (&self.key, &self.signature) {
            (None, None) => true,
            (_, Some(wanted)) if signature == Some(wanted) => true,
            (Some(key), _) => shared_key(request, key).is_some_and(|expected| {
                request
                    .headers()
                    .get("authorization")
                    .is_some_and(|value| value.as_bytes() == expected.as_bytes())
            }),
            (None, Some(_)) => false,
        }
    }

    fn list(&self, container: &str, prefix: &str, marker: &str, limit: usize) -> Response<Bytes> {
        let (blobs, more) = self.store.page(container, prefix, marker, limit);
        let mut body = "<EnumerationResults><Blobs>".to_owned();
        for (key, blob) in &blobs {
            body.push_str(&format!(
                "<Blob><Name>{}</Name><Properties><Content-Length>{}</Content-Length><Etag>{}</Etag></Properties></Blob>",
                escape_xml(key),
                blob.bytes.len(),
                tag(&blob.tag)
            ));
        }
        let next = blobs.last().filter(|_| more).map(|(key, _)| escape_xml(key)).unwrap_or_default();
        body.push_str(&format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"));
        Response::new(format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>{body}").into())
    }
}

fn tag(digits: &str) -> String {
    format!("0x{}", digits.chars().take(16).collect::<String>().to_uppercase())
}

/// The header that somebody with `key` sends with this request.
fn shared_key(request: &Request<Bytes>, key: &[u8]) -> Option<String> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let mut resource = format!("/{ACCOUNT}{}", request.uri().path());
    for (name, value) in parameters(request.uri().query().unwrap_or_default(), false) {
        resource.push_str(&format!("\n{}:{value}", name.to_lowercase()));
    }
    let (date, version) = (header("x-ms-date")?, header("x-ms-version")?);
    let standard = "\n".repeat(12);
    let text = format!("{}{standard}x-ms-date:{date}\nx-ms-version:{version}\n{resource}", request.method());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(format!("SharedKey {ACCOUNT}:{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )));
    *response.status_mut() = status;
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-ms-error-code", code);
    }
    response
}
