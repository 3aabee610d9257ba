//! The sprig function library (Masterminds/sprig v3.3), without `env`, `expandenv` and what needs a network.
//!
//! Semantic versions are not here but in the host, so that this crate needs no other.

mod case;
mod cast;
mod clock;
mod crypto;
mod date;
mod decimal;
mod dicts;
mod encode;
mod layout;
mod lists;
mod number;
mod paths;
mod pattern;
mod random;
mod reflect;
mod regexp;
mod strings;
mod time;
mod url;

use crate::{
    error::Error,
    func::Functions,
    value::{Str, Value},
};

pub use date::duration_text;
pub use regexp::compile as compile_regex;
pub use time::{Duration, Time, parse_duration, round as round_duration, truncate as truncate_duration};
pub use url::check as check_url;

type Answer = Result<Value, Error>;

/// Bytes a single function may produce.
const MAX_TEXT: usize = 64 << 20;

/// Elements a single function may produce.
const MAX_ITEMS: usize = 2_000_000;

impl Functions {
    /// `text/template`'s own functions and sprig's, without `env`, `expandenv`, `getHostByName` and `semver*`.
    #[must_use]
    pub fn sprig() -> Self {
        let mut functions = Self::builtin();
        strings::register(&mut functions);
        case::register(&mut functions);
        number::register(&mut functions);
        lists::register(&mut functions);
        dicts::register(&mut functions);
        reflect::register(&mut functions);
        encode::register(&mut functions);
        regexp::register(&mut functions);
        paths::register(&mut functions);
        url::register(&mut functions);
        date::register(&mut functions);
        random::register(&mut functions);
        crypto::register(&mut functions);
        functions
    }
}

/// A Go panic that `text/template` turns into an error.
fn panic_text(text: &str) -> Error {
    Error::plain(text)
}

fn nil_pointer() -> Error {
    panic_text("runtime error: invalid memory address or nil pointer dereference")
}

/// The string argument at `i`; the engine has checked its type.
fn text(args: &[Value], i: usize) -> &[u8] {
    match args.get(i) {
        Some(Value::Str(text) | Value::Bytes(text)) => text,
        _ => b"",
    }
}

/// The string argument at `i` as UTF-8, invalid bytes replaced.
fn utf8(args: &[Value], i: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text(args, i))
}

/// The integer argument at `i`; the engine has checked its type.
fn int(args: &[Value], i: usize) -> i64 {
    args.get(i).and_then(Value::as_int).unwrap_or(0)
}

/// sprig's `strval`: a string as it is, everything else as `%v`.
fn strval(value: &Value) -> Str {
    match value {
        Value::Str(text) | Value::Bytes(text) => text.clone(),
        other => crate::fmt::to_bytes(other).into(),
    }
}

/// sprig's `strslice`: the elements as strings, nil ones left out.
fn strslice(value: &Value) -> Vec<Str> {
    match value.items() {
        Some(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(strval).collect(),
        None if matches!(value, Value::Nil) => Vec::new(),
        None => vec![strval(value)],
    }
}

/// sprig's `empty`: zero, false, nil or without elements; structs never.
fn empty(value: &Value) -> bool {
    !value.truth()
}

/// Refuses a result beyond [`MAX_TEXT`].
fn bounded(length: Option<usize>) -> Result<(), Error> {
    match length {
        Some(length) if length <= MAX_TEXT => Ok(()),
        _ => Err(Error::limit(format!("a function would produce more than {MAX_TEXT} bytes"))),
    }
}

/// Splits at a separator as Go's `strings.SplitN`: an empty separator splits into characters; negative is no bound.
fn split_n(input: &[u8], separator: &[u8], n: i64) -> Vec<Vec<u8>> {
    if n == 0 {
        return Vec::new();
    }
    let limit = usize::try_from(n).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = input;
    if separator.is_empty() {
        while !rest.is_empty() {
            let size = if parts.len() + 1 == limit { rest.len() } else { crate::quote::decode_rune(rest).1 };
            let (head, tail) = rest.split_at(size);
            parts.push(head.to_vec());
            rest = tail;
        }
        return parts;
    }
    while parts.len() + 1 < limit {
        let Some(at) = find(rest, separator) else { break };
        parts.push(rest[..at].to_vec());
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest.to_vec());
    parts
}

/// The first place of `needle`, which is not empty.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|b| *b == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
