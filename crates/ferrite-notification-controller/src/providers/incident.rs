//! On-call systems: Opsgenie, PagerDuty, incident.io.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Outgoing, ProviderError, Target, object, origin};
use crate::event::Event;

/// Progress is no incident and resolves none.
const PROGRESSING: &str = "Progressing";

pub(super) fn opsgenie(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let token = target.require_token()?;
    let about = &event.involved_object;
    let mut details = object(&event.metadata);
    details.insert("severity".to_owned(), json!(event.severity));
    let identity = format!("{}/{}/{}", target.uid, event.object_path(), event.reason);
    let body = json!({
        "message": format!("{}/{}", about.kind, about.name),
        "alias": hex::encode(Sha256::digest(identity)),
        "description": event.message,
        "details": details,
    });
    Ok(Outgoing::json(target.address.expose_secret(), &body)
        .with_header("Authorization", format!("GenieKey {token}")))
}

pub(super) fn pagerduty(target: &Target, event: &Event) -> Result<Vec<Outgoing>, ProviderError> {
    let base = origin(&target.url()?);
    if event.reason == PROGRESSING {
        return Ok(Vec::new());
    }
    let about = &event.involved_object;
    let summary = format!("{}: {}", event.reason_words(), event.object_short());
    let source = format!("Flux {}", event.reporting_controller);
    let details = json!({"message": event.message, "metadata": object(&event.metadata)});
    let key = &target.channel;
    let enqueue = |body: &Value| Outgoing::json(format!("{base}/v2/enqueue"), body);
    if event.is_error() {
        return Ok(vec![enqueue(&json!({
            "routing_key": key, "event_action": "trigger", "dedup_key": about.uid,
            "payload": {
                "summary": summary, "source": source, "severity": "error", "timestamp": event.timestamp,
                "component": about.name, "group": about.kind, "custom_details": details,
            },
        }))]);
    }
    let change = json!({
        "routing_key": key,
        "payload": {"summary": summary, "source": source, "timestamp": event.timestamp, "custom_details": details},
    });
    Ok(vec![
        enqueue(&json!({"routing_key": key, "event_action": "resolve", "dedup_key": about.uid})),
        Outgoing::json(format!("{base}/v2/change/enqueue"), &change),
    ])
}

pub(super) fn incident_io(target: &Target, event: &Event) -> Result<Vec<Outgoing>, ProviderError> {
    target.url()?;
    let token = target.require_token()?;
    if event.reason == PROGRESSING {
        return Ok(Vec::new());
    }
    let mut metadata = object(&event.metadata);
    metadata.insert("severity".to_owned(), json!(event.severity));
    metadata.insert("reason".to_owned(), json!(event.reason));
    metadata.insert("reportingController".to_owned(), json!(event.reporting_controller));
    let body = json!({
        "title": format!("{}: {}", event.object_title(), event.reason),
        "status": if event.is_error() { "firing" } else { "resolved" },
        "deduplication_key": event.involved_object.uid,
        "description": event.message,
        "metadata": metadata,
    });
    Ok(vec![Outgoing::json(target.address.expose_secret(), &body).bearer(Some(token))])
}
