//! JSON merge patch, RFC 7386.

use serde_json::{Map, Value};

/// Merges `patch` into `target`: mappings merge, null removes, everything else replaces.
pub fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            object.shift_remove(key);
        } else {
            apply(object.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// The patch that makes `new` of `old`: what changed or came, and null for what went.
#[must_use]
pub fn between(old: &Value, new: &Value) -> Value {
    three_way(old, new, old)
}

/// The patch for `live` that sets what `new` says otherwise, and removes what `new` no longer says that `old` did.
/// What neither says stays.
#[must_use]
pub fn three_way(old: &Value, new: &Value, live: &Value) -> Value {
    let (Value::Object(new), Value::Object(live)) = (new, live) else { return new.clone() };
    let none = Map::new();
    let old = old.as_object().unwrap_or(&none);
    let mut patch = Map::new();
    for (key, value) in new {
        match live.get(key) {
            Some(live) if live.is_object() && value.is_object() => {
                let inner = three_way(old.get(key).unwrap_or(&Value::Null), value, live);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    patch.insert(key.clone(), inner);
                }
            }
            Some(live) if same(live, value) => {}
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// Whether two values are one; 1 and 1.0 are.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::{apply, between, three_way};
    use serde_json::{Value, json};

    fn check(mut target: Value, patch: &Value, expect: &Value) {
        apply(&mut target, patch);
        assert_eq!(&target, expect);
    }

    /// The table of RFC 7386, appendix A.
    #[test]
    fn the_examples_of_the_rfc() {
        check(json!({"a": "b"}), &json!({"a": "c"}), &json!({"a": "c"}));
        check(json!({"a": "b"}), &json!({"b": "c"}), &json!({"a": "b", "b": "c"}));
        check(json!({"a": "b"}), &json!({"a": null}), &json!({}));
        check(json!({"a": "b", "b": "c"}), &json!({"a": null}), &json!({"b": "c"}));
        check(json!({"a": ["b"]}), &json!({"a": "c"}), &json!({"a": "c"}));
        check(json!({"a": "c"}), &json!({"a": ["b"]}), &json!({"a": ["b"]}));
        check(json!({"a": {"b": "c"}}), &json!({"a": {"b": "d", "c": null}}), &json!({"a": {"b": "d"}}));
        check(json!({"a": [{"b": "c"}]}), &json!({"a": [1]}), &json!({"a": [1]}));
        check(json!(["a", "b"]), &json!(["c", "d"]), &json!(["c", "d"]));
        check(json!({"a": "b"}), &json!(["c"]), &json!(["c"]));
        check(json!({"a": "foo"}), &json!(null), &json!(null));
        check(json!({"a": "foo"}), &json!("bar"), &json!("bar"));
        check(json!({"e": null}), &json!({"a": 1}), &json!({"e": null, "a": 1}));
        check(json!([1, 2]), &json!({"a": "b", "c": null}), &json!({"a": "b"}));
        check(json!({}), &json!({"a": {"bb": {"ccc": null}}}), &json!({"a": {"bb": {}}}));
    }
    #[test]
    fn a_patch_between_two_leads_from_one_to_the_other() {
        let old = json!({"a": 1, "b": {"c": 1, "d": [1, 2]}, "gone": true});
        let new = json!({"a": 1.0, "b": {"c": 2, "d": [1, 2]}, "new": {"x": 1}});
        assert_eq!(between(&old, &new), json!({"b": {"c": 2}, "new": {"x": 1}, "gone": null}));
        check(
            old.clone(),
            &between(&old, &new),
            &json!({"a": 1, "b": {"c": 2, "d": [1, 2]}, "new": {"x": 1}}),
        );
        assert_eq!(between(&old, &old), json!({}));
    }

    #[test]
    fn three_ways_leave_what_others_set() {
        let (old, new) = (json!({"a": 1, "m": {"x": 1, "y": 1}}), json!({"a": 2, "m": {"x": 1}}));
        let live = json!({"a": 7, "m": {"x": 9, "y": 1, "z": 1}, "other": true});
        assert_eq!(three_way(&old, &new, &live), json!({"a": 2, "m": {"x": 1, "y": null}}));
    }
}
