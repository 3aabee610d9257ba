//! HelmChart: finds a version of a chart in a Helm repository, a registry, a Git repository or a
//! bucket, and stores its archive.
//!
//! ```text
//! observe: is the artifact still stored? the source's index, tags or files, and which version is meant
//! plan:    keep the artifact when it is that version, or build it, or tell what is wrong
//! act:     download within bounds or package, check that it is the chart it should be, store it, move the link
//! report:  conditions FetchFailed, BuildFailed, StorageOperationFailed, ArtifactOutdated, ArtifactInStorage, Ready, …
//! ```
//!
//! Watched: HelmCharts, and HelmRepositories, GitRepositories and Buckets for new artifacts. Verification and
//! dependencies in other repositories are not supported yet: a message names what is missing.

mod act;
mod dependencies;
mod error;
mod observe;
mod package;
mod plan;
mod report;

use std::sync::Arc;

use ferrite_api::{
    Artifact, metadata,
    source::{Bucket, ChartSourceKind, GitRepository, HelmChart, HelmRepository},
};
use ferrite_runtime::{
    Change, Controller, Event, ObjectKey, Progress, Reconcile, Report, Runtime, StatusOf, Store, Trigger,
};

pub use error::Error;
pub use observe::Observed;
pub use plan::{Build, Next, Plan};

use crate::{
    context::Context,
    storage::{self, Started},
};

/// What was done for one object, as it happened.
#[derive(Debug, Default)]
pub struct Done {
    started: Started,
    /// The artifact that is stored now and is of the version that is meant.
    artifact: Option<Artifact>,
    /// Where the newest artifact is served.
    url: Option<String>,
    /// The chart's name.
    chart: Option<String>,
    /// The revision of the source that was read.
    source_revision: Option<String>,
    /// The values files that were found and merged.
    values_files: Vec<String>,
    /// Whether the chart was verified now, and a good signature found.
    verified: Option<bool>,
}

/// Reconciles HelmCharts.
#[derive(Debug)]
pub struct HelmCharts {
    context: Arc<Context>,
}

impl HelmCharts {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// Charts follow their sources without waiting for their interval.
pub(crate) fn watch_sources(controller: &mut Controller<HelmCharts>, runtime: &Runtime) {
    let helm = |change: &Change<HelmRepository>, charts: &Store<HelmChart>| {
        let Change::Applied { new, .. } = change else { return Vec::new() };
        let artifact = new.status.as_ref().and_then(|status| status.artifact.as_ref());
        followers(ChartSourceKind::HelmRepository, &ObjectKey::of(new.as_ref()), artifact, charts)
    };
    let git = |change: &Change<GitRepository>, charts: &Store<HelmChart>| {
        let Change::Applied { new, .. } = change else { return Vec::new() };
        let artifact = new.status.as_ref().and_then(|status| status.artifact.as_ref());
        followers(ChartSourceKind::GitRepository, &ObjectKey::of(new.as_ref()), artifact, charts)
    };
    let _store = controller.watch(runtime.api::<HelmRepository>(), runtime.watch_config(), helm);
    let bucket = |change: &Change<Bucket>, charts: &Store<HelmChart>| {
        let Change::Applied { new, .. } = change else { return Vec::new() };
        let artifact = new.status.as_ref().and_then(|status| status.artifact.as_ref());
        followers(ChartSourceKind::Bucket, &ObjectKey::of(new.as_ref()), artifact, charts)
    };
    let _store = controller.watch(runtime.api::<GitRepository>(), runtime.watch_config(), git);
    let _store = controller.watch(runtime.api::<Bucket>(), runtime.watch_config(), bucket);
}

/// The charts of a source that have not seen its artifact yet.
fn followers(
    kind: ChartSourceKind,
    source: &ObjectKey,
    artifact: Option<&Artifact>,
    charts: &Store<HelmChart>,
) -> Vec<Trigger> {
    let Some(artifact) = artifact else { return Vec::new() };
    let outdated = |chart: &Arc<HelmChart>| {
        let reference = &chart.spec.source_ref;
        let key = ObjectKey::of(chart.as_ref());
        let seen = chart.status.as_ref().and_then(|status| status.observed_source_artifact_revision.as_ref());
        let follows = reference.kind == kind
            && reference.name == source.name
            && key.namespace == source.namespace
            && seen != Some(&artifact.revision);
        follows.then_some(Trigger::Supersede(key))
    };
    charts.list().iter().filter_map(outdated).collect()
}

impl Reconcile for HelmCharts {
    type Object = HelmChart;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(metadata::FINALIZER);

    async fn observe(&self, chart: &HelmChart, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, chart, step).await
    }

    fn plan(chart: &HelmChart, observed: &Observed) -> Plan {
        plan::plan(chart, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        chart: &HelmChart,
        done: &Done,
        failure: Option<&Error>,
        now: jiff::Timestamp,
    ) -> Report<StatusOf<HelmChart>> {
        report::report(chart, done, failure, now)
    }

    async fn teardown(
        &self,
        chart: &HelmChart,
        _done: &mut Done,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        let torn_down = storage::teardown(&self.context, chart).await;
        torn_down.map_err(|error| Error::Collect(Arc::new(error)))
    }
}

#[cfg(test)]
mod tests;
