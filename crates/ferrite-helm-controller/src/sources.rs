//! Where charts come from: HelmCharts, OCIRepositories and ExternalArtifacts, reduced to what is needed of them.

use std::{
    borrow::Cow,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use ferrite_api::{Artifact, helm::ChartReferenceKind};
use ferrite_runtime::{Change, ObjectKey, Store};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{Api, Client, Resource, core::NamespaceResourceScope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names a kind at compile time, because a watch needs a type.
pub(crate) trait Kind: Clone + std::fmt::Debug + Send + Sync + 'static {
    const KIND: ChartReferenceKind;
    const PLURAL: &'static str;
}

macro_rules! kinds {
    ($($name:ident = $kind:ident, $plural:literal;)*) => {$(
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;
        impl Kind for $name {
            const KIND: ChartReferenceKind = ChartReferenceKind::$kind;
            const PLURAL: &'static str = $plural;
        }
    )*};
}
kinds! {
    Chart = HelmChart, "helmcharts";
    Oci = OciRepository, "ocirepositories";
    External = ExternalArtifact, "externalartifacts";
}

/// A source of the kind `K`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Source<K> {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: SourceStatus,
    #[serde(skip)]
    kind: PhantomData<K>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact: Option<Artifact>,
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
pub(crate) struct Found {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Value,
    status: SourceStatus,
}

impl Found {
    /// The artifact to release, or why there is none to use now.
    pub(crate) fn artifact(&self, kind: ChartReferenceKind) -> Result<Artifact, String> {
        let condition = |kind: &str, status: &str| {
            self.status.conditions.iter().find(|c| c.type_ == kind && c.status == status)
        };
        if kind != ChartReferenceKind::ExternalArtifact {
            if self.metadata.generation != self.status.observed_generation {
                let told = condition("Ready", "False").map(|c| c.message.clone());
                return Err(
                    told.unwrap_or_else(|| "latest generation of object has not been reconciled".to_owned())
                );
            }
            if let Some(stalled) = condition("Stalled", "True") {
                return Err(stalled.message.clone());
            }
        }
        self.status.artifact.clone().ok_or_else(|| "does not have an artifact".to_owned())
    }
}

/// The source, when whoever waits for it should look again.
pub(crate) fn news<K: Kind>(change: &Change<Source<K>>) -> Option<SourceId> {
    let Change::Applied { old, new } = change else { return None };
    let facts = |source: &Source<K>| {
        let artifact = source.status.artifact.as_ref();
        (artifact.map(|a| (a.revision.clone(), a.digest.clone())), source.status.observed_generation)
    };
    (old.as_ref().map(|old| facts(old)) != Some(facts(new)))
        .then(|| SourceId { kind: K::KIND, key: ObjectKey::of(new.as_ref()) })
}

/// A source's kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SourceId {
    pub(crate) kind: ChartReferenceKind,
    pub(crate) key: ObjectKey,
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} '{}'", self.kind.as_str(), self.key)
    }
}

/// The watched sources. A kind that the cluster did not serve at the start is read when it is asked for.
pub(crate) struct Sources {
    client: Client,
    pub(crate) chart: OnceLock<Store<Source<Chart>>>,
    pub(crate) oci: OnceLock<Store<Source<Oci>>>,
    pub(crate) external: OnceLock<Store<Source<External>>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    pub(crate) fn new(client: Client) -> Arc<Self> {
        let (chart, oci, external) = Default::default();
        Arc::new(Self { client, chart, oci, external })
    }

    /// The source as it is now.
    pub(crate) async fn get(&self, id: &SourceId) -> Result<Option<Found>, kube::Error> {
        match id.kind {
            ChartReferenceKind::HelmChart => self.find(self.chart.get(), &id.key).await,
            ChartReferenceKind::OciRepository => self.find(self.oci.get(), &id.key).await,
            ChartReferenceKind::ExternalArtifact => self.find(self.external.get(), &id.key).await,
        }
    }

    async fn find<K: Kind>(
        &self,
        store: Option<&Store<Source<K>>>,
        key: &ObjectKey,
    ) -> Result<Option<Found>, kube::Error> {
        let found =
            |source: Source<K>| Found { metadata: source.metadata, spec: source.spec, status: source.status };
        if let Some(known) = store.and_then(|store| store.get(key)) {
            return Ok(Some(found(known.as_ref().clone())));
        }
        // One that was just made may not have been seen yet.
        let api: Api<Source<K>> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Ok(source) => Ok(source.map(found)),
            // The kind itself is not served.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The kinds of sources that the cluster serves; all of them when it cannot be asked.
pub(crate) async fn served(client: &Client) -> Vec<ChartReferenceKind> {
    let all = ChartReferenceKind::ALL.to_vec();
    let group_version = format!("{}/v1", ferrite_api::source::GROUP);
    match client.list_api_group_resources(&group_version).await {
        Ok(list) => {
            all.into_iter().filter(|kind| list.resources.iter().any(|r| r.kind == kind.as_str())).collect()
        }
        Err(_) => all,
    }
}
