//! Strings: cutting, padding, joining.

use super::{Answer, bounded, find, int, panic_text, split_n, strslice, strval, text, utf8};
use crate::{
    error::Error,
    func::{Functions, Ty},
    quote,
    value::{Map, MapKind, Str, Value},
};

pub(super) fn register(functions: &mut Functions) {
    cutting(functions);
    functions.add(&[
        ("hello", &[], None, |_| Ok("Hello!".into())),
        ("repeat", &[Ty::Int, Ty::Str], None, |a| repeat(text(a, 1), int(a, 0))),
        ("contains", &[Ty::Str, Ty::Str], None, |a| {
            Ok((text(a, 0).is_empty() || find(text(a, 1), text(a, 0)).is_some()).into())
        }),
        ("hasPrefix", &[Ty::Str, Ty::Str], None, |a| Ok(text(a, 1).starts_with(text(a, 0)).into())),
        ("hasSuffix", &[Ty::Str, Ty::Str], None, |a| Ok(text(a, 1).ends_with(text(a, 0)).into())),
        ("quote", &[], Some(Ty::Any), |a| Ok(joined(a, |v| quote::quote(&strval(v)).into_bytes()))),
        ("squote", &[], Some(Ty::Any), |a| {
            Ok(joined(a, |v| [b"'", &crate::fmt::to_bytes(v)[..], b"'"].concat()))
        }),
        ("cat", &[], Some(Ty::Any), |a| Ok(joined(a, crate::fmt::to_bytes))),
        ("indent", &[Ty::Int, Ty::Str], None, |a| indent(text(a, 1), int(a, 0), b"")),
        ("nindent", &[Ty::Int, Ty::Str], None, |a| indent(text(a, 1), int(a, 0), b"\n")),
        ("replace", &[Ty::Str, Ty::Str, Ty::Str], None, |a| replace(text(a, 2), text(a, 0), text(a, 1))),
        ("plural", &[Ty::Str, Ty::Str, Ty::Int], None, |a| Ok(a[usize::from(int(a, 2) != 1)].clone())),
        ("toString", &[Ty::Any], None, |a| Ok(Value::Str(strval(&a[0])))),
        ("toStrings", &[Ty::Any], None, |a| Ok(Value::strings(strslice(&a[0])))),
        ("join", &[Ty::Str, Ty::Any], None, |a| join(text(a, 0), &a[1])),
        ("split", &[Ty::Str, Ty::Str], None, |a| Ok(numbered(split_n(text(a, 1), text(a, 0), -1)))),
        ("splitn", &[Ty::Str, Ty::Int, Ty::Str], None, |a| {
            Ok(numbered(split_n(text(a, 2), text(a, 0), int(a, 1))))
        }),
        ("splitList", &[Ty::Str, Ty::Str], None, |a| Ok(Value::strings(split_n(text(a, 1), text(a, 0), -1)))),
    ]);
}

fn cutting(functions: &mut Functions) {
    functions.add(&[
        ("trunc", &[Ty::Int, Ty::Str], None, |a| Ok(trunc(text(a, 1), int(a, 0)))),
        ("substr", &[Ty::Int, Ty::Int, Ty::Str], None, |a| substr(text(a, 2), int(a, 0), int(a, 1))),
        ("abbrev", &[Ty::Int, Ty::Str], None, |a| {
            let (width, text) = (int(a, 0), text(a, 1));
            Ok(if width < 4 { Value::str(text) } else { Value::str(abbreviate(text, 0, width)) })
        }),
        ("abbrevboth", &[Ty::Int, Ty::Int, Ty::Str], None, |a| {
            let (left, right, text) = (int(a, 0), int(a, 1), text(a, 2));
            let too_short = right < 4 || left > 0 && right < 7;
            Ok(if too_short { Value::str(text) } else { Value::str(abbreviate(text, left, right)) })
        }),
        ("trim", &[Ty::Str], None, |a| Ok(Value::str(trim_space(text(a, 0))))),
        ("trimAll", &[Ty::Str, Ty::Str], None, |a| Ok(trim_set(&utf8(a, 1), &utf8(a, 0)))),
        ("trimall", &[Ty::Str, Ty::Str], None, |a| Ok(trim_set(&utf8(a, 1), &utf8(a, 0)))),
        ("trimSuffix", &[Ty::Str, Ty::Str], None, |a| {
            let (suffix, text) = (text(a, 0), text(a, 1));
            Ok(Value::str(text.strip_suffix(suffix).unwrap_or(text)))
        }),
        ("trimPrefix", &[Ty::Str, Ty::Str], None, |a| {
            let (prefix, text) = (text(a, 0), text(a, 1));
            Ok(Value::str(text.strip_prefix(prefix).unwrap_or(text)))
        }),
        ("nospace", &[Ty::Str], None, |a| Ok(nospace(text(a, 0)))),
        ("wrap", &[Ty::Int, Ty::Str], None, |a| wrap(text(a, 1), int(a, 0), b"\n", false)),
        ("wrapWith", &[Ty::Int, Ty::Str, Ty::Str], None, |a| wrap(text(a, 2), int(a, 0), text(a, 1), true)),
    ]);
}

/// The non-nil operands, each written by `write`, with spaces between.
fn joined(args: &[Value], write: impl Fn(&Value) -> Vec<u8>) -> Value {
    let parts: Vec<Vec<u8>> = args.iter().filter(|v| !matches!(v, Value::Nil)).map(write).collect();
    Value::str(parts.join(&b' '))
}

fn repeat(text: &[u8], count: i64) -> Answer {
    let count = usize::try_from(count).map_err(|_| panic_text("strings: negative Repeat count"))?;
    bounded(text.len().checked_mul(count))?;
    Ok(Value::str(text.repeat(count)))
}

fn indent(text: &[u8], spaces: i64, lead: &[u8]) -> Answer {
    let spaces = usize::try_from(spaces).map_err(|_| panic_text("strings: negative Repeat count"))?;
    let lines = 1 + text.iter().filter(|b| **b == b'\n').count();
    bounded(spaces.checked_mul(lines).and_then(|n| n.checked_add(text.len())))?;
    let pad = vec![b' '; spaces];
    let mut out = Vec::with_capacity(lead.len() + text.len() + spaces * lines);
    out.extend_from_slice(lead);
    out.extend_from_slice(&pad);
    for line in text.split_inclusive(|b| *b == b'\n') {
        out.extend_from_slice(line);
        if line.ends_with(b"\n") {
            out.extend_from_slice(&pad);
        }
    }
    Ok(Value::str(out))
}

/// `strings.ReplaceAll`: an empty `old` matches before every character and at the end.
pub(super) fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Answer {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    if old.is_empty() {
        bounded(text.len().checked_add(1).and_then(|n| n.checked_mul(new.len() + 1)))?;
        out.extend_from_slice(new);
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(quote::decode_rune(rest).1);
            out.extend_from_slice(head);
            out.extend_from_slice(new);
            rest = tail;
        }
        return Ok(Value::str(out));
    }
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        bounded(Some(out.len()))?;
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(Value::str(out))
}

fn join(separator: &[u8], value: &Value) -> Answer {
    let parts = strslice(value);
    bounded(parts.iter().map(|p| p.len() + separator.len()).sum::<usize>().into())?;
    let mut out = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(part);
    }
    Ok(Value::str(out))
}

fn numbered(parts: Vec<Vec<u8>>) -> Value {
    let entries = parts
        .into_iter()
        .enumerate()
        .map(|(i, part)| (Str::from(format!("_{i}")), Value::str(part)))
        .collect();
    Value::Map(Map::with(MapKind::Strings, entries))
}

fn trunc(text: &[u8], count: i64) -> Value {
    let length = text.len() as i64;
    let cut = if count < 0 && length + count > 0 {
        text.get((length + count) as usize..)
    } else if count >= 0 && length > count {
        text.get(..count as usize)
    } else {
        None
    };
    Value::str(cut.unwrap_or(text))
}

fn substr(text: &[u8], start: i64, end: i64) -> Answer {
    let length = text.len() as i64;
    let bad = |what: String| Err(panic_text(&format!("runtime error: slice bounds out of range {what}")));
    let (from, to) = if start < 0 {
        (0, end)
    } else if end < 0 || end > length {
        if start > length {
            return bad(format!("[{start}:{length}]"));
        }
        (start, length)
    } else {
        (start, end)
    };
    if to < 0 {
        return bad(format!("[:{to}]"));
    }
    if to > length {
        return bad(format!("[:{to}] with length {length}"));
    }
    if from > to {
        return bad(format!("[{from}:{to}]"));
    }
    Ok(Value::str(&text[from as usize..to as usize]))
}

/// `goutils.AbbreviateFull`; what it refuses is empty.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = text.len() as i64;
    if length <= width {
        return text.to_vec();
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let part = |from: i64, to: i64| text.get(from.max(0) as usize..to.max(0) as usize).unwrap_or_default();
    if offset <= 4 {
        return [part(0, width - 3), b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        let rest = part(offset, length);
        let inner = if width - 3 < 4 { Vec::new() } else { abbreviate(rest, 0, width - 3) };
        return [b"...", &inner[..]].concat();
    }
    [b"...", part(length - (width - 3), length)].concat()
}

/// The library looks at bytes, and writes each as a character once it has found a space.
fn nospace(text: &[u8]) -> Value {
    let space = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r' | 0x85 | 0xa0);
    if !text.iter().any(space) {
        return Value::str(text);
    }
    text.iter().filter(|b| !space(b)).map(|b| char::from(*b)).collect::<String>().into()
}

fn trim_space(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

fn trim_set(text: &str, set: &str) -> Value {
    text.trim_matches(|c| set.contains(c)).into()
}

/// `goutils.WrapCustom`.
fn wrap(text: &[u8], width: i64, newline: &[u8], long_words: bool) -> Result<Value, Error> {
    let newline = if newline.is_empty() { b"\n" } else { newline };
    let width = usize::try_from(width).unwrap_or(1).max(1);
    bounded((text.len() / width + 1).checked_mul(newline.len()))?;
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while text.len() - at > width {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        if let Some(space) = text[at..at + width + 1].iter().rposition(|b| *b == b' ') {
            out.extend_from_slice(&text[at..at + space]);
            out.extend_from_slice(newline);
            at += space + 1;
        } else if long_words {
            out.extend_from_slice(&text[at..at + width]);
            out.extend_from_slice(newline);
            at += width;
        } else if let Some(space) = text[at + width..].iter().position(|b| *b == b' ') {
            out.extend_from_slice(&text[at..at + width + space]);
            out.extend_from_slice(newline);
            at += width + space + 1;
        } else {
            out.extend_from_slice(&text[at..]);
            at = text.len();
        }
    }
    out.extend_from_slice(&text[at..]);
    Ok(Value::str(out))
}
