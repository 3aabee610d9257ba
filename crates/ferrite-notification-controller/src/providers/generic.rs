//! The event itself, as JSON, to whoever wants it.

use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::repository::{self, Repository};
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
    let repository = Repository::of(target)?;
    let (owner, name) = repository.owner_and_name(target)?;
    let object = &event.involved_object;
    let body = json!({
        "event_type": format!("{}/{}.{}", object.kind, object.name, object.namespace),
        "client_payload": event,
    });
    let url = format!("{}/repos/{owner}/{name}/dispatches", repository.github_api());
    repository::github(Outgoing::json(url, &body), target)
}
