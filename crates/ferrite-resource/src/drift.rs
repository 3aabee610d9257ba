//! Whether a live object differs from what applying the desired one would make of it.

use std::borrow::Cow;

use ferrite_schema::{Kind, Schemas, Type};
use serde_json::Value;

use crate::{ignore::strip, path::Pointer, quantity};

/// Whether applying would change the live object, except for what is ignored.
///
/// `merged` is the answer to the dry run. Labels, annotations, and everything but the rest of the metadata and the
/// status are compared (fluxcd/pkg `ssa` drift detection): null is the same as empty, quantities are compared as
/// amounts, and metrics that a HorizontalPodAutoscaler has twice count once.
#[must_use]
pub fn drifted(live: Option<&Value>, merged: &Value, ignored: &[&Pointer]) -> bool {
    let Some(live) = live else { return true };
    if merged.pointer("/metadata/resourceVersion").is_none() {
        return true;
    }
    let (live, merged) = (comparable(live, ignored), comparable(merged, ignored));
    for pointer in ["/metadata/labels", "/metadata/annotations"] {
        if map_at(&live, pointer) != map_at(&merged, pointer) {
            return true;
        }
    }
    let ty = type_of(&merged);
    let (Value::Object(left), Value::Object(right)) = (&*live, &*merged) else { return *live != *merged };
    let fields = |map: &serde_json::Map<String, Value>| map.keys().filter(|key| compared(key)).count();
    fields(left) != fields(right)
        || left.iter().filter(|(key, _)| compared(key)).any(|(key, value)| {
            right.get(key).is_none_or(|other| !same(value, other, ty.and_then(|ty| ty.child(key))))
        })
}

/// What is at a pointer, unless it is empty.
fn map_at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    object.pointer(pointer).filter(|map| !is_empty(map))
}

fn compared(key: &str) -> bool {
    !matches!(key, "metadata" | "status")
}

/// The schema of a built-in object.
pub(crate) fn type_of(object: &Value) -> Option<&'static Type> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    Schemas::builtin().for_api_version(text("apiVersion")?, text("kind")?)
}

/// The object without what is ignored, and without duplicate metrics. Borrowed when there is nothing to take out.
pub(crate) fn comparable<'a>(object: &'a Value, ignored: &[&Pointer]) -> Cow<'a, Value> {
    let autoscaler = object.get("kind").and_then(Value::as_str) == Some("HorizontalPodAutoscaler");
    if ignored.is_empty() && !autoscaler {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    strip(&mut object, ignored);
    if autoscaler && let Some(Value::Array(metrics)) = object.pointer_mut("/spec/metrics") {
        let mut unique: Vec<Value> = Vec::with_capacity(metrics.len());
        for metric in metrics.drain(..) {
            if !unique.contains(&metric) {
                unique.push(metric);
            }
        }
        *metrics = unique;
    }
    Cow::Owned(object)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Semantic equality of two values of a type.
pub(crate) fn same(left: &Value, right: &Value, ty: Option<&Type>) -> bool {
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len()
                && l.iter().all(|(key, value)| {
                    let below = ty.and_then(|ty| below(ty, key));
                    r.get(key).is_some_and(|other| same(value, other, below))
                })
        }
        (Value::Array(l), Value::Array(r)) => {
            let item = ty.filter(|ty| ty.kind == Kind::Array).map(Type::item);
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same(l, r, item))
        }
        (Value::Null, other) | (other, Value::Null) => is_empty(other),
        (Value::Number(l), Value::Number(r)) => {
            l == r || (l.as_f64() == r.as_f64() && (l.is_f64() || r.is_f64()))
        }
        _ if ty.is_some_and(|ty| ty.kind == Kind::Quantity) => {
            matches!((amount(left), amount(right)), (Some(l), Some(r)) if quantity::same(&l, &r))
        }
        _ => left == right,
    }
}

fn amount(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The type of a field, or of the values of a free mapping.
pub(crate) fn below<'a>(ty: &'a Type, key: &str) -> Option<&'a Type> {
    ty.child(key).or(ty.values.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(live: Value, merged: Value, ignored: &[&str], expect: bool) {
        let pointers: Vec<Pointer> = ignored.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let with = |mut value: Value| {
            value["metadata"]["resourceVersion"] = json!("1");
            value
        };
        let (live, merged) = (with(live), with(merged));
        assert_eq!(
            drifted(Some(&live), &merged, &pointers.iter().collect::<Vec<_>>()),
            expect,
            "{live} and {merged}"
        );
    }

    fn pod(limit: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [
            {"name": "c", "resources": {"limits": {"cpu": limit}}}]}})
    }

    #[test]
    fn only_what_can_be_applied_counts() {
        let map =
            |data: Value| json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": data});
        check(map(json!({"a": "1"})), map(json!({"a": "1"})), &[], false);
        check(map(json!({"a": "1"})), map(json!({"a": "2"})), &[], true);
        check(map(json!({"a": "1"})), map(json!({"a": "1", "b": ""})), &[], true);
        check(
            json!({"metadata": {"uid": "1"}, "status": 1}),
            json!({"metadata": {"uid": "2"}, "status": 2}),
            &[],
            false,
        );
        check(json!({"metadata": {"labels": {"a": "b"}}}), json!({"metadata": {}}), &[], true);
        check(json!({"metadata": {"labels": {}}}), json!({"metadata": {}}), &[], false);
        check(
            json!({"metadata": {"annotations": {"a": "b"}}}),
            json!({"metadata": {"annotations": {"a": "c"}}}),
            &[],
            true,
        );
        check(
            json!({"metadata": {}, "spec": {"a": null}}),
            json!({"metadata": {}, "spec": {"a": []}}),
            &[],
            false,
        );
        check(json!({"metadata": {}, "spec": {"a": {}}}), json!({"metadata": {}, "spec": {}}), &[], true);
        check(json!({"metadata": {}, "spec": 1}), json!({"metadata": {}, "spec": 1.0}), &[], false);
    }

    #[test]
    fn quantities_are_amounts_but_only_where_the_type_says_so() {
        check(pod(&json!("1")), pod(&json!("1000m")), &[], false);
        check(pod(&json!(1)), pod(&json!("1")), &[], false);
        check(pod(&json!("1")), pod(&json!("2")), &[], true);
        let data = |text: &str| json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": {"a": text}});
        check(data("1"), data("1000m"), &[], true);
    }

    #[test]
    fn ignored_paths_do_not_count() {
        let of = |replicas: u32, image: &str| json!({"metadata": {"annotations": {"a/b": image}}, "spec": {"replicas": replicas}});
        check(of(1, "x"), of(2, "x"), &["/spec/replicas"], false);
        check(of(1, "x"), of(2, "y"), &["/spec/replicas"], true);
        check(of(1, "x"), of(2, "y"), &["/spec/replicas", "/metadata/annotations/a~1b"], false);
    }

    #[test]
    fn duplicate_metrics_of_an_autoscaler_count_once() {
        let of = |metrics: Value| json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", "metadata": {}, "spec": {"metrics": metrics}});
        let (a, b) = (json!({"type": "A"}), json!({"type": "B"}));
        check(of(json!([a, b])), of(json!([a, b, a])), &[], false);
        check(of(json!([a])), of(json!([a, b, a])), &[], true);
    }

    #[test]
    fn what_does_not_exist_yet_has_drifted() {
        assert!(drifted(None, &json!({"metadata": {"resourceVersion": "1"}}), &[]));
        assert!(drifted(Some(&json!({})), &json!({}), &[]));
    }
}
