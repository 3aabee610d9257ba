//! Columns and cells of built-in kinds, as the real server prints them.

mod cluster;
mod network;
mod pods;
mod workloads;

use serde_json::{Value, json};

use super::{Column, Columns, age, duration};
use crate::json::{at, is_empty, items, text};
use crate::resources::Resource;

const NONE: &str = "<none>";

/// The line of a resource in the table of columns.
fn line(key: &str) -> Option<&'static str> {
    include_str!("columns.txt")
        .lines()
        .find_map(|l| l.split_once(' ').filter(|(k, _)| *k == key).map(|(_, rest)| rest))
}

pub(crate) fn columns(resource: &Resource) -> Columns {
    if resource.plural == "events" {
        return events();
    }
    let mut columns = vec![Column::new("Name", "string", "name", 0)];
    match line(&resource.key) {
        Some(line) => columns.extend(line.split('|').map(parse)),
        // What has no printer of its own: kind-less kinds.
        None => columns.push(Column::new("Age", "string", "", 0)),
    }
    columns
}

fn parse(text: &str) -> Column {
    match text {
        "@age" => return Column::new("Age", "string", "", 0),
        "@created" => return Column::new("Created At", "date", "", 0),
        _ => {}
    }
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let kind = parts.next().unwrap_or("string");
    let priority = parts.next().and_then(|p| p.parse().ok()).unwrap_or_default();
    Column::new(name, kind, "", priority)
}

fn events() -> Columns {
    [
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "integer", 1),
        ("Name", "string", 1),
    ]
    .map(|(name, kind, priority)| Column::new(name, kind, if name == "Name" { "name" } else { "" }, priority))
    .to_vec()
}

/// What says that a row is of something finished.
pub(crate) fn conditions(resource: &Resource, o: &Value) -> Option<Value> {
    if !resource.is("", "pods") {
        return None;
    }
    let (reason, message) = match text(&o["status"], "phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

pub(crate) fn cells(resource: &Resource, o: &Value) -> Vec<Value> {
    let name = o["metadata"]["name"].clone();
    let age: Value = age(&o["metadata"]["creationTimestamp"]).into();
    let rest: Vec<Value> = match &*resource.key {
        "/events" => return event(o, name),
        "/pods" => pods::cells(o, age),
        "apps/deployments"
        | "apps/replicasets"
        | "apps/statefulsets"
        | "apps/daemonsets"
        | "apps/controllerrevisions"
        | "batch/jobs"
        | "batch/cronjobs"
        | "/replicationcontrollers"
        | "/podtemplates" => workloads::workload(&resource.key, o, age),
        "/services"
        | "/endpoints"
        | "discovery.k8s.io/endpointslices"
        | "networking.k8s.io/ingresses"
        | "networking.k8s.io/ingressclasses"
        | "networking.k8s.io/networkpolicies" => network::network(&resource.key, o, age),
        "/persistentvolumes" | "/persistentvolumeclaims" => cluster::volume(&resource.key, o, age),
        "rbac.authorization.k8s.io/rolebindings" | "rbac.authorization.k8s.io/clusterrolebindings" => {
            binding(o, age)
        }
        "rbac.authorization.k8s.io/roles"
        | "rbac.authorization.k8s.io/clusterroles"
        | "/limitranges"
        | "apiextensions.k8s.io/customresourcedefinitions" => {
            vec![o["metadata"]["creationTimestamp"].clone()]
        }
        "/nodes" => cluster::node(o, age),
        "/resourcequotas" => quota(o, age),
        "autoscaling/horizontalpodautoscalers" => autoscaler(o, age),
        _ => small(&resource.key, o, age),
    };
    std::iter::once(name).chain(rest).collect()
}

/// The kinds that show a few fields as they are.
fn small(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let count =
        |v: &Value| -> Value { v.as_object().map_or_else(|| items(v).len(), serde_json::Map::len).into() };
    let field = |path: &[&str]| -> Value { shown(at(o, path)) };
    match key {
        "/namespaces" => vec![field(&["status", "phase"]), age],
        "/secrets" => vec![field(&["type"]), count(&o["data"]), age],
        "/configmaps" => {
            let total = [&o["data"], &o["binaryData"]]
                .iter()
                .filter_map(|m| m.as_object().map(serde_json::Map::len))
                .sum::<usize>();
            vec![total.into(), age]
        }
        "policy/poddisruptionbudgets" => {
            let bound = |v: &Value| -> Value { if v.is_null() { "N/A".into() } else { plain(v).into() } };
            let allowed = o["status"]["disruptionsAllowed"].as_i64().unwrap_or_default();
            vec![bound(&o["spec"]["minAvailable"]), bound(&o["spec"]["maxUnavailable"]), allowed.into(), age]
        }
        "apiregistration.k8s.io/apiservices" => {
            let service = &o["spec"]["service"];
            let shown = if service.is_object() {
                format!("{}/{}", text(service, "namespace"), text(service, "name"))
            } else {
                "Local".into()
            };
            let available = items(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Available");
            let state = match available {
                Some(c) if c["status"] == "True" => "True".to_owned(),
                Some(c) => format!("{} ({})", text(c, "status"), text(c, "reason")),
                None => "Unknown".to_owned(),
            };
            vec![shown.into(), state.into(), age]
        }
        "certificates.k8s.io/certificatesigningrequests" => {
            let conditions: Vec<&str> =
                items(&o["status"]["conditions"]).iter().map(|c| text(c, "type")).collect();
            let state = if conditions.is_empty() { "Pending".to_owned() } else { conditions.join(",") };
            let period = o["spec"]["expirationSeconds"].as_i64().map_or_else(|| NONE.to_owned(), duration);
            vec![
                age,
                field(&["spec", "signerName"]),
                field(&["spec", "username"]),
                period.into(),
                state.into(),
            ]
        }
        "coordination.k8s.io/leases" => vec![text(&o["spec"], "holderIdentity").into(), age],
        _ => cluster::rare(key, o, age),
    }
}

fn shown(value: &Value) -> Value {
    if value.is_null() { "".into() } else { plain(value).into() }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Labels as `a=b,c=d`.
fn labels(map: &Value) -> String {
    let mut parts: Vec<String> =
        map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", plain(v))).collect();
    parts.sort();
    if parts.is_empty() { NONE.to_owned() } else { parts.join(",") }
}

/// A `LabelSelector` as text.
fn selector(value: &Value) -> String {
    if value.is_null() {
        return NONE.to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    if !is_empty(&value["matchLabels"]) {
        parts.push(labels(&value["matchLabels"]));
    }
    for e in items(&value["matchExpressions"]) {
        let values: Vec<&str> = items(&e["values"]).iter().filter_map(Value::as_str).collect();
        let key = text(e, "key");
        parts.push(match text(e, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    if parts.is_empty() { NONE.to_owned() } else { parts.join(",") }
}

fn containers(spec: &Value) -> (String, String) {
    let list = items(&spec["containers"]);
    let join = |key: &str| list.iter().map(|c| text(c, key)).collect::<Vec<_>>().join(",");
    (join("name"), join("image"))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn binding(o: &Value, age: Value) -> Vec<Value> {
    let of = |kind: &str| {
        let named = items(&o["subjects"]).iter().filter(|s| s["kind"] == kind);
        let shown = named.map(|s| match text(s, "namespace") {
            "" => text(s, "name").to_owned(),
            namespace => format!("{namespace}/{}", text(s, "name")),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let role = format!("{}/{}", text(&o["roleRef"], "kind"), text(&o["roleRef"], "name"));
    vec![role.into(), age, of("User").into(), of("Group").into(), of("ServiceAccount").into()]
}

fn quota(o: &Value, age: Value) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let mut names: Vec<&String> =
        o["status"]["hard"].as_object().into_iter().flatten().map(|(k, _)| k).collect();
    names.sort();
    for name in names {
        let side = if name.starts_with("limits.") { &mut limits } else { &mut requests };
        side.push(format!(
            "{name}: {}/{}",
            plain(&o["status"]["used"][name]),
            plain(&o["status"]["hard"][name])
        ));
    }
    vec![requests.join(", ").into(), limits.join(", ").into(), age]
}

fn autoscaler(o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    let reference =
        format!("{}/{}", text(&spec["scaleTargetRef"], "kind"), text(&spec["scaleTargetRef"], "name"));
    let mut targets: Vec<String> = Vec::new();
    for (i, metric) in items(&spec["metrics"]).iter().enumerate() {
        targets.push(target(metric, &o["status"]["currentMetrics"][i]));
    }
    if let Some(percent) = spec["targetCPUUtilizationPercentage"].as_i64() {
        let now = o["status"]["currentCPUUtilizationPercentage"]
            .as_i64()
            .map_or("<unknown>".to_owned(), |p| format!("{p}%"));
        targets.push(format!("cpu: {now}/{percent}%"));
    }
    let least = spec["minReplicas"].as_i64().map_or("<unset>".to_owned(), |m| m.to_string());
    vec![
        reference.into(),
        (if targets.is_empty() { NONE.to_owned() } else { network::some(&targets, 2) }).into(),
        least.into(),
        spec["maxReplicas"].clone(),
        number(&o["status"]["currentReplicas"]).into(),
        age,
    ]
}

fn target(metric: &Value, current: &Value) -> String {
    let kind = match text(metric, "type") {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".to_owned(),
    };
    let (source, now) = (&metric[kind], &current[kind]["current"]);
    let wanted = &source["target"];
    let value = |v: &Value, percent: bool| match v {
        Value::Null => "<unknown>".to_owned(),
        v if percent => format!("{}%", plain(v)),
        v => plain(v),
    };
    let utilization = !wanted["averageUtilization"].is_null();
    let key = if utilization {
        "averageUtilization"
    } else if wanted["averageValue"].is_null() {
        "value"
    } else {
        "averageValue"
    };
    let shown = format!("{}/{}", value(&now[key], utilization), value(&wanted[key], utilization));
    if kind == "resource" { format!("{}: {shown}", text(source, "name")) } else { shown }
}

fn event(o: &Value, name: Value) -> Vec<Value> {
    // Either version: the older names win where they are there.
    let either = |a: &str, b: &str| if o[a].is_null() { o[b].clone() } else { o[a].clone() };
    let object = either("involvedObject", "regarding");
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let last = either("lastTimestamp", "deprecatedLastTimestamp");
    let time = |t: &Value| if t.is_null() { age(&o["eventTime"]) } else { age(t) };
    let (first_seen, last_seen) = match &o["series"] {
        Value::Object(series) => {
            (age(&o["eventTime"]), series.get("lastObservedTime").map_or_else(String::new, age))
        }
        _ => (time(&first), time(if last.is_null() { &first } else { &last })),
    };
    let count =
        o["series"]["count"].as_i64().or_else(|| either("count", "deprecatedCount").as_i64()).unwrap_or(1);
    let source = either("source", "deprecatedSource");
    let component = if text(&source, "component").is_empty() {
        plain(&either("reportingComponent", "reportingController"))
    } else {
        text(&source, "component").to_owned()
    };
    let host = text(&source, "host");
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    let target = match text(&object, "name") {
        "" => text(&object, "kind").to_lowercase(),
        name => format!("{}/{name}", text(&object, "kind").to_lowercase()),
    };
    vec![
        last_seen.into(),
        text(o, "type").into(),
        text(o, "reason").into(),
        target.into(),
        text(&object, "fieldPath").into(),
        source.into(),
        plain(&either("message", "note")).trim().into(),
        first_seen.into(),
        json!(count.max(1)),
        name,
    ]
}
