//! What a reconcile may touch.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use ferrite_api::{Artifact, Time};
use ferrite_artifact::{Digest, Health, Retention, Store, StoreError};
use ferrite_cloud::Cloud;
use ferrite_git::{Client, Head, Reference, Remote, SshAlgorithms};
use ferrite_runtime::{Clock, ObjectKey, Runtime, workload_identity::WorkloadIdentity};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, core::NamespaceResourceScope};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    Config, HelmLimits, git_repository::Tokens, helm_index_cache::IndexCache, oci_repository, polls::Polls,
};

/// How long a Git client is kept that nobody uses.
const CLIENT_KEPT_FOR: Duration = Duration::from_mins(30);

/// The surroundings that all kinds share.
pub(crate) struct Context {
    client: kube::Client,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) retention: Retention,
    pub(crate) requeue_dependency: Duration,
    pub(crate) helm: HelmLimits,
    pub(crate) ssh_algorithms: SshAlgorithms,
    /// A server that stands in for Google Cloud Storage.
    pub(crate) storage_emulator: Option<String>,
    /// `http://host[:port]`, the beginning of every artifact URL.
    advertised: String,
    clients: Mutex<HashMap<RemoteKey, (Client, Instant)>>,
    /// The tag of the index that each HelmRepository's artifact was made of.
    pub(crate) indexes: Mutex<HashMap<ObjectKey, KnownIndex>>,
    /// Tokens of GitHub Apps.
    pub(crate) github_tokens: Tokens,
    /// Indexes that were parsed already.
    pub(crate) index_cache: IndexCache,
    /// As whom clouds are asked.
    pub(crate) identity: WorkloadIdentity,
    /// What registries answered last, by everything that decides the answer.
    pub(crate) digests: Polls<RemoteKey, (Option<String>, Digest), oci_repository::Error>,
    /// What remotes answered last, by remote and reference.
    pub(crate) heads: Polls<(RemoteKey, ReferenceKey), Head, ferrite_git::Error>,
}

/// An index as a server named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownIndex {
    /// Its address.
    pub(crate) url: String,
    /// Its entity tag.
    pub(crate) etag: String,
    /// The digest of its bytes, which is the revision of the artifact.
    pub(crate) revision: String,
}

/// A remote with everything that decides what it answers, hashed: address, credentials, trust, proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RemoteKey(pub(crate) String);

/// A reference in words.
pub(crate) type ReferenceKey = String;

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("advertised", &self.advertised).finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn new(runtime: &Runtime, config: &Config, store: Arc<dyn Store>, advertised: String) -> Self {
        Self {
            client: runtime.client.clone(),
            clock: runtime.clock.clone(),
            store,
            retention: Retention { ttl: config.retention_ttl, records: config.retention_records },
            requeue_dependency: config.requeue_dependency,
            helm: config.helm,
            ssh_algorithms: config.ssh_algorithms.clone(),
            storage_emulator: config.storage_emulator.clone(),
            advertised,
            clients: Mutex::default(),
            indexes: Mutex::default(),
            github_tokens: Tokens::default(),
            index_cache: IndexCache::new(config.index_cache),
            identity: WorkloadIdentity::new(
                runtime.client.clone(),
                Cloud::new(config.cloud.environment.clone(), config.cloud.token_cache),
                config.cloud.object_level,
                config.cloud.default_service_account.clone(),
            ),
            digests: Polls::new(),
            heads: Polls::new(),
        }
    }

    /// An API over one namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A Secret as it is now; Secrets are never cached.
    pub(crate) async fn secret(&self, key: &ObjectKey) -> Result<Secret, String> {
        let api: Api<Secret> = self.api(&key.namespace);
        api.get(&key.name).await.map_err(|error| api_message(&error))
    }

    /// A client for `remote`, with the connections of the last one that was asked for with the same key.
    pub(crate) fn git_client(&self, key: &RemoteKey, remote: Remote) -> Result<Client, ferrite_git::Error> {
        let now = Instant::now();
        let mut clients = self.clients.lock();
        clients.retain(|_, (_, used)| now.duration_since(*used) < CLIENT_KEPT_FOR);
        if let Some((client, used)) = clients.get_mut(key)
            && client.remote().timeout == remote.timeout
        {
            *used = now;
            return Ok(client.clone());
        }
        let client = Client::new(remote)?;
        clients.insert(key.clone(), (client.clone(), now));
        Ok(client)
    }

    /// Whether the stored file of `artifact` is there and right.
    pub(crate) async fn check(&self, artifact: &Artifact) -> Result<Health, StoreError> {
        let (path, digest) = (artifact.path.clone(), artifact.digest.clone());
        match self.blocking(move |store| store.check(&path, &digest)).await {
            // A path that no artifact here can have.
            Err(StoreError::Name { .. }) => Ok(Health::Missing),
            other => other,
        }
    }

    /// Runs `work` on the store where it may block. A panic in it is passed on.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> T {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(store.as_ref())).await {
            Ok(value) => value,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Blocking tasks are cancelled only when the scheduler goes down, and this future with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Where the file at `path` is served.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.advertised)
    }

    /// The time now, in whole seconds as status carries it.
    pub(crate) fn now(&self) -> Time {
        let now = self.clock.now();
        Time(jiff::Timestamp::from_second(now.as_second()).unwrap_or(now))
    }
}

/// The API server's own words where it answered.
pub(crate) fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => ferrite_runtime::chain(other),
    }
}

/// `reference` in words that differ whenever the references do.
pub(crate) fn reference_key(reference: &Reference) -> ReferenceKey {
    format!("{reference:?}")
}
