//! A server of files, as a Helm repository is one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Files over plain HTTP on the loopback address, perhaps for one user only; ends with the value.
#[derive(Debug)]
pub struct HelmRepositoryServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    /// The value of the header that is asked for.
    authorization: Option<String>,
    asked: Vec<(String, bool)>,
    /// Files that were sent, rather than said to be unchanged.
    sent: usize,
}

impl Drop for HelmRepositoryServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HelmRepositoryServer {
    /// Listens on a free port; there are no files yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let state = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// The address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `bytes` at `path`, which starts with a slash.
    pub fn put(&self, path: impl Into<String>, bytes: impl Into<Bytes>) {
        self.lock().files.insert(path.into(), bytes.into());
    }

    /// Answers from now on only whoever presents the user name and the password.
    pub fn protect(&self, username: &str, password: &str) {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        self.lock().authorization = Some(format!("Basic {credentials}"));
    }

    /// What was asked for so far, oldest first: the path with its query, and whether credentials came with it.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, bool)> {
        self.lock().asked.clone()
    }

    /// How many files were sent whole; what a client has already is not.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.lock().sent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let response = answer(&mut state.lock().unwrap_or_else(PoisonError::into_inner), &request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer<B>(state: &mut State, request: &Request<B>) -> Response<Full<Bytes>> {
    let presented = request.headers().get(AUTHORIZATION);
    let whole = request.uri().path_and_query().map_or("/", |path| path.as_str());
    state.asked.push((whole.to_owned(), presented.is_some()));
    let mut response = Response::default();
    if let Some(wanted) = &state.authorization
        && presented.and_then(|value| value.to_str().ok()) != Some(wanted)
    {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"charts\""));
        return response;
    }
    let Some(bytes) = state.files.get(request.uri().path()) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    let etag = format!("\"{:x}\"", hasher.finish());
    if request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    state.sent += 1;
    *response.body_mut() = Full::new(bytes.clone());
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}
