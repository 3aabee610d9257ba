//! Paths that are no resource: discovery, health, version, OpenAPI.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::discovery;
use crate::http::request::Call;
use crate::http::{Body, negotiate, page_not_found, respond};
use crate::server::Server;
use crate::status::ApiError;

/// The Kubernetes version that this server speaks as.
pub(crate) const VERSION: &str = "v1.36.0";

pub(crate) async fn answer(server: &Arc<Server>, call: &Call) -> Result<Response<Body>, ApiError> {
    let path = call.path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let read = matches!(call.method, Method::GET | Method::HEAD);
    if let ["ferrite", "faults"] = parts.as_slice() {
        return server.faults.answer(call);
    }
    if let ["api" | "apis" | "version", ..] = parts.as_slice()
        && !read
    {
        return Err(ApiError::method_not_allowed());
    }
    if call.method == Method::HEAD && !matches!(parts.as_slice(), ["healthz" | "livez" | "readyz", ..]) {
        return Err(ApiError::method_not_allowed());
    }
    match parts.as_slice() {
        [] => Ok(respond::document(200, negotiate::Format::Json, &index(server))),
        ["healthz" | "livez" | "readyz"] => Ok(health(call, parts.concat().as_str())),
        ["healthz" | "livez" | "readyz", check] if CHECKS.contains(check) => Ok(plain_ok("ok")),
        ["version"] => Ok(respond::document(200, negotiate::Format::Json, &version())),
        ["metrics"] => Ok(respond::text(
            StatusCode::OK,
            &format!("ferrite_apiserver_resource_version {}\n", server.store.version()),
        )),
        ["openid", "v1", "jwks"] => {
            Ok(respond::bytes(StatusCode::OK, "application/jwk-set+json", server.keys.jwks().to_string()))
        }
        [".well-known", "openid-configuration"] => {
            Ok(respond::document(200, negotiate::Format::Json, &openid(server)))
        }
        ["openapi", ..] => crate::openapi::answer(server, call, &parts),
        ["api"] | ["apis"] => Ok(roots(server, call, parts.first() == Some(&"api"))),
        ["api", "v1"] | ["apis", _] | ["apis", _, _] | ["api", _] => Ok(group(server, &parts)?),
        _ => Ok(page_not_found()),
    }
}

const CHECKS: [&str; 4] = ["ping", "log", "etcd", "poststarthook"];

fn plain_ok(text: &str) -> Response<Body> {
    let mut response = respond::text(StatusCode::OK, text);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn health(call: &Call, name: &str) -> Response<Body> {
    if call.query.get("verbose").is_none() {
        return plain_ok("ok");
    }
    let excluded = call.query.all("exclude");
    let mut text = String::new();
    for check in ["ping", "log", "etcd"] {
        let state = if excluded.contains(&check) { "excluded: ok" } else { "ok" };
        text.push_str(&format!("[+]{check} {state}\n"));
    }
    plain_ok(&format!("{text}{name} check passed\n"))
}

fn version() -> Value {
    json!({"major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64"})
}

fn openid(server: &Server) -> Value {
    json!({"issuer": crate::auth::ISSUER, "jwks_uri": format!("{}/openid/v1/jwks", server.url),
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"]})
}

fn index(server: &Server) -> Value {
    let mut paths: Vec<String> = ["/api", "/api/v1", "/apis"].map(str::to_owned).to_vec();
    for (group, versions) in server.registry.served().groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]
            .map(str::to_owned),
    );
    json!({"paths": paths})
}

fn roots(server: &Server, call: &Call, core: bool) -> Response<Body> {
    let served = server.registry.served();
    match negotiate::aggregated(call.header("accept")) {
        Some(version) => {
            let content_type =
                format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
            let body = discovery::aggregated(&served, core, version).to_string();
            let digest = ring::digest::digest(&ring::digest::SHA512, body.as_bytes());
            let tag: String = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
            let tag = format!("{tag:?}");
            if call.header("if-none-match") == Some(tag.as_str()) {
                return respond::bytes(StatusCode::NOT_MODIFIED, &content_type, "");
            }
            let mut response = respond::bytes(StatusCode::OK, &content_type, body);
            response.headers_mut().insert(http::header::ETAG, respond::header(&tag));
            response.headers_mut().insert(http::header::VARY, HeaderValue::from_static("Accept"));
            response
        }
        None if core => {
            respond::document(200, negotiate::Format::Json, &discovery::api_versions(&server.address))
        }
        None => respond::document(200, negotiate::Format::Json, &discovery::group_list(&served)),
    }
}

fn group(server: &Server, parts: &[&str]) -> Result<Response<Body>, ApiError> {
    let served = server.registry.served();
    let document = match parts {
        ["api", version] => return list(discovery::resource_list(&served, "", version)),
        ["apis", group] => discovery::group(&served, group),
        ["apis", group, version] => {
            let found = discovery::resource_list(&served, group, version);
            // A known group answers with a Status, an unknown one with the plain page.
            if found.is_none() && server.registry.is_builtin_group(group) {
                return Err(ApiError::no_resource());
            }
            found
        }
        _ => None,
    };
    Ok(document.map_or_else(page_not_found, |d| respond::document(200, negotiate::Format::Json, &d)))
}

fn list(document: Option<Value>) -> Result<Response<Body>, ApiError> {
    document.map(|d| respond::document(200, negotiate::Format::Json, &d)).ok_or_else(ApiError::no_resource)
}
