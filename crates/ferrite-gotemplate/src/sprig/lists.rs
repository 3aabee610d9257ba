//! Lists.

use std::collections::HashSet;

use super::{Answer, MAX_ITEMS, cast::to_int, empty, int, nil_pointer, panic_text, strslice, strval};
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::{Elem, List, Map, MapKind, Value},
};

type Row = (&'static str, &'static [Ty], Option<Ty>, fn(&[Value]) -> Answer);

pub(super) fn register(functions: &mut Functions) {
    let rows: [(&[&'static str], Row); 13] = [
        (&["mustAppend", "push", "mustPush"], ("append", &[Ty::Any, Ty::Any], None, append)),
        (&["mustPrepend"], ("prepend", &[Ty::Any, Ty::Any], None, prepend)),
        (
            &["mustFirst"],
            ("first", &[Ty::Any], None, |a| {
                Ok(items(&a[0], "find first")?.first().cloned().unwrap_or_default())
            }),
        ),
        (
            &["mustLast"],
            ("last", &[Ty::Any], None, |a| {
                Ok(items(&a[0], "find last")?.last().cloned().unwrap_or_default())
            }),
        ),
        (&["mustRest"], ("rest", &[Ty::Any], None, |a| Ok(part(items(&a[0], "find rest")?, true)))),
        (&["mustInitial"], ("initial", &[Ty::Any], None, |a| Ok(part(items(&a[0], "find initial")?, false)))),
        (
            &["mustReverse"],
            ("reverse", &[Ty::Any], None, |a| {
                let mut items = items(&a[0], "find reverse")?;
                items.reverse();
                Ok(Value::list(items))
            }),
        ),
        (&["mustUniq"], ("uniq", &[Ty::Any], None, |a| Ok(uniq(items(&a[0], "find uniq")?)))),
        (
            &["mustWithout"],
            ("without", &[Ty::Any], Some(Ty::Any), |a| {
                let kept = items(&a[0], "find without")?.into_iter().filter(|item| !holds(&a[1..], item));
                Ok(Value::list(kept.collect()))
            }),
        ),
        (
            &["mustHas"],
            ("has", &[Ty::Any, Ty::Any], None, |a| match &a[1] {
                Value::Nil => Ok(false.into()),
                list => Ok(holds(&items(list, "find has")?, &a[0]).into()),
            }),
        ),
        (&["mustSlice"], ("slice", &[Ty::Any], Some(Ty::Any), slice)),
        (&["mustChunk"], ("chunk", &[Ty::Int, Ty::Any], None, chunk)),
        (
            &["mustCompact"],
            ("compact", &[Ty::Any], None, |a| {
                Ok(Value::list(items(&a[0], "compact")?.into_iter().filter(|item| !empty(item)).collect()))
            }),
        ),
    ];
    for (aliases, (name, params, variadic, f)) in rows {
        functions.add(&[(name, params, variadic, f)]);
        for alias in aliases {
            functions.add(&[(alias, params, variadic, f)]);
        }
    }
    functions.add(&[
        ("list", &[], Some(Ty::Any), |a| Ok(Value::list(a.to_vec()))),
        ("tuple", &[], Some(Ty::Any), |a| Ok(Value::list(a.to_vec()))),
        ("concat", &[], Some(Ty::Any), concat),
        ("sortAlpha", &[Ty::Any], None, |a| Ok(sorted(&a[0]))),
    ]);
}

/// The elements, or the panic of sprig's functions for what is no list.
fn items(value: &Value, doing: &str) -> Result<Vec<Value>, Error> {
    match value.items() {
        Some(items) => Ok(items),
        None if matches!(value, Value::Nil) => Err(nil_pointer()),
        None => Err(Error::plain(format!("Cannot {doing} on type {}", value.kind().name()))),
    }
}

fn append(args: &[Value]) -> Answer {
    let mut items = items(&args[0], "push")?;
    items.push(args[1].clone());
    Ok(Value::list(items))
}

fn prepend(args: &[Value]) -> Answer {
    let mut items = items(&args[0], "prepend")?;
    items.insert(0, args[1].clone());
    Ok(Value::list(items))
}

/// Without the first or without the last; nothing of an empty list, which is then nil.
fn part(mut items: Vec<Value>, without_first: bool) -> Value {
    if items.is_empty() {
        return Value::List(List::nil(Elem::Any));
    }
    if without_first {
        items.remove(0);
    } else {
        items.pop();
    }
    Value::list(items)
}

fn holds(items: &[Value], wanted: &Value) -> bool {
    items.iter().any(|item| wanted.deep_equal(item))
}

fn uniq(items: Vec<Value>) -> Value {
    let mut seen = HashSet::new();
    let mut composite: Vec<Value> = Vec::new();
    let mut kept = Vec::new();
    for item in items {
        let fresh = match &item {
            Value::List(_) | Value::Map(_) | Value::Object(_) => {
                let fresh = !holds(&composite, &item);
                if fresh {
                    composite.push(item.clone());
                }
                fresh
            }
            scalar => seen.insert((scalar.type_name(), crate::fmt::to_bytes(scalar))),
        };
        if fresh {
            kept.push(item);
        }
    }
    Value::list(kept)
}

fn slice(args: &[Value]) -> Answer {
    let Some(list) = args[0].items() else {
        return Err(match &args[0] {
            Value::Nil => nil_pointer(),
            other => {
                Error::plain(format!("list should be type of slice or array but {}", other.kind().name()))
            }
        });
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int);
    let end = args.get(2).map_or(list.len() as i64, to_int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let cut = range.and_then(|(start, end)| list.get(start..end));
    let cut = cut.ok_or_else(|| panic_text("reflect.Value.Slice: slice index out of bounds"))?;
    Ok(match &args[0] {
        Value::List(list) => Value::List(List::new(list.elem(), cut.to_vec())),
        _ => Value::list(cut.to_vec()),
    })
}

fn chunk(args: &[Value]) -> Answer {
    let Some(items) = args[1].items() else {
        return Err(match &args[1] {
            Value::Nil => nil_pointer(),
            other => Error::plain(format!("Cannot chunk type {}", other.kind().name())),
        });
    };
    let size = int(args, 0);
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        // Go computes a count of chunks first, which is nought for some negative sizes.
        let count = ((items.len() as f64 - 1.0) / size as f64).floor() + 1.0;
        if let [only] = items.as_slice()
            && size < -1
        {
            return Ok(Value::List(List::new(Elem::Lists, vec![Value::list(vec![only.clone()])])));
        }
        if count == 0.0 {
            return Ok(Value::List(List::new(Elem::Lists, Vec::new())));
        }
        return Err(panic_text("runtime error: makeslice: len out of range"));
    };
    Ok(Value::List(List::new(Elem::Lists, items.chunks(size).map(|c| Value::list(c.to_vec())).collect())))
}

fn concat(args: &[Value]) -> Answer {
    let mut all = Vec::new();
    for list in args {
        match list.items() {
            Some(mut items) => all.append(&mut items),
            None if matches!(list, Value::Nil) => return Err(nil_pointer()),
            None => return Err(Error::plain(format!("Cannot concat type {} as list", list.kind().name()))),
        }
        if all.len() > MAX_ITEMS {
            return Err(Error::limit(format!("a list would have more than {MAX_ITEMS} elements")));
        }
    }
    Ok(if all.is_empty() { Value::List(List::nil(Elem::Any)) } else { Value::list(all) })
}

fn sorted(value: &Value) -> Value {
    if value.items().is_none() {
        return Value::strings([strval(value)]);
    }
    let mut texts = strslice(value);
    texts.sort();
    Value::strings(texts)
}

/// An empty `map[string]interface {}`.
pub(super) fn new_map() -> Map {
    Map::new(MapKind::Any)
}
