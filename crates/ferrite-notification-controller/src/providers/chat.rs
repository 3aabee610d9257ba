//! Slack and those that speak like it; Google Chat and Webex.

use serde_json::{Value, json};

use super::{Judge, Outgoing, ProviderError, Target};
use crate::event::Event;

const SLACK_API: &str = "https://slack.com/api/chat.postMessage";

/// Attachments in Slack's form.
fn attachment(event: &Event, fallback: Option<String>, good: &str, bad: &str) -> Value {
    let fields: Vec<Value> = event
        .metadata
        .iter()
        .map(|(key, value)| json!({"title": key, "value": value, "short": false}))
        .collect();
    let mut attachment = json!({
        "fallback": fallback.unwrap_or_default(),
        "color": if event.is_error() { bad } else { good },
        "author_name": event.object_title(),
        "text": event.message,
        "mrkdwn_in": ["text"],
    });
    if !fields.is_empty() {
        attachment["fields"] = Value::Array(fields);
    }
    attachment
}

fn payload(channel: &str, username: &str, attachment: &Value) -> Value {
    json!({"channel": channel, "username": username, "icon_url": "", "icon_emoji": "", "attachments": [attachment]})
}

pub(super) fn slack(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let url = target.url()?;
    let first_line = event.message.lines().next().unwrap_or_default();
    let fallback = format!("{}: {first_line}", event.object_title());
    let user = target.user_or(&event.reporting_controller);
    let body = payload(&target.channel, user, &attachment(event, Some(fallback), "good", "danger"));
    let mut request = Outgoing::json(target.address.expose_secret(), &body).bearer(target.token());
    if url.as_str() == SLACK_API {
        request.judge = Judge::SlackOk;
    }
    Ok(request)
}

/// Discord takes Slack's form below `/slack`.
pub(super) fn discord(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let mut url = target.url()?;
    if !url.path().ends_with("/slack") {
        let path = format!("{}/slack", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let user = target.user_or(&event.reporting_controller);
    Ok(Outgoing::json(url.as_str(), &payload("", user, &attachment(event, None, "good", "danger"))))
}

pub(super) fn rocket(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let body = payload(&target.channel, &target.username, &attachment(event, None, "#0076D7", "#FF0000"));
    Ok(Outgoing::json(target.address.expose_secret(), &body))
}

pub(super) fn google_chat(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let text = if event.is_error() {
        format!("<font color=\"#ff0000\">{}</font>", event.message)
    } else {
        event.message.clone()
    };
    let mut sections =
        vec![json!({"header": "", "widgets": [{"textParagraph": {"text": text}, "keyValue": null}]})];
    if !event.metadata.is_empty() {
        let widgets: Vec<Value> = event
            .metadata
            .iter()
            .map(|(key, value)| {
                json!({"textParagraph": null, "keyValue": {
                    "topLabel": key, "content": value, "contentMultiline": false, "bottomLabel": null, "icon": null,
                }})
            })
            .collect();
        sections.push(json!({"header": "", "widgets": widgets}));
    }
    let header = json!({
        "title": event.object_title(), "subtitle": event.reporting_controller, "imageUrl": null, "imageStyle": null,
    });
    let body = json!({"cards": [{"header": header, "sections": sections}]});
    Ok(Outgoing::json(target.address.expose_secret(), &body))
}

pub(super) fn webex(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let mark = if event.is_error() { "💣" } else { "✅" };
    let mut text = format!("{mark} **{}**\n{}\n", event.object_title(), event.message);
    for (key, value) in &event.metadata {
        text.push_str(&format!(">**{key}**: {value}\n"));
    }
    let body = json!({"roomId": target.channel, "markdown": text});
    Ok(Outgoing::json(target.address.expose_secret(), &body).bearer(Some(target.token().unwrap_or_default())))
}
