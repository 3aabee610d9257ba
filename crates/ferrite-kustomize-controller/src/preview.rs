//! What a Kustomization would be, for whoever wants to know before it is applied: the command line.
//!
//! The steps are the controller's own: kustomize, substitution, labels. Encrypted Secrets are masked, not decrypted.

use std::collections::BTreeMap;

use base64::Engine as _;
use ferrite_api::kustomize::{Kustomization, PostBuild};
use ferrite_kustomize::{Options, flux};
use ferrite_resource::{CommonMetadata, Owner, prepare};
use ferrite_tree::Tree;
use kube::Client;
use serde_json::Value;

use crate::build::{overrides, substitute};
use crate::substitute::expand;
use crate::variables::{Substitution, load};

/// Stands for what SOPS has encrypted.
const MASK: &str = "**SOPS**";

/// Why there is no preview; shows no value of a variable.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PreviewError(#[from] Box<dyn std::error::Error + Send + Sync>);

/// The variables of a post-build substitution, with those of ConfigMaps and Secrets.
///
/// # Errors
///
/// When one of them is missing and not optional, or a name is no name.
pub async fn variables(
    client: &Client,
    namespace: &str,
    post_build: Option<&PostBuild>,
) -> Result<BTreeMap<String, String>, PreviewError> {
    Ok(load(client, namespace, post_build).await.map_err(Box::from)?.variables)
}

/// Expands `${…}` in a text as the controller does in manifests; in `strict` mode every variable must be set.
///
/// # Errors
///
/// With the line of what cannot be expanded.
pub fn envsubst(
    text: &str,
    variables: &BTreeMap<String, String>,
    strict: bool,
) -> Result<String, PreviewError> {
    Ok(expand(text, variables, strict).map_err(Box::from)?)
}

/// The objects of a Kustomization built from a directory of a tree, with the labels of their owner, in build order.
///
/// # Errors
///
/// When the directory cannot be built, or a variable not be substituted.
pub fn build(
    tree: &dyn Tree,
    directory: &str,
    kustomization: &Kustomization,
    variables: &BTreeMap<String, String>,
    strict: bool,
) -> Result<Vec<Value>, PreviewError> {
    let spec = &kustomization.spec;
    let built = flux::build(tree, directory, &overrides(spec), &Options::default()).map_err(Box::from)?;
    let mut objects = built.into_objects();
    let substitution = Substitution { variables: variables.clone(), active: !variables.is_empty() };
    let common = spec.common_metadata.as_ref().map(|common| CommonMetadata {
        labels: common.labels.clone(),
        annotations: common.annotations.clone(),
    });
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let owner = Owner::new(text(&kustomization.metadata.name), text(&kustomization.metadata.namespace));
    for object in &mut objects {
        mask_encrypted(object);
        if substitution.active
            && let Some(substituted) = substitute(object, &substitution, strict).map_err(Box::from)?
        {
            *object = substituted;
        }
        prepare(object, &owner, common.as_ref());
    }
    Ok(objects)
}

/// Puts the mask in place of encrypted values and removes what SOPS says of them.
fn mask_encrypted(object: &mut Value) {
    if object.get("sops").is_none_or(Value::is_null) {
        return;
    }
    if let Some(whole) = object.as_object_mut() {
        whole.remove("sops");
    }
    for (field, mask) in
        [("data", base64::engine::general_purpose::STANDARD.encode(MASK)), ("stringData", MASK.to_owned())]
    {
        let values = object.get_mut(field).and_then(Value::as_object_mut);
        for value in values.into_iter().flat_map(serde_json::Map::values_mut) {
            if value.as_str().is_some_and(|text| text.starts_with("ENC[")) {
                *value = mask.clone().into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_tree::MemoryTree;

    #[test]
    fn encrypted_values_are_masked_and_variables_substituted() {
        let mut tree = MemoryTree::builder();
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\ndata:\n  key: ENC[AES256_GCM,data:x]\nsops:\n  mac: x\n";
        tree.insert("app/secret.yaml", secret.as_bytes(), false).unwrap();
        let kustomization: Kustomization = serde_json::from_value(serde_json::json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": "prod"},
            "spec": {"interval": "1m", "prune": true, "path": "./app", "targetNamespace": "apps",
                     "sourceRef": {"kind": "GitRepository", "name": "repo"}},
        }))
        .unwrap();
        let variables = BTreeMap::from([("name".to_owned(), "db".to_owned())]);
        let built = build(&tree.build(), "app", &kustomization, &variables, true).unwrap();
        let text: String = built.iter().map(ferrite_yaml::write).collect();
        assert_eq!(
            text,
            "apiVersion: v1\ndata:\n  key: KipTT1BTKio=\nkind: Secret\nmetadata:\n  labels:\n    kustomize.toolkit.fluxcd.io/name: app\n    kustomize.toolkit.fluxcd.io/namespace: prod\n  name: db\n  namespace: apps\n"
        );
    }
}
