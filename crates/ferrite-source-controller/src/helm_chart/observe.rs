//! Reads: the storage, the repository, its stored index.

use std::sync::Arc;

use ferrite_api::{
    Artifact, Reason,
    source::{ChartSourceKind, HelmChart, HelmRepository},
};
use ferrite_artifact::Health;
use ferrite_runtime::Progress;
use kube::{Api, ResourceExt as _};
use reqwest::Url;

use super::Error;
use crate::{
    context::{Context, api_message},
    download::Access,
    helm_index::Index,
    helm_repository, storage,
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
    /// The address of its archive.
    pub(crate) url: Url,
    /// What the repository's Secrets give.
    pub(crate) access: Arc<Access>,
    /// The revision of the index.
    pub(crate) source_revision: String,
}

pub(super) async fn observe(
    context: &Context,
    chart: &HelmChart,
    step: &Progress,
) -> Result<Observed, Error> {
    let stored = storage::look(context, chart, artifact_of(chart), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    let found = match find(context, chart).await {
        Err(Error::Interrupted(interrupted)) => return Err(interrupted.into()),
        found => found,
    };
    Ok(Observed { stored, url_of: context.url(""), found })
}

pub(super) fn artifact_of(chart: &HelmChart) -> Option<&Artifact> {
    chart.status.as_ref()?.artifact.as_ref()
}

async fn find(context: &Context, chart: &HelmChart) -> Result<Found, Error> {
    supported(chart)?;
    let spec = &chart.spec;
    if !is_name(&spec.chart) {
        return Err(Error::Name { name: spec.chart.chars().take(256).collect() });
    }
    let api: Api<HelmRepository> = context.api(&chart.namespace().unwrap_or_default());
    let repository = api
        .get(&spec.source_ref.name)
        .await
        .map_err(|error| Error::Source { problem: api_message(&error) })?;
    if helm_repository::is_oci(&repository) {
        return Err(Error::Unsupported {
            field: "a HelmRepository of type 'oci'",
            help: "use an OCIRepository, or a repository with an index",
            reason: Reason::UnsupportedSourceKind,
        });
    }
    let artifact = stored_index(context, &repository).await?;
    let base = helm_repository::base_url(&repository).map_err(Error::Access)?;
    let access = helm_repository::access(context, &repository, &base).await.map_err(Error::Access)?;
    let (name, wanted) = (spec.chart.clone(), spec.version().to_owned());
    let path = artifact.path.clone();
    let size = artifact.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(1);
    let one = context.blocking(move |store| {
        let file = store.open(&path).map_err(|error| Error::Stat(Arc::new(error)))?;
        let file = file.ok_or_else(|| missing(&repository))?;
        let index = Index::read(file, size).map_err(Error::Index)?;
        index.get(&name, &wanted).cloned().map_err(Error::Reference)
    });
    let one = one.await?;
    let url = resolve(&base, one.urls.first().map_or("", String::as_str))?;
    Ok(Found {
        name: one.name,
        version: one.version,
        url,
        access: Arc::new(access),
        source_revision: artifact.revision,
    })
}

/// What this controller cannot do is told, never left out.
fn supported(chart: &HelmChart) -> Result<(), Error> {
    let refuse = |field, help, reason| Err(Error::Unsupported { field, help, reason });
    let spec = &chart.spec;
    let kind = Reason::UnsupportedSourceKind;
    match spec.source_ref.kind {
        ChartSourceKind::HelmRepository => {}
        ChartSourceKind::GitRepository => {
            return refuse("a chart in a GitRepository", "publish it to a Helm repository", kind);
        }
        ChartSourceKind::Bucket => {
            return refuse("a chart in a Bucket", "publish it to a Helm repository", kind);
        }
    }
    if spec.verify.is_some() {
        let help = "nothing is fetched unverified; remove spec.verify to fetch without it";
        return refuse("spec.verify", help, Reason::ChartVerificationError);
    }
    if !matches!(spec.values_files().as_slice(), [] | ["values.yaml"]) {
        return refuse(
            "spec.valuesFiles",
            "give the values to the release instead",
            Reason::ValuesFilesError,
        );
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

/// The repository's artifact, when it is in the storage.
async fn stored_index(context: &Context, repository: &HelmRepository) -> Result<Artifact, Error> {
    let artifact = repository.status.as_ref().and_then(|status| status.artifact.clone());
    let artifact = artifact.filter(|artifact| storage::is_own(artifact, repository));
    let artifact = artifact.ok_or_else(|| missing(repository))?;
    match context.check(&artifact).await.map_err(|error| Error::Stat(Arc::new(error)))? {
        Health::Good => Ok(artifact),
        Health::Missing | Health::Corrupt => Err(missing(repository)),
    }
}

fn missing(repository: &HelmRepository) -> Error {
    Error::NoSourceArtifact { kind: "HelmRepository", name: repository.name_any() }
}

/// The address of an archive, relative to that of the repository, whose query it takes over.
fn resolve(base: &Url, address: &str) -> Result<Url, Error> {
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
