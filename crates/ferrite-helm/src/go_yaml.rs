//! YAML as Helm reads it: one meaning of scalars (YAML 1.1), every number a float, Go's messages.

mod libyaml;

use ferrite_yaml::{Data, Dialect, Key, Limits, Node, Resolved, Style, Tag};
use serde_json::{Number, Value};

/// Why a text was refused, in the words of `sigs.k8s.io/yaml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(pub String);

/// Reads the first document, every number a float; an empty one is null.
///
/// # Errors
///
/// When the text is no YAML, or holds what JSON cannot.
pub(crate) fn decode(text: &str) -> Result<Value, YamlError> {
    read(text, true)
}

/// As [`decode`], with integers left as they are.
///
/// # Errors
///
/// As [`decode`].
pub(crate) fn decode_exact(text: &str) -> Result<Value, YamlError> {
    read(text, false)
}

fn read(text: &str, floats: bool) -> Result<Value, YamlError> {
    let failed = |e: String| YamlError(format!("error converting YAML to JSON: {e}"));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse(text).map_err(failed)? {
        None => Ok(Value::Null),
        Some(node) => to_json(&node, floats).map_err(failed),
    }
}

/// The fast reader is more lenient than libyaml in a few places, and words its errors differently; where that can
/// matter, libyaml's rules decide.
fn parse(text: &str) -> Result<Option<Node>, String> {
    if !doubtful(text)
        && let Ok(node) = ferrite_yaml::parse(text, &Limits::default())
    {
        return Ok(node);
    }
    libyaml::load(text)
}

/// Tabs in indentation, surrogates in escapes, directives, and ends of documents.
fn doubtful(text: &str) -> bool {
    let lines = || text.lines();
    text.contains("\\ud")
        || text.contains("\\uD")
        || text.contains('\t') && lines().any(|line| line.trim_start_matches(' ').starts_with('\t'))
        || lines().any(|line| line.starts_with('%') || line.starts_with("..."))
}

fn to_json(node: &Node, floats: bool) -> Result<Value, String> {
    match &node.data {
        Data::Scalar(text) => scalar(node, text, floats),
        Data::Seq(items) => items.iter().map(|item| to_json(item, floats)).collect(),
        Data::Map(map) => {
            let mut object = serde_json::Map::with_capacity(map.entries.len());
            for (key, value) in &map.entries {
                object.insert(key_text(key, value)?, to_json(value, floats)?);
            }
            Ok(Value::Object(object))
        }
    }
}

fn scalar(node: &Node, text: &str, floats: bool) -> Result<Value, String> {
    if node.tag != Tag::None && node.tag != Tag::Other {
        let value = node.to_json(Dialect::Yaml11).map_err(|e| e.message)?;
        return Ok(if floats { float_of(value) } else { value });
    }
    Ok(match node.resolved(Dialect::Yaml11) {
        Resolved::Null => Value::Null,
        Resolved::Bool(flag) => Value::Bool(flag),
        Resolved::Int(int) if floats => number(int as f64)?,
        Resolved::Uint(int) if floats => number(int as f64)?,
        Resolved::Int(int) => int.into(),
        Resolved::Uint(int) => int.into(),
        Resolved::Float(float) => number(float)?,
        Resolved::Timestamp(_) | Resolved::Str => text.into(),
    })
}

fn float_of(mut value: Value) -> Value {
    floats(&mut value);
    value
}

fn number(float: f64) -> Result<Value, String> {
    Number::from_f64(float).map(Value::Number).ok_or_else(|| {
        format!("json: unsupported value: {}", ferrite_gotemplate::format_float(float, b'g', None))
    })
}

/// A key as JSON has it: a string, whatever YAML made of it.
fn key_text(key: &Key, value: &Node) -> Result<String, String> {
    if key.style != Style::Plain || key.tag != Tag::None {
        return Ok(key.text.clone());
    }
    Ok(match ferrite_yaml::resolve(&key.text, Dialect::Yaml11) {
        Resolved::Bool(flag) => flag.to_string(),
        Resolved::Int(int) => int.to_string(),
        Resolved::Uint(int) => int.to_string(),
        Resolved::Float(float) => ferrite_gotemplate::format_float(float, b'g', None),
        Resolved::Null => {
            let value = to_json(value, true).map(|v| crate::values::to_template(&v)).unwrap_or_default();
            let shown = ferrite_gotemplate::sprintf(b"%#v", &[value]);
            return Err(format!(
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: {}",
                String::from_utf8_lossy(&shown)
            ));
        }
        Resolved::Timestamp(_) | Resolved::Str => key.text.clone(),
    })
}

/// Turns every number into a float, as Go's JSON decoder does without a type to go by.
pub(crate) fn floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(floats),
        Value::Object(entries) => entries.values_mut().for_each(floats),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Splits a values file at `---` lines, as the Kubernetes document reader does.
#[must_use]
pub(crate) fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let separator = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty());
        if separator && at > start {
            documents.extend(text.get(start..at));
            start = at + line.len();
        }
        at += line.len();
    }
    documents.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    documents
}

/// Reads a values file: several documents are merged from first to last, an empty file is an empty map.
///
/// # Errors
///
/// When a document is no mapping.
pub fn decode_values(text: &str) -> Result<serde_json::Map<String, Value>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = serde_json::Map::new();
    for document in documents(text) {
        let failed = |e: YamlError| YamlError(format!("cannot unmarshal yaml document: {e}"));
        match decode(document).map_err(failed)? {
            Value::Null => {}
            Value::Object(entries) => crate::values::merge_files(&mut values, entries),
            other => return Err(failed(YamlError(wrong_type(&other, "map[string]interface {}")))),
        }
    }
    Ok(values)
}

/// `encoding/json`'s complaint about a value of another type.
#[must_use]
pub(crate) fn wrong_type(value: &Value, wanted: &str) -> String {
    let kind = json_kind(value);
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type {wanted}"
    )
}

/// How `encoding/json` names the kind of a value.
#[must_use]
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
