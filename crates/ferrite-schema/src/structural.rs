//! Whether a CustomResourceDefinition's schema is acceptable: structural, and within the rules of its keywords.

mod keywords;

use crate::problem::Problem;
use serde_json::{Map, Value};

/// Deepest nesting of a schema that is checked.
const MAX_DEPTH: usize = 128;

/// Everything that is wrong with an `openAPIV3Schema` at the path `at`, expressions in CEL aside.
///
/// The rules are those of apiextensions.k8s.io/v1: a type for every field, nothing structural inside of `allOf`,
/// `anyOf`, `oneOf` and `not`, metadata left alone, keyed lists with usable keys.
#[must_use]
pub fn check_schema(schema: &Value, at: &str) -> Vec<Problem> {
    let mut out = Vec::new();
    // A schema with keywords of another dialect has no structure to speak of.
    if !keywords::has_unsupported(schema, 0) {
        structural(schema, Level::Root, at, 0, &mut out);
        complete(schema, schema, at, at, 0, &mut out);
    }
    keywords::check(schema, at, keywords::Place::default(), 0, &mut out);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

pub(super) fn text<'s>(schema: &'s Value, key: &str) -> &'s str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn list<'s>(schema: &'s Value, key: &str) -> &'s [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn is_empty(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_none_or(Map::is_empty)
}

fn structural(schema: &Value, level: Level, at: &str, depth: usize, out: &mut Vec<Problem>) {
    if depth > MAX_DEPTH {
        out.push(Problem::forbidden(at, "nested too deeply"));
        return;
    }
    let ty = text(schema, "type");
    if ty == "array" && schema.get("items").is_none_or(Value::is_null) {
        out.push(Problem::required(format!("{at}.items"), "must be specified"));
    }
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        structural(items, Level::Item, &format!("{at}.items"), depth + 1, out);
    }
    for (name, property) in properties(schema) {
        structural(property, Level::Field, &format!("{at}.properties[{name}]"), depth + 1, out);
    }
    let additional = schema.get("additionalProperties").filter(|a| !a.is_null());
    if let Some(additional) = additional {
        if level == Level::Root {
            out.push(Problem::forbidden(
                format!("{at}.additionalProperties"),
                "must not be used at the root",
            ));
        }
        if additional.is_object() {
            structural(additional, Level::Field, &format!("{at}.additionalProperties"), depth + 1, out);
        }
    }
    extensions(schema, at, out);
    values(schema, level, at, depth, Skip::of(schema), out);
    type_of(schema, ty, level, at, out);
    if flag(schema, "x-kubernetes-embedded-resource") && additional.is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        out.push(Problem::forbidden(format!("{at}.additionalProperties"), detail));
    }
    metadata(schema, level, at, out);
}

fn extensions(schema: &Value, at: &str, out: &mut Vec<Problem>) {
    if !flag(schema, "x-kubernetes-int-or-string") {
        return;
    }
    for key in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if flag(schema, key) {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            out.push(Problem::invalid(format!("{at}.{key}"), &Value::from(true), detail));
        }
    }
}

fn type_of(schema: &Value, ty: &str, level: Level, at: &str, out: &mut Vec<Problem>) {
    let field = format!("{at}.type");
    if flag(schema, "x-kubernetes-embedded-resource") && ty != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        out.push(if ty.is_empty() {
            Problem::required(&*field, detail)
        } else {
            Problem::invalid(&*field, &ty.into(), detail)
        });
    } else if ty.is_empty()
        && !flag(schema, "x-kubernetes-int-or-string")
        && !flag(schema, "x-kubernetes-preserve-unknown-fields")
    {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        out.push(Problem::required(&*field, detail));
    }
    if level == Level::Root && !ty.is_empty() && ty != "object" {
        out.push(Problem::invalid(field, &ty.into(), "must be object at the root"));
    }
}

fn metadata(schema: &Value, level: Level, at: &str, out: &mut Vec<Problem>) {
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let own = level == Level::Root || embedded;
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
        if embedded && !flag(schema, "x-kubernetes-preserve-unknown-fields") {
            no_properties(at, out);
        }
        return;
    };
    for name in ["kind", "apiVersion"] {
        if let Some(field) = fields.get(name).filter(|f| own && text(f, "type") != "string") {
            let path = format!("{at}.properties[{name}].type");
            out.push(Problem::invalid(path, &text(field, "type").into(), "must be string"));
        }
    }
    if let Some(metadata) = fields.get("metadata") {
        let path = format!("{at}.properties[metadata]");
        if own && text(metadata, "type") != "object" {
            let detail = "must be object";
            out.push(Problem::invalid(format!("{path}.type"), &text(metadata, "type").into(), detail));
        }
        if level == Level::Root && says_more_than_names(metadata) {
            let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            out.push(Problem::forbidden(path, detail));
        }
    }
    if embedded && fields.is_empty() && !flag(schema, "x-kubernetes-preserve-unknown-fields") {
        no_properties(at, out);
    }
}

fn no_properties(at: &str, out: &mut Vec<Problem>) {
    let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
    out.push(Problem::required(format!("{at}.properties"), detail));
}

fn says_more_than_names(metadata: &Value) -> bool {
    let Some(object) = metadata.as_object() else { return false };
    let names_only = |p: &Value| {
        p.as_object().is_none_or(|p| p.keys().all(|k| matches!(k.as_str(), "name" | "generateName")))
    };
    object.iter().any(|(key, value)| match key.as_str() {
        "type" | "default" => false,
        "properties" => !names_only(value),
        _ => {
            !(value.is_null() || value == false || value == "" || is_empty(Some(value)) && value.is_object())
        }
    })
}

/// Which alternatives are the known spelling of a number or text, and may name types.
#[derive(Clone, Copy)]
struct Skip {
    any_of: bool,
    first_all_of: bool,
}

impl Skip {
    const NONE: Self = Self { any_of: false, first_all_of: false };

    fn of(schema: &Value) -> Self {
        let pair = |list: &[Value]| matches!(list, [a, b] if *a == serde_json::json!({"type": "integer"}) && *b == serde_json::json!({"type": "string"}));
        Self {
            any_of: pair(list(schema, "anyOf")),
            first_all_of: list(schema, "allOf").first().is_some_and(|first| pair(list(first, "anyOf"))),
        }
    }
}

/// The value validations of a schema, at its own level and nested.
fn values(schema: &Value, level: Level, at: &str, depth: usize, skip: Skip, out: &mut Vec<Problem>) {
    for key in ["anyOf", "allOf", "oneOf"] {
        if key == "anyOf" && skip.any_of {
            continue;
        }
        for (index, inner) in list(schema, key).iter().enumerate() {
            let inner_skip = Skip { any_of: key == "allOf" && index == 0 && skip.first_all_of, ..Skip::NONE };
            nested(inner, level, &format!("{at}.{key}[{index}]"), depth + 1, inner_skip, out);
        }
    }
    if let Some(not) = schema.get("not").filter(|n| n.is_object()) {
        nested(not, level, &format!("{at}.not"), depth + 1, Skip::NONE, out);
    }
    let pattern = text(schema, "pattern");
    if let Some(error) = keywords::bad_pattern(pattern) {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        out.push(Problem::invalid(format!("{at}.pattern"), &pattern.into(), &detail));
    }
}

/// What is inside of a junctor: it may restrict values, never say what the structure is.
fn nested(schema: &Value, level: Level, at: &str, depth: usize, skip: Skip, out: &mut Vec<Problem>) {
    const FORBIDDEN: [(&str, &str); 11] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    if depth > MAX_DEPTH {
        out.push(Problem::forbidden(at, "nested too deeply"));
        return;
    }
    values(schema, level, at, depth, skip, out);
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        nested(items, level, &format!("{at}.items"), depth + 1, Skip::NONE, out);
    }
    for (name, property) in properties(schema) {
        nested(property, Level::Field, &format!("{at}.properties[{name}]"), depth + 1, Skip::NONE, out);
    }
    for (key, detail) in FORBIDDEN {
        let said = schema.get(key).is_some_and(|v| match v {
            Value::Null => false,
            Value::Bool(b) => *b || key == "additionalProperties" || key == "default",
            Value::String(s) => !s.is_empty() || key == "default",
            Value::Array(a) => !a.is_empty() || key == "default",
            Value::Number(_) | Value::Object(_) => true,
        });
        if said {
            out.push(Problem::forbidden(format!("{at}.{key}"), detail));
        }
    }
    for key in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if schema.get(key).is_some_and(|v| !v.is_null()) {
            out.push(Problem::forbidden(format!("{at}.{key}"), "must be undefined to be structural"));
        }
    }
    if properties(schema).any(|(name, _)| name == "metadata") {
        let detail = "must not be specified in a nested context";
        out.push(Problem::forbidden(format!("{at}.properties[metadata]"), detail));
    }
}

/// Every field that value validations name must be declared outside of them.
fn complete(values: &Value, own: &Value, at_values: &str, at: &str, depth: usize, out: &mut Vec<Problem>) {
    if depth > MAX_DEPTH {
        return;
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for (index, inner) in list(values, key).iter().enumerate() {
            declared(inner, own, &format!("{at_values}.{key}[{index}]"), at, depth + 1, out);
        }
    }
    if let Some(not) = values.get("not").filter(|n| n.is_object()) {
        declared(not, own, &format!("{at_values}.not"), at, depth + 1, out);
    }
    // Below a declared field its own validations are checked against it.
    if std::ptr::eq(values, own) {
        for (name, property) in properties(own) {
            let path = format!("{at}.properties[{name}]");
            complete(property, property, &path, &path, depth + 1, out);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = own.get(key).filter(|i| i.is_object()) {
                let path = format!("{at}.{key}");
                complete(inner, inner, &path, &path, depth + 1, out);
            }
        }
    }
}

fn declared(nested: &Value, own: &Value, at_nested: &str, at: &str, depth: usize, out: &mut Vec<Problem>) {
    if depth > MAX_DEPTH {
        return;
    }
    complete(nested, own, at_nested, at, depth, out);
    if let Some(items) = nested.get("items").filter(|i| i.is_object()) {
        let (from, path) = (format!("{at_nested}.items"), format!("{at}.items"));
        match own.get("items").filter(|i| i.is_object()) {
            Some(own) => declared(items, own, &from, &path, depth + 1, out),
            None => out.push(Problem::required(path, &format!("because it is defined in {from}"))),
        }
    }
    let fields = own.get("properties").and_then(Value::as_object);
    for (name, property) in properties(nested) {
        let (from, path) = (format!("{at_nested}.properties[{name}]"), format!("{at}.properties[{name}]"));
        match fields.and_then(|f| f.get(name)) {
            Some(own) => declared(property, own, &from, &path, depth + 1, out),
            None => out.push(Problem::required(path, &format!("because it is defined in {from}"))),
        }
    }
}

/// The schema at a simple path such as `.spec.map['a.b'].name`; `None` when the schema declares no such field.
///
/// Lists have no fields: a path ends before them.
#[must_use]
pub fn field_at<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let mut at = schema;
    let mut rest = path;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']")?
        } else {
            let plain = rest.strip_prefix('.')?;
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            plain.split_at_checked(end)?
        };
        if name.is_empty() {
            return None;
        }
        let declared = at.get("properties").and_then(|p| p.get(name));
        at = declared.or_else(|| at.get("additionalProperties").filter(|a| a.is_object()))?;
        rest = after;
    }
    Some(at)
}
