//! HelmReleases: what is read, decided, done and told.
//!
//! Owned conditions: `Ready`, `Reconciling`, `Stalled`, `Released`, `Remediated`, `TestSuccess`,
//! `Drifted`.
//! Watched: charts (a new artifact), HelmReleases (a dependency became ready), ConfigMaps and Secrets with the watch
//! label.

mod act;
mod observe;
mod plan;
mod report;
mod teardown;

use ferrite_api::{
    ConditionType,
    helm::{HelmRelease, HelmReleaseStatus},
};
use ferrite_runtime::{Event, Progress, Reconcile, Report};
use jiff::Timestamp;

use crate::{context::Context, error::Error};
use act::Done;
use observe::Observed;
use plan::Plan;

/// Reconciles HelmReleases.
#[derive(Debug)]
pub(crate) struct HelmReleases {
    context: Context,
}

impl HelmReleases {
    pub(crate) const fn new(context: Context) -> Self {
        Self { context }
    }
}

impl Reconcile for HelmReleases {
    type Object = HelmRelease;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    async fn observe(&self, object: &HelmRelease, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, object, step).await
    }

    fn plan(object: &HelmRelease, observed: &Observed) -> Plan {
        plan::plan(object, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        object: &HelmRelease,
        done: &Done,
        failure: Option<&Error>,
        now: Timestamp,
    ) -> Report<HelmReleaseStatus> {
        report::report(object, done, failure, now)
    }

    async fn teardown(
        &self,
        object: &HelmRelease,
        done: &mut Done,
        step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        teardown::teardown(&self.context, object, done, step).await
    }
}

pub(crate) fn is_ready(object: &HelmRelease) -> bool {
    let mut conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|c| c.type_ == ConditionType::Ready.as_str() && c.status == "True")
}

/// What dependents look at: ready, as the spec stands.
pub(crate) fn is_ready_now(object: &HelmRelease) -> bool {
    let observed = object.status.as_ref().and_then(|status| status.observed_generation);
    observed == object.metadata.generation && is_ready(object)
}

/// Whether an annotation asks for something that was not done yet; it counts with a reconcile request of the same token
/// only, as in Flux.
fn is_asked(object: &HelmRelease, annotation: &str, handled: Option<&String>) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let token = annotations.and_then(|all| all.get(annotation));
    let request = annotations.and_then(|all| all.get(ferrite_api::metadata::RECONCILE_REQUEST));
    let reconciled = object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    token.is_some() && token == request && token != handled && token != reconciled
}

/// The annotation that forces a release.
const FORCE: &str = "reconcile.fluxcd.io/forceAt";
/// The annotation that forgets failures.
const RESET: &str = "reconcile.fluxcd.io/resetAt";

fn token(object: &HelmRelease, annotation: &str) -> Option<String> {
    object.metadata.annotations.as_ref().and_then(|all| all.get(annotation)).cloned()
}
