//! When an object counts as ready, where kstatus does not decide.

use ferrite_resource::{Health, Status};
use serde_json::Value;

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The message of a condition that is true.
fn condition(object: &Value, kind: &str) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array)?;
    let found = conditions.iter().find(|c| text(c.get("type")) == kind && text(c.get("status")) == "True")?;
    Some(text(found.get("message")).to_owned())
}

/// The health of a Job or Pod that has to come to an end; `None` for other kinds.
pub(super) fn completed(object: &Value, kind: &str) -> Option<Health> {
    if text(object.get("kind")) != kind {
        return None;
    }
    let name = text(object.pointer("/metadata/name"));
    let (status, message) = if kind == "Pod" {
        match text(object.pointer("/status/phase")) {
            "Succeeded" => (Status::Current, format!("pod {name} succeeded")),
            "Failed" => {
                let why = text(object.pointer("/status/message"));
                let colon = if why.is_empty() { "" } else { ": " };
                (Status::Failed, format!("pod {name} failed{colon}{why}"))
            }
            _ => (Status::InProgress, "Pod in progress".to_owned()),
        }
    } else {
        match (condition(object, "Complete"), condition(object, "Failed")) {
            (Some(_), _) => (Status::Current, String::new()),
            (None, Some(why)) => (Status::Failed, why),
            (None, None) => (Status::InProgress, "Job in progress".to_owned()),
        }
    };
    Some(Health::new(status, message))
}

/// The readiness of an object by the rules of Helm 3 (`pkg/kube/ready.go`).
///
/// A Deployment's pods are counted by its own status, where Helm looks for the newest ReplicaSet: it counts the same
/// once the Deployment is up to date.
pub(super) fn legacy(object: &Value, jobs: bool) -> Health {
    let waiting = match text(object.get("kind")) {
        "Pod" => pod(object),
        "Job" => job(object, jobs),
        "Deployment" => deployment(object),
        "PersistentVolumeClaim" if text(object.pointer("/status/phase")) != "Bound" => {
            Some("PersistentVolumeClaim is not bound".to_owned())
        }
        "Service" => service(object),
        "DaemonSet" => daemon_set(object),
        "CustomResourceDefinition" if condition(object, "Established").is_none() => {
            Some("CRD is not ready".to_owned())
        }
        "StatefulSet" => stateful_set(object),
        "ReplicationController" | "ReplicaSet" => replicas(object),
        _ => None,
    };
    match waiting {
        None => Health::new(Status::Current, "Resource is ready"),
        Some(why) => Health::new(Status::InProgress, why),
    }
}

fn pod(object: &Value) -> Option<String> {
    condition(object, "Ready").is_none().then(|| "Pod is not ready".to_owned())
}

fn job(object: &Value, jobs: bool) -> Option<String> {
    if !jobs {
        return None;
    }
    let failed = number(object, "/status/failed").unwrap_or(0);
    let limit = number(object, "/spec/backoffLimit").unwrap_or(6);
    if failed > limit {
        return Some("Job is failed".to_owned());
    }
    let wanted = number(object, "/spec/completions");
    let succeeded = number(object, "/status/succeeded").unwrap_or(0);
    let complete =
        wanted.map_or_else(|| condition(object, "Complete").is_some() || succeeded > 0, |n| succeeded >= n);
    (!complete).then(|| "Job is not completed".to_owned())
}

fn stale(object: &Value) -> bool {
    number(object, "/status/observedGeneration") < number(object, "/metadata/generation")
}

/// A number, or a percentage of `of`.
fn share(value: Option<&Value>, of: i64, up: bool) -> i64 {
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let whole = of.saturating_mul(percent);
            if up { (whole + 99) / 100 } else { whole / 100 }
        }
        _ => 0,
    }
}

fn deployment(object: &Value) -> Option<String> {
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return None;
    }
    let replicas = number(object, "/spec/replicas").unwrap_or(1);
    let rolling = text(object.pointer("/spec/strategy/type")) != "Recreate";
    let unavailable = object.pointer("/spec/strategy/rollingUpdate/maxUnavailable");
    let surge = object.pointer("/spec/strategy/rollingUpdate/maxSurge");
    let spare = if rolling { share(unavailable, replicas, false) } else { 0 };
    // Kubernetes lets one be unavailable where both come to nothing.
    let spare = if rolling && spare == 0 && share(surge, replicas, true) == 0 { 1 } else { spare };
    let expected = replicas - spare;
    let ready = number(object, "/status/updatedReplicas")
        .unwrap_or(0)
        .min(number(object, "/status/readyReplicas").unwrap_or(0));
    (stale(object) || ready < expected)
        .then(|| format!("Deployment is not ready: {ready} out of {expected} expected pods are ready"))
}

fn service(object: &Value) -> Option<String> {
    if text(object.pointer("/spec/type")) == "ExternalName" {
        return None;
    }
    if text(object.pointer("/spec/clusterIP")).is_empty() {
        return Some("Service does not have cluster IP address".to_owned());
    }
    let external = object.pointer("/spec/externalIPs").and_then(Value::as_array);
    let ingress = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let balanced = text(object.pointer("/spec/type")) == "LoadBalancer";
    let reachable = [external, ingress].into_iter().flatten().any(|list| !list.is_empty());
    (balanced && !reachable).then(|| "Service does not have load balancer ingress IP address".to_owned())
}

fn daemon_set(object: &Value) -> Option<String> {
    if text(object.pointer("/spec/updateStrategy/type")) == "OnDelete" {
        return None;
    }
    let desired = number(object, "/status/desiredNumberScheduled").unwrap_or(0);
    let updated = number(object, "/status/updatedNumberScheduled").unwrap_or(0);
    let unavailable =
        share(object.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable"), desired, true);
    let expected = desired - unavailable;
    let ready = number(object, "/status/numberReady").unwrap_or(0);
    (stale(object) || updated != desired || ready < expected)
        .then(|| format!("DaemonSet is not ready: {ready} out of {expected} expected pods are ready"))
}

fn stateful_set(object: &Value) -> Option<String> {
    if text(object.pointer("/spec/updateStrategy/type")) == "OnDelete" {
        return None;
    }
    let replicas = number(object, "/spec/replicas").unwrap_or(1);
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    let ready = number(object, "/status/readyReplicas").unwrap_or(0);
    let current = text(object.pointer("/status/currentRevision"));
    let old = partition == 0 && current != text(object.pointer("/status/updateRevision"));
    (stale(object) || updated < replicas - partition || ready != replicas || old)
        .then(|| format!("StatefulSet is not ready: {ready} out of {replicas} expected pods are ready"))
}

fn replicas(object: &Value) -> Option<String> {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let ready = number(object, "/status/readyReplicas").unwrap_or(0);
    (stale(object) || ready < wanted).then(|| format!("{ready} out of {wanted} expected pods are ready"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn helm_3_had_rules_of_its_own() {
        let check = |object: Value, ready: bool| {
            let health = legacy(&object, true);
            assert_eq!(health.status == Status::Current, ready, "{object}: {}", health.message);
        };
        let deployment = |spec: Value, status: Value| json!({"kind": "Deployment", "metadata": {"generation": 1}, "spec": spec, "status": status});
        let quarter = json!({"replicas": 4, "strategy": {"rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}});
        let status =
            |ready: i64| json!({"observedGeneration": 1, "updatedReplicas": 4, "readyReplicas": ready});
        check(deployment(quarter.clone(), status(3)), true);
        check(deployment(quarter.clone(), status(2)), false);
        check(deployment(json!({"replicas": 4, "strategy": {"type": "Recreate"}}), status(3)), false);
        check(deployment(json!({"paused": true}), json!({})), true);
        check(deployment(json!({"replicas": 0}), json!({"observedGeneration": 0})), false);
        check(json!({"kind": "Service", "spec": {"type": "ExternalName"}}), true);
        check(json!({"kind": "Service", "spec": {"clusterIP": "10.0.0.1"}}), true);
        check(json!({"kind": "Service", "spec": {"clusterIP": "10.0.0.1", "type": "LoadBalancer"}}), false);
        check(json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}), false);
        check(json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Bound"}}), true);
        let job = |status: Value| json!({"kind": "Job", "spec": {"completions": 1, "backoffLimit": 0}, "status": status});
        check(job(json!({"succeeded": 1})), true);
        check(job(json!({"active": 1})), false);
        assert_eq!(legacy(&job(json!({"active": 1})), false).status, Status::Current);
        check(json!({"kind": "ConfigMap"}), true);
        check(
            json!({"kind": "Widget", "status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
            true,
        );
    }

    #[test]
    fn jobs_and_pods_come_to_an_end() {
        let pod = |phase: &str| json!({"kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": phase}});
        assert_eq!(completed(&pod("Succeeded"), "Pod").unwrap().status, Status::Current);
        assert_eq!(completed(&pod("Failed"), "Pod").unwrap(), Health::new(Status::Failed, "pod p failed"));
        assert_eq!(completed(&pod("Running"), "Pod").unwrap().status, Status::InProgress);
        assert_eq!(completed(&pod("Running"), "Job"), None);
    }
}
