//! Lists in strategic merge: by key, or as sets of scalars, and their order.

use super::{Error, PATCH, bad_directive, merge_map};
use crate::go;
use crate::structured::Scalar;
use ferrite_schema::{Patch, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What items are told apart by: the value of their merge key, or they themselves.
fn identity(item: &Value, merge_key: Option<&str>) -> Scalar {
    match merge_key {
        Some(key) => Scalar(item.get(key).cloned().unwrap_or(Value::Null)),
        None => Scalar(item.clone()),
    }
}

fn no_merge_key(map: &Value, key: &str) -> Error {
    Error::Internal(format!("map: {} does not contain declared merge key: {key}", go::plain(map)))
}

/// The one JSON type of all items.
pub(super) fn element_type(lists: &[&[Value]]) -> Result<&'static str, Error> {
    let mut found = None;
    for item in lists.iter().copied().flatten() {
        let name = go::type_name(item);
        match found {
            None if item.is_array() => return Err(Error::Unprocessable("lists of lists are not supported")),
            None => found = Some(name),
            Some(first) if first == name => {}
            Some(_) => {
                let lists: Vec<_> = lists.iter().map(|l| go::plain(&Value::Array(l.to_vec()))).collect();
                return Err(Error::Internal(format!(
                    "list element types are not identical: [{}]",
                    lists.join(" ")
                )));
            }
        }
    }
    found.ok_or_else(|| Error::Internal("no elements in any of the given slices".to_owned()))
}

/// Merges `patch` into `original`, or with `delete` takes the scalars in `patch` out.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    item_type: &Type,
    meta: &Patch,
    delete: bool,
) -> Result<Vec<Value>, Error> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let key = meta.merge_key.as_deref();
    let element = element_type(&[&original, &patch])?;
    if element != "map[string]interface {}" {
        let patched: BTreeSet<Scalar> = patch.iter().cloned().map(Scalar).collect();
        if delete {
            return Ok(original.into_iter().filter(|v| !patched.contains(&Scalar(v.clone()))).collect());
        }
        let mut seen = BTreeSet::new();
        let both = original.iter().chain(&patch).filter(|v| seen.insert(Scalar((*v).clone()))).cloned();
        return ordered(both.collect(), &patch, &original, key);
    }
    let Some(key) = key else {
        return Err(Error::Internal("cannot merge lists without merge key for struct".to_owned()));
    };
    let (original, patch) = directives(original, patch, key)?;
    let live: Vec<Value> = original.iter().map(|v| shell(v, key)).collect();
    let order: Vec<Value> = patch.iter().map(|v| shell(v, key)).collect();
    let merged = merge_maps(original, patch, key, item_type)?;
    ordered(merged, &order, &live, Some(key))
}

/// An item reduced to its merge key.
fn shell(item: &Value, key: &str) -> Value {
    let mut map = Map::new();
    if let Some(value) = item.get(key) {
        map.insert(key.to_owned(), value.clone());
    }
    Value::Object(map)
}

/// Carries out `$patch: delete` and `$patch: replace` of items. Returns what is left of both lists.
fn directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut deleted = BTreeSet::new();
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let Some(value) = item.get(key) else { return Err(no_merge_key(&item, key)) };
                deleted.insert(Scalar(value.clone()));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(Error::Internal("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(bad_directive(directive, item.as_object().unwrap_or(&Map::new()))),
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    if !deleted.is_empty() {
        original.retain(|v| v.get(key).is_none_or(|v| !deleted.contains(&Scalar(v.clone()))));
    }
    Ok((original, rest))
}

fn merge_maps(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    item_type: &Type,
) -> Result<Vec<Value>, Error> {
    let mut places: BTreeMap<Scalar, usize> = BTreeMap::new();
    for (index, item) in original.iter().enumerate() {
        if let Some(value) = item.get(key) {
            places.entry(Scalar(value.clone())).or_insert(index);
        }
    }
    for item in patch {
        let Some(value) = item.get(key) else { return Err(no_merge_key(&item, key)) };
        let place = places.get(&Scalar(value.clone())).copied();
        match (place.and_then(|i| original.get_mut(i)), item) {
            (Some(slot @ Value::Object(_)), Value::Object(item)) => {
                if let Value::Object(current) = slot.take() {
                    *slot = Value::Object(merge_map(current, item, item_type)?);
                }
            }
            (_, item) => {
                places.insert(Scalar(item.get(key).cloned().unwrap_or(Value::Null)), original.len());
                original.push(item);
            }
        }
    }
    Ok(original)
}

/// The order that `$setElementOrder` asks for must be that of the patch's own items.
pub(super) fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Error> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let kept = patch.iter().filter(|item| item.get(PATCH).is_none());
    let mut wanted = order.iter();
    for item in kept {
        loop {
            let Some(next) = wanted.next() else {
                let (patch, order) = (Value::Array(patch.to_vec()), Value::Array(order.to_vec()));
                return Err(Error::Internal(format!(
                    "The order in patch list:\n{}\n doesn't match {} list:\n{}\n",
                    go::plain(&patch),
                    super::SET_ELEMENT_ORDER,
                    go::plain(&order)
                )));
            };
            if let Some(key) = key {
                for side in [item, next] {
                    match side {
                        Value::Object(map) if map.contains_key(key) => {}
                        Value::Object(_) => return Err(no_merge_key(side, key)),
                        other => return Err(super::bad_type(&Value::Object(Map::new()), other)),
                    }
                }
            }
            if identity(item, key) == identity(next, key) {
                break;
            }
        }
    }
    Ok(())
}

/// Items named in `order` in that order, the others where they stand among them in `live`.
pub(super) fn ordered(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Error> {
    let positions = |list: &[Value]| -> BTreeMap<Scalar, usize> {
        let mut map = BTreeMap::new();
        for (index, item) in list.iter().enumerate() {
            map.entry(identity(item, key)).or_insert(index);
        }
        map
    };
    if let Some(key) = key {
        for item in merged.iter().chain(order).filter(|i| i.is_object()) {
            if item.get(key).is_none() {
                return Err(no_merge_key(item, key));
            }
        }
    }
    let (order, live) = (positions(order), positions(live));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for item in merged {
        let id = identity(&item, key);
        let in_live = live.get(&id).copied();
        match order.get(&id) {
            Some(place) => ours.push((*place, in_live, item)),
            None => theirs.push((in_live.unwrap_or(usize::MAX), in_live, item)),
        }
    }
    ours.sort_by_key(|(place, _, _)| *place);
    theirs.sort_by_key(|(place, _, _)| *place);

    let mut out = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    loop {
        let from_live = match (theirs.peek(), ours.peek()) {
            (Some((_, Some(l), _)), Some((_, Some(r), _))) => l < r,
            (Some(_), Some(_)) | (None, _) => false,
            (Some(_), None) => true,
        };
        match if from_live { theirs.next() } else { ours.next() } {
            Some((_, _, item)) => out.push(item),
            None => return Ok(out),
        }
    }
}
