//! `status`, `scale`, `finalize`, `token`, `binding`, `eviction`, and what pods stream.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::options::Options;
use super::perform::{Owners, Writer};
use super::read::{self, value_in_version};
use super::remove::{self, How};
use super::{Scope, body, patch, write};
use crate::http::{Body, respond};
use crate::json::{self, text};
use crate::resources::Sub;
use crate::status::{ApiError, Cause, Subject};

pub(crate) async fn answer(scope: &Scope<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let Some(sub) = scope.resource.sub(name) else { return Err(ApiError::no_resource()) };
    let verb = match scope.call.method {
        Method::GET => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::POST => "create",
        Method::DELETE => "delete",
        _ => "",
    };
    if !sub.verbs.iter().any(|v| v == verb) {
        return Err(scope.unsupported(verb));
    }
    match name {
        "status" => half(scope, "status", verb).await,
        "scale" => scale(scope, sub, verb).await,
        "finalize" => finalize(scope).await,
        "token" => crate::auth::token_request(scope).await,
        "binding" => binding(scope).await,
        "eviction" => eviction(scope).await,
        "approval" | "resize" | "ephemeralcontainers" => half(scope, name, verb).await,
        "log" => {
            read::find(scope)?;
            Ok(respond::text(StatusCode::OK, ""))
        }
        _ => {
            read::find(scope)?;
            Err(ApiError::bad_request("this server runs no containers"))
        }
    }
}

/// The object itself, of which the endpoint changes one part.
async fn half(scope: &Scope<'_>, sub: &str, verb: &str) -> Result<Response<Body>, ApiError> {
    match verb {
        "get" => read::get(scope).await,
        "update" => write::update(scope, Some(sub)).await,
        _ => patch::patch(scope, Some(sub)).await,
    }
}

async fn finalize(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let options = Options::of(scope.call, "UpdateOptions", None)?;
    let object = body::object(scope, options.validation)?;
    let dry_run = options.dry_run;
    let writer = Writer::of(scope, options, Some("finalize"));
    let outcome = writer.update(|live| {
        let mut new = live.clone();
        new["spec"]["finalizers"] = object["spec"]["finalizers"].clone();
        Ok((new, Owners::Changed))
    })?;
    let done = json::is_empty(&outcome.value["spec"]["finalizers"])
        && json::is_empty(&outcome.value["metadata"]["finalizers"]);
    if done && !dry_run && !outcome.value["metadata"]["deletionTimestamp"].is_null() {
        // Gone already is as good.
        drop(remove::delete(&writer, &How::background()));
    }
    write::answer(scope, accept, outcome).await
}

/// Paths of a resource's scale.
struct Paths {
    replicas: Vec<String>,
    status: Vec<String>,
    selector: Option<Vec<String>>,
}

fn paths(scope: &Scope<'_>) -> Paths {
    let split = |p: &str| p.trim_start_matches('.').split('.').map(str::to_owned).collect::<Vec<_>>();
    match scope.resource.custom.as_ref().and_then(|c| c.scale.as_ref()) {
        Some(scale) => Paths {
            replicas: split(text(scale, "specReplicasPath")),
            status: split(text(scale, "statusReplicasPath")),
            selector: scale["labelSelectorPath"].as_str().filter(|p| !p.is_empty()).map(split),
        },
        None => Paths { replicas: split("spec.replicas"), status: split("status.replicas"), selector: None },
    }
}

fn at<'v>(value: &'v Value, path: &[String]) -> &'v Value {
    path.iter().fold(value, |v, key| &v[key.as_str()])
}

fn set(value: &mut Value, path: &[String], new: Value) {
    let mut here = value;
    for key in path {
        if !here.is_object() {
            *here = json!({});
        }
        here = &mut here[key.as_str()];
    }
    *here = new;
}

/// A selector as text: `a=b,c in (d,e)`.
fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    let plain = if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
        &selector["matchLabels"]
    } else {
        selector
    };
    for (key, value) in plain.as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    parts.sort();
    for e in json::items(&selector["matchExpressions"]) {
        let key = text(e, "key");
        let values: Vec<&str> = json::items(&e["values"]).iter().filter_map(Value::as_str).collect();
        parts.push(match text(e, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.join(",")
}

fn scale_of(scope: &Scope<'_>, object: &Value) -> Value {
    let paths = paths(scope);
    let meta = &object["metadata"];
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta.get(key) {
            metadata[key] = value.clone();
        }
    }
    let mut spec = json!({});
    if let Some(replicas) = at(object, &paths.replicas).as_i64().filter(|r| *r != 0) {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": at(object, &paths.status).as_i64().unwrap_or_default()});
    let selector = match (&paths.selector, &scope.resource.custom) {
        (Some(path), _) => at(object, path).as_str().unwrap_or_default().to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => selector_text(&object["spec"]["selector"]),
    };
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

async fn scale(scope: &Scope<'_>, _sub: &Sub, verb: &str) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    if verb == "get" {
        let stored = read::find(scope)?;
        let value = scale_of(scope, &value_in_version(&scope.resource, &stored));
        return Ok(read::show_plain(scope, accept, 200, value));
    }
    let kind = if verb == "patch" { "PatchOptions" } else { "UpdateOptions" };
    let options = Options::of(scope.call, kind, None)?;
    let sent = body::read(scope).or_else(|_| {
        json::parse(&scope.call.body)
            .map(|(value, doubled)| body::Decoded { value, doubled })
            .map_err(ApiError::bad_request)
    })?;
    let writer = Writer::of(scope, options, Some("scale"));
    let paths = paths(scope);
    let outcome = writer.update(|live| {
        let now = scale_of(scope, live);
        let wanted =
            if verb == "patch" { patched_scale(scope, &now, &sent.value)? } else { sent.value.clone() };
        let version = text(&wanted["metadata"], "resourceVersion");
        if !version.is_empty() && version != text(&live["metadata"], "resourceVersion") {
            return Err(ApiError::modified(scope.subject()));
        }
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or_default();
        if replicas < 0 {
            let subject = Subject { group: "autoscaling", resource: "Scale", name: scope.name };
            let cause =
                Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            return Err(ApiError::invalid(subject, &[cause]));
        }
        let mut new = live.clone();
        set(&mut new, &paths.replicas, replicas.into());
        Ok((new, Owners::Changed))
    })?;
    let value = scale_of(scope, &outcome.value);
    if let Some(ticket) = outcome.ticket
        && !ticket.wait().await
    {
        return Err(ApiError::internal("the write did not reach the disk"));
    }
    Ok(read::show_plain(scope, accept, 200, value))
}

fn patched_scale(scope: &Scope<'_>, now: &Value, patch: &Value) -> Result<Value, ApiError> {
    let media = scope.call.header("content-type").unwrap_or_default();
    if media.starts_with("application/json-patch") {
        crate::merge::json_patch(now, patch)
    } else {
        Ok(crate::merge::merge_patch(now, patch))
    }
}

async fn binding(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let options = Options::of(scope.call, "CreateOptions", None)?;
    let sent = body::read(scope)?.value;
    let node = text(&sent["target"], "name").to_owned();
    if node.is_empty() {
        let subject = Subject { group: "", resource: "Binding", name: scope.name };
        return Err(ApiError::invalid(subject, &[Cause::required("target.name", "")]));
    }
    let writer = Writer::of(scope, options, Some("binding"));
    let outcome = writer.update(|live| {
        let bound = text(&live["spec"], "nodeName");
        if !bound.is_empty() {
            let subject = Subject { group: "", resource: "pods/binding", name: scope.name };
            return Err(ApiError::conflict(
                subject,
                &format!("pod {} is already assigned to node {bound:?}", scope.name),
            ));
        }
        let mut new = live.clone();
        new["spec"]["nodeName"] = node.as_str().into();
        crate::workloads::set_condition(&mut new, &json!({"type": "PodScheduled", "status": "True"}));
        Ok((new, Owners::Changed))
    })?;
    if let Some(ticket) = outcome.ticket
        && !ticket.wait().await
    {
        return Err(ApiError::internal("the write did not reach the disk"));
    }
    Ok(write::success())
}

async fn eviction(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let options = Options::of(scope.call, "CreateOptions", None)?;
    let sent = body::read(scope)?.value;
    let mut how = How::parse(&sent["deleteOptions"])?;
    how.dry_run |= options.dry_run;
    let writer = Writer::of(scope, options, None);
    let (remove::Done::Gone(_, ticket) | remove::Done::Waits(_, ticket)) = remove::delete(&writer, &how)?;
    remove::safe(ticket).await?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": 201});
    Ok(respond::document(201, crate::http::negotiate::Format::Json, &done))
}
