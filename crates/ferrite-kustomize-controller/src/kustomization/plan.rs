//! Decides what will be done: which objects are applied, what is pruned, whose health is waited for.

use std::{fmt, sync::Arc, time::Duration};

use ferrite_api::{ConditionType, NamespacedObjectKindReference, kustomize::Kustomization};
use ferrite_apply::{ApplyOptions, Cluster, Expressions, WaitTarget, group_of};
use ferrite_resource::{Entry, Inventory, ObjectId, Owner};
use jiff::Timestamp;

use super::observe::Observed;
use crate::{build::Built, error::Attempt};

/// What one reconcile will do, with no choice left open.
pub(crate) struct Plan {
    /// When the reconcile began.
    pub(crate) started: Timestamp,
    /// The revision.
    pub(crate) attempt: Attempt,
    /// Whose labels the objects carry.
    pub(crate) owner: Owner,
    /// Where, and as whom.
    pub(crate) cluster: Cluster,
    /// The objects, prepared.
    pub(crate) built: Arc<Built>,
    /// How they are applied.
    pub(crate) options: ApplyOptions,
    /// What was applied before.
    pub(crate) before: Inventory,
    /// Whether what is no longer wanted is deleted.
    pub(crate) prune: bool,
    /// Whose health is waited for.
    pub(crate) health: Health,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Whether a wait ends when one object failed.
    pub(crate) fail_fast: bool,
    /// The expressions that judge health.
    pub(crate) expressions: Arc<Expressions>,
    /// Whether everything was healthy before.
    pub(crate) was_healthy: bool,
    /// Whether this revision is another than the one applied last.
    pub(crate) new_revision: bool,
}

/// Whose health is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody's.
    None,
    /// That of everything that was applied.
    Applied,
    /// That of these objects.
    Listed(Vec<WaitTarget>),
}

/// Shows which objects, never what is in them: Secrets are among them.
impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("revision", &self.attempt.revision)
            .field("objects", &self.built.objects.len())
            .field("digest", &self.built.digest)
            .field("before", &self.before.entries().len())
            .field("prune", &self.prune)
            .field("health", &self.health)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

pub(crate) fn plan(object: &Kustomization, observed: &Observed) -> Plan {
    let (spec, settings) = (&object.spec, &observed.settings);
    let applied = object.status.as_ref().and_then(|status| status.last_applied_revision.as_deref());
    Plan {
        started: observed.started,
        attempt: observed.attempt.clone(),
        owner: super::owner_of(object),
        cluster: observed.cluster.clone(),
        built: Arc::clone(&observed.built),
        options: ApplyOptions {
            managers: settings.managers.clone(),
            concurrency: settings.concurrent_ssa,
            force: spec.force,
            ignore: observed.ignore.clone(),
            stage_kinds: settings.stage_kinds.clone(),
            audit: is_asked_for(object),
            // Below the interval whatever the jitter, so that each interval asks about everything.
            audit_after: spec.interval.to_std().mul_f64(0.9),
            ..ApplyOptions::default()
        },
        before: observed.inventory.clone(),
        prune: spec.prune,
        health: health(object),
        timeout: spec.timeout().to_std(),
        fail_fast: settings.fail_fast,
        expressions: Arc::clone(&observed.expressions),
        was_healthy: super::has_condition(object, ConditionType::Healthy, "True"),
        new_revision: applied != Some(observed.attempt.revision.as_str()),
    }
}

/// Whether a person asked for this reconcile: then nothing that is remembered counts.
pub(super) fn is_asked_for(object: &Kustomization) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let asked = annotations.and_then(|all| all.get(ferrite_api::metadata::RECONCILE_REQUEST));
    asked.is_some()
        && asked != object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref())
}

fn health(object: &Kustomization) -> Health {
    if object.spec.wait {
        return Health::Applied;
    }
    let itself = ObjectId::new(
        ferrite_api::kustomize::GROUP,
        "Kustomization",
        object.metadata.namespace.as_deref().unwrap_or_default(),
        object.metadata.name.as_deref().unwrap_or_default(),
    );
    let listed: Vec<WaitTarget> = object
        .spec
        .health_checks
        .iter()
        .map(entry_of)
        // It cannot become ready before itself.
        .filter(|entry| entry.id != itself)
        .map(WaitTarget::from)
        .collect();
    if listed.is_empty() { Health::None } else { Health::Listed(listed) }
}

fn entry_of(reference: &NamespacedObjectKindReference) -> Entry {
    let api_version = reference.api_version.as_deref().filter(|v| !v.is_empty()).unwrap_or("apps/v1");
    let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    Entry {
        id: ObjectId::new(group_of(api_version), &reference.kind, namespace, &reference.name),
        version: version.to_owned(),
    }
}
