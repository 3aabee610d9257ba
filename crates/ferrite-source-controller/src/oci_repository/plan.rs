//! Decides: keep the artifact, pull another, or tell what is wrong.

use std::sync::Arc;

use ferrite_api::{
    Artifact, ConditionType, LocalObjectReference,
    source::{OciLayerSelector, OciRepository},
};
use ferrite_artifact::{Health, ObjectDirectory};

use super::{Error, Found, Observed, observe::artifact_of};
use ferrite_runtime::ObjectKey;

use crate::{
    oci::Wanted,
    storage::{self, Before},
};

/// The link to the newest artifact.
pub(super) const ALIAS: &str = "latest.tar.gz";

/// What one reconcile of an OCIRepository will do.
#[derive(Debug)]
pub struct Plan {
    /// What is done about the storage first.
    pub before: Before,
    /// What is verified before that, if it is not verified yet.
    pub(crate) verify: Option<Box<Verify>>,
    /// What comes after that.
    pub next: Next,
}

/// An artifact that has to be signed.
#[derive(Debug)]
pub(crate) struct Verify {
    /// Where it is.
    pub(crate) found: Found,
    /// By whom.
    pub(crate) wanted: Wanted,
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
    Plan { before, verify: verify(repository, observed), next }
}

/// What is to be verified: a new revision, by another spec, or what was not verified last time.
fn verify(repository: &OciRepository, observed: &Observed) -> Option<Box<Verify>> {
    let spec = repository.spec.verify.as_ref()?;
    let found = observed.found.as_ref().ok()?;
    let conditions = repository.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let verified = conditions.iter().find(|one| one.type_ == ConditionType::SourceVerified.as_str());
    let is_current = verified.is_some_and(|verified| {
        verified.status == "True" && verified.observed_generation == repository.metadata.generation
    });
    let is_same = artifact_of(repository).is_some_and(|stored| stored.revision == found.revision());
    if is_current && is_same {
        return None;
    }
    let namespace = repository.metadata.namespace.clone().unwrap_or_default();
    let key = |reference: &LocalObjectReference| ObjectKey::new(namespace.clone(), &reference.name);
    let wanted = Wanted {
        provider: spec.provider,
        secret: spec.secret_ref.as_ref().map(key),
        identities: spec.match_oidc_identity.clone(),
        trusted_root: spec.trusted_root_secret_ref.as_ref().map(key),
    };
    Some(Box::new(Verify { found: found.clone(), wanted }))
}

/// Whether the artifact was made by the rules of the spec.
fn is_configured(repository: &OciRepository) -> bool {
    let (spec, status) = (&repository.spec, repository.status.as_ref());
    status.is_some_and(|status| {
        status.observed_ignore == spec.ignore && status.observed_layer_selector == spec.layer_selector
    })
}
