//! ResourceQuotas: what is used, and whether one more fits.

use std::collections::BTreeMap;

use parking_lot::MutexGuard;
use serde_json::{Value, json};

use crate::handlers::perform::Writer;
use crate::json::{items, text};
use crate::quantity::{Quantity, format_like};
use crate::resources::Resource;
use crate::server::Server;
use crate::status::ApiError;

const QUOTAS: &str = "/resourcequotas";

/// Objects that are counted under their plain name.
const COUNTED: [&str; 8] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "count",
];

/// The key under which objects of a resource are counted in general.
fn count_key(group: &str, plural: &str) -> String {
    if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") }
}

/// What one object takes of the named resources.
fn usage(group: &str, plural: &str, object: &Value, names: &[&str]) -> BTreeMap<String, Quantity> {
    let mut out = BTreeMap::new();
    let one = Quantity::count(1);
    let general = count_key(group, plural);
    for name in names {
        let counted = *name == general || group.is_empty() && COUNTED.contains(name) && *name == plural;
        let taken = if counted {
            Some(one)
        } else {
            match (group, plural) {
                ("", "pods") => pod_usage(object, name),
                ("", "persistentvolumeclaims") if *name == "requests.storage" => {
                    Quantity::of(&object["spec"]["resources"]["requests"]["storage"])
                }
                ("", "services") => service_usage(object, name),
                _ => None,
            }
        };
        if let Some(taken) = taken {
            out.insert((*name).to_owned(), taken);
        }
    }
    out
}

fn service_usage(object: &Value, name: &str) -> Option<Quantity> {
    let ports = items(&object["spec"]["ports"]).len();
    match (text(&object["spec"], "type"), name) {
        ("LoadBalancer", "services.loadbalancers") => Some(Quantity::count(1)),
        ("NodePort" | "LoadBalancer", "services.nodeports") => Some(Quantity::count(ports)),
        (_, "services.loadbalancers" | "services.nodeports") => Some(Quantity::default()),
        _ => None,
    }
}

/// `requests` or `limits`, and the resource, that a quota's key speaks of.
fn side(name: &str) -> Option<(&'static str, &str)> {
    if let Some(rest) = name.strip_prefix("limits.") {
        return Some(("limits", rest));
    }
    match name.strip_prefix("requests.") {
        Some("storage") => None,
        Some(rest) => Some(("requests", rest)),
        None => matches!(name, "cpu" | "memory" | "ephemeral-storage").then_some(("requests", name)),
    }
}

fn pod_usage(pod: &Value, name: &str) -> Option<Quantity> {
    let (side, resource) = side(name)?;
    if matches!(text(&pod["status"], "phase"), "Succeeded" | "Failed") {
        return Some(Quantity::default());
    }
    let of = |c: &Value| Quantity::of(&c["resources"][side][resource]).unwrap_or_default();
    let sum = items(&pod["spec"]["containers"]).iter().map(of).fold(Quantity::default(), |a, b| a + b);
    let init = items(&pod["spec"]["initContainers"]).iter().map(of).max().unwrap_or_default();
    Some(sum.max(init))
}

/// What a namespace uses of each resource that a quota names.
pub(crate) fn used(server: &Server, namespace: &str, hard: &Value) -> BTreeMap<String, Quantity> {
    let names: Vec<&str> = hard.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
    let mut sums: BTreeMap<String, Quantity> =
        names.iter().map(|n| ((*n).to_owned(), Quantity::default())).collect();
    for (group, plural) in resources(&names) {
        let key = format!("{group}/{plural}");
        let needs_object =
            matches!(plural.as_str(), "pods" | "persistentvolumeclaims" | "services") && group.is_empty();
        for stored in server.store.list(&key, Some(namespace)).objects {
            let value = if needs_object { stored.value() } else { Value::Null };
            for (name, taken) in usage(&group, &plural, &value, &names) {
                let sum = sums.entry(name).or_default();
                *sum = *sum + taken;
            }
        }
    }
    sums
}

fn resources(names: &[&str]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for name in names {
        let found = match name.strip_prefix("count/") {
            Some(rest) => {
                let (plural, group) = rest.split_once('.').unwrap_or((rest, ""));
                (group.to_owned(), plural.to_owned())
            }
            None if name.starts_with("services.") => (String::new(), "services".to_owned()),
            None if *name == "requests.storage" => (String::new(), "persistentvolumeclaims".to_owned()),
            None if side(name).is_some() => (String::new(), "pods".to_owned()),
            None => (String::new(), (*name).to_owned()),
        };
        if !out.contains(&found) {
            out.push(found);
        }
    }
    out
}

/// Whether the object fits all quotas of its namespace.
pub(super) fn check<'a>(
    writer: &Writer<'a>,
    live: Option<&Value>,
    object: &Value,
) -> Result<Option<MutexGuard<'a, ()>>, ApiError> {
    let server = writer.server;
    let quotas = server.store.list(QUOTAS, Some(writer.namespace)).objects;
    if quotas.is_empty() {
        return Ok(None);
    }
    let guard = server.quota.lock();
    for quota in quotas {
        let value = quota.value();
        fits(writer, &quota.name, &value["spec"]["hard"], live, object)?;
    }
    Ok(Some(guard))
}

fn fits(
    writer: &Writer<'_>,
    quota: &str,
    hard: &Value,
    live: Option<&Value>,
    object: &Value,
) -> Result<(), ApiError> {
    let resource: &Resource = writer.resource;
    let names: Vec<&str> = hard.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
    let name = text(&object["metadata"], "name");
    let refuse = |why: String| Err(ApiError::forbidden(resource.subject(name), &why));
    let mut takes = usage(&resource.group, &resource.plural, object, &names);
    if let Some(live) = live {
        for (key, before) in usage(&resource.group, &resource.plural, live, &names) {
            if let Some(now) = takes.get_mut(&key) {
                *now = *now - before;
            }
        }
    }
    takes.retain(|_, q| q.0 > 0 || live.is_none() && resource.is("", "pods"));
    if takes.is_empty() {
        return Ok(());
    }
    if resource.is("", "pods") {
        let missing = unspecified(object, &names);
        if !missing.is_empty() {
            return refuse(format!("failed quota: {quota}: must specify {}", missing.join("; ")));
        }
    }
    let used = used(writer.server, writer.namespace, hard);
    let limit = |key: &str| Quantity::of(&hard[key]).unwrap_or_default();
    let over: Vec<&String> = takes
        .iter()
        .filter(|(k, q)| q.0 > 0 && used.get(*k).copied().unwrap_or_default() + **q > limit(k))
        .map(|(k, _)| k)
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let like = |key: &str| hard[key].as_str().map_or_else(|| hard[key].to_string(), str::to_owned);
    let list = |of: &dyn Fn(&str) -> String| {
        over.iter().map(|k| format!("{k}={}", of(k))).collect::<Vec<_>>().join(",")
    };
    refuse(format!(
        "exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
        list(&|k| format_like(takes.get(k).copied().unwrap_or_default(), &like(k))),
        list(&|k| format_like(used.get(k).copied().unwrap_or_default(), &like(k))),
        list(&|k| like(k))
    ))
}

/// Resources that a quota bounds and containers do not name.
fn unspecified(pod: &Value, names: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for name in names {
        let Some((side, resource)) = side(name) else { continue };
        let missing: Vec<&str> = items(&pod["spec"]["containers"])
            .iter()
            .filter(|c| c["resources"][side][resource].is_null())
            .map(|c| text(c, "name"))
            .collect();
        if !missing.is_empty() {
            out.push(format!("{name} for: {}", missing.join(",")));
        }
    }
    out.sort();
    out
}

/// Writes what is used into the status of a quota; returns whether that changed anything.
fn recount(server: &Server, namespace: &str, name: &str) -> bool {
    for _ in 0..4 {
        let Some(stored) = server.store.get(QUOTAS, namespace, name) else { return false };
        let mut value = stored.value();
        let hard = value["spec"]["hard"].clone();
        let sums = used(server, namespace, &hard);
        let like = |key: &str| hard[key].as_str().map_or_else(|| hard[key].to_string(), str::to_owned);
        let shown: serde_json::Map<String, Value> =
            sums.iter().map(|(k, q)| (k.clone(), Value::from(format_like(*q, &like(k))))).collect();
        let status = if hard.is_object() { json!({"hard": hard, "used": shown}) } else { json!({}) };
        if value["status"] == status {
            return false;
        }
        value["status"] = status;
        if server.store.update(QUOTAS, stored.version, value).is_ok() {
            return true;
        }
    }
    false
}

/// Brings the status of every quota of a namespace up to date.
pub(crate) fn recount_all(server: &Server, namespace: &str) {
    for quota in server.store.list(QUOTAS, Some(namespace)).objects {
        recount(server, namespace, &quota.name);
    }
}
