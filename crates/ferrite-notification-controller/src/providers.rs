//! What each provider type is sent: pure functions from an event to HTTP requests.
//!
//! ```text
//! Provider + Secret ─▶ Target ─┐
//!                              ├─▶ requests() ─▶ [Outgoing] ─▶ sender
//! Event (metadata merged) ─────┘
//! ```
//!
//! Payloads are those of Flux's notification-controller; metadata is written in the order of its keys.

mod alerting;
mod chat;
pub(crate) mod cloud;
pub(crate) mod comment;
pub(crate) mod commit_status;
mod generic;
pub(crate) mod github_app;
mod incident;
mod messages;
pub(crate) mod otel;
mod repository;
mod teams;

use std::collections::BTreeMap;

use ferrite_runtime::Redacted;
use serde_json::Value;

use crate::event::Event;
pub use github_app::GitHubApp;

/// A provider with its credentials, ready to be written to.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// `spec.type`.
    pub kind: String,
    /// UID of the Provider object.
    pub uid: String,
    /// Where to send to; may hold a secret (webhook URLs do).
    pub address: Redacted<String>,
    /// Channel, room, environment, routing key: what the type makes of it.
    pub channel: String,
    /// The name to appear under, or the user of basic authentication.
    pub username: String,
    /// `spec.username`, whatever the Secret says.
    pub sender: String,
    /// The password of basic authentication.
    pub password: Option<Redacted<String>>,
    /// The token.
    pub token: Option<Redacted<String>>,
    /// A token of a cloud, for the types that take one when there is no other.
    pub bearer: Option<Redacted<String>>,
    /// The host that stands in for Pub/Sub.
    pub emulator: Option<String>,
    /// What completes the name of an Event Hubs namespace.
    pub service_bus: &'static str,
    /// A NATS credentials file.
    pub creds: Option<Redacted<String>>,
    /// The seed of a NATS user.
    pub nkey: Option<Redacted<String>>,
    /// A GitHub App whose token is to be used, when the provider has no token of its own.
    pub github_app: Option<Redacted<GitHubApp>>,
    /// Further headers, for types that take them.
    pub headers: Redacted<BTreeMap<String, String>>,
}

impl Target {
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.expose_secret().as_str()).filter(|token| !token.is_empty())
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_ref().map(|token| token.expose_secret().as_str())
    }

    pub(crate) fn require_token(&self) -> Result<&str, ProviderError> {
        self.token().ok_or_else(|| ProviderError::Missing {
            kind: self.kind.clone(),
            what: "a token in spec.secretRef",
        })
    }

    fn require_channel(&self) -> Result<&str, ProviderError> {
        Some(self.channel.as_str())
            .filter(|channel| !channel.is_empty())
            .ok_or_else(|| ProviderError::Missing { kind: self.kind.clone(), what: "spec.channel" })
    }

    /// User and password, when there is a password.
    pub(crate) fn basic(&self) -> Option<(&str, &str)> {
        let password = self.password.as_ref()?;
        Some((self.username.as_str(), password.expose_secret().as_str()))
    }

    /// The address as a URL.
    pub(crate) fn url(&self) -> Result<url::Url, ProviderError> {
        let address = self.address.expose_secret();
        let url = url::Url::parse(address).map_err(|_| ProviderError::Address { kind: self.kind.clone() })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(ProviderError::Address { kind: self.kind.clone() });
        }
        Ok(url)
    }

    fn user_or<'a>(&'a self, fallback: &'a str) -> &'a str {
        if self.username.is_empty() { fallback } else { &self.username }
    }
}

/// How an answer is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// By its status: any 2xx.
    Status,
    /// By `ok` in its JSON body, whatever the status (Slack's API).
    SlackOk,
}

/// One request to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// `POST` unless the type says otherwise.
    pub method: http::Method,
    /// Where; may hold a secret.
    pub url: Redacted<String>,
    /// Headers beside the content type; may hold secrets.
    pub headers: Redacted<Vec<(String, String)>>,
    /// The content type.
    pub content_type: &'static str,
    /// The bytes that were signed, if they were.
    pub body: Vec<u8>,
    /// How the answer is judged.
    pub judge: Judge,
}

impl Outgoing {
    fn json(url: impl Into<String>, body: &Value) -> Self {
        Self {
            method: http::Method::POST,
            url: Redacted::new(url.into()),
            headers: Redacted::default(),
            content_type: "application/json",
            // Serialising a Value cannot fail.
            body: serde_json::to_vec(body).unwrap_or_default(),
            judge: Judge::Status,
        }
    }

    /// A request that only reads.
    fn get(url: impl Into<String>) -> Self {
        Self { method: http::Method::GET, body: Vec::new(), ..Self::json(url, &Value::Null) }
    }

    fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        let mut headers = self.headers.expose_secret().clone();
        headers.push((name.to_owned(), value.into()));
        self.headers = Redacted::new(headers);
        self
    }

    fn bearer(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.with_header("Authorization", format!("Bearer {token}")),
            None => self,
        }
    }

    fn basic(self, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.with_header("Authorization", format!("Basic {pair}"))
    }

    /// Basic authentication when there is a password, else the token.
    fn basic_or_bearer(self, target: &Target) -> Self {
        match target.basic() {
            Some((user, password)) => self.basic(user, password),
            None => self.bearer(target.token()),
        }
    }
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProviderError {
    /// The type needs something that is not there.
    #[error("a provider of type {kind} needs {what}")]
    Missing {
        /// The type.
        kind: String,
        /// What is missing and where it belongs.
        what: &'static str,
    },
    /// The address is no absolute HTTP URL. It is not shown, since addresses hold secrets.
    #[error("the address of a provider of type {kind} must be an absolute http:// or https:// URL")]
    Address {
        /// The type.
        kind: String,
    },
    /// A field of the provider has the wrong form.
    #[error("{field} of a provider of type {kind} {problem}")]
    Field {
        /// The type.
        kind: String,
        /// The field.
        field: &'static str,
        /// What it should look like.
        problem: &'static str,
    },
    /// The event names no commit.
    #[error("failed to extract commit hash from '{0}' revision")]
    Revision(String),
    /// The event's pull or merge request has no number.
    #[error("the event's metadata `change_request` must be the number of a pull request, not {0:?}")]
    ChangeRequest(String),
    /// This controller does not know the type.
    #[error("provider type {0} is not supported")]
    Unsupported(String),
}

/// The requests that tell `event` to `target`, in order; none when the type skips such events.
///
/// Types that read before they write, statuses and comments of Git hosts, are not among them.
///
/// # Errors
///
/// [`ProviderError`] when the provider lacks something; the text holds no secret.
pub fn requests(
    target: &Target,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<Vec<Outgoing>, ProviderError> {
    let one = |request: Outgoing| Ok(vec![request]);
    match target.kind.as_str() {
        "slack" => one(chat::slack(target, event)?),
        "discord" => one(chat::discord(target, event)?),
        "rocket" => one(chat::rocket(target, event)?),
        "msteams" => one(teams::message(target, event)?),
        "googlechat" => one(chat::google_chat(target, event)?),
        "webex" => one(chat::webex(target, event)?),
        "telegram" => one(messages::telegram(target, event)?),
        "lark" => one(messages::lark(target, event)?),
        "matrix" => one(messages::matrix(target, event)?),
        "zulip" => one(messages::zulip(target, event)?),
        "zoom" => one(messages::zoom(target, event)?),
        "generic" => one(generic::plain(target, event)?),
        "generic-hmac" => one(generic::signed(target, event)?),
        "githubdispatch" => one(generic::github_dispatch(target, event)?),
        "alertmanager" => one(alerting::alertmanager(target, event)?),
        "grafana" => one(alerting::grafana(target, event)?),
        "datadog" => one(alerting::datadog(target, event)?),
        "opsgenie" => one(incident::opsgenie(target, event)?),
        "pagerduty" => incident::pagerduty(target, event),
        "incident.io" => incident::incident_io(target, event),
        "googlepubsub" => one(cloud::google_pubsub(target, event)?),
        "azureeventhub" => one(cloud::azure_event_hub(target, event, now)?),
        "sentry" => one(alerting::sentry(target, event, now)?),
        other => Err(ProviderError::Unsupported(other.to_owned())),
    }
}

/// Seconds since 1970 of the event; 0 when its timestamp does not parse.
fn unix_seconds(event: &Event) -> i64 {
    event.timestamp.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second).unwrap_or_default()
}

/// `scheme://host[:port]` of a URL.
fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

/// Merges metadata into a JSON object.
fn object(entries: &BTreeMap<String, String>) -> serde_json::Map<String, Value> {
    entries.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect()
}

#[cfg(test)]
pub(crate) mod tests;
