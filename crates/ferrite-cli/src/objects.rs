//! Reading and changing objects of the kinds, and reading fields of them.

use anyhow::{Result, anyhow};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::Value;

use crate::kinds::Kind;
use crate::session::Session;

/// The objects of a kind, as the API server orders them.
///
/// # Errors
///
/// [`Absent`] when the kind is not installed, else what the API server says.
pub(crate) async fn list(
    session: &Session,
    kind: &Kind,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Vec<Value>> {
    let objects = session.api(kind, namespace).list(params).await.map_err(|error| explain(error, kind))?;
    objects.items.into_iter().map(|object| value(object, kind)).collect()
}

/// An object by name.
///
/// # Errors
///
/// As [`list`]; an object that is not there is an error.
pub(crate) async fn get(session: &Session, kind: &Kind, namespace: &str, name: &str) -> Result<Value> {
    let object = session.api(kind, Some(namespace)).get(name).await.map_err(|error| explain(error, kind))?;
    value(object, kind)
}

/// Merges `patch` into an object and returns it.
///
/// # Errors
///
/// As [`list`].
pub(crate) async fn merge(
    session: &Session,
    kind: &Kind,
    namespace: &str,
    name: &str,
    patch: &Value,
) -> Result<Value> {
    let api = session.api(kind, Some(namespace));
    let object = api
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(|error| explain(error, kind))?;
    value(object, kind)
}

/// The object with its type, which members of a list may lack.
pub(crate) fn value(mut object: DynamicObject, kind: &Kind) -> Result<Value> {
    object.types = Some(kube::api::TypeMeta { api_version: kind.api_version(), kind: kind.kind.to_owned() });
    Ok(serde_json::to_value(object)?)
}

/// A kind that the cluster does not know.
#[derive(Debug, thiserror::Error)]
#[error("no matches for kind \"{kind}\" in version \"{version}\"; install the CRDs with ferrite install")]
pub(crate) struct Absent {
    kind: &'static str,
    version: String,
}

/// The API server's own words; a missing kind is told from a missing object.
pub(crate) fn explain(error: kube::Error, kind: &Kind) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 404 && status.reason != "NotFound" => {
            Absent { kind: kind.kind, version: kind.api_version() }.into()
        }
        // An API server answers so for a path it does not serve.
        kube::Error::Api(status)
            if status.code == 404
                && status.message.contains("the server could not find the requested resource") =>
        {
            Absent { kind: kind.kind, version: kind.api_version() }.into()
        }
        error => plain(error),
    }
}

/// The API server's own words.
pub(crate) fn plain(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => anyhow!("{}", status.message),
        error => error.into(),
    }
}

/// The text at a JSON pointer, or nothing.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The condition of this type.
pub(crate) fn condition<'a>(object: &'a Value, of: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == of)
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Whether `spec.suspend` is set.
pub(crate) fn suspended(object: &Value) -> bool {
    object.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// A label or nothing.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(key))
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// What a reference names: kind, namespace, name; the namespace is the object's own unless said.
pub(crate) fn reference(object: &Value, pointer: &str) -> Option<(String, String, String)> {
    let reference = object.pointer(pointer)?;
    let said = text(reference, "/namespace");
    let namespace = if said.is_empty() { namespace(object) } else { said };
    Some((text(reference, "/kind").to_owned(), namespace.to_owned(), text(reference, "/name").to_owned()))
}

/// The core API for a kind of Kubernetes' own.
pub(crate) fn dynamic(
    session: &Session,
    (group, version, kind, plural): (&str, &str, &str, &str),
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let gvk = kube::api::GroupVersionKind::gvk(group, version, kind);
    let resource = kube::api::ApiResource::from_gvk_with_plural(&gvk, plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(session.client.clone(), namespace, &resource),
        None => Api::all_with(session.client.clone(), &resource),
    }
}
