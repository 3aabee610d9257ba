//! Decides: keep the chart, pull another version, or tell what is wrong.

use std::sync::Arc;

use ferrite_api::{
    Artifact,
    source::{HelmChart, ReconcileStrategy},
};
use ferrite_artifact::{Health, ObjectDirectory};
use ferrite_semver::Version;

use super::{
    Error, Observed,
    observe::{Found, Place, artifact_of},
};
use ferrite_runtime::ObjectKey;

use crate::{
    oci::Wanted,
    storage::{self, Before},
};

/// The link to the newest chart; Flux calls it so although it is a `.tgz`.
pub(super) const ALIAS: &str = "latest.tar.gz";

/// What one reconcile of a HelmChart will do.
#[derive(Debug)]
pub struct Plan {
    /// What is done about the storage first.
    pub before: Before,
    /// How the chart is verified before that.
    pub(crate) verify: Option<Wanted>,
    /// What comes after that.
    pub next: Next,
}

/// The heart of a [`Plan`].
#[derive(Debug)]
pub enum Next {
    /// The artifact is the version that is meant.
    Keep {
        /// The artifact at the address where it is served now.
        artifact: Box<Artifact>,
        /// The address that does not change with the version.
        url: String,
        /// The version and where it was found.
        found: Found,
        /// Values files as found for the artifact.
        values_files: Vec<String>,
    },
    /// Download or package it, and store it.
    Build(Box<Build>),
    /// Nothing can be done.
    Fail(Error),
}

/// How an artifact is made.
#[derive(Debug)]
pub struct Build {
    /// The chart and where it is.
    pub(crate) found: Found,
    /// The version the archive gets: the chart's own, perhaps with metadata.
    pub(crate) version: String,
    /// Files that are merged into the chart's values, in order; empty for the chart's own values.
    pub(crate) values_files: Vec<String>,
    /// Whether a values file may be missing.
    pub(crate) ignore_missing: bool,
    /// Where HelmRepositories of dependencies are looked for.
    pub(crate) namespace: String,
    /// Where it goes.
    pub(crate) directory: ObjectDirectory,
    /// The name of the file.
    pub(crate) file: String,
}

pub(super) fn plan(chart: &HelmChart, observed: &Observed) -> Plan {
    let directory = storage::directory(chart);
    let artifact = artifact_of(chart);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.found, directory) {
        (Err(error), _) => Next::Fail(error.clone()),
        (Ok(_), Err(error)) => Next::Fail(Error::Store(Arc::new(error))),
        (Ok(found), Ok(directory)) => decide(chart, observed, found, directory),
    };
    Plan { before, verify: verify(chart), next }
}

/// Charts are verified in every reconcile: a key that is no longer trusted shows at once.
fn verify(chart: &HelmChart) -> Option<Wanted> {
    let spec = chart.spec.verify.as_ref()?;
    let namespace = chart.metadata.namespace.clone().unwrap_or_default();
    Some(Wanted {
        provider: spec.provider,
        secret: spec.secret_ref.as_ref().map(|reference| ObjectKey::new(namespace, &reference.name)),
        identities: spec.match_oidc_identity.clone(),
        trusted_root: None,
    })
}

fn decide(chart: &HelmChart, observed: &Observed, found: &Found, directory: ObjectDirectory) -> Next {
    let values_files = values_files(chart, found);
    let version = match version(chart, found, !values_files.is_empty()) {
        Ok(version) => version,
        Err(error) => return Next::Fail(error),
    };
    let stored = artifact_of(chart).filter(|_| observed.stored == Some(Health::Good));
    match stored.filter(|stored| is_current(chart, stored, found, &version)) {
        Some(stored) => Next::Keep {
            artifact: Box::new(Artifact {
                url: format!("{}{}", observed.url_of, stored.path),
                ..stored.clone()
            }),
            url: format!("{}{directory}/{ALIAS}", observed.url_of),
            found: found.clone(),
            values_files: chart.status.as_ref().map(|s| s.observed_values_files.clone()).unwrap_or_default(),
        },
        None => Next::Build(Box::new(Build {
            found: found.clone(),
            file: format!("{}-{version}.tgz", found.name),
            version,
            values_files,
            namespace: chart.metadata.namespace.clone().unwrap_or_default(),
            ignore_missing: chart.spec.ignore_missing_values_files,
            directory,
        })),
    }
}

/// The files to merge; the chart's own `values.yaml` alone needs no merging.
fn values_files(chart: &HelmChart, found: &Found) -> Vec<String> {
    match (chart.spec.values_files().as_slice(), &found.place) {
        (["values.yaml"], Place::Address(..) | Place::Registry(..)) => Vec::new(),
        (names, _) => names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// The chart's version with the metadata that tells what it was packaged of.
fn version(chart: &HelmChart, found: &Found, merges: bool) -> Result<String, Error> {
    let generation = chart.metadata.generation.unwrap_or_default();
    let is_source = matches!(found.place, Place::Source(_));
    let revision = (is_source && chart.spec.reconcile_strategy == ReconcileStrategy::Revision)
        .then(|| short(&found.source_revision));
    let metadata = match (revision, merges) {
        (None, false) => return Ok(found.version.clone()),
        (None, true) => generation.to_string(),
        (Some(revision), false) => revision,
        (Some(revision), true) => format!("{revision}.{generation}"),
    };
    let plain = found.version.split_once('+').map_or(found.version.as_str(), |(plain, _)| plain);
    let version = format!("{plain}+{metadata}");
    match Version::parse(&version) {
        Ok(_) => Ok(version),
        Err(error) => Err(Error::Version { version, problem: error.to_string() }),
    }
}

/// The first twelve characters of a revision's digest.
fn short(revision: &str) -> String {
    let digest = revision.rsplit_once(':').map_or(revision, |(_, digest)| digest);
    digest.chars().take(12).collect()
}

/// Whether the artifact is of the chart and version, and of this generation of the spec.
fn is_current(chart: &HelmChart, stored: &Artifact, found: &Found, version: &str) -> bool {
    let status = chart.status.as_ref();
    stored.revision == version
        && status.and_then(|status| status.observed_chart_name.as_ref()) == Some(&found.name)
        && status.and_then(|status| status.observed_generation) == chart.metadata.generation
}
