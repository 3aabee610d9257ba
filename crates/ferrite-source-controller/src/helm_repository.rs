//! HelmRepository of type `default`: downloads the index and stores it, parsed, checked and sorted, as JSON.
//!
//! ```text
//! observe: is the artifact still stored? credentials; the index as the server has it now, in a temporary file
//! plan:    keep it when its bytes have the digest of the revision, or store it, or tell what is wrong
//! act:     parse, write <dir>/index-<digest>.yaml, move the link index.yaml
//! report:  conditions FetchFailed, StorageOperationFailed, ArtifactOutdated, ArtifactInStorage, Ready, …
//! ```
//!
//! Type `oci` is static configuration: it gets no condition and no artifact (`helmrepository_controller.go`).

mod act;
mod error;
mod observe;
mod plan;
mod report;

use std::sync::Arc;

use ferrite_api::{Artifact, metadata, source::HelmRepository};
use ferrite_runtime::{Event, ObjectKey, Progress, Reconcile, Report, StatusOf};

pub use error::Error;
pub use observe::{Fetched, Observed};
pub(crate) use observe::{access, base_url, is_oci, registry};
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
    /// Bytes of the stored index, when it is new.
    size: Option<u64>,
    /// The object is of type `oci`, or was before.
    oci: bool,
}

/// Reconciles HelmRepositories.
#[derive(Debug)]
pub struct HelmRepositories {
    context: Arc<Context>,
}

impl HelmRepositories {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Reconcile for HelmRepositories {
    type Object = HelmRepository;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::FINALIZER);

    /// Type `oci` is configuration for charts; there is nothing to reconcile.
    fn concerns(repository: &HelmRepository) -> bool {
        !is_oci(repository)
    }

    async fn observe(&self, repository: &HelmRepository, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, repository, step).await
    }

    fn plan(repository: &HelmRepository, observed: &Observed) -> Plan {
        plan::plan(repository, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        repository: &HelmRepository,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<HelmRepository>> {
        report::report(repository, done, failure, now)
    }

    async fn teardown(
        &self,
        repository: &HelmRepository,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        self.context.indexes.lock().remove(&ObjectKey::of(repository));
        let torn_down = storage::teardown(&self.context, repository).await;
        torn_down.map_err(|error| Error::Collect(Arc::new(error)))
    }
}

#[cfg(test)]
mod tests;
