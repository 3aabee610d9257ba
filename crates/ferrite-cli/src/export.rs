//! `ferrite export`: objects as they would be kept in Git.

use anyhow::{Result, bail};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::kinds::{BUCKET, GIT_REPOSITORY, HELM_REPOSITORY, Kind, OCI_REPOSITORY};
use crate::objects::{self, text};
use crate::of_kind::{OfKind, Verb};
use crate::output;
use crate::session::Session;

/// Options of `ferrite export`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Name of the object.
    #[arg(required_unless_present = "every")]
    name: Option<String>,
    /// All objects of the namespace.
    #[arg(id = "every", long = "all", conflicts_with = "name")]
    every: bool,
    /// With the Secret that a source names.
    #[arg(long)]
    with_credentials: bool,
}

impl Verb for Options {
    const DOES: &'static str = "Export";

    fn takes(_: &Kind) -> bool {
        true
    }
}

/// Prints the objects as YAML documents.
///
/// # Errors
///
/// When there are none, or what the API server says.
pub(crate) async fn run(session: &Session, verb: &OfKind<Options>) -> Result<()> {
    let [kind] = verb.kinds.as_slice() else { bail!("name one kind") };
    let namespace = session.namespace.as_str();
    let objects = match &verb.options.name {
        Some(name) => vec![objects::get(session, kind, namespace, name).await?],
        None => objects::list(session, kind, Some(namespace), &ListParams::default()).await?,
    };
    if objects.is_empty() {
        bail!("no objects found in {namespace} namespace");
    }
    let sources = [&GIT_REPOSITORY, &OCI_REPOSITORY, &HELM_REPOSITORY, &BUCKET];
    for object in &objects {
        output::print(&document(&portable(kind, object)))?;
        let secret = text(object, "/spec/secretRef/name");
        if verb.options.with_credentials && sources.contains(kind) && !secret.is_empty() {
            let secrets = objects::dynamic(session, ("", "v1", "Secret", "secrets"), Some(namespace));
            let secret = secrets.get(secret).await.map_err(objects::plain)?;
            output::print(&document(&portable_secret(&serde_json::to_value(secret)?)))?;
        }
    }
    Ok(())
}

/// One document of a stream.
pub(crate) fn document(object: &Value) -> String {
    format!("---\n{}", ferrite_yaml::write(object))
}

/// What a person wrote of an object, without what the cluster added.
pub(crate) fn portable(kind: &Kind, object: &Value) -> Value {
    let mut out = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "metadata": metadata(object),
    });
    if let Some(spec) = object.get("spec") {
        out["spec"] = spec.clone();
    }
    out
}

fn metadata(object: &Value) -> Value {
    let mut metadata = json!({"name": objects::name(object), "namespace": objects::namespace(object)});
    for field in ["labels", "annotations"] {
        let Some(Value::Object(map)) = object.pointer(&format!("/metadata/{field}")) else { continue };
        let kept: serde_json::Map<_, _> = map
            .iter()
            .filter(|(key, _)| !key.starts_with("kubectl.kubernetes.io/"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !kept.is_empty() {
            metadata[field] = kept.into();
        }
    }
    metadata
}

fn portable_secret(object: &Value) -> Value {
    let mut out = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(object)});
    for field in ["type", "data"] {
        if let Some(value) = object.get(field) {
            out[field] = value.clone();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KUSTOMIZATION;

    #[test]
    fn what_the_cluster_added_is_left_out() {
        let object = json!({
            "metadata": {
                "name": "app", "namespace": "prod", "uid": "u", "resourceVersion": "1", "generation": 3,
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"},
                "labels": {"team": "a"}, "finalizers": ["finalizers.fluxcd.io"],
            },
            "spec": {"path": "./"}, "status": {"conditions": []},
        });
        assert_eq!(
            document(&portable(&KUSTOMIZATION, &object)),
            "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  annotations:\n    mine: \"1\"\n  labels:\n    team: a\n  name: app\n  namespace: prod\nspec:\n  path: ./\n"
        );
    }
}
