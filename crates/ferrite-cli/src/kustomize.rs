//! `ferrite kustomize build`: what `kustomize build` prints, with its flags and exit codes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use ferrite_kustomize::{Build, LoadRestrictor, Object, Options, Remote as _, Reorder, RepoSpec};
use ferrite_tree::DiskTree;

use crate::args::{self, KustomizeBuild};
use crate::charts::LocalCharts;
use crate::remote::Network;

/// Builds the kustomization and prints or writes it.
///
/// # Errors
///
/// When the directory cannot be built, naming file and line, or the output cannot be written.
pub(crate) fn build(options: &KustomizeBuild) -> Result<()> {
    let build = load(options)?;
    for warning in build.warnings() {
        eprintln!("# Warning: {warning}");
    }
    match &options.output {
        None => match std::io::stdout().write_all(build.to_yaml().as_bytes()) {
            // Whoever reads has seen enough, as `head` does.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.context("cannot write to standard output")?,
        },
        Some(path) if path.is_dir() => write_each(&build, path)?,
        Some(path) => fs_err::write(path, build.to_yaml())?,
    }
    Ok(())
}

/// Builds a directory of this machine, or of a repository when a URL is given.
fn load(options: &KustomizeBuild) -> Result<Build> {
    let engine = engine(options);
    let remote = RepoSpec::parse(&options.dir).filter(|_| !Path::new(&options.dir).exists());
    if let Some(spec) = remote {
        let tree =
            Network.repository(&spec).map_err(|problem| anyhow!("cannot load {}: {problem}", options.dir))?;
        return Ok(ferrite_kustomize::build(tree.as_ref(), &spec.path, &engine)?);
    }
    let directory = fs_err::canonicalize(&options.dir)?;
    if !directory.is_dir() {
        bail!("{} is not a directory; name the directory that holds the kustomization", directory.display());
    }
    // The tree is the whole file system, so that `../base` and links resolve as they do for kustomize; what may be
    // loaded of it is the load restrictor's decision.
    let tree = DiskTree::new("/")?;
    Ok(ferrite_kustomize::build(&tree, &directory.to_string_lossy(), &engine)?)
}

fn engine(options: &KustomizeBuild) -> Options {
    Options {
        load_restrictor: match options.load_restrictor {
            args::LoadRestrictor::RootOnly => LoadRestrictor::RootOnly,
            args::LoadRestrictor::None => LoadRestrictor::None,
        },
        // The command line's default is the legacy order; Flux builds with none.
        reorder: match options.reorder {
            None | Some(args::Reorder::Legacy) => Reorder::Legacy,
            Some(args::Reorder::None) => Reorder::None,
        },
        managed_by_label: options.enable_managedby_label,
        enable_helm: options.enable_helm,
        remote: Some(Arc::new(Network)),
        helm: Some(Arc::new(LocalCharts)),
    }
}

/// One file for each object, named as kustomize names them.
fn write_each(build: &Build, directory: &Path) -> Result<()> {
    let objects: Vec<&Object> = build.resources().iter().collect();
    let namespaces: BTreeSet<&str> =
        objects.iter().map(|object| object.namespace()).filter(|name| !name.is_empty()).collect();
    for object in objects {
        let name = file_name(object, namespaces.len() > 1);
        fs_err::write(directory.join(&name), object.to_yaml())?;
    }
    Ok(())
}

/// `[namespace_][group_]version_kind_name.yaml` in lower case; the namespace only where there are several.
fn file_name(object: &Object, several_namespaces: bool) -> String {
    let gvk = object.gvk();
    let namespace = if several_namespaces { object.namespace() } else { "" };
    let parts = [namespace, &gvk.group, &gvk.version, &gvk.kind, object.name()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    // A name may hold `:` and the like, but never a slash.
    format!("{}.yaml", parts.join("_").to_lowercase().replace('/', "_"))
}
