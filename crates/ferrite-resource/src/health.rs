//! Whether an object is ready: kstatus, as fluxcd/cli-utils computes it, with the evidence for it.
//!
//! ```text
//! object ─▶ deletion, generation, Reconciling/Stalled ─▶ rules of its kind, or its Ready condition ─▶ Health
//!                                                         │
//!                                pods it selects ─────────┘  (a failed pod fails a StatefulSet or ReplicaSet;
//!                                                             and says why, for every workload)
//! ```

mod pods;
mod workloads;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::identity::ObjectId;

pub use pods::{PodQuery, evidence};

/// The status of an object, in kstatus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Status {
    /// As wanted.
    Current,
    /// On its way.
    InProgress,
    /// It cannot get there by itself.
    Failed,
    /// Being deleted.
    Terminating,
    /// Not there.
    NotFound,
    /// It cannot be told.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        })
    }
}

/// A status and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The status.
    pub status: Status,
    /// Why, in one sentence; may be empty.
    pub message: String,
    /// The status changes by itself after this time, without the object changing.
    #[serde(skip)]
    pub recheck: Option<Duration>,
}

impl Health {
    /// A status with its reason.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), recheck: None }
    }

    /// The health of an object that is not there. A Job that Kubernetes removes some time after it finished counts as
    /// Current when it is gone; `finished_when_gone` says that this is one ([`removes_itself`]).
    #[must_use]
    pub fn not_found(finished_when_gone: bool) -> Self {
        if finished_when_gone {
            Self::new(Status::Current, "Job finished and was removed")
        } else {
            Self::new(Status::NotFound, "Resource not found")
        }
    }

    fn progress(message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, message)
    }

    fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, message)
    }
}

/// Whether the object is a Job that is removed some time after it finished.
#[must_use]
pub fn removes_itself(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Job")
        && object.pointer("/spec/ttlSecondsAfterFinished").is_some_and(|ttl| !ttl.is_null())
}

/// Whether an object of a kind that is Current stays so until it is changed or deleted: a built-in kind whose health does
/// not depend on what a controller reports.
#[must_use]
pub fn stays_current(id: &ObjectId) -> bool {
    match id.group.as_str() {
        "" => !matches!(id.kind.as_str(), "Pod" | "PersistentVolumeClaim" | "ReplicationController" | "Node"),
        "rbac.authorization.k8s.io"
        | "storage.k8s.io"
        | "scheduling.k8s.io"
        | "node.k8s.io"
        | "discovery.k8s.io"
        | "coordination.k8s.io"
        | "networking.k8s.io"
        | "admissionregistration.k8s.io" => true,
        "batch" => id.kind == "CronJob",
        "policy" => id.kind == "PodDisruptionBudget",
        _ => false,
    }
}

/// What is known beside the object.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time now.
    pub now: Timestamp,
    /// The pods that the object selects ([`PodQuery::of`]), when they were read.
    pub pods: &'a [Value],
}

/// The health of a live object.
#[must_use]
pub fn health(object: &Value, context: Context<'_>) -> Health {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Health::new(Status::Terminating, "Resource scheduled for deletion");
    }
    if let Some(health) = generic(object) {
        return health;
    }
    let api_version = text(object, "/apiVersion");
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, text(object, "/kind")) {
        ("apps" | "extensions", "Deployment") => workloads::deployment(object),
        ("apps" | "extensions", "StatefulSet") => workloads::stateful_set(object, context.pods),
        ("apps" | "extensions", "ReplicaSet") => workloads::replica_set(object, context.pods),
        ("apps" | "extensions", "DaemonSet") => workloads::daemon_set(object),
        ("batch", "Job") => workloads::job(object),
        ("", "Pod") => pods::pod(object, context.now),
        ("", "PersistentVolumeClaim") => volume_claim(object),
        ("", "Service") => service(object),
        ("", "Secret" | "ConfigMap") => Health::current("Resource is always ready"),
        ("batch", "CronJob") => Health::current("CronJob is always ready"),
        ("policy", "PodDisruptionBudget") => Health::current("AllowedDisruptions has been computed."),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => by_ready(object),
    }
}

/// Deletion aside, what holds for every kind before its own rules: the generation and the conditions of kstatus.
fn generic(object: &Value) -> Option<Health> {
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    if let (Some(observed), Some(generation)) = (observed, generation)
        && observed != generation
    {
        let kind = text(object, "/kind");
        return Some(Health::progress(format!(
            "{kind} generation is {generation}, but latest observed generation is {observed}"
        )));
    }
    for (name, status) in [("Reconciling", Status::InProgress), ("Stalled", Status::Failed)] {
        if let Some(condition) =
            condition(object, name).filter(|condition| text(condition, "/status") == "True")
        {
            return Some(Health::new(status, text(condition, "/message")));
        }
    }
    None
}

/// Any other kind: its Ready condition if it has one.
fn by_ready(object: &Value) -> Health {
    let Some(ready) = condition(object, "Ready") else { return Health::current("Resource is current") };
    let message = text(ready, "/message");
    match text(ready, "/status") {
        "True" => Health::current("Resource is Ready"),
        _ if message.is_empty() => Health::progress("Resource is not Ready"),
        _ => Health::progress(message),
    }
}

fn volume_claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::current("PVC is Bound"),
        "" => Health::progress("PVC is not Bound. phase: unknown"),
        phase => Health::progress(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn service(object: &Value) -> Health {
    if text(object, "/spec/type") == "LoadBalancer" && text(object, "/spec/clusterIP").is_empty() {
        return Health::progress("ClusterIP not set. Service type: LoadBalancer");
    }
    Health::current("Service is ready")
}

fn definition(object: &Value) -> Health {
    let state = |name| condition(object, name).map(|condition| (text(condition, "/status"), condition));
    if let Some(("False", names)) = state("NamesAccepted") {
        return Health::new(Status::Failed, text(names, "/message"));
    }
    match state("Established") {
        Some(("True", _)) => Health::current("CRD is established"),
        Some(("False", established)) if text(established, "/reason") != "Installing" => {
            Health::new(Status::Failed, text(established, "/message"))
        }
        _ => Health::progress("Install in progress"),
    }
}

/// One expression of `spec.healthCheckExprs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression {
    /// `inProgress`.
    InProgress,
    /// `failed`.
    Failed,
    /// `current`.
    Current,
}

/// The health of an object by the expressions of `spec.healthCheckExprs`.
///
/// `evaluate` says whether an expression holds for the object (one that is not given does not) or why that cannot be
/// told, which makes the object Unknown. An object whose observedGeneration is not its generation is InProgress
/// whatever the expressions say; so is one for which none holds.
pub fn by_expressions(
    object: &Value,
    mut evaluate: impl FnMut(Expression) -> Result<bool, String>,
) -> Health {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Health::new(Status::Terminating, "Resource scheduled for deletion");
    }
    let number = |pointer| object.pointer(pointer).and_then(Value::as_i64);
    if let Some(observed) = number("/status/observedGeneration")
        && number("/metadata/generation").is_some_and(|generation| generation != observed)
    {
        return Health::progress("latest generation is not observed yet");
    }
    for (expression, status) in [
        (Expression::InProgress, Status::InProgress),
        (Expression::Failed, Status::Failed),
        (Expression::Current, Status::Current),
    ] {
        match evaluate(expression) {
            Ok(true) => return Health::new(status, condition_message(object)),
            Ok(false) => {}
            Err(error) => return Health::new(Status::Unknown, error),
        }
    }
    Health::progress(condition_message(object))
}

/// The message of the Ready condition, which is the best that can be said of a custom resource.
fn condition_message(object: &Value) -> String {
    condition(object, "Ready").map(|ready| text(ready, "/message").to_owned()).unwrap_or_default()
}

/// The text at a pointer, empty when it is not there.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer.
fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The condition of a type.
fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == name)
}

#[cfg(test)]
mod tests;
