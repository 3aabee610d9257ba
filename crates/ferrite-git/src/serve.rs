//! Serves repositories over smart HTTP: reading by protocol v0 and v2, shallow too; writing where that is allowed.
//!
//! ```text
//! GET  /<name>/info/refs?service=git-upload-pack ─▶ refs (v0) or capabilities (v2)
//! POST /<name>/git-upload-pack ─▶ ls-refs, or a pack written while it is sent
//! POST /<name>/git-receive-pack ─▶ a pack taken in, branches moved
//! ```
//!
//! Packs hold whole compressed objects, no deltas: meant for tests, demos and a laptop, not for a public host.

mod pack;
mod receive_pack;
mod stream;
mod upload_pack;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{Error, Redacted, Repository};

/// Longest request body accepted, before and after decompression.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// A set of named repositories to serve. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Repositories(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_name: RwLock<BTreeMap<String, Served>>,
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Clone)]
struct Served {
    path: PathBuf,
    credentials: Option<(String, Redacted<String>)>,
    writable: bool,
}

/// What has crossed the wire so far; bodies only, without headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Requests answered.
    pub requests: u64,
    /// Bytes of request bodies.
    pub received_bytes: u64,
    /// Bytes of response bodies.
    pub sent_bytes: u64,
}

impl Repositories {
    /// Serves `repository` at `/<name>` and `/<name>.git`, to anyone.
    pub fn add(&self, name: impl Into<String>, repository: &Repository) {
        self.insert(
            name.into(),
            Served { path: repository.path().to_owned(), credentials: None, writable: false },
        );
    }

    /// As [`Repositories::add`], and anyone may push.
    pub fn add_writable(&self, name: impl Into<String>, repository: &Repository) {
        let path = repository.path().to_owned();
        self.insert(name.into(), Served { path, credentials: None, writable: true });
    }

    /// As [`Repositories::add`], to whoever presents the user name and password.
    pub fn add_private(
        &self,
        name: impl Into<String>,
        repository: &Repository,
        username: impl Into<String>,
        password: Redacted<String>,
    ) {
        let credentials = Some((username.into(), password));
        self.insert(name.into(), Served { path: repository.path().to_owned(), credentials, writable: false });
    }

    /// Stops serving `name`.
    pub fn remove(&self, name: &str) {
        self.0.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// What has crossed the wire so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.0.requests.load(Ordering::Relaxed),
            received_bytes: self.0.received.load(Ordering::Relaxed),
            sent_bytes: self.0.sent.load(Ordering::Relaxed),
        }
    }

    /// Accepts connections until the future is dropped, which closes them all.
    ///
    /// # Errors
    /// [`Error::Io`] when the listener fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), Error> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted
                        .map_err(|source| Error::Io { action: "accept a connection".to_owned(), source })?;
                    drop(stream.set_nodelay(true)); // only an optimisation
                    let this = self.clone();
                    connections.spawn(async move { this.serve_connection(stream).await });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Serves one connection, for example one that a TLS layer has accepted.
    pub async fn serve_connection(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        // A client that goes away is its own affair.
        drop(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
        );
    }

    fn insert(&self, name: String, served: Served) {
        self.0.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(name, served);
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<Answer>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let Some((served, action)) = self.route(head.uri.path()) else {
            return self.plain(StatusCode::NOT_FOUND, "no such repository\n");
        };
        if !served.admits(&head.headers) {
            let mut response = self.plain(StatusCode::UNAUTHORIZED, "credentials needed\n");
            let challenge = http::HeaderValue::from_static("Basic realm=\"git\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
        let version_2 = head
            .headers
            .get("git-protocol")
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(':').any(|part| part == "version=2"));
        match (head.method, action) {
            (Method::GET, "info/refs")
                if served.writable && head.uri.query() == Some("service=git-receive-pack") =>
            {
                self.stream("application/x-git-receive-pack-advertisement", move |out| {
                    receive_pack::advertise(&served.path, out)
                })
            }
            (Method::POST, "git-receive-pack") if served.writable => {
                let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
                    return self.plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n");
                };
                let Some(body) = decompressed(&head.headers, body.to_bytes()) else {
                    return self.plain(StatusCode::BAD_REQUEST, "the request cannot be decompressed\n");
                };
                self.stream("application/x-git-receive-pack-result", move |out| {
                    receive_pack::respond(&served.path, &body, out)
                })
            }
            (Method::GET, "info/refs") => {
                if head.uri.query() != Some("service=git-upload-pack") {
                    return self.plain(StatusCode::FORBIDDEN, "only git-upload-pack is served here\n");
                }
                self.stream("application/x-git-upload-pack-advertisement", move |out| {
                    upload_pack::advertise(&served.path, version_2, true, out)
                })
            }
            (Method::POST, "git-upload-pack") => {
                let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
                    return self.plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n");
                };
                let body = body.to_bytes();
                self.0.received.fetch_add(body.len() as u64, Ordering::Relaxed);
                let Some(body) = decompressed(&head.headers, body) else {
                    return self.plain(StatusCode::BAD_REQUEST, "the request cannot be decompressed\n");
                };
                self.stream("application/x-git-upload-pack-result", move |out| {
                    upload_pack::respond(&served.path, version_2, &body, out)
                })
            }
            (_, "info/refs" | "git-upload-pack") => {
                self.plain(StatusCode::METHOD_NOT_ALLOWED, "wrong method\n")
            }
            _ => self.plain(StatusCode::NOT_FOUND, "only smart HTTP is served here\n"),
        }
    }

    /// The repository of the longest known name that `path` starts with, and what follows the name.
    fn route<'a>(&self, path: &'a str) -> Option<(Served, &'a str)> {
        let path = path.strip_prefix('/')?;
        let at = path.len().checked_sub(
            ["/info/refs", "/git-upload-pack", "/git-receive-pack"]
                .iter()
                .find(|s| path.ends_with(**s))?
                .len(),
        )?;
        let (name, action) = (path.get(..at)?, path.get(at + 1..)?);
        Some((self.find(name)?, action))
    }

    /// The repository that is served as `name` or `<name>.git`.
    fn find(&self, name: &str) -> Option<Served> {
        let by_name = self.0.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).or_else(|| by_name.get(name.strip_suffix(".git")?)).cloned()
    }

    fn plain(&self, status: StatusCode, text: &'static str) -> Response<Answer> {
        self.0.sent.fetch_add(text.len() as u64, Ordering::Relaxed);
        let mut response = Response::new(Answer {
            first: Some(Bytes::from_static(text.as_bytes())),
            rest: None,
            inner: None,
        });
        *response.status_mut() = status;
        response
    }

    /// Answers with what `work` sends, from a thread of its own, while it is being read.
    fn stream(
        &self,
        content_type: &'static str,
        work: impl FnOnce(&mut Sender) -> Result<(), Stop> + Send + 'static,
    ) -> Response<Answer> {
        let (sender, receiver) = mpsc::channel(8);
        tokio::task::spawn_blocking(move || {
            let mut out = Sender { channel: sender, buffer: Vec::with_capacity(FRAME) };
            if work(&mut out).is_ok() {
                drop(out.flush()); // the reader is gone
            }
        });
        let mut response =
            Response::new(Answer { first: None, rest: Some(receiver), inner: Some(Arc::clone(&self.0)) });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
        response
    }
}

impl Served {
    fn admits(&self, headers: &HeaderMap) -> bool {
        use base64::Engine as _;
        let Some((username, password)) = &self.credentials else { return true };
        let wanted = format!("{username}:{}", password.expose());
        let wanted = base64::engine::general_purpose::STANDARD.encode(wanted);
        let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let given =
            given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        // Compared without an early exit, so that the time taken does not tell how much was right.
        given.is_some_and(|(_, given)| {
            let (given, wanted) = (given.trim().as_bytes(), wanted.as_bytes());
            given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
        })
    }
}

/// Git compresses long requests.
fn decompressed(headers: &HeaderMap, body: Bytes) -> Option<Bytes> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes());
    match encoding {
        None | Some(b"identity") => Some(body),
        Some(b"gzip" | b"x-gzip") => {
            let mut out = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&*body).take(MAX_REQUEST_BYTES as u64 + 1);
            reader.read_to_end(&mut out).ok()?;
            (out.len() <= MAX_REQUEST_BYTES).then(|| Bytes::from(out))
        }
        Some(_) => None,
    }
}

/// Bytes gathered before they are sent.
const FRAME: usize = 64 * 1024;

/// The answer need not be finished: the reader is gone, or the failure has been written into it.
pub(crate) struct Stop;

/// Where blocking work writes an answer.
pub(crate) struct Sender {
    channel: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
}

impl Sender {
    /// Appends bytes; waits when the reader is slow.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FRAME { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(FRAME));
        self.channel.blocking_send(full.into()).map_err(|_| Stop)
    }
}

/// The body of an answer.
struct Answer {
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Bytes>>,
    inner: Option<Arc<Inner>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut this.rest else { return Poll::Ready(None) };
        rest.poll_recv(context).map(|bytes| {
            let bytes = bytes?;
            if let Some(inner) = &this.inner {
                inner.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Some(Ok(Frame::data(bytes)))
        })
    }
}
