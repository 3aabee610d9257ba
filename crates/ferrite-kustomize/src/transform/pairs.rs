//! Labels and annotations.

use ferrite_yaml::{Error as Fault, Node, Position, Tag};

use super::each;
use crate::error::Result;
use crate::fieldspec::{Create, FieldSpec};
use crate::resource::{Resource, set_text, string_node};
use crate::shared;

/// Sets every pair in each mapping the specs lead to.
pub(crate) fn set(list: &mut [Resource], pairs: &[(String, String)], specs: &[FieldSpec]) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    each(list, |resource| {
        for (key, value) in pairs {
            // One node for all the places where the key is new, as in the reference.
            let new = Node { position: shared::mark(&mut resource.book), ..string_node(value) };
            let mut changed = Vec::new();
            for spec in specs.iter().filter(|spec| spec.selects(&resource.gvk)) {
                spec.visit(&mut resource.node, Create::Map, &mut |node| {
                    changed.extend(set_one(node, key, &new)?);
                    Ok(())
                })?;
            }
            for mark in changed {
                shared::spread(&mut resource.node, mark, &new);
            }
        }
        Ok(())
    })
}

/// Sets one pair; the mark of the old value when it is one with values elsewhere.
fn set_one(node: &mut Node, key: &str, new: &Node) -> Result<Option<Position>, Fault> {
    if node.is_null() {
        return Ok(None);
    }
    if node.as_map().is_none() {
        let message = format!("wrong node kind: expected MappingNode but got {}", node.kind_name());
        return Err(Fault::new(node.position, message));
    }
    match node.get_mut(key) {
        Some(old) => {
            let mark = shared::mark_of(old).filter(|mark| *mark != new.position);
            set_text(old, new.text().unwrap_or_default(), Tag::Str);
            Ok(mark)
        }
        None => {
            node.set(key, new.clone());
            Ok(None)
        }
    }
}
