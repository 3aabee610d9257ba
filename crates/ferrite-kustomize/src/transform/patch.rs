//! Patches of single objects: strategic merge and JSON 6902.

use ferrite_yaml::{Dialect, Node, Tag};

use super::find_by_id;
use crate::error::{Error, ErrorKind, Result};
use crate::json6902::{self, Operation};
use crate::merge::merge;
use crate::resource::{Resource, child_map, set_text};
use crate::schema::Types;
use crate::selector::Selector;
use crate::stream;

/// What a patch says.
#[derive(Debug)]
pub(crate) enum Patch {
    Merge(Vec<Resource>),
    Json(Vec<Operation>),
}

/// An entry of `patches` or `patchesJson6902`.
#[derive(Debug)]
pub(crate) struct PatchStep {
    pub(crate) patch: Patch,
    pub(crate) target: Option<Selector>,
    /// The file the patch was read from, or the one that holds it.
    pub(crate) file: String,
    /// Whether the present identity is remembered first.
    pub(crate) store_ids: bool,
}

impl Patch {
    /// Tells a strategic merge patch from a JSON patch by trying both.
    pub(crate) fn read(text: &str, file: &str, types: &Types) -> Result<Self> {
        let merge = stream::objects(text.as_bytes(), Some(file), types);
        let json = json6902::read(text);
        match (merge, json) {
            (Ok(merge), Ok(json)) if !merge.is_empty() && !json.is_empty() => {
                let message = "the patch illegally qualifies as both an SM and JSON patch";
                Err(Error::invalid(message).at(file, Default::default()))
            }
            (Ok(merge), _) => Ok(Self::Merge(merge)),
            (Err(_), Ok(json)) => Ok(Self::Json(json)),
            (Err(error), Err(other)) => {
                let looks_like_operations = text.trim_start().starts_with(['[', '-']);
                let error = if looks_like_operations && !text.trim_start().starts_with("---") {
                    Error::from_yaml(ErrorKind::Malformed, file, other)
                } else {
                    error
                };
                Err(error.context("unable to parse SM or JSON patch"))
            }
        }
    }
}

impl PatchStep {
    pub(crate) fn run(&self, list: &mut [Resource], types: &Types) -> Result<()> {
        match (&self.patch, &self.target) {
            (Patch::Merge(patches), None) => merge_by_id(list, patches, types),
            (Patch::Merge(patches), Some(target)) => {
                let [patch, more @ ..] = patches.as_slice() else { return Ok(()) };
                if !more.is_empty() {
                    let message = "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field";
                    return Err(Error::invalid(message).at(&self.file, Default::default()));
                }
                for resource in list.iter_mut().filter(|resource| target.selects(resource)) {
                    merge_into(resource, patch, true, types)?;
                }
                Ok(())
            }
            (Patch::Json(_), None) => {
                Err(Error::invalid("must specify a target for JSON patch").at(&self.file, Default::default()))
            }
            (Patch::Json(operations), Some(target)) => {
                for resource in list.iter_mut().filter(|resource| target.selects(resource)) {
                    if self.store_ids {
                        resource.store_id();
                    }
                    apply_json(resource, operations, &self.file)?;
                    resource.refresh(types);
                }
                Ok(())
            }
        }
    }
}

/// Merges each patch into the one object that has, or had, its identity.
pub(crate) fn merge_by_id(list: &mut [Resource], patches: &[Resource], types: &Types) -> Result<()> {
    for patch in patches {
        let id = patch.original_id();
        let at = find_by_id(list, &id).map_err(|error| {
            let error = error.context(format!("no resource matches strategic merge patch \"{id}\""));
            match &patch.source.file {
                Some(file) => error.at(file, patch.place(patch.node.position)),
                None => error,
            }
        })?;
        if let Some(resource) = list.get_mut(at) {
            merge_into(resource, patch, false, types)?;
        }
    }
    Ok(())
}

fn merge_into(resource: &mut Resource, patch: &Resource, targeted: bool, types: &Types) -> Result<()> {
    if super::is_nothing(&resource.node) {
        return Ok(());
    }
    let name = resource.name().to_owned();
    let namespace = resource.namespace().to_owned();
    let kind = resource.gvk.kind.clone();
    if patch.book.allow_name_change || patch.book.allow_kind_change {
        resource.store_id();
    }
    let adapted;
    let source = if targeted {
        adapted = adapt(patch, resource);
        &adapted
    } else {
        &patch.node
    };
    let schema = types.of(&resource.gvk.api_version(), &kind);
    let dest = std::mem::replace(&mut resource.node, Node::null());
    let merged = merge(Some(dest), Some(source), schema).map_err(|error| {
        let error = ferrite_yaml::Error::new(patch.place(error.position), error.message);
        let file = patch.source.file.as_deref().unwrap_or("<inline>");
        Error::from_yaml(ErrorKind::Invalid, file, error).context(format!("patching {kind}/{name}"))
    })?;
    let Some(node) = merged.filter(|node| !super::is_nothing(node)) else { return Ok(()) };
    resource.node = node;
    if !patch.book.allow_kind_change {
        set_top(&mut resource.node, "kind", &kind);
    }
    if !patch.book.allow_name_change {
        resource.set_metadata("name", &name);
    }
    resource.set_namespace(&namespace);
    resource.refresh(types);
    Ok(())
}

/// A patch with a target takes the type of each object it is applied to.
fn adapt(patch: &Resource, resource: &Resource) -> Node {
    let mut node = patch.node.clone();
    set_top(&mut node, "apiVersion", &resource.gvk.api_version());
    for field in ["labels", "annotations"] {
        let map =
            node.get_mut("metadata").and_then(|metadata| metadata.get_mut(field)).and_then(Node::as_map_mut);
        for (key, value) in map.into_iter().flat_map(|map| map.entries.iter_mut()) {
            if value.is_scalar() && key.text != crate::merge::DIRECTIVE_KEY && !value.is_null() {
                value.tag = Tag::Str;
            }
        }
    }
    node
}

fn set_top(node: &mut Node, key: &str, text: &str) {
    match node.get_mut(key) {
        Some(old) if old.text() == Some(text) => {}
        Some(old) => set_text(old, text, Tag::Str),
        None => node.set(key, Node::string(text)),
    }
}

fn apply_json(resource: &mut Resource, operations: &[Operation], file: &str) -> Result<()> {
    if resource.book.leaves_annotations()
        && let Some(metadata) = child_map(&mut resource.node, "metadata")
    {
        child_map(metadata, "annotations");
    }
    let mut value = resource.node.to_json(Dialect::Yaml12).map_err(|error| resource.error(error))?;
    json6902::through_floats(&mut value);
    json6902::apply(&mut value, operations).map_err(|error| {
        Error::from_yaml(ErrorKind::Invalid, file, error).context(format!("patching {}", resource.label()))
    })?;
    json6902::through_floats(&mut value);
    if !value.is_object() {
        let message = format!("the patch of {} leaves no object", resource.label());
        return Err(Error::invalid(message).at(file, Default::default()));
    }
    resource.node = ferrite_yaml::from_json(&value);
    Ok(())
}
