//! What a Kustomization or a HelmRelease has in the cluster.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use ferrite_helm::Release;
use ferrite_resource::{Entry, ObjectId};
use kube::api::ListParams;
use serde_json::Value;

use crate::manifests;
use crate::objects::{self, dynamic, plain, text};
use crate::session::Session;

/// The ids of `status.inventory` of a Kustomization; what cannot be read is left out.
pub(crate) fn of_kustomization(object: &Value) -> Vec<ObjectId> {
    let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
    let ids = entries.into_iter().flatten().map(|entry| text(entry, "/id"));
    ids.filter_map(|id| ObjectId::from_inventory_id(id).ok()).collect()
}

/// The release record that a HelmRelease's status names; `None` when there is none here.
///
/// # Errors
///
/// When the record cannot be read.
pub(crate) async fn release(session: &Session, object: &Value) -> Result<Option<Release>> {
    let namespace = text(object, "/status/storageNamespace");
    let latest = object.pointer("/status/history/0");
    let remote = object.pointer("/spec/kubeConfig").is_some_and(|config| !config.is_null());
    let (false, false, Some(latest)) = (remote, namespace.is_empty(), latest) else { return Ok(None) };
    let version = latest.get("version").and_then(Value::as_i64).unwrap_or(0);
    let name = ferrite_helm::storage_name(text(latest, "/name"), version);
    let secrets = dynamic(session, ("", "v1", "Secret", "secrets"), Some(namespace));
    let Some(secret) = secrets.get_opt(&name).await.map_err(plain)? else { return Ok(None) };
    let whose = || format!("cannot read the Helm release {namespace}/{name}");
    let data = secret.data.pointer("/data/release").and_then(Value::as_str).unwrap_or_default();
    let data = base64::engine::general_purpose::STANDARD.decode(data).with_context(whose)?;
    let record = Release::decode(&String::from_utf8_lossy(&data)).with_context(whose)?;
    Ok(Some(record))
}

/// The objects of a HelmRelease, and its definitions when it manages them.
///
/// # Errors
///
/// As [`release`], and what the API server says.
pub(crate) async fn of_release(session: &Session, object: &Value) -> Result<Vec<ObjectId>> {
    let Some(release) = release(session, object).await? else { return Ok(Vec::new()) };
    let mapper = ferrite_apply::Mapper::new(session.client.clone());
    let mut ids = Vec::new();
    for manifest in manifests::read(&release.manifest)? {
        let Ok(entry) = Entry::of(&manifest) else { continue };
        let mut id = entry.id.clone();
        if id.namespace.is_empty() && mapper.resolve(&entry).await.is_ok_and(|found| found.namespaced) {
            id.namespace.clone_from(&release.namespace);
        }
        ids.push(id);
    }
    if manages_definitions(object) {
        let owner = ["name", "namespace"].map(|part| {
            format!("helm.toolkit.fluxcd.io/{part}={}", text(object, &format!("/metadata/{part}")))
        });
        let params = ListParams::default().labels(&owner.join(","));
        let found = crate::installed::definitions(session).list(&params).await.map_err(plain)?;
        ids.extend(found.items.iter().map(|definition| {
            let name = definition.metadata.name.clone().unwrap_or_default();
            ObjectId::new("apiextensions.k8s.io", "CustomResourceDefinition", "", name)
        }));
    }
    Ok(ids)
}

fn manages_definitions(object: &Value) -> bool {
    ["/spec/install/crds", "/spec/upgrade/crds"]
        .iter()
        .any(|pointer| !matches!(text(object, pointer), "" | "Skip"))
}

/// `Kind/namespace/name`, or `Kind/name`.
pub(crate) fn label(id: &ObjectId) -> String {
    if id.namespace.is_empty() {
        format!("{}/{}", id.kind, id.name)
    } else {
        format!("{}/{}/{}", id.kind, id.namespace, id.name)
    }
}

/// The id of an object of one of our kinds.
pub(crate) fn id_of(kind: &crate::kinds::Kind, object: &Value) -> ObjectId {
    ObjectId::new(kind.group, kind.kind, objects::namespace(object), objects::name(object))
}
