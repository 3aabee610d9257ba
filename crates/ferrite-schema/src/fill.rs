//! Defaults of a custom resource's schema, and the pruning of what the schema does not know.

use crate::types::{Kind, Type};
use serde_json::{Map, Value};

/// The fields that every object, embedded ones too, has whatever its schema says.
const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fills in defaults, inside of defaults too. Null counts as absent where the field has a default and is not nullable.
///
/// Built-in types are left alone: their defaulting is code, of which the declared defaults are only a part.
pub fn default(ty: &Type, value: &mut Value) {
    match value {
        _ if ty.builtin => {}
        Value::Object(object) => {
            for field in &ty.fields {
                let Some(default) = &field.ty.default else { continue };
                let absent = match object.get(&*field.name) {
                    None => true,
                    Some(found) => found.is_null() && !field.ty.nullable,
                };
                if absent {
                    object.insert(field.name.to_string(), default.clone());
                }
            }
            for (name, value) in object.iter_mut() {
                if let Some(ty) = ty.child(name) {
                    default_null(ty, value);
                    default(ty, value);
                }
            }
        }
        Value::Array(items) if ty.kind == Kind::Array => {
            for item in items {
                default_null(ty.item(), item);
                default(ty.item(), item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

fn default_null(ty: &Type, value: &mut Value) {
    if value.is_null()
        && !ty.nullable
        && let Some(default) = &ty.default
    {
        *value = default.clone();
    }
}

/// Drops every field that the schema does not know. `metadata` keeps what Kubernetes' own type has.
pub fn prune(ty: &Type, value: &mut Value) {
    visit(ty, value, &mut String::new(), &mut |object, name, _| {
        object.shift_remove(name);
    });
}

/// The paths that [`prune`] would drop, or that Go's decoder would for built-in types: `spec.list[0].name`.
///
/// Those of built-in types come in the object's order, those of custom resources sorted, as Kubernetes lists them.
#[must_use]
pub fn unknown_fields(ty: &Type, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut copy = value.clone();
    visit(ty, &mut copy, &mut String::new(), &mut |_, _, path| found.push(path.to_owned()));
    if !ty.builtin {
        found.sort();
    }
    found
}

type OnUnknown<'f> = &'f mut dyn FnMut(&mut Map<String, Value>, &str, &str);

fn visit(ty: &Type, value: &mut Value, path: &mut String, unknown: OnUnknown<'_>) {
    let length = path.len();
    match value {
        Value::Object(object) => {
            if ty.kind == Kind::Any && ty.preserve_unknown && ty.fields.is_empty() && ty.values.is_none() {
                return;
            }
            let names: Vec<String> = object.keys().cloned().collect();
            for name in names {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
                let known = ty.field(&name).map(|f| &*f.ty).or(ty.values.as_deref());
                match (known, object.get_mut(&name)) {
                    (Some(child), Some(value)) => visit(child, value, path, unknown),
                    _ if keeps_unknown(ty) => {}
                    _ if ty.embedded && META.contains(&name.as_str()) => {}
                    _ => unknown(object, &name, path),
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            if keeps_unknown(ty) && ty.items.is_none() {
                return;
            }
            let ty = if ty.kind == Kind::Array { ty.item() } else { Type::any() };
            for (index, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                visit(ty, item, path, unknown);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether undeclared fields stay. A built-in mapping of anything, such as a raw extension, keeps all.
fn keeps_unknown(ty: &Type) -> bool {
    ty.preserve_unknown
}
