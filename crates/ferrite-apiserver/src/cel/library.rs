//! The functions of expressions: those of CEL, of its extensions, and Kubernetes' own.

mod network;
mod text;
mod time;

use std::rc::Rc;

use super::eval::{Failure, Meter, Outcome, error};
use super::value::Value;

pub(super) use text::is_pattern;
pub(super) use time::{duration, timestamp};

/// A quantity in units of 10⁻⁹.
pub(super) fn quantity(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(split)?;
    let (scale, power): (i128, u32) = match suffix {
        "n" => (1, 0),
        "u" => (1_000, 0),
        "m" => (1_000_000, 0),
        "" => (1_000_000_000, 0),
        "k" => (1_000_000_000, 3),
        "M" => (1_000_000_000, 6),
        "G" => (1_000_000_000, 9),
        "T" => (1_000_000_000, 12),
        "P" => (1_000_000_000, 15),
        "E" => (1_000_000_000, 18),
        "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => {
            let step = "KMGTPE".find(suffix.chars().next()?)?;
            (1_000_000_000 * (1_i128 << (10 * (step + 1))), 0)
        }
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            match u32::try_from(exponent) {
                Ok(up) if up <= 18 => (1_000_000_000, up),
                Err(_) if exponent >= -9 => (10_i128.pow(9 - exponent.unsigned_abs()), 0),
                _ => return None,
            }
        }
    };
    let scale = scale.checked_mul(10_i128.checked_pow(power)?)?;
    let negative = number.starts_with('-');
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() || part.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let below: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let below = below.checked_mul(scale)? / 10_i128.pow(u32::try_from(part.len()).ok()?);
    let value = whole.checked_mul(scale)?.checked_add(below)?;
    Some(if negative { -value } else { value })
}

fn text_of<'v>(value: &'v Value<'_>) -> Result<&'v str, Failure> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Failure::NoOverload),
    }
}

/// Calls a function or method.
pub(super) fn call<'j>(
    name: &str,
    target: Option<&Value<'j>>,
    arguments: &[Value<'j>],
    meter: &mut Meter,
) -> Outcome<'j> {
    let size = target.into_iter().chain(arguments).filter_map(Value::size).sum::<usize>();
    meter.spend(size / 10)?;
    match target {
        None => function(name, arguments, meter),
        Some(target) => method(name, target, arguments, meter),
    }
}

fn function<'j>(name: &str, arguments: &[Value<'j>], meter: &mut Meter) -> Outcome<'j> {
    match (name, arguments) {
        ("dyn", [value]) => Ok(value.clone()),
        ("size", [value]) => size(value),
        ("type", [value]) => Ok(Value::Type(value.type_name())),
        ("matches", [value, pattern]) => text::matches(text_of(value)?, text_of(pattern)?),
        ("optional.of", [value]) => Ok(Value::Optional(Some(Rc::new(value.clone())))),
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            Ok(Value::Optional((!is_zero(value)).then(|| Rc::new(value.clone()))))
        }
        ("lists.range", [Value::Int(n)]) => {
            meter.spend(usize::try_from(*n).unwrap_or(0))?;
            Ok(Value::List(Rc::new((0..*n).map(Value::Int).collect())))
        }
        ("sign", [Value::Quantity(q)]) => Ok(Value::Int(q.signum() as i64)),
        ("sets.contains", [a, b]) => Ok(Value::Bool(contains_all(a, b)?)),
        ("sets.equivalent", [a, b]) => Ok(Value::Bool(contains_all(a, b)? && contains_all(b, a)?)),
        ("sets.intersects", [a, b]) => {
            let (a, b) = (a.items().ok_or(Failure::NoOverload)?, b.items().ok_or(Failure::NoOverload)?);
            Ok(Value::Bool(a.iter().any(|x| b.iter().any(|y| x.same(y)))))
        }
        ("quantity", [value]) => match quantity(text_of(value)?) {
            Some(quantity) => Ok(Value::Quantity(quantity)),
            None => error(format!(
                "quantities must match the regular expression '{}'",
                "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
            )),
        },
        ("isQuantity", [value]) => Ok(Value::Bool(quantity(text_of(value)?).is_some())),
        ("url" | "isURL" | "ip" | "isIP" | "ip.isCanonical" | "cidr" | "isCIDR", [value]) => {
            network::make(name, text_of(value)?)
        }
        ("int" | "uint" | "double" | "string" | "bool" | "bytes" | "duration" | "timestamp", [value]) => {
            convert(name, value)
        }
        _ => Err(Failure::NoOverload),
    }
}

fn size<'j>(value: &Value<'j>) -> Outcome<'j> {
    let size = value.size().ok_or(Failure::NoOverload)?;
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Int(n) | Value::Duration(n) => *n == 0,
        Value::Uint(n) => *n == 0,
        Value::Double(n) => *n == 0.0,
        other => other.size() == Some(0),
    }
}

fn extreme<'j>(greatest: bool, values: Vec<Value<'j>>) -> Outcome<'j> {
    let wanted = if greatest { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
    let mut values = values.into_iter();
    let Some(mut best) = values.next() else { return error("min/max called on empty list") };
    for value in values {
        match value.compare(&best) {
            Some(order) if order == wanted => best = value,
            Some(_) => {}
            None => return Err(Failure::NoOverload),
        }
    }
    Ok(best)
}

fn contains_all(a: &Value<'_>, b: &Value<'_>) -> Result<bool, Failure> {
    let (a, b) = (a.items().ok_or(Failure::NoOverload)?, b.items().ok_or(Failure::NoOverload)?);
    Ok(b.iter().all(|y| a.iter().any(|x| x.same(y))))
}

fn convert<'j>(to: &str, value: &Value<'j>) -> Outcome<'j> {
    let bad = |what: &str, text: &str| error(format!("cannot convert {text:?} to {what}"));
    match (to, value) {
        ("int", Value::Int(_)) | ("uint", Value::Uint(_)) | ("double", Value::Double(_)) => Ok(value.clone()),
        ("string", Value::Text(_)) | ("bool", Value::Bool(_)) | ("bytes", Value::Bytes(_)) => {
            Ok(value.clone())
        }
        ("duration", Value::Duration(_)) | ("timestamp", Value::Timestamp(_)) => Ok(value.clone()),
        ("int", Value::Uint(n)) => {
            i64::try_from(*n).map_or_else(|_| error("integer overflow"), |n| Ok(Value::Int(n)))
        }
        ("int", Value::Double(n)) if n.abs() < 9.223_372e18 => Ok(Value::Int(*n as i64)),
        ("int", Value::Double(_)) => error("integer overflow"),
        ("int", Value::Text(text)) => text.parse().map_or_else(|_| bad("int", text), |n| Ok(Value::Int(n))),
        ("int", Value::Timestamp(t)) => {
            Ok(Value::Int(i64::try_from(t.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)))
        }
        ("int", Value::Duration(d)) => Ok(Value::Int(*d)),
        ("uint", Value::Int(n)) => {
            u64::try_from(*n).map_or_else(|_| error("integer overflow"), |n| Ok(Value::Uint(n)))
        }
        ("uint", Value::Text(text)) => {
            text.parse().map_or_else(|_| bad("uint", text), |n| Ok(Value::Uint(n)))
        }
        ("double", Value::Int(n)) => Ok(Value::Double(*n as f64)),
        ("double", Value::Uint(n)) => Ok(Value::Double(*n as f64)),
        ("double", Value::Text(text)) => {
            text.parse().map_or_else(|_| bad("double", text), |n| Ok(Value::Double(n)))
        }
        ("bool", Value::Text(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(Value::Bool(false)),
            _ => bad("bool", text),
        },
        ("bytes", Value::Text(text)) => Ok(Value::Bytes(text.as_bytes().into())),
        ("duration", Value::Text(text)) => match duration(text) {
            Some(d) => Ok(Value::Duration(d)),
            None => {
                error(format!("type conversion error from 'string' to 'google.protobuf.Duration': {text:?}"))
            }
        },
        ("timestamp", Value::Text(text)) => match timestamp(text) {
            Some(t) => Ok(Value::Timestamp(t)),
            None => {
                error(format!("type conversion error from 'string' to 'google.protobuf.Timestamp': {text:?}"))
            }
        },
        ("string", value) => text::show(value).map(|t| Value::Text(t.into())).ok_or(Failure::NoOverload),
        _ => Err(Failure::NoOverload),
    }
}

fn method<'j>(name: &str, target: &Value<'j>, arguments: &[Value<'j>], meter: &mut Meter) -> Outcome<'j> {
    match (target, name, arguments) {
        (_, "size", []) => size(target),
        (Value::Text(text), ..) => text::method(name, text, arguments, meter),
        (Value::Quantity(q), ..) => quantity_method(name, *q, arguments),
        (Value::Url(_) | Value::Ip(_) | Value::Cidr(..), ..) => network::method(name, target, arguments),
        (Value::Duration(_) | Value::Timestamp(_), ..) => time::method(name, target, arguments),
        (Value::Optional(inner), ..) => optional_method(name, inner.as_deref(), arguments),
        (Value::List(_) | Value::JsonList(..) | Value::Merged(..), ..) => {
            list_method(name, target, arguments, meter)
        }
        _ => Err(Failure::NoOverload),
    }
}

fn quantity_method<'j>(name: &str, q: i128, arguments: &[Value<'j>]) -> Outcome<'j> {
    const ONE: i128 = 1_000_000_000;
    let other = match arguments {
        [Value::Quantity(other)] => *other,
        [Value::Int(n)] => i128::from(*n) * ONE,
        _ => 0,
    };
    Ok(match (name, arguments.len()) {
        ("isInteger", 0) => Value::Bool(q % ONE == 0 && i64::try_from(q / ONE).is_ok()),
        ("asInteger", 0) => match i64::try_from(q / ONE) {
            Ok(n) if q % ONE == 0 => Value::Int(n),
            _ => return error("cannot convert value to integer"),
        },
        ("asApproximateFloat", 0) => Value::Double(q as f64 / 1e9),
        ("add", 1) => Value::Quantity(q.saturating_add(other)),
        ("sub", 1) => Value::Quantity(q.saturating_sub(other)),
        ("isLessThan", 1) => Value::Bool(q < other),
        ("isGreaterThan", 1) => Value::Bool(q > other),
        ("compareTo", 1) => Value::Int(q.cmp(&other) as i64),
        _ => return Err(Failure::NoOverload),
    })
}

fn optional_method<'j>(name: &str, inner: Option<&Value<'j>>, arguments: &[Value<'j>]) -> Outcome<'j> {
    match (name, arguments) {
        ("hasValue", []) => Ok(Value::Bool(inner.is_some())),
        ("value", []) => inner.cloned().map_or_else(|| error("optional.none() dereference"), Ok),
        ("orValue", [other]) => Ok(inner.unwrap_or(other).clone()),
        ("or", [other]) => {
            Ok(inner.map_or_else(|| other.clone(), |v| Value::Optional(Some(Rc::new(v.clone())))))
        }
        _ => Err(Failure::NoOverload),
    }
}

fn list_method<'j>(
    name: &str,
    target: &Value<'j>,
    arguments: &[Value<'j>],
    meter: &mut Meter,
) -> Outcome<'j> {
    let items = target.items().unwrap_or_default();
    meter.spend(items.len())?;
    let position =
        |found: Option<usize>| Ok(Value::Int(found.and_then(|i| i64::try_from(i).ok()).unwrap_or(-1)));
    match (name, arguments) {
        ("isSorted", []) => {
            let sorted = items.windows(2).all(|w| w[0].compare(&w[1]).is_some_and(std::cmp::Ordering::is_le));
            Ok(Value::Bool(sorted))
        }
        ("max" | "min", []) if items.is_empty() => error(format!("{name} called on empty list")),
        ("max" | "min", []) => extreme(name == "max", items),
        ("sum", []) => sum(&items),
        ("indexOf", [wanted]) => position(items.iter().position(|i| i.same(wanted))),
        ("lastIndexOf", [wanted]) => position(items.iter().rposition(|i| i.same(wanted))),
        ("join", []) => text::join(&items, ""),
        ("join", [by]) => text::join(&items, text_of(by)?),
        ("reverse", []) => Ok(Value::List(Rc::new(items.into_iter().rev().collect()))),
        ("sort", []) => sort(items.iter().cloned().zip(items.iter().cloned()).collect()),
        ("slice", [Value::Int(from), Value::Int(to)]) => {
            let at = |n: &i64| usize::try_from(*n).ok();
            match (at(from), at(to)) {
                (Some(from), Some(to)) if from <= to && to <= items.len() => {
                    Ok(Value::List(Rc::new(items.get(from..to).unwrap_or_default().to_vec())))
                }
                _ => error(format!("cannot slice({from}, {to}), list is length {}", items.len())),
            }
        }
        ("first", []) => Ok(Value::Optional(items.into_iter().next().map(Rc::new))),
        ("last", []) => Ok(Value::Optional(items.into_iter().next_back().map(Rc::new))),
        ("flatten", []) => {
            let flat = items.into_iter().flat_map(|i| i.items().unwrap_or_else(|| vec![i]));
            Ok(Value::List(Rc::new(flat.collect())))
        }
        ("distinct", []) => {
            let mut out: Vec<Value<'j>> = Vec::new();
            for item in items {
                meter.spend(out.len())?;
                if !out.iter().any(|o| o.same(&item)) {
                    out.push(item);
                }
            }
            Ok(Value::List(Rc::new(out)))
        }
        _ => Err(Failure::NoOverload),
    }
}

/// The values in the order of their keys, which must have one.
pub(super) fn sort<'j>(mut pairs: Vec<(Value<'j>, Value<'j>)>) -> Outcome<'j> {
    if pairs.windows(2).any(|w| w[0].0.compare(&w[1].0).is_none()) {
        return error("list elements must have the same type and be comparable");
    }
    pairs.sort_by(|a, b| a.0.compare(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    Ok(Value::List(Rc::new(pairs.into_iter().map(|(_, value)| value).collect())))
}

fn sum<'j>(items: &[Value<'j>]) -> Outcome<'j> {
    let mut total: Option<Value<'j>> = None;
    for item in items {
        total = Some(match (total, item) {
            (None, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) => item.clone(),
            (Some(Value::Int(a)), Value::Int(b)) => match a.checked_add(*b) {
                Some(n) => Value::Int(n),
                None => return error("integer overflow"),
            },
            (Some(Value::Uint(a)), Value::Uint(b)) => Value::Uint(a.saturating_add(*b)),
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::Duration(a)), Value::Duration(b)) => Value::Duration(a.saturating_add(*b)),
            _ => return Err(Failure::NoOverload),
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}
