//! The functions of `text/template` itself.

use std::cmp::Ordering;

use crate::{
    error::Error,
    fmt,
    func::{Body, Function, Functions, Ty},
    object::Method,
    quote,
    value::{Kind, List, Map, MapKind, Str, Value},
};

type Answer = Result<Value, Error>;

pub(crate) fn register(functions: &mut Functions) {
    for (name, body) in [("and", Body::And), ("or", Body::Or)] {
        functions.insert(name, Function { params: &[Ty::Reflect], variadic: Some(Ty::Reflect), body });
    }
    functions.add(&[
        ("not", &[Ty::Reflect], None, |a| Ok(Value::Bool(!a[0].truth()))),
        ("eq", &[Ty::Reflect], Some(Ty::Reflect), eq),
        ("ne", &[Ty::Reflect, Ty::Reflect], None, |a| Ok(Value::Bool(!equal(&a[0], &a[1])?))),
        ("lt", &[Ty::Reflect, Ty::Reflect], None, |a| Ok(Value::Bool(less(&a[0], &a[1])?))),
        ("le", &[Ty::Reflect, Ty::Reflect], None, |a| Ok(Value::Bool(less_or_equal(&a[0], &a[1])?))),
        ("gt", &[Ty::Reflect, Ty::Reflect], None, |a| Ok(Value::Bool(!less_or_equal(&a[0], &a[1])?))),
        ("ge", &[Ty::Reflect, Ty::Reflect], None, |a| Ok(Value::Bool(!less(&a[0], &a[1])?))),
        ("len", &[Ty::Reflect], None, |a| length(&a[0])),
        ("index", &[Ty::Reflect], Some(Ty::Reflect), index),
        ("slice", &[Ty::Reflect], Some(Ty::Reflect), slice),
        ("call", &[Ty::Reflect], Some(Ty::Reflect), call),
        ("print", &[], Some(Ty::Any), |a| Ok(fmt::sprint(a).into())),
        ("println", &[], Some(Ty::Any), |a| Ok(fmt::sprintln(a).into())),
        ("printf", &[Ty::Str], Some(Ty::Any), printf),
        ("html", &[], Some(Ty::Any), |a| Ok(html(&joined(a)).into())),
        ("js", &[], Some(Ty::Any), |a| Ok(js(&joined(a)).into())),
        ("urlquery", &[], Some(Ty::Any), |a| Ok(query_escape(&joined(a)).into())),
    ]);
}

fn printf(args: &[Value]) -> Answer {
    match &args[0] {
        Value::Str(format) => Ok(fmt::sprintf(format, &args[1..]).into()),
        _ => Err(Error::plain("printf needs a format")),
    }
}

/// Basic kinds, as comparison sees them.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Basic {
    Bool,
    Complex,
    Int,
    Uint,
    Float,
    String,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value.kind() {
        Kind::Bool => Basic::Bool,
        Kind::Int | Kind::Int64 => Basic::Int,
        Kind::Uint8 | Kind::Uint64 => Basic::Uint,
        Kind::Float64 => Basic::Float,
        Kind::Complex128 => Basic::Complex,
        Kind::String => Basic::String,
        Kind::Invalid | Kind::Slice | Kind::Map | Kind::Struct | Kind::Ptr => return None,
    })
}

fn unsigned(value: &Value) -> u64 {
    match value {
        Value::Byte(b) => u64::from(*b),
        Value::Uint64(u) => *u,
        _ => 0,
    }
}

fn incompatible(a: &Value, b: &Value) -> Error {
    Error::plain(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))
}

fn eq(args: &[Value]) -> Answer {
    if args.len() < 2 {
        let first = &args[0];
        if !matches!(first, Value::Nil) && !comparable(first) {
            return Err(Error::plain(format!(
                "non-comparable type {}: {}",
                fmt::to_text(first),
                first.type_name()
            )));
        }
        return Err(Error::plain("missing argument for comparison"));
    }
    for other in &args[1..] {
        if equal_inner(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn comparable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Map(_) | Value::Bytes(_) => false,
        Value::Object(object) => !matches!(object.kind(), Kind::Slice | Kind::Map),
        _ => true,
    }
}

fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    equal_inner(a, b)
}

fn equal_inner(a: &Value, b: &Value) -> Result<bool, Error> {
    if matches!(a, Value::Nil) || matches!(b, Value::Nil) {
        return Ok(matches!((a, b), (Value::Nil, Value::Nil)));
    }
    match (basic(a), basic(b)) {
        (Some(Basic::Int), Some(Basic::Uint)) => {
            let left = a.as_int().unwrap_or(0);
            Ok(left >= 0 && left as u64 == unsigned(b))
        }
        (Some(Basic::Uint), Some(Basic::Int)) => {
            let right = b.as_int().unwrap_or(0);
            Ok(right >= 0 && right as u64 == unsigned(a))
        }
        (Some(x), Some(y)) if x == y => Ok(match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
            (Value::Str(a), Value::Str(b)) => a == b,
            _ if x == Basic::Uint => unsigned(a) == unsigned(b),
            _ => a.as_int() == b.as_int(),
        }),
        (None, None) => {
            let as_text = |value: &Value| {
                String::from_utf8_lossy(&fmt::sprintf(b"%s", std::slice::from_ref(value))).into_owned()
            };
            if a.kind() != b.kind() {
                return Err(Error::plain(format!(
                    "non-comparable types {}: {}, {}: {}",
                    as_text(a),
                    a.type_name(),
                    b.type_name(),
                    fmt::to_text(b)
                )));
            }
            if !comparable(b) {
                return Err(Error::plain(format!("non-comparable type {}: {}", as_text(b), b.type_name())));
            }
            Ok(a.deep_equal(b))
        }
        _ => Err(incompatible(a, b)),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, Error> {
    let invalid = || Error::plain("invalid type for comparison");
    let (x, y) = (basic(a).ok_or_else(invalid)?, basic(b).ok_or_else(invalid)?);
    Ok(match (x, y) {
        (Basic::Int, Basic::Uint) => {
            let left = a.as_int().unwrap_or(0);
            if left < 0 { Ordering::Less } else { (left as u64).cmp(&unsigned(b)) }
        }
        (Basic::Uint, Basic::Int) => {
            let right = b.as_int().unwrap_or(0);
            if right < 0 { Ordering::Greater } else { unsigned(a).cmp(&(right as u64)) }
        }
        _ if x != y => return Err(incompatible(a, b)),
        (Basic::Bool | Basic::Complex, _) => return Err(invalid()),
        _ => match (a, b) {
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Greater),
            (Value::Str(a), Value::Str(b)) => a.cmp(b),
            _ if x == Basic::Uint => unsigned(a).cmp(&unsigned(b)),
            _ => a.as_int().cmp(&b.as_int()),
        },
    })
}

fn less(a: &Value, b: &Value) -> Result<bool, Error> {
    Ok(compare(a, b)? == Ordering::Less)
}

fn less_or_equal(a: &Value, b: &Value) -> Result<bool, Error> {
    Ok(less(a, b)? || equal_inner(a, b)?)
}

fn length(value: &Value) -> Answer {
    let length = match value {
        Value::Nil => return Err(Error::plain("len of nil pointer")),
        Value::Str(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) => match (object.as_list(), object.as_entries()) {
            (Some(list), _) => list.len(),
            (_, Some(entries)) => entries.len(),
            _ => return Err(Error::plain(format!("len of type {}", value.type_name()))),
        },
        _ => return Err(Error::plain(format!("len of type {}", value.type_name()))),
    };
    Ok(Value::Int(length as i64))
}

fn position(index: &Value, bound: usize) -> Result<usize, Error> {
    let at = match index {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Byte(_) | Value::Uint64(_) => i64::try_from(unsigned(index)).unwrap_or(-1),
        Value::Object(object) if matches!(object.kind(), Kind::Int | Kind::Int64) => {
            object.number().unwrap_or(-1)
        }
        Value::Nil => return Err(Error::plain("cannot index slice/array with nil")),
        other => {
            return Err(Error::plain(format!("cannot index slice/array with type {}", other.type_name())));
        }
    };
    match usize::try_from(at) {
        Ok(at) if at < bound => Ok(at),
        _ => Err(Error::plain(format!("index out of range: {at}"))),
    }
}

/// The index that is one too large passes Go's own check and fails in `reflect`.
fn element<'l, T>(items: &'l [T], index: &Value) -> Result<&'l T, Error> {
    let at = position(index, items.len() + 1)?;
    items.get(at).ok_or_else(|| Error::plain("reflect: slice index out of range"))
}

fn index(args: &[Value]) -> Answer {
    let mut item = args[0].clone();
    if matches!(item, Value::Nil) {
        return Err(Error::plain("index of untyped nil"));
    }
    for index in &args[1..] {
        item = match &item {
            Value::Nil => return Err(Error::plain("index of nil pointer")),
            Value::Str(text) => match text.get(position(index, text.len() + 1)?) {
                Some(byte) => Value::Byte(*byte),
                None => return Err(Error::plain("reflect: string index out of range")),
            },
            Value::Bytes(bytes) => Value::Byte(*element(bytes, index)?),
            Value::List(list) => element(list, index)?.clone(),
            Value::Map(map) => {
                let key = map_key(index)?;
                match map.get(key) {
                    Some(value) => value,
                    None if map.kind().is_strings() => Value::from(""),
                    None => Value::Nil,
                }
            }
            Value::Object(object) => {
                if let Some(list) = object.as_list() {
                    element(list, index)?.clone()
                } else if let Some(entries) = object.as_entries() {
                    let key = map_key(index)?;
                    let found = entries.into_iter().find(|(name, _)| &name[..] == key);
                    found.map_or(Value::Bytes(Str::from("")), |(_, value)| value)
                } else {
                    return Err(Error::plain(format!("can't index item of type {}", item.type_name())));
                }
            }
            other => return Err(Error::plain(format!("can't index item of type {}", other.type_name()))),
        };
    }
    Ok(item)
}

fn map_key(index: &Value) -> Result<&[u8], Error> {
    match index {
        Value::Str(key) => Ok(key),
        Value::Nil => Err(Error::plain("value is nil; should be of type string")),
        other => Err(Error::plain(format!("value has type {}; should be string", other.type_name()))),
    }
}

fn slice(args: &[Value]) -> Answer {
    let item = &args[0];
    let length = match item {
        Value::Nil => return Err(Error::plain("slice of untyped nil")),
        Value::Str(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(Error::plain(format!("can't slice item of type {}", other.type_name()))),
    };
    if args.len() > 4 {
        return Err(Error::plain(format!("too many slice indexes: {}", args.len() - 1)));
    }
    if args.len() == 4 && matches!(item, Value::Str(_)) {
        return Err(Error::plain("cannot 3-index slice a string"));
    }
    let from = args.get(1).map_or(Ok(0), |i| position(i, length + 1))?;
    let to = args.get(2).map_or(Ok(length), |i| position(i, length + 1))?;
    if from > to {
        return Err(Error::plain(format!("invalid slice index: {from} > {to}")));
    }
    Ok(match item {
        Value::List(list) => Value::List(List::new(list.elem(), list[from..to].to_vec())),
        Value::Bytes(text) => Value::Bytes(text[from..to].into()),
        Value::Str(text) => Value::str(&text[from..to]),
        _ => Value::Nil,
    })
}

fn call(args: &[Value]) -> Answer {
    match &args[0] {
        Value::Nil => Err(Error::plain("call of nil")),
        other => {
            Err(Error::plain(format!("non-function {} of type {}", fmt::to_text(other), other.type_name())))
        }
    }
}

/// What the escaping functions work on: the single string, or all operands printed.
fn joined(args: &[Value]) -> Vec<u8> {
    match args {
        [Value::Str(text)] => text.to_vec(),
        _ => {
            let printable: Vec<Value> = args
                .iter()
                .map(|arg| if matches!(arg, Value::Nil) { Value::from("<no value>") } else { arg.clone() })
                .collect();
            fmt::sprint(&printable)
        }
    }
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text {
        match c {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (c, size) = quote::decode_rune(rest);
        match c {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' | '>' | '&' | '=' => out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes()),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes()),
            c if c.is_ascii() || quote::is_print(c) => out.extend_from_slice(&rest[..size]),
            c => out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes()),
        }
        rest = &rest[size..];
    }
    out
}

/// `url.QueryEscape`.
pub(crate) fn query_escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text {
        match c {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*c),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    out
}

/// The methods of `common.Values` that can be called from a template.
pub(crate) fn values_method(name: &str) -> Option<Method> {
    match name {
        "AsMap" => Some(Method::NONE),
        "Table" | "PathValue" => Some(Method { params: &[Ty::Str], variadic: None }),
        _ => None,
    }
}

pub(crate) fn call_values_method(values: &Value, name: &str, args: &[Value]) -> Answer {
    let Value::Map(map) = values else {
        return Ok(Value::Nil);
    };
    if name == "AsMap" {
        return Ok(Value::Map(Map::with(MapKind::Any, map.entries().clone())));
    }
    let Some(Value::Str(path)) = args.first() else {
        return Ok(Value::Nil);
    };
    let mut value = values.clone();
    for part in path.split(|c| *c == b'.') {
        let next = value.as_map().and_then(|map| map.get(part));
        value = next.ok_or_else(|| Error::plain(format!("{} is not a value", quote::quote(path))))?;
    }
    match (name, &value) {
        ("Table", Value::Map(map)) => Ok(Value::Map(Map::with(MapKind::Values, map.entries().clone()))),
        ("Table", _) => Err(Error::plain(format!("{} is not a table", quote::quote(path)))),
        _ => Ok(value),
    }
}
