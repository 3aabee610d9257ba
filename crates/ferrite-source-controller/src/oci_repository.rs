//! OCIRepository: follows a tag, a range of versions or a digest of a repository in a registry, and stores one layer.
//!
//! ```text
//! observe: is the artifact still stored? pull secrets, where the reference points now (one HEAD)
//! plan:    verify it if it is new; keep the artifact, or pull digest d into <dir>/sha256:….tar.gz, or tell what is wrong
//! act:     manifest and layer by digest, unpacked within bounds and archived anew, or kept as it is
//! report:  conditions FetchFailed, StorageOperationFailed, ArtifactOutdated, ArtifactInStorage, Ready, …
//! ```
//!
//! Source: `internal/controller/ocirepository_controller.go`. Nothing is pulled that `spec.verify` does not accept.

mod act;
mod error;
mod observe;
mod plan;
mod report;

use std::sync::Arc;

use ferrite_api::{Artifact, metadata, source::OciRepository};
use ferrite_runtime::{Event, Progress, Reconcile, Report, StatusOf};

pub use error::Error;
pub use observe::{Found, Observed};
pub use plan::{Next, Plan};

use crate::{
    context::Context,
    storage::{self, Started},
};

/// What was done for one object, as it happened.
#[derive(Debug, Default)]
pub struct Done {
    started: Started,
    /// The artifact that is stored now and is that of the revision.
    artifact: Option<Artifact>,
    /// Where the newest artifact is served.
    url: Option<String>,
    /// What was verified now.
    verified: Option<Verified>,
}

/// A revision that was verified.
#[derive(Debug)]
pub(crate) struct Verified {
    revision: String,
    /// Whether a signature is good; else the trust policy does not ask for one.
    signed: bool,
}

/// Reconciles OCIRepositories.
#[derive(Debug)]
pub struct OciRepositories {
    context: Arc<Context>,
}

impl OciRepositories {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Reconcile for OciRepositories {
    type Object = OciRepository;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::FINALIZER);

    async fn observe(&self, repository: &OciRepository, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, repository, step).await
    }

    fn plan(repository: &OciRepository, observed: &Observed) -> Plan {
        plan::plan(repository, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        repository: &OciRepository,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<OciRepository>> {
        report::report(repository, done, failure, now)
    }

    async fn teardown(
        &self,
        repository: &OciRepository,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        let torn_down = storage::teardown(&self.context, repository).await;
        torn_down.map_err(|error| Error::Collect(Arc::new(error)))
    }
}

#[cfg(test)]
mod tests;
