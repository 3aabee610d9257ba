//! HelmChart: finds a version of a chart in a Helm repository's index and stores the chart's archive.
//!
//! ```text
//! observe: is the artifact still stored? the repository's stored index, and which version is meant
//! plan:    keep the artifact when it is that version, or pull it, or tell what is wrong
//! act:     download within bounds, check that it is the chart it should be, store it, move the link
//! report:  conditions FetchFailed, BuildFailed, StorageOperationFailed, ArtifactOutdated, ArtifactInStorage, Ready, …
//! ```
//!
//! Watched: HelmCharts, and HelmRepositories for new indexes. Charts of registries, of Git repositories and buckets,
//! values files and verification are not supported yet: they stall the object with a message that names the field.

mod act;
mod error;
mod observe;
mod plan;
mod report;

use std::sync::Arc;

use ferrite_api::{
    Artifact, metadata,
    source::{ChartSourceKind, HelmChart, HelmRepository},
};
use ferrite_runtime::{
    Change, Controller, Event, ObjectKey, Progress, Reconcile, Report, Runtime, StatusOf, Store, Trigger,
};

pub use error::Error;
pub use observe::Observed;
pub use plan::{Next, Plan};

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
    /// The revision of the index that was read.
    source_revision: Option<String>,
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

/// Charts follow the indexes of their repositories without waiting for their interval.
pub(crate) fn watch_repositories(controller: &mut Controller<HelmCharts>, runtime: &Runtime) {
    let _store = controller.watch(runtime.api::<HelmRepository>(), runtime.watch_config(), followers);
}

fn followers(change: &Change<HelmRepository>, charts: &Store<HelmChart>) -> Vec<Trigger> {
    let Change::Applied { new, .. } = change else { return Vec::new() };
    let status = new.status.as_ref();
    let Some(artifact) = status.and_then(|status| status.artifact.as_ref()) else { return Vec::new() };
    let repository = ObjectKey::of(new.as_ref());
    let outdated = |chart: &Arc<HelmChart>| {
        let reference = &chart.spec.source_ref;
        let key = ObjectKey::of(chart.as_ref());
        let seen = chart.status.as_ref().and_then(|status| status.observed_source_artifact_revision.as_ref());
        let follows = reference.kind == ChartSourceKind::HelmRepository
            && reference.name == repository.name
            && key.namespace == repository.namespace
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
