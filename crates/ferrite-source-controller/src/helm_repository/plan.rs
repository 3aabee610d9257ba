//! Decides: keep the index, store the new one, or tell what is wrong.

use std::sync::Arc;

use ferrite_api::{Artifact, source::HelmRepository};
use ferrite_artifact::{Health, ObjectDirectory};

use super::{
    Error, Observed,
    observe::{Fetched, artifact_of},
};
use crate::{
    download::{DownloadError, Downloaded},
    storage::{self, Before},
};

/// What one reconcile of a HelmRepository will do.
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
    /// Type `oci`: forget what there was.
    Oci,
    /// The index is that of the artifact.
    Keep {
        /// The artifact at the address where it is served now.
        artifact: Artifact,
        /// The address that does not change with the revision.
        url: String,
    },
    /// Parse and store what was downloaded.
    Store {
        /// The bytes.
        index: Arc<Downloaded>,
        /// Where they go.
        directory: ObjectDirectory,
        /// The name of the file.
        file: String,
    },
    /// Nothing can be done.
    Fail(Error),
}

/// The link to the newest index.
pub(super) const ALIAS: &str = "index.yaml";

pub(super) fn plan(repository: &HelmRepository, observed: &Observed) -> Plan {
    let directory = storage::directory(repository);
    let artifact = artifact_of(repository);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.index, directory) {
        (None, _) => Next::Oci,
        (Some(Err(error)), _) => Next::Fail(error.clone()),
        (Some(Ok(_)), Err(error)) => Next::Fail(Error::Store(Arc::new(error))),
        (Some(Ok(fetched)), Ok(directory)) => {
            let stored = artifact.filter(|_| observed.stored == Some(Health::Good));
            decide(stored, fetched, directory, &observed.url_of)
        }
    };
    Plan { before, next }
}

fn decide(stored: Option<&Artifact>, fetched: &Fetched, directory: ObjectDirectory, url_of: &str) -> Next {
    let keep = |stored: &Artifact| Next::Keep {
        artifact: Artifact { url: format!("{url_of}{}", stored.path), ..stored.clone() },
        url: format!("{url_of}{directory}/{ALIAS}"),
    };
    match (stored, fetched) {
        (Some(stored), Fetched::Same) => keep(stored),
        (Some(stored), Fetched::New(index)) if stored.revision == index.digest.to_string() => keep(stored),
        (_, Fetched::New(index)) => {
            let file = format!("index-{}.yaml", index.digest.hex());
            Next::Store { index: Arc::clone(index), directory, file }
        }
        // A server may say so unasked; without the artifact its word is no use.
        (None, Fetched::Same) => Next::Fail(Error::Fetch(DownloadError::Status {
            url: directory.to_string(),
            status: reqwest::StatusCode::NOT_MODIFIED,
        })),
    }
}
