//! Starting and stopping a server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::faults::Faults;
use crate::keys::Keys;
use crate::server::Server;
use crate::store::{Log, Store};
use crate::tls::Identity;
use crate::{controllers, crd, http, workloads};

/// An embedded API server; see [`ApiServer::builder`].
#[derive(Debug)]
pub struct ApiServer;

impl ApiServer {
    /// A server on a free port of 127.0.0.1, in memory, without CRDs and without workload controllers.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { port: 0, data_dir: None, crds: Vec::new(), workloads: false, rbac: true }
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Builder {
    port: u16,
    data_dir: Option<PathBuf>,
    crds: Vec<String>,
    workloads: bool,
    rbac: bool,
}

impl Builder {
    /// The port on 127.0.0.1; 0, the default, takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Where to keep objects, keys and tokens; `None`, the default, keeps them in memory.
    ///
    /// A write is answered when it is on disk, so that it survives a kill.
    #[must_use]
    pub fn data_dir(mut self, dir: Option<PathBuf>) -> Self {
        self.data_dir = dir;
        self
    }

    /// CRDs as YAML or JSON text, several documents each if need be; they are served before `start` returns.
    #[must_use]
    pub fn crds<T: Into<String>>(mut self, crds: impl IntoIterator<Item = T>) -> Self {
        self.crds.extend(crds.into_iter().map(Into::into));
        self
    }

    /// Whether a stand-in for the workload controllers writes the status of Deployments, Jobs and so on.
    #[must_use]
    pub fn workloads(mut self, on: bool) -> Self {
        self.workloads = on;
        self
    }

    /// Whether roles are enforced; they are unless this says otherwise.
    #[must_use]
    pub fn rbac(mut self, on: bool) -> Self {
        self.rbac = on;
        self
    }

    /// Starts to serve.
    ///
    /// # Errors
    ///
    /// When the port cannot be had, the data directory cannot be used or is damaged, or a CRD is refused.
    pub async fn start(self) -> Result<Running, Error> {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .map_err(|source| Error::Listen { port: self.port, source })?;
        let addr = listener.local_addr().map_err(|source| Error::Listen { port: self.port, source })?;
        let identity = Identity::open(self.data_dir.as_deref())?;
        let acceptor = identity.acceptor()?;
        let store = Arc::new(Store::open(open_log(self.data_dir.as_deref())?));
        let faults = Arc::new(Faults::new(store.clone()));
        let keys = Keys::open(identity.admin_token.clone(), self.data_dir.as_deref())?;
        let server = Server::new(store, faults, &identity, keys, addr, self.rbac);
        controllers::prepare(&server);
        crd::install(&server, &self.crds).map_err(|(index, reason)| Error::Crd { index, reason })?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(controllers::run(server.clone(), stopped.clone())),
            tokio::spawn(http::serve(server.clone(), listener, acceptor, stopped.clone())),
        ];
        if self.workloads {
            tasks.push(tokio::spawn(workloads::run(server.clone(), stopped)));
        }
        let kubeconfig = kubeconfig(&server, &identity);
        Ok(Running { server, addr, kubeconfig, stop, tasks })
    }
}

fn open_log(dir: Option<&Path>) -> Result<Option<(Log, Vec<crate::store::Record>)>, Error> {
    let Some(dir) = dir else { return Ok(None) };
    Log::open(dir).map(Some).map_err(|error| Error::Data { path: dir.to_owned(), source: Box::new(error) })
}

fn kubeconfig(server: &Server, identity: &Identity) -> String {
    let (url, ca, token) = (&server.url, identity.ca_base64(), server.keys.admin_token());
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: ferrite\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n\
         users:\n- name: admin\n  user:\n    token: {token}\ncontexts:\n- name: ferrite\n  context:\n    cluster: ferrite\n    user: admin\n\
         current-context: ferrite\npreferences: {{}}\n"
    )
}

/// A server that serves. Dropping it stops it without waiting; prefer [`Running::shutdown`].
pub struct Running {
    server: Arc<Server>,
    addr: SocketAddr,
    kubeconfig: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Running {
    /// `https://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A kubeconfig (YAML) of a cluster administrator, with the server's CA. It holds a token: keep it private.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.clone()
    }

    /// Writes the kubeconfig, readable by the owner only; a reader never sees half of it.
    ///
    /// # Errors
    ///
    /// When the file cannot be written beside its final place or moved there.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), Error> {
        crate::tls::write_private(path, self.kubeconfig.as_bytes())
            .map_err(|source| Error::Kubeconfig { path: path.to_owned(), source })
    }

    /// Switches that make the server misbehave, for tests of clients.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// The version of the last write.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.server.store.version()
    }

    /// Stops serving; afterwards everything that was acknowledged is on disk.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the API server panicked");
            }
        }
        let store = self.server.store.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!(%error, "the log was not closed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
