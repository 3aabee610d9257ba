//! ConfigMaps, Secrets, Namespaces, Events, limits and claims.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{immutable, names, problems, sorted};
use crate::json::{items, text};
use crate::quantity::Quantity;
use crate::resources::Resource;
use crate::status::Cause;

/// Bytes of all data of a ConfigMap or Secret.
const DATA: usize = 1 << 20;

pub(super) fn config_map(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in sorted(&o["data"]) {
        problems(&format!("data[{key}]"), key, &names::config_key(key), out);
        if o["binaryData"].get(key).is_some() {
            out.push(Cause::invalid(
                format!("data[{key}]"),
                &key.as_str().into(),
                "duplicate of key present in binaryData",
            ));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in sorted(&o["binaryData"]) {
        problems(&format!("binaryData[{key}]"), key, &names::config_key(key), out);
        size += decoded(value);
    }
    if size > DATA {
        out.push(Cause::too_long("[]", DATA));
    }
    if let Some(live) = live {
        frozen(live, o, &["data", "binaryData"], out);
    }
}

fn decoded(value: &Value) -> usize {
    value.as_str().and_then(|t| STANDARD.decode(t).ok()).map_or(0, |b| b.len())
}

/// What is marked immutable stays as it is, mark included.
fn frozen(live: &Value, o: &Value, parts: &[&str], out: &mut Vec<Cause>) {
    if live["immutable"] != true {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    if o["immutable"] != true {
        out.push(Cause::forbidden("immutable", why));
    }
    for part in parts {
        if live[*part] != o[*part] {
            out.push(Cause::forbidden(*part, why));
        }
    }
}

pub(super) fn secret(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in sorted(&o["data"]) {
        problems(&format!("data[{key}]"), key, &names::config_key(key), out);
        size += decoded(value);
    }
    if size > DATA {
        out.push(Cause::too_long("data", DATA));
    }
    if let Some(live) = live {
        immutable("type", &live["type"], &o["type"], out);
        frozen(live, o, &["data"], out);
    }
    let required = |key: &str, out: &mut Vec<Cause>| {
        if o["data"].get(key).is_none() {
            out.push(Cause::required(format!("data[{key}]"), ""));
        }
    };
    match text(o, "type") {
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].iter().for_each(|k| required(k, out)),
        "kubernetes.io/basic-auth"
            if o["data"].get("username").is_none() && o["data"].get("password").is_none() =>
        {
            ["username", "password"].iter().for_each(|k| required(k, out));
        }
        "kubernetes.io/ssh-auth" => required("ssh-privatekey", out),
        "kubernetes.io/dockerconfigjson" => docker(o, ".dockerconfigjson", out),
        "kubernetes.io/dockercfg" => docker(o, ".dockercfg", out),
        "kubernetes.io/service-account-token" => {
            let name = text(&o["metadata"]["annotations"], "kubernetes.io/service-account.name");
            if name.is_empty() {
                out.push(Cause::required("metadata.annotations[kubernetes.io/service-account.name]", ""));
            }
        }
        _ => {}
    }
}

fn docker(o: &Value, key: &str, out: &mut Vec<Cause>) {
    let field = format!("data[{key}]");
    let Some(data) = o["data"].get(key).and_then(Value::as_str) else {
        return out.push(Cause::required(field, ""));
    };
    let bytes = STANDARD.decode(data).unwrap_or_default();
    if let Err(why) = crate::json::parse(&bytes) {
        out.push(Cause::invalid(field, &"<secret contents redacted>".into(), &why));
    }
}

pub(super) fn namespace(sub: Option<&str>, o: &Value, out: &mut Vec<Cause>) {
    if sub != Some("status") {
        return;
    }
    let (going, phase) = (!o["metadata"]["deletionTimestamp"].is_null(), &o["status"]["phase"]);
    if !going && *phase != "Active" {
        out.push(Cause::invalid(
            "status.Phase",
            phase,
            "may only be 'Active' if `deletionTimestamp` is empty",
        ));
    }
    if going && *phase != "Terminating" {
        out.push(Cause::invalid(
            "status.Phase",
            phase,
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        ));
    }
}

pub(super) fn event(resource: &Resource, o: &Value, out: &mut Vec<Cause>) {
    let new = resource.group == "events.k8s.io";
    let field = if new { "regarding" } else { "involvedObject" };
    let namespace = text(&o["metadata"], "namespace");
    let about = text(&o[field], "namespace");
    let cluster = about.is_empty() && matches!(namespace, "default" | "kube-system" | "");
    if about != namespace && !cluster {
        out.push(Cause::invalid("involvedObject.namespace", &about.into(), "does not match event.namespace"));
    }
    if new && o["eventTime"].is_null() && o["deprecatedFirstTimestamp"].is_null() {
        out.push(Cause::required("eventTime", ""));
    }
}

pub(super) fn quota(o: &Value, out: &mut Vec<Cause>) {
    for (name, value) in sorted(&o["spec"]["hard"]) {
        if Quantity::of(value).is_some_and(|q| q.0 < 0) {
            out.push(Cause::invalid(
                format!("spec.hard[{name}]"),
                value,
                "must be greater than or equal to 0",
            ));
        }
    }
}

pub(super) fn limit_range(o: &Value, out: &mut Vec<Cause>) {
    for (i, limit) in items(&o["spec"]["limits"]).iter().enumerate() {
        for (name, bound) in sorted(&limit["max"]) {
            for (part, word) in
                [("defaultRequest", "default request"), ("default", "default"), ("min", "min")]
            {
                let value = &limit[part][name.as_str()];
                let over = Quantity::of(value).zip(Quantity::of(bound)).is_some_and(|(v, m)| v > m);
                if over {
                    let (shown, max) = (plain(value), plain(bound));
                    // Kubernetes quotes the bound where it means the value, for defaults.
                    let quoted = if part == "default" { bound } else { value };
                    let why = format!("{word} value {shown} is greater than max value {max}");
                    out.push(Cause::invalid(format!("spec.limits[{i}].{part}[{name}]"), quoted, &why));
                }
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn claim(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    if items(&spec["accessModes"]).is_empty() {
        out.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    for (i, mode) in items(&spec["accessModes"]).iter().enumerate() {
        let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
        if !known.contains(&mode.as_str().unwrap_or_default()) {
            out.push(Cause::unsupported(format!("spec.accessModes[{i}]"), mode, &known));
        }
    }
    match Quantity::of(&spec["resources"]["requests"]["storage"]) {
        None => out.push(Cause::required("spec.resources[storage]", "")),
        Some(size) if size.0 <= 0 => {
            out.push(Cause::invalid(
                "spec.resources[storage]",
                &spec["resources"]["requests"]["storage"],
                "must be greater than zero",
            ));
        }
        Some(_) => {}
    }
    if let Some(live) = live {
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            if let Some(map) = spec.as_object_mut() {
                for free in ["resources", "volumeName", "volumeAttributesClassName"] {
                    map.shift_remove(free);
                }
            }
            spec
        };
        if fixed(&live["spec"]) != fixed(spec) {
            let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            out.push(Cause::forbidden("spec", why));
        }
        let size =
            |o: &Value| Quantity::of(&o["spec"]["resources"]["requests"]["storage"]).unwrap_or_default();
        if size(o) < size(live) {
            let why = "field can not be less than status.capacity";
            out.push(Cause::forbidden("spec.resources.requests.storage", why));
        }
    }
}
