//! POST and PUT.

use http::Response;

use super::options::Options;
use super::perform::{Outcome, Owners, Writer};
use super::{Scope, authorize_as, body, read};
use crate::http::negotiate::Accept;
use crate::http::{Body, respond};
use crate::json::text;
use crate::status::ApiError;

pub(crate) async fn create(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let options = Options::of(scope.call, "CreateOptions", None)?;
    let object = body::object(scope, options.validation)?;
    let outcome = Writer::of(scope, options, None).create(object, &Owners::Changed)?;
    answer(scope, accept, outcome).await
}

pub(crate) async fn update(scope: &Scope<'_>, sub: Option<&str>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let options = Options::of(scope.call, "UpdateOptions", None)?;
    let mut object = body::object(scope, options.validation)?;
    let writer = Writer::of(scope, options, sub);
    if text(&object["metadata"], "name").is_empty() {
        return Err(ApiError::bad_request("name must be provided"));
    }
    let exists = scope.server.store.get(&scope.resource.key, scope.namespace, scope.name).is_some();
    if !exists && sub.is_none() && crate::kinds::replace_creates(&scope.resource) {
        authorize_as(scope, "create")?;
        crate::json::remove(&mut object["metadata"], "resourceVersion");
        let outcome = writer.create(object, &Owners::Changed)?;
        return answer(scope, accept, outcome).await;
    }
    let outcome = writer.update(|_| Ok((object.clone(), Owners::Changed)))?;
    answer(scope, accept, outcome).await
}

/// Waits until the write is safe, and shows the object.
pub(crate) async fn answer(
    scope: &Scope<'_>,
    accept: Accept,
    outcome: Outcome,
) -> Result<Response<Body>, ApiError> {
    if let Some(ticket) = outcome.ticket
        && !ticket.wait().await
    {
        return Err(ApiError::internal("the write did not reach the disk"));
    }
    let code = if outcome.created { 201 } else { 200 };
    Ok(read::show_value(scope, accept, code, outcome.value))
}

/// The answer of a write that has no object to show.
pub(crate) fn success() -> Response<Body> {
    respond::document(
        201,
        crate::http::negotiate::Format::Json,
        &serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    )
}
