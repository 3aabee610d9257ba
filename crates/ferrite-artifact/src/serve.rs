//! The artifact server: a read-only static file server that knows four-part paths and nothing else.
//!
//! Content types, range and condition headers are those of Go's `http.FileServer`. Unlike it, no directory is listed.

mod answer;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::DiskStore;

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 4096;
/// How long a client may take for the head of a request, and be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may live: a client that reads nothing ends here.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(15);
/// How long downloads may go on after the shutdown began.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the files of `store` on `listener` until `shutdown` is done.
///
/// `GET /` answers 200, for readiness probes. Everything that is not a finished file of an object is 404.
pub async fn serve(listener: TcpListener, store: DiskStore, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Ok((stream, slot)) = accepted else {
            // A connection that ended before it was taken, or too many open files: neither ends the listener.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let store = store.clone();
        let service = service_fn(move |request: Request<Incoming>| answer::answer(store.clone(), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // What a client does wrong is its own affair.
            let _ended = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await.is_ok();
            drop(slot);
        });
    }
    drop(listener);
    let _all_done = tokio::time::timeout(GRACE, graceful.shutdown()).await.is_ok();
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _): (_, SocketAddr) = listener.accept().await?;
    Ok((stream, slot))
}

#[cfg(test)]
mod tests;
