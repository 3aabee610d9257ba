//! The `kustomize build` engine: a tree of files in, ordered Kubernetes objects out.
//!
//! ```text
//! Tree ─▶ accumulate ─▶ hash names ─▶ repair references ─▶ vars ─▶ order ─▶ Build
//!          │ per directory, depth first:
//!          └ resources ▸ configurations ▸ generators ▸ components ▸ transformers ▸ validators
//! ```
//!
//! For whoever needs what `kustomize build` prints, byte for byte, without a process, a cluster or a network. To
//! build what a Flux `Kustomization` applies, use [`flux::build`], which adds the overrides of its `spec`.
//!
//! ```
//! use ferrite_tree::MemoryTree;
//!
//! let mut files = MemoryTree::builder();
//! files.insert("kustomization.yaml", b"namePrefix: a-\nresources: [cm.yaml]\n", false)?;
//! files.insert("cm.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n", false)?;
//! let build = ferrite_kustomize::build(&files.build(), "", &Default::default())?;
//! assert_eq!(build.to_yaml(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a-b\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariants.** Nothing outside the given tree is read, and what was read is reported. No global state: builds run
//! side by side, each with its own schema. Remote resources and charts go through traits the caller supplies; without
//! them they are refused. Functions in containers and executables are always refused.

mod accumulate;
mod accumulator;
mod config;
mod crds;
mod decode;
mod error;
mod fieldpath;
mod fieldspec;
mod finish;
pub mod flux;
mod generate;
mod hash;
mod helm;
mod id;
mod json6902;
mod kustomization;
mod loader;
mod merge;
mod nameref;
mod order;
mod origin;
mod plugin;
mod remote;
mod replacement;
mod resource;
mod schema;
mod selector;
mod shared;
mod steps;
mod stream;
mod transform;
mod vars;

use std::fmt;
use std::sync::Arc;

use ferrite_tree::{Tree, TreePath};

pub use error::{Error, ErrorKind, Location};
pub use finish::{Build, Object};
pub use helm::{HelmRenderer, HelmRequest};
pub use id::Gvk;
pub use order::Reorder;
pub use remote::{Remote, RepoSpec};

/// Which files a kustomization may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadRestrictor {
    /// Those in or below its own directory, links resolved: the default of `kustomize build`.
    #[default]
    RootOnly,
    /// Any in the tree. What Flux does, with a tree confined to the artifact.
    None,
}

/// How to build.
#[derive(Clone, Default)]
pub struct Options {
    /// Which files a kustomization may name.
    pub load_restrictor: LoadRestrictor,
    /// The order of the output, unless the root's `sortOptions` says it.
    pub reorder: Reorder,
    /// Puts the label `app.kubernetes.io/managed-by` on everything.
    pub managed_by_label: bool,
    /// Allows `helmCharts`, given a renderer.
    pub enable_helm: bool,
    /// Fetches remote resources; without it they are refused.
    pub remote: Option<Arc<dyn Remote>>,
    /// Renders charts; without it they are refused.
    pub helm: Option<Arc<dyn HelmRenderer>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("load_restrictor", &self.load_restrictor)
            .field("reorder", &self.reorder)
            .field("managed_by_label", &self.managed_by_label)
            .field("enable_helm", &self.enable_helm)
            .field("remote", &self.remote.is_some())
            .field("helm", &self.helm.is_some())
            .finish()
    }
}

/// Builds the kustomization in directory `dir` of `tree`; the empty string is the tree's root.
///
/// # Errors
/// The first thing that is wrong, with file, line and column where they are known.
pub fn build(tree: &dyn Tree, dir: &str, options: &Options) -> Result<Build, Error> {
    let session = loader::Session::new(options);
    let root = loader::Root::first(&session, tree, dir)?;
    let target = accumulate::Target::load(root)?;
    let list = finish::run(target, options)?;
    let (files_read, warnings): (Vec<TreePath>, Vec<String>) = session.finish();
    finish::Build::new(list, files_read, warnings)
}
