//! Labels and annotations.

use ferrite_yaml::{Error as Fault, Node, Tag};

use super::each;
use crate::error::Result;
use crate::fieldspec::{Create, FieldSpec};
use crate::resource::{Resource, set_text};

/// Sets every pair in each mapping the specs lead to.
pub(crate) fn set(list: &mut [Resource], pairs: &[(String, String)], specs: &[FieldSpec]) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    each(list, |resource| {
        for spec in specs.iter().filter(|spec| spec.selects(&resource.gvk)) {
            spec.visit(&mut resource.node, Create::Map, &mut |node| set_all(node, pairs))?;
        }
        Ok(())
    })
}

fn set_all(node: &mut Node, pairs: &[(String, String)]) -> Result<(), Fault> {
    if node.is_null() {
        return Ok(());
    }
    if node.as_map().is_none() {
        let message = format!("wrong node kind: expected MappingNode but got {}", node.kind_name());
        return Err(Fault::new(node.position, message));
    }
    for (key, value) in pairs {
        match node.get_mut(key) {
            Some(old) if !old.is_null() => set_text(old, value, Tag::Str),
            _ => node.set(key, Node::string(value.as_str())),
        }
    }
    Ok(())
}
