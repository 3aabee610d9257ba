//! Values to text, byte for byte as `sigs.k8s.io/yaml` (go-yaml v2) writes them.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::emitter::Emitter;
use crate::scalar::analyze;
use crate::{Dialect, Resolved, resolve};

const WIDTH: usize = 80;

/// Writes `value` as one document, keys sorted as go-yaml sorts them.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    write_into(&mut out, value);
    out
}

/// Appends `value` as one document to `out`, which must be empty or end in a line break.
pub fn write_into(out: &mut String, value: &Value) {
    emit(out, value, true);
}

/// [`write`] with the keys of every mapping in the order they are in, as go-yaml writes a `MapSlice`.
#[must_use]
pub fn write_in_order(value: &Value) -> String {
    let mut out = String::new();
    emit(&mut out, value, false);
    out
}

fn emit(out: &mut String, value: &Value, sorted: bool) {
    let mut emitter = Emitter::new(std::mem::take(out), WIDTH);
    let mut writer = Writer { emitter: &mut emitter, sorted };
    writer.value(value, None, false);
    emitter.finish_line();
    *out = emitter.out;
}

struct Writer<'a> {
    emitter: &'a mut Emitter,
    /// Whether keys are sorted.
    sorted: bool,
}

impl Writer<'_> {
    /// `indent` is that of the enclosing collection; `None` at the top. `in_map`: this is a value of a mapping.
    fn value(&mut self, value: &Value, indent: Option<usize>, in_map: bool) {
        let deeper = indent.map_or(0, |indent| indent + 2);
        match value {
            Value::Null => self.emitter.plain("null", deeper, false),
            Value::Bool(true) => self.emitter.plain("true", deeper, false),
            Value::Bool(false) => self.emitter.plain("false", deeper, false),
            Value::Number(number) => self.emitter.plain(&number_text(number), deeper, false),
            Value::String(text) => self.string(text, deeper, false),
            Value::Array(items) if items.is_empty() => self.emitter.plain("[]", deeper, false),
            Value::Array(items) => {
                let indentless = in_map && !self.emitter.at_indention();
                let own = if indentless { indent.unwrap_or(0) } else { deeper };
                for item in items {
                    self.emitter.indent(own);
                    self.emitter.indicator("-", true, false, true);
                    self.value(item, Some(own), false);
                }
            }
            Value::Object(map) if map.is_empty() => self.emitter.plain("{}", deeper, false),
            Value::Object(map) => self.mapping(map, deeper),
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, indent: usize) {
        let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
        if self.sorted {
            pairs.sort_by(|a, b| compare_keys(a.0, b.0));
        }
        for (key, value) in pairs {
            self.emitter.indent(indent);
            if key.len() <= 128 && !key.contains(crate::scalar::is_break) {
                self.string(key, indent + 2, true);
                self.emitter.indicator(":", false, false, false);
                self.value(value, Some(indent), true);
            } else {
                self.emitter.indicator("?", true, false, true);
                self.string(key, indent + 2, false);
                self.emitter.indent(indent);
                self.emitter.indicator(":", true, false, true);
                self.value(value, Some(indent), true);
            }
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        let analysis = analyze(text, false);
        if text.contains('\n') {
            if analysis.block && !key {
                self.emitter.literal(text, indent);
            } else {
                self.emitter.double_quoted(text, indent, !key);
            }
        } else if reads_as_other(text) {
            self.emitter.double_quoted(text, indent, !key);
        } else if analysis.plain && !(key && analysis.multiline) {
            self.emitter.plain(text, indent, !key);
        } else if analysis.single {
            self.emitter.single_quoted(text, indent, !key);
        } else {
            self.emitter.double_quoted(text, indent, !key);
        }
    }
}

/// True when a plain `text` would be read as something else than a string, or as a base 60 number by YAML 1.1.
pub(crate) fn reads_as_other(text: &str) -> bool {
    !matches!(resolve(text, Dialect::Yaml11), Resolved::Str) || is_base60(text)
}

/// `^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`
fn is_base60(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut parts = body.split(':');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !parts.next().is_some_and(digits) {
        return false;
    }
    let mut rest: Vec<&str> = parts.collect();
    let Some(last) = rest.pop() else { return false };
    let (last, fraction) =
        last.split_once('.').map_or((last, None), |(last, fraction)| (last, Some(fraction)));
    rest.push(last);
    let sixtieth = |part: &&str| match part.as_bytes() {
        [unit] => unit.is_ascii_digit(),
        [ten, unit] => (b'0'..=b'5').contains(ten) && unit.is_ascii_digit(),
        _ => false,
    };
    rest.iter().all(sixtieth) && fraction.is_none_or(digits)
}

/// A number as Go's `%g` with the shortest digits prints it.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => go_float(float, -4, 6),
        _ => number.to_string(),
    }
}

/// Go's shortest float text: exponent form below `10^low` and from `10^high` on.
pub(crate) fn go_float(float: f64, low: i32, high: i32) -> String {
    if float == 0.0 {
        return if float.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let scientific = format!("{float:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < low || exponent >= high {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{float}")
}

/// The order of keys in go-yaml: digits by value, letters after other characters.
#[must_use]
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    // Equal beginnings decide nothing but the digits before the difference.
    let mut left = a.char_indices();
    let mut right = b.chars();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((_, x)), Some(y)) if x == y => {}
            (Some((at, x)), Some(y)) => {
                let (head, rest_a) = a.split_at(at);
                return differ(x, y, head, rest_a, b.get(at..).unwrap_or_default());
            }
        }
    }
}

fn differ(x: char, y: char, head: &str, rest_a: &str, rest_b: &str) -> Ordering {
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut start = 0i64;
    if x == '0' || y == '0' {
        let nonzero = head.chars().rev().take_while(char::is_ascii_digit).any(|c| c != '0');
        start = i64::from(nonzero);
    }
    let run = |rest: &str| {
        let mut value = start;
        let mut length = 0usize;
        for digit in rest.chars().map_while(|c| c.to_digit(10)) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            length += 1;
        }
        (value, length)
    };
    run(rest_a).cmp(&run(rest_b)).then(x.cmp(&y))
}
