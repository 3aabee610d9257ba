//! Pods and their containers.

use ferrite_resource::health::PodQuery;
use kube::api::ListParams;
use serde_json::Value;

use crate::objects::{condition, dynamic, text};
use crate::session::Session;

/// The pods of a workload that are not ready, as values with their type; none when they cannot be read.
pub(crate) async fn unready(session: &Session, workload: &Value) -> Vec<Value> {
    let Some(query) = PodQuery::of(workload) else { return Vec::new() };
    let api = dynamic(session, ("", "v1", "Pod", "pods"), Some(&query.namespace));
    let Ok(found) = api.list(&ListParams::default().labels(&query.selector)).await else { return Vec::new() };
    let pods = found.items.into_iter().filter_map(|pod| {
        let mut pod = serde_json::to_value(pod).ok()?;
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        Some(pod)
    });
    let finished = |pod: &Value| text(pod, "/status/phase") == "Succeeded";
    let ready = |pod: &Value| condition(pod, "Ready").is_some_and(|ready| text(ready, "/status") == "True");
    pods.filter(|pod| !finished(pod) && !ready(pod)).collect()
}

/// What is wrong with the containers of a pod, one line each.
pub(crate) fn containers(pod: &Value) -> Vec<String> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.pointer(pointer)?.as_array())
        .flatten();
    let mut told: Vec<String> = statuses.filter_map(container).collect();
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|told| text(told, "/status") == "False") {
        told.push(format!("not scheduled: {}", text(scheduled, "/message")));
    }
    told
}

fn container(status: &Value) -> Option<String> {
    let name = text(status, "/name");
    let restarts = status.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
    let last = status
        .pointer("/lastState/terminated")
        .map(|ended| format!("; last {}", ending(ended)))
        .unwrap_or_default();
    let again = if restarts > 0 { format!(" ({restarts} restarts{last})") } else { String::new() };
    let image = text(status, "/image");
    if let Some(waiting) = status.pointer("/state/waiting") {
        let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        return Some(format!("container {name} ({image}) waits: {reason}{message}{again}"));
    }
    if let Some(ended) = status.pointer("/state/terminated") {
        let failed = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0) != 0;
        return failed.then(|| format!("container {name} ({image}) {}{again}", ending(ended)));
    }
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or(true);
    (!ready).then(|| format!("container {name} ({image}) runs and is not ready{again}"))
}

fn ending(ended: &Value) -> String {
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    let (reason, message) = (text(ended, "/reason"), text(ended, "/message"));
    let message = if message.is_empty() { String::new() } else { format!(": {}", message.trim_end()) };
    format!("ended with exit code {code} ({reason}){message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containers_tell_why_they_do_not_run() {
        let pod = json!({"status": {"containerStatuses": [
            {"name": "web", "image": "nope:1", "ready": false, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
            {"name": "job", "image": "a", "ready": false, "restartCount": 3,
             "state": {"waiting": {"reason": "CrashLoopBackOff"}},
             "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            {"name": "fine", "image": "b", "ready": true, "state": {"running": {}}},
        ]}});
        assert_eq!(
            containers(&pod),
            [
                "container web (nope:1) waits: ImagePullBackOff: no such image",
                "container job (a) waits: CrashLoopBackOff (3 restarts; last ended with exit code 137 (OOMKilled))",
            ]
        );
    }
}
