//! Field specs: slash-separated paths, for some kinds, that transformers visit.

use ferrite_yaml::{Data, Error, Node, Tag};

use crate::id::Gvk;
use crate::kustomization::FieldSpecArgs;

/// Which field of which kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldSpec {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) create: bool,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    /// Written as `name[]`: a list is expected.
    list: bool,
}

/// A path has no more parts than this, which bounds how deep transformers can nest an object.
const LONGEST: usize = 256;

/// What a transformer makes of a missing last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Nothing,
    Scalar(Tag),
    Map,
}

impl From<FieldSpecArgs> for FieldSpec {
    fn from(args: FieldSpecArgs) -> Self {
        let segments = split(&args.path, '/')
            .into_iter()
            .map(|name| match name.strip_suffix("[]") {
                Some(name) => Segment { name: name.to_owned(), list: true },
                None => Segment { name, list: false },
            })
            .collect();
        Self {
            group: args.group,
            version: args.version,
            kind: args.kind,
            path: args.path,
            create: args.create,
            segments,
        }
    }
}

impl FieldSpec {
    pub(crate) fn new(group: &str, version: &str, kind: &str, path: &str, create: bool) -> Self {
        Self::from(FieldSpecArgs {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            path: path.to_owned(),
            create,
            ..FieldSpecArgs::default()
        })
    }

    pub(crate) fn selects(&self, gvk: &Gvk) -> bool {
        gvk.is_selected(&self.group, &self.version, &self.kind)
    }

    /// Calls `set` on every node the path leads to.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        create: Create,
        set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.segments.len() > LONGEST {
            return Err(Error::new(node.position, format!("a field path has more than {LONGEST} parts")));
        }
        let create = if self.create { create } else { Create::Nothing };
        walk(node, &self.segments, create, set).map_err(|error| {
            Error::new(error.position, format!("at path `{}`: {}", self.path, error.message))
        })
    }
}

/// Splits a path at `separator` unless a backslash stands before it; a leading separator is dropped.
pub(crate) fn split(path: &str, separator: char) -> Vec<String> {
    let path = path.strip_prefix(separator).unwrap_or(path);
    let mut parts: Vec<String> = Vec::new();
    let mut joins = false;
    for piece in path.split(separator) {
        match parts.last_mut().filter(|_| joins) {
            Some(last) => {
                last.pop();
                last.push(separator);
                last.push_str(piece);
            }
            None => parts.push(piece.to_owned()),
        }
        joins = piece.ends_with('\\');
    }
    parts
}

fn walk(
    node: &mut Node,
    path: &[Segment],
    create: Create,
    set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some((segment, rest)) = path.split_first() else { return set(node) };
    if node.is_null() {
        return Ok(());
    }
    let position = node.position;
    match &mut node.data {
        Data::Scalar(_) => Err(Error::new(position, "expected sequence or mapping node")),
        Data::Seq(items) => items.iter_mut().try_for_each(|item| walk(item, path, create, set)),
        Data::Map(map) => {
            if segment.name.is_empty() {
                return Err(Error::new(position, "cannot set or create an empty field name"));
            }
            let wanted = match create {
                _ if segment.list => Create::Nothing,
                Create::Nothing => Create::Nothing,
                create if rest.is_empty() => create,
                Create::Scalar(_) | Create::Map => Create::Map,
            };
            let missing = map.get(&segment.name).is_none();
            if missing {
                match wanted {
                    Create::Nothing => return Ok(()),
                    Create::Map => map.set(&segment.name, Node::map()),
                    Create::Scalar(tag) => map.set(&segment.name, Node { tag, ..Node::plain("") }),
                }
            }
            let Some(field) = map.get_mut(&segment.name) else { return Ok(()) };
            if !missing && field.is_null() {
                let position = field.position;
                match wanted {
                    Create::Map => *field = Node { position, ..Node::map() },
                    Create::Scalar(tag) => field.tag = tag,
                    Create::Nothing if segment.list => *field = Node { position, ..Node::seq(Vec::new()) },
                    Create::Nothing => {}
                }
            }
            walk(field, rest, create, set)
        }
    }
}
