//! Nodes to text with their own styles and order, as kyaml (go-yaml v3, indent 2, compact lists) writes them.

use crate::comments::{Comments, Own};
use crate::emitter::Emitter;
use crate::node::{Data, Key, Node, Style, Tag};
use crate::scalar::analyze;
use crate::{Dialect, Position, Resolved, resolve};

/// Writes `node` as one document, keeping key order, quotes and flow collections.
#[must_use]
pub fn write_styled(node: &Node) -> String {
    write_with(node, Comments::default())
}

/// The same with the comments of `source`, the text that `node` was read from.
#[must_use]
pub fn write_commented(node: &Node, source: &str) -> String {
    write_with(node, Comments::read(source))
}

fn write_with(node: &Node, comments: Comments) -> String {
    let mut writer = Writer { emitter: Emitter::new(String::new(), usize::MAX), comments };
    writer.node(node, None, false);
    let left = writer.comments.rest();
    writer.own_lines(left, 0, None);
    writer.emitter.finish_line();
    writer.emitter.out
}

struct Writer {
    emitter: Emitter,
    comments: Comments,
}

impl Writer {
    /// Writes comments, each on a line of its own. One that is indented more than what follows belongs to what was
    /// before, and is set apart by an empty line, as is one that was followed by an empty line.
    fn own_lines(&mut self, comments: Vec<Own>, indent: usize, follows: Option<usize>) {
        for comment in comments {
            self.emitter.indent(indent);
            self.emitter.plain(&comment.text, indent, false);
            if follows.is_some_and(|follows| comment.detached || comment.indent > follows) {
                self.emitter.empty_line();
            }
        }
    }

    /// `back`: how far left of the position the line's first mark stands in the source.
    fn heads(&mut self, position: Position, back: u32, indent: usize) {
        let before = self.comments.before(position.line);
        let column = position.column.saturating_sub(1 + back) as usize;
        self.own_lines(before, indent, Some(column));
    }

    fn line_comment(&mut self, line: u32) {
        if let Some(comment) = self.comments.at_end_of(line) {
            self.emitter.plain(&comment, 0, false);
        }
    }

    fn node(&mut self, node: &Node, indent: Option<usize>, in_map: bool) {
        let deeper = indent.map_or(0, |indent| indent + 2);
        match &node.data {
            Data::Scalar(text) => {
                self.scalar(text, node.style, node.tag, deeper, false);
                if !matches!(node.style, Style::Literal | Style::Folded) {
                    self.line_comment(node.position.line);
                }
            }
            Data::Seq(items) if items.is_empty() || node.style == Style::Flow => {
                self.flow(node);
                self.line_comment(node.position.line);
            }
            Data::Seq(items) => {
                let indentless = in_map && !self.emitter.at_indention();
                let own = if indentless { indent.unwrap_or(0) } else { deeper };
                for item in items {
                    self.heads(item.position, 2, own);
                    self.emitter.indent(own);
                    self.emitter.indicator("-", true, false, true);
                    self.node(item, Some(own), false);
                }
            }
            Data::Map(map) if map.entries.is_empty() || node.style == Style::Flow => {
                self.flow(node);
                self.line_comment(node.position.line);
            }
            Data::Map(map) => {
                for (key, value) in &map.entries {
                    self.heads(key.position, 0, deeper);
                    self.emitter.indent(deeper);
                    self.key(key, deeper);
                    self.emitter.indicator(":", false, false, false);
                    if value.position.line > key.position.line {
                        self.line_comment(key.position.line);
                    }
                    self.node(value, Some(deeper), true);
                }
            }
        }
    }

    fn key(&mut self, key: &Key, indent: usize) {
        self.scalar(&key.text, key.style, key.tag, indent + 2, true);
    }

    fn flow(&mut self, node: &Node) {
        match &node.data {
            Data::Scalar(text) => self.scalar(text, node.style, node.tag, 0, true),
            Data::Seq(items) => {
                self.emitter.indicator("[", true, true, false);
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.emitter.indicator(",", false, false, false);
                    }
                    self.flow(item);
                }
                self.emitter.indicator("]", false, false, false);
            }
            Data::Map(map) => {
                self.emitter.indicator("{", true, true, false);
                for (index, (key, value)) in map.entries.iter().enumerate() {
                    if index > 0 {
                        self.emitter.indicator(",", false, false, false);
                    }
                    self.key(key, 0);
                    self.emitter.indicator(":", false, false, false);
                    self.flow(value);
                }
                self.emitter.indicator("}", false, false, false);
            }
        }
    }

    fn scalar(&mut self, text: &str, style: Style, tag: Tag, indent: usize, inline: bool) {
        if let Some(tag) = needed_tag(text, style, tag) {
            self.emitter.indicator(tag, true, false, false);
        }
        let analysis = analyze(text, true);
        let string = style != Style::Plain || matches!(tag, Tag::Str | Tag::Other);
        let forced = style == Style::Plain
            && string
            && (!matches!(resolve(text, Dialect::Yaml12), Resolved::Str)
                || !matches!(resolve(text, Dialect::Yaml11), Resolved::Str));
        let style = match style {
            Style::Plain if string && text.contains('\n') && !inline => Style::Literal,
            Style::Plain if forced => Style::Double,
            Style::Plain | Style::Flow
                if !(if inline {
                    analysis.flow_plain || analysis.plain && !text.contains([',', '[', ']', '{', '}'])
                } else {
                    analysis.plain
                }) =>
            {
                Style::Single
            }
            other => other,
        };
        let style = match style {
            Style::Single if !analysis.single => Style::Double,
            Style::Literal | Style::Folded if !analysis.block || inline => Style::Double,
            other => other,
        };
        match style {
            Style::Plain | Style::Flow => self.emitter.plain(text, indent, false),
            Style::Single => self.emitter.single_quoted(text, indent, false),
            Style::Double => self.emitter.double_quoted(text, indent, false),
            Style::Literal => self.emitter.literal(text, indent),
            Style::Folded => self.emitter.folded(text, indent),
        }
    }
}

/// The tag that must be written because the text alone would be read as something else.
fn needed_tag(text: &str, style: Style, tag: Tag) -> Option<&'static str> {
    let resolved = resolve(text, Dialect::Yaml12);
    let (name, fits) = match tag {
        Tag::Int => ("!!int", matches!(resolved, Resolved::Int(_) | Resolved::Uint(_))),
        Tag::Float => ("!!float", matches!(resolved, Resolved::Float(_))),
        Tag::Bool => ("!!bool", matches!(resolved, Resolved::Bool(_))),
        Tag::Null => ("!!null", matches!(resolved, Resolved::Null)),
        Tag::Timestamp => ("!!timestamp", matches!(resolved, Resolved::Timestamp(_))),
        Tag::None | Tag::Str | Tag::Binary | Tag::Other => return None,
    };
    (style == Style::Plain && !fits).then_some(name)
}
