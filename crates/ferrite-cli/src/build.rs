//! `ferrite build ks`: what a Kustomization would apply, from a directory of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use ferrite_api::kustomize::Kustomization;
use ferrite_kustomize_controller::preview;
use ferrite_tree::DiskTree;
use serde_json::Value;

use crate::export::document;
use crate::kinds::{KUSTOMIZATION, find};
use crate::manifests;
use crate::objects::{self, reference, text};
use crate::output;
use crate::session::{Global, NAMESPACE, Session};

/// Kustomizations within Kustomizations are built this deep.
const DEPTH: usize = 32;

/// What a Kustomization is built from; shared with `diff`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Input {
    /// Name of the Kustomization.
    pub(crate) name: String,
    /// Directory of this machine that stands for spec.path.
    #[arg(long)]
    path: PathBuf,
    /// File with the Kustomization; else it is read from the cluster.
    #[arg(long)]
    kustomization_file: Option<PathBuf>,
    /// Fail for variables that have neither value nor default.
    #[arg(long)]
    strict_substitute: bool,
    /// Also build the Kustomizations that are among the objects.
    #[arg(short, long)]
    recursive: bool,
    /// Where the sources of those are: Kind/namespace/name=directory.
    #[arg(long, value_delimiter = ',')]
    local_sources: Vec<String>,
    /// Accepted for scripts written for flux: a build is always in memory.
    #[arg(long, hide = true)]
    in_memory_build: bool,
}

/// Options of `ferrite build kustomization`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    input: Input,
    /// Ask nothing of a cluster: substituteFrom is left out. Needs --kustomization-file.
    #[arg(long, requires = "kustomization_file")]
    dry_run: bool,
}

/// Builds and prints.
///
/// # Errors
///
/// When it cannot be built, naming file and line.
pub(crate) async fn run(global: &Global, options: &Options) -> Result<()> {
    let session = if options.dry_run { None } else { Some(global.session().await?) };
    let namespace = match &session {
        Some(session) => session.namespace.clone(),
        None => global.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()),
    };
    let builder = Builder::new(session.as_ref(), &options.input)?;
    let root = builder.kustomization(&namespace).await?;
    let built = builder.build(&root).await?;
    output::print(&built.iter().flat_map(|built| &built.objects).map(document).collect::<String>())
}

/// A Kustomization and its objects.
#[derive(Debug)]
pub(crate) struct Built {
    /// As the cluster or the file has it.
    pub(crate) kustomization: Value,
    pub(crate) objects: Vec<Value>,
}

/// Builds Kustomizations from local directories.
pub(crate) struct Builder<'a> {
    session: Option<&'a Session>,
    input: &'a Input,
    /// Directories by `Kind/namespace/name`.
    sources: BTreeMap<String, PathBuf>,
}

impl<'a> Builder<'a> {
    /// A builder; without a session nothing is asked of a cluster.
    ///
    /// # Errors
    ///
    /// When a local source cannot be understood, or a directory is not there.
    pub(crate) fn new(session: Option<&'a Session>, input: &'a Input) -> Result<Self> {
        if !input.path.is_dir() {
            bail!("invalid resource path {:?}: it is not a directory", input.path);
        }
        let mut sources = BTreeMap::new();
        for pair in &input.local_sources {
            let (source, directory) = pair
                .split_once('=')
                .filter(|(source, _)| source.split('/').count() == 3)
                .with_context(|| format!("local source {pair}: expected Kind/namespace/name=directory"))?;
            sources.insert(source.to_owned(), PathBuf::from(directory));
        }
        Ok(Self { session, input, sources })
    }

    /// The Kustomization to build, from the file or the cluster.
    ///
    /// # Errors
    ///
    /// When it is in neither.
    pub(crate) async fn kustomization(&self, namespace: &str) -> Result<Value> {
        let name = &self.input.name;
        let Some(file) = &self.input.kustomization_file else {
            let session = self.session.context("--kustomization-file is needed without a cluster")?;
            return objects::get(session, &KUSTOMIZATION, namespace, name).await;
        };
        let documents = manifests::read(&fs_err::read_to_string(file)?)?;
        let mut found = documents
            .into_iter()
            .find(|object| is_kustomization(object) && objects::name(object) == name)
            .with_context(|| format!("{} has no Kustomization {name}", file.display()))?;
        if objects::namespace(&found).is_empty() {
            found["metadata"]["namespace"] = namespace.into();
        }
        // What it has in the cluster tells what would be deleted.
        if let Some(session) = self.session
            && let Ok(live) = objects::get(session, &KUSTOMIZATION, objects::namespace(&found), name).await
            && let Some(status) = live.get("status")
        {
            found["status"] = status.clone();
        }
        Ok(found)
    }

    /// The Kustomization's objects, followed by those of Kustomizations among them when that is asked for.
    ///
    /// # Errors
    ///
    /// When one cannot be built.
    pub(crate) async fn build(&self, root: &Value) -> Result<Vec<Built>> {
        let mut all =
            vec![Built { objects: self.one(root, &self.input.path).await?, kustomization: root.clone() }];
        let mut next = 0;
        while self.input.recursive && next < all.len() {
            let inner: Vec<Value> = all
                .get(next)
                .map(|built| {
                    built.objects.iter().filter(|object| is_kustomization(object)).cloned().collect()
                })
                .unwrap_or_default();
            for kustomization in inner {
                if all.len() > DEPTH * DEPTH {
                    bail!("more than {} Kustomizations contain each other", DEPTH * DEPTH);
                }
                let same = |built: &Built| same_object(&built.kustomization, &kustomization);
                if all.iter().any(same) {
                    continue;
                }
                let Some(directory) = self.local(&kustomization) else { continue };
                let objects = self.one(&kustomization, &directory).await?;
                all.push(Built { objects, kustomization });
            }
            next += 1;
        }
        Ok(all)
    }

    /// Where the directory of an inner Kustomization is.
    fn local(&self, kustomization: &Value) -> Option<PathBuf> {
        let (kind, namespace, name) = reference(kustomization, "/spec/sourceRef")?;
        let root = self.sources.get(&format!("{kind}/{namespace}/{name}"))?;
        Some(root.join(text(kustomization, "/spec/path").trim_start_matches("./").trim_start_matches('/')))
    }

    async fn one(&self, object: &Value, directory: &Path) -> Result<Vec<Value>> {
        let shown = format!("Kustomization {}/{}", objects::namespace(object), objects::name(object));
        let kustomization: Kustomization =
            serde_json::from_value(object.clone()).with_context(|| format!("{shown} is not valid"))?;
        let post_build = kustomization.spec.post_build.as_ref();
        let variables = match self.session {
            Some(session) => {
                preview::variables(&session.client, objects::namespace(object), post_build).await?
            }
            None => post_build
                .map(|post_build| post_build.substitute.clone())
                .unwrap_or_default()
                .into_iter()
                .collect(),
        };
        let directory = fs_err::canonicalize(directory)?;
        // The whole file system, so that `../base` resolves as it does in the repository.
        let tree = DiskTree::new("/")?;
        let strict = self.input.strict_substitute;
        preview::build(&tree, &directory.to_string_lossy(), &kustomization, &variables, strict)
            .with_context(|| format!("cannot build {shown} from {}", directory.display()))
    }
}

/// Whether the object is a Flux Kustomization.
fn is_kustomization(object: &Value) -> bool {
    text(object, "/kind") == KUSTOMIZATION.kind
        && find(text(object, "/kind")).is_some_and(|kind| text(object, "/apiVersion").starts_with(kind.group))
}

fn same_object(left: &Value, right: &Value) -> bool {
    objects::name(left) == objects::name(right) && objects::namespace(left) == objects::namespace(right)
}
