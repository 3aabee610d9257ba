//! YAML as go-yaml v3 writes it with an indent of two: `toYamlPretty`.

use ferrite_yaml::{Dialect, Resolved, compare_keys, resolve};
use serde_json::Value;

/// Writes a document, without the last line break.
pub(crate) fn write(document: &Value) -> String {
    let mut out = String::new();
    node(&mut out, document, 0, Place::Top);
    if out.ends_with('\n') {
        out.pop();
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// After `key:`.
    Value,
    /// After `- `.
    Item,
}

fn node(out: &mut String, document: &Value, indent: usize, place: Place) {
    match document {
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                start(out, indent, place, i == 0);
                out.push_str("- ");
                node(out, item, indent + 2, Place::Item);
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| compare_keys(a.0, b.0));
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                start(out, indent, place, i == 0);
                scalar(out, key, indent, true);
                out.push(':');
                node(out, value, indent + 2, Place::Value);
            }
        }
        other => {
            if place == Place::Value {
                out.push(' ');
            }
            plain(out, other, indent);
            out.push('\n');
        }
    }
}

/// The line break and indentation before an entry; the first one of an item stands on the item's line.
fn start(out: &mut String, indent: usize, place: Place, first: bool) {
    if first && place == Place::Item {
        return;
    }
    if first && place == Place::Value {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n(' ', indent));
}

fn plain(out: &mut String, document: &Value, indent: usize) {
    match document {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => {
                out.push_str(&ferrite_gotemplate::format_float(float, b'g', None))
            }
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => scalar(out, text, indent, false),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn scalar(out: &mut String, text: &str, indent: usize, key: bool) {
    let seen = Analysis::of(text);
    if text.contains('\n') {
        if !key && !seen.special && !seen.space_break && !text.ends_with(' ') {
            return literal(out, text, indent.max(2));
        }
        return double(out, text);
    }
    // `<<` is no merge key where it is written as a value.
    let string = matches!(resolve(text, Dialect::Yaml11), Resolved::Str) && !base60(text);
    if !string {
        double(out, text);
    } else if seen.plain && !text.is_empty() {
        out.push_str(text);
    } else if !seen.special && !seen.tab && !text.is_empty() {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        double(out, text);
    }
}

fn base60(text: &str) -> bool {
    let body = text.trim_start_matches(['-', '+']);
    let mut parts = body.split(':');
    let first =
        parts.next().is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit() || b == b'_'));
    let rest: Vec<&str> = parts.collect();
    first
        && !rest.is_empty()
        && rest.iter().all(|p| {
            let whole = p.split('.').next().unwrap_or(p);
            (1..=2).contains(&whole.len()) && whole.bytes().all(|b| b.is_ascii_digit())
        })
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// What libyaml's analysis finds in a scalar.
#[derive(Default)]
struct Analysis {
    plain: bool,
    special: bool,
    tab: bool,
    space_break: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        let mut seen =
            Self { plain: !(text.starts_with("---") || text.starts_with("...")), ..Self::default() };
        let mut before: Option<char> = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            let blank = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(c));
            let indicator = if before.is_none() {
                matches!(
                    c,
                    '#' | ','
                        | '['
                        | ']'
                        | '{'
                        | '}'
                        | '&'
                        | '*'
                        | '!'
                        | '|'
                        | '>'
                        | '\''
                        | '"'
                        | '%'
                        | '@'
                        | '`'
                ) || matches!(c, '?' | ':' | '-') && blank(next)
            } else {
                c == ':' && blank(next) || c == '#' && blank(before)
            };
            seen.plain &= !indicator && !is_break(c);
            seen.plain &= !(c == ' ' && (before.is_none() || next.is_none()));
            seen.space_break |= is_break(c) && before == Some(' ');
            if c == '\t' {
                seen.tab = true;
            } else if !is_printable(c) {
                seen.special = true;
            }
            before = Some(c);
        }
        seen.plain &= !seen.special && !seen.tab;
        seen
    }
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let trailing = text.chars().rev().take_while(|c| *c == '\n').count();
    match trailing {
        0 => out.push('-'),
        1 if text.len() > 1 => {}
        _ => out.push('+'),
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
}

fn double(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) && c != '\u{feff}' => out.push(c),
            c => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                });
            }
        }
    }
    out.push('"');
}
