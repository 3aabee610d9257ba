//! Alerts, Providers and Receivers.

use anyhow::Result;
use serde_json::Value;

use super::spec::{Spec, reference};

/// Options of `ferrite create alert`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Alert {
    /// Its name.
    pub(super) name: String,
    /// Provider that is told.
    #[arg(long)]
    provider_ref: String,
    /// The least severity that is told.
    #[arg(long, value_parser = ["info", "error"])]
    event_severity: Option<String>,
    /// Objects whose events are told: Kind/name[.namespace], or Kind/*.
    #[arg(long, value_delimiter = ',', required = true)]
    event_source: Vec<String>,
}

impl Alert {
    pub(super) fn spec(&self) -> Result<Value> {
        let sources: Result<Vec<Value>> =
            self.event_source.iter().map(|text| reference(text, "Kustomization")).collect();
        Ok(Spec::default()
            .put("providerRef.name", Some(self.provider_ref.as_str()))
            .put("eventSeverity", self.event_severity.clone())
            .list("eventSources", sources?)
            .done())
    }
}

/// Options of `ferrite create alert-provider`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Provider {
    /// Its name.
    pub(super) name: String,
    /// What it is: slack, msteams, generic, github, ….
    #[arg(long = "type")]
    kind: String,
    /// Channel of a chat.
    #[arg(long)]
    channel: Option<String>,
    /// Name of the bot.
    #[arg(long)]
    username: Option<String>,
    /// Address of the webhook or repository.
    #[arg(long)]
    address: Option<String>,
    /// Secret with the address or token.
    #[arg(long)]
    secret_ref: Option<String>,
}

impl Provider {
    pub(super) fn spec(&self) -> Value {
        Spec::default()
            .put("type", Some(self.kind.as_str()))
            .put("channel", self.channel.clone())
            .put("username", self.username.clone())
            .put("address", self.address.clone())
            .put("secretRef.name", self.secret_ref.clone())
            .done()
    }
}

/// Options of `ferrite create receiver`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Receiver {
    /// Its name.
    pub(super) name: String,
    /// What it is: github, gitlab, generic, generic-hmac, harbor, ….
    #[arg(long = "type")]
    kind: String,
    /// Secret with the token.
    #[arg(long)]
    secret_ref: String,
    /// Events that count.
    #[arg(long, value_delimiter = ',')]
    event: Vec<String>,
    /// Objects that are reconciled: Kind/name[.namespace].
    #[arg(long, value_delimiter = ',', required = true)]
    resource: Vec<String>,
}

impl Receiver {
    pub(super) fn spec(&self) -> Result<Value> {
        let resources: Result<Vec<Value>> =
            self.resource.iter().map(|text| reference(text, "GitRepository")).collect();
        Ok(Spec::default()
            .put("type", Some(self.kind.as_str()))
            .list("events", self.event.iter().map(|event| event.as_str().into()).collect())
            .put("secretRef.name", Some(self.secret_ref.as_str()))
            .list("resources", resources?)
            .done())
    }
}
