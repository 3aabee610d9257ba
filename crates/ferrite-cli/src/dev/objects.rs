//! The Flux objects that `ferrite dev` puts into the cluster: one source, and what is applied from it.

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::repository::Source;

pub(crate) const NAMESPACE: &str = "flux-system";
const MANAGER: &str = "ferrite-dev";

/// Applies the namespace, the GitRepository and its Kustomizations.
///
/// # Errors
///
/// When the API server refuses one of them, naming it.
pub(crate) async fn declare(client: &Client, source: &Source, interval: &str) -> Result<()> {
    apply(client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})).await?;
    apply(client, git_repository(source, interval)).await?;
    for kustomization in kustomizations(source) {
        apply(client, kustomization).await?;
    }
    Ok(())
}

fn git_repository(source: &Source, interval: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": source.name, "namespace": NAMESPACE},
        "spec": {"url": source.url, "ref": {"branch": source.branch}, "interval": interval},
    })
}

/// The demo has two Kustomizations, the second waiting for the first; another repository has one.
fn kustomizations(source: &Source) -> Vec<Value> {
    match &source.path {
        Some(path) => vec![kustomization(source, &source.name, path, &[])],
        None => vec![
            kustomization(source, "infrastructure", "./infrastructure", &[]),
            kustomization(source, "apps", "./apps", &["infrastructure"]),
        ],
    }
}

fn kustomization(source: &Source, name: &str, path: &str, depends_on: &[&str]) -> Value {
    let mut spec = json!({
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "2m",
        "prune": true,
        "wait": true,
        "path": path,
        "sourceRef": {"kind": "GitRepository", "name": source.name},
    });
    if !depends_on.is_empty() {
        spec["dependsOn"] = depends_on.iter().map(|name| json!({"name": name})).collect();
    }
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    })
}

async fn apply(client: &Client, object: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object)?;
    let types = object.types.clone().context("object without apiVersion")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(&object.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("cannot declare {} {}", types.kind, object.name_any()))?;
    Ok(())
}

/// Asks for a reconcile of the source now, as `flux reconcile source git` does.
///
/// # Errors
///
/// When the API server cannot be reached or the object is gone.
pub(crate) async fn request_reconcile(client: &Client, name: &str, token: &str) -> Result<()> {
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}
