//! One object, and the forms in which objects are shown.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use super::Scope;
use crate::http::negotiate::{self, Accept, View};
use crate::http::{Body, respond};
use crate::resources::Resource;
use crate::status::ApiError;
use crate::store::Stored;

pub(crate) async fn get(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = accept(scope, false)?;
    await_version(scope).await?;
    let stored = find(scope)?;
    Ok(show(scope, accept, 200, &stored))
}

/// The form that the client asked for.
pub(crate) fn accept(scope: &Scope<'_>, streams: bool) -> Result<Accept, ApiError> {
    let header = scope.call.header("accept");
    if scope.resource.custom.is_some()
        && header.is_some_and(|h| h.trim() == "application/vnd.kubernetes.protobuf")
    {
        return Err(ApiError::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
            None,
        ));
    }
    let accept = negotiate::objects(header, streams)?;
    let include = scope.call.query.text("includeObject").unwrap_or_default();
    if matches!(accept.view, View::Table(_)) && !matches!(include, "" | "None" | "Metadata" | "Object") {
        let why = format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {include:?}: must be 'Metadata', 'Object', 'None', or empty"
        );
        return Err(ApiError::bad_request(why));
    }
    one_or_many(scope, header.unwrap_or_default(), accept)?;
    Ok(accept)
}

/// Refuses metadata of one object where there is a list, and the other way round.
fn one_or_many(scope: &Scope<'_>, header: &str, accept: Accept) -> Result<(), ApiError> {
    if !matches!(accept.view, View::Metadata(_))
        || scope.call.method != http::Method::GET
        || scope.call.query.flag("watch")
    {
        return Ok(());
    }
    let kind = &scope.resource.kind;
    let internal = if scope.resource.group.is_empty() {
        "core"
    } else {
        scope.resource.group.split('.').next().unwrap_or_default()
    };
    let asks_list = header.contains("as=PartialObjectMetadataList");
    let why = match (scope.name.is_empty(), asks_list) {
        (true, false) => format!(
            "you requested PartialObjectMetadata, but the requested object is a list (*{internal}.{kind}List)"
        ),
        (false, true) => format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list (*{internal}.{kind})"
        ),
        (true, true) | (false, false) => return Ok(()),
    };
    Err(ApiError::new(406, "NotAcceptable", why, None))
}

pub(crate) fn find(scope: &Scope<'_>) -> Result<Arc<Stored>, ApiError> {
    let found = scope.server.store.get(&scope.resource.key, scope.namespace, scope.name);
    found.ok_or_else(|| ApiError::not_found(scope.subject()))
}

/// Waits a moment for a version that is not there yet, as reads with a minimum version do.
pub(crate) async fn await_version(scope: &Scope<'_>) -> Result<(), ApiError> {
    let Some(text) = scope.call.query.text("resourceVersion") else { return Ok(()) };
    let Ok(asked) = text.parse::<u64>() else {
        return Err(crate::handlers::list::invalid_version(scope, text));
    };
    if asked <= scope.server.store.version() {
        return Ok(());
    }
    let mut follow = scope.server.store.follow();
    let waited =
        tokio::time::timeout(std::time::Duration::from_secs(3), follow.wait_for(|v| *v >= asked)).await;
    if waited.is_ok() {
        return Ok(());
    }
    let message =
        format!("Timeout: Too large resource version: {asked}, current: {}", scope.server.store.version());
    let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
    let details = json!({"causes": [cause], "retryAfterSeconds": 1});
    Err(ApiError::new(504, "Timeout", message, Some(details)).with_retry_after(1))
}

/// The JSON of a stored object in the version of `resource`.
pub(crate) fn in_version(resource: &Resource, stored: &Stored) -> Bytes {
    if !needs_conversion(resource) {
        return stored.json.clone();
    }
    value_in_version(resource, stored).to_string().into()
}

/// The parsed object in the version of `resource`.
pub(crate) fn value_in_version(resource: &Resource, stored: &Stored) -> Value {
    let mut value = stored.value();
    if needs_conversion(resource) {
        convert(resource, &mut value);
    }
    value
}

fn needs_conversion(resource: &Resource) -> bool {
    resource.version != resource.storage
        || resource.group == "events.k8s.io"
        || resource.custom.as_ref().is_some_and(|c| c.defaults_on_read)
}

/// From the storage version to the served one.
pub(crate) fn convert(resource: &Resource, value: &mut Value) {
    match &resource.custom {
        Some(custom) => {
            crate::resources::set_version(value, &resource.group, &resource.version);
            custom.read(value);
        }
        None => crate::kinds::convert::from_storage(resource, value),
    }
}

/// An answer about one object.
pub(crate) fn show(scope: &Scope<'_>, accept: Accept, code: u16, stored: &Stored) -> Response<Body> {
    match accept.view {
        View::Object => respond::encoded(code, accept.format, in_version(&scope.resource, stored)),
        View::Metadata(_) | View::Table(_) => {
            show_value(scope, accept, code, value_in_version(&scope.resource, stored))
        }
    }
}

/// An answer about an object that is not stored as such.
pub(crate) fn show_value(scope: &Scope<'_>, accept: Accept, code: u16, value: Value) -> Response<Body> {
    let value = match accept.view {
        View::Object => value,
        View::Metadata(version) => partial(version, value),
        View::Table(version) => {
            let include = scope.call.query.text("includeObject").unwrap_or("Metadata");
            let version_text = value["metadata"]["resourceVersion"].clone();
            crate::tables::table(
                &scope.resource,
                version,
                std::slice::from_ref(&value),
                include,
                &json!({"resourceVersion": version_text}),
                true,
            )
        }
    };
    respond::document(code, accept.format, &value)
}

/// The object's metadata as a `PartialObjectMetadata`.
pub(crate) fn partial(version: &str, mut value: Value) -> Value {
    let mut out = Map::new();
    out.insert("kind".into(), "PartialObjectMetadata".into());
    out.insert("apiVersion".into(), version.into());
    out.insert("metadata".into(), value["metadata"].take());
    Value::Object(out)
}

/// An answer about something that is no object of the resource, such as a Scale: it has no table form.
pub(crate) fn show_plain(scope: &Scope<'_>, accept: Accept, code: u16, value: Value) -> Response<Body> {
    let view = if matches!(accept.view, View::Table(_)) { View::Object } else { accept.view };
    show_value(scope, Accept { view, ..accept }, code, value)
}
