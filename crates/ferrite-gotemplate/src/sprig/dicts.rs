//! Dictionaries and defaults.

use super::{Answer, empty, lists::new_map, panic_text, strval, text};
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::{List, Map, MapKind, Str, Value},
};

/// Nesting that copies and merges follow; only cyclic values get there.
const MAX_DEPTH: usize = 500;

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("dict", &[], Some(Ty::Any), |a| Ok(dict(a))),
        ("get", &[Ty::Map, Ty::Str], None, |a| Ok(map(a, 0).get(text(a, 1)).unwrap_or_else(|| "".into()))),
        ("set", &[Ty::Map, Ty::Str, Ty::Any], None, |a| {
            let map = map(a, 0);
            if map.kind().is_nil() {
                return Err(panic_text("assignment to entry in nil map"));
            }
            map.insert(text(a, 1), a[2].clone());
            Ok(a[0].clone())
        }),
        ("unset", &[Ty::Map, Ty::Str], None, |a| {
            map(a, 0).remove(text(a, 1));
            Ok(a[0].clone())
        }),
        ("hasKey", &[Ty::Map, Ty::Str], None, |a| Ok(map(a, 0).entries().contains_key(text(a, 1)).into())),
        ("pluck", &[Ty::Str], Some(Ty::Map), |a| {
            Ok(Value::list((1..a.len()).filter_map(|i| map(a, i).get(text(a, 0))).collect()))
        }),
        ("keys", &[], Some(Ty::Map), |a| {
            Ok(Value::strings((0..a.len()).flat_map(|i| map(a, i).snapshot()).map(|(key, _)| key)))
        }),
        ("values", &[Ty::Map], None, |a| {
            Ok(Value::list(map(a, 0).snapshot().into_iter().map(|(_, v)| v).collect()))
        }),
        ("pick", &[Ty::Map], Some(Ty::Str), |a| Ok(picked(a))),
        ("omit", &[Ty::Map], Some(Ty::Str), |a| {
            let omitted = Map::with(MapKind::Any, map(a, 0).entries().clone());
            for i in 1..a.len() {
                omitted.remove(text(a, i));
            }
            Ok(Value::Map(omitted))
        }),
        ("merge", &[Ty::Map], Some(Ty::Map), |a| merged(a, false)),
        ("mustMerge", &[Ty::Map], Some(Ty::Map), |a| merged(a, false)),
        ("mergeOverwrite", &[Ty::Map], Some(Ty::Map), |a| merged(a, true)),
        ("mustMergeOverwrite", &[Ty::Map], Some(Ty::Map), |a| merged(a, true)),
        ("dig", &[], Some(Ty::Any), dig),
        ("deepCopy", &[Ty::Any], None, deep_copy),
        ("mustDeepCopy", &[Ty::Any], None, deep_copy),
    ]);
    functions.add(&[
        ("default", &[Ty::Any], Some(Ty::Any), |a| {
            Ok(a.get(1).filter(|v| !empty(v)).unwrap_or(&a[0]).clone())
        }),
        ("empty", &[Ty::Any], None, |a| Ok(empty(&a[0]).into())),
        ("coalesce", &[], Some(Ty::Any), |a| Ok(a.iter().find(|v| !empty(v)).cloned().unwrap_or_default())),
        ("all", &[], Some(Ty::Any), |a| Ok((!a.iter().any(empty)).into())),
        ("any", &[], Some(Ty::Any), |a| Ok((!a.iter().all(empty)).into())),
        ("ternary", &[Ty::Any, Ty::Any, Ty::Bool], None, |a| Ok(a[usize::from(!a[2].truth())].clone())),
        ("fail", &[Ty::Str], None, |a| Err(Error::plain(String::from_utf8_lossy(text(a, 0)).into_owned()))),
    ]);
}

/// The map argument at `i`; the engine has checked its type.
fn map(args: &[Value], i: usize) -> Map {
    args.get(i).and_then(Value::as_map).cloned().unwrap_or_else(new_map)
}

fn dict(args: &[Value]) -> Value {
    let dict = new_map();
    for pair in args.chunks(2) {
        dict.insert(strval(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| "".into()));
    }
    Value::Map(dict)
}

fn picked(args: &[Value]) -> Value {
    let (source, picked) = (map(args, 0), new_map());
    for i in 1..args.len() {
        if let Some(value) = source.get(text(args, i)) {
            picked.insert(text(args, i), value);
        }
    }
    Value::Map(picked)
}

fn merged(args: &[Value], overwrite: bool) -> Answer {
    let target = map(args, 0);
    let target = if target.kind().is_nil() { new_map() } else { target };
    for i in 1..args.len() {
        merge(&target, &map(args, i), overwrite, 0)?;
    }
    Ok(Value::Map(target))
}

/// mergo's merge of maps: what the target has and is not empty stays, unless `overwrite`.
fn merge(target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::limit("dictionaries are nested too deeply to be merged"));
    }
    if target.same(source) {
        return Ok(());
    }
    for (key, value) in source.snapshot() {
        let old = target.get(&key);
        match (&value, &old) {
            (Value::Nil, _) => {
                if overwrite {
                    target.insert(key, value);
                }
            }
            (Value::Map(from), Some(Value::Map(into))) => {
                merge(into, from, overwrite, depth + 1)?;
                if into.is_empty() {
                    target.insert(key, value);
                }
            }
            (_, Some(old)) if !overwrite && !empty(old) => {}
            _ => target.insert(key, value),
        }
    }
    Ok(())
}

fn dig(args: &[Value]) -> Answer {
    let [path @ .., default, dict] = args else {
        return Err(panic_text("dig needs at least three arguments"));
    };
    if path.is_empty() {
        return Err(panic_text("dig needs at least three arguments"));
    }
    let conversion = |value: &Value, wanted: &str| {
        let name = if matches!(value, Value::Nil) { "nil".into() } else { value.type_name() };
        panic_text(&format!("interface conversion: interface {{}} is {name}, not {wanted}"))
    };
    let as_map = |value: &Value| match value {
        Value::Map(map) if map.kind() == MapKind::Any => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    };
    let mut dict = as_map(dict)?;
    if let Some(odd) = path.iter().find(|key| !matches!(key, Value::Str(_))) {
        return Err(conversion(odd, "string"));
    }
    for (i, key) in path.iter().enumerate() {
        let Value::Str(key) = key else {
            return Err(conversion(key, "string"));
        };
        match dict.get(key) {
            None => return Ok(default.clone()),
            Some(found) if i + 1 == path.len() => return Ok(found),
            Some(found) => dict = as_map(&found)?,
        }
    }
    Ok(default.clone())
}

fn deep_copy(args: &[Value]) -> Answer {
    match &args[0] {
        Value::Nil => Err(panic_text("reflect: call of reflect.Value.Type on zero Value")),
        value => copy(value, 0),
    }
}

fn copy(value: &Value, depth: usize) -> Answer {
    if depth > MAX_DEPTH {
        return Err(Error::limit("a value is nested too deeply to be copied"));
    }
    Ok(match value {
        Value::List(list) if !list.is_nil() => {
            let items = list.iter().map(|item| copy(item, depth + 1)).collect::<Result<_, _>>()?;
            Value::List(List::new(list.elem(), items))
        }
        Value::Map(map) => {
            let entries = map.snapshot().into_iter().map(|(key, item)| Ok((key, copy(&item, depth + 1)?)));
            Value::Map(Map::with(
                map.kind(),
                entries.collect::<Result<std::collections::BTreeMap<Str, _>, Error>>()?,
            ))
        }
        other => other.clone(),
    })
}
