//! OpenAPI documents: what kubectl merges, explains and checks flags by.
//!
//! ```text
//! built-in types (ferrite-schema) ─┐
//! schemas of definitions ──────────┼─▶ schemas ─┬─▶ /openapi/v3/… one document per group and version
//! resources and their verbs ───────┴─▶ paths ───┘   /openapi/v2 all of them in one
//! ```
//!
//! A document is made when it is first asked for. Those of built-in groups never change; the others live as long as the
//! set of definitions they were made of. There are no descriptions of built-in fields, and no documents in protobuf.

mod paths;
mod schemas;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, LOCATION};
use http::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::http::request::Call;
use crate::http::{Body, page_not_found, respond};
use crate::resources::{Resource, Served, group_version};
use crate::server::Server;
use crate::status::ApiError;

use schemas::{Dialect, Schemas};

/// A finished document.
#[derive(Debug)]
struct Document {
    body: Bytes,
    /// Upper-case hex of its SHA-256 digest.
    hash: String,
}

/// Documents of one set of served resources.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, Arc<Document>>>);

impl Cache {
    fn get(&self, path: &str, make: impl FnOnce() -> Value) -> Arc<Document> {
        if let Some(found) = self.0.lock().get(path) {
            return Arc::clone(found);
        }
        // Made outside of the lock: two requests may make the same one, which costs time and nothing else.
        let body = make().to_string();
        let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
        let hash = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        let document = Arc::new(Document { body: body.into(), hash });
        Arc::clone(self.0.lock().entry(path.to_owned()).or_insert(document))
    }
}

/// Documents of groups that no definition adds to.
fn builtin() -> &'static Cache {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    CACHE.get_or_init(Cache::default)
}

/// `/openapi/v2`, `/openapi/v3` and one document per group and version below it.
pub(crate) fn answer(server: &Arc<Server>, call: &Call, parts: &[&str]) -> Result<Response<Body>, ApiError> {
    if call.method != http::Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let served = server.registry.served();
    match parts {
        ["openapi", "v2"] => {
            let document = served.openapi.get("v2", || whole(&served));
            Ok(deliver(call, &document))
        }
        ["openapi", "v3"] => Ok(respond::text(StatusCode::OK, &index(&served).to_string())),
        ["openapi", "v3", "api", version] => Ok(of_version(&served, call, "", version)),
        ["openapi", "v3", "apis", group, version] => Ok(of_version(&served, call, group, version)),
        _ => Ok(page_not_found()),
    }
}

/// `api/v1`, `apis/apps/v1`
fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn index(served: &Served) -> Value {
    let mut paths = Map::new();
    let groups = served.groups();
    let versions = groups.iter().flat_map(|(group, versions)| versions.iter().map(move |v| (*group, *v)));
    for (group, version) in std::iter::once(("", "v1")).chain(versions) {
        let path = path_of(group, version);
        if let Some(document) = document(served, group, version) {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// The document of a group and version; `None` when nothing is served there.
fn document(served: &Served, group: &str, version: &str) -> Option<Arc<Document>> {
    let resources: Vec<&Resource> = served.in_version(group, version).map(|r| &**r).collect();
    if resources.is_empty() {
        return None;
    }
    let custom = resources.iter().any(|r| r.custom.is_some());
    let cache = if custom { &served.openapi } else { builtin() };
    Some(cache.get(&path_of(group, version), || {
        let mut schemas = Schemas::new(Dialect::V3);
        let paths = paths::of(&resources, &mut schemas);
        json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas.finish()}})
    }))
}

fn of_version(served: &Served, call: &Call, group: &str, version: &str) -> Response<Body> {
    let Some(document) = document(served, group, version) else {
        let mut nothing = respond::bytes(StatusCode::NOT_FOUND, "", "");
        nothing.headers_mut().remove(CONTENT_TYPE);
        return nothing;
    };
    let asked = call.query.get("hash");
    match asked {
        None => deliver(call, &document),
        // A document that is asked for by its hash never changes.
        Some(hash) if hash == document.hash => {
            let mut response = deliver(call, &document);
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, respond::header("public, immutable"));
            headers.insert(EXPIRES, respond::header("Fri, 01 Jan 2100 00:00:00 GMT"));
            response
        }
        Some(_) => {
            let mut response = respond::bytes(StatusCode::MOVED_PERMANENTLY, "text/html; charset=utf-8", "");
            let url = format!("/openapi/v3/{}?hash={}", path_of(group, version), document.hash);
            response.headers_mut().insert(LOCATION, respond::header(&url));
            response
        }
    }
}

fn deliver(call: &Call, document: &Document) -> Response<Body> {
    let tag = format!("{:?}", document.hash);
    let mut response = if call.header("if-none-match") == Some(tag.as_str()) {
        respond::bytes(StatusCode::NOT_MODIFIED, "application/json", "")
    } else {
        respond::bytes(StatusCode::OK, "application/json", document.body.clone())
    };
    response.headers_mut().insert(ETAG, respond::header(&tag));
    response
}

fn whole(served: &Served) -> Value {
    let resources: Vec<&Resource> = served.resources.iter().map(|r| &**r).collect();
    let mut schemas = Schemas::new(Dialect::V2);
    let paths = paths::of(&resources, &mut schemas);
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": schemas.finish()})
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": crate::handlers::paths::VERSION})
}

/// The name of a kind's schema: that of the Go type, or the group backwards with version and kind.
fn schema_name(resource: &Resource, kind: &str) -> String {
    let found = ferrite_schema::Schemas::builtin().get(&resource.group, &resource.version, kind);
    if let Some(ty) = found.filter(|_| resource.custom.is_none()) {
        return ty.name.to_string();
    }
    let group: Vec<&str> = resource.group.rsplit('.').collect();
    format!("{}.{}.{kind}", group.join("."), resource.version)
}

/// `apps/v1` as one of a resource's tags: `apps_v1`, `core_v1`.
fn tag(resource: &Resource) -> String {
    let group = resource.group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
    let group = if resource.custom.is_some() { group_version(&resource.group, "") } else { group.to_owned() };
    format!("{}_{}", group.trim_end_matches('/').replace('.', "_"), resource.version)
}
