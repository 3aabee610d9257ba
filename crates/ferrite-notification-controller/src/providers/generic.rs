//! The event itself, as JSON, to whoever wants it.

use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

pub(super) fn plain(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let mut request = Outgoing::json(target.address.expose_secret(), &json!(event))
        .with_header("gotk-component", &event.reporting_controller);
    for (name, value) in target.headers.expose_secret() {
        request = request.with_header(name, value);
    }
    Ok(request)
}

pub(super) fn signed(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let request = plain(target, event)?;
    let key = target.require_token()?;
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return Ok(request) };
    mac.update(&request.body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    Ok(request.with_header("X-Signature", signature))
}

pub(super) fn github_dispatch(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let url = target.url()?;
    let token = target.require_token()?;
    let path: Vec<&str> = url
        .path()
        .trim_matches('/')
        .trim_end_matches(".git")
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let [owner, repository] = path[..] else {
        return Err(ProviderError::Field {
            kind: target.kind.clone(),
            field: "spec.address",
            problem: "must be https://<host>/<owner>/<repository>",
        });
    };
    let base = match url.host_str() {
        Some("github.com") => "https://api.github.com".to_owned(),
        _ => format!("{}/api/v3", super::origin(&url)),
    };
    let object = &event.involved_object;
    let body = json!({
        "event_type": format!("{}/{}.{}", object.kind, object.name, object.namespace),
        "client_payload": event,
    });
    let request = Outgoing::json(format!("{base}/repos/{owner}/{repository}/dispatches"), &body);
    Ok(request.bearer(Some(token)).with_header("Accept", "application/vnd.github+json"))
}
