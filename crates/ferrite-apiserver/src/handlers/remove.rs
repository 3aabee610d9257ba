//! DELETE: finalizers, propagation, grace.

use std::sync::Arc;

use http::Response;
use serde_json::{Value, json};

use super::options::Options;
use super::perform::Writer;
use super::read::{self, value_in_version};
use super::{Scope, body, list};
use crate::http::{Body, respond};
use crate::json::{is_empty, items, text};
use crate::kinds;
use crate::selectors::Selection;
use crate::status::{self, ApiError, Cause, Subject};
use crate::store::{Refused, Stored, Ticket};

/// What happens to the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) dry_run: bool,
}

impl How {
    /// At once, dependents in the background.
    pub(crate) fn background() -> Self {
        Self {
            propagation: Some(Propagation::Background),
            grace: None,
            uid: None,
            version: None,
            dry_run: false,
        }
    }

    fn of(scope: &Scope<'_>) -> Result<Self, ApiError> {
        let mut options = json!({});
        if !scope.call.body.is_empty() {
            let decoded = body_options(scope)?;
            if decoded.is_object() {
                options = decoded;
            }
        } else {
            let query = &scope.call.query;
            if let Some(seconds) = query.text("gracePeriodSeconds").and_then(|s| s.parse::<i64>().ok()) {
                options["gracePeriodSeconds"] = seconds.into();
            }
            if let Some(policy) = query.text("propagationPolicy") {
                options["propagationPolicy"] = policy.into();
            }
            if query.get("orphanDependents").is_some() {
                options["orphanDependents"] = query.flag("orphanDependents").into();
            }
        }
        let dry = scope.call.query.all("dryRun");
        if !dry.is_empty() {
            options["dryRun"] = dry.into();
        }
        Self::parse(&options)
    }

    pub(crate) fn parse(options: &Value) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let policy = text(options, "propagationPolicy");
        let mut propagation = match policy {
            "" => None,
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            other => {
                causes.push(Cause::unsupported(
                    "propagationPolicy",
                    &other.into(),
                    &["Foreground", "Background", "Orphan", "nil"],
                ));
                None
            }
        };
        if let Some(orphan) = options["orphanDependents"].as_bool() {
            if !policy.is_empty() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(Cause::invalid("propagationPolicy", &policy.into(), why));
            }
            propagation = Some(if orphan { Propagation::Orphan } else { Propagation::Background });
        }
        if items(&options["dryRun"]).iter().any(|d| d != "All") {
            causes.push(Cause::unsupported("dryRun", &options["dryRun"], &["All"]));
        }
        if !causes.is_empty() {
            return Err(ApiError::invalid(
                Subject { group: "meta.k8s.io", resource: "DeleteOptions", name: "" },
                &causes,
            ));
        }
        let own = |key: &str| options["preconditions"][key].as_str().map(str::to_owned);
        Ok(Self {
            propagation,
            grace: options["gracePeriodSeconds"].as_i64(),
            uid: own("uid"),
            version: own("resourceVersion"),
            dry_run: !is_empty(&options["dryRun"]),
        })
    }
}

fn body_options(scope: &Scope<'_>) -> Result<Value, ApiError> {
    let decoded = body::read(scope)?;
    let kind = text(&decoded.value, "kind");
    if !matches!(kind, "" | "DeleteOptions") {
        return Err(ApiError::bad_request(format!(
            "decoded object cannot be converted to DeleteOptions: {kind}"
        )));
    }
    Ok(decoded.value)
}

/// What a deletion did.
pub(crate) enum Done {
    /// The object is gone; this is its last state.
    Gone(Arc<Stored>, Option<Ticket>),
    /// The object waits for finalizers or its grace period.
    Waits(Value, Option<Ticket>),
}

pub(crate) async fn one(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let how = How::of(scope)?;
    let writer = Writer::of(scope, Options::internal(""), None);
    match delete(&writer, &how)? {
        Done::Gone(last, ticket) => {
            safe(ticket).await?;
            if kinds::deletion_shows_object(&scope.resource) {
                return Ok(read::show(scope, accept, 200, &last));
            }
            let body = status::deleted(scope.subject(), &last.uid);
            Ok(respond::document(200, accept.format, &body))
        }
        Done::Waits(value, ticket) => {
            safe(ticket).await?;
            Ok(read::show_value(scope, accept, 200, value))
        }
    }
}

/// Waits until a deletion can no longer be lost.
pub(crate) async fn safe(ticket: Option<Ticket>) -> Result<(), ApiError> {
    let Some(ticket) = ticket else { return Ok(()) };
    if ticket.wait().await { Ok(()) } else { Err(ApiError::internal("the deletion did not reach the disk")) }
}

pub(crate) async fn collection(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, true)?;
    let how = How::of(scope)?;
    let selection = Selection::of(scope)?;
    list::validate(scope)?;
    let listed = scope.server.store.list(&scope.resource.key, scope.within());
    let mut last = None;
    let objects: Vec<Arc<Stored>> = listed.objects.into_iter().filter(|o| selection.matches(o)).collect();
    for object in &objects {
        let writer = Writer {
            name: &object.name,
            namespace: &object.namespace,
            ..Writer::of(scope, Options::internal(""), None)
        };
        match delete(&writer, &how) {
            Ok(Done::Gone(_, ticket) | Done::Waits(_, ticket)) => last = ticket.or(last),
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    safe(last).await?;
    Ok(list::show_objects(scope, accept, objects, listed.version))
}

/// Deletes one object, or marks it for deletion.
pub(crate) fn delete(writer: &Writer<'_>, how: &How) -> Result<Done, ApiError> {
    let subject = writer.resource.subject(writer.name);
    loop {
        let stored = writer.server.store.get(&writer.resource.key, writer.namespace, writer.name);
        let stored = stored.ok_or_else(|| ApiError::not_found(subject))?;
        preconditions(writer, &stored, how)?;
        if writer.resource.is("", "namespaces")
            && matches!(writer.name, "default" | "kube-system" | "kube-public")
        {
            return Err(ApiError::forbidden(subject, "this namespace may not be deleted"));
        }
        let value = stored.value();
        crate::admission::policies(writer, "DELETE", Some(&value), None)?;
        match attempt(writer, &stored, value, how) {
            Ok(done) => return Ok(done),
            Err(Refused::Missing) => return Err(ApiError::not_found(subject)),
            Err(Refused::Changed | Refused::Exists) => {}
        }
    }
}

fn preconditions(writer: &Writer<'_>, stored: &Stored, how: &How) -> Result<(), ApiError> {
    let subject = writer.resource.subject(writer.name);
    if let Some(uid) = how.uid.as_deref().filter(|uid| **uid != *stored.uid) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            stored.uid
        );
        return Err(ApiError::conflict(subject, &why));
    }
    if let Some(version) = how.version.as_deref().filter(|v| **v != stored.version.to_string()) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            stored.version
        );
        return Err(ApiError::conflict(subject, &why));
    }
    Ok(())
}

fn attempt(writer: &Writer<'_>, stored: &Arc<Stored>, mut value: Value, how: &How) -> Result<Done, Refused> {
    let (resource, store) = (writer.resource, &writer.server.store);
    let going = stored.deleting;
    let mut finalizers: Vec<Value> = items(&value["metadata"]["finalizers"]).to_vec();
    let before = finalizers.clone();
    if !(going && how.propagation.is_none()) {
        finalizers.retain(|f| f != "orphan" && f != "foregroundDeletion");
        let kept = |name: &str| before.iter().any(|f| f == name);
        match how.propagation {
            Some(Propagation::Orphan) => finalizers.push("orphan".into()),
            Some(Propagation::Foreground) => finalizers.push("foregroundDeletion".into()),
            Some(Propagation::Background) => {}
            None if kept("orphan") => finalizers.push("orphan".into()),
            None if kept("foregroundDeletion") => finalizers.push("foregroundDeletion".into()),
            None => {}
        }
    }
    let definition = resource.is("apiextensions.k8s.io", "customresourcedefinitions") && !going;
    if definition && !before.iter().any(|f| f == crate::crd::FINALIZER) {
        finalizers.push(crate::crd::FINALIZER.into());
    }
    let grace = grace(resource, &value, how);
    let namespace = resource.is("", "namespaces");
    let spec_finalizers = namespace && !items(&value["spec"]["finalizers"]).is_empty();
    if finalizers.is_empty() && grace == 0 && !spec_finalizers {
        if how.dry_run {
            return Ok(Done::Gone(stored.clone(), None));
        }
        let written = store.delete(&resource.key, stored.version, &stored.namespace, &stored.name)?;
        return Ok(Done::Gone(written.stored, Some(written.durable)));
    }
    let same_grace = value["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|g| g <= grace);
    if going && finalizers == before && same_grace {
        return Ok(Done::Waits(value_in_version(resource, stored), None));
    }
    mark(resource, &mut value, finalizers, grace);
    if namespace {
        value["status"]["phase"] = "Terminating".into();
    }
    if definition {
        let why = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        crate::crd::set_terminating(&mut value, "InstanceDeletionPending", why);
    }
    if how.dry_run {
        return Ok(Done::Waits(value, None));
    }
    let written = store.update(&resource.key, stored.version, value)?;
    Ok(Done::Waits(value_in_version(resource, &written.stored), Some(written.durable)))
}

fn mark(resource: &crate::resources::Resource, value: &mut Value, finalizers: Vec<Value>, grace: i64) {
    let now = crate::clock::now();
    let at = now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(now);
    let meta = &mut value["metadata"];
    if meta["deletionTimestamp"].is_null()
        || meta["deletionGracePeriodSeconds"].as_i64().is_some_and(|g| g > grace)
    {
        meta["deletionTimestamp"] = crate::clock::seconds(at).into();
        meta["deletionGracePeriodSeconds"] = grace.into();
        if let Some(generation) = meta["generation"].as_i64().filter(|g| *g > 0) {
            meta["generation"] = (generation + 1).into();
        }
    }
    if finalizers.is_empty() {
        crate::json::remove(meta, "finalizers");
    } else {
        meta["finalizers"] = finalizers.into();
    }
    if resource.custom.is_none() {
        crate::schema::normalize(resource, value);
    } else {
        kinds::metadata::tidy(value);
    }
}

/// Seconds that a pod on a node gets to end.
fn grace(resource: &crate::resources::Resource, value: &Value, how: &How) -> i64 {
    if !resource.is("", "pods") {
        return 0;
    }
    let finished = matches!(text(&value["status"], "phase"), "Succeeded" | "Failed");
    if text(&value["spec"], "nodeName").is_empty() || finished {
        return 0;
    }
    how.grace.or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}
