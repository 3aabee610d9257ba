//! Decides: keep the artifact, pull another, or tell what is wrong.

use std::sync::Arc;

use ferrite_api::{
    Artifact,
    source::{OciLayerSelector, OciRepository},
};
use ferrite_artifact::{Health, ObjectDirectory};

use super::{Error, Found, Observed, observe::artifact_of};
use crate::storage::{self, Before};

/// The link to the newest artifact.
pub(super) const ALIAS: &str = "latest.tar.gz";

/// What one reconcile of an OCIRepository will do.
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
    /// Nothing moved.
    Keep {
        /// The artifact at the address where it is served now.
        artifact: Artifact,
        /// The address that does not change with the revision.
        url: String,
    },
    /// Pull and store.
    Pull(Box<Pull>),
    /// Nothing can be done.
    Fail(Error),
}

/// How an artifact is made.
#[derive(Debug)]
pub struct Pull {
    /// What to pull, and from whom.
    pub(crate) found: Found,
    /// The address, for messages.
    pub(crate) url: String,
    /// Which layer, and what to do with it.
    pub(crate) layer: OciLayerSelector,
    /// Further ignore patterns; `spec.ignore`.
    pub(crate) ignore: Option<String>,
    /// Where it goes.
    pub(crate) directory: ObjectDirectory,
    /// The name of the file.
    pub(crate) file: String,
    /// Whether the revision is another than that of the artifact.
    pub(crate) is_new_revision: bool,
}

pub(super) fn plan(repository: &OciRepository, observed: &Observed) -> Plan {
    let directory = storage::directory(repository);
    let artifact = artifact_of(repository);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.found, directory) {
        (Err(error), _) => Next::Fail(error.clone()),
        (Ok(_), Err(error)) => Next::Fail(Error::Store(Arc::new(error))),
        (Ok(found), Ok(directory)) => {
            let stored = artifact.filter(|_| observed.stored == Some(Health::Good));
            let same_revision = stored.filter(|stored| stored.revision == found.revision());
            match same_revision.filter(|_| is_configured(repository)) {
                Some(stored) => Next::Keep {
                    artifact: Artifact {
                        url: format!("{}{}", observed.url_of, stored.path),
                        ..stored.clone()
                    },
                    url: format!("{}{directory}/{ALIAS}", observed.url_of),
                },
                None => Next::Pull(Box::new(Pull {
                    found: found.clone(),
                    url: repository.spec.url.clone(),
                    layer: repository.spec.layer_selector.clone().unwrap_or_default(),
                    ignore: repository.spec.ignore.clone(),
                    directory,
                    file: format!("{}.tar.gz", found.digest),
                    is_new_revision: same_revision.is_none(),
                })),
            }
        }
    };
    Plan { before, next }
}

/// Whether the artifact was made by the rules of the spec.
fn is_configured(repository: &OciRepository) -> bool {
    let (spec, status) = (&repository.spec, repository.status.as_ref());
    status.is_some_and(|status| {
        status.observed_ignore == spec.ignore && status.observed_layer_selector == spec.layer_selector
    })
}
