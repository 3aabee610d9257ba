//! From a YAML node to the typed fields of a kustomization file, as strictly as Go's JSON decoder.

use std::collections::BTreeMap;

use ferrite_yaml::{Data, Dialect, Error, Key, Map, Node, Position, Resolved, Style, Tag};

/// A value read from a node.
pub(crate) trait Decode: Sized {
    /// `strict`: unknown fields are errors.
    fn decode(node: &Node, strict: bool) -> Result<Self, Error>;
}

/// A string and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) at: Position,
}

/// Any value, kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Option<Node>);

fn expected(node: &Node, what: &str) -> Error {
    let found = match node.text() {
        Some(text) if !node.is_null() => {
            format!("{} `{}`", node.kind_name(), text.chars().take(60).collect::<String>())
        }
        _ => node.kind_name().to_owned(),
    };
    let hint = if what == "a string" && node.is_scalar() { "; put it in quotes" } else { "" };
    Error::new(node.position, format!("expected {what}, found {found}{hint}"))
}

impl Decode for String {
    fn decode(node: &Node, strict: bool) -> Result<Self, Error> {
        let Some(text) = node.text() else { return Err(expected(node, "a string")) };
        if node.tag == Tag::Binary {
            return match node.to_json(Dialect::Yaml11)? {
                serde_json::Value::String(text) => Ok(text),
                _ => Err(expected(node, "a string")),
            };
        }
        match node.resolved(Dialect::Yaml11) {
            Resolved::Null => Ok(Self::new()),
            Resolved::Str | Resolved::Timestamp(_) => Ok(text.to_owned()),
            // Where the reference knows the wanted type while reading YAML, it converts.
            Resolved::Bool(value) if !strict => Ok(value.to_string()),
            Resolved::Int(value) if !strict => Ok(value.to_string()),
            Resolved::Uint(value) if !strict => Ok(value.to_string()),
            Resolved::Float(value) if !strict => Ok(single_precision(value)),
            Resolved::Bool(_) | Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_) => {
                Err(expected(node, "a string"))
            }
        }
    }
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`.
fn single_precision(value: f64) -> String {
    let single = value as f32;
    let scientific = format!("{single:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => single.to_string(),
    }
}

impl Decode for Text {
    fn decode(node: &Node, strict: bool) -> Result<Self, Error> {
        Ok(Self { value: String::decode(node, strict)?, at: node.position })
    }
}

impl Decode for Raw {
    fn decode(node: &Node, _: bool) -> Result<Self, Error> {
        Ok(Self((!node.is_null()).then(|| node.clone())))
    }
}

impl Decode for bool {
    fn decode(node: &Node, _: bool) -> Result<Self, Error> {
        match (node.is_scalar(), node.resolved(Dialect::Yaml11)) {
            (true, Resolved::Null) => Ok(false),
            (true, Resolved::Bool(value)) => Ok(value),
            _ => Err(expected(node, "true or false")),
        }
    }
}

impl Decode for i64 {
    fn decode(node: &Node, _: bool) -> Result<Self, Error> {
        match (node.is_scalar(), node.resolved(Dialect::Yaml11)) {
            (true, Resolved::Null) => Ok(0),
            (true, Resolved::Int(value)) => Ok(value),
            (true, Resolved::Float(value)) if value.fract() == 0.0 && value.abs() < 9.0e15 => {
                Ok(value as Self)
            }
            _ => Err(expected(node, "an integer")),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, strict: bool) -> Result<Self, Error> {
        if node.is_null() { Ok(None) } else { T::decode(node, strict).map(Some) }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, strict: bool) -> Result<Self, Error> {
        match &node.data {
            Data::Seq(items) => items.iter().map(|item| T::decode(item, strict)).collect(),
            Data::Scalar(_) if node.is_null() => Ok(Self::new()),
            Data::Scalar(_) | Data::Map(_) => Err(expected(node, "a list")),
        }
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, strict: bool) -> Result<Self, Error> {
        let mut out = Self::new();
        for (key, value) in fields(node)? {
            let value = T::decode(value, strict).map_err(|error| within(error, &key.text))?;
            out.insert(key_text(key), value);
        }
        Ok(out)
    }
}

/// The pairs of a mapping; none for null.
pub(crate) fn fields(node: &Node) -> Result<&[(Key, Node)], Error> {
    match &node.data {
        Data::Map(Map { entries }) => Ok(entries),
        Data::Scalar(_) if node.is_null() => Ok(&[]),
        Data::Scalar(_) | Data::Seq(_) => Err(expected(node, "a mapping")),
    }
}

/// The text of a key after YAML 1.1 had its way with it: `on` becomes `true`.
pub(crate) fn key_text(key: &Key) -> String {
    if key.style == Style::Plain && key.tag == Tag::None {
        match ferrite_yaml::resolve(&key.text, Dialect::Yaml11) {
            Resolved::Bool(value) => return value.to_string(),
            Resolved::Int(value) => return value.to_string(),
            Resolved::Uint(value) => return value.to_string(),
            Resolved::Float(_) | Resolved::Null | Resolved::Timestamp(_) | Resolved::Str => {}
        }
    }
    key.text.clone()
}

/// Puts the name of a field in front of what went wrong inside it.
pub(crate) fn within(error: Error, field: &str) -> Error {
    if error.message.starts_with("unknown field") {
        return error;
    }
    let message = match error.message.strip_prefix('`') {
        Some(rest) => format!("`{field}.{rest}"),
        None => format!("`{field}`: {}", error.message),
    };
    Error::new(error.position, message)
}

/// Declares a struct whose fields are read by name, whatever the case; an unknown name is an error.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $key:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
            /// Where the mapping starts.
            pub(crate) at: ferrite_yaml::Position,
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &ferrite_yaml::Node, strict: bool) -> Result<Self, ferrite_yaml::Error> {
                let mut out = Self { at: node.position, ..Self::default() };
                for (key, value) in $crate::decode::fields(node)? {
                    let name = $crate::decode::key_text(key);
                    match name.to_ascii_lowercase() {
                        $(lower if lower == $key.to_ascii_lowercase() => {
                            out.$field = $crate::decode::Decode::decode(value, strict)
                                .map_err(|error| $crate::decode::within(error, $key))?;
                        })*
                        _ if !strict => {}
                        _ => {
                            let known = [$($key),*];
                            return Err($crate::decode::unknown(key, &name, &known));
                        }
                    }
                }
                Ok(out)
            }
        }
    };
}
pub(crate) use record;

pub(crate) fn unknown(key: &Key, name: &str, known: &[&str]) -> Error {
    let close = known.iter().filter(|other| distance(name, other) <= 2).min_by_key(|o| distance(name, o));
    let hint = close.map_or_else(String::new, |close| format!("; did you mean `{close}`?"));
    Error::new(key.position, format!("unknown field \"{name}\"{hint}"))
}

/// How many letters must change to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 || a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let cost = usize::from(!x.eq_ignore_ascii_case(&y));
            let next = (diagonal + cost).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, next);
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
