//! The few built-in kinds that are served in two versions.

use serde_json::{Map, Value, json};

use crate::json::{items, remove, text};
use crate::resources::Resource;

/// Names of an event's fields in `v1` and in `events.k8s.io/v1`.
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("source", "deprecatedSource"),
    ("reportingComponent", "reportingController"),
];
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

/// From the stored version to the one of `resource`.
pub(crate) fn from_storage(resource: &Resource, value: &mut Value) {
    if resource.group == "events.k8s.io" {
        rename(value, |(core, new)| (core, new));
    } else if resource.group == "autoscaling" && resource.version == "v1" {
        autoscaler_to_v1(value);
    }
    crate::resources::set_version(value, &resource.group, &resource.version);
    crate::schema::normalize(resource, value);
}

/// From the version of `resource` to the stored one.
pub(crate) fn to_storage(resource: &Resource, value: &mut Value) {
    if resource.group == "events.k8s.io" {
        rename(value, |(core, new)| (new, core));
        value["apiVersion"] = "v1".into();
    } else if resource.group == "autoscaling" && resource.version == "v1" {
        autoscaler_to_v2(value);
        value["apiVersion"] = "autoscaling/v2".into();
    } else if resource.version != resource.storage {
        crate::resources::set_version(value, &resource.group, &resource.storage);
    }
}

fn rename(
    value: &mut Value,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Some(object) = value.as_object_mut() else { return };
    let mut out = Map::new();
    for (key, field) in std::mem::take(object) {
        let found = EVENT.iter().map(|pair| direction(*pair)).find(|(from, _)| *from == key);
        out.insert(found.map_or(key, |(_, to)| to.to_owned()), field);
    }
    *object = out;
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && metric["resource"]["target"]["type"] == "Utilization"
}

fn autoscaler_to_v1(value: &mut Value) {
    let metrics = remove(&mut value["spec"], "metrics").unwrap_or_default();
    let (cpu, others): (Vec<&Value>, Vec<&Value>) = items(&metrics).iter().partition(|m| is_cpu(m));
    if let Some(first) = cpu.first() {
        value["spec"]["targetCPUUtilizationPercentage"] =
            first["resource"]["target"]["averageUtilization"].clone();
    }
    if !others.is_empty() {
        value["metadata"]["annotations"][METRICS] = json!(others).to_string().into();
    }
    remove(&mut value["spec"], "behavior");
    let status = &mut value["status"];
    remove(status, "conditions");
    let current = remove(status, "currentMetrics").unwrap_or_default();
    if let Some(cpu) = items(&current).iter().find(|m| m["resource"]["name"] == "cpu") {
        status["currentCPUUtilizationPercentage"] = cpu["resource"]["current"]["averageUtilization"].clone();
    }
}

fn autoscaler_to_v2(value: &mut Value) {
    let cpu = remove(&mut value["spec"], "targetCPUUtilizationPercentage").filter(|v| !v.is_null());
    let noted = text(&value["metadata"]["annotations"], METRICS).to_owned();
    let mut metrics: Vec<Value> = serde_json::from_str(&noted).unwrap_or_default();
    if !noted.is_empty() {
        remove(&mut value["metadata"]["annotations"], METRICS);
    }
    if let Some(percent) = cpu {
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}));
    }
    if metrics.is_empty() {
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}));
    }
    value["spec"]["metrics"] = metrics.into();
    remove(&mut value["status"], "currentCPUUtilizationPercentage");
}
