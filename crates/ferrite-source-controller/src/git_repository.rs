//! GitRepository: follows a reference of a Git repository and stores its files as an artifact.
//!
//! ```text
//! observe: is the artifact still stored? credentials, where the reference points now, the included artifacts
//! plan:    keep it, or fetch commit c into <dir>/<c>.tar.gz, or tell what is wrong
//! act:     remove old artifacts, fetch one commit, verify its signature, archive it without what is ignored, store it
//! report:  conditions FetchFailed, StorageOperationFailed, IncludeUnavailable, ArtifactOutdated,
//!          ArtifactInStorage, SourceVerified, and Ready, Reconciling, Stalled
//! ```
//!
//! Watched: GitRepositories. Secrets and included repositories are read when needed; their changes are found at the
//! interval, as in Flux (`internal/controller/gitrepository_controller.go`).

mod act;
mod archive;
mod error;
mod github_app;
mod observe;
mod plan;
mod report;
mod verify;

use std::sync::Arc;

use ferrite_api::{metadata, source::GitRepository};
use ferrite_runtime::{Event, Progress, Reconcile, Report, StatusOf};

pub use error::Error;
pub(crate) use github_app::Tokens;
pub use observe::{Included, Observed};
pub use plan::{Build, Next, Plan, Why};

use crate::{
    context::Context,
    storage::{self, Started},
};

/// What was done for one object, as it happened.
#[derive(Debug, Default)]
pub struct Done {
    /// What was done about the storage.
    pub(crate) started: Started,
    /// The artifact that is stored now and is that of the revision.
    pub(crate) artifact: Option<ferrite_api::Artifact>,
    /// The artifacts that were copied into it.
    pub(crate) included: Vec<ferrite_api::Artifact>,
    /// What was verified, when something was.
    pub(crate) verified: Option<verify::Verified>,
    /// The first line of the commit's message, when the commit was fetched.
    pub(crate) summary: Option<String>,
}

/// Reconciles GitRepositories.
#[derive(Debug)]
pub struct GitRepositories {
    context: Arc<Context>,
}

impl GitRepositories {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Reconcile for GitRepositories {
    type Object = GitRepository;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::FINALIZER);

    async fn observe(&self, repository: &GitRepository, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, repository, step).await
    }

    fn plan(repository: &GitRepository, observed: &Observed) -> Plan {
        plan::plan(repository, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        repository: &GitRepository,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<GitRepository>> {
        report::report(repository, done, failure, now)
    }

    async fn teardown(
        &self,
        repository: &GitRepository,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        let torn_down = storage::teardown(&self.context, repository).await;
        torn_down.map_err(|error| Error::Collect(Arc::new(error)))
    }
}

#[cfg(test)]
mod tests;
