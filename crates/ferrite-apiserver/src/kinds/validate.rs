//! The rules of built-in kinds, with Kubernetes' own sentences (`pkg/apis/*/validation`).

mod core;
mod others;
mod pods;
mod services;
mod workloads;

use serde_json::{Map, Value};

use super::names;
use crate::json::{items, text};
use crate::resources::Resource;
use crate::status::Cause;

const IMMUTABLE: &str = "field is immutable";
const NEGATIVE: &str = "must be greater than or equal to 0";

/// Checks a built-in object, and what of it may change when there is a live one.
pub(crate) fn object(
    resource: &Resource,
    sub: Option<&str>,
    live: Option<&Value>,
    o: &Value,
    out: &mut Vec<Cause>,
) {
    let whole = sub.is_none();
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(sub, live, o, out),
        ("", "configmaps") => core::config_map(live, o, out),
        ("", "secrets") => core::secret(live, o, out),
        ("", "namespaces") => core::namespace(sub, o, out),
        ("" | "events.k8s.io", "events") => core::event(resource, o, out),
        ("", "resourcequotas") if whole => core::quota(o, out),
        ("", "limitranges") => core::limit_range(o, out),
        ("", "persistentvolumeclaims") if whole => core::claim(live, o, out),
        ("", "services") => services::service(sub, live, o, out),
        ("", "pods") if whole => pods::pod(live, o, out),
        ("", "podtemplates") => pods::template(&o["template"], "template", out),
        ("apps" | "batch", plural) if whole => workloads::object(plural, live, o, out),
        _ if whole => others::object(resource, live, o, out),
        _ => {}
    }
}

fn definition(sub: Option<&str>, live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    if sub.is_none() {
        crate::crd::check(o, out);
        if let Some(live) = live {
            crate::crd::check_update(live, o, out);
        }
    }
}

/// Adds a cause for each problem of a value.
fn problems(field: &str, value: &str, found: &[String], out: &mut Vec<Cause>) {
    out.extend(found.iter().map(|p| Cause::invalid(field, &value.into(), p)));
}

fn unsupported(field: &str, value: &Value, allowed: &[&str], out: &mut Vec<Cause>) {
    if !allowed.contains(&value.as_str().unwrap_or_default()) {
        out.push(Cause::unsupported(field, value, allowed));
    }
}

/// Refuses a negative number.
fn natural(field: &str, value: &Value, out: &mut Vec<Cause>) {
    if value.as_i64().is_some_and(|n| n < 0) {
        out.push(Cause::invalid(field, value, NEGATIVE));
    }
}

fn immutable(field: &str, live: &Value, new: &Value, out: &mut Vec<Cause>) {
    if live != new {
        out.push(Cause::invalid(field, new, IMMUTABLE));
    }
}

/// `25%`, or a number that is not negative.
fn count_or_percent(field: &str, value: &Value, out: &mut Vec<Cause>) {
    match value {
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                out.push(Cause::invalid(field, value, why));
            }
        }
        other => natural(field, other, out),
    }
}

/// A selector of a spec: valid keys, operators that have the values they need.
fn label_selector(field: &str, selector: &Value, out: &mut Vec<Cause>) {
    let at = format!("{field}.matchLabels");
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        problems(&at, key, &names::qualified_name(key), out);
        let value = value.as_str().unwrap_or_default();
        problems(&at, value, &names::label_value(value), out);
    }
    for (i, e) in items(&selector["matchExpressions"]).iter().enumerate() {
        let at = format!("{field}.matchExpressions[{i}]");
        let values = items(&e["values"]);
        match text(e, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                out.push(Cause::required(
                    format!("{at}.values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                ));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                out.push(Cause::forbidden(
                    format!("{at}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => out.push(Cause::invalid(
                format!("{at}.operator"),
                &e["operator"],
                "not a valid selector operator",
            )),
        }
        problems(&format!("{at}.key"), text(e, "key"), &names::qualified_name(text(e, "key")), out);
    }
}

/// Whether labels match a selector.
fn selects(selector: &Value, labels: &Value) -> bool {
    let empty = Map::new();
    let labels = labels.as_object().unwrap_or(&empty);
    crate::selectors::LabelSelector::of(selector).matches(|key| labels.get(key).and_then(Value::as_str))
}

/// Keys in order, as Kubernetes walks maps for messages.
fn sorted(map: &Value) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.as_object().into_iter().flatten().collect();
    entries.sort_by_key(|(k, _)| k.as_str());
    entries
}

/// Refuses text that is no IP address.
fn ip(field: &str, value: &Value, out: &mut Vec<Cause>) {
    let good = value.as_str().is_some_and(|t| t.parse::<std::net::IpAddr>().is_ok());
    if !good {
        out.push(Cause::invalid(
            field,
            value,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ));
    }
}

fn port_number(field: &str, value: &Value, out: &mut Vec<Cause>) {
    let good = value.as_i64().is_some_and(|n| (1..=65535).contains(&n));
    if !good {
        out.push(Cause::invalid(field, value, "must be between 1 and 65535, inclusive"));
    }
}
