//! Bucket: follows what an object store holds, and archives it.
//!
//! Owned conditions: `FetchFailed`, `StorageOperationFailed`, `ArtifactOutdated`, `ArtifactInStorage`, `Reconciling`,
//! `Stalled`, `Ready`. Watched: Buckets alone; Secrets are read with every reconcile.
//!
//! The revision is a digest over the names of the objects and their entity tags, so that a listing tells whether
//! anything moved and nothing is downloaded when nothing did. Objects go from the store to files of a temporary
//! directory and from there into the archive, in pieces: memory does not grow with them.

mod act;
mod error;
mod identity;
mod index;
mod login;
mod observe;
mod plan;
mod report;

use std::sync::Arc;

use ferrite_api::{Artifact, metadata, source::Bucket};
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
    /// How many objects it is made of.
    objects: usize,
}

/// Reconciles Buckets.
#[derive(Debug)]
pub struct Buckets {
    context: Arc<Context>,
}

impl Buckets {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Reconcile for Buckets {
    type Object = Bucket;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::FINALIZER);

    async fn observe(&self, bucket: &Bucket, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, bucket, step).await
    }

    fn plan(bucket: &Bucket, observed: &Observed) -> Plan {
        plan::plan(bucket, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        bucket: &Bucket,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<Bucket>> {
        report::report(bucket, done, failure, now)
    }

    async fn teardown(
        &self,
        bucket: &Bucket,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        let torn_down = storage::teardown(&self.context, bucket).await;
        torn_down.map_err(|error| Error::Collect(Arc::new(error)))
    }
}

#[cfg(test)]
mod tests;
