//! Strategic merge, as kustomize (kyaml merge2, lists prepended) does it.

mod list;

#[cfg(test)]
mod tests;

use ferrite_yaml::{Data, Dialect, Error, Map, Node, Resolved, Style, Tag, resolve};

use crate::schema::Schema;

/// The key that carries a directive.
pub(super) const DIRECTIVE: &str = "$patch";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges `patch` into `dest`; `None` when the patch deletes it.
///
/// # Errors
/// When both hold values of different kinds at one place, or a `$patch` directive is unknown.
pub(crate) fn merge(
    dest: Option<Node>,
    patch: Option<&Node>,
    schema: Schema<'_>,
) -> Result<Option<Node>, Error> {
    let present = |node: &&Node| !node.is_null();
    let Some(first) = dest.as_ref().filter(present).or_else(|| patch.filter(present)) else {
        return Ok(merge_nothing(dest, patch));
    };
    if let (Some(own), Some(theirs)) = (dest.as_ref().filter(present), patch.filter(present))
        && kind(own) != kind(theirs)
    {
        let message = format!("wrong node kind: expected {} but got {}", kind(own), kind(theirs));
        return Err(Error::new(theirs.position, message));
    }
    let schema = schema.or_type_of(first).or_type_of(patch.unwrap_or(first));
    match &first.data {
        Data::Map(_) => merge_maps(dest, patch, schema),
        Data::Seq(_) => match schema.merge_keys() {
            Some(keys) => list::merge_lists(dest, patch, keys, schema.elements()),
            None => Ok(match patch {
                Some(patch) => (!patch.is_null()).then(|| patch.clone()),
                None => dest,
            }),
        },
        Data::Scalar(_) => Ok(merge_scalars(dest, patch)),
    }
}

fn kind(node: &Node) -> &'static str {
    match &node.data {
        Data::Map(_) => "MappingNode",
        Data::Seq(_) => "SequenceNode",
        Data::Scalar(_) => "ScalarNode",
    }
}

/// Both are missing or null: a null that was spelled out survives when the patch does not mention it.
fn merge_nothing(dest: Option<Node>, patch: Option<&Node>) -> Option<Node> {
    match (dest, patch) {
        (Some(dest), None) if dest.text() != Some("") => Some(dest),
        _ => None,
    }
}

fn merge_scalars(dest: Option<Node>, patch: Option<&Node>) -> Option<Node> {
    match (dest, patch) {
        (Some(_), Some(patch)) if patch.is_null() => None,
        (Some(dest), Some(patch)) => {
            let mut merged = patch.clone();
            if crate::shared::mark_of(&dest).is_some() {
                merged.position = dest.position;
            }
            merged.style = if dest.is_scalar() { dest.style } else { Style::Plain };
            // In quotes everything is a string; without them the value keeps the type it has in the patch.
            merged.tag = if merged.style == Style::Plain { explicit_tag(patch) } else { Tag::None };
            Some(merged)
        }
        (dest, patch) => patch.cloned().or(dest),
    }
}

/// Merging sets every field again, and upstream's setter puts plain strings in quotes that YAML 1.1 would read as
/// something else. What overwrites such a field later stays a string.
fn quoted(mut value: Node) -> Node {
    let Data::Scalar(text) = &value.data else { return value };
    if value.style != Style::Plain || text.is_empty() || text.contains('\n') {
        return value;
    }
    let other = resolve(text, Dialect::Yaml11) != Resolved::Str;
    let made = value.position.line == 0;
    let string = match value.tag {
        // What was made here has no type of its own.
        Tag::None => made || explicit_tag(&value) == Tag::Str,
        // A tag in the source is a style of its own.
        Tag::Str => made,
        _ => false,
    };
    if other && string {
        value.style = Style::Double;
        value.tag = Tag::None;
    }
    value
}

/// The type a scalar has now, to keep it when the quotes change.
pub(crate) fn explicit_tag(node: &Node) -> Tag {
    if node.tag != Tag::None {
        return node.tag;
    }
    match node.resolved(Dialect::Yaml12) {
        Resolved::Null => Tag::Null,
        Resolved::Bool(_) => Tag::Bool,
        Resolved::Int(_) | Resolved::Uint(_) => Tag::Int,
        Resolved::Float(_) => Tag::Float,
        Resolved::Timestamp(_) => Tag::Timestamp,
        Resolved::Str => Tag::Str,
    }
}

fn merge_maps(dest: Option<Node>, patch: Option<&Node>, schema: Schema<'_>) -> Result<Option<Node>, Error> {
    let Some(mut dest) = dest.filter(|dest| !dest.is_null()) else {
        let Some(patch) = patch else { return Ok(None) };
        return match directive(patch) {
            Ok(Directive::Delete) => Ok(None),
            Ok(_) => settle(without_directive(patch.clone()), schema),
            Err(_) => settle(patch.clone(), schema),
        };
    };
    let Some(patch) = patch else { return settle_beside_nothing(dest, schema).map(Some) };
    if patch.is_null() {
        return Ok(None);
    }
    match directive(patch)? {
        Directive::Delete => return Ok(None),
        Directive::Replace => return settle(without_directive(patch.clone()), schema),
        Directive::Merge => {}
    }
    let (Data::Map(own), Some(theirs)) = (&mut dest.data, patch.as_map()) else { return Ok(Some(dest)) };
    let mut merged = Map::default();
    let mut used = vec![false; theirs.entries.len()];
    for (key, value) in std::mem::take(&mut own.entries) {
        let at = theirs.entries.iter().position(|(name, _)| name.text == key.text);
        if let Some(used) = at.and_then(|at| used.get_mut(at)) {
            *used = true;
        }
        let theirs = at.and_then(|at| theirs.entries.get(at));
        let schema = schema.field_at(&key.text, [Some(&key), theirs.map(|(key, _)| key)]);
        if let Some(value) = merge(Some(value), theirs.map(|(_, value)| value), schema)? {
            let value = if theirs.is_none() { quoted(value) } else { value };
            merged.entries.push((key, value));
        }
    }
    for ((key, value), used) in theirs.entries.iter().zip(used) {
        if used || key.text == DIRECTIVE || merged.entries.iter().any(|(known, _)| known.text == key.text) {
            continue;
        }
        let schema = schema.field_at(&key.text, [None, Some(key)]);
        if let Some(value) = merge(None, Some(value), schema)? {
            merged.entries.push((key.clone(), quoted(value)));
        }
    }
    *own = merged;
    Ok(Some(dest))
}

/// What walking an object does to the parts the patch does not mention: empty nulls go, keyed lists are deduped.
fn settle_beside_nothing(mut node: Node, schema: Schema<'_>) -> Result<Node, Error> {
    if let Data::Map(map) = &mut node.data {
        for (key, value) in std::mem::take(&mut map.entries) {
            if let Some(value) = merge(Some(value), None, schema.field(&key.text))? {
                map.entries.push((key, quoted(value)));
            }
        }
    }
    Ok(node)
}

/// A value of the patch with nothing beside it is merged with itself: nulls go and nested directives act.
pub(super) fn settle(mut node: Node, schema: Schema<'_>) -> Result<Option<Node>, Error> {
    match &node.data {
        Data::Scalar(_) => return Ok((!node.is_null()).then_some(node)),
        Data::Seq(_) => {
            return match schema.merge_keys() {
                Some(keys) => list::settle_list(node, keys, schema.elements()),
                None => Ok(Some(node)),
            };
        }
        Data::Map(_) => {}
    }
    if directive(&node)? == Directive::Delete {
        return Ok(None);
    }
    node = without_directive(node);
    if let Data::Map(map) = &mut node.data {
        for (key, value) in std::mem::take(&mut map.entries) {
            if let Some(value) = settle(value, schema.field(&key.text))? {
                map.entries.push((key, quoted(value)));
            }
        }
    }
    Ok(Some(node))
}

/// True when the patch asks to replace the whole object.
pub(crate) fn replaces(patch: &Node) -> bool {
    directive(patch) == Ok(Directive::Replace)
}

/// The directive of a mapping or list.
pub(super) fn directive(node: &Node) -> Result<Directive, Error> {
    let found = match &node.data {
        Data::Map(map) => map.get(DIRECTIVE),
        Data::Seq(items) => items
            .iter()
            .find(|item| item.get(DIRECTIVE).is_some())
            .filter(|item| item.as_map().is_some_and(|map| map.entries.len() == 1))
            .and_then(|item| item.get(DIRECTIVE)),
        Data::Scalar(_) => None,
    };
    let Some(found) = found else { return Ok(Directive::Merge) };
    match found.text() {
        Some("delete") => Ok(Directive::Delete),
        Some("replace") => Ok(Directive::Replace),
        Some("merge") => Ok(Directive::Merge),
        other => {
            let message = format!(
                "unknown patch strategy '{}'; use delete, replace or merge",
                other.unwrap_or_default()
            );
            Err(Error::new(found.position, message))
        }
    }
}

pub(super) fn without_directive(mut node: Node) -> Node {
    match &mut node.data {
        Data::Map(map) => {
            map.remove(DIRECTIVE);
        }
        Data::Seq(items) => items.retain(|item| {
            !item.is_null()
                && item.as_map().is_none_or(|map| !map.entries.is_empty() && map.get(DIRECTIVE).is_none())
        }),
        Data::Scalar(_) => {}
    }
    node
}
