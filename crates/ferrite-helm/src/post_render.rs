//! Changes to manifests between rendering and sorting.

use std::collections::BTreeMap;

use ferrite_yaml::{Limits, Node};

use crate::{
    error::Error,
    manifest::{self, Hook, Manifest},
};

/// Says which file a document came from while it is in a post-renderer's hands.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";

/// Something that rewrites a stream of manifests.
pub trait PostRender: std::fmt::Debug + Send + Sync {
    /// Gets all documents as one YAML stream and returns it changed.
    ///
    /// # Errors
    ///
    /// Why it could not; the action fails with it.
    fn run(&self, manifests: &str) -> Result<String, String>;
}

/// Which documents a post-renderer sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Hooks and manifests in one stream: Helm 4's way.
    #[default]
    Combined,
    /// Hooks and manifests one after the other.
    Separate,
    /// Hooks untouched: Helm 3's way.
    NoHooks,
}

/// Sends the rendered files through a post-renderer and sorts what comes back.
pub(crate) fn run(
    files: &BTreeMap<String, String>,
    renderer: &dyn PostRender,
    strategy: Strategy,
) -> Result<(Vec<Manifest>, Vec<Hook>), Error> {
    if strategy == Strategy::Combined {
        let documents = files.iter().filter(|(path, _)| !is_partial(path));
        let documents = documents.flat_map(|(path, content)| {
            manifest::split(content).into_iter().map(move |d| (path.as_str(), d))
        });
        return manifest::sort(&pass(documents, renderer)?);
    }
    let (manifests, mut hooks) = manifest::sort(files)?;
    let changed = pass(manifests.iter().map(|m| (m.path.as_str(), m.content.as_str())), renderer)?;
    let (manifests, _) = manifest::sort(&changed)?;
    if strategy == Strategy::Separate {
        let changed = pass(hooks.iter().map(|h| (h.path.as_str(), h.manifest.as_str())), renderer)?;
        hooks = manifest::sort(&changed)?.1;
    }
    Ok((manifests, hooks))
}

fn is_partial(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with('_'))
}

fn parse(document: &str) -> Result<Option<Node>, Error> {
    let limits = Limits { keep_merge_keys: true, ..Limits::default() };
    ferrite_yaml::parse(document, &limits)
        .map_err(|e| Error::manifest(format!("parsing YAML for post-rendering: {e}")))
}

fn pass<'d>(
    documents: impl Iterator<Item = (&'d str, &'d str)>,
    renderer: &dyn PostRender,
) -> Result<BTreeMap<String, String>, Error> {
    let mut stream = String::new();
    for (path, document) in documents {
        let Some(mut node) = parse(document)? else { continue };
        mark(&mut node, Some(path));
        if !stream.is_empty() {
            stream.push_str("---\n");
        }
        stream.push_str(&ferrite_yaml::write_styled(&node));
    }
    let changed = renderer
        .run(&stream)
        .map_err(|e| Error::manifest(format!("error while running post render on files: {e}")))?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (i, document) in manifest::split(&changed).into_iter().enumerate() {
        let Some(mut node) = parse(document)? else { continue };
        let path = mark(&mut node, None).unwrap_or_else(|| format!("generated-by-postrender-{i}.yaml"));
        let content = files.entry(path).or_default();
        if !content.is_empty() {
            content.push_str("---\n");
        }
        content.push_str(&ferrite_yaml::write_styled(&node));
    }
    Ok(files)
}

/// Sets or takes away the annotation with the file's name; returns the one that was there.
fn mark(node: &mut Node, path: Option<&str>) -> Option<String> {
    let old = node.text_at(&["metadata", "annotations", FILE]).map(str::to_owned);
    match path {
        Some(path) => {
            if node.get("metadata").is_none() {
                node.set("metadata", Node::map());
            }
            let metadata = node.get_mut("metadata")?;
            if metadata.get("annotations").is_none_or(Node::is_null) {
                metadata.set("annotations", Node::map());
            }
            metadata.get_mut("annotations")?.set(FILE, Node::string(path));
        }
        None => {
            let metadata = node.get_mut("metadata")?;
            let annotations = metadata.get_mut("annotations")?;
            annotations.remove(FILE);
            if annotations.as_map().is_some_and(|map| map.entries.is_empty()) {
                metadata.remove("annotations");
            }
            if metadata.as_map().is_some_and(|map| map.entries.is_empty()) {
                node.remove("metadata");
            }
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::{PostRender, Strategy, run};

    #[derive(Debug)]
    struct Replace;

    impl PostRender for Replace {
        fn run(&self, manifests: &str) -> Result<String, String> {
            assert!(manifests.contains("postrender-filename"), "{manifests}");
            Ok(manifests.replace("old", "new"))
        }
    }

    #[test]
    fn documents_come_back_to_their_files() {
        let files = [
            (
                "c/templates/a.yaml".to_owned(),
                "kind: A\nmetadata:\n  name: old\n---\nkind: B\nx: old\n".to_owned(),
            ),
            (
                "c/templates/h.yaml".to_owned(),
                "kind: Job\nmetadata:\n  name: old\n  annotations:\n    helm.sh/hook: test\n".to_owned(),
            ),
        ]
        .into();
        let (manifests, hooks) = run(&files, &Replace, Strategy::Combined).unwrap();
        let shown: Vec<_> = manifests.iter().map(|m| (m.path.as_str(), m.content.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("c/templates/a.yaml", "kind: A\nmetadata:\n  name: new\n"),
                ("c/templates/a.yaml", "kind: B\nx: new\n")
            ]
        );
        assert_eq!(hooks[0].name, "new");
        let (_, hooks) = run(&files, &Replace, Strategy::NoHooks).unwrap();
        assert_eq!(hooks[0].name, "old");
    }
}
