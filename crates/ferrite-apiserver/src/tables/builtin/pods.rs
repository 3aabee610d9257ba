//! A pod's row: how many containers are ready, and the one word for its state.

use serde_json::Value;

use super::NONE;
use crate::json::{items, text};

pub(super) fn cells(pod: &Value, age: Value) -> Vec<Value> {
    let status = &pod["status"];
    let total = items(&pod["spec"]["containers"]).len();
    let states = items(&status["containerStatuses"]);
    let ready = states.iter().filter(|s| s["ready"] == true && !s["state"]["running"].is_null()).count();
    let restarts: i64 = states.iter().map(|s| s["restartCount"].as_i64().unwrap_or_default()).sum();
    let or_none = |t: &str| -> Value { if t.is_empty() { NONE.into() } else { t.into() } };
    let ip = items(&status["podIPs"]).first().map_or_else(|| text(status, "podIP"), |i| text(i, "ip"));
    vec![
        format!("{ready}/{total}").into(),
        reason(pod).into(),
        restarts.to_string().into(),
        age,
        or_none(ip),
        or_none(text(&pod["spec"], "nodeName")),
        or_none(text(status, "nominatedNodeName")),
        gates(pod).into(),
    ]
}

fn gates(pod: &Value) -> String {
    let gates = items(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let met = |gate: &&Value| {
        items(&pod["status"]["conditions"])
            .iter()
            .any(|c| c["type"] == gate["conditionType"] && c["status"] == "True")
    };
    format!("{}/{}", gates.iter().filter(met).count(), gates.len())
}

/// Phase, or what better says why the pod is not running.
fn reason(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = match text(status, "reason") {
        "" => text(status, "phase").to_owned(),
        reason => reason.to_owned(),
    };
    let gated = items(&status["conditions"])
        .iter()
        .any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated");
    if gated {
        reason = "SchedulingGated".to_owned();
    }
    let inits = items(&status["initContainerStatuses"]);
    let total = items(&pod["spec"]["initContainers"]).len();
    for (i, state) in inits.iter().enumerate() {
        let ended = &state["state"]["terminated"];
        if ended["exitCode"] == 0 || state["started"] == true {
            continue;
        }
        let waiting = text(&state["state"]["waiting"], "reason");
        return if ended.is_object() {
            ended_as("Init:", ended)
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{i}/{total}")
        };
    }
    let mut running = false;
    for state in items(&status["containerStatuses"]).iter().rev() {
        let (waiting, ended) = (text(&state["state"]["waiting"], "reason"), &state["state"]["terminated"]);
        if !waiting.is_empty() {
            reason = waiting.to_owned();
        } else if ended.is_object() {
            reason = ended_as("", ended);
        } else if state["ready"] == true && !state["state"]["running"].is_null() {
            running = true;
        }
    }
    if reason == "Completed" && running {
        let ready =
            items(&status["conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        reason = if ready { "Running" } else { "NotReady" }.to_owned();
    }
    let going = !pod["metadata"]["deletionTimestamp"].is_null();
    match (going, text(status, "reason")) {
        (true, "NodeLost") => "Unknown".to_owned(),
        (true, _) if !matches!(text(status, "phase"), "Succeeded" | "Failed") => "Terminating".to_owned(),
        _ => reason,
    }
}

fn ended_as(prefix: &str, ended: &Value) -> String {
    match (text(ended, "reason"), ended["signal"].as_i64().unwrap_or_default()) {
        ("", 0) => format!("{prefix}ExitCode:{}", ended["exitCode"]),
        ("", signal) => format!("{prefix}Signal:{signal}"),
        (reason, _) => format!("{prefix}{reason}"),
    }
}
