//! Strategic merge patch, as the API server applies it to built-in types.
//!
//! Lists merge by the merge key of their field, `$patch` replaces or deletes, `$retainKeys` clears the other members of
//! a union, `$setElementOrder/list` orders and `$deleteFromPrimitiveList/list` removes. Custom resources have no merge
//! keys: the API server answers 415 for them before it comes to this.

mod between;
mod list;

pub use between::three_way;

use ferrite_schema::{Patch, Type};
use serde_json::{Map, Value};

pub(crate) const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";

/// A patch that cannot be applied. The texts are Kubernetes'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A directive has the wrong form: 400.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Lists of lists: 422.
    #[error("{0}")]
    Unprocessable(&'static str),
    /// Everything else, which Kubernetes answers with 500.
    #[error("{0}")]
    Internal(String),
}

/// `original` after `patch`; both are objects of the built-in type `ty`.
///
/// # Errors
/// When a directive is malformed, or list items have no merge key.
pub fn apply(original: &Value, patch: &Value, ty: &Type) -> Result<Value, Error> {
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else {
        return Err(bad_type(original, patch));
    };
    Ok(Value::Object(merge_map(original.clone(), patch.clone(), ty)?))
}

fn bad_type(expected: &Value, found: &Value) -> Error {
    let (expected, found) = (crate::go::type_name(expected), crate::go::type_name(found));
    Error::Internal(format!("expected a {expected}, but received a {found}"))
}

/// The type and patch behaviour of a field of a struct.
fn lookup<'t>(ty: &'t Type, key: &str) -> Result<(&'t Type, &'t Patch), Error> {
    if let Some(field) = ty.field(key) {
        return Ok((&field.ty, &field.patch));
    }
    if ty.fields.is_empty() {
        let message = "merging an object in json but data type is not struct, instead is: map";
        return Err(Error::Internal(message.to_owned()));
    }
    let name = ty.name.rsplit('.').next().unwrap_or_default();
    Err(Error::Internal(format!("unable to find api field in struct {name} for the json field {key:?}")))
}

/// Merges into `original`; `patch` is consumed.
pub(crate) fn merge_map(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    ty: &Type,
) -> Result<Map<String, Value>, Error> {
    if let Some(directive) = patch.get(PATCH) {
        match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(PATCH);
                return Ok(patch);
            }
            Some("delete") => return Ok(Map::new()),
            _ => return Err(bad_directive(directive, &patch)),
        }
    }
    retain_keys(&mut original, &mut patch)?;
    ordered_lists(&mut original, &mut patch, ty)?;
    for (key, value) in patch {
        match directive_key(&key, DELETE_FROM_PRIMITIVE_LIST, "invalid patch format of primitive list")? {
            Some(name) => {
                // A list that is not there has nothing to delete from.
                if let Some(Value::Array(current)) = original.get_mut(name) {
                    let Value::Array(value) = value else { continue };
                    let (item_type, patch) = lookup(ty, name).map(|(t, p)| (t.item(), p))?;
                    *current = list::merge(std::mem::take(current), value, item_type, patch, true)?;
                }
            }
            None => merge_field(&mut original, key, value, ty)?,
        }
    }
    Ok(original)
}

pub(crate) fn bad_directive(directive: &Value, patch: &Map<String, Value>) -> Error {
    let shown = match directive {
        Value::String(s) => s.clone(),
        other => format!("%!s({}={})", crate::go::type_name(other), crate::go::plain(other)),
    };
    let map = crate::go::plain(&Value::Object(patch.clone()));
    Error::Internal(format!("unknown patch type: {shown} in map: {map}"))
}

/// The field that a `$directive/field` key is about; `None` for other keys.
fn directive_key<'k>(key: &'k str, directive: &str, bad: &'static str) -> Result<Option<&'k str>, Error> {
    let Some(rest) = key.strip_prefix(directive) else { return Ok(None) };
    rest.strip_prefix('/').map(Some).ok_or(Error::BadRequest(bad))
}

fn merge_field(original: &mut Map<String, Value>, key: String, value: Value, ty: &Type) -> Result<(), Error> {
    if value.is_null() {
        original.shift_remove(&key);
        return Ok(());
    }
    let current = original.get_mut(&key);
    let merged = match (current, value) {
        (Some(Value::Object(current)), Value::Object(value)) => {
            let (ty, patch) = lookup(ty, &key)?;
            if patch.replace {
                Value::Object(value)
            } else {
                Value::Object(merge_map(std::mem::take(current), value, ty)?)
            }
        }
        (Some(Value::Array(current)), Value::Array(value)) => {
            let (ty, patch) = lookup(ty, &key)?;
            if patch.merge {
                Value::Array(list::merge(std::mem::take(current), value, ty.item(), patch, false)?)
            } else {
                Value::Array(value)
            }
        }
        (_, mut value) => {
            discard_nulls(&mut value);
            match without_directives(value) {
                Some(value) => value,
                None => {
                    original.shift_remove(&key);
                    return Ok(());
                }
            }
        }
    };
    original.insert(key, merged);
    Ok(())
}

/// Drops every null in mappings: there is nothing for it to delete.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The value without what carries a `$patch`; `None` when that is the value itself.
pub(crate) fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter_map(|(k, v)| Some((k, without_directives(v)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

/// `$retainKeys` clears every other key, and must name every key that the patch sets.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), Error> {
    const BAD: Error = Error::BadRequest("invalid patch format of retainKeys");
    let Some(list) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(list) = list else { return Err(BAD) };
    let retained: std::collections::BTreeSet<&str> = list.iter().filter_map(Value::as_str).collect();
    let directive = |k: &str| k.starts_with(DELETE_FROM_PRIMITIVE_LIST) || k.starts_with(SET_ELEMENT_ORDER);
    if patch.iter().any(|(k, v)| !v.is_null() && !directive(k) && !retained.contains(k.as_str())) {
        return Err(BAD);
    }
    original.retain(|k, _| retained.contains(k.as_str()));
    Ok(())
}

/// Merges every list for which the patch has a `$setElementOrder`, and takes both out of the patch.
fn ordered_lists(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    ty: &Type,
) -> Result<(), Error> {
    const BAD: &str = "invalid patch format of setElementOrder list";
    let keys: Vec<String> = patch.keys().filter(|k| k.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
    for key in keys {
        let Some(order) = patch.shift_remove(&key) else { continue };
        let Value::Array(order) = order else { return Err(bad_type(&Value::Array(Vec::new()), &order)) };
        let Some(name) = directive_key(&key, SET_ELEMENT_ORDER, BAD)? else { continue };
        let current = take_list(original, name)?;
        let wanted = take_list(patch, name)?;
        let (list_type, meta) = lookup(ty, name)?;
        if let Some(wanted) = &wanted {
            list::check_order(wanted, &order, meta.merge_key.as_deref())?;
        }
        let live = current.clone().unwrap_or_default();
        let element = list::element_type(&[&live, wanted.as_deref().unwrap_or_default()]);
        let merged = match (current, wanted) {
            (None, None) => continue,
            (Some(current), None) => current,
            (None, Some(wanted)) => wanted.into_iter().filter_map(without_directives).collect(),
            (Some(current), Some(wanted)) if meta.merge => {
                list::merge(current, wanted, list_type.item(), meta, false)?
            }
            (Some(_), Some(wanted)) => wanted,
        };
        let sorted = list::ordered(merged, &order, &live, meta.merge_key.as_deref())?;
        element?;
        original.insert(name.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

/// Takes the list out of `map`, leaving an empty one in its place so that it keeps its position.
fn take_list(map: &mut Map<String, Value>, key: &str) -> Result<Option<Vec<Value>>, Error> {
    match map.get(key) {
        None => Ok(None),
        Some(Value::Array(items)) => {
            let items = items.clone();
            map.shift_remove(key);
            Ok(Some(items))
        }
        Some(other) => Err(bad_type(&Value::Array(Vec::new()), other)),
    }
}

#[cfg(test)]
mod tests;
