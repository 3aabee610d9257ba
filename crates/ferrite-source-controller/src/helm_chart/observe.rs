//! Reads: the storage, the repository, its stored index.

use std::sync::Arc;

use ferrite_api::{
    Artifact, Reason,
    source::{Bucket, ChartSourceKind, GitRepository, HelmChart, HelmRepository},
};
use ferrite_artifact::{Digest, Health, Limits, unpack};
use ferrite_helm::Chart;
use ferrite_runtime::Progress;
use ferrite_semver::Version;
use ferrite_tree::MemoryTree;
use kube::{Api, ResourceExt as _, core::NamespaceResourceScope};
use reqwest::Url;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Error, package};
use crate::{
    context::{Context, api_message},
    download::Access,
    helm_index::Index,
    helm_repository,
    oci::Registry,
    storage,
};

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// What became of the artifact that the status names; `None` when it names none.
    pub(crate) stored: Option<Health>,
    /// The beginning of artifact addresses.
    pub(crate) url_of: String,
    /// The version that is meant now.
    pub(crate) found: Result<Found, Error>,
}

/// A version of a chart, and where it is.
#[derive(Debug, Clone)]
pub struct Found {
    /// The chart's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Where its files are.
    pub(crate) place: Place,
    /// The revision of the source's artifact; of a registry the version again.
    pub(crate) source_revision: String,
}

/// Where a chart's files are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An archive over HTTP, and what the repository's Secrets give for it.
    Address(Url, Arc<Access>),
    /// A layer in a registry.
    Registry(Arc<Registry>, Digest),
    /// In memory, out of a source's artifact, with the files beside it.
    Source(Arc<Loaded>),
}

/// A chart out of a source's artifact.
pub(crate) struct Loaded {
    pub(crate) chart: Chart,
    pub(crate) tree: MemoryTree,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loaded({} {})", self.chart.name(), self.chart.metadata.version)
    }
}

pub(super) async fn observe(
    context: &Context,
    chart: &HelmChart,
    step: &Progress,
) -> Result<Observed, Error> {
    let stored = storage::look(context, chart, artifact_of(chart), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    let found = match find(context, chart, step).await {
        Err(Error::Interrupted(interrupted)) => return Err(interrupted.into()),
        found => found.and_then(|found| supported(chart, &found.place).map(|()| found)),
    };
    Ok(Observed { stored, url_of: context.url(""), found })
}

pub(super) fn artifact_of(chart: &HelmChart) -> Option<&Artifact> {
    chart.status.as_ref()?.artifact.as_ref()
}

async fn find(context: &Context, chart: &HelmChart, step: &Progress) -> Result<Found, Error> {
    match chart.spec.source_ref.kind {
        ChartSourceKind::GitRepository => {
            let repository: GitRepository = source(context, chart).await?;
            let artifact = repository.status.as_ref().and_then(|status| status.artifact.clone());
            in_files(context, chart, repository, artifact).await
        }
        ChartSourceKind::Bucket => {
            let bucket: Bucket = source(context, chart).await?;
            let artifact = bucket.status.as_ref().and_then(|status| status.artifact.clone());
            in_files(context, chart, bucket, artifact).await
        }
        ChartSourceKind::HelmRepository => {
            let name = &chart.spec.chart;
            if !is_name(name) {
                return Err(Error::Name { name: name.chars().take(256).collect() });
            }
            let repository: HelmRepository = source(context, chart).await?;
            if helm_repository::is_oci(&repository) {
                // A registry that does not answer must not keep a worker from the others.
                step.wait(in_registry(context, chart, &repository)).await?
            } else {
                in_index(context, chart, repository).await
            }
        }
    }
}

/// The source that the chart names.
async fn source<K>(context: &Context, chart: &HelmChart) -> Result<K, Error>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = context.api(&chart.namespace().unwrap_or_default());
    let found = api.get(&chart.spec.source_ref.name).await;
    found.map_err(|error| Error::Source { problem: api_message(&error) })
}

async fn in_index(context: &Context, chart: &HelmChart, repository: HelmRepository) -> Result<Found, Error> {
    let spec = &chart.spec;
    let artifact = repository.status.as_ref().and_then(|status| status.artifact.clone());
    let artifact = stored_artifact(context, &repository, artifact).await?;
    let base = helm_repository::base_url(&repository).map_err(Error::Access)?;
    let access = helm_repository::access(context, &repository, &base).await.map_err(Error::Access)?;
    let (name, wanted) = (spec.chart.clone(), spec.version().to_owned());
    let index = stored_index(context, &repository, &artifact).await?;
    let one = index.get(&name, &wanted).map_err(Error::Reference)?.clone();
    let url = resolve(&base, one.urls.first().map_or("", String::as_str))?;
    Ok(Found {
        name: one.name,
        version: one.version,
        place: Place::Address(url, Arc::new(access)),
        source_revision: artifact.revision,
    })
}

/// The index that a repository's artifact holds.
pub(super) async fn stored_index(
    context: &Context,
    repository: &HelmRepository,
    artifact: &Artifact,
) -> Result<Arc<Index>, Error> {
    if let Some(index) = context.index_cache.get(&artifact.digest, Instant::now()) {
        return Ok(index);
    }
    let path = artifact.path.clone();
    let size = artifact.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(1);
    let gone = missing(repository);
    let index = context.blocking(move |store| {
        let file = store.open(&path).map_err(|error| Error::Stat(Arc::new(error)))?;
        Index::read(file.ok_or(gone)?, size).map_err(Error::Index)
    });
    let index = Arc::new(index.await?);
    context.index_cache.put(&artifact.digest, Arc::clone(&index), Instant::now());
    Ok(index)
}

/// A chart of a registry: `<url>/<chart>`, whose tags are its versions.
async fn in_registry(
    context: &Context,
    chart: &HelmChart,
    repository: &HelmRepository,
) -> Result<Found, Error> {
    let (registry, version, digest) =
        registry_version(context, repository, &chart.spec.chart, chart.spec.version()).await?;
    let name = chart.spec.chart.rsplit('/').next().unwrap_or_default().to_owned();
    let source_revision = version.clone();
    Ok(Found { name, version, place: Place::Registry(Arc::new(registry), digest), source_revision })
}

/// The version of a chart that `wanted` means in a registry.
pub(super) async fn registry_version(
    context: &Context,
    repository: &HelmRepository,
    chart: &str,
    wanted: &str,
) -> Result<(Registry, String, Digest), Error> {
    let registry = helm_repository::registry(context, repository, chart).await.map_err(Error::Access)?;
    let exact = Version::parse_full(wanted).is_ok();
    let version = if exact {
        wanted.to_owned()
    } else {
        let tags = registry.tags().await.map_err(Error::Registry)?;
        let index = Index::of_versions(chart, tags.iter().map(|tag| tag.replace('_', "+")));
        index.get(chart, wanted).map_err(Error::Reference)?.version.clone()
    };
    let digest = registry.digest(&version.replace('+', "_")).await.map_err(Error::Registry)?;
    Ok((registry, version, digest))
}

/// A chart in the files of a GitRepository or a Bucket.
async fn in_files<K>(
    context: &Context,
    chart: &HelmChart,
    source: K,
    artifact: Option<Artifact>,
) -> Result<Found, Error>
where
    K: kube::Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let artifact = stored_artifact(context, &source, artifact).await?;
    let (path, place) = (chart.spec.chart.clone(), artifact.path.clone());
    let loaded = context.blocking(move |store| {
        let file = store.open(&place).map_err(|error| Error::Stat(Arc::new(error)))?;
        let file = file.ok_or_else(|| missing(&source))?;
        let tree = unpack(file, &Limits::default()).map_err(Error::SourceFiles)?;
        let chart = package::load(&tree, &path)?;
        Ok::<_, Error>(Loaded { chart, tree })
    });
    let loaded = loaded.await?;
    Ok(Found {
        name: loaded.chart.metadata.name.clone(),
        version: loaded.chart.metadata.version.clone(),
        place: Place::Source(Arc::new(loaded)),
        source_revision: artifact.revision,
    })
}

/// Only what is in a registry can have signatures.
fn supported(chart: &HelmChart, place: &Place) -> Result<(), Error> {
    if chart.spec.verify.is_some() && !matches!(place, Place::Registry(..)) {
        let help = "only charts of HelmRepositories of type 'oci' have signatures; remove spec.verify to fetch without one";
        return Err(Error::Unsupported {
            field: "spec.verify",
            help,
            reason: Reason::ChartVerificationError,
        });
    }
    Ok(())
}

/// Flux: `^([-a-z0-9]+/?\.?)+$`.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let mut before = None;
    for byte in name.bytes() {
        let fits = match byte {
            b'/' => before.is_some_and(letter),
            b'.' => before.is_some_and(|before| letter(before) || before == b'/'),
            other => letter(other),
        };
        if !fits {
            return false;
        }
        before = Some(byte);
    }
    before.is_some()
}

/// The source's artifact, when it is in the storage.
pub(super) async fn stored_artifact<K: kube::Resource<DynamicType = ()>>(
    context: &Context,
    source: &K,
    artifact: Option<Artifact>,
) -> Result<Artifact, Error> {
    let artifact =
        artifact.filter(|artifact| storage::is_own(artifact, source)).ok_or_else(|| missing(source))?;
    match context.check(&artifact).await.map_err(|error| Error::Stat(Arc::new(error)))? {
        Health::Good => Ok(artifact),
        Health::Missing | Health::Corrupt => Err(missing(source)),
    }
}

fn missing<K: kube::Resource<DynamicType = ()>>(source: &K) -> Error {
    Error::NoSourceArtifact { kind: K::kind(&()).into_owned(), name: source.name_any() }
}

/// The address of an archive, relative to that of the repository, whose query it takes over.
pub(super) fn resolve(base: &Url, address: &str) -> Result<Url, Error> {
    let wrong = |problem: String| Error::Address { problem };
    if address.is_empty() {
        return Err(wrong("the index gives no address for it".to_owned()));
    }
    if let Ok(absolute) = Url::parse(address) {
        return match absolute.scheme() {
            "http" | "https" => Ok(absolute),
            other => {
                Err(wrong(format!("the index gives an address of scheme '{other}', expected http or https")))
            }
        };
    }
    let mut url = base.join(address).map_err(|error| wrong(format!("'{address}' in the index: {error}")))?;
    if url.query().is_none() {
        url.set_query(base.query());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, address: &str, expect: &str) {
        let base = Url::parse(base).unwrap();
        assert_eq!(
            resolve(&base, address).map_or_else(|error| error.to_string(), |url| url.to_string()),
            expect
        );
    }

    #[test]
    fn addresses_are_relative_to_the_repository() {
        check("https://host/stable/", "app-1.tgz", "https://host/stable/app-1.tgz");
        check("https://host/stable/?t=1", "charts/app-1.tgz", "https://host/stable/charts/app-1.tgz?t=1");
        check("https://host/stable/", "https://cdn/app-1.tgz", "https://cdn/app-1.tgz");
        let refused = "chart pull error: failed to download chart for remote reference: ";
        check("https://host/", "", &format!("{refused}the index gives no address for it"));
        let scheme = "the index gives an address of scheme 'file', expected http or https";
        check("https://host/", "file:///etc/passwd", &format!("{refused}{scheme}"));
    }

    #[test]
    fn names_of_charts_are_those_flux_takes() {
        for name in ["app", "my-app", "org/app", "a.b", "a/.b", "0"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "App", "../x", "a//b", "a..b", "/a", "a b", "a_b", "oci://x"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
