//! What Go's JSON decoder says about a value that does not fit a built-in type.

use crate::types::{Kind, Type};
use regex::Regex;
use serde_json::Value;
use std::sync::OnceLock;

/// The first error that Go has in decoding `value`.
///
/// `json: cannot unmarshal number into Go struct field ConfigMap.data of type string`, and the errors of quantities,
/// times and base64. Of custom resources only metadata is decoded, that of embedded objects too.
#[must_use]
pub fn decode_error(ty: &Type, value: &Value) -> Option<String> {
    let decode =
        |ty: &Type, value: &Value| visit(ty, value, &mut Place { owner: String::new(), path: Vec::new() });
    if ty.builtin {
        return decode(ty, value);
    }
    let metadata = |ty: &Type, value: &Value| decode(ty.child("metadata")?, value.get("metadata")?);
    if let Some(error) = metadata(ty, value) {
        return Some(error);
    }
    embedded_objects(ty, value).into_iter().find_map(|(path, ty, value)| {
        let error = metadata(ty, value)?;
        Some(format!("{path}.metadata: Invalid value: {}: {error}", value.get("metadata")?))
    })
}

/// The objects that a custom resource embeds, with their paths and types: `x-kubernetes-embedded-resource`.
#[must_use]
pub fn embedded_objects<'v>(ty: &'v Type, value: &'v Value) -> Vec<(String, &'v Type, &'v Value)> {
    let mut found = Vec::new();
    embedded(ty, value, &mut String::new(), &mut found);
    found
}

fn embedded<'v>(
    ty: &'v Type,
    value: &'v Value,
    path: &mut String,
    found: &mut Vec<(String, &'v Type, &'v Value)>,
) {
    if ty.builtin {
        return;
    }
    let length = path.len();
    match value {
        Value::Object(object) => {
            if ty.embedded {
                found.push((path.clone(), ty, value));
            }
            for (name, value) in object {
                if let Some(field) = ty.field(name) {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    embedded(&field.ty, value, path, found);
                } else if let Some(values) = &ty.values {
                    path.push_str(&format!("[{name}]"));
                    embedded(values, value, path, found);
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                embedded(ty.item(), item, path, found);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where the decoder is: the innermost struct, and the fields from the root.
struct Place {
    owner: String,
    path: Vec<String>,
}

impl Place {
    fn mismatch(&self, found: &str, expected: &str) -> String {
        if self.path.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {expected}");
        }
        let (owner, path) = (&self.owner, self.path.join("."));
        format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {expected}")
    }
}

fn short(ty: &Type) -> &str {
    ty.name.rsplit('.').next().unwrap_or_default()
}

/// The Go name of a type, as errors print it.
fn go_type(ty: &Type) -> String {
    match ty.kind {
        Kind::String if ty.format.as_deref() == Some("byte") => "[]uint8".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Integer => ty.format.as_deref().unwrap_or("int64").to_owned(),
        Kind::Number => "float64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::IntOrString => "intstr.IntOrString".to_owned(),
        Kind::Quantity => "resource.Quantity".to_owned(),
        Kind::Any => "interface {}".to_owned(),
        Kind::Array => format!("[]{}", go_type(ty.item())),
        Kind::Object if ty.fields.is_empty() => {
            format!("map[string]{}", ty.values.as_deref().map_or_else(|| "interface {}".to_owned(), go_type))
        }
        Kind::Object => {
            let mut parts = ty.name.rsplit('.');
            let (name, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            format!("{package}.{name}")
        }
    }
}

fn visit(ty: &Type, value: &Value, place: &mut Place) -> Option<String> {
    let found = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match (ty.kind, value) {
        (Kind::Any, _) => None,
        // Raw extensions take any JSON.
        (Kind::Object, _) if ty.preserve_unknown && ty.fields.is_empty() => None,
        (Kind::Object, Value::Object(object)) if ty.fields.is_empty() => {
            let values = ty.values.as_deref()?;
            object.values().find_map(|v| visit(values, v, place))
        }
        (Kind::Object, Value::Object(object)) => object.iter().find_map(|(name, value)| {
            let field = ty.field(name)?;
            let owner = std::mem::replace(&mut place.owner, short(ty).to_owned());
            place.path.push(name.clone());
            let error = visit(&field.ty, value, place);
            place.path.pop();
            place.owner = owner;
            error
        }),
        (Kind::Array, Value::Array(items)) => items.iter().find_map(|v| visit(ty.item(), v, place)),
        (Kind::String, Value::String(text)) => match ty.format.as_deref() {
            Some("byte") => bad_base64(text).map(|at| format!("illegal base64 data at input byte {at}")),
            Some("date-time") => bad_time(text),
            _ => None,
        },
        (Kind::Integer, Value::Number(number)) => {
            let fits = match ty.format.as_deref() {
                Some("int32") => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                _ => number.as_i64().is_some(),
            };
            if fits { None } else { Some(place.mismatch(&format!("number {number}"), &go_type(ty))) }
        }
        (Kind::Number, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) => None,
        (Kind::IntOrString, Value::Number(_) | Value::String(_)) => None,
        (Kind::IntOrString, _) => Some(format!("json: cannot unmarshal {found} into Go value of type int32")),
        (Kind::Quantity, Value::Number(number)) => bad_quantity(&number.to_string()),
        (Kind::Quantity, Value::String(text)) => bad_quantity(text),
        (Kind::Quantity, other) => bad_quantity(&other.to_string()),
        _ => Some(place.mismatch(found, &go_type(ty))),
    }
}

/// Where Go's base64 decoder stops, if it does.
fn bad_base64(text: &str) -> Option<usize> {
    let (mut in_group, mut padding) = (0, 0);
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => continue,
            b'=' if padding > 0 || in_group >= 2 => padding += 1,
            _ if padding > 0 => return Some(index),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {}
            _ => return Some(index),
        }
        in_group = (in_group + 1) % 4;
        if padding > 0 && in_group == 0 && index + 1 < bytes.len() {
            let rest = bytes.get(index + 1..).unwrap_or_default();
            let extra = rest.iter().position(|b| !matches!(b, b'\r' | b'\n'));
            return extra.map(|at| index + 1 + at);
        }
    }
    match (in_group, padding) {
        (0, _) => None,
        (_, 0) => Some(bytes.len() - in_group),
        _ => Some(bytes.len()),
    }
}

fn bad_time(text: &str) -> Option<String> {
    static TIME: OnceLock<Option<Regex>> = OnceLock::new();
    let time = TIME.get_or_init(|| {
        Regex::new(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}([.,]\d+)?(Z|[+-]\d{2}:\d{2})$").ok()
    });
    let fits = time.as_ref().is_some_and(|t| t.is_match(text));
    (!fits && !text.is_empty()).then(|| {
        format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")
    })
}

fn bad_quantity(text: &str) -> Option<String> {
    const FORM: &str = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$";
    static QUANTITY: OnceLock<Option<Regex>> = OnceLock::new();
    let quantity = QUANTITY.get_or_init(|| Regex::new(FORM).ok());
    let Some(parts) = quantity.as_ref().and_then(|q| q.captures(text)) else {
        return Some(format!("quantities must match the regular expression '{FORM}'"));
    };
    let suffix = parts.get(2).map_or("", |m| m.as_str());
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty());
    let known = exponent.is_some_and(|rest| rest.parse::<i64>().is_ok())
        || matches!(
            suffix,
            "" | "n"
                | "u"
                | "m"
                | "k"
                | "M"
                | "G"
                | "T"
                | "P"
                | "E"
                | "Ki"
                | "Mi"
                | "Gi"
                | "Ti"
                | "Pi"
                | "Ei"
        );
    (!known).then(|| "unable to parse quantity's suffix".to_owned())
}
