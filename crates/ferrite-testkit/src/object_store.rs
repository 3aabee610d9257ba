//! Object stores: S3, Google's and Azure's, each with the protocol's own authentication.

mod azure;
mod gcs;
mod s3;
mod signature;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use azure::AzureServer;
pub use gcs::GcsServer;
pub use s3::S3Server;

/// Bytes of one request's body.
const BODY_LIMIT: usize = 256 << 20;

/// One object.
#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    /// Hexadecimal digits that change with the bytes.
    tag: String,
}

/// Objects by bucket and key, and what was asked for.
#[derive(Debug, Default)]
struct Buckets {
    buckets: BTreeMap<String, BTreeMap<String, Stored>>,
    asked: Vec<String>,
}

impl Buckets {
    fn put(&mut self, bucket: &str, key: &str, bytes: Bytes) {
        let tag = hex::encode(Sha256::digest(&bytes)).chars().take(32).collect();
        self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), Stored { bytes, tag });
    }

    /// The objects below `prefix` after `after`, at most `limit`, and whether there are more.
    fn page(&self, bucket: &str, prefix: &str, after: &str, limit: usize) -> (Vec<(String, Stored)>, bool) {
        let objects = self.buckets.get(bucket).into_iter().flatten();
        let mut found: Vec<(String, Stored)> = objects
            .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after)
            .map(|(key, object)| (key.clone(), object.clone()))
            .take(limit + 1)
            .collect();
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; ends with the value.
#[derive(Debug)]
struct Running {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests, whose bodies were read whole, on a free port.
async fn serve<A>(tls: Option<TlsAcceptor>, answer: A) -> Result<Running>
where
    A: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
{
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { return };
                    let (answer, tls) = (Arc::clone(&answer), tls.clone());
                    connections.spawn(async move {
                        match tls {
                            None => connection(TokioIo::new(stream), answer).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    connection(TokioIo::new(stream), answer).await;
                                }
                            }
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok(Running { address, task })
}

fn connection<A, S>(stream: S, answer: Arc<A>) -> impl Future<Output = ()>
where
    A: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            let (parts, body) = request.into_parts();
            let response = match Limited::new(body, BODY_LIMIT).collect().await {
                Ok(body) => answer(&Request::from_parts(parts, body.to_bytes())),
                Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
            };
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    async move {
        drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await);
    }
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// The decoded parameters of a query or form.
fn parameters(query: &str, plus_is_space: bool) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let text = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
