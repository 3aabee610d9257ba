//! An HTTP server whose answers are a function of the request.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::Delivery;

const MAX_BODY_BYTES: usize = 16 << 20;

/// What one request is answered with.
type Answer = Response<Vec<u8>>;

/// An HTTP server on the loopback address that keeps every request and answers as it is told.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    requests: watch::Receiver<Vec<Delivery>>,
    task: JoinHandle<()>,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a status and a body.
#[must_use]
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

impl ScriptedServer {
    /// Listens on a free port; `script` answers every request.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: impl Fn(&Delivery) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let (sender, requests) = watch::channel(Vec::new());
        let task = tokio::spawn(serve(listener, Arc::new(script), sender));
        Ok(Self { address, requests, task })
    }

    /// The server's address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received so far, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Delivery> {
        self.requests.borrow().clone()
    }

    /// Method and path of everything received so far, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.received().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

async fn serve(
    listener: TcpListener,
    script: Arc<impl Fn(&Delivery) -> Answer + Send + Sync + 'static>,
    sender: watch::Sender<Vec<Delivery>>,
) {
    let sender = Arc::new(sender);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (script, sender) = (Arc::clone(&script), Arc::clone(&sender));
                connections.spawn(async move {
                    let service = service_fn(|request| reply(request, script.as_ref(), &sender));
                    let connection = hyper::server::conn::http1::Builder::new();
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn reply(
    request: Request<Incoming>,
    script: &(impl Fn(&Delivery) -> Answer + Sync),
    sender: &watch::Sender<Vec<Delivery>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(answer(413, "").map(|body| Full::new(body.into())));
    };
    let delivery = Delivery {
        method: head.method,
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        body: body.to_bytes(),
    };
    let response = script(&delivery);
    sender.send_modify(|all| all.push(delivery));
    Ok(response.map(|body| Full::new(body.into())))
}
