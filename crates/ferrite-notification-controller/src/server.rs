//! An HTTP listener for strangers: bounded heads, bodies and times, one answer without a body.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::figures::Figures;

/// Bytes of a body.
pub(crate) const BODY_BYTES: usize = 3 << 20;
const HEAD_BYTES: usize = 256 << 10;
const HEAD_TIME: Duration = Duration::from_secs(10);
const BODY_TIME: Duration = Duration::from_secs(30);
/// Connections served at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1024;

/// A request whose body has been read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) head: http::request::Parts,
    pub(crate) body: Bytes,
}

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// The response to one request.
    fn answer(&self, request: Read) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Serves until `shutdown`; returns where.
pub(crate) fn serve<A: Answer>(
    listener: TcpListener,
    answer: A,
    figures: Figures,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let served = Arc::new((answer, figures));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(async move {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let stream = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Too many open files, or a connection that ended meanwhile: neither ends the listener.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let (served, shutdown) = (Arc::clone(&served), shutdown.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| respond(Arc::clone(&served), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .max_buf_size(HEAD_BYTES)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // What a client does wrong is its own affair.
                    _ended = connection => {}
                    () = shutdown.cancelled() => {}
                }
                drop(slot);
            });
        }
    });
    Ok(address)
}

/// Answers one request and counts it.
async fn respond<A: Answer>(
    served: Arc<(A, Figures)>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (answer, figures) = served.as_ref();
    let (method, path, start) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
    let _in_flight = figures.started();
    let response = read_and_answer(answer, request).await;
    let bytes = response.body().size_hint().lower();
    figures.ended(&method, &path, response.status(), start.elapsed(), bytes);
    Ok(response)
}

async fn read_and_answer<A: Answer>(answer: &A, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_BYTES).collect()).await;
    let body = match read {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => return empty(StatusCode::BAD_REQUEST),
        Err(_) => return empty(StatusCode::REQUEST_TIMEOUT),
    };
    answer.answer(Read { head, body }).await
}

#[cfg(test)]
mod tests;
