//! Replica counts.

use ferrite_yaml::Tag;

use super::require_scalar;
use crate::error::{Error, Result};
use crate::fieldspec::{Create, FieldSpec};
use crate::kustomization::Replica;
use crate::resource::{Resource, set_text};

/// Sets the count of the objects that have, or had, the name.
///
/// # Errors
/// When there is none.
pub(crate) fn set(list: &mut [Resource], replica: &Replica, specs: &[FieldSpec]) -> Result<()> {
    let count = replica.count.to_string();
    let mut found = false;
    for spec in specs {
        for resource in list.iter_mut() {
            let matches = resource
                .ids()
                .any(|id| id.name == replica.name && id.selected_by(&spec.group, &spec.version, &spec.kind));
            if !matches {
                continue;
            }
            found = true;
            if spec.selects(&resource.gvk) {
                let done = spec.visit(&mut resource.node, Create::Scalar(Tag::Int), &mut |node| {
                    require_scalar(node)?;
                    set_text(node, &count, Tag::Int);
                    Ok(())
                });
                done.map_err(|error| resource.error(error))?;
            }
        }
    }
    if found {
        return Ok(());
    }
    let kinds: Vec<&str> = specs.iter().map(|spec| spec.kind.as_str()).collect();
    Err(Error::invalid(format!(
        "replicas: resource with name {} does not match a config with the following GVK [{}]",
        replica.name,
        kinds.join(" ")
    )))
}
