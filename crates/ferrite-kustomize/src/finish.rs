//! What happens once, at the root: hashes, references, vars, order, clean-up.

use ferrite_tree::TreePath;
use ferrite_yaml::{Data, Dialect, Style, Tag};
use serde_json::Value;

use crate::accumulate::Target;
use crate::accumulator::Accumulator;
use crate::error::{Error, Result};
use crate::fieldspec::FieldSpec;
use crate::id::Gvk;
use crate::origin::{ORIGIN, Origin, TRANSFORMATIONS, transformations_text};
use crate::resource::Resource;
use crate::transform::pairs;
use crate::{Options, hash, nameref, order, stream, vars};

/// The version in the managed-by label: that of the kustomize whose output this equals.
const VERSION: &str = "v5.8.1";

/// Runs a whole build on the root target.
pub(crate) fn run(mut target: Target<'_>, options: &Options) -> Result<Vec<Resource>> {
    target.set_schema()?;
    let metadata = target.kust.build_metadata.clone();
    let wants = |what: &str| metadata.iter().any(|option| option == what);
    if !metadata.is_empty() {
        target.origin = Some(Origin::default());
    }
    let mut all = Accumulator::new();
    target.accumulate(&mut all)?;
    let config = all.config();
    let Accumulator { mut list, vars, .. } = all;
    hash::add_hashes(&mut list)?;
    nameref::fix(&mut list, &config)?;
    vars::substitute(&mut list, &vars, &config, &|message| target.root.session.warn(message))?;
    check(&list)?;
    list.retain(|resource| {
        resource.pair("annotations", "config.kubernetes.io/local-config").is_none_or(|value| value == "false")
    });
    order::order(&mut list, target.kust.sort_options.as_ref(), options.reorder)?;
    if options.managed_by_label || wants("managedByLabel") {
        let pair = ("app.kubernetes.io/managed-by".to_owned(), format!("kustomize-{VERSION}"));
        pairs::set(&mut list, &[pair], &[FieldSpec::new("", "", "", "metadata/labels", true)])?;
    }
    for resource in &mut list {
        clean(resource, wants("originAnnotations"), wants("transformerAnnotations"));
    }
    Ok(list)
}

/// Every object must still have kind and name, and an identity of its own.
fn check(list: &[Resource]) -> Result<()> {
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    for resource in list {
        stream::validate(&resource.node)
            .map_err(|message| resource.error(ferrite_yaml::Error::new(resource.node.position, message)))?;
        if !seen.insert(resource.id()) {
            return Err(Error::invalid(format!(
                "the build result holds two objects with the id {}",
                resource.id()
            )));
        }
    }
    Ok(())
}

/// Leaves the annotations that belong in the output, all of them strings.
fn clean(resource: &mut Resource, origin: bool, transformations: bool) {
    let Some(metadata) = resource.node.get_mut("metadata") else { return };
    if let Some(Data::Map(map)) = metadata.get_mut("annotations").map(|annotations| &mut annotations.data) {
        map.entries.retain(|(key, _)| {
            !stream::is_bookkeeping(&key.text) && !matches!(key.text.as_str(), ORIGIN | TRANSFORMATIONS)
        });
        for (key, value) in &mut map.entries {
            if key.style == Style::Plain {
                key.tag = Tag::Str;
            }
            match &value.data {
                Data::Scalar(_) => value.tag = Tag::Str,
                Data::Seq(_) | Data::Map(_) => *value = ferrite_yaml::Node::string(""),
            }
        }
    }
    let empty = metadata
        .get("annotations")
        .is_some_and(|found| found.is_scalar() || crate::transform::is_nothing(found));
    if empty {
        metadata.remove("annotations");
    }
    if origin && let Some(found) = resource.book.origin.take() {
        resource.set_pair("annotations", ORIGIN, &found.text());
    }
    if transformations && !resource.book.transformations.is_empty() {
        let text = transformations_text(&resource.book.transformations);
        resource.set_pair("annotations", TRANSFORMATIONS, &text);
    }
}

/// The result of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    objects: Vec<Object>,
    files_read: Vec<TreePath>,
    warnings: Vec<String>,
}

/// One object of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    gvk: Gvk,
    value: Value,
    file: Option<String>,
}

impl Build {
    pub(crate) fn new(
        list: Vec<Resource>,
        files_read: Vec<TreePath>,
        warnings: Vec<String>,
    ) -> Result<Self, Error> {
        let mut objects = Vec::with_capacity(list.len());
        for resource in list {
            let value = resource.node.to_json(Dialect::Yaml12).map_err(|error| resource.error(error))?;
            let file = resource.source.file.as_deref().map(str::to_owned);
            objects.push(Object { gvk: resource.gvk, value, file });
        }
        Ok(Self { objects, files_read, warnings })
    }

    /// The whole output, as `kustomize build` prints it.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        for (at, object) in self.objects.iter().enumerate() {
            if at > 0 {
                out.push_str("---\n");
            }
            ferrite_yaml::write_into(&mut out, &object.value);
        }
        out
    }

    /// The objects as JSON values, in order.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().map(|object| &object.value)
    }

    /// The objects as JSON values, in order, without copying them.
    #[must_use]
    pub fn into_objects(self) -> Vec<Value> {
        self.objects.into_iter().map(|object| object.value).collect()
    }

    /// The objects one by one, in order.
    #[must_use]
    pub fn resources(&self) -> &[Object] {
        &self.objects
    }

    /// The files of the tree that were read, sorted.
    #[must_use]
    pub fn files_read(&self) -> &[TreePath] {
        &self.files_read
    }

    /// Remarks for the person who wrote the input: deprecated fields, vars without use.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Object {
    /// Group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// The object itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// `metadata.name`; empty when it is no string.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.namespace`; empty without one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata("namespace").and_then(Value::as_str).unwrap_or_default()
    }

    /// The value of a label, when it is a string.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata("labels")?.get(key)?.as_str()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata("annotations")?.get(key)?.as_str()
    }

    /// The file this object was read from, as its tree shows it; `None` for generated objects.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The object as one YAML document.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        ferrite_yaml::write(&self.value)
    }

    fn metadata(&self, field: &str) -> Option<&Value> {
        self.value.get("metadata")?.get(field)
    }
}
