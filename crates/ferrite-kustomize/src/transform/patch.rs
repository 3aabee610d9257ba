//! Patches of single objects: strategic merge and JSON 6902.

use ferrite_yaml::{Data, Dialect, Node, Style, Tag};

use super::find_by_id;
use crate::error::{Error, ErrorKind, Result};
use crate::json6902::{self, Operation};
use crate::merge::merge;
use crate::origin::{ORIGIN, TRANSFORMATIONS};
use crate::resource::{Resource, set_text, string_node};
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
            (Patch::Merge(patches), None) => merge_by_id(list, patches, false, types),
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
///
/// `adapted`: the patch first takes the object's type, as for patches with a target (`patchesStrategicMerge` does it).
pub(crate) fn merge_by_id(
    list: &mut [Resource],
    patches: &[Resource],
    adapted: bool,
    types: &Types,
) -> Result<()> {
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
            merge_into(resource, patch, adapted, types)?;
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
    if crate::merge::replaces(source) {
        // The reference makes the replacement and then does not use it.
        return Ok(());
    }
    let hints = resource.source.clone();
    let hints = hints.hints.as_deref().map(|found| (found, hints.line_offset));
    let schema = types.of(&resource.gvk.api_version(), &kind).with_hints([hints, patch.hints()]);
    resource
        .changing(|resource| {
            let dest = std::mem::replace(&mut resource.node, Node::null());
            merge(Some(dest), Some(source), schema).map(|merged| {
                if let Some(node) = merged {
                    resource.node = node;
                }
            })
        })
        .map_err(|error| {
            let error = ferrite_yaml::Error::new(patch.place(error.position), error.message);
            let file = patch.source.file.as_deref().unwrap_or("<inline>");
            Error::from_yaml(ErrorKind::Invalid, file, error).context(format!("patching {kind}/{name}"))
        })?;
    if super::is_nothing(&resource.node) {
        return Ok(());
    }
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
    let Some(metadata) = node.get_mut("metadata") else { return node };
    // The name is set again as well, and then its text decides the type unless the object has it in quotes.
    if let Some(name) = metadata.get_mut("name").filter(|name| name.is_scalar()) {
        (name.style, name.tag) = (Style::Plain, Tag::None);
    }
    // The reference reads them as strings and sets them again: a null becomes the word, an empty map goes.
    for field in ["labels", "annotations"] {
        let pairs = metadata.remove(field).map(|pairs| pairs.data);
        let Some(Data::Map(mut map)) = pairs else { continue };
        if map.entries.is_empty() {
            continue;
        }
        for (_, value) in &mut map.entries {
            let position = value.position;
            *value = Node { position, ..Node::string(value.text().unwrap_or_default()) };
        }
        metadata.set(field, Data::Map(map).into());
    }
    node
}

fn set_top(node: &mut Node, key: &str, text: &str) {
    match node.get_mut(key) {
        Some(old) => set_text(old, text, Tag::None),
        None if text.is_empty() => node.set(key, Node::plain("")),
        None => node.set(key, string_node(text)),
    }
}

fn apply_json(resource: &mut Resource, operations: &[Operation], file: &str) -> Result<()> {
    resource.show_bookkeeping();
    let (origin, transformations) =
        (resource.book.origin.is_some(), !resource.book.transformations.is_empty());
    for (key, wanted) in [(ORIGIN, origin), (TRANSFORMATIONS, transformations)] {
        if wanted && let Some(annotations) = resource.metadata_map("annotations") {
            annotations.set(key, Node::string("kept"));
        }
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
    if resource.take_annotation(ORIGIN).is_none() {
        resource.book.origin = None;
    }
    if resource.take_annotation(TRANSFORMATIONS).is_none() {
        resource.book.transformations.clear();
    }
    Ok(())
}
