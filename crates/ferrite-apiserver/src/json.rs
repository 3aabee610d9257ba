//! JSON bodies: values, doubled keys, and failures in the words of Go's decoder.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A body's value and the paths of keys that it gives twice.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Value, Vec<String>), String> {
    let mut doubled = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Node { path: String::new(), doubled: &mut doubled };
    let value = seed.deserialize(&mut deserializer).map_err(|e| go_error(bytes, &e))?;
    deserializer.end().map_err(|e| go_error(bytes, &e))?;
    Ok((value, doubled))
}

/// A syntax error as Go's `encoding/json` words it.
pub(crate) fn go_error(bytes: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() || bytes.is_empty() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = bytes.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = line.get(error.column().saturating_sub(1)).copied().unwrap_or(b' ');
    let found = char::from(at);
    let place = match error.to_string() {
        text if text.contains("trailing characters") => "after top-level value",
        text if text.contains("key must be a string") => "looking for beginning of object key string",
        text if text.contains("expected `:`") => "after object key",
        text if text.contains("expected `,` or `}`") => "after object key:value pair",
        text if text.contains("expected `,` or `]`") => "after array element",
        text if text.contains("expected ident") => return literal(line, error.column()),
        _ => "looking for beginning of value",
    };
    format!("invalid character {found:?} {place}")
}

/// `invalid character 'o' in literal null (expecting 'u')`
fn literal(line: &[u8], column: usize) -> String {
    let upto = line.get(..column).unwrap_or_default();
    let start = upto.iter().rposition(|b| !b.is_ascii_alphabetic()).map_or(0, |p| p + 1);
    let word = upto.get(start..).unwrap_or_default();
    let full = match word.first() {
        Some(b't') => "true",
        Some(b'f') => "false",
        _ => "null",
    };
    let wrong = word.iter().zip(full.bytes()).position(|(a, b)| *a != b).unwrap_or_default();
    let found = word.get(wrong).map_or(' ', |b| char::from(*b));
    let expected = full.chars().nth(wrong).unwrap_or(' ');
    format!("invalid character {found:?} in literal {full} (expecting {expected:?})")
}

struct Node<'a> {
    path: String,
    doubled: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, items.len());
            match seq.next_element_seed(Node { path, doubled: self.doubled })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if object.contains_key(&key) {
                self.doubled.push(path.clone());
            }
            let value = map.next_value_seed(Node { path, doubled: self.doubled })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The value at `path` of keys, or null.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |v, key| &v[*key])
}

/// The text under `key`, or the empty string.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list, or none.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Removes `key` from an object; nothing happens to anything else.
pub(crate) fn remove(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut().and_then(|o| o.shift_remove(key))
}

/// Whether a value is absent, null, or empty.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
