//! Deployments, StatefulSets, ReplicaSets, DaemonSets and Jobs.

use serde_json::Value;

use super::{Health, Status, condition, number, pods, text};

/// The deadline kubectl and kstatus read as "none".
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) fn deployment(object: &Value) -> Health {
    let progressing = condition(object, "Progressing");
    let reason = progressing.map_or("", |condition| text(condition, "/reason"));
    if reason == "ProgressDeadlineExceeded" {
        let message = progressing.map_or("", |condition| text(condition, "/message"));
        let message = if message.is_empty() { "Progress deadline exceeded" } else { message };
        return Health::new(Status::Failed, message);
    }
    let progressed = number(object, "/spec/progressDeadlineSeconds").is_none_or(|limit| limit == NO_DEADLINE)
        || (reason == "NewReplicaSetAvailable"
            && progressing.is_some_and(|condition| text(condition, "/status") == "True"));
    let available_condition =
        condition(object, "Available").is_some_and(|condition| text(condition, "/status") == "True");

    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let (replicas, updated) = (count("replicas"), count("updatedReplicas"));
    let (ready, available) = (count("readyReplicas"), count("availableReplicas"));
    if wanted > replicas {
        Health::progress(format!("replicas: {replicas}/{wanted}"))
    } else if wanted > updated {
        Health::progress(format!("Updated: {updated}/{wanted}"))
    } else if replicas > wanted {
        Health::progress(format!("Pending termination: {}", replicas - wanted))
    } else if updated > available {
        Health::progress(format!("Available: {available}/{updated}"))
    } else if wanted > ready {
        Health::progress(format!("Ready: {ready}/{wanted}"))
    } else if !progressed {
        Health::progress("ReplicaSet not Available")
    } else if !available_condition {
        Health::progress("Deployment not Available")
    } else {
        Health::current(format!("Deployment is available. Replicas: {replicas}"))
    }
}

pub(super) fn stateful_set(object: &Value, selected: &[Value]) -> Health {
    let health = stateful_set_itself(object);
    unless_pods_failed(health, selected)
}

fn stateful_set_itself(object: &Value) -> Health {
    if text(object, "/spec/updateStrategy/type").eq_ignore_ascii_case("OnDelete") {
        return Health::current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let (replicas, ready) = (count("replicas"), count("readyReplicas"));
    let (current, updated) = (count("currentReplicas"), count("updatedReplicas"));
    if wanted > replicas {
        return Health::progress(format!("Replicas: {replicas}/{wanted}"));
    }
    if wanted > ready {
        return Health::progress(format!("Ready: {ready}/{wanted}"));
    }
    if replicas > wanted {
        return Health::progress(format!("Pending termination: {}", replicas - wanted));
    }
    if let Some(partition) =
        number(object, "/spec/updateStrategy/rollingUpdate/partition").filter(|at| *at > 0)
    {
        let due = wanted.saturating_sub(partition);
        if updated < due {
            return Health::progress(format!("updated: {updated}/{due}"));
        }
        return Health::current(format!("Partition rollout complete. updated: {updated}"));
    }
    if wanted > current {
        return Health::progress(format!("current: {current}/{wanted}"));
    }
    if text(object, "/status/currentRevision") != text(object, "/status/updateRevision") {
        return Health::progress("Waiting for updated revision to match current");
    }
    Health::current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
}

pub(super) fn replica_set(object: &Value, selected: &[Value]) -> Health {
    unless_pods_failed(replica_set_itself(object), selected)
}

fn replica_set_itself(object: &Value) -> Health {
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| text(c, "/status") == "True") {
        let message = text(failure, "/message");
        return Health::progress(if message.is_empty() {
            "Replica Failure condition. Check Pods"
        } else {
            message
        });
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let (replicas, labelled) = (count("replicas"), count("fullyLabeledReplicas"));
    let (ready, available) = (count("readyReplicas"), count("availableReplicas"));
    if wanted > labelled {
        Health::progress(format!("Labelled: {labelled}/{wanted}"))
    } else if wanted > available {
        Health::progress(format!("Available: {available}/{wanted}"))
    } else if wanted > ready {
        Health::progress(format!("Ready: {ready}/{wanted}"))
    } else if replicas > wanted {
        Health::progress(format!("Pending termination: {}", replicas - wanted))
    } else {
        Health::current(format!("ReplicaSet is available. Replicas: {replicas}"))
    }
}

/// While a set is on its way, pods that cannot recover make it Failed.
fn unless_pods_failed(health: Health, selected: &[Value]) -> Health {
    if health.status != Status::InProgress {
        return health;
    }
    match selected.iter().filter(|pod| pods::has_failed(pod)).count() {
        0 => health,
        failed => Health::new(Status::Failed, format!("{failed} pods have failed")),
    }
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if number(object, "/metadata/generation").is_none()
        || number(object, "/status/observedGeneration").is_none()
    {
        return Health::progress("Missing .status.observedGeneration");
    }
    let Some(wanted) = number(object, "/status/desiredNumberScheduled") else {
        return Health::progress("Missing .status.desiredNumberScheduled");
    };
    for (word, field) in [
        ("Current", "currentNumberScheduled"),
        ("Updated", "updatedNumberScheduled"),
        ("Available", "numberAvailable"),
        ("Ready", "numberReady"),
    ] {
        let count = number(object, &format!("/status/{field}")).unwrap_or(0);
        if count < wanted {
            return Health::progress(format!("{word}: {count}/{wanted}"));
        }
    }
    Health::current(format!("All replicas scheduled as expected. Replicas: {wanted}"))
}

pub(super) fn job(object: &Value) -> Health {
    let held = |name| condition(object, name).filter(|condition| text(condition, "/status") == "True");
    if held("Suspended").is_some() || object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Health::current("Job Suspended");
    }
    if held("Complete").is_some() {
        return Health::current("Job Completed");
    }
    if let Some(failed) = held("Failed") {
        let message = text(failed, "/message");
        return Health::new(Status::Failed, if message.is_empty() { "Job Failed" } else { message });
    }
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    Health::progress(format!(
        "Job in progress. success:{}, active: {}, failed: {}",
        count("succeeded"),
        count("active"),
        count("failed")
    ))
}
