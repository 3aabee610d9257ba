//! Scalars that several places of one object share.
//!
//! When labels or annotations are added, kustomize puts one node of its YAML tree into every place it creates, so a
//! later change of one place is a change of all. Overlays can see that: a label that a base added to metadata and
//! selector changes in both when a patch changes one. Such nodes are marked here by a position without line.

use ferrite_yaml::{Data, Node, Position};

use crate::resource::Book;

/// A mark for nodes that will be one; unique within an object.
pub(crate) fn mark(book: &mut Book) -> Position {
    book.shared += 1;
    Position { line: 0, column: book.shared }
}

/// The mark of a shared node.
pub(crate) fn mark_of(node: &Node) -> Option<Position> {
    (node.position.line == 0 && node.position.column > 0 && node.is_scalar()).then_some(node.position)
}

/// Takes the marks out of a copy.
pub(crate) fn unmark(node: &mut Node) {
    match &mut node.data {
        Data::Scalar(_) => {
            if mark_of(node).is_some() {
                node.position = Position::default();
            }
        }
        Data::Seq(items) => items.iter_mut().for_each(unmark),
        Data::Map(map) => map.entries.iter_mut().for_each(|(_, value)| unmark(value)),
    }
}

/// Makes every place with `mark` equal to `like`.
pub(crate) fn spread(node: &mut Node, mark: Position, like: &Node) {
    match &mut node.data {
        Data::Scalar(_) => {
            if mark_of(node) == Some(mark) {
                *node = Node { position: mark, ..like.clone() };
            }
        }
        Data::Seq(items) => items.iter_mut().for_each(|item| spread(item, mark, like)),
        Data::Map(map) => map.entries.iter_mut().for_each(|(_, value)| spread(value, mark, like)),
    }
}

/// The text of each shared node.
pub(crate) fn texts(node: &Node, into: &mut Vec<(Position, String)>) {
    match &node.data {
        Data::Scalar(text) => {
            if let Some(mark) = mark_of(node)
                && !into.iter().any(|(known, _)| *known == mark)
            {
                into.push((mark, text.clone()));
            }
        }
        Data::Seq(items) => items.iter().for_each(|item| texts(item, into)),
        Data::Map(map) => map.entries.iter().for_each(|(_, value)| texts(value, into)),
    }
}

/// After a change of an object: spreads each shared node whose text is no longer `before`. When several places of
/// one node changed, the last in sorted order counts.
pub(crate) fn settle(node: &mut Node, before: &[(Position, String)]) {
    for (mark, old) in before {
        if let Some(changed) = last_changed(node, *mark, old) {
            spread(node, *mark, &changed);
        }
    }
}

fn last_changed(node: &Node, mark: Position, old: &str) -> Option<Node> {
    match &node.data {
        Data::Scalar(text) => (mark_of(node) == Some(mark) && text != old).then(|| node.clone()),
        Data::Seq(items) => items.iter().rev().find_map(|item| last_changed(item, mark, old)),
        Data::Map(map) => {
            let mut entries: Vec<_> = map.entries.iter().collect();
            entries.sort_by(|a, b| b.0.text.cmp(&a.0.text));
            entries.into_iter().find_map(|(_, value)| last_changed(value, mark, old))
        }
    }
}
