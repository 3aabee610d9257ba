//! Files that a build makes Secrets or patches of, decrypted before it: what `secretGenerator` and `patches` name, in the
//! kustomization at the path and in all that it includes.

use std::collections::{BTreeMap, HashSet};

use ferrite_sops::{Encrypted, Format, Integrity, KeyService};
use ferrite_tree::{Kind, Tree, TreePath};
use ferrite_yaml::{Limits, Node};
use zeroize::Zeroizing;

/// A file that may be encrypted is no larger, as in Flux.
const MAX_FILE: usize = 5 << 20;
/// Directories of one build.
const MAX_DIRECTORIES: usize = 10_000;
const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Why a file cannot be decrypted; holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    /// It is too large.
    #[error("{path}: cannot decrypt file with size ({size} bytes) exceeding limit ({MAX_FILE})")]
    Size {
        /// The file.
        path: String,
        /// Its bytes.
        size: usize,
    },
    /// It cannot be decrypted.
    #[error("{path}")]
    Decrypt {
        /// The file.
        path: String,
        /// Why.
        source: ferrite_sops::Error,
    },
}

/// The decrypted bytes of every file that has to be.
pub(crate) fn decrypt_sources(
    tree: &dyn Tree,
    directory: &str,
    components: &[String],
    service: &dyn KeyService,
) -> Result<BTreeMap<TreePath, Zeroizing<Vec<u8>>>, SourcesError> {
    let mut walk = Walk { tree, service, seen: HashSet::new(), decrypted: BTreeMap::new() };
    let Some(start) = confined(directory) else { return Ok(walk.decrypted) };
    let mut open = vec![start.clone()];
    // A path without a kustomization includes the directories below it that have one.
    if kustomization(tree, &start).is_none() {
        open.extend(below(tree, &start));
    }
    open.extend(components.iter().filter_map(|component| join(&start, component)));
    while let Some(directory) = open.pop() {
        if walk.seen.len() < MAX_DIRECTORIES && walk.seen.insert(directory.clone()) {
            open.extend(walk.directory(&directory)?);
        }
    }
    Ok(walk.decrypted)
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    service: &'a dyn KeyService,
    seen: HashSet<TreePath>,
    decrypted: BTreeMap<TreePath, Zeroizing<Vec<u8>>>,
}

impl Walk<'_> {
    /// Decrypts what the kustomization of a directory names; the directories that it includes.
    fn directory(&mut self, directory: &TreePath) -> Result<Vec<TreePath>, SourcesError> {
        // What cannot be read here is told by the build.
        let Some(node) = kustomization(self.tree, directory) else { return Ok(Vec::new()) };
        for generator in items(&node, "secretGenerator") {
            for source in texts(generator, "files") {
                let (key, path) = source.split_once('=').unwrap_or((source, source));
                self.file(directory, path, Format::of_path(key))?;
            }
            for path in texts(generator, "envs") {
                let format = match Format::of_path(path) {
                    Format::Binary => Format::Dotenv,
                    format => format,
                };
                self.file(directory, path, format)?;
            }
        }
        for patch in items(&node, "patches") {
            if let Some(path) = patch.text_at(&["path"]).filter(|path| !path.is_empty() && !is_remote(path)) {
                self.file(directory, path, Format::of_path(path))?;
            }
        }
        let included = texts(&node, "resources").chain(texts(&node, "components"));
        Ok(included.filter_map(|path| join(directory, path)).collect())
    }

    fn file(&mut self, directory: &TreePath, path: &str, format: Format) -> Result<(), SourcesError> {
        let Some(path) = join(directory, path) else { return Ok(()) };
        if self.decrypted.contains_key(&path) || !matches!(self.tree.stat(&path), Ok(Some(Kind::File))) {
            return Ok(());
        }
        let Ok(bytes) = self.tree.read(&path) else { return Ok(()) };
        if bytes.len() > MAX_FILE {
            return Err(SourcesError::Size { path: path.to_string(), size: bytes.len() });
        }
        if !format.is_encrypted(&bytes) {
            return Ok(());
        }
        let plain = Encrypted::load(&bytes, format)
            .and_then(|encrypted| encrypted.decrypt(self.service, Integrity::ValuesOnly))
            .and_then(|plain| plain.emit(format))
            .map_err(|source| SourcesError::Decrypt { path: path.to_string(), source })?;
        self.decrypted.insert(path, plain);
        Ok(())
    }
}

fn kustomization(tree: &dyn Tree, directory: &TreePath) -> Option<Node> {
    let file = FILE_NAMES.iter().find_map(|name| {
        let file = directory.join(name).ok()?;
        matches!(tree.stat(&file), Ok(Some(Kind::File))).then_some(file)
    })?;
    let bytes = tree.read(&file).ok()?;
    let text = ferrite_yaml::decode_text(&bytes).ok()?;
    ferrite_yaml::parse(&text, &Limits::default()).ok().flatten()
}

/// The directories below that have a kustomization; not those below them.
fn below(tree: &dyn Tree, start: &TreePath) -> Vec<TreePath> {
    let (mut found, mut open, mut seen) = (Vec::new(), vec![start.clone()], 0);
    while let Some(directory) = open.pop() {
        seen += 1;
        if seen > MAX_DIRECTORIES {
            break;
        }
        for entry in tree.list(&directory).unwrap_or_default() {
            let (Kind::Directory, Ok(path)) = (entry.kind, directory.join(&entry.name)) else { continue };
            if kustomization(tree, &path).is_some() {
                found.push(path);
            } else {
                open.push(path);
            }
        }
    }
    found
}

fn items<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> {
    node.get(name).and_then(Node::items).unwrap_or_default().iter()
}

fn texts<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a str> {
    items(node, name).filter_map(Node::text)
}

/// With a scheme and a host.
fn is_remote(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
}

fn join(directory: &TreePath, path: &str) -> Option<TreePath> {
    confined(&format!("{directory}/{path}"))
}

/// A path as it lies below the root: leading slashes mean nothing and `..` stops at the root.
fn confined(path: &str) -> Option<TreePath> {
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
    TreePath::new(&parts.join("/")).ok()
}
