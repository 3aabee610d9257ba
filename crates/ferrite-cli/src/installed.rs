//! What is installed in a cluster, told by labels.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::Value;

use crate::objects;
use crate::session::Session;

/// The label of everything that belongs to an installation.
pub(crate) const PART_OF: &str = "app.kubernetes.io/part-of=flux";
/// The definition whose labels say what is installed.
const WITNESS: &str = "gitrepositories.source.toolkit.fluxcd.io";

/// What the labels of the definitions say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Installation {
    /// `flux-v2.9.4`, or nothing.
    pub(crate) distribution: String,
    /// Whether it is applied from Git.
    pub(crate) bootstrapped: bool,
    /// Who manages it, when that is somebody else.
    pub(crate) managed_by: String,
}

/// Reads the labels; `None` when there is no installation.
///
/// # Errors
///
/// What the API server says.
pub(crate) async fn installation(session: &Session) -> Result<Option<Installation>> {
    let found = definitions(session).get_opt(WITNESS).await.map_err(objects::plain)?;
    Ok(found.map(|found| read(&serde_json::to_value(found).unwrap_or_default())))
}

/// The API of the definitions.
pub(crate) fn definitions(session: &Session) -> Api<kube::api::DynamicObject> {
    let resource = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
    objects::dynamic(session, resource, None)
}

fn read(definition: &Value) -> Installation {
    let label = |key: &str| objects::label(definition, key).to_owned();
    let version = label("app.kubernetes.io/version");
    let part_of = label("app.kubernetes.io/part-of");
    Installation {
        distribution: if part_of.is_empty() { version } else { format!("{part_of}-{version}") },
        bootstrapped: !label("kustomize.toolkit.fluxcd.io/namespace").is_empty(),
        managed_by: label("app.kubernetes.io/managed-by"),
    }
}

/// The Deployments of the components, by name.
///
/// # Errors
///
/// What the API server says.
pub(crate) async fn deployments(session: &Session) -> Result<Vec<Deployment>> {
    let api: Api<Deployment> = Api::namespaced(session.client.clone(), &session.namespace);
    let mut found = api.list(&ListParams::default().labels(PART_OF)).await.map_err(objects::plain)?.items;
    found.sort_by_key(kube::ResourceExt::name_any);
    Ok(found)
}

/// The images of a Deployment's containers.
pub(crate) fn images(deployment: &Deployment) -> Vec<String> {
    let spec = deployment.spec.template.spec.as_ref();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    containers.iter().filter_map(|container| container.image.clone()).collect()
}

/// A Deployment as a value with its type.
pub(crate) fn value(deployment: &Deployment) -> Result<Value> {
    let mut value = serde_json::to_value(deployment)?;
    value["apiVersion"] = "apps/v1".into();
    value["kind"] = "Deployment".into();
    debug_assert_eq!(objects::name(&value), deployment.name_any(), "the name survives");
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_tell_distribution_and_bootstrap() {
        let labels = json!({
            "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.4",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        });
        let told = read(&json!({"metadata": {"labels": labels}}));
        assert_eq!(told.distribution, "flux-v2.9.4");
        assert!(told.bootstrapped);
        assert_eq!(read(&json!({"metadata": {"name": "x"}})), Installation::default());
    }
}
