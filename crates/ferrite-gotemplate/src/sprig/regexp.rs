//! Regular expressions: RE2, as in Go.

use std::{cell::RefCell, collections::HashMap};

use regex::bytes::{Captures, Match, Regex};

use super::{Answer, bounded, int, pattern, text, utf8};
use crate::{
    error::Error,
    func::{Functions, Ty},
    quote,
    value::{Elem, List, Value},
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("regexMatch", &[Ty::Str, Ty::Str], None, |a| {
            Ok(compile(&utf8(a, 0)).is_ok_and(|re| re.is_match(text(a, 1))).into())
        }),
        ("mustRegexMatch", &[Ty::Str, Ty::Str], None, |a| Ok(must(a)?.is_match(text(a, 1)).into())),
        ("regexFind", &[Ty::Str, Ty::Str], None, |a| Ok(find(&panicking(a)?, text(a, 1)))),
        ("mustRegexFind", &[Ty::Str, Ty::Str], None, |a| Ok(find(&must(a)?, text(a, 1)))),
        ("regexFindAll", &[Ty::Str, Ty::Str, Ty::Int], None, |a| {
            Ok(find_all(&panicking(a)?, text(a, 1), int(a, 2)))
        }),
        ("mustRegexFindAll", &[Ty::Str, Ty::Str, Ty::Int], None, |a| {
            Ok(find_all(&must(a)?, text(a, 1), int(a, 2)))
        }),
        ("regexReplaceAll", &[Ty::Str, Ty::Str, Ty::Str], None, |a| replace(&panicking(a)?, a, true)),
        ("mustRegexReplaceAll", &[Ty::Str, Ty::Str, Ty::Str], None, |a| replace(&must(a)?, a, true)),
        ("regexReplaceAllLiteral", &[Ty::Str, Ty::Str, Ty::Str], None, |a| replace(&panicking(a)?, a, false)),
        ("mustRegexReplaceAllLiteral", &[Ty::Str, Ty::Str, Ty::Str], None, |a| replace(&must(a)?, a, false)),
        ("regexSplit", &[Ty::Str, Ty::Str, Ty::Int], None, |a| Ok(split(&panicking(a)?, a))),
        ("mustRegexSplit", &[Ty::Str, Ty::Str, Ty::Int], None, |a| Ok(split(&must(a)?, a))),
        ("regexQuoteMeta", &[Ty::Str], None, |a| Ok(quote_meta(text(a, 0)))),
        ("mustRegexQuoteMeta", &[Ty::Str], None, |a| Ok(quote_meta(text(a, 0)))),
    ]);
}

/// Compiled patterns kept per thread.
const MAX_KEPT: usize = 256;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Result<Regex, String>>> = RefCell::default();
}

/// Compiles a pattern as Go's `regexp` does; compiled ones are kept for the thread.
///
/// # Errors
///
/// Go's message.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    COMPILED.with(|compiled| {
        if let Some(known) = compiled.borrow().get(pattern) {
            return known.clone();
        }
        let built = pattern::translate(pattern).and_then(|translated| {
            Regex::new(&translated)
                .map_err(|_| format!("error parsing regexp: expression too large: `{pattern}`"))
        });
        let mut compiled = compiled.borrow_mut();
        if compiled.len() >= MAX_KEPT {
            compiled.clear();
        }
        compiled.insert(pattern.to_owned(), built.clone());
        built
    })
}

/// The regular expression of the first argument; the `must` functions return the error as it is.
fn must(args: &[Value]) -> Result<Regex, Error> {
    compile(&utf8(args, 0)).map_err(Error::plain)
}

/// The others panic with `regexp.MustCompile`'s text.
fn panicking(args: &[Value]) -> Result<Regex, Error> {
    let pattern = utf8(args, 0);
    compile(&pattern).map_err(|error| {
        let shown = if quote::can_backquote(pattern.as_bytes()) {
            format!("`{pattern}`")
        } else {
            quote::quote(pattern.as_bytes())
        };
        Error::plain(format!("regexp: Compile({shown}): {error}"))
    })
}

fn find(re: &Regex, input: &[u8]) -> Value {
    Value::str(re.find(input).map_or(&b""[..], |found| found.as_bytes()))
}

fn limit(n: i64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The matches that Go finds: it steps by characters, so that nothing is found inside one.
fn matches<'i>(re: &Regex, input: &'i [u8]) -> impl Iterator<Item = Match<'i>> {
    re.find_iter(input).filter(|found| counts(input, found))
}

fn counts(input: &[u8], found: &Match<'_>) -> bool {
    !found.is_empty() || !inside_character(input, found.start())
}

/// Whether `at` is in the middle of a character; bytes that are no UTF-8 are characters of their own.
fn inside_character(input: &[u8], at: usize) -> bool {
    (1..4).any(|back| {
        let Some(start) = at.checked_sub(back) else { return false };
        let head = input.get(start..input.len().min(start + 4)).unwrap_or_default();
        let first = match std::str::from_utf8(head) {
            Ok(text) => text.chars().next(),
            Err(error) => head
                .get(..error.valid_up_to())
                .and_then(|valid| std::str::from_utf8(valid).ok())
                .and_then(|text| text.chars().next()),
        };
        first.is_some_and(|c| c.len_utf8() > back)
    })
}

fn find_all(re: &Regex, input: &[u8], n: i64) -> Value {
    let found: Vec<Value> = matches(re, input).take(limit(n)).map(|m| Value::str(m.as_bytes())).collect();
    Value::List(if found.is_empty() { List::nil(Elem::Str) } else { List::new(Elem::Str, found) })
}

fn replace(re: &Regex, args: &[Value], expanding: bool) -> Answer {
    let (input, template) = (text(args, 1), text(args, 2));
    let mut out = Vec::with_capacity(input.len());
    let mut end = 0;
    for captures in re.captures_iter(input) {
        let Some(whole) = captures.get(0).filter(|whole| counts(input, whole)) else { continue };
        out.extend_from_slice(&input[end..whole.start()]);
        if expanding {
            expand(&mut out, template, re, &captures);
        } else {
            out.extend_from_slice(template);
        }
        bounded(Some(out.len()))?;
        end = whole.end();
    }
    out.extend_from_slice(&input[end..]);
    Ok(Value::str(out))
}

/// Go's `Expand`: `$name` takes the longest run of letters, digits and `_`; `${name}` is exact; `$$` is a dollar.
fn expand(out: &mut Vec<u8>, template: &[u8], re: &Regex, captures: &Captures<'_>) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if rest.get(1) == Some(&b'$') {
            out.push(b'$');
            rest = &rest[2..];
            continue;
        }
        let Some((name, after)) = group_name(rest) else {
            out.push(b'$');
            rest = &rest[1..];
            continue;
        };
        let group = if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
            name.parse::<usize>().ok().and_then(|n| captures.get(n))
        } else {
            let wanted =
                if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
            re.capture_names().flatten().find(|known| *known == wanted).and_then(|known| captures.name(known))
        };
        if let Some(group) = group {
            out.extend_from_slice(group.as_bytes());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn group_name(rest: &[u8]) -> Option<(String, &[u8])> {
    let braced = rest.get(1) == Some(&b'{');
    let start = if braced { 2 } else { 1 };
    let body = String::from_utf8_lossy(rest.get(start..)?).into_owned();
    let name: String = body.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None;
    }
    let mut end = start + name.len();
    if braced {
        if rest.get(end) != Some(&b'}') {
            return None;
        }
        end += 1;
    }
    Some((name, rest.get(end..)?))
}

fn split(re: &Regex, args: &[Value]) -> Value {
    let (pattern, input, n) = (text(args, 0), text(args, 1), int(args, 2));
    if n == 0 {
        return Value::List(List::nil(Elem::Str));
    }
    if !pattern.is_empty() && input.is_empty() {
        return Value::strings([""]);
    }
    let mut parts: Vec<Value> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in matches(re, input).take(limit(n)) {
        if n > 0 && parts.len() + 1 == limit(n) {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Value::str(&input[begin..end]));
        }
        begin = found.end();
    }
    if end != input.len() {
        parts.push(Value::str(&input[begin..]));
    }
    Value::List(List::new(Elem::Str, parts))
}

fn quote_meta(input: &[u8]) -> Value {
    let mut out = Vec::with_capacity(input.len() + 8);
    for b in input {
        if br"\.+*?()|[]{}^$".contains(b) {
            out.push(b'\\');
        }
        out.push(*b);
    }
    Value::str(out)
}

#[cfg(test)]
mod tests {
    use super::inside_character;

    #[test]
    fn characters_are_told_from_bytes() {
        let text = "a☃é".as_bytes();
        let inside: Vec<bool> = (0..=text.len()).map(|at| inside_character(text, at)).collect();
        assert_eq!(inside, [false, false, true, true, false, true, false]);
        assert!((0..=4).all(|at| !inside_character(b"\xff\x80\xe2\x98", at)));
    }
}
