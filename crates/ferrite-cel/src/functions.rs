//! The extension libraries of Flux's environment: strings, sets and encoders of cel-go.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cel::extractors::{Arguments, This};
use cel::{Context, ExecutionError, Value};

/// Characters that a function may produce.
const CHARACTERS: usize = 1 << 20;

type Result<T> = std::result::Result<T, ExecutionError>;

pub(crate) fn add(context: &mut Context<'_>) {
    context.add_function("charAt", char_at);
    context.add_function("indexOf", index_of);
    context.add_function("lastIndexOf", last_index_of);
    context.add_function("join", join);
    context.add_function("lowerAscii", |This(text): This<Arc<String>>| text.to_ascii_lowercase());
    context.add_function("upperAscii", |This(text): This<Arc<String>>| text.to_ascii_uppercase());
    context.add_function("replace", replace);
    context.add_function("split", split);
    context.add_function("substring", substring);
    context.add_function("trim", |This(text): This<Arc<String>>| text.trim().to_owned());
    context.add_function("reverse", |This(text): This<Arc<String>>| text.chars().rev().collect::<String>());
    context.add_function("strings.quote", |text: Arc<String>| format!("{:?}", text.as_str()));
    context.add_function("sets.contains", |left: Value, right: Value| subset(&right, &left));
    context.add_function("sets.equivalent", |left: Value, right: Value| -> Result<Value> {
        Ok(Value::Bool(truth(&subset(&left, &right)?) && truth(&subset(&right, &left)?)))
    });
    context.add_function("sets.intersects", |left: Value, right: Value| intersects(&left, &right));
    context.add_function("base64.encode", |value: Value| encode(&value));
    context.add_function("base64.decode", |text: Arc<String>| decode(&text));
}

fn failed(function: &str, message: impl Into<String>) -> ExecutionError {
    ExecutionError::FunctionError { function: function.to_owned(), message: message.into() }
}

fn string(text: impl Into<String>) -> Value {
    Value::String(Arc::new(text.into()))
}

fn text_at(function: &str, arguments: &[Value], index: usize) -> Result<Arc<String>> {
    match arguments.get(index) {
        Some(Value::String(text)) => Ok(Arc::clone(text)),
        _ => Err(failed(function, format!("argument {} must be a string", index + 1))),
    }
}

/// An optional whole number.
fn int_at(function: &str, arguments: &[Value], index: usize) -> Result<Option<i64>> {
    match arguments.get(index) {
        None => Ok(None),
        Some(Value::Int(number)) => Ok(Some(*number)),
        Some(_) => Err(failed(function, format!("argument {} must be an int", index + 1))),
    }
}

/// A position from 0 to `length`.
fn position(function: &str, number: i64, length: usize) -> Result<usize> {
    usize::try_from(number)
        .ok()
        .filter(|place| *place <= length)
        .ok_or_else(|| failed(function, format!("index out of range: {number}")))
}

fn char_at(This(text): This<Arc<String>>, index: i64) -> Result<Value> {
    let place = position("charAt", index, text.chars().count())?;
    Ok(string(text.chars().nth(place).map(String::from).unwrap_or_default()))
}

/// The place of the first `needle` at or after `from`, in characters; -1 when there is none.
fn find(text: &[char], needle: &[char], from: usize) -> i64 {
    if needle.is_empty() {
        return i64::try_from(from).unwrap_or(-1);
    }
    let windows = text.get(from..).unwrap_or_default().windows(needle.len());
    windows
        .into_iter()
        .position(|window| window == needle)
        .map_or(-1, |at| i64::try_from(at + from).unwrap_or(-1))
}

fn index_of(This(text): This<Arc<String>>, Arguments(arguments): Arguments) -> Result<Value> {
    let needle: Vec<char> = text_at("indexOf", &arguments, 0)?.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let from = position("indexOf", int_at("indexOf", &arguments, 1)?.unwrap_or_default(), text.len())?;
    Ok(Value::Int(find(&text, &needle, from)))
}

fn last_index_of(This(text): This<Arc<String>>, Arguments(arguments): Arguments) -> Result<Value> {
    let needle: Vec<char> = text_at("lastIndexOf", &arguments, 0)?.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let last = match int_at("lastIndexOf", &arguments, 1)? {
        Some(number) => position("lastIndexOf", number, text.len())?,
        None => text.len(),
    };
    let place = (0..=last).rev().find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(&needle)));
    Ok(Value::Int(place.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
}

fn join(This(list): This<Arc<Vec<Value>>>, Arguments(arguments): Arguments) -> Result<Value> {
    let between = if arguments.is_empty() { Arc::default() } else { text_at("join", &arguments, 0)? };
    let mut parts = Vec::with_capacity(list.len());
    for item in list.iter() {
        match item {
            Value::String(text) => parts.push(text.as_str()),
            _ => return Err(failed("join", "every element must be a string")),
        }
    }
    Ok(string(parts.join(&between)))
}

fn replace(This(text): This<Arc<String>>, Arguments(arguments): Arguments) -> Result<Value> {
    let (from, to) = (text_at("replace", &arguments, 0)?, text_at("replace", &arguments, 1)?);
    // Each place between two characters matches an empty text.
    let places = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from.as_str()).count() };
    if text.len() + places.saturating_mul(to.len()) > CHARACTERS {
        return Err(failed("replace", "the result is too long"));
    }
    Ok(string(match int_at("replace", &arguments, 2)? {
        Some(count) if count >= 0 => {
            text.replacen(from.as_str(), &to, usize::try_from(count).unwrap_or(usize::MAX))
        }
        _ => text.replace(from.as_str(), &to),
    }))
}

fn split(This(text): This<Arc<String>>, Arguments(arguments): Arguments) -> Result<Value> {
    let between = text_at("split", &arguments, 0)?;
    let limit = int_at("split", &arguments, 1)?.unwrap_or(-1);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<Value> = if limit == 0 {
        Vec::new()
    } else if between.is_empty() {
        text.chars().take(limit).map(String::from).map(string).collect()
    } else {
        text.splitn(limit, between.as_str()).map(string).collect()
    };
    Ok(Value::List(Arc::new(parts)))
}

fn substring(This(text): This<Arc<String>>, Arguments(arguments): Arguments) -> Result<Value> {
    let length = text.chars().count();
    let missing = || failed("substring", "a start is needed");
    let start = position("substring", int_at("substring", &arguments, 0)?.ok_or_else(missing)?, length)?;
    let end = match int_at("substring", &arguments, 1)? {
        Some(end) => position("substring", end, length)?,
        None => length,
    };
    if start > end {
        return Err(failed("substring", format!("invalid substring range. start: {start}, end: {end}")));
    }
    Ok(string(text.chars().skip(start).take(end - start).collect::<String>()))
}

fn list<'a>(function: &str, value: &'a Value) -> Result<&'a [Value]> {
    match value {
        Value::List(items) => Ok(items),
        _ => Err(failed(function, "both arguments must be lists")),
    }
}

const fn truth(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

/// Whether every element of `inner` is in `outer`.
fn subset(inner: &Value, outer: &Value) -> Result<Value> {
    let (inner, outer) = (list("sets.contains", inner)?, list("sets.contains", outer)?);
    Ok(Value::Bool(inner.iter().all(|item| outer.contains(item))))
}

fn intersects(left: &Value, right: &Value) -> Result<Value> {
    let (left, right) = (list("sets.intersects", left)?, list("sets.intersects", right)?);
    Ok(Value::Bool(left.iter().any(|item| right.contains(item))))
}

fn encode(value: &Value) -> Result<Value> {
    match value {
        Value::Bytes(bytes) => Ok(string(STANDARD.encode(bytes.as_slice()))),
        Value::String(text) => Ok(string(STANDARD.encode(text.as_bytes()))),
        _ => Err(failed("base64.encode", "the argument must be bytes")),
    }
}

fn decode(text: &str) -> Result<Value> {
    let bytes = STANDARD.decode(text.trim_end_matches('=').to_owned() + padding(text));
    bytes
        .map(|bytes| Value::Bytes(Arc::new(bytes)))
        .map_err(|_| failed("base64.decode", "the argument is no base64"))
}

/// Go's decoder takes text with and without padding.
fn padding(text: &str) -> &'static str {
    match text.trim_end_matches('=').len() % 4 {
        2 => "==",
        3 => "=",
        _ => "",
    }
}
