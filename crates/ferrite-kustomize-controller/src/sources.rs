//! The sources of Kustomizations: of each only its name and its artifact are kept.

use std::{
    borrow::Cow,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use ferrite_api::{Artifact, kustomize::SourceKind};
use ferrite_runtime::{Change, ObjectKey, Store};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource, core::NamespaceResourceScope};
use serde::{Deserialize, Serialize};

/// Names a kind at compile time, because a watch needs a type.
pub(crate) trait Kind: Clone + std::fmt::Debug + Send + Sync + 'static {
    const KIND: SourceKind;
    const PLURAL: &'static str;
}

macro_rules! kinds {
    ($($name:ident = $kind:ident, $plural:literal;)*) => {$(
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;
        impl Kind for $name {
            const KIND: SourceKind = SourceKind::$kind;
            const PLURAL: &'static str = $plural;
        }
    )*};
}
kinds! {
    Git = GitRepository, "gitrepositories";
    Oci = OciRepository, "ocirepositories";
    Bucket = Bucket, "buckets";
    External = ExternalArtifact, "externalartifacts";
}

/// A source of the kind `K`, reduced to what is needed of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Source<K> {
    metadata: ObjectMeta,
    #[serde(default)]
    status: SourceStatus,
    #[serde(skip)]
    kind: PhantomData<K>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct SourceStatus {
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

/// A source as it is known: whether it exists, and its artifact.
pub(crate) type Found = Option<Option<Artifact>>;

/// A source and the artifact it has now, when that is another than before.
pub(crate) fn new_artifact<K: Kind>(change: &Change<Source<K>>) -> Option<(SourceId, &Artifact)> {
    let Change::Applied { old, new } = change else { return None };
    let artifact = new.status.artifact.as_ref()?;
    let before = old.as_ref().and_then(|old| old.status.artifact.as_ref());
    (before.map(|artifact| &artifact.revision) != Some(&artifact.revision))
        .then(|| (SourceId { kind: K::KIND, key: ObjectKey::of(new.as_ref()) }, artifact))
}

/// A source's kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SourceId {
    pub(crate) kind: SourceKind,
    pub(crate) key: ObjectKey,
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.kind.as_str(), self.key)
    }
}

/// The watched sources. A kind that the cluster did not serve at the start is read when it is asked for.
pub(crate) struct Sources {
    client: Client,
    pub(crate) git: OnceLock<Store<Source<Git>>>,
    pub(crate) oci: OnceLock<Store<Source<Oci>>>,
    pub(crate) bucket: OnceLock<Store<Source<Bucket>>>,
    pub(crate) external: OnceLock<Store<Source<External>>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").field("git", &self.git).finish_non_exhaustive()
    }
}

impl Sources {
    pub(crate) fn new(client: Client) -> Arc<Self> {
        let (git, oci, bucket, external) = Default::default();
        Arc::new(Self { client, git, oci, bucket, external })
    }

    /// The source as it is now.
    pub(crate) async fn get(&self, id: &SourceId) -> Result<Found, kube::Error> {
        match id.kind {
            SourceKind::GitRepository => self.find(self.git.get(), &id.key).await,
            SourceKind::OciRepository => self.find(self.oci.get(), &id.key).await,
            SourceKind::Bucket => self.find(self.bucket.get(), &id.key).await,
            SourceKind::ExternalArtifact => self.find(self.external.get(), &id.key).await,
        }
    }

    async fn find<K: Kind>(
        &self,
        store: Option<&Store<Source<K>>>,
        key: &ObjectKey,
    ) -> Result<Found, kube::Error> {
        if let Some(store) = store {
            return Ok(store.get(key).map(|source| source.status.artifact.clone()));
        }
        let api: Api<Source<K>> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Ok(found) => Ok(found.map(|source| source.status.artifact)),
            // The kind itself is not served.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The kinds of sources that the cluster serves.
pub(crate) async fn served(client: &Client) -> Result<Vec<SourceKind>, kube::Error> {
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
        SourceKind::ExternalArtifact,
    ];
    Ok(all.into_iter().filter(|kind| list.resources.iter().any(|r| r.kind == kind.as_str())).collect())
}
