//! An object that is waited for, and what is told of those that did not get there.

use std::{collections::HashMap, time::Duration};

use ferrite_resource::{
    Health, Status, apply_order,
    health::{PodQuery, evidence},
};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use super::{Unready, UnreadyObject, WaitTarget};
use crate::{cluster::Cluster, fetch};

/// Workloads for which pods are read when the wait failed, and how long that may take.
const MAX_EXPLAINED: usize = 5;
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Current,
    Gone,
}

/// An object that is waited for.
pub(super) struct Target {
    pub(super) wanted: WaitTarget,
    pub(super) health: Option<Health>,
    /// Why it could not be read.
    pub(super) error: Option<String>,
    /// A workload that is not ready, reduced to what decides its health.
    pub(super) reduced: Option<Value>,
    /// Its pods by name, reduced likewise, while they are watched.
    pub(super) pods: Option<HashMap<String, Value>>,
    pub(super) recheck: Option<Instant>,
}

impl Target {
    pub(super) fn new(wanted: WaitTarget) -> Self {
        Self { wanted, health: None, error: None, reduced: None, pods: None, recheck: None }
    }

    pub(super) fn is_there(&self, goal: Goal) -> bool {
        self.is(match goal {
            Goal::Current => Status::Current,
            Goal::Gone => Status::NotFound,
        })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.is(Status::Failed)
    }

    fn is(&self, status: Status) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == status)
    }
}

/// What is told of the targets that are not there, or of those that failed.
pub(super) async fn unready(
    cluster: &Cluster,
    targets: &[Target],
    goal: Goal,
    failed_only: bool,
    started: Instant,
) -> Unready {
    let elapsed = started.elapsed();
    let told = |target: &&Target| !target.is_there(goal) && (!failed_only || target.has_failed());
    let mut targets: Vec<&Target> = targets.iter().filter(told).collect();
    targets.sort_by(|left, right| apply_order(&left.wanted.entry.id, &right.wanted.entry.id));
    let mut objects = Vec::with_capacity(targets.len());
    let mut explained = 0;
    for target in targets {
        let explain = explained < MAX_EXPLAINED && target.reduced.is_some();
        explained += usize::from(explain);
        let evidence = if explain { evidence_of(cluster, target).await } else { None };
        let message = target.health.as_ref().map(|health| health.message.clone());
        objects.push(UnreadyObject {
            id: target.wanted.entry.id.clone(),
            status: target.health.as_ref().map(|health| health.status),
            error: target.error.clone(),
            evidence: evidence.or_else(|| message.filter(|message| !message.is_empty())),
        });
    }
    Unready { objects, elapsed }
}

async fn evidence_of(cluster: &Cluster, target: &Target) -> Option<String> {
    let object = target.reduced.as_ref()?;
    let query = PodQuery::of(object)?;
    let collection = format!("/api/v1/namespaces/{}/pods", crate::mapper::segment(&query.namespace));
    let pods = fetch::list(&cluster.client, &collection, &query.selector, 50);
    let pods = timeout(EXPLAIN_TIMEOUT, pods).await.ok().and_then(Result::ok).unwrap_or_default();
    evidence(object, &pods)
}

/// An object without what its health does not depend on.
pub(super) fn reduced(mut object: Value) -> Value {
    let kept = |meta: &Map<String, Value>, keys: &[&str]| {
        keys.iter()
            .filter_map(|key| Some(((*key).to_owned(), meta.get(*key)?.clone())))
            .collect::<Map<_, _>>()
    };
    if let Value::Object(map) = &mut object {
        if let Some(Value::Object(meta)) = map.get_mut("metadata") {
            *meta =
                kept(meta, &["name", "namespace", "generation", "deletionTimestamp", "creationTimestamp"]);
        }
        if let Some(Value::Object(spec)) = map.get_mut("spec") {
            *spec =
                kept(spec, &["replicas", "selector", "updateStrategy", "progressDeadlineSeconds", "suspend"]);
        }
    }
    object
}
