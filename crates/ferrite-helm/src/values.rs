//! Values: how a chart's defaults, its parents' and the user's come together.
//!
//! Here values are template values: maps are shared, so that a parent sees what its child sees, as in Helm.

use ferrite_gotemplate as go;
use go::{MapKind, Str};
use serde_json::{Map, Number, Value};

use crate::{dependencies::Prepared, error::Error};

/// The key of values that every chart sees.
const GLOBAL: &[u8] = b"global";

/// Nesting that is followed; YAML and JSON readers allow less.
const MAX_DEPTH: usize = 1000;

/// Merges values files: maps merge, everything else replaces, null too.
pub fn merge_files(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge_files(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Values as a template sees them: floats where they came from YAML, `int64` where `--set` gave an integer.
#[must_use]
pub(crate) fn to_template(value: &Value) -> go::Value {
    match value {
        Value::Null => go::Value::Nil,
        Value::Bool(flag) => go::Value::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) => go::Value::Int64(int),
            None => go::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => go::Value::from(text.as_str()),
        Value::Array(items) => go::Value::list(items.iter().map(to_template).collect()),
        Value::Object(entries) => go::Value::Map(to_map(entries)),
    }
}

/// A mapping as a template sees it.
#[must_use]
pub(crate) fn to_map(entries: &Map<String, Value>) -> go::Map {
    let entries = entries.iter().map(|(key, value)| (Str::from(key.as_str()), to_template(value))).collect();
    go::Map::with(MapKind::Any, entries)
}

/// Template values as JSON; text that is not UTF-8 is repaired, what has no JSON is null.
#[must_use]
pub(crate) fn from_template(value: &go::Value) -> Value {
    from_within(value, 0)
}

fn from_within(value: &go::Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    match value {
        go::Value::Nil | go::Value::Complex(..) => Value::Null,
        go::Value::Bool(flag) => Value::Bool(*flag),
        go::Value::Int(int) | go::Value::Int64(int) => Value::Number((*int).into()),
        go::Value::Byte(byte) => Value::Number((*byte).into()),
        go::Value::Uint64(int) => Value::Number((*int).into()),
        go::Value::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
        go::Value::Str(text) => Value::String(text.to_text().into_owned()),
        go::Value::Bytes(bytes) => {
            use base64::Engine;
            Value::String(base64::engine::general_purpose::STANDARD.encode(&bytes[..]))
        }
        go::Value::List(list) if list.is_nil() => Value::Null,
        go::Value::List(list) => Value::Array(list.iter().map(|item| from_within(item, depth + 1)).collect()),
        go::Value::Map(map) if map.kind().is_nil() && map.is_empty() => Value::Null,
        go::Value::Map(map) => map_from_within(map, depth),
        go::Value::Object(object) => from_within(&object.json(), depth + 1),
    }
}

fn map_from_within(map: &go::Map, depth: usize) -> Value {
    let entries = map.snapshot();
    Value::Object(
        entries.iter().map(|(key, v)| (key.to_text().into_owned(), from_within(v, depth + 1))).collect(),
    )
}

/// A deep copy; with `clean`, nulls inside maps are left out (not those inside lists).
pub(crate) fn copy(value: &go::Value, clean: bool) -> go::Value {
    match value {
        go::Value::Map(map) => go::Value::Map(copy_map(map, clean)),
        go::Value::List(list) if !list.is_nil() => {
            let items = list.iter().map(|item| copy(item, false)).collect();
            go::Value::List(go::List::new(list.elem(), items))
        }
        other => other.clone(),
    }
}

pub(crate) fn copy_map(map: &go::Map, clean: bool) -> go::Map {
    let entries = map.entries();
    let kept = entries.iter().filter(|(_, value)| !(clean && matches!(value, go::Value::Nil)));
    let copied = kept.map(|(key, value)| (key.clone(), copy(value, clean))).collect();
    go::Map::with(map.kind(), copied)
}

/// The user's values over the chart's defaults and those of its subcharts.
///
/// # Errors
///
/// [`Error::Values`] when a subchart's values are no mapping.
pub(crate) fn coalesce(chart: &Prepared<'_>, user: &go::Map) -> Result<go::Map, Error> {
    let values = copy_map(user, false);
    level(chart, &values, false)?;
    Ok(values)
}

/// The chart's defaults with those of its subcharts, nulls kept.
pub(crate) fn merged_defaults(chart: &Prepared<'_>) -> Result<go::Map, Error> {
    let values = go::Map::default();
    level(chart, &values, true)?;
    Ok(values)
}

fn level(chart: &Prepared<'_>, values: &go::Map, merge: bool) -> Result<(), Error> {
    defaults(chart, values, merge);
    for child in &chart.children {
        let name = child.metadata.name.as_bytes();
        let inner = match values.get(name) {
            None => {
                let inner = go::Map::default();
                values.insert(name, go::Value::Map(inner.clone()));
                inner
            }
            Some(go::Value::Map(inner)) => inner,
            Some(other) => return Err(Error::Values(mismatch(&child.metadata.name, &other))),
        };
        globals(&inner, values);
        level(child, &inner, merge)?;
    }
    Ok(())
}

/// Go's `type mismatch on %s: %t`.
fn mismatch(name: &str, value: &go::Value) -> String {
    let shown = go::sprintf(b"%t", std::slice::from_ref(value));
    format!("type mismatch on {name}: {}", String::from_utf8_lossy(&shown))
}

fn defaults(chart: &Prepared<'_>, values: &go::Map, merge: bool) {
    for (key, default) in chart.values.snapshot() {
        match values.get(&key) {
            None if merge => values.insert(key, copy(&default, false)),
            None => {
                if !matches!(default, go::Value::Nil) {
                    values.insert(key, copy(&default, true));
                }
            }
            Some(go::Value::Nil) if !merge => {
                values.remove(&key);
            }
            Some(go::Value::Map(given)) => {
                if let go::Value::Map(default) = &default {
                    let child = chart.children.iter().any(|child| child.metadata.name.as_bytes() == &key[..]);
                    let merge = merge || child;
                    tables(&given, &copy_map(default, !merge), merge);
                }
            }
            Some(_) => {}
        }
    }
}

/// Merges `src` into `dst`, whose entries win; nulls of `dst` delete unless `merge`.
pub(crate) fn tables(dst: &go::Map, src: &go::Map, merge: bool) {
    let given: Vec<Str> =
        src.entries().iter().filter(|(_, v)| !matches!(v, go::Value::Nil)).map(|(k, _)| k.clone()).collect();
    for (key, value) in dst.snapshot() {
        if matches!(value, go::Value::Nil) {
            src.insert(key, go::Value::Nil);
        }
    }
    for (key, value) in src.snapshot() {
        match (dst.get(&key), value) {
            (None, value) => dst.insert(key, value),
            (Some(go::Value::Nil), _) if !merge && given.binary_search(&key).is_ok() => {
                dst.remove(&key);
            }
            (Some(go::Value::Map(dst)), go::Value::Map(src)) => {
                if !dst.same(&src) {
                    tables(&dst, &src, merge);
                }
            }
            (Some(_), _) => {}
        }
    }
}

/// What a child sees as `global`: its parent's entries over its own.
fn globals(child: &go::Map, parent: &go::Map) {
    let own = match child.get(GLOBAL) {
        None => go::Map::default(),
        Some(go::Value::Map(own)) => own,
        Some(_) => return,
    };
    let above = match parent.get(GLOBAL) {
        None => go::Map::default(),
        Some(go::Value::Map(above)) => above,
        Some(_) => return,
    };
    for (key, value) in above.snapshot() {
        match (&value, own.get(&key)) {
            (go::Value::Map(map), old) => {
                let shallow = go::Map::with(map.kind(), map.entries().clone());
                match old {
                    None => own.insert(key, go::Value::Map(shallow)),
                    Some(go::Value::Map(old)) => {
                        // Only the first level is a copy: what the child fills in further down, the parent sees too.
                        tables(&shallow, &old, true);
                        own.insert(key, go::Value::Map(shallow));
                    }
                    Some(_) => {}
                }
            }
            (_, Some(go::Value::Map(_))) => {}
            _ => own.insert(key, value),
        }
    }
    child.insert(GLOBAL, go::Value::Map(own));
}

/// The mapping at a dotted path.
pub(crate) fn table(values: &go::Map, path: &str) -> Option<go::Map> {
    let mut here = values.clone();
    for part in path.split('.') {
        here = match here.get(part.as_bytes())? {
            go::Value::Map(next) => next,
            _ => return None,
        };
    }
    Some(here)
}

/// The value at a dotted path, unless it is a mapping.
pub(crate) fn path_value(values: &go::Map, path: &str) -> Option<go::Value> {
    let (parent, last) = match path.rsplit_once('.') {
        Some((parent, last)) => (table(values, parent)?, last),
        None => (values.clone(), path),
    };
    parent.get(last.as_bytes()).filter(|value| !matches!(value, go::Value::Map(_)))
}

/// Cuts cycles that `set` may have made, so that shared maps are freed.
pub(crate) fn release(values: &go::Map) {
    let mut pending = vec![values.clone()];
    while let Some(map) = pending.pop() {
        let entries = std::mem::take(&mut *map.entries_mut());
        for value in entries.into_values() {
            if let go::Value::Map(inner) = value {
                pending.push(inner);
            }
        }
    }
}
