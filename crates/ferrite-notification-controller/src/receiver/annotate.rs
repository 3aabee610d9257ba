//! Asks for the reconcile of a receiver's resources, through the API.

use std::sync::Arc;

use ferrite_api::notification::{CrossNamespaceObjectReference, Receiver};
use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};

use super::filter::Filters;

/// Objects annotated at once for one webhook.
const CONCURRENT: usize = 16;
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Why a resource was not annotated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnnotateError {
    #[error(
        "{kind}/{namespace}/{name}: cross-namespace references have been blocked by --no-cross-namespace-refs"
    )]
    CrossNamespace { kind: String, namespace: String, name: String },
    #[error("apiVersion must be specified for kind {0:?}")]
    NoApiVersion(String),
    #[error("matchLabels must be set when the name is `*` (kind {0:?})")]
    NoLabels(String),
    #[error("cannot read {what}")]
    Read { what: String, source: kube::Error },
    #[error("cannot annotate {what}")]
    Patch { what: String, source: kube::Error },
    #[error("the filter failed on {what}")]
    Filter { what: String, source: ferrite_cel::Error },
}

/// What filters see of the webhook.
pub(crate) struct Webhook {
    pub(crate) request: Value,
    pub(crate) claims: Value,
}

/// Annotates every resource of the receiver that its filters pass; goes on after a failure and returns all of them.
pub(crate) async fn annotate(
    client: &kube::Client,
    receiver: &Receiver,
    filters: &Filters,
    webhook: &Webhook,
    no_cross_namespace_refs: bool,
    now: jiff::Timestamp,
) -> Vec<AnnotateError> {
    let namespace = receiver.namespace().unwrap_or_default();
    let mut failures = Vec::new();
    let mut found: Vec<(usize, Api<DynamicObject>, PartialObjectMeta<DynamicObject>)> = Vec::new();
    for (index, resource) in receiver.spec.resources.iter().enumerate() {
        match find(client, &resource.reference, &namespace, no_cross_namespace_refs).await {
            Ok((api, objects)) => {
                found.extend(objects.into_iter().map(|object| (index, api.clone(), object)))
            }
            Err(failure) => failures.push(failure),
        }
    }
    let token = Arc::new(now.to_string());
    let results: Vec<Result<(), AnnotateError>> = futures::stream::iter(found)
        .map(|(index, api, object)| {
            let token = Arc::clone(&token);
            async move { one(&api, index, &object, filters, webhook, &token).await }
        })
        .buffer_unordered(CONCURRENT)
        .collect()
        .await;
    failures.extend(results.into_iter().filter_map(Result::err));
    failures
}

async fn one(
    api: &Api<DynamicObject>,
    index: usize,
    object: &PartialObjectMeta<DynamicObject>,
    filters: &Filters,
    webhook: &Webhook,
    token: &str,
) -> Result<(), AnnotateError> {
    let what = || format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    if filters.any() {
        let view = serde_json::to_value(object).unwrap_or_default();
        let pass = filters
            .pass(index, &view, &webhook.request, &webhook.claims)
            .map_err(|source| AnnotateError::Filter { what: what(), source })?;
        if !pass {
            return Ok(());
        }
    }
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: token}}});
    let params =
        PatchParams { field_manager: Some("notification-controller".to_owned()), ..PatchParams::default() };
    let patched = api.patch_metadata(&object.name_any(), &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|source| AnnotateError::Patch { what: what(), source })
}

async fn find(
    client: &kube::Client,
    reference: &CrossNamespaceObjectReference,
    own: &str,
    no_cross_namespace_refs: bool,
) -> Result<(Api<DynamicObject>, Vec<PartialObjectMeta<DynamicObject>>), AnnotateError> {
    let namespace = reference.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(own);
    if no_cross_namespace_refs && namespace != own {
        return Err(AnnotateError::CrossNamespace {
            kind: reference.kind.clone(),
            namespace: namespace.to_owned(),
            name: reference.name.clone(),
        });
    }
    let resource = resource(reference)?;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let what = || format!("{}/{namespace}/{}", reference.kind, reference.name);
    if reference.name != "*" {
        let object = api.get_metadata(&reference.name).await;
        return object
            .map(|object| (api, vec![object]))
            .map_err(|source| AnnotateError::Read { what: what(), source });
    }
    let labels =
        reference.match_labels.as_ref().ok_or_else(|| AnnotateError::NoLabels(reference.kind.clone()))?;
    let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let list = api.list_metadata(&ListParams::default().labels(&selector.join(","))).await;
    let items = list.map_err(|source| AnnotateError::Read { what: what(), source })?.items;
    if items.is_empty() {
        tracing::info!(resource = what(), selector = selector.join(","), "no resource matches the labels");
    }
    Ok((api, items))
}

/// The resource of a reference; the API version is known for kinds that sources and images have.
fn resource(reference: &CrossNamespaceObjectReference) -> Result<ApiResource, AnnotateError> {
    let known = match reference.kind.as_str() {
        "Bucket" | "HelmChart" | "HelmRepository" | "GitRepository" | "OCIRepository" => {
            Some("source.toolkit.fluxcd.io/v1")
        }
        "ImageRepository" => Some("image.toolkit.fluxcd.io/v1"),
        "ArtifactGenerator" => Some("source.extensions.fluxcd.io/v1beta1"),
        _ => None,
    };
    let given = reference.api_version.as_deref().filter(|version| !version.is_empty());
    let version = given.or(known).ok_or_else(|| AnnotateError::NoApiVersion(reference.kind.clone()))?;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &reference.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_for_sources_only() {
        let of = |kind: &str, version: Option<&str>| {
            let reference = CrossNamespaceObjectReference {
                kind: kind.into(),
                api_version: version.map(str::to_owned),
                name: "x".into(),
                ..CrossNamespaceObjectReference::default()
            };
            resource(&reference).map(|resource| format!("{} {}", resource.api_version, resource.plural))
        };
        assert_eq!(of("GitRepository", None).unwrap(), "source.toolkit.fluxcd.io/v1 gitrepositories");
        assert_eq!(of("ImageRepository", None).unwrap(), "image.toolkit.fluxcd.io/v1 imagerepositories");
        assert_eq!(
            of("Kustomization", None).unwrap_err().to_string(),
            "apiVersion must be specified for kind \"Kustomization\""
        );
        let given = of("Kustomization", Some("kustomize.toolkit.fluxcd.io/v1")).unwrap();
        assert_eq!(given, "kustomize.toolkit.fluxcd.io/v1 kustomizations");
    }
}
