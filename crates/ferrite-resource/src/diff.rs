//! Which fields differ, for people: bounded, and without secrets.

use std::fmt;

use ferrite_schema::{ListType, Type};
use serde::Serialize;
use serde_json::Value;

use crate::{
    drift::{below, comparable, same, type_of},
    mask::mask_pair,
    path::Pointer,
};

/// At most this many fields are listed.
const MAX_FIELDS: usize = 50;
/// At most this many characters of a value are shown.
const MAX_VALUE: usize = 120;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Where, e.g. `spec.template.spec.containers[name=app].image`.
    pub path: String,
    /// What is there, shortened; `None` when it is missing.
    pub before: Option<String>,
    /// What comes, shortened; `None` when it goes.
    pub after: Option<String>,
}

/// The fields in which two states of an object differ, in the order of the object; displayed one a line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Diff {
    /// At most 50.
    pub fields: Vec<FieldChange>,
    /// How many more there are.
    pub more: usize,
}

/// What applying would change: the live object (`None`: it does not exist) against the answer to the dry run.
///
/// Metadata other than labels and annotations, the status and ignored paths are left out. Values of Secrets are masked.
#[must_use]
pub fn diff(live: Option<&Value>, merged: &Value, ignored: &[&Pointer]) -> Diff {
    let reduce = |object: &Value| {
        let mut object = comparable(object, ignored).into_owned();
        if let Value::Object(map) = &mut object {
            map.shift_remove("status");
            if let Some(Value::Object(meta)) = map.get_mut("metadata") {
                meta.retain(|key, _| matches!(key.as_str(), "labels" | "annotations"));
            }
        }
        object
    };
    let mut before = live.map_or(Value::Null, reduce);
    let mut after = reduce(merged);
    mask_pair(&mut before, &mut after);
    let mut diff = Diff::default();
    if live.is_none() {
        diff.push(String::new(), None, Some(&after));
    } else {
        diff.compare("", &before, &after, type_of(merged));
    }
    diff
}

impl Diff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn push(&mut self, path: String, before: Option<&Value>, after: Option<&Value>) {
        if self.fields.len() < MAX_FIELDS {
            self.fields.push(FieldChange { path, before: before.map(shown), after: after.map(shown) });
        } else {
            self.more += 1;
        }
    }

    fn compare(&mut self, path: &str, before: &Value, after: &Value, ty: Option<&Type>) {
        match (before, after) {
            (Value::Object(old), Value::Object(new)) => {
                for (key, value) in old {
                    let at = step(path, key);
                    match new.get(key) {
                        Some(other) => self.compare(&at, value, other, ty.and_then(|ty| below(ty, key))),
                        None => self.push(at, Some(value), None),
                    }
                }
                for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.push(step(path, key), None, Some(value));
                }
            }
            (Value::Array(old), Value::Array(new)) => self.compare_lists(path, old, new, ty),
            _ if same(before, after, ty) => {}
            _ => self.push(path.to_owned(), Some(before), Some(after)),
        }
    }

    fn compare_lists(&mut self, path: &str, old: &[Value], new: &[Value], ty: Option<&Type>) {
        let item = ty.map(Type::item);
        let keys: Vec<&str> = match ty.map(|ty| &ty.list) {
            Some(ListType::Map(keys)) => keys.iter().map(|key| &**key).collect(),
            Some(ListType::Set | ListType::Atomic) | None => vec!["name"],
        };
        let (Some(left), Some(right)) = (keyed(old, &keys), keyed(new, &keys)) else {
            for (index, pair) in old.iter().zip(new).enumerate() {
                self.compare(&format!("{path}[{index}]"), pair.0, pair.1, item);
            }
            for (index, value) in old.iter().enumerate().skip(new.len()) {
                self.push(format!("{path}[{index}]"), Some(value), None);
            }
            for (index, value) in new.iter().enumerate().skip(old.len()) {
                self.push(format!("{path}[{index}]"), None, Some(value));
            }
            return;
        };
        let fewer = self.fields.len() + self.more;
        for (key, value) in &left.0 {
            match right.1.get(key.as_str()) {
                Some(other) => self.compare(&format!("{path}[{key}]"), value, other, item),
                None => self.push(format!("{path}[{key}]"), Some(value), None),
            }
        }
        for (key, value) in right.0.iter().filter(|(key, _)| !left.1.contains_key(key.as_str())) {
            self.push(format!("{path}[{key}]"), None, Some(value));
        }
        let order = |side: &Keyed<'_>| side.0.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        if fewer == self.fields.len() + self.more && order(&left) != order(&right) {
            let list = |side: &Keyed<'_>| Value::from(order(side));
            self.push(path.to_owned(), Some(&list(&left)), Some(&list(&right)));
        }
    }
}

/// Items of a list in order, and by their keys.
struct Keyed<'a>(Vec<(String, &'a Value)>, std::collections::HashMap<String, &'a Value>);

/// The items by `name=x`; `None` when an item has no key or two have the same.
fn keyed<'a>(items: &'a [Value], keys: &[&str]) -> Option<Keyed<'a>> {
    let mut list = Vec::with_capacity(items.len());
    let mut map = std::collections::HashMap::with_capacity(items.len());
    for item in items {
        let parts: Vec<String> =
            keys.iter().filter_map(|key| Some(format!("{key}={}", plain(item.get(key)?)))).collect();
        if parts.is_empty() {
            return None;
        }
        let key = parts.join(",");
        if map.insert(key.clone(), item).is_some() {
            return None;
        }
        list.push((key, item));
    }
    Some(Keyed(list, map))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn step(path: &str, key: &str) -> String {
    let simple = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '$');
    match (path.is_empty(), simple) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key}]"),
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Object(map) if map.len() > 1 => format!("{{{} fields}}", map.len()),
        Value::Array(items) if items.len() > 8 => format!("[{} items]", items.len()),
        other => plain(other),
    };
    let text = text.replace('\n', "⏎");
    if text.chars().count() <= MAX_VALUE {
        return text;
    }
    text.chars().take(MAX_VALUE).chain(['…']).collect()
}

impl fmt::Display for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.fields.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            field.fmt(formatter)?;
        }
        if self.more > 0 {
            write!(formatter, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "(object)" } else { &self.path };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(formatter, "{path}: {before} → {after}"),
            (None, Some(after)) => write!(formatter, "+ {path}: {after}"),
            (Some(before), None) => write!(formatter, "- {path}: {before}"),
            (None, None) => formatter.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(live: &Value, merged: &Value, expect: &Expect) {
        expect.assert_eq(&diff(Some(live), merged, &[]).to_string());
    }

    #[test]
    fn fields_are_named_by_the_keys_of_their_lists() {
        let of = |replicas: u32, image: &str, extra: Value| {
            let mut containers =
                vec![json!({"name": "app", "image": image, "resources": {"limits": {"cpu": "1"}}})];
            if !extra.is_null() {
                containers.insert(0, extra);
            }
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "a", "generation": replicas, "labels": {"a.b/c": image}},
                "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}},
                "status": {"replicas": replicas}})
        };
        check(
            &of(1, "x:1", Value::Null),
            &of(2, "x:2", json!({"name": "log"})),
            &expect![[r#"
                metadata.labels[a.b/c]: x:1 → x:2
                spec.replicas: 1 → 2
                spec.template.spec.containers[name=app].image: x:1 → x:2
                + spec.template.spec.containers[name=log]: {"name":"log"}"#]],
        );
        check(&of(1, "x", Value::Null), &of(1, "x", Value::Null), &expect![""]);
    }

    #[test]
    fn secrets_are_masked() {
        let of =
            |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"k": value}});
        check(&of("c2VjcmV0"), &of("b3RoZXI="), &expect!["data.k: *** (before) → *** (after)"]);
        let created = diff(None, &of("c2VjcmV0"), &[]).to_string();
        assert!(!created.contains("c2VjcmV0"), "{created}");
    }

    #[test]
    fn long_lists_and_values_are_bounded() {
        let of = |value: &str| {
            let data: serde_json::Map<String, Value> =
                (0..200).map(|index| (format!("k{index}"), value.repeat(1000).into())).collect();
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data})
        };
        let diff = diff(Some(&of("a")), &of("b"), &[]);
        assert_eq!((diff.fields.len(), diff.more), (50, 150));
        assert!(diff.to_string().len() < 50 * 300);
    }
}
