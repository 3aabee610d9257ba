//! Types of the resources served here, and what they do to objects.

use ferrite_schema::{Problem, Schemas, Type};
use serde_json::Value;

use crate::crd::CustomVersion;
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
            whole_numbers(object);
            prune_and_default(&custom.ty, object);
            crate::kinds::metadata::tidy(object);
        }
        None => {
            quantities(of(resource), object);
            crate::kinds::defaults::apply(&resource.group, &resource.version, &resource.kind, object);
            ferrite_schema::normalize(of(resource), object);
        }
    }
}

/// Writes `1.0` as `1`, as Go does.
fn whole_numbers(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(n) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < EXACT) {
                *value = (n as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Quantities in their canonical form: `1000m` is `1`, `1024Mi` is `1Gi`.
fn quantities(ty: &Type, value: &mut Value) {
    if ty.kind == ferrite_schema::Kind::Quantity {
        if let Some(canonical) = crate::quantity::canonical(value) {
            *value = canonical.into();
        }
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, v) in object.iter_mut() {
                if let Some(child) = ty.child(key) {
                    quantities(child, v);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| quantities(ty.item(), v)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Empty lists of fields that are always written become null on their way through storage; definitions are stored as JSON.
fn empty_lists(ty: &Type, value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, v) in object.iter_mut() {
                let Some(child) = ty.child(key) else { continue };
                let written = ty.field(key).is_some_and(|f| !f.go.pointer && !f.go.omit_empty);
                if written && v.as_array().is_some_and(Vec::is_empty) {
                    *v = Value::Null;
                } else {
                    empty_lists(child, v);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| empty_lists(ty.item(), v)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Go's form of a built-in object: order of fields, no zeros, no nulls.
pub(crate) fn normalize(resource: &Resource, object: &mut Value) {
    if resource.custom.is_none() {
        ferrite_schema::normalize(of(resource), object);
        if resource.group != "apiextensions.k8s.io" {
            empty_lists(of(resource), object);
        }
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
    ferrite_schema::decode_error(of(resource), object)
}

/// Complaints about fields that the resource's schema does not have.
pub(crate) fn unknown_fields(resource: &Resource, object: &Value) -> Vec<String> {
    let paths = ferrite_schema::unknown_fields(of(resource), object);
    paths.iter().map(|path| format!("unknown field {path:?}")).collect()
}

/// Drops what a custom resource's schema does not know and fills in its defaults.
pub(crate) fn prune_and_default(ty: &Type, value: &mut Value) {
    ferrite_schema::prune(ty, value);
    ferrite_schema::default(ty, value);
}

/// Checks a custom object against its schema: all of it, or at the status endpoint its status alone.
pub(crate) fn validate(
    custom: &CustomVersion,
    sub: Option<&str>,
    live: Option<&Value>,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    let before = causes.len();
    match sub {
        Some("status") => {
            if let (Some(ty), Some(status)) = (custom.ty.child("status"), object.get("status")) {
                causes.extend(ferrite_schema::validate(ty, status, "status").into_iter().map(Cause::from));
            }
        }
        _ => {
            causes.extend(ferrite_schema::validate(&custom.ty, object, "").into_iter().map(Cause::from));
            for (path, _, embedded) in ferrite_schema::embedded_objects(&custom.ty, object) {
                crate::kinds::metadata::common(&embedded["metadata"], &format!("{path}.metadata"), causes);
            }
        }
    }
    // Rules rely on the types and the required fields: they are not asked about an object that lacks them.
    let blocking = causes.iter().skip(before).any(|c| {
        matches!(
            c.reason,
            "FieldValueNotSupported"
                | "FieldValueRequired"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    });
    if !blocking {
        custom.rules.check(&custom.ty, live, object, causes);
    } else if custom.rules.any() {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        causes.push(Cause::invalid("<nil>", &Value::Null, why));
    }
}

/// Checks that a custom resource's schema is structural, and that its rules compile.
pub(crate) fn check(schema: &Value, at: &str, out: &mut Vec<Cause>) {
    let before = out.len();
    out.extend(ferrite_schema::check_schema(schema, at).into_iter().map(Cause::from));
    if out.len() == before {
        crate::cel::check(schema, at, out);
    }
}

impl From<Problem> for Cause {
    fn from(problem: Problem) -> Self {
        Self { reason: problem.reason, message: problem.message, field: problem.field }
    }
}

/// Why the object cannot be decoded as the built-in kind that it says it is.
pub(crate) fn base64_error(object: &Value, served: &crate::resources::Served) -> Option<String> {
    let (version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let (group, version) = crate::resources::split_group_version(version);
    let resource = served.by_kind(group, version, kind).filter(|r| r.custom.is_none())?;
    decode_error(resource, object)
}
