//! From a schemars schema to a structural one, as `apiextensions.k8s.io/v1` wants it.
//!
//! Source of the rules: Kubernetes' documentation of structural schemas, and what controller-gen writes.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Keywords that a structural schema may have here; anything else is a mistake in a type.
const KNOWN: &[&str] = &[
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "x-kubernetes-validations",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

/// How the description begins of a field that only former versions had.
pub(super) const FORMER_MARK: &str = "Deprecated, of ";

/// The structural schema of a type; an error is a path and what is wrong there.
pub(super) fn schema_of<T: JsonSchema>() -> Result<Value, (String, String)> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.remove("title");
    }
    tidy(&mut schema, "")?;
    Ok(schema)
}

fn tidy(schema: &mut Value, path: &str) -> Result<(), (String, String)> {
    let fail = |problem: &str| Err((path.to_owned(), problem.to_owned()));
    let Some(map) = schema.as_object_mut() else { return fail("a schema is an object") };
    without_null(map);
    map.remove("default");
    if let Some(default) = map.remove("x-default") {
        map.insert("default".to_owned(), default);
    }
    if map.get("format").and_then(Value::as_str).is_some_and(|f| !matches!(f, "int64" | "date-time")) {
        map.remove("format");
    }
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    map.retain(|_, value| !value.is_null());
    if let Some(unknown) = map.keys().find(|key| !KNOWN.contains(&key.as_str()) && *key != "x-required") {
        return fail(&format!("`{unknown}` has no place in a structural schema"));
    }
    if !map.contains_key("type") && !map.contains_key("x-kubernetes-preserve-unknown-fields") {
        return fail("the type is missing");
    }
    properties(map, path)?;
    if let Some(items) = map.get_mut("items") {
        tidy(items, &format!("{path}[]"))?;
    }
    match map.get_mut("additionalProperties") {
        Some(Value::Bool(_)) => return fail("additionalProperties has to be a schema"),
        Some(values) => tidy(values, &format!("{path}{{}}"))?,
        None => {}
    }
    Ok(())
}

/// `Option<T>` is no type of its own: what may be absent is not required, and null is nothing.
fn without_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(mut choices)) = map.remove("anyOf") {
        choices.retain(|choice| *choice != json!({"type": "null"}));
        match <[Value; 1]>::try_from(choices) {
            Ok([Value::Object(inner)]) => {
                for (key, value) in inner {
                    map.entry(key).or_insert(value);
                }
            }
            Ok([other]) => drop(map.insert("anyOf".to_owned(), other)),
            Err(choices) => drop(map.insert("anyOf".to_owned(), choices.into())),
        }
    }
}

fn properties(map: &mut Map<String, Value>, path: &str) -> Result<(), (String, String)> {
    let mut required: Vec<String> = match map.remove("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            tidy(property, &format!("{path}.{name}"))?;
            if property.as_object_mut().and_then(|map| map.remove("x-required")) == Some(Value::Bool(true)) {
                required.push(name.clone());
            }
        }
    }
    required.sort_unstable();
    required.dedup();
    if !required.is_empty() {
        map.insert("required".to_owned(), required.into());
    }
    Ok(())
}

/// The schema at a path such as `.spec.patches[].target`, where `{}` is a map's value.
pub(super) fn at<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut found = schema;
    for step in steps(path) {
        found = match step {
            "[]" => found.get_mut("items")?,
            "{}" => found.get_mut("additionalProperties")?,
            name => found.get_mut("properties")?.get_mut(name)?,
        };
    }
    Some(found)
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|part| !part.is_empty()).flat_map(|part| {
        let name = part.trim_end_matches(['[', ']', '{', '}']);
        let marks = part.strip_prefix(name).unwrap_or_default();
        let marks = marks.as_bytes().chunks(2).map(|mark| if mark == b"[]" { "[]" } else { "{}" });
        std::iter::once(name).chain(marks)
    })
}
