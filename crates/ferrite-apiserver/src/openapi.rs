//! OpenAPI documents: which resources there are, and that their writes take dry runs and field validation.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::http::request::Call;
use crate::http::{Body, negotiate::Format, page_not_found, respond};
use crate::resources::{Resource, group_version};
use crate::server::Server;
use crate::status::ApiError;

/// `/openapi/v2`, `/openapi/v3` and one document per group and version below it.
pub(crate) fn answer(server: &Arc<Server>, call: &Call, parts: &[&str]) -> Result<Response<Body>, ApiError> {
    if call.method != http::Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let served = server.registry.served();
    match parts {
        ["openapi", "v2"] => {
            let document = json!({"swagger": "2.0", "info": info(), "paths": {}, "definitions": {}});
            Ok(respond::document(200, Format::Json, &document))
        }
        ["openapi", "v3"] => {
            let mut paths = Map::new();
            let mut add = |path: String| {
                let url = format!("/openapi/v3/{path}");
                paths.insert(path, json!({"serverRelativeURL": url}));
            };
            add("api/v1".to_owned());
            for (group, versions) in served.groups() {
                versions.iter().for_each(|v| add(format!("apis/{}", group_version(group, v))));
            }
            Ok(respond::text(StatusCode::OK, &json!({"paths": paths}).to_string()))
        }
        ["openapi", "v3", "api", version] => document(served.in_version("", version).map(|r| &**r), call),
        ["openapi", "v3", "apis", group, version] => {
            document(served.in_version(group, version).map(|r| &**r), call)
        }
        _ => Ok(page_not_found()),
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": crate::handlers::paths::VERSION})
}

fn document<'a>(
    resources: impl Iterator<Item = &'a Resource>,
    call: &Call,
) -> Result<Response<Body>, ApiError> {
    let mut paths = Map::new();
    for resource in resources {
        let (path, operations) = operations(resource);
        paths.insert(path, operations);
    }
    if paths.is_empty() {
        let mut nothing = respond::bytes(StatusCode::NOT_FOUND, "", "");
        nothing.headers_mut().remove(http::header::CONTENT_TYPE);
        return Ok(nothing);
    }
    let document = json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": {}}});
    let body = document.to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let tag: String = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    let tag = format!("{tag:?}");
    if call.header("if-none-match") == Some(tag.as_str()) {
        return Ok(respond::bytes(StatusCode::NOT_MODIFIED, "application/json", ""));
    }
    let mut response = respond::bytes(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(http::header::ETAG, respond::header(&tag));
    Ok(response)
}

/// The path of one object, with the operations that write it.
fn operations(resource: &Resource) -> (String, Value) {
    let root =
        if resource.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", resource.group) };
    let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let path = format!("{root}/{}{namespace}/{}/{{name}}", resource.version, resource.plural);
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": if *name == "force" { "boolean" } else { "string" }, "uniqueItems": true}}))
        .collect();
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let operation = |verb: &str| json!({"parameters": parameters, "x-kubernetes-action": verb, "x-kubernetes-group-version-kind": kind});
    (path, json!({"get": operation("get"), "put": operation("put"), "patch": operation("patch")}))
}
