//! The status that each kind would have.

use serde_json::{Value, json};

use super::{Fate, NODE, Stage, set_condition};
use crate::json::{items, text};

/// Whether the status is not yet what [`set`] would make it in the end.
pub(super) fn needs_work(key: &str, object: &Value, fate: &Fate) -> bool {
    let mut wanted = object.clone();
    set(key, &mut wanted, fate, Stage::Final);
    if key == "/pods" {
        if !fits_node(&object["spec"]) {
            return false;
        }
        if text(&object["spec"], "nodeName").is_empty() {
            return true;
        }
    }
    !crate::merge::same(&wanted["status"], &object["status"])
}

/// Writes the status of a stage.
pub(super) fn set(key: &str, object: &mut Value, fate: &Fate, stage: Stage) {
    let works = stage == Stage::Final && *fate == Fate::Succeeds;
    match key {
        "apps/deployments" => deployment(object, fate, stage),
        "apps/statefulsets" => stateful_set(object, works),
        "apps/daemonsets" => daemon_set(object, works),
        "apps/replicasets" => replica_set(object, works),
        "batch/jobs" => job(object, fate, stage),
        "/services" if works && object["spec"]["type"] == "LoadBalancer" => load_balancer(object),
        "/persistentvolumeclaims" if works => {
            object["status"]["phase"] = "Bound".into();
            object["status"]["accessModes"] = object["spec"]["accessModes"].clone();
            object["status"]["capacity"] =
                json!({"storage": object["spec"]["resources"]["requests"]["storage"]});
        }
        "/persistentvolumes" if works && object["spec"]["claimRef"].is_null() => {
            object["status"]["phase"] = "Available".into()
        }
        "/pods" => pod(object, fate, stage),
        "policy/poddisruptionbudgets" if works => {
            let generation = object["metadata"]["generation"].clone();
            let ok = json!({"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": "", "observedGeneration": generation});
            object["status"]["observedGeneration"] = generation;
            for count in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
                object["status"][count] = 0.into();
            }
            set_condition(object, &ok);
        }
        _ => {}
    }
}

/// A status without the counts that are zero, as Kubernetes writes it.
fn counts(object: &mut Value, counts: &[(&str, i64)]) {
    let generation = object["metadata"]["generation"].clone();
    let conditions = object["status"]["conditions"].clone();
    let mut status = json!({"observedGeneration": generation});
    for (name, count) in counts {
        if *count != 0 {
            status[*name] = (*count).into();
        }
    }
    if !items(&conditions).is_empty() {
        status["conditions"] = conditions;
    }
    object["status"] = status;
}

fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn deployment(object: &mut Value, fate: &Fate, stage: Stage) {
    let (wanted, name) = (replicas(object), text(&object["metadata"], "name").to_owned());
    let set_name = format!("{name}-{}", hash(&object["spec"]["template"]));
    let works = stage == Stage::Final && *fate == Fate::Succeeds || wanted == 0;
    let Rollout { updated, ready, revision } = rollout(object, &set_name, wanted, works);
    counts(
        object,
        &[
            ("replicas", wanted),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", wanted - ready),
        ],
    );
    let enough = works || ready > 0 && ready >= wanted - unavailable(object, wanted);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let now = crate::clock::now_text();
        json!({"type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": now, "reason": reason, "message": message})
    };
    let available = if enough {
        condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        condition(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let progressing = match (works, fate, stage) {
        (true, _, _) => condition(
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            &format!("ReplicaSet {set_name:?} has successfully progressed."),
        ),
        (false, Fate::Fails(message), Stage::Final) => {
            condition("Progressing", "False", "ProgressDeadlineExceeded", message)
        }
        (false, _, _) => condition(
            "Progressing",
            "True",
            "ReplicaSetUpdated",
            &format!("ReplicaSet {set_name:?} is progressing."),
        ),
    };
    for mut fresh in [available, progressing] {
        let old = items(&object["status"]["conditions"]).iter().find(|c| c["type"] == fresh["type"]);
        if let Some(old) = old.filter(|o| ["status", "reason", "message"].iter().all(|k| o[*k] == fresh[*k]))
        {
            fresh["lastUpdateTime"] = old["lastUpdateTime"].clone();
        }
        set_condition(object, &fresh);
    }
    object["metadata"]["annotations"][REVISION] = revision.to_string().into();
}

const REVISION: &str = "deployment.kubernetes.io/revision";

/// How far new pods have replaced old ones.
struct Rollout {
    updated: i64,
    ready: i64,
    revision: i64,
}

/// Old pods stay ready until new ones are: a rollout that hangs leaves the workload available, as a real one does.
fn rollout(object: &Value, set_name: &str, wanted: i64, works: bool) -> Rollout {
    let status = &object["status"];
    let count = |key: &str| status[key].as_i64().unwrap_or_default();
    let progressing = items(&status["conditions"]).iter().find(|c| c["type"] == "Progressing");
    let seen = status["observedGeneration"] == object["metadata"]["generation"];
    let same = progressing.is_none_or(|c| seen || text(c, "message").contains(set_name));
    let revision = text(&object["metadata"]["annotations"], REVISION).parse::<i64>().unwrap_or(0).max(1);
    let updated = if works || progressing.is_none() || same && count("updatedReplicas") == count("replicas") {
        wanted
    } else if same {
        count("updatedReplicas").min(wanted)
    } else {
        0
    };
    let ready = if works { wanted } else { count("readyReplicas").min(wanted) };
    Rollout { updated, ready, revision: if same { revision } else { revision + 1 } }
}

/// Pods that may be missing from an available Deployment.
fn unavailable(object: &Value, wanted: i64) -> i64 {
    match &object["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] {
        Value::String(share) => {
            share.strip_suffix('%').and_then(|n| n.parse::<i64>().ok()).map_or(0, |n| wanted * n / 100)
        }
        other => other.as_i64().unwrap_or_default(),
    }
}

/// Ten letters that change with a template, as names of ReplicaSets end with.
fn hash(template: &Value) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = ring::digest::digest(&ring::digest::SHA256, template.to_string().as_bytes());
    digest
        .as_ref()
        .iter()
        .take(10)
        .map(|b| ALPHABET.get(usize::from(*b) % 27).map_or('x', |c| char::from(*c)))
        .collect()
}

fn stateful_set(object: &mut Value, works: bool) {
    let wanted = replicas(object);
    let revision = format!("{}-{}", text(&object["metadata"], "name"), hash(&object["spec"]["template"]));
    let before = text(&object["status"], "currentRevision").to_owned();
    let current = if works || before.is_empty() { revision.clone() } else { before };
    let ready = if works {
        wanted
    } else {
        object["status"]["readyReplicas"].as_i64().unwrap_or_default().min(wanted)
    };
    let updated = if current == revision { ready } else { 0 };
    counts(object, &[("readyReplicas", ready), ("currentReplicas", ready), ("updatedReplicas", updated)]);
    let status = &mut object["status"];
    status["replicas"] = wanted.into();
    status["availableReplicas"] = ready.into();
    status["currentRevision"] = current.into();
    status["updateRevision"] = revision.into();
    status["collisionCount"] = 0.into();
}

fn daemon_set(object: &mut Value, works: bool) {
    // One node, if the pods may run there.
    let wanted = i64::from(fits_node(&object["spec"]["template"]["spec"]));
    let ready = if works { wanted } else { 0 };
    counts(
        object,
        &[
            ("updatedNumberScheduled", wanted),
            ("numberAvailable", ready),
            ("numberUnavailable", wanted - ready),
        ],
    );
    for (name, count) in [
        ("currentNumberScheduled", wanted),
        ("numberMisscheduled", 0),
        ("desiredNumberScheduled", wanted),
        ("numberReady", ready),
    ] {
        object["status"][name] = count.into();
    }
}

/// Whether a pod may run on the one node: it asks for no other, and for no label that the node lacks.
pub(super) fn fits_node(spec: &Value) -> bool {
    let labels = super::node_labels();
    let bound = text(spec, "nodeName");
    let mut wanted = spec["nodeSelector"].as_object().into_iter().flatten();
    (bound.is_empty() || bound == NODE) && wanted.all(|(key, value)| labels[key.as_str()] == *value)
}

fn replica_set(object: &mut Value, works: bool) {
    let wanted = replicas(object);
    let ready = if works { wanted } else { 0 };
    counts(
        object,
        &[("fullyLabeledReplicas", wanted), ("readyReplicas", ready), ("availableReplicas", ready)],
    );
    object["status"]["replicas"] = wanted.into();
}

fn job(object: &mut Value, fate: &Fate, stage: Stage) {
    let wanted = object["spec"]["completions"]
        .as_i64()
        .or_else(|| object["spec"]["parallelism"].as_i64())
        .unwrap_or(1);
    let active = object["spec"]["parallelism"].as_i64().unwrap_or(1);
    let now = crate::clock::now_text();
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now, "reason": reason, "message": message});
    let finished = items(&object["status"]["conditions"])
        .iter()
        .any(|c| matches!(text(c, "type"), "Complete" | "Failed") && c["status"] == "True");
    if finished {
        return;
    }
    if object["spec"]["suspend"] == true {
        set_condition(object, &condition("Suspended", "JobSuspended", "Job suspended"));
        return;
    }
    let status = &mut object["status"];
    if status["startTime"].is_null() {
        status["startTime"] = now.as_str().into();
    }
    status["terminating"] = 0.into();
    status["ready"] = 0.into();
    status["uncountedTerminatedPods"] = json!({});
    match (stage, fate) {
        (Stage::Final, Fate::Succeeds) => {
            crate::json::remove(status, "active");
            status["succeeded"] = wanted.into();
            status["completionTime"] = now.as_str().into();
            let message = "Reached expected number of succeeded pods";
            set_condition(object, &condition("SuccessCriteriaMet", "CompletionsReached", message));
            set_condition(object, &condition("Complete", "CompletionsReached", message));
        }
        (Stage::Final, Fate::Fails(message)) => {
            crate::json::remove(status, "active");
            status["failed"] = 1.into();
            set_condition(object, &condition("FailureTarget", "BackoffLimitExceeded", message));
            set_condition(object, &condition("Failed", "BackoffLimitExceeded", message));
        }
        (Stage::Accepted, _) | (_, Fate::Hangs) => {
            status["active"] = active.into();
        }
    }
}

fn load_balancer(object: &mut Value) {
    if items(&object["status"]["loadBalancer"]["ingress"]).is_empty() {
        let digest = ring::digest::digest(&ring::digest::SHA256, text(&object["metadata"], "uid").as_bytes());
        let last = digest.as_ref().first().map_or(1, |b| b % 250 + 1);
        object["status"]["loadBalancer"]["ingress"] =
            json!([{"ip": format!("203.0.113.{last}"), "ipMode": "VIP"}]);
    }
}

fn pod(object: &mut Value, fate: &Fate, stage: Stage) {
    if matches!(text(&object["status"], "phase"), "Succeeded" | "Failed") || stage == Stage::Accepted {
        return;
    }
    let now = crate::clock::now_text();
    let once = matches!(text(&object["spec"], "restartPolicy"), "Never" | "OnFailure");
    let (phase, ready) = match fate {
        Fate::Hangs => ("Pending", false),
        Fate::Fails(_) if once => ("Failed", false),
        Fate::Fails(_) => ("Running", false),
        Fate::Succeeds if once => ("Succeeded", false),
        Fate::Succeeds => ("Running", true),
    };
    let containers = items(&object["spec"]["containers"]).to_vec();
    let status = &mut object["status"];
    status["phase"] = phase.into();
    if status["startTime"].is_null() {
        status["startTime"] = now.as_str().into();
        status["hostIP"] = "127.0.0.1".into();
        status["hostIPs"] = json!([{"ip": "127.0.0.1"}]);
        let states: Vec<Value> = containers.iter().map(|c| container(c, phase, ready, fate, &now)).collect();
        status["containerStatuses"] = states.into();
    }
    for (kind, on) in
        [("PodScheduled", true), ("Initialized", true), ("ContainersReady", ready), ("Ready", ready)]
    {
        set_condition(
            object,
            &json!({"type": kind, "status": if on { "True" } else { "False" }, "lastProbeTime": null}),
        );
    }
}

fn container(container: &Value, phase: &str, ready: bool, fate: &Fate, now: &str) -> Value {
    let state = match (phase, fate) {
        ("Running", Fate::Fails(message)) => {
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
        }
        ("Running", _) => json!({"running": {"startedAt": now}}),
        ("Succeeded", _) => {
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}})
        }
        ("Failed", Fate::Fails(message)) => {
            json!({"terminated": {"exitCode": 1, "reason": "Error", "message": message, "startedAt": now, "finishedAt": now}})
        }
        _ => json!({"waiting": {"reason": "ContainerCreating"}}),
    };
    json!({"name": text(container, "name"), "image": text(container, "image"), "imageID": "", "ready": ready, "started": ready,
        "restartCount": 0, "state": state, "lastState": {}})
}
