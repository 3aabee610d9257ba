//! notification-controller: tells chats, pagers and Git hosts what happened, and lets webhooks ask for a reconcile.
//!
//! ```text
//! controllers ──POST event──▶ events ─▶ limiter ─▶ dispatch (Alert, Provider, Secret) ─▶ sender ──▶ Slack, Teams, …
//! Git hosts, registries ──webhook──▶ receiver server ─▶ validation ─▶ annotate GitRepository, …
//! Receiver objects ─▶ reconcile: path from token, conditions
//! ```
//!
//! Use [`run`] to serve both endpoints and reconcile Receivers in a process of your own; the program
//! `notification-controller` does just that with Flux's flags, both servers up on every replica.
//!
//! **Invariants.** An event is answered before anything is sent. Events about one object reach a provider in order.
//! No address, token or password reaches a log, an event or an answer. Alerts and Providers get no status.

pub mod args;
pub mod credentials;
mod dispatch;
pub mod event;
mod events;
mod figures;
mod git_host;
pub mod limiter;
pub mod matching;
mod nats;
pub mod providers;
pub mod receiver;
mod recovery;
pub mod sender;
mod server;
mod smtp;
mod template;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrite_api::notification::{Alert, Provider, Receiver};
use ferrite_cloud::{CacheLimits, Environment};
use ferrite_runtime::{Change, Controller, Handle, ObjectKey, Runtime, Store, Trigger, Watchable, follow};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};

pub use dispatch::Dispatcher;
pub use receiver::webhook_path;

/// The finalizer that Flux puts on Receivers and Providers.
const FINALIZER: &str = "finalizers.fluxcd.io";

/// Settings of a notification-controller; the default has Flux's.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where controllers post events, in Go's notation.
    pub events_addr: String,
    /// Where webhooks are posted.
    pub receiver_addr: String,
    /// Receivers worked on at once.
    pub concurrent: usize,
    /// A repeated event is dropped within this time.
    pub rate_limit_interval: Duration,
    /// Request figures are labelled with the whole path.
    pub path_metrics: bool,
    /// Alerts and Receivers may only name objects of their own namespace.
    pub no_cross_namespace_refs: bool,
    /// Providers may name a ServiceAccount to act as in a cloud (`ObjectLevelWorkloadIdentity`).
    pub object_identity: bool,
    /// The ServiceAccount of Providers that name none.
    pub default_service_account: Option<String>,
    /// How many tokens of clouds are kept, and how long.
    pub token_cache: CacheLimits,
    /// The environment of the process, for the identity of the controller in a cloud.
    pub environment: Environment,
    /// Label selector of the Secrets whose changes reconcile their Receivers; `None` watches none.
    pub watch_configs: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            events_addr: ":9090".to_owned(),
            receiver_addr: ":9292".to_owned(),
            concurrent: 4,
            rate_limit_interval: Duration::from_mins(5),
            path_metrics: false,
            no_cross_namespace_refs: false,
            object_identity: false,
            default_service_account: None,
            token_cache: CacheLimits::default(),
            environment: Environment::default(),
            watch_configs: Some("reconcile.fluxcd.io/watch=Enabled".to_owned()),
        }
    }
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken or none.
    #[error("cannot serve")]
    Listen(#[from] std::io::Error),
    /// The TLS settings of this machine cannot be used.
    #[error("cannot make an HTTP client")]
    Http(#[from] reqwest::Error),
}

/// Where the two servers listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The event endpoint.
    pub events: SocketAddr,
    /// The webhook endpoint.
    pub receivers: SocketAddr,
}

/// Starts both servers and the watches they answer from; they end with the runtime's shutdown.
///
/// # Errors
///
/// [`Error`] when an address cannot be bound.
pub async fn serve(runtime: &Runtime, config: &Config) -> Result<Listening, Error> {
    let events = ferrite_runtime::serve::listen(&config.events_addr).await?;
    let receivers = ferrite_runtime::serve::listen(&config.receiver_addr).await?;
    let watched = (watch::<Alert>(runtime), watch::<Provider>(runtime), watch::<Receiver>(runtime));
    let dispatcher = Dispatcher::new(runtime, watched.0, watched.1, config);
    let event_server = events::EventServer {
        dispatcher,
        limiter: Arc::new(limiter::Limiter::new(config.rate_limit_interval)),
        clock: runtime.clock.clone(),
    };
    let receiver_server = receiver::server::ReceiverServer {
        runtime: runtime.clone(),
        receivers: watched.2,
        issuers: Arc::new(receiver::oidc::Issuers::new()?),
        no_cross_namespace_refs: config.no_cross_namespace_refs,
    };
    let figures = |names| figures::Figures::new(&runtime.metrics, names, config.path_metrics);
    let stop = || runtime.shutdown.clone();
    Ok(Listening {
        events: server::serve(events, event_server, figures(&figures::EVENTS), stop())?,
        receivers: server::serve(receivers, receiver_server, figures(&figures::RECEIVERS), stop())?,
    })
}

/// Reconciles Receivers until the runtime's shutdown; the leader's part.
pub async fn reconcile(runtime: &Runtime, config: &Config) {
    release::<Alert>(runtime);
    release::<Provider>(runtime);
    let handle = Handle::new(runtime);
    let receivers = receiver::reconcile::Receivers { runtime: runtime.clone() };
    let mut controller = Controller::new(runtime, handle, receivers).concurrent(config.concurrent);
    if let Some(selector) = &config.watch_configs {
        let secrets: Api<PartialObjectMeta<Secret>> = match &runtime.scope.namespace {
            Some(namespace) => Api::namespaced(runtime.client.clone(), namespace),
            None => Api::all(runtime.client.clone()),
        };
        // The store of Secrets' metadata is of no further use.
        let _metadata = controller.watch(secrets, watcher::Config::default().labels(selector), referring);
    }
    controller.run().await;
}

/// Both: serves and reconciles until the runtime's shutdown.
///
/// # Errors
///
/// [`Error`] when an address cannot be bound.
pub async fn run(runtime: Runtime, config: Config) -> Result<(), Error> {
    let listening = serve(&runtime, &config).await?;
    tracing::info!(events = %listening.events, receivers = %listening.receivers, "serving");
    reconcile(&runtime, &config).await;
    Ok(())
}

/// The Receivers whose token is in a Secret that changed.
fn referring(change: &Change<PartialObjectMeta<Secret>>, receivers: &Store<Receiver>) -> Vec<Trigger> {
    let secret = ObjectKey::of(change.object().as_ref());
    let named = |receiver: &Arc<Receiver>| {
        let reference = receiver.spec.secret_ref.as_ref();
        let key = ObjectKey::new(
            receiver.namespace().unwrap_or_default(),
            reference.map_or("", |r| r.name.as_str()),
        );
        key == secret
    };
    receivers
        .list()
        .iter()
        .filter(|receiver| named(receiver))
        .map(|r| Trigger::Add(ObjectKey::of(r.as_ref())))
        .collect()
}

/// Keeps a store of one kind up to date.
fn watch<K>(runtime: &Runtime) -> Store<K>
where
    K: Watchable + Resource<Scope = NamespaceResourceScope>,
{
    let store = Store::default();
    let stop = runtime.shutdown.clone();
    tokio::spawn(follow(runtime.api::<K>(), watcher::Config::default(), store.clone(), stop, |_| {}));
    store
}

/// Takes the finalizer off objects that are being deleted: Flux's controller put it there, and there is nothing to
/// clean up.
fn release<K>(runtime: &Runtime)
where
    K: Watchable + Resource<Scope = NamespaceResourceScope> + serde::Serialize,
{
    let (client, stop) = (runtime.client.clone(), runtime.shutdown.clone());
    let on_change = move |change: &Change<K>| {
        let object = change.object();
        if object.meta().deletion_timestamp.is_none()
            || !object.finalizers().iter().any(|name| name == FINALIZER)
        {
            return;
        }
        let left: Vec<&String> = object.finalizers().iter().filter(|name| *name != FINALIZER).collect();
        let patch = serde_json::json!({
            "metadata": {"finalizers": left, "resourceVersion": object.resource_version()},
        });
        let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
        let name = object.name_any();
        tokio::spawn(async move {
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
                Err(error) => {
                    tracing::error!(name, error = %ferrite_runtime::chain(&error), "cannot remove the finalizer")
                }
            }
        });
    };
    tokio::spawn(follow(runtime.api::<K>(), watcher::Config::default(), Store::default(), stop, on_change));
}
