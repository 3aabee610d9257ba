//! What remains of a built-in object after Go has decoded and encoded it.

use crate::types::{Field, Go, Kind, Type};
use serde_json::{Map, Value};

/// Rewrites `value` as Kubernetes stores a built-in object: fields in Go's order, unknown ones dropped, nulls gone,
/// zero values of non-pointers left out, structs held by value always present.
///
/// Wrong JSON types are kept as they are; see [`crate::decode_error`]. Types of custom resources are left alone.
pub fn normalize(ty: &Type, value: &mut Value) {
    if ty.builtin {
        visit(ty, value, false);
    }
}

/// The object Go would encode for a kind of which nothing is set: what an update that creates is compared with.
///
/// For custom resources only `apiVersion` and `kind` are there.
#[must_use]
pub fn empty_object(ty: &Type, api_version: &str, kind: &str) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    let mut value = Value::Object(object);
    normalize(ty, &mut value);
    value
}

fn visit(ty: &Type, value: &mut Value, free_value: bool) {
    match value {
        Value::Object(object) if !ty.fields.is_empty() => visit_struct(ty, object),
        Value::Object(object) => {
            if let Some(values) = &ty.values {
                for (_, v) in object.iter_mut() {
                    visit(values, v, true);
                }
            }
        }
        Value::Array(items) if ty.kind == Kind::Array => {
            let item = ty.item();
            for v in items {
                visit(item, v, true);
            }
        }
        Value::Null if free_value => {
            if let Some(zero) = zero(ty) {
                *value = zero;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// Go's zero of a value in a map or list, where null decodes to it.
fn zero(ty: &Type) -> Option<Value> {
    match ty.kind {
        Kind::String => Some(Value::from("")),
        Kind::Integer | Kind::Number => Some(Value::from(0)),
        Kind::Boolean => Some(Value::from(false)),
        Kind::Quantity => Some(Value::from("0")),
        Kind::Object if !ty.fields.is_empty() => {
            let mut object = Map::new();
            visit_struct(ty, &mut object);
            Some(Value::Object(object))
        }
        Kind::Object | Kind::Array | Kind::Any | Kind::IntOrString => None,
    }
}

fn visit_struct(ty: &Type, object: &mut Map<String, Value>) {
    let mut out = Map::new();
    for field in &ty.fields {
        let found = object.get_mut(&*field.name).map(Value::take);
        if let Some(value) = encode(field, found) {
            out.insert(field.name.to_string(), value);
        }
    }
    *object = out;
}

fn encode(field: &Field, found: Option<Value>) -> Option<Value> {
    let Go { omit_empty, omit_zero, pointer, value_struct } = field.go;
    let ty: &Type = &field.ty;
    let mut value = found.unwrap_or(Value::Null);
    if value.is_null() {
        return missing(ty, field.go);
    }
    visit(ty, &mut value, false);
    let empty = match &value {
        Value::Object(o) => o.is_empty() && !value_struct && !pointer,
        Value::Array(a) => a.is_empty(),
        Value::String(s) => s.is_empty() && !pointer,
        Value::Bool(b) => !*b && !pointer,
        Value::Number(n) => n.as_f64() == Some(0.0) && !pointer && !value_struct,
        Value::Null => true,
    };
    if empty && (omit_empty || omit_zero) { None } else { Some(value) }
}

/// What Go writes for a field that was not given.
fn missing(ty: &Type, go: Go) -> Option<Value> {
    if go.omit_zero {
        return None;
    }
    if go.pointer {
        return if go.omit_empty { None } else { Some(Value::Null) };
    }
    if go.value_struct {
        return match ty.kind {
            Kind::Object if !ty.fields.is_empty() => zero(ty),
            Kind::IntOrString => Some(Value::from(0)),
            Kind::Quantity => Some(Value::from("0")),
            Kind::String if ty.format.as_deref() == Some("date-time") => Some(Value::Null),
            _ if go.omit_empty => None,
            _ => Some(Value::Null),
        };
    }
    if go.omit_empty {
        return None;
    }
    match ty.kind {
        Kind::Array | Kind::Object | Kind::Any => Some(Value::Null),
        Kind::String | Kind::Integer | Kind::Number | Kind::Boolean | Kind::IntOrString | Kind::Quantity => {
            zero(ty)
        }
    }
}
