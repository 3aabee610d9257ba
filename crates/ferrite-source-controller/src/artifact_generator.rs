//! ArtifactGenerator: puts artifacts together from those of several sources, and hands them on as ExternalArtifacts.
//!
//! ```text
//! observe: are the generator's artifacts stored, and its ExternalArtifacts there? what do its sources hold now?
//! plan:    nothing, or build all of them, or tell what is wrong
//! act:     fetch the sources, find directories by pattern, copy, archive, apply ExternalArtifacts, remove old ones
//! report:  Ready, Reconciling, Stalled; inventory and digest of the sources
//! ```
//!
//! Owned conditions: `Ready`, `Reconciling`, `Stalled`. Watched: ArtifactGenerators, their sources for new artifacts,
//! and ExternalArtifacts for disappearance. There is no interval: changes are followed, and everything is checked once
//! an hour.

mod act;
mod apply;
mod compose;
mod error;
mod glob;
mod merge;
mod observe;
mod pattern;
mod plan;
mod report;
mod validate;
mod watches;

use std::{sync::Arc, time::Duration};

use ferrite_api::{
    metadata,
    source::{ArtifactGenerator, GeneratedArtifact},
};
use ferrite_artifact::Fetcher;
use ferrite_runtime::{Event, Opening, Progress, Reconcile, Report, StatusOf};

pub use compose::ComposeError;
pub use error::Error;
pub use observe::{Observed, Source};
pub use plan::{Build, Next, Plan};
pub(crate) use watches::watch;

use crate::context::Context;

/// The label by which a generator's ExternalArtifacts are known; its value is the generator's UID.
const GENERATOR_LABEL: &str = "source.extensions.fluxcd.io/generator";
/// The annotation that puts a generator to rest.
const RECONCILE_ANNOTATION: &str = "source.extensions.fluxcd.io/reconcile";

/// What was done for one object, as it happened.
#[derive(Debug, Default)]
pub struct Done {
    outcome: Outcome,
    /// What was stored and applied so far.
    inventory: Vec<GeneratedArtifact>,
    /// Which of these are new.
    changed: Vec<String>,
}

/// How it ended.
#[derive(Debug, Default, PartialEq, Eq)]
enum Outcome {
    /// It did not.
    #[default]
    Unfinished,
    /// The generator is at rest.
    Disabled,
    /// Nothing had changed.
    UpToDate,
    /// All artifacts were built, of sources with this digest.
    Built { sources_digest: String },
}

/// How generators are worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) no_cross_namespace: bool,
    /// When sources are looked at again that are not there.
    pub(crate) requeue_dependency: Duration,
    /// The deadline of one reconcile.
    pub(crate) timeout: Duration,
}

/// Reconciles ArtifactGenerators.
#[derive(Debug)]
pub struct Generators {
    context: Arc<Context>,
    fetcher: Fetcher,
    settings: Settings,
}

impl Generators {
    pub(crate) const fn new(context: Arc<Context>, fetcher: Fetcher, settings: Settings) -> Self {
        Self { context, fetcher, settings }
    }
}

impl Reconcile for Generators {
    type Object = ArtifactGenerator;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::GENERATOR_FINALIZER);

    async fn observe(&self, generator: &ArtifactGenerator, _step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, &self.settings, generator).await
    }

    fn plan(generator: &ArtifactGenerator, observed: &Observed) -> Plan {
        plan::plan(generator, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        let timeout = self.settings.timeout;
        let acted = tokio::time::timeout(timeout, act::act(&self.context, &self.fetcher, plan, done, step));
        acted.await.unwrap_or(Err(Error::Timeout { timeout }))
    }

    fn report(
        generator: &ArtifactGenerator,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<ArtifactGenerator>> {
        report::report(generator, done, failure, now)
    }

    async fn teardown(
        &self,
        generator: &ArtifactGenerator,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        act::teardown(&self.context, generator).await
    }

    /// There is no `status.observedGeneration`, so that every reconcile would look like one of a new generation.
    fn opening(opening: &Opening<'_>) -> Option<String> {
        opening.unhandled_request.map(|_| "Reconciliation in progress".to_owned())
    }
}

#[cfg(test)]
mod tests;
