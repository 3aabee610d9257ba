//! Between [`Node`] and `serde_json::Value`, and Go's JSON text.

use std::borrow::Cow;

use base64::Engine;
use serde_json::{Map, Number, Value};

use crate::node::{Data, Node, Style, Tag};
use crate::write::go_float;
use crate::{Dialect, Error, Resolved};

impl Node {
    /// The document as a JSON value.
    ///
    /// With [`Dialect::Yaml12`] the rules are those of a Kubernetes object on its way through kustomize: duplicate
    /// and non-string keys, infinities and characters that YAML cannot carry are errors. With
    /// [`Dialect::Yaml11`] they are those of `sigs.k8s.io/yaml`: the last duplicate wins, keys become strings.
    ///
    /// # Errors
    /// As said; the position is that of the offending value.
    pub fn to_json(&self, dialect: Dialect) -> Result<Value, Error> {
        self.to_value(dialect, false, true)
    }

    /// `in_flow`: some enclosing collection is written with brackets or braces.
    /// `top`: this is the whole document, whose keys go-yaml reads as strings whatever they look like.
    fn to_value(&self, dialect: Dialect, in_flow: bool, top: bool) -> Result<Value, Error> {
        let within_flow = in_flow || self.style == Style::Flow;
        match &self.data {
            // go-yaml v3 writes a missing value as '' between brackets, and reads that as a string.
            Data::Scalar(text)
                if in_flow && text.is_empty() && dialect == Dialect::Yaml12 && self.is_null() =>
            {
                Ok(Value::String(String::new()))
            }
            Data::Scalar(text) => self.scalar_to_json(text, dialect),
            Data::Seq(items) => {
                let values = items.iter().map(|item| item.to_value(dialect, within_flow, false));
                values.collect::<Result<_, _>>().map(Value::Array)
            }
            Data::Map(map) => {
                let mut object = Map::with_capacity(map.entries.len());
                for (key, value) in &map.entries {
                    if dialect == Dialect::Yaml12 && !key.is_string(dialect) && (!top || key.is_null()) {
                        let message = format!("the key `{}` is no string; put it in quotes", key.text);
                        return Err(Error::new(key.position, message));
                    }
                    let text = if dialect == Dialect::Yaml12 {
                        carried(&key.text, key.position)?
                    } else {
                        key_text(key)
                    };
                    if object
                        .insert(text.into_owned(), value.to_value(dialect, within_flow, false)?)
                        .is_some()
                        && dialect == Dialect::Yaml12
                    {
                        let first = map.entries.iter().find(|(other, _)| other.text == key.text);
                        let line = first.map_or(0, |(other, _)| other.position.line);
                        let message = format!("mapping key \"{}\" already defined at line {line}", key.text);
                        return Err(Error::new(key.position, message));
                    }
                }
                Ok(Value::Object(object))
            }
        }
    }

    fn scalar_to_json(&self, text: &str, dialect: Dialect) -> Result<Value, Error> {
        if self.tag == Tag::Binary {
            let compact: String = text.split_ascii_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(compact)
                .map_err(|_| Error::new(self.position, "!!binary needs base64 text"))?;
            return Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        }
        let resolved = self.resolved(dialect);
        let fits = match self.tag {
            Tag::Int => matches!(resolved, Resolved::Int(_) | Resolved::Uint(_)),
            Tag::Float => matches!(resolved, Resolved::Float(_)),
            Tag::Bool => matches!(resolved, Resolved::Bool(_)),
            Tag::Null => matches!(resolved, Resolved::Null),
            Tag::None | Tag::Str | Tag::Timestamp | Tag::Binary | Tag::Other => true,
        };
        if !fits {
            return Err(Error::new(self.position, format!("cannot read `{text}` as its tag demands")));
        }
        Ok(match resolved {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => Value::Bool(value),
            Resolved::Int(value) => Value::Number(value.into()),
            Resolved::Uint(value) => Value::Number(value.into()),
            Resolved::Float(value) => float(value, self)?,
            Resolved::Timestamp(time) if dialect == Dialect::Yaml12 => Value::String(time),
            Resolved::Timestamp(_) => Value::String(text.to_owned()),
            Resolved::Str if dialect == Dialect::Yaml12 && self.style == Style::Folded => {
                Value::String(carried(&refolded(text), self.position)?.into_owned())
            }
            Resolved::Str if dialect == Dialect::Yaml12 => {
                Value::String(carried(text, self.position)?.into_owned())
            }
            Resolved::Str => Value::String(text.to_owned()),
        })
    }
}

fn float(value: f64, node: &Node) -> Result<Value, Error> {
    if !value.is_finite() {
        let message = format!(
            "unsupported value {}: JSON has no infinities and no NaN",
            node.text().unwrap_or_default()
        );
        return Err(Error::new(node.position, message));
    }
    Ok(json_number(value).map_or(Value::Null, Value::Number))
}

/// A float as it comes back from Go's JSON: whole ones below 1e21 are written without a point, as few digits as
/// identify them and then noughts, and are integers where they fit. `None` for infinities and what is no number.
fn json_number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let digits = value.to_string();
        let whole = digits.parse::<i64>().map(Number::from);
        if let Ok(whole) = whole.or_else(|_| digits.parse::<u64>().map(Number::from)) {
            return Some(whole);
        }
    }
    Number::from_f64(value)
}

/// A folded text after it was written folded by go-yaml v3 and read again: lines that are indented more gain an
/// empty line before them.
fn refolded(text: &str) -> Cow<'_, str> {
    let inner = text.trim_end_matches('\n');
    if !inner.contains('\n') && text.len() <= inner.len() + 1 {
        return Cow::Borrowed(text);
    }
    let node = Node { style: Style::Folded, ..Node::plain(text) };
    let mut outer = Node::map();
    outer.set("a", node);
    let written = crate::write_styled(&outer);
    match crate::parse(&written, &crate::Limits::default()) {
        Ok(Some(read)) => {
            read.text_at(&["a"]).map_or(Cow::Borrowed(text), |read| Cow::Owned(read.to_owned()))
        }
        _ => Cow::Borrowed(text),
    }
}

fn key_text(key: &crate::Key) -> Cow<'_, str> {
    if key.style == crate::Style::Plain && key.tag == Tag::None {
        match crate::resolve(&key.text, Dialect::Yaml11) {
            Resolved::Bool(value) => return Cow::Owned(value.to_string()),
            Resolved::Int(value) => return Cow::Owned(value.to_string()),
            Resolved::Uint(value) => return Cow::Owned(value.to_string()),
            Resolved::Float(value) => return Cow::Owned(go_float(value, -4, 6)),
            Resolved::Null => return Cow::Borrowed("null"),
            Resolved::Timestamp(_) | Resolved::Str => {}
        }
    }
    Cow::Borrowed(&key.text)
}

/// `text` after the reference's detour through JSON read by a YAML reader: some characters cannot make the trip, and
/// a NEL is read back as a line break and folded to a space.
fn carried(text: &str, position: crate::Position) -> Result<Cow<'_, str>, Error> {
    if text.is_ascii() && !text.contains('\u{7F}') {
        return Ok(Cow::Borrowed(text));
    }
    let forbidden =
        |c: char| matches!(c, '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}');
    if let Some(bad) = text.chars().find(|c| forbidden(*c)) {
        let message = format!("control characters are not allowed: U+{:04X}", u32::from(bad));
        return Err(Error::new(position, message));
    }
    if !text.contains('\u{85}') {
        return Ok(Cow::Borrowed(text));
    }
    let mut folded = String::with_capacity(text.len());
    let mut pieces = text.split('\u{85}').enumerate().peekable();
    let mut breaks = 0usize;
    while let Some((index, piece)) = pieces.next() {
        let last = pieces.peek().is_none();
        let piece = if index > 0 { piece.trim_start_matches(' ') } else { piece };
        let piece = if last { piece } else { piece.trim_end_matches(' ') };
        if index > 0 {
            breaks += 1;
        }
        if piece.is_empty() && !last {
            continue;
        }
        match breaks {
            0 => {}
            1 => folded.push(' '),
            more => folded.extend(std::iter::repeat_n('\u{85}', more - 1)),
        }
        breaks = 0;
        folded.push_str(piece);
    }
    Ok(Cow::Owned(folded))
}

/// A JSON value as nodes: strings stay strings whatever they look like, in quotes where those are needed.
#[must_use]
pub fn from_json(value: &Value) -> Node {
    match value {
        Value::Null => Node::null(),
        Value::Bool(value) => Node { tag: Tag::Bool, ..Node::plain(value.to_string()) },
        Value::Number(number) if number.is_f64() => {
            let text = crate::write::number_text(number);
            let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            Node { tag: if whole { Tag::Int } else { Tag::Float }, ..Node::plain(text) }
        }
        Value::Number(number) => Node { tag: Tag::Int, ..Node::plain(number.to_string()) },
        Value::String(text) => string(text),
        Value::Array(items) => Node::seq(items.iter().map(from_json).collect()),
        Value::Object(object) => {
            let mut map = crate::Map::default();
            for (key, value) in object {
                let key = crate::Key { tag: Tag::Str, ..crate::Key::from(key.as_str()) };
                map.entries.push((key, from_json(value)));
            }
            Data::Map(map).into()
        }
    }
}

/// A string in the style that go-yaml v3 writes it in.
fn string(text: &str) -> Node {
    let allowed = crate::scalar::analyze(text, true);
    let style = if crate::write::reads_as_other(text) {
        Style::Double
    } else if text.contains('\n') {
        if allowed.block { Style::Literal } else { Style::Double }
    } else if allowed.plain {
        return Node::string(text);
    } else if allowed.single {
        Style::Single
    } else {
        Style::Double
    };
    Node { style, ..Node::plain(text) }
}

/// JSON as Go's `encoding/json` writes it: compact, keys sorted bytewise, HTML characters escaped.
#[must_use]
pub fn go_json(value: &Value) -> String {
    let mut out = String::new();
    append(&mut out, value);
    out
}

fn append(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&json_float(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => quote(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append(out, item);
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut keys: Vec<_> = object.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (index, (key, value)) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(out, key);
                out.push(':');
                append(out, value);
            }
            out.push('}');
        }
    }
}

/// Go's JSON floats: exponent form below 1e-6 and from 1e21 on, `e-07` cleaned to `e-7`.
fn json_float(float: f64) -> String {
    let text = go_float(float, -6, 21);
    match text.split_once("e-0") {
        Some((mantissa, exponent)) => format!("{mantissa}e-{exponent}"),
        None => text,
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0C}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1F}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
