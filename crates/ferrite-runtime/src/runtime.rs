//! What every controller of a process shares.

use std::time::Duration;

use kube::{Api, Client, core::NamespaceResourceScope, runtime::watcher};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, events::Recorder, metrics::Metrics, queue::Backoff};

/// The surroundings of a controller: connections, clock, telling, and the settings all kinds share.
///
/// Cheap to clone. Several controllers of one process share one, or each takes [`Runtime::named`] of it.
#[derive(Clone)]
pub struct Runtime {
    /// The process's name on the wire (`source-controller`): reporting component of events, part of the lease name.
    pub name: String,
    /// The connection to the cluster.
    pub client: Client,
    /// The time.
    pub clock: Clock,
    /// Where events go.
    pub recorder: Recorder,
    /// Where figures go.
    pub metrics: Metrics,
    /// Cancelled when the process goes down.
    pub shutdown: CancellationToken,
    /// Which objects are this process's.
    pub scope: Scope,
    /// The field manager of status patches.
    pub field_manager: String,
    /// The delays of failing objects.
    pub backoff: Backoff,
    /// Interval requeues are moved at random by up to this share of the interval; below 100.
    pub jitter_percent: u8,
    /// How long a running step may go on after [`Runtime::shutdown`] before it is dropped.
    pub grace: Duration,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Runtime")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// The defaults of Flux around a client, with events written by `name` and posted nowhere.
    #[must_use]
    pub fn new(name: &str, client: Client, shutdown: CancellationToken) -> Self {
        let clock = Clock::system();
        let metrics = Metrics::new();
        Self {
            name: name.to_owned(),
            recorder: Recorder::start(name, client.clone(), None, clock.clone(), &metrics, shutdown.clone()),
            client,
            clock,
            metrics,
            shutdown,
            scope: Scope::default(),
            field_manager: name.to_owned(),
            backoff: Backoff::default(),
            jitter_percent: 5,
            grace: Duration::from_secs(5),
        }
    }

    /// The same, with events posted to `address` as well (`--events-addr`).
    #[must_use]
    pub fn posting_to(mut self, address: &str) -> Self {
        let (client, clock, stop) = (self.client.clone(), self.clock.clone(), self.shutdown.clone());
        self.recorder =
            Recorder::start(&self.name, client, Some(address.to_owned()), clock, &self.metrics, stop);
        self
    }

    /// An API over the primary kinds this process may see.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.scope.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// An API over one namespace.
    #[must_use]
    pub fn api_in<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The watch of primary kinds: by the shard's label selector.
    #[must_use]
    pub fn watch_config(&self) -> watcher::Config {
        match &self.scope.selector {
            Some(selector) => watcher::Config::default().labels(selector),
            None => watcher::Config::default(),
        }
    }
}

/// Which objects are a process's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this namespace; all when `None` (`--watch-all-namespaces`).
    pub namespace: Option<String>,
    /// Only objects whose labels match (`--watch-label-selector`).
    pub selector: Option<String>,
}
