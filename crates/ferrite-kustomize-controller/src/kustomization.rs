//! Kustomizations: what is read, decided, done and told.
//!
//! Owned conditions: `Ready`, `Reconciling`, `Stalled`, and `Healthy` while health is asked for.
//! Watched: sources (a new revision), Kustomizations (a dependency became ready), ConfigMaps and Secrets with the watch
//! label, and the applied objects themselves (drift).

mod act;
mod observe;
mod plan;
mod report;
mod teardown;
#[cfg(test)]
mod tests;

use ferrite_api::{
    ConditionType, Reason,
    kustomize::{Kustomization, KustomizationStatus},
};
use ferrite_resource::{Inventory, InventoryError, Owner};
use ferrite_runtime::{Event, ObjectKey, Opening, Progress, Reconcile, Report};
use jiff::Timestamp;

use crate::{context::Context, error::Error, index::dependencies_of};
use act::Done;
use observe::Observed;
use plan::Plan;

/// Reconciles Kustomizations.
#[derive(Debug)]
pub(crate) struct Kustomizations {
    context: Context,
}

impl Kustomizations {
    pub(crate) const fn new(context: Context) -> Self {
        Self { context }
    }
}

impl Reconcile for Kustomizations {
    type Object = Kustomization;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    async fn observe(&self, object: &Kustomization, step: &Progress) -> Result<Observed, Error> {
        observe::observe(&self.context, object, step).await
    }

    fn plan(object: &Kustomization, observed: &Observed) -> Plan {
        plan::plan(object, observed)
    }

    async fn act(&self, plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Error> {
        act::act(&self.context, plan, done, step).await
    }

    fn report(
        object: &Kustomization,
        done: &Done,
        failure: Option<&Error>,
        now: Timestamp,
    ) -> Report<KustomizationStatus> {
        report::report(object, done, failure, now)
    }

    async fn teardown(
        &self,
        object: &Kustomization,
        done: &mut Done,
        step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        teardown::teardown(&self.context, object, done, step).await
    }

    /// Nothing is said before source and dependencies are there: one that waits for them is not under way.
    fn opening(_: &Opening<'_>) -> Option<String> {
        None
    }
}

/// Whose labels the applied objects carry.
fn owner_of(object: &Kustomization) -> Owner {
    Owner::new(
        object.metadata.name.as_deref().unwrap_or_default(),
        object.metadata.namespace.as_deref().unwrap_or_default(),
    )
}

/// The objects that were applied, as status tells.
fn inventory_of(object: &Kustomization) -> Result<Inventory, InventoryError> {
    let entries = object.status.as_ref().and_then(|status| status.inventory.as_ref());
    let entries = entries.map(|inventory| inventory.entries.as_slice()).unwrap_or_default();
    Inventory::parse(entries.iter().map(|entry| (entry.id.as_str(), entry.version.as_str())))
}

fn is_ready(object: &Kustomization) -> bool {
    has_condition(object, ConditionType::Ready, "True")
}

fn has_condition(object: &Kustomization, kind: ConditionType, status: &str) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == kind.as_str() && condition.status == status)
}

/// What dependents look at: the applied revision of a Kustomization that is ready as its spec stands; else `None`.
pub(crate) fn readiness(object: &Kustomization) -> Option<Option<&str>> {
    let status = object.status.as_ref()?;
    let current = status.observed_generation == object.metadata.generation;
    (current && is_ready(object)).then_some(status.last_applied_revision.as_deref())
}

/// Whether `object` judges the dependency by an expression, and waits for one.
pub(crate) fn asks_expression_of(object: &Kustomization, dependency: &ObjectKey) -> bool {
    let mut dependencies = object.spec.depends_on.iter().zip(dependencies_of(object));
    !is_ready(object)
        && dependencies.any(|(reference, key)| {
            key == *dependency && reference.ready_expr.as_deref().is_some_and(|text| !text.is_empty())
        })
}

/// Whether a Kustomization has this revision already, or is on its way to it.
pub(crate) fn is_settled_on(object: &Kustomization, revision: &str) -> bool {
    let status = object.status.as_ref();
    let attempted = status.and_then(|status| status.last_attempted_revision.as_deref());
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    // One that failed is `Reconciling`, too, with another reason.
    let under_way = conditions
        .any(|c| c.type_ == ConditionType::Reconciling.as_str() && c.reason == Reason::Progressing.as_str());
    attempted == Some(revision) && (is_ready(object) || under_way)
}
