//! What a Flux `Kustomization` adds around `kustomize build`.
//!
//! ```text
//! path ─▶ kustomization.yaml there, or one made from what is there ─▶ + Overrides ─▶ the ordinary build
//! ```
//!
//! As kustomize-controller does it: load restrictions are off (the tree is the artifact and cannot be left), nothing
//! is reordered, charts are not inflated, and the root file's unknown fields are dropped rather than refused.

use std::collections::BTreeMap;

use ferrite_tree::{Kind, Tree, TreePath};
use ferrite_yaml::{Limits, Node};

use crate::accumulate::Target;
use crate::decode::Text;
use crate::error::{Error, ErrorKind, Result};
use crate::finish::{self, Build};
use crate::kustomization::{self, Kustomization, SelectorArgs};
use crate::loader::{FILE_NAMES, Root, Session};
use crate::{LoadRestrictor, Options, Reorder, origin};

/// What `spec` of a Flux `Kustomization` says about the build. Empty means unsaid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `spec.targetNamespace`: replaces `namespace`.
    pub target_namespace: String,
    /// `spec.namePrefix`: replaces `namePrefix`.
    pub name_prefix: String,
    /// `spec.nameSuffix`: replaces `nameSuffix`.
    pub name_suffix: String,
    /// `spec.patches`: appended to `patches`.
    pub patches: Vec<Patch>,
    /// `spec.patchesStrategicMerge` (legacy): appended, each as JSON or YAML text.
    pub patches_strategic_merge: Vec<String>,
    /// `spec.patchesJson6902` (legacy): appended; the patch is the text of the operations.
    pub patches_json6902: Vec<Patch>,
    /// `spec.images`: joined with `images` by name.
    pub images: Vec<Image>,
    /// `spec.components`: appended to `components`; local and relative.
    pub components: Vec<String>,
    /// `spec.ignoreMissingComponents`: leaves out components that are not there.
    pub ignore_missing_components: bool,
    /// `spec.buildMetadata`: replaces `buildMetadata`.
    pub build_metadata: Vec<String>,
}

/// An entry of `spec.patches`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// A strategic merge or JSON 6902 patch.
    pub patch: String,
    /// Which objects it is for.
    pub target: Option<Selector>,
}

/// Selects objects; every part is an anchored regular expression or a label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Label selector.
    pub label_selector: String,
    /// The same for annotations.
    pub annotation_selector: String,
}

/// An entry of `spec.images`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The image to change.
    pub name: String,
    /// Its new name.
    pub new_name: String,
    /// Its new tag.
    pub new_tag: String,
    /// Its new digest.
    pub digest: String,
}

/// Builds what the Flux `Kustomization` with these overrides applies from `path` of `tree`.
///
/// `path` is relative to the tree's root, whatever slashes and dots it begins with.
///
/// # Errors
/// As [`crate::build`]; also when a file that belongs to a generated kustomization is no Kubernetes YAML.
pub fn build(tree: &dyn Tree, path: &str, overrides: &Overrides, options: &Options) -> Result<Build> {
    let options = Options {
        load_restrictor: LoadRestrictor::None,
        reorder: Reorder::None,
        enable_helm: false,
        ..options.clone()
    };
    let session = Session::new(&options);
    let root = Root::first(&session, tree, &confined(path))?;
    let existing = FILE_NAMES.iter().find(|name| {
        root.dir.join(name).and_then(|file| tree.stat(&file)).is_ok_and(|kind| kind == Some(Kind::File))
    });
    let (mut kust, name) = match existing {
        Some(name) => (read(&root, name)?, *name),
        None => (generated(tree, &root.dir)?, "kustomization.yaml"),
    };
    apply(&mut kust, overrides, &root)?;
    let target = Target::prepared(root, kust, name, existing.is_none());
    let list = finish::run(target, &options)?;
    let (files_read, warnings) = session.finish();
    let build = Build::new(list, files_read, warnings)?;
    for object in build.resources() {
        if object.name().is_empty() || object.gvk().version.is_empty() {
            let what = format!("{} '{}'", object.gvk().kind, object.name());
            let message = format!("the build result holds an object without name or apiVersion: {what}");
            return Err(Error::invalid(message));
        }
    }
    Ok(build)
}

/// `path` as it lies below the root: leading slashes mean nothing and `..` stops at the root.
fn confined(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn read(root: &Root<'_>, name: &str) -> Result<Kustomization> {
    let (text, shown) = root.load_text(name)?;
    let fail = |error| Error::from_yaml(ErrorKind::Invalid, &shown, error).context("invalid Kustomization");
    let node = ferrite_yaml::parse(&text, &Limits::default()).map_err(fail)?.unwrap_or_else(Node::map);
    let mut kust = kustomization::lenient(&node).map_err(fail)?;
    if kust.resources.is_empty() {
        // An otherwise empty file must still be a valid one.
        kust.build_metadata = vec!["originAnnotations".to_owned()];
    }
    Ok(kust)
}

/// A kustomization of everything below `dir`: directories that have one of their own, and all other YAML files.
fn generated(tree: &dyn Tree, dir: &TreePath) -> Result<Kustomization> {
    let mut resources = Vec::new();
    scan(tree, dir, dir, &mut resources, 0)?;
    let mut kust = Kustomization::default();
    if resources.is_empty() {
        "_placeholder".clone_into(&mut kust.namespace);
    }
    kust.resources = resources.into_iter().map(|value| Text { value, at: Default::default() }).collect();
    Ok(kust)
}

/// Directories nest no deeper.
const DEPTH: usize = 200;

fn scan(
    tree: &dyn Tree,
    base: &TreePath,
    dir: &TreePath,
    found: &mut Vec<String>,
    depth: usize,
) -> Result<()> {
    let fail = |error: ferrite_tree::Error| Error::from_tree(&error);
    if depth > DEPTH {
        return Err(Error::new(ErrorKind::Forbidden, format!("directories nest deeper than {DEPTH} levels")));
    }
    for entry in tree.list(dir).map_err(fail)? {
        let path = dir.join(&entry.name).map_err(fail)?;
        if entry.kind == Kind::File {
            if entry.name.ends_with(".yaml") || entry.name.ends_with(".yml") {
                found.push(path.relative_to(base));
            }
            continue;
        }
        let mut own = false;
        for name in FILE_NAMES {
            own |= tree.stat(&path.join(name).map_err(fail)?).map_err(fail)? == Some(Kind::File);
        }
        if own {
            found.push(path.relative_to(base));
        } else {
            scan(tree, base, &path, found, depth + 1)?;
        }
    }
    Ok(())
}

fn apply(kust: &mut Kustomization, overrides: &Overrides, root: &Root<'_>) -> Result<()> {
    for (value, field) in [
        (&overrides.target_namespace, &mut kust.namespace),
        (&overrides.name_prefix, &mut kust.name_prefix),
        (&overrides.name_suffix, &mut kust.name_suffix),
    ] {
        if !value.is_empty() {
            field.clone_from(value);
        }
    }
    let patch = |patch: &Patch| kustomization::Patch {
        patch: patch.patch.clone(),
        target: patch.target.as_ref().map(selector),
        options: BTreeMap::new(),
        ..Default::default()
    };
    kust.patches.extend(overrides.patches.iter().map(patch));
    kust.patches_json6902.extend(overrides.patches_json6902.iter().map(patch));
    let texts = overrides.patches_strategic_merge.iter();
    kust.patches_strategic_merge
        .extend(texts.map(|text| Text { value: text.clone(), at: Default::default() }));
    for component in &overrides.components {
        if !is_local(component) {
            return Err(Error::invalid(format!("component path '{component}' must be local and relative")));
        }
        if overrides.ignore_missing_components && !root.is_directory(component) {
            continue;
        }
        kust.components.push(Text { value: component.clone(), at: Default::default() });
    }
    for image in &overrides.images {
        merge_image(&mut kust.images, image);
    }
    if !overrides.build_metadata.is_empty() {
        kust.build_metadata.clone_from(&overrides.build_metadata);
    }
    Ok(())
}

/// True for a path that is no URL, not absolute and does not start a repository.
fn is_local(path: &str) -> bool {
    !path.starts_with('/')
        && !path.contains("://")
        && crate::RepoSpec::parse(path).is_none()
        && !origin::clean_join("", path).is_empty()
}

/// The name is replaced when given; tag and digest are replaced together when either is.
fn merge_image(images: &mut Vec<kustomization::Image>, image: &Image) {
    let known = images.iter().position(|known| known.name == image.name);
    let Some(known) = known.and_then(|at| images.get_mut(at)) else {
        images.push(kustomization::Image {
            name: image.name.clone(),
            new_name: image.new_name.clone(),
            new_tag: image.new_tag.clone(),
            digest: image.digest.clone(),
            ..Default::default()
        });
        return;
    };
    if !image.new_name.is_empty() {
        known.new_name.clone_from(&image.new_name);
    }
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        known.new_tag.clone_from(&image.new_tag);
        known.digest.clone_from(&image.digest);
    }
}

fn selector(selector: &Selector) -> SelectorArgs {
    SelectorArgs {
        group: selector.group.clone(),
        version: selector.version.clone(),
        kind: selector.kind.clone(),
        name: selector.name.clone(),
        namespace: selector.namespace.clone(),
        label_selector: selector.label_selector.clone(),
        annotation_selector: selector.annotation_selector.clone(),
        ..SelectorArgs::default()
    }
}
