//! JSON, as Go's `encoding/json` reads and writes it, indented by tabs.

use serde_json::Value as Json;

use crate::tree::{Branch, Part, Value};

pub(crate) fn read(text: &str) -> Result<Branch, String> {
    // The words of the parser can quote the text; the place cannot.
    let refused =
        |error: serde_json::Error| format!("it is no JSON, line {}, column {}", error.line(), error.column());
    let json: Json = serde_json::from_str(text).map_err(refused)?;
    match of_value(&json) {
        Value::Map(branch) => Ok(branch),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Time(_)
        | Value::List(_) => Err("it is no JSON object".to_owned()),
    }
}

pub(crate) fn of_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(|item| Part::Item(of_value(item))).collect()),
        Json::Object(map) => {
            Value::Map(map.iter().map(|(key, value)| Part::Item((key.clone(), of_value(value)))).collect())
        }
    }
}

pub(crate) fn into_value(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => Json::Bool(bool),
        Value::Int(int) => Json::from(int),
        // What is no number of JSON becomes null.
        Value::Float(float) => whole(float).map_or_else(|| Json::from(float), Json::from),
        Value::Text(text) => Json::String(text),
        Value::Time(time) => Json::String(time.text().to_owned()),
        Value::List(parts) => parts
            .into_iter()
            .filter_map(|part| match part {
                Part::Item(value) => Some(into_value(value)),
                Part::Comment(_) => None,
            })
            .collect(),
        Value::Map(branch) => branch
            .into_iter()
            .filter_map(|part| match part {
                Part::Item((key, value)) => Some((key, into_value(value))),
                Part::Comment(_) => None,
            })
            .collect(),
    }
}

/// Go writes `1.0` as `1`, which is then read as an integer.
fn whole(float: f64) -> Option<i64> {
    let text = crate::number::plain(float);
    if float.abs() < 1e18 { text.parse().ok() } else { None }
}

pub(crate) fn write(branch: &Branch) -> String {
    let mut out = String::new();
    map(&mut out, branch, 0);
    out.push('\n');
    out
}

fn map(out: &mut String, branch: &Branch, depth: usize) {
    let pairs = branch.iter().filter_map(|part| match part {
        Part::Item(pair) => Some(pair),
        Part::Comment(_) => None,
    });
    enclose(out, ('{', '}'), depth, pairs, |out, (key, item)| {
        scalar(out, &Json::String(key.clone()));
        out.push_str(": ");
        value(out, item, depth + 1);
    });
}

fn enclose<T>(
    out: &mut String,
    (open, close): (char, char),
    depth: usize,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    out.push(open);
    let mut empty = true;
    for item in items {
        if !empty {
            out.push(',');
        }
        line(out, depth + 1);
        write(out, item);
        empty = false;
    }
    if !empty {
        line(out, depth);
    }
    out.push(close);
}

fn value(out: &mut String, item: &Value, depth: usize) {
    match item {
        Value::Map(branch) => map(out, branch, depth),
        Value::List(parts) => {
            let items = parts.iter().filter_map(|part| match part {
                Part::Item(item) => Some(item),
                Part::Comment(_) => None,
            });
            enclose(out, ('[', ']'), depth, items, |out, item| value(out, item, depth + 1));
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Time(_) => {
            scalar(out, &into_value(item.clone()));
        }
    }
}

fn scalar(out: &mut String, json: &Json) {
    out.push_str(&ferrite_yaml::go_json(json));
}
