//! What is applied comes from somewhere: the kinds that hold artifacts, watched, and of each only what is needed.

use std::{
    borrow::Cow,
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ferrite_api::{Artifact, helm::ChartReferenceKind, kustomize};
use ferrite_runtime::{
    CancellationToken, Change, Controller, ObjectKey, Reconcile, Runtime, Store, Trigger, chain,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{Api, Client, Resource, core::NamespaceResourceScope, runtime::watcher};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// How long until a kind that is not served is looked for again: doubling from the first to the second.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A kind that holds an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A Git repository.
    GitRepository,
    /// An artifact of a registry.
    OciRepository,
    /// An object store.
    Bucket,
    /// A chart.
    HelmChart,
    /// An artifact that another controller stored.
    ExternalArtifact,
}

impl SourceKind {
    /// The kind on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::OciRepository => "OCIRepository",
            Self::Bucket => "Bucket",
            Self::HelmChart => "HelmChart",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }
}

impl From<kustomize::SourceKind> for SourceKind {
    fn from(kind: kustomize::SourceKind) -> Self {
        match kind {
            kustomize::SourceKind::GitRepository => Self::GitRepository,
            kustomize::SourceKind::OciRepository => Self::OciRepository,
            kustomize::SourceKind::Bucket => Self::Bucket,
            kustomize::SourceKind::ExternalArtifact => Self::ExternalArtifact,
        }
    }
}

impl From<ChartReferenceKind> for SourceKind {
    fn from(kind: ChartReferenceKind) -> Self {
        match kind {
            ChartReferenceKind::HelmChart => Self::HelmChart,
            ChartReferenceKind::OciRepository => Self::OciRepository,
            ChartReferenceKind::ExternalArtifact => Self::ExternalArtifact,
        }
    }
}

/// A source's kind, namespace and name; shown as `Kind/namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceId {
    /// Its kind.
    pub kind: SourceKind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.as_str(), self.key)
    }
}

/// Names a kind at compile time, because a watch needs a type.
trait Kind: Clone + fmt::Debug + Send + Sync + 'static {
    /// What is kept of the spec.
    type Spec: Spec;
    const KIND: SourceKind;
    const PLURAL: &'static str;
}

trait Spec: Clone + fmt::Debug + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    fn into_value(self) -> Value;
}

/// A spec of which nothing is kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Unread {}

impl Spec for Unread {
    fn into_value(self) -> Value {
        Value::Null
    }
}

impl Spec for Value {
    fn into_value(self) -> Value {
        self
    }
}

macro_rules! kinds {
    ($($name:ident = $kind:ident, $plural:literal, $spec:ty;)*) => {$(
        #[derive(Debug, Clone, Copy)]
        struct $name;
        impl Kind for $name {
            type Spec = $spec;
            const KIND: SourceKind = SourceKind::$kind;
            const PLURAL: &'static str = $plural;
        }
    )*};
}
kinds! {
    Git = GitRepository, "gitrepositories", Unread;
    Oci = OciRepository, "ocirepositories", Unread;
    Bucket = Bucket, "buckets", Unread;
    Chart = HelmChart, "helmcharts", Value;
    External = ExternalArtifact, "externalartifacts", Unread;
}

/// A source of the kind `K`, reduced to what is needed of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
struct Source<K: Kind> {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: K::Spec,
    #[serde(default)]
    status: SourceStatus,
    #[serde(skip)]
    kind: PhantomData<K>,
}

/// The status of a source, as far as it matters to whoever applies its artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The generation that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What it stored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
}

impl<K: Kind> Resource for Source<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::KIND.as_str().into()
    }
    fn group((): &()) -> Cow<'_, str> {
        ferrite_api::source::GROUP.into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What is known of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSource {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec, where it is a HelmChart; else null.
    pub spec: Value,
    /// Its status.
    pub status: SourceStatus,
}

impl<K: Kind> From<Source<K>> for FoundSource {
    fn from(source: Source<K>) -> Self {
        Self { metadata: source.metadata, spec: source.spec.into_value(), status: source.status }
    }
}

/// A source whose object changed, and its status before and after.
#[derive(Debug)]
pub struct SourceNews<'a> {
    /// Which.
    pub id: SourceId,
    /// How it was, if it was known.
    pub before: Option<&'a SourceStatus>,
    /// How it is.
    pub now: &'a SourceStatus,
}

impl<'a> SourceNews<'a> {
    fn of<K: Kind>(change: &'a Change<Source<K>>) -> Option<Self> {
        let Change::Applied { old, new } = change else { return None };
        let id = SourceId { kind: K::KIND, key: ObjectKey::of(new.as_ref()) };
        Some(Self { id, before: old.as_ref().map(|old| &old.status), now: &new.status })
    }

    /// The artifact, when it is of another revision than before.
    #[must_use]
    pub fn new_artifact(&self) -> Option<&'a Artifact> {
        let artifact = self.now.artifact.as_ref()?;
        let before = self.before.and_then(|before| before.artifact.as_ref());
        (before.map(|artifact| &artifact.revision) != Some(&artifact.revision)).then_some(artifact)
    }

    /// Whether the artifact, or the generation that the status is about, is another than before.
    #[must_use]
    pub fn moved_on(&self) -> bool {
        let facts = |status: &SourceStatus| {
            let artifact = status.artifact.as_ref();
            (artifact.map(|a| (a.revision.clone(), a.digest.clone())), status.observed_generation)
        };
        self.before.map(facts) != Some(facts(self.now))
    }
}

/// The watched sources; what is not known from a watch is read when it is asked for.
pub struct Sources {
    client: Client,
    git: OnceLock<Store<Source<Git>>>,
    oci: OnceLock<Store<Source<Oci>>>,
    bucket: OnceLock<Store<Source<Bucket>>>,
    chart: OnceLock<Store<Source<Chart>>>,
    external: OnceLock<Store<Source<External>>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Says what a change of a source means for the objects that are applied from it.
type Map<K> = Arc<dyn Fn(&SourceNews<'_>, &Store<K>) -> Vec<Trigger> + Send + Sync>;

impl Sources {
    /// Sources that are not watched yet.
    #[must_use]
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            git: OnceLock::new(),
            oci: OnceLock::new(),
            bucket: OnceLock::new(),
            chart: OnceLock::new(),
            external: OnceLock::new(),
        })
    }

    /// Watches these kinds: those that the cluster serves at once, others from when it does.
    ///
    /// Waits for an API server that is away, until shutdown.
    pub async fn watch<R: Reconcile>(
        &self,
        controller: &mut Controller<R>,
        runtime: &Runtime,
        kinds: &[SourceKind],
        map: impl Fn(&SourceNews<'_>, &Store<R::Object>) -> Vec<Trigger> + Send + Sync + 'static,
    ) {
        let Some(served) = served_now(&self.client, &runtime.shutdown).await else { return };
        let map: Map<R::Object> = Arc::new(map);
        for kind in kinds {
            let late = !served.contains(kind);
            match kind {
                SourceKind::GitRepository => follow(controller, runtime, &map, late, &self.git),
                SourceKind::OciRepository => follow(controller, runtime, &map, late, &self.oci),
                SourceKind::Bucket => follow(controller, runtime, &map, late, &self.bucket),
                SourceKind::HelmChart => follow(controller, runtime, &map, late, &self.chart),
                SourceKind::ExternalArtifact => follow(controller, runtime, &map, late, &self.external),
            }
        }
    }

    /// The source as it is now; `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// The API server's answer when it is not known from a watch and cannot be read.
    pub async fn get(&self, id: &SourceId) -> Result<Option<FoundSource>, kube::Error> {
        match id.kind {
            SourceKind::GitRepository => self.find(self.git.get(), &id.key).await,
            SourceKind::OciRepository => self.find(self.oci.get(), &id.key).await,
            SourceKind::Bucket => self.find(self.bucket.get(), &id.key).await,
            SourceKind::HelmChart => self.find(self.chart.get(), &id.key).await,
            SourceKind::ExternalArtifact => self.find(self.external.get(), &id.key).await,
        }
    }

    async fn find<K: Kind>(
        &self,
        store: Option<&Store<Source<K>>>,
        key: &ObjectKey,
    ) -> Result<Option<FoundSource>, kube::Error> {
        if let Some(known) = store.and_then(|store| store.get(key)) {
            return Ok(Some(known.as_ref().clone().into()));
        }
        // One that was just made may not have been seen yet.
        let api: Api<Source<K>> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Ok(found) => Ok(found.map(FoundSource::from)),
            // The kind itself is not served.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn follow<K: Kind, R: Reconcile>(
    controller: &mut Controller<R>,
    runtime: &Runtime,
    map: &Map<R::Object>,
    late: bool,
    store: &OnceLock<Store<Source<K>>>,
) {
    let map = Arc::clone(map);
    let on_change = move |change: &Change<Source<K>>, objects: &Store<R::Object>| {
        SourceNews::of(change).map_or_else(Vec::new, |news| map(&news, objects))
    };
    let (api, config) = (runtime.api::<Source<K>>(), watcher::Config::default());
    let watched = if late {
        let served = until_served(runtime.client.clone(), K::KIND);
        controller.watch_once(served, api, config, on_change)
    } else {
        controller.watch(api, config, on_change)
    };
    // Each kind is watched once.
    drop(store.set(watched));
}

/// The kinds that the cluster serves; waits for an API server that is away. `None` on shutdown.
async fn served_now(client: &Client, shutdown: &CancellationToken) -> Option<Vec<SourceKind>> {
    let mut pause = Duration::from_millis(200);
    loop {
        match served(client).await {
            Ok(kinds) => return Some(kinds),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot list the kinds of sources, trying again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Returns once the cluster serves the kind: its definition may be applied at any time, and nobody says so.
async fn until_served(client: Client, kind: SourceKind) {
    let mut pause = LOOK_AGAIN.0;
    while !served(&client).await.is_ok_and(|kinds| kinds.contains(&kind)) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
    tracing::info!(kind = kind.as_str(), "the kind is served now, watching it");
}

/// The kinds of sources that the cluster serves.
async fn served(client: &Client) -> Result<Vec<SourceKind>, kube::Error> {
    let group_version = format!("{}/v1", ferrite_api::source::GROUP);
    let list = match client.list_api_group_resources(&group_version).await {
        Ok(list) => list,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let all = [
        SourceKind::GitRepository,
        SourceKind::OciRepository,
        SourceKind::Bucket,
        SourceKind::HelmChart,
        SourceKind::ExternalArtifact,
    ];
    Ok(all.into_iter().filter(|kind| list.resources.iter().any(|r| r.kind == kind.as_str())).collect())
}
