//! A receiver that keeps every request it gets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const MAX_BODY_BYTES: usize = 16 << 20;

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 16 MiB.
    pub body: Bytes,
}

impl Delivery {
    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An HTTP server on the loopback address that keeps every request and answers all with one status.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    deliveries: watch::Receiver<Vec<Delivery>>,
    task: JoinHandle<()>,
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WebhookReceiver {
    /// Listens on a free port; answers 200 until told otherwise.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let status = Arc::new(AtomicU16::new(200));
        let (sender, deliveries) = watch::channel(Vec::new());
        let task = tokio::spawn(serve(listener, Arc::clone(&status), sender));
        Ok(Self { address, status, deliveries, task })
    }

    /// The address to post to, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers later requests with `status`.
    pub fn answer_with(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    /// Everything received so far, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Delivery> {
        self.deliveries.borrow().clone()
    }

    /// The first delivery that `wanted` accepts, among those received and those to come.
    ///
    /// # Errors
    /// A sentence with `what`, the patience and what was received instead.
    pub async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Delivery) -> bool,
    ) -> Result<Delivery, String> {
        let mut deliveries = self.deliveries.clone();
        let found = async {
            let seen = deliveries.wait_for(|all| all.iter().any(&wanted)).await.ok()?;
            seen.iter().find(|d| wanted(d)).cloned()
        };
        let found = tokio::time::timeout(patience, found).await.ok().flatten();
        found.ok_or_else(|| {
            let bodies: Vec<_> = self.received().iter().map(|d| format!("{} {}", d.path, d.text())).collect();
            format!(
                "gave up after {patience:?} waiting for {what}; received {}:\n{}",
                bodies.len(),
                bodies.join("\n")
            )
        })
    }
}

async fn serve(listener: TcpListener, status: Arc<AtomicU16>, sender: watch::Sender<Vec<Delivery>>) {
    let sender = Arc::new(sender);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (status, sender) = (Arc::clone(&status), Arc::clone(&sender));
                connections.spawn(async move {
                    let service = service_fn(|request| keep(request, &status, &sender));
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn keep(
    request: Request<Incoming>,
    status: &AtomicU16,
    sender: &watch::Sender<Vec<Delivery>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Empty::new());
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let delivery = Delivery {
        method: head.method,
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        body: body.to_bytes(),
    };
    sender.send_modify(|all| all.push(delivery));
    *response.status_mut() = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap_or(StatusCode::OK);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn requests_are_kept_and_answered_with_the_status_asked_for() {
        let receiver = WebhookReceiver::start().await.unwrap();
        receiver.answer_with(StatusCode::TOO_MANY_REQUESTS);
        let mut stream = tokio::net::TcpStream::connect(receiver.address).await.unwrap();
        let request = "POST /hook?x=1 HTTP/1.1\r\nhost: x\r\nx-tag: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        let seen =
            receiver.wait_for("a hello", Duration::from_secs(10), |d| d.text() == "hello").await.unwrap();
        assert_eq!((seen.path.as_str(), seen.headers["x-tag"].as_bytes()), ("/hook?x=1", b"a".as_slice()));
        let none = receiver.wait_for("a goodbye", Duration::from_millis(10), |d| d.text() == "bye").await;
        assert!(none.unwrap_err().contains("received 1:\n/hook?x=1 hello"));
    }
}
