//! An OCI registry in memory: tests push by calling it, clients by monolithic uploads.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, LINK, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const TOKEN: &str = "token-of-the-test-registry";

/// A registry over plain HTTP on the loopback address; ends with the value.
#[derive(Debug)]
pub struct RegistryServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    address: String,
    /// By repository, then by tag or digest: media type and bytes.
    manifests: BTreeMap<String, BTreeMap<String, (String, Bytes)>>,
    blobs: BTreeMap<String, Bytes>,
    /// The header that the token server wants.
    credentials: Option<String>,
    asked: Vec<String>,
    /// There is no list of referrers.
    old: bool,
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RegistryServer {
    /// Listens on a free port; there is nothing in it yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { address: address.to_string(), ..State::default() }));
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// `host:port`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address of a repository, `oci://host:port/<name>`.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.address)
    }

    /// Pushes an artifact of `layers` (media type and bytes) and points `tag` at it; returns its digest.
    pub fn push(
        &self,
        repository: &str,
        tag: &str,
        layers: &[(&str, &[u8])],
        annotations: &[(&str, &str)],
    ) -> String {
        let mut state = self.lock();
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, bytes)| {
                let digest = digest(bytes);
                state.blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes));
                json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
            })
            .collect();
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let config = json!({"mediaType": "application/vnd.cncf.flux.config.v1+json", "digest": digest(b"{}"), "size": 2});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
            "annotations": annotations});
        state.store(repository, tag, MANIFEST, manifest.to_string())
    }

    /// Pushes an index with one manifest for each platform (`linux/amd64`) and points `tag` at it.
    pub fn push_index(&self, repository: &str, tag: &str, manifests: &[(&str, &str)]) -> String {
        let manifests: Vec<_> = manifests
            .iter()
            .map(|(platform, digest)| {
                let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
                let platform = json!({"os": os, "architecture": architecture});
                json!({"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": platform})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.lock().store(repository, tag, INDEX, index.to_string())
    }

    /// Stores a blob; returns its digest.
    pub fn push_blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.lock().blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes));
        digest
    }

    /// Stores a manifest as it is, and points `tag` at it if there is one; returns its digest.
    pub fn push_manifest(&self, repository: &str, tag: Option<&str>, manifest: &serde_json::Value) -> String {
        let text = manifest.to_string();
        let digest = digest(text.as_bytes());
        self.lock().store(repository, tag.unwrap_or(&digest), MANIFEST, text)
    }

    /// Does not know from now on what refers to what, as registries before version 1.1 of the specification.
    pub fn forget_referrers(&self) {
        self.lock().old = true;
    }

    /// Answers from now on only whoever has a token, which the user name and the password buy.
    pub fn protect(&self, username: &str, password: &str) {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        self.lock().credentials = Some(format!("Basic {credentials}"));
    }

    /// Serves other bytes for a blob than those it is named by.
    pub fn corrupt_blob(&self, bytes: &[u8], instead: impl Into<Bytes>) {
        self.lock().blobs.insert(digest(bytes), instead.into());
    }

    /// What was asked for so far, oldest first: `GET /v2/app/tags/list`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn store(&mut self, repository: &str, tag: &str, media_type: &str, text: String) -> String {
        let digest = digest(text.as_bytes());
        let bytes = Bytes::from(text);
        let manifests = self.manifests.entry(repository.to_owned()).or_default();
        manifests.insert(digest.clone(), (media_type.to_owned(), bytes.clone()));
        manifests.insert(tag.to_owned(), (media_type.to_owned(), bytes));
        digest
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        self.asked.push(format!("{} {path}", request.method()));
        let presented = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if path == "/token" {
            return match &self.credentials {
                Some(wanted) if presented != Some(wanted) => status(StatusCode::UNAUTHORIZED),
                _ => body("application/json", json!({"token": TOKEN}).to_string().into()),
            };
        }
        if self.credentials.is_some() && presented != Some(&format!("Bearer {TOKEN}")) {
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"test\"", self.address);
            return with(status(StatusCode::UNAUTHORIZED), WWW_AUTHENTICATE, &challenge);
        }
        if path == "/v2/" {
            return body("application/json", "{}".into());
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return status(StatusCode::NOT_FOUND) };
        if let Some(written) = self.write(request, rest) {
            return written;
        }
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            return self.tags(repository, request.uri().query().unwrap_or_default());
        }
        if let Some((repository, digest)) = rest.rsplit_once("/referrers/").filter(|_| !self.old) {
            return self.referrers(repository, digest);
        }
        if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
            let found = self.manifests.get(repository).and_then(|all| all.get(reference));
            return match found {
                Some((media_type, bytes)) => {
                    let content = if request.method() == Method::HEAD { Bytes::new() } else { bytes.clone() };
                    let header = HeaderName::from_static("docker-content-digest");
                    with(body(media_type, content), header, &digest(bytes))
                }
                None => status(StatusCode::NOT_FOUND),
            };
        }
        match rest.rsplit_once("/blobs/").and_then(|(_, digest)| self.blobs.get(digest)) {
            Some(bytes) => body("application/octet-stream", bytes.clone()),
            None => status(StatusCode::NOT_FOUND),
        }
    }

    fn referrers(&self, repository: &str, subject: &str) -> Response<Full<Bytes>> {
        let manifests = self.manifests.get(repository).into_iter().flatten();
        let found = manifests.filter(|(name, _)| name.contains(':')).filter_map(|(digest, (media_type, bytes))| {
            let manifest: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            let refers = manifest.pointer("/subject/digest").and_then(|digest| digest.as_str()) == Some(subject);
            let kind = manifest.get("artifactType").cloned().unwrap_or_default();
            refers.then(|| json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": kind}))
        });
        let list: Vec<serde_json::Value> = found.collect();
        body(INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": list}).to_string().into())
    }

    /// Uploads; `None` for requests that read.
    fn write(&mut self, request: &Request<Bytes>, rest: &str) -> Option<Response<Full<Bytes>>> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match *request.method() {
            Method::POST => {
                let repository = rest.strip_suffix("/blobs/uploads/")?;
                let place = format!("/v2/{repository}/blobs/uploads/1?state=x");
                Some(with(status(StatusCode::ACCEPTED), http::header::LOCATION, &place))
            }
            Method::PUT => {
                if let Some((repository, tag)) = rest.rsplit_once("/manifests/") {
                    let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                    let made = self.store(repository, tag, media.unwrap_or(MANIFEST), text(request.body()));
                    let header = HeaderName::from_static("docker-content-digest");
                    return Some(with(status(StatusCode::CREATED), header, &made));
                }
                let query = request.uri().query().unwrap_or_default();
                let wanted = query.split('&').find_map(|pair| pair.strip_prefix("digest="))?;
                let made = digest(request.body());
                if wanted.replace("%3A", ":") != made {
                    return Some(status(StatusCode::BAD_REQUEST));
                }
                self.blobs.insert(made, request.body().clone());
                Some(status(StatusCode::CREATED))
            }
            _ => None,
        }
    }

    /// Pages of two tags, whatever is asked for, so that clients have to follow.
    fn tags(&self, repository: &str, query: &str) -> Response<Full<Bytes>> {
        let Some(manifests) = self.manifests.get(repository) else { return status(StatusCode::NOT_FOUND) };
        let last = query.split('&').find_map(|pair| pair.strip_prefix("last=")).unwrap_or_default();
        let tags: Vec<&String> =
            manifests.keys().filter(|tag| !tag.contains(':') && tag.as_str() > last).collect();
        let page: Vec<_> = tags.iter().take(2).collect();
        let answer = body("application/json", json!({"name": repository, "tags": page}).to_string().into());
        match page.last().filter(|_| tags.len() > 2) {
            Some(last) => {
                with(answer, LINK, &format!("</v2/{repository}/tags/list?last={last}>; rel=\"next\""))
            }
            None => answer,
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn body(media_type: &str, bytes: Bytes) -> Response<Full<Bytes>> {
    with(Response::new(Full::new(bytes)), CONTENT_TYPE, media_type)
}

fn with(mut response: Response<Full<Bytes>>, name: HeaderName, value: &str) -> Response<Full<Bytes>> {
    // Values are made above of tags and addresses; one that is no header would fail the test that made it.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let state = Arc::clone(&state);
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.map(http_body_util::Collected::to_bytes);
                            let request = Request::from_parts(head, body.unwrap_or_default());
                            let answer = state.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
                            Ok::<_, Infallible>(answer)
                        }
                    });
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
