//! Prefixes and suffixes of names.

use ferrite_yaml::{Error as Fault, Node, Tag};

use super::{each, require_scalar};
use crate::error::Result;
use crate::fieldspec::{Create, FieldSpec};
use crate::resource::{Resource, set_text};

pub(crate) fn prefix(list: &mut [Resource], prefix: &str, specs: &[FieldSpec]) -> Result<()> {
    rename(
        list,
        prefix,
        specs,
        |resource| resource.book.prefixes.push(prefix.to_owned()),
        |name| format!("{prefix}{name}"),
    )
}

pub(crate) fn suffix(list: &mut [Resource], suffix: &str, specs: &[FieldSpec]) -> Result<()> {
    rename(
        list,
        suffix,
        specs,
        |resource| resource.book.suffixes.push(suffix.to_owned()),
        |name| format!("{name}{suffix}"),
    )
}

/// Names that others refer to by convention are left alone.
fn is_skipped(resource: &Resource) -> bool {
    let id = resource.original_id();
    match id.kind {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => id.group == "apiregistration.k8s.io",
        _ => false,
    }
}

fn rename(
    list: &mut [Resource],
    affix: &str,
    specs: &[FieldSpec],
    note: impl Fn(&mut Resource),
    change: impl Fn(&str) -> String,
) -> Result<()> {
    if affix.is_empty() {
        return Ok(());
    }
    each(list, |resource| {
        if is_skipped(resource) {
            return Ok(());
        }
        for spec in specs {
            if !resource.original_id().selected_by(&spec.group, &spec.version, &spec.kind) {
                continue;
            }
            if spec.path == "metadata/name" {
                note(resource);
                resource.store_id();
            }
            if spec.selects(&resource.gvk) {
                spec.visit(&mut resource.node, Create::Nothing, &mut |node| set(node, &change))?;
            }
        }
        Ok(())
    })
}

fn set(node: &mut Node, change: &impl Fn(&str) -> String) -> Result<(), Fault> {
    require_scalar(node)?;
    let text = change(node.text().unwrap_or_default());
    set_text(node, &text, Tag::None);
    Ok(())
}
