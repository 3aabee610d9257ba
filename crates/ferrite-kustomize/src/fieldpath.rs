//! Dotted paths: `spec.containers.[name=web].image`, with indices, `*` and creation.

use ferrite_yaml::{Data, Error as Fault, Limits, Node, Position};

use crate::fieldspec::split;
use crate::selector::regex;

/// What a missing last segment becomes; `None` elsewhere means nothing is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    Scalar,
    Seq,
    Map,
}

/// Splits a path at dots; a bracketed part may hold dots, and loses its brackets unless it has a `=`.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let parts = if path.starts_with('.') && path.len() > 1 { split(path, '.') } else { split_plain(path) };
    let mut out = Vec::new();
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            out.push(part);
            continue;
        }
        let mut joined = part;
        for more in parts.by_ref() {
            joined.push('.');
            joined.push_str(&more);
            if more.ends_with(']') {
                break;
            }
        }
        if joined.contains('=') {
            out.push(joined);
        } else {
            out.push(joined.trim_matches(['[', ']']).to_owned());
        }
    }
    out
}

fn split_plain(path: &str) -> Vec<String> {
    if path.is_empty() { vec![String::new()] } else { split(path, '.') }
}

fn is_element(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

fn index(part: &str) -> Option<usize> {
    part.strip_prefix('+').unwrap_or(part).parse().ok()
}

fn name_and_value(part: &str) -> Result<(&str, &str), Fault> {
    let inner = part.strip_suffix(']').unwrap_or(part);
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    inner.split_once('=').ok_or_else(|| {
        fault(format!("list path element `{part}` must contain fieldName=fieldValue for element to match"))
    })
}

fn fault(message: String) -> Fault {
    Fault::new(Position::default(), message)
}

fn wrong_kind(node: &Node, wanted: &str) -> Fault {
    Fault::new(node.position, format!("wrong node kind: expected {wanted} but got {}", node.kind_name()))
}

/// The node a path leads to, for reading.
///
/// # Errors
/// When the path cannot be followed in this way: a wildcard, a negative index, a field of a list.
pub(crate) fn lookup<'a>(node: &'a Node, path: &[String]) -> Result<Option<&'a Node>, Fault> {
    let mut node = node;
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let next = if let Ok(number) = part.parse::<i64>() {
            let Ok(at) = usize::try_from(number) else {
                return Err(fault(format!("array index {number} cannot be negative")));
            };
            node.items().ok_or_else(|| wrong_kind(node, "a list"))?.get(at)
        } else if part == "-" {
            node.items().ok_or_else(|| wrong_kind(node, "a list"))?.last()
        } else if part == "*" {
            return Err(fault("a wildcard is not supported here".to_owned()));
        } else if is_element(part) {
            let (name, value) = name_and_value(part)?;
            let items = node.items().ok_or_else(|| wrong_kind(node, "a list"))?;
            items.iter().find(|item| {
                let text = if name.is_empty() { item.text() } else { item.get(name).and_then(Node::text) };
                text == Some(value)
            })
        } else {
            node.as_map().ok_or_else(|| wrong_kind(node, "a mapping"))?.get(part)
        };
        match next {
            Some(found) if !found.is_null() => node = found,
            _ => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// A path has no more parts than this, which bounds how deep replacements can nest an object.
const LONGEST: usize = 256;

/// Where a match lies: the number of the entry or item at each level.
pub(crate) type Place = Vec<usize>;

/// The node at a place.
pub(crate) fn at<'a>(node: &'a mut Node, place: &[usize]) -> Option<&'a mut Node> {
    place.iter().try_fold(node, |node, at| match &mut node.data {
        Data::Map(map) => map.entries.get_mut(*at).map(|(_, value)| value),
        Data::Seq(items) => items.get_mut(*at),
        Data::Scalar(_) => None,
    })
}

/// Finds every match of a path, creating what is missing when `create` says so.
///
/// A match inside a scalar that holds structured text is reported as `None`: it exists, but writing to it has no
/// effect (kustomize works on a copy there).
pub(crate) fn find(
    node: &mut Node,
    path: &[String],
    create: Option<Leaf>,
) -> Result<Vec<Option<Place>>, Fault> {
    if path.len() > LONGEST {
        return Err(fault(format!("the path has more than {LONGEST} parts")));
    }
    let mut found = Vec::new();
    let mut finder = Finder { create, place: Vec::new(), found: &mut found, detached: false };
    finder.node(node, path, 0)?;
    Ok(found)
}

struct Finder<'f> {
    create: Option<Leaf>,
    place: Place,
    found: &'f mut Vec<Option<Place>>,
    detached: bool,
}

/// Structured texts nest no deeper in each other.
const DEPTH: usize = 8;

impl Finder<'_> {
    fn node(&mut self, node: &mut Node, path: &[String], depth: usize) -> Result<(), Fault> {
        let Some((part, rest)) = path.split_first() else {
            self.push();
            return Ok(());
        };
        if let Some(at) = index(part) {
            return self.indexed(node, at, rest, depth);
        }
        if is_element(part) {
            return self.elements(node, part, rest, depth);
        }
        if part == "*" {
            let Data::Seq(items) = &mut node.data else { return Err(wrong_kind(node, "a list")) };
            for (at, item) in items.iter_mut().enumerate() {
                self.below(at, item, rest, depth)?;
            }
            return Ok(());
        }
        self.field(node, part, rest, depth)
    }

    fn push(&mut self) {
        let place = (!self.detached).then(|| self.place.clone());
        self.found.push(place);
    }

    fn below(&mut self, at: usize, node: &mut Node, rest: &[String], depth: usize) -> Result<(), Fault> {
        self.place.push(at);
        let done = self.node(node, rest, depth);
        self.place.pop();
        done
    }

    /// What to make for a part that is followed by `rest`.
    fn made(&self, rest: &[String]) -> Node {
        let seq = || Node::seq(Vec::new());
        match (rest.first(), self.create) {
            (Some(next), _) if is_element(next) || index(next).is_some() => seq(),
            (Some(next), _) if !next.is_empty() => Node::map(),
            (_, Some(Leaf::Map)) => Node::map(),
            (_, Some(Leaf::Seq)) => seq(),
            (_, Some(Leaf::Scalar) | None) => Node::plain(""),
        }
    }

    fn field(&mut self, node: &mut Node, part: &str, rest: &[String], depth: usize) -> Result<(), Fault> {
        if node.is_null() {
            return Ok(());
        }
        if node.as_map().is_none() {
            return Err(wrong_kind(node, "a mapping"));
        }
        if node.get(part).is_none() {
            if self.create.is_none() {
                return Ok(());
            }
            let made = self.made(rest);
            node.set(part, made);
        }
        let Some(map) = node.as_map_mut() else { return Ok(()) };
        let Some(at) = map.entries.iter().position(|(key, _)| key.text == part) else { return Ok(()) };
        let Some((_, value)) = map.entries.get_mut(at) else { return Ok(()) };
        if value.is_scalar() && !rest.is_empty() {
            return self.inside_text(value, rest, depth);
        }
        self.below(at, value, rest, depth)
    }

    fn inside_text(&mut self, value: &Node, rest: &[String], depth: usize) -> Result<(), Fault> {
        let text = value.text().unwrap_or_default();
        if depth >= DEPTH {
            return Err(Fault::new(value.position, "structured texts nest too deeply"));
        }
        let Some(mut parsed) = ferrite_yaml::parse(text, &Limits::default())? else { return Ok(()) };
        let before = std::mem::replace(&mut self.detached, true);
        let done = self.node(&mut parsed, rest, depth + 1);
        self.detached = before;
        done
    }

    fn indexed(&mut self, node: &mut Node, at: usize, rest: &[String], depth: usize) -> Result<(), Fault> {
        let made = self.made(rest);
        let Data::Seq(items) = &mut node.data else { return Err(wrong_kind(node, "a list")) };
        if at == items.len() && self.create.is_some() {
            items.push(made);
        }
        let length = items.len();
        match items.get_mut(at) {
            Some(item) => self.below(at, item, rest, depth),
            None => Err(Fault::new(
                node.position,
                format!("index {at} specified but only {length} elements found"),
            )),
        }
    }

    fn elements(&mut self, node: &mut Node, part: &str, rest: &[String], depth: usize) -> Result<(), Fault> {
        let (field, pattern) = name_and_value(part)?;
        let compiled = regex(pattern).map_err(fault)?;
        let before = self.found.len();
        for attempt in 0..2 {
            let position = node.position;
            let Data::Seq(items) = &mut node.data else {
                return Err(Fault::new(position, "wrong node kind: expected a list"));
            };
            for (at, item) in items.iter_mut().enumerate() {
                if field.is_empty() {
                    if compiled.is_match(&shown(item)) {
                        self.place.push(at);
                        self.push();
                        self.place.pop();
                    }
                } else if item.get(field).is_some_and(|value| compiled.is_match(&shown(value))) {
                    self.below(at, item, rest, depth)?;
                }
            }
            if attempt > 0 || self.create.is_none() || self.found.len() > before {
                break;
            }
            items.push(if field.is_empty() {
                Node::plain(pattern)
            } else {
                let mut made = Node::map();
                made.set(field, Node::plain(pattern));
                made
            });
        }
        Ok(())
    }
}

/// A value's text as it is written in a file.
fn shown(node: &Node) -> String {
    ferrite_yaml::write_styled(node).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Leaf, at, find, lookup, segments};

    #[test]
    fn paths_split_at_dots() {
        assert_eq!(segments("a.b\\.c.d"), ["a", "b.c", "d"]);
        assert_eq!(segments("metadata.annotations.[x.io/y.z]"), ["metadata", "annotations", "x.io/y.z"]);
        assert_eq!(segments("a.[name=b.c].d"), ["a", "[name=b.c]", "d"]);
    }

    #[track_caller]
    fn check(text: &str, path: &str, create: Option<Leaf>, expect: &str) {
        let mut node = ferrite_yaml::parse(text, &Default::default()).unwrap().unwrap();
        let shown = match find(&mut node, &segments(path), create) {
            Ok(found) => {
                for place in found.into_iter().flatten() {
                    *at(&mut node, &place).unwrap() = ferrite_yaml::Node::plain("X");
                }
                ferrite_yaml::go_json(&node.to_json(ferrite_yaml::Dialect::Yaml12).unwrap())
            }
            Err(error) => error.message,
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn matches_and_creation() {
        check("a: [{n: x}, {n: y}]", "a.*.n", None, r#"{"a":[{"n":"X"},{"n":"X"}]}"#);
        check("a: [{n: x, v: 1}]", "a.[n=x].v", None, r#"{"a":[{"n":"x","v":"X"}]}"#);
        check("a: []", "a.[n=x].v", Some(Leaf::Scalar), r#"{"a":[{"n":"x","v":"X"}]}"#);
        check("a: {}", "b.c", Some(Leaf::Scalar), r#"{"a":{},"b":{"c":"X"}}"#);
        check("a: [1]", "a.3", Some(Leaf::Scalar), "index 3 specified but only 1 elements found");
        check("a: [x, y]", "a.[=y]", None, r#"{"a":["x","X"]}"#);
        check("a: {}", "b.c", None, r#"{"a":{}}"#);
    }

    #[test]
    fn reading() {
        let node = ferrite_yaml::parse("a: [{n: x, v: 1}, {n: y}]", &Default::default()).unwrap().unwrap();
        let text =
            |path: &str| lookup(&node, &segments(path)).map(|n| n.and_then(|n| n.text().map(str::to_owned)));
        assert_eq!(text("a.[n=x].v"), Ok(Some("1".to_owned())));
        assert_eq!(text("a.-.n"), Ok(Some("y".to_owned())));
        assert_eq!(text("a.5.n"), Ok(None));
        assert!(text("a.-1.n").is_err());
        assert!(text("a.*.n").is_err());
        assert!(text("a.n").is_err());
    }
}
