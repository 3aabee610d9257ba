//! Lists: selectors, pages, snapshots.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::Response;
use serde_json::{Map, Value, json};

use super::Scope;
use super::read::{self, in_version, value_in_version};
use crate::http::negotiate::{Accept, Format, View};
use crate::http::{Body, respond};
use crate::selectors::Selection;
use crate::status::{ApiError, Cause, Subject};
use crate::store::Stored;

/// One page of a list.
struct Page {
    objects: Vec<Arc<Stored>>,
    version: u64,
    next: Option<String>,
    remaining: Option<usize>,
}

pub(crate) async fn list(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, true)?;
    let selection = Selection::of(scope)?;
    validate(scope)?;
    if scope.call.query.text("continue").is_none() {
        read::await_version(scope).await?;
    }
    let page = page(scope, &selection)?;
    Ok(show(scope, accept, &page))
}

pub(crate) fn invalid_version(scope: &Scope<'_>, text: &str) -> ApiError {
    let value = Value::from(text);
    let cause = Cause::invalid(
        "resourceVersion",
        &value,
        &format!("strconv.ParseUint: parsing {text:?}: invalid syntax"),
    );
    let _ = scope;
    ApiError::bad_request(format!("{}: {}", cause.field, cause.message))
}

/// The rules about options that exclude each other.
pub(crate) fn validate(scope: &Scope<'_>) -> Result<(), ApiError> {
    let query = &scope.call.query;
    let mut causes = Vec::new();
    if let Some(matching) = query.text("resourceVersionMatch") {
        if query.text("continue").is_some() {
            causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        match query.text("resourceVersion") {
            None => causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            Some("0") if matching == "Exact" => causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            Some(_) => {}
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            causes.push(Cause::unsupported(
                "resourceVersionMatch",
                &matching.into(),
                &["Exact", "NotOlderThan", ""],
            ));
        }
    }
    if query.text("sendInitialEvents").is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid_options(&causes)) }
}

pub(crate) fn invalid_options(causes: &[Cause]) -> ApiError {
    ApiError::invalid(Subject { group: "meta.k8s.io", resource: "ListOptions", name: "" }, causes)
}

fn page(scope: &Scope<'_>, selection: &Selection) -> Result<Page, ApiError> {
    let query = &scope.call.query;
    let (store, key, within) = (&scope.server.store, &scope.resource.key, scope.within());
    let asked = query.text("resourceVersion").and_then(|v| v.parse::<u64>().ok()).filter(|v| *v > 0);
    let exact = query.text("resourceVersionMatch") == Some("Exact");
    let mut start = None;
    let listed = match query.text("continue") {
        Some(token) => {
            if asked.is_some() {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (version, after) = read_token(token)?;
            start = Some(after);
            match version {
                Some(version) => store.list_at(key, within, version).map_err(|_| continue_expired(scope))?,
                None => store.list(key, within),
            }
        }
        None => match asked {
            Some(version) if exact => store.list_at(key, within, version).map_err(|gone| {
                ApiError::expired(format!(
                    "The resourceVersion for the provided list is too old. ({} is the oldest)",
                    gone.oldest
                ))
            })?,
            Some(_) | None => store.list(key, within),
        },
    };
    // Version 0 means "any state you have": pages are not cut then.
    let limit = query
        .text("limit")
        .and_then(|l| l.parse::<usize>().ok())
        .filter(|_| query.text("resourceVersion") != Some("0"));
    let after = |o: &Arc<Stored>| {
        start.as_ref().is_none_or(|(ns, name)| (&*o.namespace, &*o.name) > (ns.as_str(), name.as_str()))
    };
    let mut candidates = listed.objects.into_iter().filter(after).filter(|o| selection.matches(o));
    let Some(limit) = limit.filter(|l| *l > 0) else {
        return Ok(Page {
            objects: candidates.collect(),
            version: listed.version,
            next: None,
            remaining: None,
        });
    };
    let objects: Vec<_> = candidates.by_ref().take(limit).collect();
    let rest = candidates.count();
    let next = objects.last().filter(|_| rest > 0).map(|o| write_token(listed.version, o));
    let remaining = (rest > 0 && selection.is_everything()).then_some(rest);
    Ok(Page { objects, version: listed.version, next, remaining })
}

fn continue_expired(scope: &Scope<'_>) -> ApiError {
    // The token that goes on without the snapshot.
    let details =
        scope.call.query.text("continue").and_then(|t| read_token(t).ok()).map(|(_, (namespace, name))| {
            let token = json!({"v": "meta.k8s.io/v1", "rv": -1, "start": format!("{namespace}/{name}\0")})
                .to_string();
            json!({"continue": URL_SAFE_NO_PAD.encode(token)})
        });
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing \
         with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the \
         time the first chunk was returned and now may show up in the list.";
    let error = ApiError::expired(message);
    match details {
        Some(_) => error.with_details(None),
        None => error,
    }
}

fn write_token(version: u64, last: &Stored) -> String {
    let start = format!("{}/{}\0", last.namespace, last.name);
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

/// The snapshot's version (none to go on inconsistently) and the last object shown.
fn read_token(token: &str) -> Result<(Option<u64>, (String, String)), ApiError> {
    let invalid = |why: &str| {
        ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .or_else(|_| STANDARD_NO_PAD.decode(token))
        .map_err(|_| invalid(&format!("illegal base64 data at input byte {}", illegal_base64(token))))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| invalid(&e.to_string()))?;
    let start =
        value["start"].as_str().ok_or_else(|| invalid("encoded start key empty (version meta.k8s.io/v1)"))?;
    let (namespace, name) = start.trim_end_matches('\0').rsplit_once('/').unwrap_or(("", start));
    Ok((value["rv"].as_u64(), (namespace.to_owned(), name.to_owned())))
}

/// Where Go's decoder stops: the first byte outside the alphabet, or the last incomplete group.
fn illegal_base64(token: &str) -> usize {
    let bad = token.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    bad.unwrap_or(token.len() / 4 * 4)
}

fn list_metadata(scope: &Scope<'_>, page: &Page) -> Map<String, Value> {
    let mut metadata = Map::new();
    if let Some(next) = &page.next {
        metadata.insert("continue".into(), next.as_str().into());
    } else if scope.resource.custom.is_some() {
        metadata.insert("continue".into(), "".into());
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    metadata.insert("resourceVersion".into(), page.version.to_string().into());
    metadata
}

fn show(scope: &Scope<'_>, accept: Accept, page: &Page) -> Response<Body> {
    let resource = &scope.resource;
    let metadata = list_metadata(scope, page);
    let values = || page.objects.iter().map(|o| value_in_version(resource, o));
    let value = match (accept.view, accept.format) {
        (View::Object, Format::Json) => {
            return respond::encoded(200, Format::Json, encode(scope, &metadata, page));
        }
        (View::Object, Format::Yaml | Format::Protobuf) => {
            let items: Vec<Value> = values().collect();
            json!({"apiVersion": resource.group_version(), "items": items, "kind": resource.list_kind, "metadata": metadata})
        }
        (View::Metadata(version), _) => {
            let items: Vec<Value> = values().map(|v| read::partial(version, v)).collect();
            let mut metadata = metadata;
            if page.next.is_none() {
                metadata.remove("continue");
            }
            json!({"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": metadata, "items": items})
        }
        (View::Table(version), _) => {
            let include = scope.call.query.text("includeObject").unwrap_or("Metadata");
            let items: Vec<Value> = values().collect();
            let mut metadata = metadata;
            if page.next.is_none() {
                metadata.remove("continue");
            }
            crate::tables::table(resource, version, &items, include, &Value::Object(metadata), true)
        }
    };
    respond::document(200, accept.format, &value)
}

/// Joins the stored encodings without parsing them.
fn encode(scope: &Scope<'_>, metadata: &Map<String, Value>, page: &Page) -> bytes::Bytes {
    let resource = &scope.resource;
    let size: usize = page.objects.iter().map(|o| o.json.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 256);
    let head =
        json!({"kind": resource.list_kind, "apiVersion": resource.group_version(), "metadata": metadata})
            .to_string();
    out.extend_from_slice(head.trim_end_matches('}').as_bytes());
    // The metadata's own closing brace went with the document's.
    out.extend_from_slice(b"},\"items\":[");
    for (i, object) in page.objects.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&in_version(resource, object));
    }
    out.extend_from_slice(b"]}\n");
    out.into()
}

/// A list of given objects.
pub(crate) fn show_objects(
    scope: &Scope<'_>,
    accept: Accept,
    objects: Vec<Arc<Stored>>,
    version: u64,
) -> Response<Body> {
    show(scope, accept, &Page { objects, version, next: None, remaining: None })
}
