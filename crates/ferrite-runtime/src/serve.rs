//! Small HTTP listeners: metrics and health.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, header::CONTENT_TYPE, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What an endpoint answers to a path; `None` is 404.
type Answer = dyn Fn(&str) -> Option<(&'static str, String)> + Send + Sync;

/// Opens a listener at an address in Go's notation: an empty host is every interface, port 0 any free port.
///
/// # Errors
///
/// When the address is not `host:port`, does not resolve or is taken.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let name_it =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await.map_err(name_it);
    };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Ok(listener) => Ok(listener),
        // Hosts without IPv6.
        Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await.map_err(name_it),
    }
}

/// Serves `/metrics` until `shutdown`; returns where.
///
/// # Errors
///
/// When `address` cannot be bound.
pub async fn metrics(address: &str, metrics: Metrics, shutdown: CancellationToken) -> io::Result<SocketAddr> {
    let answer = move |path: &str| {
        (path == "/metrics")
            .then(|| ("text/plain; version=0.0.4; charset=utf-8; escaping=underscores", metrics.render()))
    };
    serve(listen(address).await?, Arc::new(answer), shutdown)
}

/// Serves `/healthz` and `/readyz` until `shutdown`; returns where.
///
/// # Errors
///
/// When `address` cannot be bound.
pub async fn health(address: &str, shutdown: CancellationToken) -> io::Result<SocketAddr> {
    let answer = |path: &str| {
        let known =
            matches!(path.trim_end_matches('/'), "/healthz" | "/readyz" | "/healthz/ping" | "/readyz/ping");
        known.then(|| ("text/plain; charset=utf-8", "ok".to_owned()))
    };
    serve(listen(address).await?, Arc::new(answer), shutdown)
}

fn serve(listener: TcpListener, answer: Arc<Answer>, shutdown: CancellationToken) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // A connection that ended before it was taken, or too many open files: neither ends the listener.
                    Err(_) => {
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            tokio::spawn(connection(stream, Arc::clone(&answer), shutdown.clone()));
        }
    });
    Ok(address)
}

async fn connection(stream: tokio::net::TcpStream, answer: Arc<Answer>, shutdown: CancellationToken) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = respond(answer(request.uri().path()));
        async move { Ok::<_, Infallible>(response) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // What a client does wrong is its own affair.
        _ended = connection => {}
        () = shutdown.cancelled() => {}
    }
}

fn respond(answer: Option<(&'static str, String)>) -> Response<Full<Bytes>> {
    let (status, kind, body) = match answer {
        Some((kind, body)) => (StatusCode::OK, kind, body),
        None => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_answer_what_probes_and_scrapers_ask() {
        let shutdown = CancellationToken::new();
        let health = health("127.0.0.1:0", shutdown.clone()).await.unwrap();
        let metrics = metrics(":0", Metrics::new(), shutdown.clone()).await.unwrap();
        let get = async |port: u16, path: &str| {
            let response = get(port, path).await;
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            (head.lines().next().unwrap().to_owned(), body.to_owned())
        };
        assert_eq!(get(health.port(), "/readyz").await, ("HTTP/1.1 200 OK".to_owned(), "ok".to_owned()));
        assert_eq!(get(health.port(), "/nope").await.0, "HTTP/1.1 404 Not Found");
        assert!(get(metrics.port(), "/metrics").await.1.contains("process_resident_memory_bytes"));
        shutdown.cancel();
    }

    async fn get(port: u16, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
