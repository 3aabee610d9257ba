//! What stands between an authorised write and the store: namespaces, service accounts, limits, quotas.

mod limits;
mod pods;
mod policy;
mod quota;

use parking_lot::MutexGuard;
use serde_json::{Value, json};

use crate::handlers::perform::Writer;
use crate::json::text;
use crate::status::{ApiError, Subject};

pub(crate) use policy::check as policies;
pub(crate) use quota::recount_all;

/// Refuses new objects in namespaces that are not there or are going.
pub(crate) fn lifecycle(writer: &Writer<'_>, object: &Value) -> Result<(), ApiError> {
    if !writer.resource.namespaced {
        return Ok(());
    }
    let namespace = writer.namespace;
    let subject = Subject { group: "", resource: "namespaces", name: namespace };
    let Some(stored) = writer.server.store.get("/namespaces", "", namespace) else {
        return Err(ApiError::not_found(subject));
    };
    if !stored.deleting {
        return Ok(());
    }
    let subject = writer.resource.subject(text(&object["metadata"], "name"));
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut details = json!({});
    for (key, value) in [("name", subject.name), ("group", subject.group), ("kind", subject.resource)] {
        if !value.is_empty() {
            details[key] = value.into();
        }
    }
    let message = format!("namespace {namespace} is being terminated");
    details["causes"] =
        json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]);
    Err(ApiError::forbidden(subject, &why).with_details(Some(details)))
}

/// Changes to a new object.
pub(crate) fn mutate(writer: &Writer<'_>, object: &mut Value) -> Result<(), ApiError> {
    if writer.resource.is("", "pods") {
        pods::account(writer, object)?;
        limits::pod(writer, object)?;
    } else if writer.resource.is("", "persistentvolumeclaims") {
        limits::claim(writer, object)?;
    }
    Ok(())
}

/// Changes to an object that is being updated.
pub(crate) fn mutate_update(writer: &Writer<'_>, _live: &Value, object: &mut Value) -> Result<(), ApiError> {
    if writer.resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::crd::on_update(object);
    }
    Ok(())
}

/// Checks quotas for a new object; the guard keeps others out until it is stored.
pub(crate) fn quota<'a>(writer: &Writer<'a>, object: &Value) -> Result<Option<MutexGuard<'a, ()>>, ApiError> {
    if !writer.resource.namespaced || writer.resource.is("", "resourcequotas") {
        return Ok(None);
    }
    quota::check(writer, None, object)
}

/// Checks quotas for a change.
pub(crate) fn quota_update<'a>(
    writer: &Writer<'a>,
    live: &Value,
    object: &Value,
) -> Result<Option<MutexGuard<'a, ()>>, ApiError> {
    let counted = writer.sub.is_none()
        && matches!(writer.resource.key.as_ref(), "/services" | "/persistentvolumeclaims");
    if counted && text(&live["metadata"], "deletionTimestamp").is_empty() {
        quota::check(writer, Some(live), object)
    } else {
        Ok(None)
    }
}
