//! Nodes to text with their own styles and order, as kyaml (go-yaml v3, indent 2, compact lists) writes them.

use crate::emitter::Emitter;
use crate::node::{Data, Key, Node, Style, Tag};
use crate::scalar::analyze;
use crate::{Dialect, Resolved, resolve};

/// Writes `node` as one document, keeping key order, quotes and flow collections.
#[must_use]
pub fn write_styled(node: &Node) -> String {
    let mut writer = Writer { emitter: Emitter::new(String::new(), usize::MAX) };
    writer.node(node, None, false);
    writer.emitter.finish_line();
    writer.emitter.out
}

struct Writer {
    emitter: Emitter,
}

impl Writer {
    fn node(&mut self, node: &Node, indent: Option<usize>, in_map: bool) {
        let deeper = indent.map_or(0, |indent| indent + 2);
        match &node.data {
            Data::Scalar(text) => self.scalar(text, node.style, node.tag, deeper, false),
            Data::Seq(items) if items.is_empty() || node.style == Style::Flow => self.flow(node),
            Data::Seq(items) => {
                let indentless = in_map && !self.emitter.at_indention();
                let own = if indentless { indent.unwrap_or(0) } else { deeper };
                for item in items {
                    self.emitter.indent(own);
                    self.emitter.indicator("-", true, false, true);
                    self.node(item, Some(own), false);
                }
            }
            Data::Map(map) if map.entries.is_empty() || node.style == Style::Flow => self.flow(node),
            Data::Map(map) => {
                for (key, value) in &map.entries {
                    self.emitter.indent(deeper);
                    self.key(key, deeper);
                    self.emitter.indicator(":", false, false, false);
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
