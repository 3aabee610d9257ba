//! The embedded cluster of `ferrite dev`: API server, CRDs, kubeconfig, and the controllers in this process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ferrite_apiserver::{ApiServer, Running};
use ferrite_runtime::Runtime;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args;

/// The running API server and a client for it.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// Absolute path of the kubeconfig that was written.
    pub(crate) kubeconfig: PathBuf,
    server: Running,
    artifacts: Artifacts,
}

/// Where the source-controller keeps artifacts: beside the cluster's state, or as short-lived as it.
enum Artifacts {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Artifacts {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl Cluster {
    /// Stops serving; state that is kept on disk is complete afterwards.
    pub(crate) async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// Starts the API server with every CRD of the product and writes its kubeconfig.
///
/// # Errors
///
/// When the port is taken, the state directory cannot be read, or the kubeconfig cannot be written.
pub(crate) async fn start(options: &args::Dev) -> Result<Cluster> {
    let server = ApiServer::builder()
        .port(options.port)
        .data_dir(options.data_dir.clone())
        .crds(ferrite_api::crds::ALL.iter().copied())
        .workloads(true)
        .start()
        .await
        .context("cannot start the embedded API server")?;
    let text = server.kubeconfig();
    let kubeconfig = write_kubeconfig(&options.kubeconfig_out, &text)?;
    let parsed = Kubeconfig::from_yaml(&text)
        .context("the embedded API server wrote a kubeconfig that does not parse")?;
    let mut config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await?;
    // The driver decides about retries.
    config.default_retry = false;
    let artifacts = match &options.data_dir {
        Some(directory) => {
            let path = directory.join("artifacts");
            fs_err::create_dir_all(&path)?;
            Artifacts::Kept(path)
        }
        None => Artifacts::Temporary(tempfile::tempdir().context("cannot make a directory for artifacts")?),
    };
    Ok(Cluster { client: Client::try_from(config)?, kubeconfig, server, artifacts })
}

/// Writes the kubeconfig whole or not at all, readable by its owner only; returns its absolute path.
fn write_kubeconfig(path: &Path, text: &str) -> Result<PathBuf> {
    use std::io::Write as _;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs_err::create_dir_all(parent)?;
    // A temporary file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(parent)
        .with_context(|| format!("cannot write the kubeconfig into {}", parent.display()))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).with_context(|| format!("cannot write the kubeconfig {}", path.display()))?;
    Ok(fs_err::canonicalize(path)?)
}

/// Starts every controller in this process; one that ends with an error tells `failed`. Returns where webhooks are
/// taken.
///
/// # Errors
///
/// When the notification-controller cannot listen.
pub(crate) async fn start_controllers(
    cluster: &Cluster,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    failed: &tokio::sync::mpsc::Sender<anyhow::Error>,
) -> Result<SocketAddr> {
    let notification = ferrite_notification_controller::Config {
        events_addr: "127.0.0.1:0".to_owned(),
        receiver_addr: "127.0.0.1:0".to_owned(),
        ..ferrite_notification_controller::Config::default()
    };
    let notifier = Runtime::new("notification-controller", cluster.client.clone(), stop.clone());
    let listening = ferrite_notification_controller::serve(&notifier, &notification).await?;
    tasks.spawn(async move { ferrite_notification_controller::reconcile(&notifier, &notification).await });
    let events = format!("http://{}/", listening.events);
    let runtime = |name: &str, field_manager: &str| {
        let mut runtime = Runtime::new(name, cluster.client.clone(), stop.clone()).posting_to(&events);
        field_manager.clone_into(&mut runtime.field_manager);
        runtime
    };
    let source = ferrite_source_controller::Config {
        storage_addr: "127.0.0.1:0".to_owned(),
        ..ferrite_source_controller::Config::new(cluster.artifacts.path())
    };
    let source = ferrite_source_controller::run(runtime("source-controller", "source-controller"), source);
    spawn(tasks, failed, "source-controller", source);
    let kustomize = ferrite_kustomize_controller::run(
        runtime("kustomize-controller", "gotk-kustomize-controller"),
        ferrite_kustomize_controller::Config::default(),
    );
    spawn(tasks, failed, "kustomize-controller", kustomize);
    let helm = ferrite_helm_controller::run(
        runtime("helm-controller", ferrite_helm_controller::STATUS_MANAGER),
        ferrite_helm_controller::Config::default(),
    );
    spawn(tasks, failed, "helm-controller", helm);
    Ok(listening.receivers)
}

fn spawn<E: std::error::Error + Send + Sync + 'static>(
    tasks: &TaskTracker,
    failed: &tokio::sync::mpsc::Sender<anyhow::Error>,
    name: &'static str,
    controller: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    let failed = failed.clone();
    tasks.spawn(async move {
        if let Err(error) = controller.await {
            let error = anyhow::Error::from(error).context(format!("the {name} ended"));
            // A full channel holds an earlier failure, which ends the process just as well.
            let _told = failed.try_send(error).is_ok();
        }
    });
}
