//! YAML by libyaml's own rules, with go-yaml's messages and line numbers.

use std::collections::{HashMap, HashSet};

use ferrite_yaml::{Data, Key, Map, Node, Position, Style, Tag};
use libyaml_safer::{EventData, Parser, ScalarStyle};

/// Nesting of one document.
const MAX_DEPTH: usize = 255;

/// Nodes of one document, aliases counted as often as they are used.
const MAX_NODES: usize = 1_000_000;

struct Loader<'p, 'b> {
    parser: Parser<&'p mut &'b [u8]>,
    text: &'b str,
    anchors: HashMap<String, (Node, usize)>,
    nodes: usize,
    depth: usize,
}

/// Reads the first document; `None` when there is none.
pub(super) fn load(text: &str) -> Result<Option<Node>, String> {
    // go-yaml looks at the version before anything else of the document.
    let first =
        text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    if first.strip_prefix("%YAML ").is_some_and(|version| version.trim() != "1.1") {
        return Err("yaml: found incompatible YAML document".into());
    }
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut loader = Loader { parser, text, anchors: HashMap::new(), nodes: 0, depth: 0 };
    loop {
        match loader.next()? {
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
            EventData::StreamEnd | EventData::DocumentEnd { .. } => return Ok(None),
            event => return loader.node(event).map(Some),
        }
    }
}

impl Loader<'_, '_> {
    fn next(&mut self) -> Result<EventData, String> {
        self.parser.parse().map(|event| event.data).map_err(|error| {
            ferrite_yaml::go_syntax_error(self.text).unwrap_or_else(|| format!("yaml: {}", error.problem()))
        })
    }

    fn node(&mut self, event: EventData) -> Result<Node, String> {
        self.depth += 1;
        self.nodes += 1;
        if self.depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err("yaml: document contains excessive aliasing or nesting".into());
        }
        let before = self.nodes;
        let (anchor, data, tag, style) = match event {
            EventData::Alias { anchor } => {
                self.depth -= 1;
                let Some((node, nodes)) = self.anchors.get(&anchor) else {
                    return Err(format!("yaml: unknown anchor '{anchor}' referenced"));
                };
                let node = node.clone();
                self.nodes += nodes;
                return Ok(node);
            }
            EventData::Scalar { anchor, tag, value, style, .. } => {
                (anchor, Data::Scalar(value), tag_of(tag.as_deref()), style_of(style))
            }
            EventData::SequenceStart { anchor, .. } => {
                (anchor, Data::Seq(self.sequence()?), Tag::None, Style::Plain)
            }
            EventData::MappingStart { anchor, .. } => {
                (anchor, Data::Map(self.mapping()?), Tag::None, Style::Plain)
            }
            _ => return Err("yaml: unexpected structure".into()),
        };
        self.depth -= 1;
        let node = Node { data, tag, style, position: Position::default() };
        if let Some(anchor) = anchor {
            let cost = self.nodes - before + 1;
            self.nodes += cost;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        Ok(node)
    }

    fn sequence(&mut self) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                EventData::SequenceEnd => return Ok(items),
                event => items.push(self.node(event)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Map, String> {
        let mut map = Map::default();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let event = match self.next()? {
                EventData::MappingEnd => break,
                event => event,
            };
            let key = self.node(event)?;
            let event = self.next()?;
            let value = self.node(event)?;
            let Data::Scalar(text) = &key.data else {
                let json = super::to_json(&key, true).unwrap_or_default();
                let shown = ferrite_gotemplate::sprintf(b"%#v", &[crate::values::to_template(&json)]);
                return Err(format!("yaml: invalid map key: {}", String::from_utf8_lossy(&shown)));
            };
            if text == "<<" && key.style == Style::Plain && key.tag == Tag::None {
                match value.data {
                    Data::Seq(items) => merged.extend(items),
                    _ => merged.push(value),
                }
            } else {
                let key =
                    Key { text: text.clone(), style: key.style, tag: key.tag, position: Position::default() };
                map.entries.push((key, value));
            }
        }
        let mut known: HashSet<String> = HashSet::new();
        if !merged.is_empty() {
            known.extend(map.entries.iter().map(|(key, _)| key.text.clone()));
        }
        for source in merged {
            let Data::Map(source) = source.data else {
                return Err("yaml: map merge requires map or sequence of maps as the value".into());
            };
            for (key, value) in source.entries {
                if known.insert(key.text.clone()) {
                    map.entries.push((key, value));
                }
            }
        }
        Ok(map)
    }
}

fn tag_of(tag: Option<&str>) -> Tag {
    match tag {
        None | Some("!") => Tag::None,
        Some(tag) => match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => Tag::Str,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("bool") => Tag::Bool,
            Some("null") => Tag::Null,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => Tag::Binary,
            _ => Tag::Other,
        },
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
        _ => Style::Plain,
    }
}
