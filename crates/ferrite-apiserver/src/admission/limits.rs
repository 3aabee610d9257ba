//! LimitRanges: defaults and bounds of containers and claims.

use serde_json::Value;

use crate::handlers::perform::Writer;
use crate::json::{items, text};
use crate::kinds::defaults::{child, each};
use crate::quantity::Quantity;
use crate::status::ApiError;

fn ranges(writer: &Writer<'_>, kind: &str) -> Vec<Value> {
    let listed = writer.server.store.list("/limitranges", Some(writer.namespace));
    let limits = listed.objects.iter().flat_map(|o| items(&o.value()["spec"]["limits"]).to_vec());
    limits.filter(|l| l["type"] == kind).collect()
}

pub(crate) fn pod(writer: &Writer<'_>, pod: &mut Value) -> Result<(), ApiError> {
    let limits = ranges(writer, "Container");
    let mut set = Vec::new();
    for limit in &limits {
        for list in ["initContainers", "containers"] {
            each(&mut pod["spec"], list, |container| set.extend(fill(limit, container, list)));
        }
    }
    if !set.is_empty() {
        let note = format!("LimitRanger plugin set: {}", set.join("; "));
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = note.into();
    }
    let name = text(&pod["metadata"], "name").to_owned();
    let refuse = |why: String| Err(ApiError::forbidden(writer.resource.subject(&name), &why));
    for limit in &limits {
        for container in items(&pod["spec"]["containers"]) {
            if let Some(why) = outside(limit, &container["resources"], "Container") {
                return refuse(why);
            }
        }
    }
    Ok(())
}

/// Sets what a container leaves open; says what that was.
fn fill(limit: &Value, container: &mut Value, list: &str) -> Vec<String> {
    let (name, kind) = (
        text(container, "name").to_owned(),
        if list == "containers" { "container" } else { "init container" },
    );
    let mut out = Vec::new();
    for (from, to, word) in [("defaultRequest", "requests", "request"), ("default", "limits", "limit")] {
        let mut set = Vec::new();
        for (resource, value) in limit[from].as_object().into_iter().flatten() {
            let target = child(child(container, "resources"), to);
            if target[resource].is_null() {
                target[resource.as_str()] = value.clone();
                set.push(resource.as_str());
            }
        }
        if !set.is_empty() {
            set.sort_unstable();
            out.push(format!("{} {word} for {kind} {name}", set.join(", ")));
        }
    }
    out
}

/// Why resources do not fit a limit, if they do not.
fn outside(limit: &Value, resources: &Value, kind: &str) -> Option<String> {
    for (name, bound) in limit["min"].as_object().into_iter().flatten() {
        let request = &resources["requests"][name];
        let shown = shown(bound);
        match Quantity::of(request) {
            None => {
                return Some(format!("minimum {name} usage per {kind} is {shown}.  No request is specified"));
            }
            Some(value) if Some(value) < Quantity::of(bound) => {
                return Some(format!(
                    "minimum {name} usage per {kind} is {shown}, but request is {}",
                    self::shown(request)
                ));
            }
            Some(_) => {}
        }
    }
    for (name, bound) in limit["max"].as_object().into_iter().flatten() {
        let value = &resources["limits"][name];
        let shown = shown(bound);
        match Quantity::of(value) {
            None => {
                return Some(format!("maximum {name} usage per {kind} is {shown}.  No limit is specified"));
            }
            Some(found) if Quantity::of(bound).is_some_and(|max| found > max) => {
                return Some(format!(
                    "maximum {name} usage per {kind} is {shown}, but limit is {}",
                    self::shown(value)
                ));
            }
            Some(_) => {}
        }
    }
    None
}

fn shown(quantity: &Value) -> String {
    quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned)
}

pub(crate) fn claim(writer: &Writer<'_>, claim: &Value) -> Result<(), ApiError> {
    let asked = &claim["spec"]["resources"]["requests"]["storage"];
    for limit in ranges(writer, "PersistentVolumeClaim") {
        let Some(value) = Quantity::of(asked) else { continue };
        let (min, max) = (&limit["min"]["storage"], &limit["max"]["storage"]);
        let name = text(&claim["metadata"], "name");
        if Quantity::of(max).is_some_and(|m| value > m) {
            let why = format!(
                "maximum storage usage per PersistentVolumeClaim is {}, but request is {}",
                shown(max),
                shown(asked)
            );
            return Err(ApiError::forbidden(writer.resource.subject(name), &why));
        }
        if Quantity::of(min).is_some_and(|m| value < m) {
            let why = format!(
                "minimum storage usage per PersistentVolumeClaim is {}, but request is {}",
                shown(min),
                shown(asked)
            );
            return Err(ApiError::forbidden(writer.resource.subject(name), &why));
        }
    }
    Ok(())
}
