//! Text to [`Node`], within a budget.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use crate::node::{Data, Key, Map, Node, Style, Tag};
use crate::{Error, Position};

/// What one document may cost. Nesting is bounded to 255 levels by the event parser.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Nodes of the document, aliases counted as often as they are used.
    pub nodes: usize,
    /// Bytes of scalars, counted likewise.
    pub bytes: usize,
    /// Bytes of one scalar.
    pub scalar_bytes: usize,
    /// Leave `<<` keys as they stand.
    pub keep_merge_keys: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 1_000_000, bytes: 64 << 20, scalar_bytes: 8 << 20, keep_merge_keys: false }
    }
}

/// Reads the bytes of a file as text: UTF-8 with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// When the bytes are no valid text; the position is that of the first bad byte.
pub fn decode_text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let utf16 = |big: bool| {
        let units = bytes.get(2..).unwrap_or_default().chunks_exact(2).map(|pair| match (pair, big) {
            ([a, b], true) => u16::from_be_bytes([*a, *b]),
            ([a, b], false) => u16::from_le_bytes([*a, *b]),
            _ => 0,
        });
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map(Cow::Owned)
            .map_err(|_| Error::new(Position::default(), "invalid UTF-16"))
    };
    match bytes {
        [0xFE, 0xFF, ..] => return utf16(true),
        [0xFF, 0xFE, ..] => return utf16(false),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        Error::new(place(line, column), "invalid UTF-8")
    })
}

fn place(line: usize, column: usize) -> Position {
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

/// Parses the first document of `text`; `None` when there is none, or only comments.
///
/// Aliases are expanded and merge keys applied, within `limits`.
///
/// # Errors
/// When the text is no YAML or exceeds a limit; the position says where.
pub fn parse(text: &str, limits: &Limits) -> Result<Option<Node>, Error> {
    let mut options = granit_parser::options! { block_scalar_eof_without_line_feed: true };
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(text, options);
    let mut loader =
        Loader { text, events, anchors: HashMap::new(), limits, nodes: 0, bytes: 0, stored: (0, 0) };
    loop {
        let (event, position) = match loader.next() {
            Ok(next) => next,
            Err(Failure::End) => return Ok(None),
            Err(Failure::Bad(error)) => return Err(error),
        };
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(None),
            first => {
                let node = loader.node(first, position)?;
                let nothing = node.is_empty_null() && node.tag == Tag::None;
                return Ok((!nothing).then_some(node));
            }
        }
    }
}

fn scan_error(error: &granit_parser::ScanError) -> Error {
    let at = error.marker();
    Error::new(place(at.line(), at.col() + 1), error.info())
}

struct Loader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    /// Expanded nodes by anchor, with what they cost.
    anchors: HashMap<usize, (Node, usize, usize)>,
    limits: &'a Limits,
    nodes: usize,
    bytes: usize,
    /// Nodes and bytes held in `anchors`.
    stored: (usize, usize),
}

enum Failure {
    End,
    Bad(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::End => Self::new(Position::default(), "unexpected end of the text"),
            Failure::Bad(error) => error,
        }
    }
}

impl<'a> Loader<'a> {
    fn spend(&mut self, nodes: usize, bytes: usize, position: Position) -> Result<(), Error> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > self.limits.nodes || self.bytes > self.limits.bytes {
            let message = format!(
                "the document grows beyond {} nodes or {} bytes once its aliases are expanded",
                self.limits.nodes, self.limits.bytes
            );
            return Err(Error::new(position, message));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(Event<'a>, Position), Failure> {
        loop {
            let (mut event, span) = match self.events.next_event() {
                None => return Err(Failure::End),
                Some(next) => next.map_err(|error| Failure::Bad(scan_error(&error)))?,
            };
            // The parser says "~" for a value that is not there; what was written decides.
            if let Event::Scalar(text, ScalarStyle::Plain, ..) = &mut event
                && text == "~"
                && !self.has_tilde(span.start.byte_offset())
            {
                *text = Cow::Borrowed("");
            }
            if !matches!(event, Event::Comment(..)) {
                return Ok((event, place(span.start.line(), span.start.col() + 1)));
            }
        }
    }

    fn has_tilde(&self, offset: Option<usize>) -> bool {
        let rest = offset.and_then(|offset| self.text.get(offset..)).unwrap_or_default();
        // The span may begin at an anchor or a tag.
        rest.trim_start_matches(|c: char| !matches!(c, '~' | ':' | ',' | '#' | '\n' | ']' | '}'))
            .starts_with('~')
    }

    fn node(&mut self, event: Event<'a>, position: Position) -> Result<Node, Error> {
        let before = (self.nodes, self.bytes);
        let (anchor, node) = match event {
            Event::Alias(id) => {
                let Some((node, nodes, bytes)) = self.anchors.get(&id) else {
                    return Err(Error::new(position, "an alias cannot refer to the node that contains it"));
                };
                let (nodes, bytes) = (*nodes, *bytes);
                let copy = node.clone();
                self.spend(nodes, bytes, position)?;
                return Ok(copy);
            }
            Event::Scalar(text, style, anchor, tag) => {
                if text.len() > self.limits.scalar_bytes {
                    let message = format!(
                        "a scalar of {} bytes, more than the limit of {}",
                        text.len(),
                        self.limits.scalar_bytes
                    );
                    return Err(Error::new(position, message));
                }
                self.spend(1, text.len(), position)?;
                let tag = tag.map_or(Tag::None, |tag| tag_of(&tag));
                (
                    anchor,
                    Node { data: Data::Scalar(text.into_owned()), tag, style: style_of(style), position },
                )
            }
            Event::SequenceStart(style, anchor, _) => {
                self.spend(1, 0, position)?;
                let items = self.sequence()?;
                (anchor, Node { data: Data::Seq(items), tag: Tag::None, style: flow_of(style), position })
            }
            Event::MappingStart(style, anchor, _) => {
                self.spend(1, 0, position)?;
                let map = self.mapping(position)?;
                (anchor, Node { data: Data::Map(map), tag: Tag::None, style: flow_of(style), position })
            }
            _ => return Err(Error::new(position, "unexpected structure")),
        };
        if anchor != 0 {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            self.stored = (self.stored.0 + nodes, self.stored.1 + bytes);
            if self.stored.0 > self.limits.nodes || self.stored.1 > self.limits.bytes {
                return Err(Error::new(position, "the document's anchors hold too much"));
            }
            self.anchors.insert(anchor, (node.clone(), nodes, bytes));
        }
        Ok(node)
    }

    fn sequence(&mut self) -> Result<Vec<Node>, Error> {
        let mut items = Vec::new();
        loop {
            let (event, position) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(items),
                event => items.push(self.node(event, position)?),
            }
        }
    }

    fn mapping(&mut self, start: Position) -> Result<Map, Error> {
        let mut map = Map::default();
        let mut merges: Vec<Node> = Vec::new();
        let mut merged = false;
        loop {
            let (event, position) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, position)?;
            let Data::Scalar(text) = key.data else {
                return Err(Error::new(position, "a mapping key must be a scalar"));
            };
            let key = Key { text, style: key.style, tag: key.tag, position };
            let (event, position) = self.next()?;
            let value = self.node(event, position)?;
            if key.text != "<<" || self.limits.keep_merge_keys {
                map.entries.push((key, value));
            } else if key.style == Style::Plain && key.tag == Tag::None {
                if std::mem::replace(&mut merged, true) {
                    return Err(Error::new(position, "a mapping may hold only one merge key '<<'"));
                }
                merges = merge_sources(value)?;
            }
            // A quoted "<<" is dropped, as kustomize does.
        }
        for source in merges {
            let Data::Map(source) = source.data else {
                return Err(Error::new(
                    source.position,
                    "a merge key '<<' needs a mapping or a list of mappings",
                ));
            };
            if source.entries.len().saturating_mul(map.entries.len()) > 50_000_000 {
                return Err(Error::new(start, "a merge key '<<' joins mappings that are too large"));
            }
            for (key, value) in source.entries {
                if map.get(&key.text).is_none() {
                    map.entries.push((key, value));
                }
            }
        }
        Ok(map)
    }
}

fn merge_sources(value: Node) -> Result<Vec<Node>, Error> {
    match value.data {
        Data::Map(_) => Ok(vec![value]),
        Data::Seq(items) => Ok(items),
        Data::Scalar(_) => {
            Err(Error::new(value.position, "a merge key '<<' needs a mapping or a list of mappings"))
        }
    }
}

fn tag_of(tag: &granit_parser::Tag) -> Tag {
    match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
        Some("str") => Tag::Str,
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("bool") => Tag::Bool,
        Some("null") => Tag::Null,
        Some("timestamp") => Tag::Timestamp,
        Some("binary") => Tag::Binary,
        // A lone `!` says nothing to go-yaml.
        _ if tag.suffix_in_namespace("!").as_deref() == Some("") => Tag::None,
        _ => Tag::Other,
    }
}

const fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

const fn flow_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Flow => Style::Flow,
        StructureStyle::Block => Style::Plain,
    }
}
