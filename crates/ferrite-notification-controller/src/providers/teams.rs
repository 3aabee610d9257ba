//! Microsoft Teams: message cards for the retired connectors, adaptive cards for workflows.

use serde_json::{Value, json};

use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

/// Hosts of the connectors that take message cards.
const CONNECTORS: &str = ".webhook.office.com";

pub(super) fn message(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let url = target.url()?;
    let connector = url.host_str().is_some_and(|host| host.ends_with(CONNECTORS));
    let body = if connector { message_card(event) } else { adaptive_card(event) };
    Ok(Outgoing::json(target.address.expose_secret(), &body))
}

fn message_card(event: &Event) -> Value {
    let title = event.object_title();
    let facts: Vec<Value> =
        event.metadata.iter().map(|(key, value)| json!({"name": key, "value": value})).collect();
    json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": if event.is_error() { "FF0000" } else { "0076D7" },
        "summary": title,
        "sections": [{"activityTitle": event.message, "activitySubtitle": title, "facts": facts}],
    })
}

fn adaptive_card(event: &Event) -> Value {
    let mut message = json!({"type": "TextBlock", "text": event.message, "wrap": true});
    if event.is_error() {
        message["color"] = json!("attention");
    }
    let title = json!({
        "type": "TextBlock", "text": event.object_title(), "size": "large", "weight": "bolder", "wrap": true,
    });
    let mut items = vec![title, message];
    // The summary is what somebody wrote for readers, so it stands first.
    let summary = event.metadata.get_key_value("summary");
    let others = event.metadata.iter().filter(|(key, _)| key.as_str() != "summary");
    let facts: Vec<Value> =
        summary.into_iter().chain(others).map(|(key, value)| json!({"title": key, "value": value})).collect();
    if !facts.is_empty() {
        items.push(json!({"type": "FactSet", "facts": facts}));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "Container", "items": items}],
        "msteams": {"width": "Full"},
    });
    json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    })
}
