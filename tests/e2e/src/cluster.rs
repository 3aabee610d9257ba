//! The one cluster that all tests of a run share: the embedded API server, or the one of `$KUBECONFIG`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use ferrite_apiserver::{ApiServer, Running};
use ferrite_runtime::{CancellationToken, Runtime};
use ferrite_testkit::{GitServer, S3Server};
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DynamicObject;
use kube::discovery::{ApiCapabilities, ApiResource, Discovery};
use kube::{Client, Config};
use parking_lot::Mutex;

use crate::kubelet;

/// A cluster with our CRDs, our controllers running against it in this process, and a Git server.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// What every test runs on; the controllers run here too.
    pub(crate) runtime: tokio::runtime::Runtime,
    /// Makes the namespaces of two runs on one cluster differ.
    pub(crate) run_id: String,
    pub(crate) git: GitServer,
    pub(crate) s3: S3Server,
    /// Where webhooks are taken.
    pub(crate) webhooks: SocketAddr,
    resources: Mutex<HashMap<String, (ApiResource, ApiCapabilities)>>,
    _embedded: Option<Running>,
    _storage: tempfile::TempDir,
}

/// The shared cluster, started by whoever asks first.
///
/// # Panics
///
/// When it cannot be started: without it no test can say anything.
pub(crate) fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start().unwrap_or_else(|error| panic!("cannot start the test cluster: {error:#}")))
}

fn start() -> Result<Cluster> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (client, embedded) = runtime.block_on(connect())?;
    let storage = tempfile::tempdir()?;
    let git = runtime.block_on(GitServer::start())?;
    let s3 = runtime.block_on(S3Server::start())?;
    s3.allow("e2e", "canary-s3");
    let webhooks = runtime.block_on(start_controllers(&client, storage.path(), embedded.is_none()))?;
    let nanos = jiff::Timestamp::now().as_nanosecond();
    Ok(Cluster {
        client,
        runtime,
        run_id: format!("{:x}", nanos & 0xff_ffff),
        git,
        s3,
        webhooks,
        resources: Mutex::default(),
        _embedded: embedded,
        _storage: storage,
    })
}

/// The embedded server, or with `FERRITE_E2E_CLUSTER` the cluster of the current context, if it was confirmed.
#[expect(clippy::disallowed_methods, reason = "the environment chooses the cluster of a test run")]
async fn connect() -> Result<(Client, Option<Running>)> {
    if std::env::var("FERRITE_E2E_CLUSTER").is_err() {
        let server =
            ApiServer::builder().crds(ferrite_api::crds::ALL.iter().copied()).workloads(true).start().await?;
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig())?;
        return Ok((client(kubeconfig).await?, Some(server)));
    }
    let kubeconfig = Kubeconfig::read().context("FERRITE_E2E_CLUSTER is set, so a kubeconfig is needed")?;
    let context = kubeconfig.current_context.clone().unwrap_or_default();
    eprintln!("end-to-end tests run on the cluster of context `{context}`");
    if std::env::var("FERRITE_E2E_ALLOW").ok().as_deref() != Some(context.as_str()) {
        bail!(
            "refusing to touch the cluster of context `{context}`; confirm with FERRITE_E2E_ALLOW={context}"
        );
    }
    let client = client(kubeconfig).await?;
    install_crds(&client).await?;
    Ok((client, None))
}

async fn client(kubeconfig: Kubeconfig) -> Result<Client> {
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn install_crds(client: &Client) -> Result<()> {
    let gvk = kube::core::GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk));
    let mut names = Vec::new();
    for text in ferrite_api::crds::ALL {
        let crd = ferrite_api::crds::parse(text)?;
        let name = crd["metadata"]["name"].as_str().context("a CRD has a name")?.to_owned();
        api.patch(&name, &PatchParams::apply("ferrite-e2e").force(), &Patch::Apply(&crd)).await?;
        names.push(name);
    }
    for name in names {
        let crds: Api<
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        > = Api::all(client.clone());
        let established = kube::runtime::conditions::is_crd_established();
        let wait = kube::runtime::wait::await_condition(crds, &name, established);
        tokio::time::timeout(std::time::Duration::from_secs(60), wait)
            .await
            .context("a CRD was never established")??;
    }
    Ok(())
}

/// Runs every controller in this process; on a cluster without nodes also what a kubelet would do. Returns where
/// webhooks are taken.
async fn start_controllers(
    client: &Client,
    storage: &std::path::Path,
    real_cluster: bool,
) -> Result<SocketAddr> {
    let stop = CancellationToken::new();
    let notification = ferrite_notification_controller::Config {
        events_addr: "127.0.0.1:0".to_owned(),
        receiver_addr: "127.0.0.1:0".to_owned(),
        ..ferrite_notification_controller::Config::default()
    };
    let notifier = Runtime::new("notification-controller", client.clone(), stop.clone());
    let listening = ferrite_notification_controller::serve(&notifier, &notification).await?;
    tokio::spawn(async move { ferrite_notification_controller::reconcile(&notifier, &notification).await });
    let events = format!("http://{}/", listening.events);
    let runtime = |name: &str, field_manager: &str| {
        let mut runtime = Runtime::new(name, client.clone(), stop.clone()).posting_to(&events);
        field_manager.clone_into(&mut runtime.field_manager);
        runtime
    };
    let source = ferrite_source_controller::Config {
        storage_addr: "127.0.0.1:0".to_owned(),
        ..ferrite_source_controller::Config::new(storage)
    };
    spawn(
        "source-controller",
        ferrite_source_controller::run(runtime("source-controller", "source-controller"), source),
    );
    let watched = storage.join("watcher");
    std::fs::DirBuilder::new().create(&watched)?;
    let mut watcher = ferrite_source_controller::watcher::WatcherConfig::new(watched);
    "127.0.0.1:0".clone_into(&mut watcher.storage.storage_addr);
    let watcher =
        ferrite_source_controller::watcher::run(runtime("source-watcher", "source-watcher"), watcher);
    spawn("source-watcher", watcher);
    let kustomize = ferrite_kustomize_controller::run(
        runtime("kustomize-controller", "gotk-kustomize-controller"),
        ferrite_kustomize_controller::Config {
            external_artifact: true,
            ..ferrite_kustomize_controller::Config::default()
        },
    );
    spawn("kustomize-controller", kustomize);
    let helm = ferrite_helm_controller::run(
        runtime("helm-controller", ferrite_helm_controller::STATUS_MANAGER),
        ferrite_helm_controller::Config {
            external_artifact: true,
            ..ferrite_helm_controller::Config::default()
        },
    );
    spawn("helm-controller", helm);
    if real_cluster && kubelet::is_needed(client).await? {
        tokio::spawn(kubelet::run(client.clone()));
    }
    Ok(listening.receivers)
}

fn spawn<E: std::fmt::Debug>(name: &'static str, body: impl Future<Output = Result<(), E>> + Send + 'static) {
    tokio::spawn(async move {
        // Every test would time out without it; the reason belongs beside their messages.
        if let Err(error) = body.await {
            eprintln!("the {name} ended: {error:?}");
        }
    });
}

impl Cluster {
    /// The resource of `Kind`, or of `Kind.apiVersion` where the kind's name alone is ambiguous.
    ///
    /// # Panics
    ///
    /// When the cluster does not know the kind.
    pub(crate) async fn resource(&self, kind: &str) -> (ApiResource, ApiCapabilities) {
        if let Some(found) = self.resources.lock().get(kind) {
            return found.clone();
        }
        let discovery = Discovery::new(self.client.clone()).run().await.expect("discovery answers");
        let (name, version) =
            kind.split_once('.').map_or((kind, None), |(name, version)| (name, Some(version)));
        let mut found: Vec<_> = discovery
            .groups_alphabetical()
            .into_iter()
            .flat_map(|group| match version {
                Some(_) => group.versions().flat_map(|v| group.versioned_resources(v)).collect(),
                None => group.recommended_resources(),
            })
            .filter(|(resource, _)| {
                resource.kind == name && version.is_none_or(|v| resource.api_version == v)
            })
            .collect();
        assert!(found.len() == 1, "{kind} must name one resource of the cluster, found {found:?}");
        let found = found.remove(0);
        self.resources.lock().insert(kind.to_owned(), found.clone());
        found
    }
}
