//! Who owns which field: `metadata.managedFields` (Kubernetes `FieldsV1`).

use serde_json::{Map, Value};

use crate::path::Pointer;

/// A set of field paths: what `FieldsV1` says.
///
/// In FieldsV1 a step with an empty body is itself owned; one with a body is owned only if the body holds `.`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldSet {
    owned: bool,
    steps: Vec<(String, Self)>,
}

impl FieldSet {
    /// Reads FieldsV1; what is not an object is an empty set.
    pub(crate) fn parse(fields: &Value) -> Self {
        let mut set = Self::default();
        let Value::Object(map) = fields else { return set };
        for (step, body) in map {
            if step == "." {
                set.owned = true;
            } else {
                let mut below = Self::parse(body);
                below.owned |= below.steps.is_empty();
                set.steps.push((step.clone(), below));
            }
        }
        set
    }

    /// Writes FieldsV1.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.owned && !self.steps.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, below) in &self.steps {
            map.insert(step.clone(), below.to_value());
        }
        Value::Object(map)
    }

    /// Adds what the other set holds.
    pub(crate) fn merge(&mut self, other: Self) {
        self.owned |= other.owned;
        if self.steps.is_empty() {
            self.steps = other.steps;
            return;
        }
        // Sets of one object have hundreds of steps at most a level; an index keeps it linear.
        let mut index: std::collections::HashMap<String, usize> =
            self.steps.iter().enumerate().map(|(at, (step, _))| (step.clone(), at)).collect();
        for (step, below) in other.steps {
            match index.get(&step).and_then(|at| self.steps.get_mut(*at)) {
                Some((_, mine)) => mine.merge(below),
                None => {
                    index.insert(step.clone(), self.steps.len());
                    self.steps.push((step, below));
                }
            }
        }
    }

    /// Whether the value at the pointer, something below it, or all of something above it is in the set.
    pub(crate) fn touches(&self, object: &Value, pointer: &Pointer) -> bool {
        let mut set = self;
        let mut at = Some(object);
        for step in pointer.steps() {
            if set.owned && set.steps.is_empty() {
                return true;
            }
            let next = match at {
                Some(Value::Array(items)) => {
                    let item = step.parse::<usize>().ok().and_then(|index| items.get(index));
                    at = item;
                    set.steps.iter().find(|(key, _)| item.is_some_and(|item| is_item(key, step, item)))
                }
                _ => {
                    at = at.and_then(|value| value.get(step));
                    set.steps.iter().find(|(key, _)| key.strip_prefix("f:") == Some(step))
                }
            };
            match next {
                Some((_, below)) => set = below,
                None => return false,
            }
        }
        true
    }
}

/// Whether a FieldsV1 step means this item of a list: `k:{"name":"x"}`, `v:"x"` or `i:0`.
fn is_item(key: &str, index: &str, item: &Value) -> bool {
    let Some((kind, body)) = key.split_once(':') else { return false };
    match kind {
        "i" => body == index,
        "v" => serde_json::from_str::<Value>(body).is_ok_and(|value| value == *item),
        "k" => match serde_json::from_str::<Value>(body) {
            Ok(Value::Object(keys)) => keys.iter().all(|(key, value)| item.get(key) == Some(value)),
            _ => false,
        },
        _ => false,
    }
}

/// The entries of `metadata.managedFields`.
pub(crate) fn entries(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of a field of an entry, empty when it is not there.
pub(crate) fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether somebody else than `manager` applied (server side) the field at the pointer of the live object.
pub(crate) fn applied_by_other(live: &Value, manager: &str, pointer: &Pointer) -> bool {
    entries(live)
        .iter()
        .filter(|entry| text(entry, "operation") == "Apply" && text(entry, "manager") != manager)
        .any(|entry| FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null)).touches(live, pointer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_are_merged_as_sets_of_paths() {
        let mut left =
            FieldSet::parse(&json!({"f:metadata": {"f:labels": {}}, "f:data": {".": {}, "f:a": {}}}));
        left.merge(FieldSet::parse(
            &json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:data": {"f:b": {}}}),
        ));
        assert_eq!(
            left.to_value(),
            json!({
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:data": {".": {}, "f:a": {}, "f:b": {}}
            })
        );
    }

    #[test]
    fn ownership_is_found_by_key_value_and_index() {
        let object = json!({"spec": {
            "containers": [{"name": "a"}, {"name": "b", "image": "x"}],
            "finalizers": ["one", "two"],
            "template": {"x": {"y": 1}}
        }});
        let set = FieldSet::parse(&json!({"f:spec": {
            "f:containers": {"k:{\"name\":\"b\"}": {"f:image": {}}},
            "f:finalizers": {"v:\"two\"": {}},
            "f:template": {}
        }}));
        for (pointer, expect) in [
            ("/spec", true),
            ("/spec/containers/1/image", true),
            ("/spec/containers/1", true),
            ("/spec/containers/0", false),
            ("/spec/containers/1/command", false),
            ("/spec/finalizers/1", true),
            ("/spec/finalizers/0", false),
            ("/spec/template/x/y", true),
            ("/data", false),
        ] {
            assert_eq!(set.touches(&object, &Pointer::parse(pointer).unwrap()), expect, "{pointer}");
        }
    }
}
