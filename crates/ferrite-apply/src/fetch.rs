//! Single requests to the API server.

use std::time::Duration;

use kube::{
    Client,
    api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions},
    core::Request,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{error::ApiError, mapper::segment};

/// A request that is not answered within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, ApiError> {
    let request = request.map_err(kube::Error::BuildRequest)?;
    match tokio::time::timeout(TIMEOUT, client.request::<T>(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(ApiError::new("Timeout", 0, "the API server did not answer within 60 s")),
    }
}

/// Reads a document at a path.
pub(crate) async fn json<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, ApiError> {
    let request = http::Request::get(path).body(Vec::new());
    send(client, request.map_err(kube::core::request::Error::BuildRequest)).await
}

/// Reads an object; `None` when it is not there. A path that is not there is an error.
pub(crate) async fn get(client: &Client, collection: &str, name: &str) -> Result<Option<Value>, ApiError> {
    found(send(client, Request::new(collection).get(&segment(name), &GetParams::default())).await)
}

/// Reads the metadata of an object; `None` when it is not there. A path that is not there is an error.
pub(crate) async fn get_metadata(
    client: &Client,
    collection: &str,
    name: &str,
) -> Result<Option<Value>, ApiError> {
    found(send(client, Request::new(collection).get_metadata(&segment(name), &GetParams::default())).await)
}

fn found(answer: Result<Value, ApiError>) -> Result<Option<Value>, ApiError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() && !error.is_path_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Applies an object, or asks what applying would make of it; conflicts are forced.
pub(crate) async fn apply(
    client: &Client,
    collection: &str,
    name: &str,
    object: &Value,
    manager: &str,
    dry_run: bool,
) -> Result<Value, ApiError> {
    let mut params = PatchParams::apply(manager).force();
    params.dry_run = dry_run;
    send(client, Request::new(collection).patch(&segment(name), &params, &Patch::Apply(object))).await
}

/// Sends a JSON patch, given as a list of operations.
pub(crate) async fn json_patch(
    client: &Client,
    collection: &str,
    name: &str,
    patch: &Value,
    manager: &str,
) -> Result<Value, ApiError> {
    let mut url = format!("{collection}/{}?fieldManager=", segment(name));
    url.push_str(&segment(manager));
    let body = serde_json::to_vec(patch).map_err(kube::Error::SerdeError)?;
    let request = http::Request::patch(url)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONTENT_TYPE, "application/json-patch+json")
        .body(body);
    send(client, request.map_err(kube::core::request::Error::BuildRequest)).await
}

/// Deletes an object, leaving what it owns to the garbage collector; says whether it was there.
///
/// Nothing but the very object that was read is deleted: the uid, and the resource version if given, must be the same.
pub(crate) async fn delete(
    client: &Client,
    collection: &str,
    name: &str,
    read: &Value,
    same_version: bool,
) -> Result<bool, ApiError> {
    let text = |pointer: &str| read.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: text("/metadata/uid"),
        resource_version: if same_version { text("/metadata/resourceVersion") } else { None },
    });
    match send::<Value>(client, Request::new(collection).delete(&segment(name), &params)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lists at most `limit` objects.
pub(crate) async fn list(
    client: &Client,
    collection: &str,
    selector: &str,
    limit: u32,
) -> Result<Vec<Value>, ApiError> {
    let params = ListParams::default().labels(selector).limit(limit);
    let mut list: Value = send(client, Request::new(collection).list(&params)).await?;
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Ok(Vec::new()),
    }
}
