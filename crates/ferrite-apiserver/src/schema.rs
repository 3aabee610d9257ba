//! Types of the resources served here, and what they do to objects.

use ferrite_schema::{Schemas, Type};
use serde_json::Value;

use crate::resources::Resource;
use crate::status::Cause;

/// The type of a resource's objects in its version.
pub(crate) fn of(resource: &Resource) -> &Type {
    match &resource.custom {
        Some(custom) => &custom.ty,
        None => Schemas::builtin()
            .get(&resource.group, &resource.version, &resource.kind)
            .unwrap_or_else(|| Type::free_object()),
    }
}

/// Fills in defaults, drops what the schema does not know, and brings built-in objects into Go's form.
pub(crate) fn complete(resource: &Resource, object: &mut Value) {
    match &resource.custom {
        Some(custom) => {
            prune_and_default(&custom.ty, object);
            crate::kinds::metadata::tidy(object);
        }
        None => {
            crate::kinds::defaults::apply(&resource.group, &resource.version, &resource.kind, object);
            ferrite_schema::normalize(of(resource), object);
        }
    }
}

/// Go's form of a built-in object: order of fields, no zeros, no nulls.
pub(crate) fn normalize(resource: &Resource, object: &mut Value) {
    if resource.custom.is_none() {
        ferrite_schema::normalize(of(resource), object);
    }
}

/// As [`normalize`], by kind.
pub(crate) fn normalize_kind(group: &str, version: &str, kind: &str, object: &mut Value) {
    if let Some(ty) = Schemas::builtin().get(group, version, kind) {
        ferrite_schema::normalize(ty, object);
    }
}

/// Why Go could not decode the object into the resource's type, if it could not.
pub(crate) fn decode_error(resource: &Resource, object: &Value) -> Option<String> {
    mismatch(of(resource), object, "", resource.custom.is_none())
}

/// The first place where JSON types differ. Of custom objects only metadata is decoded into Go types.
fn mismatch(ty: &Type, value: &Value, path: &str, deep: bool) -> Option<String> {
    use ferrite_schema::Kind;
    let found = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = match ty.kind {
        Kind::Any => return None,
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
        Kind::String => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::IntOrString | Kind::Quantity => value.is_string() || value.is_number(),
    };
    if !fits {
        return Some(format!(
            "json: cannot unmarshal {found} into Go struct field {path} of type {}",
            go_type(ty)
        ));
    }
    match value {
        Value::Object(object) => object.iter().find_map(|(key, v)| {
            if !deep && path.is_empty() && key != "metadata" {
                return None;
            }
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let child = ty.child(key)?;
            let path = if ty.declares(key) { &below } else { path };
            mismatch(child, v, path, deep)
        }),
        Value::Array(items) => items.iter().find_map(|v| mismatch(ty.item(), v, path, deep)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn go_type(ty: &Type) -> String {
    use ferrite_schema::Kind;
    match ty.kind {
        Kind::Array => format!("[]{}", go_type(ty.item())),
        Kind::Object => match &ty.values {
            Some(values) => format!("map[string]{}", go_type(values)),
            None => ty.name.rsplit_once("api.").map_or(&*ty.name, |(_, n)| n).to_owned(),
        },
        Kind::Integer => ty.format.as_deref().unwrap_or("int64").to_owned(),
        Kind::Number => "float64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::String | Kind::Any | Kind::IntOrString | Kind::Quantity => "string".to_owned(),
    }
}

/// Complaints about fields that the resource's schema does not have.
pub(crate) fn unknown_fields(resource: &Resource, object: &Value) -> Vec<String> {
    let mut out = Vec::new();
    unknown(of(resource), object, "", &mut out);
    out.sort();
    out.iter().map(|path| format!("unknown field {path:?}")).collect()
}

fn unknown(ty: &Type, value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, v) in object {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match ty.child(key) {
                    Some(child) => unknown(child, v, &below, out),
                    None if ty.kind == ferrite_schema::Kind::Object => out.push(below),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (i, v) in items.iter().enumerate() {
                unknown(ty.item(), v, &format!("{path}[{i}]"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops what a custom resource's schema does not know and fills in its defaults.
pub(crate) fn prune_and_default(ty: &Type, value: &mut Value) {
    match value {
        Value::Object(object) => {
            if ty.kind == ferrite_schema::Kind::Object {
                object.retain(|key, _| ty.child(key).is_some());
            }
            for field in &ty.fields {
                let absent = object.get(&*field.name).is_none_or(|v| v.is_null() && !field.ty.nullable);
                if absent && let Some(default) = &field.ty.default {
                    object.insert(field.name.to_string(), default.clone());
                }
            }
            for (key, v) in object.iter_mut() {
                if let Some(child) = ty.child(key) {
                    prune_and_default(child, v);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| prune_and_default(ty.item(), v)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks a custom object against its schema.
pub(crate) fn validate(
    ty: &Type,
    _sub: Option<&str>,
    _live: Option<&Value>,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    if let Some(why) = mismatch(ty, object, "", true) {
        causes.push(Cause::invalid("", object, &why));
    }
}

/// Checks that a custom resource's schema is structural.
pub(crate) fn check(_schema: &Value, _at: &str, _out: &mut Vec<Cause>) {}
