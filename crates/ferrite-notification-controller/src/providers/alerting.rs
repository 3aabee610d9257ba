//! Monitoring systems: Alertmanager, Grafana, Datadog, Sentry.

use serde_json::{Value, json};

use super::{Outgoing, ProviderError, Target, object, origin, unix_seconds};
use crate::event::Event;

/// Go's zero time; Flux always sends it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// First letter upper, the others lower, as Unicode title casing does with one word.
fn title_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect()
    })
}

pub(super) fn alertmanager(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let about = &event.involved_object;
    let mut metadata = event.metadata.clone();
    let mut annotations = json!({"message": event.message});
    if let Some(summary) = metadata.remove("summary") {
        annotations["summary"] = json!(summary);
    }
    let mut labels = object(&metadata);
    for (key, value) in [
        ("alertname", format!("Flux{}{}", about.kind, title_case(&event.reason))),
        ("severity", event.severity.clone()),
        ("reason", event.reason.clone()),
        ("kind", about.kind.clone()),
        ("name", about.name.clone()),
        ("namespace", about.namespace.clone()),
        ("reportingcontroller", event.reporting_controller.clone()),
    ] {
        labels.insert(key.to_owned(), Value::String(value));
    }
    let body = json!([{
        "status": "firing", "labels": labels, "annotations": annotations,
        "startsAt": event.timestamp, "endsAt": ZERO_TIME,
    }]);
    Ok(Outgoing::json(target.address.expose_secret(), &body).basic_or_bearer(target))
}

pub(super) fn grafana(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let about = &event.involved_object;
    let plain = |text: &str| text.replace(':', "|");
    let mut tags = vec!["flux".to_owned(), event.reporting_controller.clone()];
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{}: {}", plain(key), plain(value))));
    tags.push(format!("kind: {}", about.kind));
    tags.push(format!("name: {}", about.name));
    tags.push(format!("namespace: {}", about.namespace));
    let body = json!({"when": unix_seconds(event), "text": event.object_title(), "tags": tags});
    let request = Outgoing::json(target.address.expose_secret(), &body);
    Ok(match target.token() {
        Some(token) => request.bearer(Some(token)),
        None => request.basic_or_bearer(target),
    })
}

pub(super) fn datadog(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let url = target.url()?;
    let token = target.require_token()?;
    let about = &event.involved_object;
    let mut tags = vec![
        format!("flux_reporting_controller:{}", event.reporting_controller),
        format!("flux_reason:{}", event.reason),
        format!("kube_kind:{}", about.kind),
        format!("kube_name:{}", about.name),
        format!("kube_namespace:{}", about.namespace),
    ];
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{key}:{value}")));
    let tags: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    let body = json!({
        "title": format!("Events from the {} {}/{}", about.kind, about.name, about.namespace),
        "text": event.message,
        "tags": tags,
        "source_type_name": "fluxcd",
        "date_happened": unix_seconds(event),
        "alert_type": if event.is_error() { "error" } else { "info" },
    });
    Ok(Outgoing::json(format!("{}/api/v1/events", origin(&url)), &body).with_header("DD-API-KEY", token))
}

/// An envelope to the project of a DSN (`https://<key>@<host>/<project>`), as Sentry's protocol 7 has it.
pub(super) fn sentry(
    target: &Target,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<Outgoing, ProviderError> {
    let url = target.url()?;
    let refuse = || ProviderError::Field {
        kind: target.kind.clone(),
        field: "spec.address",
        problem: "must be a DSN, https://<key>@<host>/<project>",
    };
    let (prefix, project) = url.path().rsplit_once('/').ok_or_else(refuse)?;
    if project.is_empty() || url.username().is_empty() {
        return Err(refuse());
    }
    let about = &event.involved_object;
    let id = id_of(event, &now.to_string());
    let transaction = format!("{}: {}/{}", about.kind, about.namespace, about.name);
    let (kind, item) = if event.is_error() {
        (
            "event",
            json!({
                "event_id": id, "timestamp": event.timestamp, "level": "error", "platform": "other",
                "server_name": event.reporting_controller, "environment": target.channel, "transaction": transaction,
                "message": event.message, "contexts": {"metadata": object(&event.metadata)},
            }),
        )
    } else {
        let mut tags = object(&event.metadata);
        for (key, value) in [
            ("flux_involved_object_kind", &about.kind),
            ("flux_involved_object_namespace", &about.namespace),
            ("flux_involved_object_name", &about.name),
            ("flux_reason", &event.reason),
            ("flux_reporting_controller", &event.reporting_controller),
            ("flux_reporting_instance", &event.reporting_instance),
        ] {
            tags.insert(key.to_owned(), json!(value));
        }
        let (trace, span) = (id.clone(), id.get(..16).unwrap_or_default());
        let context = json!({"trace_id": trace, "span_id": span, "op": "event"});
        (
            "transaction",
            json!({
                "event_id": id, "type": "transaction", "transaction": transaction, "platform": "other",
                "level": "info", "message": event.message,
                "start_timestamp": event.timestamp, "timestamp": event.timestamp, "environment": target.channel,
                "server_name": event.reporting_controller, "tags": tags, "contexts": {"trace": context},
                "spans": [{
                    "trace_id": trace, "span_id": span, "op": "event", "description": event.message,
                    "start_timestamp": event.timestamp, "timestamp": event.timestamp,
                }],
            }),
        )
    };
    let mut body = json!({"event_id": id, "sent_at": now.to_string()}).to_string();
    body.push('\n');
    body.push_str(&json!({"type": kind, "content_type": "application/json"}).to_string());
    body.push('\n');
    body.push_str(&item.to_string());
    body.push('\n');
    let host = origin(&url);
    let key = url.username().to_owned();
    let mut request = Outgoing::json(format!("{host}{prefix}/api/{project}/envelope/"), &Value::Null)
        .with_header(
            "X-Sentry-Auth",
            format!("Sentry sentry_version=7, sentry_client=ferrite/1, sentry_key={key}"),
        );
    request.content_type = "application/x-sentry-envelope";
    request.body = body.into_bytes();
    Ok(request)
}

/// 32 hex digits that differ between events and between sends.
fn id_of(event: &Event, now: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("{}{now}", event.dedup_key()));
    hex::encode(digest).chars().take(32).collect()
}
