//! The strategic merge patch between three states of an object: as it was, as it should be, as it is.
//!
//! `k8s.io/apimachinery/pkg/util/strategicpatch`, `CreateThreeWayMergePatch` with `overwrite`: what the wanted state
//! says is set where the live one says otherwise; what the former state said and the wanted one does not is removed;
//! everything else stays.

use std::collections::BTreeSet;

use ferrite_schema::{Patch, Type};
use serde_json::{Map, Value, json};

use super::{DELETE_FROM_PRIMITIVE_LIST, PATCH, RETAIN_KEYS, SET_ELEMENT_ORDER};
use crate::merge_patch::same;

/// The patch that brings `live` to `new`, where `old` is what was last wanted; all are objects of the built-in type
/// `ty`. An empty mapping when there is nothing to do.
///
/// Lists whose items cannot be told apart by their merge key are replaced whole, where Kubernetes' own client fails or
/// loses items.
#[must_use]
pub fn three_way(old: &Value, new: &Value, live: &Value, ty: &Type) -> Value {
    let none = Map::new();
    let map = |value: &'_ Value| value.as_object().cloned().unwrap_or_else(|| none.clone());
    Value::Object(maps(&map(old), &map(new), &map(live), ty))
}

fn maps(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    live: &Map<String, Value>,
    ty: &Type,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, wanted) in new {
        let was = old.get(key);
        match (wanted, live.get(key)) {
            (Value::Object(wanted), Some(Value::Object(live))) => {
                map_field(&mut patch, key, (was, wanted, live), ty);
            }
            (Value::Array(wanted), Some(Value::Array(live))) => {
                list_field(&mut patch, key, (was, wanted, live), ty);
            }
            (wanted, Some(live)) if same(wanted, live) => {}
            // Nothing is wanted, and nothing is there.
            (Value::Null, None) => {}
            (wanted, _) => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

fn map_field(
    patch: &mut Map<String, Value>,
    key: &str,
    (old, new, live): (Option<&Value>, &Map<String, Value>, &Map<String, Value>),
    ty: &Type,
) {
    let field = ty.field(key);
    if field.is_some_and(|field| field.patch.replace) {
        if !same(&Value::Object(new.clone()), &Value::Object(live.clone())) {
            patch.insert(key.to_owned(), Value::Object(new.clone()));
        }
        return;
    }
    let none = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&none);
    let inner = ty.child(key).unwrap_or_else(|| Type::any());
    let mut inner = maps(old, new, live, inner);
    if inner.is_empty() {
        return;
    }
    if field.is_some_and(|field| field.patch.retain_keys) {
        inner.insert(RETAIN_KEYS.to_owned(), retained(new));
    }
    patch.insert(key.to_owned(), Value::Object(inner));
}

/// The keys that a union keeps.
fn retained(new: &Map<String, Value>) -> Value {
    new.keys().collect::<BTreeSet<_>>().into_iter().map(|key| json!(key)).collect()
}

fn list_field(
    patch: &mut Map<String, Value>,
    key: &str,
    (old, new, live): (Option<&Value>, &[Value], &[Value]),
    ty: &Type,
) {
    if same(&Value::Array(new.to_vec()), &Value::Array(live.to_vec())) {
        return;
    }
    let old = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(field) = ty.field(key).filter(|field| field.patch.merge) else {
        patch.insert(key.to_owned(), Value::Array(new.to_vec()));
        return;
    };
    let written = match field.patch.merge_key.as_deref() {
        None => scalars(patch, key, (old, new, live)),
        Some(merge_key) => items(patch, key, (old, new, live), (field.ty.item(), &field.patch, merge_key)),
    };
    if written.is_none() {
        let mut whole = vec![json!({PATCH: "replace"})];
        whole.extend(new.iter().cloned());
        patch.insert(key.to_owned(), Value::Array(whole));
    }
}

/// Items by their merge key; `None` when not every one has a key of its own.
fn by_key<'i>(items: &'i [Value], merge_key: &str) -> Option<Vec<(&'i Value, &'i Map<String, Value>)>> {
    let mut found: Vec<(&Value, &Map<String, Value>)> = Vec::with_capacity(items.len());
    let mut seen = BTreeSet::new();
    for item in items {
        let item = item.as_object()?;
        let key = item.get(merge_key).filter(|key| !key.is_null())?;
        if !seen.insert(key.to_string()) {
            return None;
        }
        found.push((key, item));
    }
    Some(found)
}

fn items(
    patch: &mut Map<String, Value>,
    key: &str,
    (old, new, live): (&[Value], &[Value], &[Value]),
    (item_type, meta, merge_key): (&Type, &Patch, &str),
) -> Option<()> {
    let (new, live) = (by_key(new, merge_key)?, by_key(live, merge_key)?);
    let old = by_key(old, merge_key).unwrap_or_default();
    let index =
        |items: &[(&Value, &Map<String, Value>)]| -> std::collections::BTreeMap<String, Map<String, Value>> {
            items.iter().map(|(key, item)| (key.to_string(), (*item).clone())).collect()
        };
    let (was, is) = (index(&old), index(&live));
    let none = Map::new();
    let mut changes = Vec::new();
    for (name, wanted) in &new {
        let Some(live) = is.get(&name.to_string()) else {
            changes.push(Value::Object((*wanted).clone()));
            continue;
        };
        let mut inner = maps(was.get(&name.to_string()).unwrap_or(&none), wanted, live, item_type);
        if inner.is_empty() {
            continue;
        }
        inner.insert(merge_key.to_owned(), (*name).clone());
        if meta.retain_keys {
            inner.insert(RETAIN_KEYS.to_owned(), retained(wanted));
        }
        changes.push(Value::Object(inner));
    }
    let kept: BTreeSet<String> = new.iter().map(|(name, _)| name.to_string()).collect();
    for (name, _) in old.iter().filter(|(name, _)| !kept.contains(&name.to_string())) {
        changes.push(json!({PATCH: "delete", merge_key: name}));
    }
    let order = |items: &[(&Value, &Map<String, Value>)]| -> Vec<String> {
        items.iter().map(|(name, _)| name.to_string()).filter(|name| kept.contains(name)).collect()
    };
    if changes.is_empty() && order(&live) == order(&new) {
        return Some(());
    }
    let wanted: Vec<Value> = new.iter().map(|(name, _)| json!({merge_key: name})).collect();
    if !changes.is_empty() {
        patch.insert(key.to_owned(), Value::Array(changes));
    }
    patch.insert(format!("{SET_ELEMENT_ORDER}/{key}"), Value::Array(wanted));
    Some(())
}

fn scalars(
    patch: &mut Map<String, Value>,
    key: &str,
    (old, new, live): (&[Value], &[Value], &[Value]),
) -> Option<()> {
    if [old, new, live].iter().any(|list| list.iter().any(|item| item.is_object() || item.is_array())) {
        return None;
    }
    let holds = |list: &[Value], item: &Value| list.iter().any(|other| same(other, item));
    let added: Vec<Value> = new.iter().filter(|item| !holds(live, item)).cloned().collect();
    let removed: Vec<Value> = old.iter().filter(|item| !holds(new, item)).cloned().collect();
    if added.is_empty() && removed.is_empty() {
        return Some(());
    }
    if !removed.is_empty() {
        patch.insert(format!("{DELETE_FROM_PRIMITIVE_LIST}/{key}"), Value::Array(removed));
    }
    if !added.is_empty() {
        patch.insert(key.to_owned(), Value::Array(added));
    }
    patch.insert(format!("{SET_ELEMENT_ORDER}/{key}"), Value::Array(new.to_vec()));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_schema::Schemas;

    fn deployment(spec: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec})
    }

    /// Checks the patch of the spec, and what the API server makes of it.
    #[track_caller]
    fn check(old: &Value, new: &Value, live: &Value, patch: &Value, after: &Value) {
        let ty = Schemas::builtin().get("apps", "v1", "Deployment").unwrap();
        let made = three_way(&deployment(old), &deployment(new), &deployment(live), ty);
        assert_eq!(made.get("spec").unwrap_or(&Value::Null), patch);
        let patched = super::super::apply(&deployment(live), &made, ty).unwrap();
        assert_eq!(&patched["spec"], after);
    }

    fn pods(containers: &Value) -> Value {
        json!({"template": {"spec": {"containers": containers}}})
    }

    #[test]
    fn what_others_set_stays_and_what_was_ours_goes() {
        check(
            &json!({"replicas": 2, "paused": true}),
            &json!({"replicas": 2}),
            &json!({"replicas": 5, "paused": true, "minReadySeconds": 3}),
            &json!({"replicas": 2, "paused": null}),
            &json!({"replicas": 2, "minReadySeconds": 3}),
        );
        let same = json!({"replicas": 2});
        check(&same, &same, &json!({"replicas": 2, "x": 1}), &Value::Null, &json!({"replicas": 2, "x": 1}));
    }

    #[test]
    fn containers_are_told_apart_by_name() {
        let old = pods(&json!([{"name": "a", "image": "a:1"}, {"name": "old", "image": "o"}]));
        let new = pods(&json!([{"name": "b", "image": "b"}, {"name": "a", "image": "a:2"}]));
        let live = pods(&json!([
            {"name": "a", "image": "a:1", "imagePullPolicy": "Always"}, {"name": "old", "image": "o"},
            {"name": "sidecar", "image": "s"},
        ]));
        let patch = pods(&json!([
            {"name": "b", "image": "b"}, {"image": "a:2", "name": "a"}, {"$patch": "delete", "name": "old"},
        ]));
        let mut patch = patch;
        patch["template"]["spec"]["$setElementOrder/containers"] = json!([{"name": "b"}, {"name": "a"}]);
        let after = pods(&json!([
            {"name": "b", "image": "b"}, {"name": "a", "image": "a:2", "imagePullPolicy": "Always"},
            {"name": "sidecar", "image": "s"},
        ]));
        check(&old, &new, &live, &patch, &after);
    }

    #[test]
    fn unions_keep_the_member_that_is_wanted() {
        let rolling = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
        let recreate = json!({"strategy": {"type": "Recreate"}});
        check(
            &rolling,
            &recreate,
            &rolling,
            &json!({"strategy": {"type": "Recreate", "rollingUpdate": null, "$retainKeys": ["type"]}}),
            &recreate,
        );
    }

    #[test]
    fn atomic_lists_and_items_without_a_key_of_their_own_are_replaced() {
        let args = |list: Value| pods(&json!([{"name": "a", "args": list}]));
        check(
            &args(json!(["x"])),
            &args(json!(["y"])),
            &args(json!(["x"])),
            &json!({"template": {"spec": {
                "containers": [{"args": ["y"], "name": "a"}], "$setElementOrder/containers": [{"name": "a"}],
            }}}),
            &args(json!(["y"])),
        );
        // The merge key of ports is the number, which UDP and TCP share.
        let ty = Schemas::builtin().get("", "v1", "Service").unwrap();
        let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}});
        let both = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]);
        let one = service(json!([{"port": 53, "protocol": "UDP"}]));
        let patch = three_way(&one, &service(both.clone()), &one, ty);
        assert_eq!(super::super::apply(&one, &patch, ty).unwrap(), service(both));
    }

    #[test]
    fn lists_of_words_lose_only_what_was_ours() {
        let ty = Schemas::builtin().get("", "v1", "ConfigMap").unwrap();
        let map = |list: Value| json!({"metadata": {"finalizers": list}});
        let live = map(json!(["ours", "theirs"]));
        let patch = three_way(&map(json!(["ours"])), &map(json!(["new"])), &live, ty);
        assert_eq!(super::super::apply(&live, &patch, ty).unwrap(), map(json!(["new", "theirs"])));
    }
}
