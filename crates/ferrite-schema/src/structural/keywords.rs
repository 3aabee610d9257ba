//! The rules of single keywords of a CustomResourceDefinition's schema.

use super::{MAX_DEPTH, flag, list, properties, text};
use crate::problem::Problem;
use serde_json::Value;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Keywords that OpenAPI's dialect of JSON schema has and Kubernetes refuses.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("$ref", "$ref is not supported"),
    ("id", "id is not supported"),
    ("$schema", "schema is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$comment", "$comment is not supported"),
];

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Where a schema stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Why defaults are not allowed here.
    pub(super) no_defaults: Option<&'static str>,
    nested: bool,
}

/// Go's message for a pattern that does not compile.
pub(super) fn bad_pattern(pattern: &str) -> Option<String> {
    let error = regex::Regex::new(pattern).err()?;
    let text = error.to_string();
    let why = if text.contains("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if text.contains("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if text.contains("unclosed character class") {
        let from = pattern.rfind('[').and_then(|at| pattern.get(at..)).unwrap_or(pattern);
        format!("missing closing ]: `{from}`")
    } else if text.contains("repetition operator missing expression") {
        let operator = pattern.chars().find(|c| "*+?".contains(*c)).unwrap_or('*');
        format!("missing argument to repetition operator: `{operator}`")
    } else if text.contains("look-around") {
        let from = pattern.find("(?").and_then(|at| pattern.get(at..)).unwrap_or(pattern);
        let shown: String = from.chars().take(3).collect();
        format!("invalid or unsupported Perl syntax: `{shown}`")
    } else {
        format!("invalid escape sequence: `{pattern}`")
    };
    Some(format!("error parsing regexp: {why}"))
}

fn says(schema: &Value, keyword: &str) -> bool {
    schema.get(keyword).is_some_and(|v| !v.is_null() && v != "")
}

/// Whether a keyword that Kubernetes refuses is used anywhere.
pub(super) fn has_unsupported(schema: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH || !schema.is_object() {
        return false;
    }
    let inside = |inner: &Value| has_unsupported(inner, depth + 1);
    UNSUPPORTED.iter().any(|(keyword, _)| says(schema, keyword))
        || properties(schema).any(|(_, property)| inside(property))
        || ["items", "additionalProperties", "not"].iter().filter_map(|key| schema.get(key)).any(inside)
        || ["allOf", "anyOf", "oneOf"].iter().any(|key| list(schema, key).iter().any(inside))
}

pub(super) fn check(schema: &Value, at: &str, place: Place, depth: usize, out: &mut Vec<Problem>) {
    if depth > MAX_DEPTH || !schema.is_object() {
        return;
    }
    own(schema, at, place, out);
    list_rules(schema, at, out);
    rules(schema, at, out);
    for (name, property) in properties(schema) {
        let meta = depth == 0 && matches!(name.as_str(), "metadata" | "kind" | "apiVersion");
        let no_defaults = match name.as_str() {
            _ if !meta => place.no_defaults,
            "metadata" => Some("must not be set in top-level metadata"),
            "kind" => Some("must not be set in top-level kind"),
            _ => Some("must not be set in top-level apiVersion"),
        };
        check(property, &format!("{at}.properties[{name}]"), Place { no_defaults, ..place }, depth + 1, out);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            check(inner, &format!("{at}.{key}"), place, depth + 1, out);
        }
    }
    let nested = Place { nested: true, ..place };
    if let Some(not) = schema.get("not") {
        check(not, &format!("{at}.not"), nested, depth + 1, out);
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        for (index, inner) in list(schema, key).iter().enumerate() {
            check(inner, &format!("{at}.{key}[{index}]"), nested, depth + 1, out);
        }
    }
}

fn own(schema: &Value, at: &str, place: Place, out: &mut Vec<Problem>) {
    let ty = text(schema, "type");
    if !ty.is_empty() && !TYPES.contains(&ty) {
        out.push(Problem::unsupported(format!("{at}.type"), &ty.into(), &TYPES.map(str::to_owned)));
    }
    if let Some(why) = place.no_defaults
        && schema.get("default").is_some_and(|d| !d.is_null())
    {
        out.push(Problem::forbidden(format!("{at}.default"), why));
    }
    for (key, detail) in UNSUPPORTED {
        if says(schema, key) {
            out.push(Problem::forbidden(format!("{at}.{key}"), detail));
        }
    }
    if flag(schema, "uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        out.push(Problem::forbidden(format!("{at}.uniqueItems"), detail));
    }
    let additional = schema.get("additionalProperties").filter(|a| !a.is_null());
    if properties(schema).next().is_some() && additional.is_some_and(|a| *a != true) {
        let detail = "additionalProperties and properties are mutual exclusive";
        out.push(Problem::forbidden(format!("{at}.additionalProperties"), detail));
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let field = format!("{at}.x-kubernetes-preserve-unknown-fields");
        out.push(Problem::invalid(field, &Value::Bool(false), "must be true or undefined"));
    }
    if !place.nested
        && schema.get("nullable") == Some(&Value::Bool(true))
        && !at.contains('[')
        && at.ends_with("Schema")
    {
        out.push(Problem::forbidden(format!("{at}.nullable"), "nullable cannot be true at the root"));
    }
}

fn typed(schema: &Value, at: &str, key: &str, needs: &str, out: &mut Vec<Problem>) {
    let ty = text(schema, "type");
    if ty == needs {
        return;
    }
    let detail = format!("must be {needs} if {key} is specified");
    let field = format!("{at}.type");
    out.push(if ty.is_empty() {
        Problem::required(field, &detail)
    } else {
        Problem::invalid(field, &ty.into(), &detail)
    });
}

fn list_rules(schema: &Value, at: &str, out: &mut Vec<Problem>) {
    let given = |key: &str| schema.get(key).filter(|v| !v.is_null());
    if let Some(map_type) = given("x-kubernetes-map-type") {
        typed(schema, at, "x-kubernetes-map-type", "object", out);
        if map_type != "atomic" && map_type != "granular" {
            let supported = ["atomic", "granular"].map(str::to_owned);
            out.push(Problem::unsupported(format!("{at}.x-kubernetes-map-type"), map_type, &supported));
        }
    }
    let list_type = given("x-kubernetes-list-type");
    let items = schema.get("items").filter(|i| i.is_object());
    if let Some(list_type) = list_type {
        if text(schema, "type") != "array" {
            typed(schema, at, "x-kubernetes-list-type", "array", out);
        } else if list_type == "set"
            && let Some(items) = items
        {
            set_items(items, at, out);
        }
        if !["atomic", "set", "map"].iter().any(|t| list_type == t) {
            let supported = ["atomic", "set", "map"].map(str::to_owned);
            out.push(Problem::unsupported(format!("{at}.x-kubernetes-list-type"), list_type, &supported));
        }
    }
    let keys = list(schema, "x-kubernetes-list-map-keys");
    if !keys.is_empty() {
        let (field, detail) = (
            format!("{at}.x-kubernetes-list-type"),
            "must be map if x-kubernetes-list-map-keys is non-empty",
        );
        match list_type {
            None => out.push(Problem::required(field, detail)),
            Some(t) if t != "map" => out.push(Problem::invalid(field, t, detail)),
            Some(_) => {}
        }
    }
    if list_type.is_some_and(|t| t == "map") {
        map_keys(schema, items, keys, at, out);
    }
    if let Some(items) = items
        && let Some(list_type) = list_type.and_then(Value::as_str)
        && matches!(list_type, "set" | "map")
        && flag(items, "nullable")
    {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        out.push(Problem::forbidden(format!("{at}.items.nullable"), &detail));
    }
}

fn set_items(items: &Value, at: &str, out: &mut Vec<Problem>) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let own_list = items.get("x-kubernetes-list-type").unwrap_or(&Value::Null);
    match text(items, "type") {
        "array" if !own_list.is_null() && own_list != "atomic" => {
            out.push(Problem::invalid(format!("{at}.items.x-kubernetes-list-type"), own_list, detail));
        }
        "object" if text(items, "x-kubernetes-map-type") != "atomic" => {
            out.push(Problem::invalid(format!("{at}.items.x-kubernetes-map-type"), own_list, detail));
        }
        _ => {}
    }
}

fn map_keys(schema: &Value, items: Option<&Value>, keys: &[Value], at: &str, out: &mut Vec<Problem>) {
    let field = format!("{at}.x-kubernetes-list-map-keys");
    if keys.is_empty() {
        out.push(Problem::required(&*field, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = items else {
        let detail = "must have a schema if x-kubernetes-list-type is map";
        out.push(Problem::required(format!("{at}.items"), detail));
        return;
    };
    if text(items, "type") != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        out.push(Problem::invalid(format!("{at}.items.type"), &text(items, "type").into(), detail));
        return;
    }
    let all = schema.get("x-kubernetes-list-map-keys").unwrap_or(&Value::Null);
    let mut seen = Vec::new();
    for key in keys.iter().filter_map(Value::as_str) {
        if seen.contains(&key) {
            out.push(Problem::invalid(&*field, all, "must not contain duplicate entries"));
        }
        seen.push(key);
        let Some(property) = items.get("properties").and_then(|p| p.get(key)) else {
            out.push(Problem::invalid(&*field, all, "entries must all be names of item properties"));
            continue;
        };
        let path = format!("{at}.items.properties[{key}]");
        if matches!(text(property, "type"), "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            out.push(Problem::invalid(format!("{path}.type"), &text(items, "type").into(), detail));
        }
        let required = list(items, "required").iter().any(|r| r == key);
        if !required && property.get("default").is_none_or(Value::is_null) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            out.push(Problem::required(format!("{path}.default"), detail));
        }
        if flag(property, "nullable") {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            out.push(Problem::forbidden(format!("{path}.nullable"), detail));
        }
    }
}

/// The form of `x-kubernetes-validations`; whether the expressions compile is for the caller.
fn rules(schema: &Value, at: &str, out: &mut Vec<Problem>) {
    let broken = |text: &str| text.contains(['\n', '\r']);
    for (index, rule) in list(schema, "x-kubernetes-validations").iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
        if expression.is_empty() {
            out.push(Problem::required(format!("{at}.rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            let detail = "must be non-empty if specified";
            out.push(Problem::invalid(format!("{at}.message"), &message.into(), detail));
        } else if broken(message.trim()) {
            out.push(Problem::invalid(
                format!("{at}.message"),
                &message.into(),
                "must not contain line breaks",
            ));
        } else if broken(expression) && message.trim().is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            out.push(Problem::required(format!("{at}.message"), detail));
        }
        let message_expression = text(rule, "messageExpression");
        if !message_expression.is_empty() && message_expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            out.push(Problem::required(format!("{at}.messageExpression"), detail));
        }
        if let Some(reason) = rule.get("reason").filter(|r| !r.is_null())
            && !REASONS.iter().any(|r| reason == r)
        {
            out.push(Problem::unsupported(format!("{at}.reason"), reason, &REASONS.map(str::to_owned)));
        }
        let path = text(rule, "fieldPath");
        if broken(path) {
            out.push(Problem::invalid(
                format!("{at}.fieldPath"),
                &path.into(),
                "must not contain line breaks",
            ));
        }
        if !path.is_empty() && super::field_at(schema, path).is_none() {
            out.push(Problem::invalid(format!("{at}.fieldPath"), &path.into(), "must be a valid path"));
        }
    }
}
