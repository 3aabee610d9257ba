//! Methods of strings.

use std::rc::Rc;

use regex::Regex;

use super::super::eval::{Failure, Meter, Outcome, error};
use super::super::value::Value;
use super::text_of;

fn regex(pattern: &str) -> Result<Regex, Failure> {
    let built = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
    built.map_err(|_| Failure::Error(format!("error parsing regexp: `{pattern}`")))
}

/// Whether the text is a regular expression.
pub(in super::super) fn is_pattern(text: &str) -> bool {
    regex(text).is_ok()
}

pub(super) fn matches<'j>(text: &str, pattern: &str) -> Outcome<'j> {
    Ok(Value::Bool(regex(pattern)?.is_match(text)))
}

/// A scalar as text.
pub(super) fn show(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Double(n) => double(*n),
        Value::Text(text) => text.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok()?,
        Value::Duration(d) => {
            let seconds = d / 1_000_000_000;
            match d % 1_000_000_000 {
                0 => format!("{seconds}s"),
                _ => format!("{}s", *d as f64 / 1e9),
            }
        }
        Value::Timestamp(t) => jiff::Timestamp::from_nanosecond(*t).ok()?.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(ip, bits) => format!("{ip}/{bits}"),
        Value::Url(url) => url.to_string(),
        _ => return None,
    })
}

/// As Go's `%g` shows it.
fn double(n: f64) -> String {
    if n.is_infinite() {
        return if n > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if n == 0.0 || !n.is_finite() || (1e-4..1e21).contains(&n.abs()) {
        return n.to_string();
    }
    let shown = format!("{n:e}");
    let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

pub(super) fn join<'j>(items: &[Value<'j>], by: &str) -> Outcome<'j> {
    let texts = items.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::Text(texts.join(by).into()))
}

fn text<'j>(text: impl Into<Rc<str>>) -> Outcome<'j> {
    Ok(Value::Text(text.into()))
}

fn list<'j>(items: impl Iterator<Item = String>) -> Outcome<'j> {
    Ok(Value::List(Rc::new(items.map(|i| Value::Text(i.into())).collect())))
}

pub(super) fn method<'j>(
    name: &str,
    target: &str,
    arguments: &[Value<'j>],
    meter: &mut Meter,
) -> Outcome<'j> {
    match (name, arguments) {
        ("contains", [Value::Text(part)]) => Ok(Value::Bool(target.contains(&**part))),
        ("startsWith", [Value::Text(part)]) => Ok(Value::Bool(target.starts_with(&**part))),
        ("endsWith", [Value::Text(part)]) => Ok(Value::Bool(target.ends_with(&**part))),
        ("matches", [Value::Text(pattern)]) => matches(target, pattern),
        ("find", [Value::Text(pattern)]) => text(regex(pattern)?.find(target).map_or("", |m| m.as_str())),
        ("findAll", [Value::Text(pattern)]) => {
            list(regex(pattern)?.find_iter(target).map(|m| m.as_str().to_owned()))
        }
        ("findAll", [Value::Text(pattern), Value::Int(most)]) => {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            list(regex(pattern)?.find_iter(target).take(most).map(|m| m.as_str().to_owned()))
        }
        ("lowerAscii", []) => text(target.to_ascii_lowercase()),
        ("upperAscii", []) => text(target.to_ascii_uppercase()),
        ("trim", []) => text(target.trim()),
        ("split", [Value::Text(by)]) => split(target, by, None),
        ("split", [Value::Text(by), Value::Int(most)]) => split(target, by, Some(*most)),
        ("replace", [Value::Text(from), Value::Text(to), rest @ ..]) => {
            meter.spend(target.len() * (1 + to.len()) / 10)?;
            match rest {
                [] => text(target.replace(&**from, to)),
                [Value::Int(most)] => {
                    text(target.replacen(&**from, to, usize::try_from(*most).unwrap_or(usize::MAX)))
                }
                _ => Err(Failure::NoOverload),
            }
        }
        ("charAt" | "substring" | "indexOf" | "lastIndexOf", _) => at(name, target, arguments),
        ("format", [values]) => format(target, &values.items().ok_or(Failure::NoOverload)?),
        _ => Err(Failure::NoOverload),
    }
}

fn split<'j>(target: &str, by: &str, most: Option<i64>) -> Outcome<'j> {
    match most.map(usize::try_from) {
        Some(Ok(0)) => list(std::iter::empty()),
        Some(Ok(most)) => list(target.splitn(most, by).map(str::to_owned)),
        _ if by.is_empty() => list(target.chars().map(String::from)),
        _ => list(target.split(by).map(str::to_owned)),
    }
}

/// Methods that count characters.
fn at<'j>(name: &str, target: &str, arguments: &[Value<'j>]) -> Outcome<'j> {
    let chars: Vec<char> = target.chars().collect();
    let length = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let within = |n: i64| -> Result<usize, Failure> {
        let index = usize::try_from(n).ok().filter(|_| n <= length);
        index.ok_or_else(|| Failure::Error(format!("index out of range: {n}")))
    };
    let part =
        |from: usize, to: usize| -> String { chars.get(from..to).unwrap_or_default().iter().collect() };
    match (name, arguments) {
        ("charAt", [Value::Int(n)]) => {
            let n = within(*n)?;
            text(part(n, (n + 1).min(chars.len())))
        }
        ("substring", [Value::Int(from)]) => text(part(within(*from)?, chars.len())),
        ("substring", [Value::Int(from), Value::Int(to)]) if from <= to => {
            text(part(within(*from)?, within(*to)?))
        }
        ("substring", [Value::Int(_), Value::Int(_)]) => error("invalid substring range"),
        ("indexOf" | "lastIndexOf", [Value::Text(wanted), rest @ ..]) => {
            let wanted: Vec<char> = wanted.chars().collect();
            let last = chars.len().checked_sub(wanted.len());
            let hit = |n: &usize| chars.get(*n..*n + wanted.len()) == Some(&wanted);
            let found = match (last, rest, name) {
                (None, ..) => None,
                (Some(last), [], "indexOf") => (0..=last).find(hit),
                (Some(last), [], _) => (0..=last).rev().find(hit),
                (Some(last), [Value::Int(n)], "indexOf") => (within(*n)?..=last).find(hit),
                (Some(last), [Value::Int(n)], _) => (0..=last.min(within(*n)?)).rev().find(hit),
                _ => return Err(Failure::NoOverload),
            };
            Ok(Value::Int(found.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)))
        }
        _ => Err(Failure::NoOverload),
    }
}

/// `'%s is %d'.format(['a', 1])`
fn format<'j>(template: &str, values: &[Value<'j>]) -> Outcome<'j> {
    let mut out = String::new();
    let (mut chars, mut values) = (template.chars().peekable(), values.iter());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let mut precision = String::new();
        if chars.peek() == Some(&'.') {
            chars.next();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                precision.push(d);
            }
        }
        let (Some(clause), Some(value)) = (chars.next(), values.next()) else {
            return error("index out of range");
        };
        let digits = precision.parse().unwrap_or(6).min(100);
        match (clause, value) {
            ('s', value) => out.push_str(&shown(value)),
            ('d', Value::Int(n)) => out.push_str(&n.to_string()),
            ('d', Value::Uint(n)) => out.push_str(&n.to_string()),
            ('f', Value::Double(n)) => out.push_str(&format!("{n:.digits$}")),
            ('f', Value::Int(n)) => out.push_str(&format!("{:.digits$}", *n as f64)),
            ('x', Value::Int(n)) => out.push_str(&format!("{n:x}")),
            ('X', Value::Int(n)) => out.push_str(&format!("{n:X}")),
            ('b', Value::Int(n)) => out.push_str(&format!("{n:b}")),
            ('o', Value::Int(n)) => out.push_str(&format!("{n:o}")),
            _ => return error(format!("error during formatting: could not format with %{clause}")),
        }
    }
    text(out)
}

fn shown(value: &Value<'_>) -> String {
    if let Some(items) = value.items() {
        return format!("[{}]", items.iter().map(within).collect::<Vec<_>>().join(", "));
    }
    if let Some(entries) = value.entries() {
        let mut entries: Vec<_> =
            entries.iter().map(|(k, v)| format!("{}:{}", within(k), within(v))).collect();
        entries.sort();
        return format!("{{{}}}", entries.join(", "));
    }
    match value {
        Value::Null => "null".to_owned(),
        other => show(other).unwrap_or_else(|| other.type_name().to_owned()),
    }
}

/// A value in a list or mapping, as an expression writes it.
fn within(value: &Value<'_>) -> String {
    match value {
        Value::Text(_) => format!("{:?}", shown(value)),
        Value::Bytes(_) => format!("b{:?}", shown(value)),
        Value::Duration(_) => format!("duration({:?})", shown(value)),
        Value::Timestamp(_) => format!("timestamp({:?})", shown(value)),
        Value::Double(n) => format!("{n:.6}"),
        other => shown(other),
    }
}
