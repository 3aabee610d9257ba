//! `ferrite tree`: what a Kustomization has brought, and what that has brought.

use anyhow::{Context as _, Result};
use ferrite_resource::ObjectId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::inventory::{self, label};
use crate::kinds::{ARTIFACT_GENERATOR, HELM_RELEASE, KUSTOMIZATION, Kind};
use crate::objects::{self, text};
use crate::of_kind::{OfKind, Verb};
use crate::output::{self, Encoding};
use crate::session::Session;

/// Kustomizations in Kustomizations, more than this deep, are a mistake.
const DEPTH: usize = 32;

/// Options of `ferrite tree`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Name of the object.
    name: String,
    /// Flux objects only.
    #[arg(long)]
    compact: bool,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
}

impl Verb for Options {
    const DOES: &'static str = "Show the tree of";

    fn takes(kind: &Kind) -> bool {
        *kind == KUSTOMIZATION || *kind == HELM_RELEASE || *kind == ARTIFACT_GENERATOR
    }
}

/// An object and what it has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    id: ObjectId,
    children: Vec<Self>,
}

/// Prints the tree.
///
/// # Errors
///
/// When an object of it cannot be read.
pub(crate) async fn run(session: &Session, verb: &OfKind<Options>) -> Result<()> {
    let options = &verb.options;
    let Some(kind) = verb.kinds.first() else { return Ok(()) };
    let object = objects::get(session, kind, &session.namespace, &options.name).await?;
    let root = grow(session, kind, object, options.compact, 0).await?;
    output::print(&match options.output {
        Some(encoding) => encoding.text(&root.to_json()),
        None => root.text() + "\n",
    })
}

fn grow<'a>(
    session: &'a Session,
    kind: &'a Kind,
    object: Value,
    compact: bool,
    depth: usize,
) -> BoxFuture<'a, Result<Node>> {
    async move {
        let id = inventory::id_of(kind, &object);
        let mut found = match kind {
            kind if *kind == HELM_RELEASE => inventory::of_release(session, &object).await?,
            kind if *kind == KUSTOMIZATION => inventory::of_kustomization(&object),
            _ => generated(&object),
        };
        found.retain(|child| *child != id && (!compact || child.group.contains("toolkit.fluxcd.io")));
        // What is applied to another cluster is not in this one.
        let here = object.pointer("/spec/kubeConfig").is_none_or(Value::is_null) && depth < DEPTH;
        let mut children = Vec::with_capacity(found.len());
        for child in found {
            let grows = [&KUSTOMIZATION, &HELM_RELEASE]
                .into_iter()
                .find(|kind| here && kind.group == child.group && kind.kind == child.kind);
            let Some(kind) = grows else {
                children.push(Node { id: child, children: Vec::new() });
                continue;
            };
            let object = objects::get(session, kind, &child.namespace, &child.name)
                .await
                .with_context(|| format!("failed to find {}", label(&child)))?;
            children.push(grow(session, kind, object, compact, depth + 1).await?);
        }
        Ok(Node { id, children })
    }
    .boxed()
}

/// The ExternalArtifacts of an ArtifactGenerator.
fn generated(object: &Value) -> Vec<ObjectId> {
    let entries = object.pointer("/status/inventory").and_then(Value::as_array);
    let entries = entries.into_iter().flatten();
    entries
        .map(|entry| {
            let group = crate::kinds::EXTERNAL_ARTIFACT.group;
            ObjectId::new(group, "ExternalArtifact", text(entry, "/namespace"), text(entry, "/name"))
        })
        .collect()
}

impl Node {
    fn text(&self) -> String {
        let mut out = label(&self.id) + "\n";
        self.branches(&mut out, "");
        out
    }

    fn branches(&self, out: &mut String, before: &str) {
        for (index, child) in self.children.iter().enumerate() {
            let last = index + 1 == self.children.len();
            let (branch, below) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
            out.push_str(&format!("{before}{branch}{}\n", label(&child.id)));
            child.branches(out, &format!("{before}{below}"));
        }
    }

    fn to_json(&self) -> Value {
        let id = &self.id;
        let mut node = json!({"resource": {
            "Namespace": id.namespace, "Name": id.name, "GroupKind": {"Group": id.group, "Kind": id.kind},
        }});
        if !self.children.is_empty() {
            node["resources"] = self.children.iter().map(Self::to_json).collect();
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_drawn_as_flux_draws_them() {
        let leaf =
            |kind: &str, name: &str| Node { id: ObjectId::new("", kind, "ns", name), children: Vec::new() };
        let inner = Node {
            children: vec![leaf("ConfigMap", "a"), leaf("ConfigMap", "b")],
            ..leaf("Kustomization", "x")
        };
        let root = Node { children: vec![inner, leaf("Secret", "s")], ..leaf("Kustomization", "root") };
        assert_eq!(
            root.text(),
            "Kustomization/ns/root\n├── Kustomization/ns/x\n│   ├── ConfigMap/ns/a\n│   └── ConfigMap/ns/b\n└── Secret/ns/s\n"
        );
    }
}
