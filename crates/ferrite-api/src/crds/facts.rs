//! What a CustomResourceDefinition says, without the words: one line for each version and for each schema node.
//!
//! `<Kind>/<version> <path> <JSON of constraints>`, where a path is like `.spec.patches[].target` and a map's value is
//! `{}`. The line whose path is `-` tells names, scope, printer columns and subresources. `cargo xtask facts` prints
//! these lines of Flux's definitions, and the tests compare ours with them.

use serde_json::{Map, Value, json};

/// The facts of one definition, in the order of its versions, parents before children.
///
/// A definition that is none has no facts.
#[must_use]
pub fn facts(crd: &Value) -> Vec<String> {
    let spec = &crd["spec"];
    let kind = spec["names"]["kind"].as_str().unwrap_or_default();
    let mut lines = Vec::new();
    for version in spec["versions"].as_array().into_iter().flatten() {
        let name = format!("{kind}/{}", version["name"].as_str().unwrap_or_default());
        let about = json!({
            "columns": columns(version),
            "group": spec["group"],
            "names": spec["names"],
            "scope": spec["scope"],
            "served": version["served"],
            "storage": version["storage"],
            "status": version["subresources"].get("status").is_some(),
        });
        lines.push(format!("{name} - {}", sorted(&about)));
        node(&name, "", &version["schema"]["openAPIV3Schema"], false, &mut lines);
    }
    lines
}

fn columns(version: &Value) -> Vec<Value> {
    let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
    columns
        .map(|column| {
            let mut column = column.clone();
            if let Some(map) = column.as_object_mut() {
                map.remove("description");
            }
            column
        })
        .collect()
}

fn node(version: &str, path: &str, schema: &Value, required: bool, lines: &mut Vec<String>) {
    let Some(map) = schema.as_object() else { return };
    let mut said: Map<String, Value> = Map::new();
    for (key, value) in map {
        let children = ["properties", "items", "additionalProperties", "required", "description"];
        if !children.contains(&key.as_str()) {
            said.insert(key.clone(), value.clone());
        }
    }
    if required {
        said.insert("required".to_owned(), true.into());
    }
    let shown = if path.is_empty() { "." } else { path };
    lines.push(format!("{version} {shown} {}", sorted(&Value::Object(said))));
    let names: Vec<&str> = map
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut properties: Vec<_> =
        map.get("properties").and_then(Value::as_object).into_iter().flatten().collect();
    properties.sort_unstable_by_key(|(name, _)| *name);
    for (name, property) in properties {
        node(version, &format!("{path}.{name}"), property, names.contains(&name.as_str()), lines);
    }
    if let Some(items) = map.get("items") {
        node(version, &format!("{path}[]"), items, false, lines);
    }
    if let Some(values) = map.get("additionalProperties") {
        node(version, &format!("{path}{{}}"), values, false, lines);
    }
}

/// JSON with the keys of every object in order.
fn sorted(value: &Value) -> String {
    fn sort(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sort(value))).collect())
            }
            Value::Array(list) => list.iter().map(sort).collect(),
            other => other.clone(),
        }
    }
    sort(value).to_string()
}
