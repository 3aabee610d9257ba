//! Messengers with a text format of their own.

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

/// 💫 for information, 🚨 for errors.
fn mark(event: &Event) -> &'static str {
    if event.is_error() { "🚨" } else { "💫" }
}

/// Escapes for Telegram's MarkdownV2.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\.-_[]()~>`#+=|{}!*".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

pub(super) fn telegram(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let token = target.require_token()?;
    let channel = target.require_channel()?;
    let (chat, thread) =
        channel.split_once(':').map_or((channel, None), |(chat, thread)| (chat, Some(thread)));
    let object = &event.involved_object;
    let heading =
        format!("{} {}/{}/{}", mark(event), object.kind.to_lowercase(), object.name, object.namespace);
    let mut text = format!("*{}*\n{}\n", escape(&heading), escape(&event.message));
    for (key, value) in &event.metadata {
        text.push_str(&format!("\\- *{}*: {}\n", escape(key), escape(value)));
    }
    let mut body = json!({"chat_id": chat});
    if let Some(thread) = thread {
        body["message_thread_id"] = json!(thread);
    }
    body["text"] = json!(text);
    body["parse_mode"] = json!("MarkdownV2");
    Ok(Outgoing::json(format!("https://api.telegram.org/bot{token}/sendMessage"), &body))
}

pub(super) fn lark(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let mut text = format!("**{}**\n\n", event.message);
    for (key, value) in &event.metadata {
        text.push_str(&format!("{key}: {value}\n"));
    }
    let body = json!({"msg_type": "interactive", "card": {
        "config": {"wide_screen_mode": true},
        "header": {
            "title": {"tag": "plain_text", "content": format!("{} {}", mark(event), event.object_title())},
            "template": if event.is_error() { "red" } else { "turquoise" },
        },
        "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": text}}],
    }});
    Ok(Outgoing::json(target.address.expose_secret(), &body))
}

pub(super) fn matrix(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    target.url()?;
    let mut text = format!("{} {}\n{}\n", mark(event), event.object_title(), event.message);
    for (key, value) in &event.metadata {
        text.push_str(&format!("- {key}: {value}\n"));
    }
    // The same event has the same transaction, so that a repeated request shows no second message.
    let transaction = hex::encode(Sha1::digest(serde_json::to_vec(event).unwrap_or_default()));
    let url = format!(
        "{}/_matrix/client/r0/rooms/{}/send/m.room.message/{transaction}",
        target.address.expose_secret().trim_end_matches('/'),
        target.require_channel()?
    );
    let mut request = Outgoing::json(url, &json!({"body": text, "msgtype": "m.text"})).bearer(target.token());
    request.method = http::Method::PUT;
    Ok(request)
}

pub(super) fn zulip(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let mut url = target.url()?;
    let Some((stream, topic)) = target.channel.split_once('/') else {
        return Err(ProviderError::Field {
            kind: target.kind.clone(),
            field: "spec.channel",
            problem: "must be <channel>/<topic>",
        });
    };
    url.set_path("/api/v1/messages");
    url.set_query(None);
    let content = markdown(event);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("type", "stream"), ("to", stream), ("topic", topic), ("content", content.as_str())])
        .finish();
    let mut request = Outgoing::json(url.as_str(), &Value::Null);
    request.content_type = "application/x-www-form-urlencoded";
    request.body = form.into_bytes();
    Ok(match target.basic() {
        Some((user, password)) => request.basic(user, password),
        None => request,
    })
}

pub(super) fn zoom(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let mut url = target.url()?;
    if !url.query_pairs().any(|(key, _)| key == "format") {
        url.query_pairs_mut().append_pair("format", "full");
    }
    let token = target.require_token()?;
    let mut body = vec![json!({"type": "message", "text": event.message})];
    if !event.metadata.is_empty() {
        let items: Vec<Value> =
            event.metadata.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        body.push(json!({"type": "fields", "items": items}));
    }
    let head = json!({"text": event.object_title(), "sub_head": {"text": event.severity}});
    let body = json!({"content": {"head": head, "body": body}});
    Ok(Outgoing::json(url.as_str(), &body).with_header("Authorization", token))
}

/// The event as markdown.
pub(super) fn markdown(event: &Event) -> String {
    let mark = if event.is_error() { "⚠️" } else { "ℹ️" };
    let mut text = format!("## Flux Status\n\n{mark} {}\n\n{}\n", event.object_path(), event.message);
    let shown: Vec<_> = event.metadata.iter().filter(|(key, _)| key.as_str() != "change_request").collect();
    if !shown.is_empty() {
        text.push_str("\nMetadata:\n");
        for (key, value) in shown {
            text.push_str(&format!("* `{key}`: {value}\n"));
        }
    }
    text
}
