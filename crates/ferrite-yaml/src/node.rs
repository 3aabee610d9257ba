//! The document tree.

use crate::{Dialect, Position, Resolved, resolve};

/// How a scalar was written, or shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Without quotes; the text decides the type.
    #[default]
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
    /// `{…}` or `[…]`, for collections.
    Flow,
}

/// An explicit type. Plain scalars without one get their type from their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tag {
    /// Not given.
    #[default]
    None,
    /// `!!str`
    Str,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!bool`
    Bool,
    /// `!!null`
    Null,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// Any other tag: the scalar is a string.
    Other,
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// Its explicit type.
    pub tag: Tag,
    /// Where it stands.
    pub position: Position,
}

impl Key {
    /// True when the key is a string, as every key of a Kubernetes object must be.
    #[must_use]
    pub fn is_string(&self, dialect: Dialect) -> bool {
        self.style != Style::Plain
            || matches!(self.tag, Tag::Str | Tag::Other)
            || matches!(resolve(&self.text, dialect), Resolved::Str)
    }
}

impl Key {
    /// True for a key that means null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.tag == Tag::Null
            || self.tag == Tag::None
                && self.style == Style::Plain
                && resolve(&self.text, Dialect::Yaml12) == Resolved::Null
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// A mapping in source order. Duplicate keys are kept; lookups see the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    /// The pairs.
    pub entries: Vec<(Key, Node)>,
}

impl Map {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// Replaces the value of `key`, or appends the pair.
    pub fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.entries.push((Key::from(key), value)),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(name, _)| name.text == key)?;
        Some(self.entries.remove(index).1)
    }
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A scalar's text, after unescaping.
    Scalar(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub data: Data,
    /// Explicit type, for scalars.
    pub tag: Tag,
    /// How it is written.
    pub style: Style,
    /// Where it stands in its source; zero for made-up nodes.
    pub position: Position,
}

impl From<Data> for Node {
    fn from(data: Data) -> Self {
        Self { data, tag: Tag::None, style: Style::Plain, position: Position::default() }
    }
}

impl Node {
    /// A plain scalar whose text decides its type.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Data::Scalar(text.into()).into()
    }

    /// A string, whatever it looks like.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Self { tag: Tag::Str, ..Self::plain(text) }
    }

    /// The null value, spelled out.
    #[must_use]
    pub fn null() -> Self {
        Self { tag: Tag::Null, ..Self::plain("null") }
    }

    /// An empty mapping.
    #[must_use]
    pub fn map() -> Self {
        Data::Map(Map::default()).into()
    }

    /// A sequence.
    #[must_use]
    pub fn seq(items: Vec<Self>) -> Self {
        Data::Seq(items).into()
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text) => Some(text),
            Data::Seq(_) | Data::Map(_) => None,
        }
    }

    /// The items of a sequence.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match &self.data {
            Data::Seq(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    }

    /// The items of a sequence, to change.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.data {
            Data::Seq(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    }

    /// The mapping.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            Data::Scalar(_) | Data::Seq(_) => None,
        }
    }

    /// The mapping, to change.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.data {
            Data::Map(map) => Some(map),
            Data::Scalar(_) | Data::Seq(_) => None,
        }
    }

    /// The value of `key`, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_map_mut()?.get_mut(key)
    }

    /// Sets `key`; does nothing when this is no mapping.
    pub fn set(&mut self, key: &str, value: Self) {
        if let Some(map) = self.as_map_mut() {
            map.set(key, value);
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        self.as_map_mut()?.remove(key)
    }

    /// The text at a path of keys.
    #[must_use]
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(self, |node, key| node.get(key))?.text()
    }

    /// True for a scalar.
    #[must_use]
    pub const fn is_scalar(&self) -> bool {
        matches!(self.data, Data::Scalar(_))
    }

    /// True for a null, whether spelled, empty or tagged.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match (&self.data, self.tag, self.style) {
            (Data::Scalar(_), Tag::Null, _) => true,
            (Data::Scalar(text), Tag::None, Style::Plain) => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// True for a null written as nothing.
    #[must_use]
    pub fn is_empty_null(&self) -> bool {
        self.is_null() && self.text() == Some("")
    }

    /// What a scalar means; `Str` for collections.
    #[must_use]
    pub fn resolved(&self, dialect: Dialect) -> Resolved {
        match (&self.data, self.tag) {
            (Data::Scalar(text), Tag::None) if self.style == Style::Plain => resolve(text, dialect),
            (Data::Scalar(text), Tag::Int | Tag::Bool | Tag::Null) => resolve(text, dialect),
            (Data::Scalar(text), Tag::Timestamp) => resolve(text, Dialect::Yaml12),
            (Data::Scalar(text), Tag::Float) => match resolve(text, dialect) {
                Resolved::Int(int) => Resolved::Float(int as f64),
                Resolved::Uint(int) => Resolved::Float(int as f64),
                other => other,
            },
            _ => Resolved::Str,
        }
    }

    /// One word for what this is, for messages.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.data {
            Data::Map(_) => "a mapping",
            Data::Seq(_) => "a list",
            Data::Scalar(_) => match self.resolved(Dialect::Yaml11) {
                Resolved::Null => "null",
                Resolved::Bool(_) => "a boolean",
                Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_) => "a number",
                Resolved::Timestamp(_) | Resolved::Str => "a string",
            },
        }
    }
}
