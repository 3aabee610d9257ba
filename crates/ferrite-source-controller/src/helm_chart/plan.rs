//! Decides: keep the chart, pull another version, or tell what is wrong.

use std::sync::Arc;

use ferrite_api::{Artifact, source::HelmChart};
use ferrite_artifact::{Health, ObjectDirectory};

use super::{
    Error, Observed,
    observe::{Found, artifact_of},
};
use crate::storage::{self, Before};

/// The link to the newest chart; Flux calls it so although it is a `.tgz`.
pub(super) const ALIAS: &str = "latest.tar.gz";

/// What one reconcile of a HelmChart will do.
#[derive(Debug)]
pub struct Plan {
    /// What is done about the storage first.
    pub before: Before,
    /// What comes after that.
    pub next: Next,
}

/// The heart of a [`Plan`].
#[derive(Debug)]
pub enum Next {
    /// The artifact is the version that is meant.
    Keep {
        /// The artifact at the address where it is served now.
        artifact: Artifact,
        /// The address that does not change with the version.
        url: String,
        /// The version and where it was found.
        found: Found,
    },
    /// Download and store it.
    Pull {
        /// The version and where it is.
        found: Found,
        /// Where it goes.
        directory: ObjectDirectory,
        /// The name of the file.
        file: String,
    },
    /// Nothing can be done.
    Fail(Error),
}

pub(super) fn plan(chart: &HelmChart, observed: &Observed) -> Plan {
    let directory = storage::directory(chart);
    let artifact = artifact_of(chart);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.found, directory) {
        (Err(error), _) => Next::Fail(error.clone()),
        (Ok(_), Err(error)) => Next::Fail(Error::Store(Arc::new(error))),
        (Ok(found), Ok(directory)) => {
            let stored = artifact.filter(|_| observed.stored == Some(Health::Good));
            match stored.filter(|stored| is_current(chart, stored, found)) {
                Some(stored) => Next::Keep {
                    artifact: Artifact {
                        url: format!("{}{}", observed.url_of, stored.path),
                        ..stored.clone()
                    },
                    url: format!("{}{directory}/{ALIAS}", observed.url_of),
                    found: found.clone(),
                },
                None => {
                    let file = format!("{}-{}.tgz", found.name, found.version);
                    Next::Pull { found: found.clone(), directory, file }
                }
            }
        }
    };
    Plan { before, next }
}

/// Whether the artifact is of the chart and version, and of this generation of the spec.
fn is_current(chart: &HelmChart, stored: &Artifact, found: &Found) -> bool {
    let status = chart.status.as_ref();
    stored.revision == found.version
        && status.and_then(|status| status.observed_chart_name.as_ref()) == Some(&found.name)
        && status.and_then(|status| status.observed_generation) == chart.metadata.generation
}
