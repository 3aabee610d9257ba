//! Pods, and what they say about the workload that selects them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Health, Status, condition, text};

/// How long a pod may be unschedulable before it has failed.
const SCHEDULE_WINDOW: Duration = Duration::from_secs(15);
/// At most this many characters of evidence.
const MAX_EVIDENCE: usize = 300;

/// Where to look for the pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodQuery {
    /// Their namespace.
    pub namespace: String,
    /// A label selector in Kubernetes' syntax.
    pub selector: String,
    /// The pods decide about the status, not only about the evidence.
    pub decides: bool,
}

impl PodQuery {
    /// The query for the pods of a workload; `None` for other kinds and for a selector that selects everything.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let kind = text(object, "/kind");
        let decides = match kind {
            "StatefulSet" | "ReplicaSet" => true,
            "Deployment" | "DaemonSet" | "Job" => false,
            _ => return None,
        };
        let selector = object.pointer("/spec/selector")?;
        let mut parts = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            parts.push(format!("{key}={}", value.as_str()?));
        }
        for need in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = text(need, "/key");
            let values: Vec<&str> = need
                .get("values")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            parts.push(match text(need, "/operator") {
                "In" => format!("{key} in ({})", values.join(",")),
                "NotIn" => format!("{key} notin ({})", values.join(",")),
                "Exists" => key.to_owned(),
                "DoesNotExist" => format!("!{key}"),
                _ => return None,
            });
        }
        if parts.is_empty() {
            return None;
        }
        Some(Self {
            namespace: text(object, "/metadata/namespace").to_owned(),
            selector: parts.join(","),
            decides,
        })
    }
}

pub(super) fn pod(object: &Value, now: Timestamp) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => Health::current("Pod has completed successfully"),
        "Failed" => Health::current("Pod has completed, but not successfully"),
        "Running" => running(object),
        "Pending" => pending(object, now),
        "" => Health::progress("Pod phase not available"),
        phase => Health::progress(format!("Pod is in the {phase} phase")),
    }
}

fn running(object: &Value) -> Health {
    if condition(object, "Ready").is_some_and(|ready| text(ready, "/status") == "True") {
        return Health::current("Pod is Ready");
    }
    let looping: Vec<&str> = containers(object)
        .filter(|container| text(container, "/state/waiting/reason") == "CrashLoopBackOff")
        .map(|container| text(container, "/name"))
        .collect();
    if looping.is_empty() {
        Health::progress("Pod is running but is not Ready")
    } else {
        let names = looping.join(",");
        Health::new(Status::Failed, format!("The following containers are in CrashLoopBackOff: {names}"))
    }
}

fn pending(object: &Value, now: Timestamp) -> Health {
    let Some(scheduled) = unschedulable(object) else {
        return Health::progress("Pod is in the Pending phase");
    };
    let since = text(object, "/metadata/creationTimestamp").parse::<Timestamp>().ok();
    let age = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    let message = text(scheduled, "/message");
    match age {
        Some(age) if age < SCHEDULE_WINDOW => Health {
            recheck: Some(SCHEDULE_WINDOW.saturating_sub(age) + Duration::from_millis(50)),
            ..Health::progress("Pod has not been scheduled")
        },
        _ if message.is_empty() => Health::new(Status::Failed, "Pod could not be scheduled"),
        _ => Health::new(Status::Failed, format!("Pod could not be scheduled: {message}")),
    }
}

fn unschedulable(object: &Value) -> Option<&Value> {
    condition(object, "PodScheduled").filter(|scheduled| {
        text(scheduled, "/status") == "False" && text(scheduled, "/reason") == "Unschedulable"
    })
}

/// Whether a pod makes the set that owns it fail. One that loops, cannot be scheduled yet or is being deleted does not.
pub(super) fn has_failed(pod: &Value) -> bool {
    let deleted = pod.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
    !deleted && text(pod, "/status/phase") == "Failed"
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.pointer(pointer))
        .filter_map(Value::as_array)
        .flatten()
}

/// What best explains that a workload is not ready: the pod, the container and its message, else a condition of the
/// object itself. At most 300 characters; `None` when nothing says more than the status does.
#[must_use]
pub fn evidence(object: &Value, pods: &[Value]) -> Option<String> {
    let of_pods = pods.iter().filter_map(|pod| complaint(pod).map(|found| (found, pod)));
    let worst = of_pods.max_by_key(|((weight, _), _)| *weight);
    let told = match worst {
        Some(((_, told), pod)) => format!("pod {}: {told}", text(pod, "/metadata/name")),
        None => unmet_condition(object)?,
    };
    let told = told.replace(['\n', '\r'], " ");
    if told.chars().count() <= MAX_EVIDENCE {
        return Some(told);
    }
    Some(told.chars().take(MAX_EVIDENCE).chain(['…']).collect())
}

/// The gravest complaint of a pod and its weight.
fn complaint(pod: &Value) -> Option<(u8, String)> {
    let of_containers = containers(pod).filter_map(|container| {
        let name = text(container, "/name");
        let reason = text(container, "/state/waiting/reason");
        if !matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
            let message = text(container, "/state/waiting/message");
            let last = ended(container, "/lastState/terminated").map(|how| format!(", last {how}"));
            let message = if message.is_empty() { String::new() } else { format!(": {message}") };
            return Some((
                4,
                format!("container {name} waits: {reason}{message}{}", last.unwrap_or_default()),
            ));
        }
        let failed =
            container.pointer("/state/terminated/exitCode").and_then(Value::as_i64).unwrap_or(0) != 0;
        let how = ended(container, "/state/terminated").filter(|_| failed)?;
        Some((3, format!("container {name} {how}")))
    });
    let of_pod = || {
        if let Some(scheduled) = unschedulable(pod) {
            return Some((2, format!("cannot be scheduled: {}", text(scheduled, "/message"))));
        }
        if text(pod, "/status/phase") == "Failed" {
            let (reason, message) = (text(pod, "/status/reason"), text(pod, "/status/message"));
            return Some((2, format!("failed: {reason} {message}").trim_end().to_owned()));
        }
        let ready = condition(pod, "Ready").filter(|ready| text(ready, "/status") == "False")?;
        let message = text(ready, "/message");
        (!message.is_empty() && text(pod, "/status/phase") != "Succeeded").then(|| (1, message.to_owned()))
    };
    of_containers.max_by_key(|(weight, _)| *weight).or_else(of_pod)
}

fn ended(container: &Value, pointer: &str) -> Option<String> {
    let ended = container.pointer(pointer)?;
    let code = ended.get("exitCode").and_then(Value::as_i64)?;
    let reason = text(ended, "/reason");
    let message = text(ended, "/message").trim();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    Some(format!("exited with code {code} ({reason}){message}"))
}

/// The condition of the object itself that says why it is not ready.
fn unmet_condition(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let grave = |condition: &&Value| {
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        match kind {
            "ReplicaFailure" | "Stalled" | "Failed" => status == "True",
            "Ready" | "Available" | "Progressing" | "Established" | "NamesAccepted" => status != "True",
            _ => false,
        }
    };
    let found = conditions.iter().filter(grave).find(|condition| !text(condition, "/message").is_empty())?;
    Some(format!("{}: {}", text(found, "/type"), text(found, "/message")))
}
