//! The endpoint that webhooks are posted to.

use std::sync::Arc;

use bytes::Bytes;
use ferrite_api::notification::Receiver;
use ferrite_runtime::{ObjectKey, Runtime, Store};
use http_body_util::Full;
use hyper::{Response, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::annotate::{self, Webhook};
use super::filter::Filters;
use super::oidc::{Issuers, Policy, no_claims};
use super::validate::{self, Accepted, Refusal};
use crate::server::{Answer, Read, empty};

/// Finds the receiver of a path, checks the webhook and annotates.
#[derive(Clone)]
pub(crate) struct ReceiverServer {
    pub(crate) runtime: Runtime,
    pub(crate) receivers: Store<Receiver>,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) no_cross_namespace_refs: bool,
}

impl Answer for ReceiverServer {
    async fn answer(&self, request: Read) -> Response<Full<Bytes>> {
        if !request.head.uri.path().starts_with("/hook/") {
            let mut response = Response::new(Full::from("404 page not found\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        empty(self.handle(&request).await)
    }
}

impl ReceiverServer {
    async fn handle(&self, request: &Read) -> StatusCode {
        // The whole target counts: a query makes it another path, as in Flux.
        let target = request.head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let Some(receiver) = self.find(target) else { return StatusCode::NOT_FOUND };
        let shown = ObjectKey::of(receiver.as_ref());
        if receiver.spec.suspend || !is_ready(&receiver) {
            tracing::error!(receiver = %shown, "unable to process the webhook: the receiver is suspended or not ready");
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let accepted = match self.validate(&receiver, request).await {
            Ok(accepted) => accepted,
            Err(refusal) => {
                tracing::error!(receiver = %shown, error = %refusal, "the webhook was refused");
                return StatusCode::BAD_REQUEST;
            }
        };
        let filters = match Filters::compile(&receiver.spec) {
            Ok(filters) => filters,
            Err(error) => {
                tracing::error!(receiver = %shown, error = %ferrite_runtime::chain(&error), "a filter does not compile");
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
        };
        let body = match accepted.request {
            Some(body) => body,
            None if filters.any() && is_json(&request.head.headers) => {
                // What follows the first value is ignored, as Go's decoder does.
                let first = serde_json::Deserializer::from_slice(&request.body).into_iter().next();
                match first {
                    Some(Ok(body @ Value::Object(_))) => body,
                    _ => {
                        tracing::error!(receiver = %shown, "a filter needs a body that is a JSON object");
                        return StatusCode::INTERNAL_SERVER_ERROR;
                    }
                }
            }
            None => json!({}),
        };
        let webhook = Webhook { request: body, claims: accepted.claims.unwrap_or_else(no_claims) };
        let now = self.runtime.clock.now();
        let client = &self.runtime.client;
        let failures =
            annotate::annotate(client, &receiver, &filters, &webhook, self.no_cross_namespace_refs, now)
                .await;
        for failure in &failures {
            tracing::error!(receiver = %shown, error = %ferrite_runtime::chain(failure), "a resource was not annotated");
        }
        if failures.is_empty() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    }

    /// The receiver of a path, compared in constant time: the path is a secret.
    fn find(&self, target: &str) -> Option<Arc<Receiver>> {
        self.receivers.list().into_iter().find(|receiver| {
            let path = receiver
                .status
                .as_ref()
                .and_then(|status| status.webhook_path.as_deref())
                .unwrap_or_default();
            !path.is_empty() && validate::same(path.as_bytes(), target.as_bytes())
        })
    }

    async fn validate(&self, receiver: &Receiver, request: &Read) -> Result<Accepted, Refusal> {
        let spec = &receiver.spec;
        let headers = &request.head.headers;
        let now = self.runtime.clock.now();
        let kind = spec.kind.as_str();
        if kind == "generic-oidc" {
            let policies =
                Policy::compile(spec).map_err(|error| Refusal::Token(ferrite_runtime::chain(&error)))?;
            let claims = self.issuers.verify(&policies, headers, now).await?;
            return Ok(Accepted { request: None, claims: Some(claims) });
        }
        let secret = self.secret(receiver).await?;
        let text = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            value.map(|value| String::from_utf8_lossy(&value.0).into_owned())
        };
        let token = text("token").ok_or(Refusal::EmptyToken)?;
        if kind == "gcr" {
            let need = |key: &str| text(key).filter(|value| !value.is_empty()).ok_or(Refusal::EmptyToken);
            let (email, audience) = (need("email")?, need("audience")?);
            self.issuers.verify_google(&audience, &email, headers, now).await?;
            return Ok(Accepted { request: Some(validate::gcr_payload(&request.body)?), claims: None });
        }
        validate::check(kind, &token, &spec.events, headers, &request.body)
    }

    async fn secret(&self, receiver: &Receiver) -> Result<Secret, Refusal> {
        let name =
            receiver.spec.secret_ref.as_ref().map(|reference| reference.name.as_str()).unwrap_or_default();
        let api: kube::Api<Secret> = self.runtime.api_in(&receiver.namespace().unwrap_or_default());
        api.get(name).await.map_err(|error| {
            tracing::error!(secret = name, error = %ferrite_runtime::chain(&error), "cannot read the receiver's Secret");
            Refusal::EmptyToken
        })
    }
}

fn is_ready(receiver: &Receiver) -> bool {
    let conditions = receiver.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether a content type, or one of a comma list, is JSON.
fn is_json(headers: &http::HeaderMap) -> bool {
    let value =
        headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|part| {
        part.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    })
}
