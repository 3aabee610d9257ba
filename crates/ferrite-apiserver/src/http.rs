//! HTTPS: connections in, answers out.

pub(crate) mod negotiate;
pub(crate) mod request;
pub(crate) mod respond;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;
use crate::status::ApiError;
pub(crate) use respond::Body;

/// The largest body that is read, as in kube-apiserver.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Accepts connections until `stop` turns true.
pub(crate) async fn serve(
    server: Arc<Server>,
    listener: TcpListener,
    tls: TlsAcceptor,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                tokio::spawn(connection(server.clone(), stream, peer, tls.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(
    server: Arc<Server>,
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    mut stop: watch::Receiver<bool>,
) {
    let stream = match tls.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "TLS handshake failed");
            return;
        }
    };
    let service = hyper::service::service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(answer(&server, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(1000);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

async fn answer(server: &Arc<Server>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(error) => return respond::error(&error, false),
    };
    let call = request::Call::new(parts, body);
    let head = call.method == http::Method::HEAD;
    let mut response = crate::handlers::handle(server, call).await;
    let headers = response.headers_mut();
    headers.insert("audit-id", respond::header(&uuid::Uuid::new_v4().to_string()));
    // Clients take these as the sign that the server bounds requests itself, and stop to bound their own.
    headers.insert("x-kubernetes-pf-flowschema-uid", respond::header(&flow_uid(0)));
    headers.insert("x-kubernetes-pf-prioritylevel-uid", respond::header(&flow_uid(1)));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache, private"));
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// The uid of the flow schema (0) or priority level (1) that every request belongs to.
fn flow_uid(which: u128) -> String {
    static SEED: std::sync::OnceLock<u128> = std::sync::OnceLock::new();
    let seed = *SEED.get_or_init(|| uuid::Uuid::new_v4().as_u128() & !1);
    uuid::Uuid::from_u128(seed | which).to_string()
}

async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::too_large()),
        Err(error) => Err(ApiError::bad_request(format!("cannot read the body: {error}"))),
    }
}

/// The plain page for paths that nothing serves.
pub(crate) fn page_not_found() -> Response<Body> {
    let mut response = respond::text(StatusCode::NOT_FOUND, "404 page not found\n");
    response.headers_mut().insert("x-content-type-options", http::HeaderValue::from_static("nosniff"));
    response
}
