//! Which events to tell to whom.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CrossNamespaceObjectReference;
use crate::{Duration, LocalObjectReference, schema};

/// Which events to tell to whom.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Alert",
    doc = "Events of some objects that are told to a provider.",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct AlertSpec {
    /// Whom to tell.
    pub provider_ref: LocalObjectReference,
    /// Whose events to tell.
    pub event_sources: Vec<CrossNamespaceObjectReference>,
    /// The least severe events to tell.
    #[serde(default)]
    #[schemars(extend("x-default" = "info"))]
    pub event_severity: EventSeverity,
    /// Regular expressions for messages to tell; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_list: Vec<String>,
    /// Regular expressions for messages not to tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusion_list: Vec<String>,
    /// Metadata to add to events that lack it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_metadata: BTreeMap<String, String>,
    /// Deprecated: a short text for every event; use `eventMetadata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub summary: Option<String>,
    /// A Go template for the message, over the event as a `generic` provider gets it; the functions are sprig's. Not
    /// known to Flux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub message_template: Option<String>,
    /// Also tell that what failed works again, and do not repeat failures too often. Not known to Flux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Whether to tell nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What an alert tells of objects that fail and recover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Failures of an object are told once in this time, and again after it has recovered and this time has passed; all
    /// of them when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::INTERVAL))]
    pub cooldown: Option<Duration>,
}

wire_enum! {
    /// How severe an event is.
    #[derive(Default)]
    pub enum EventSeverity {
        /// News.
        #[default]
        Info = "info",
        /// A failure.
        Error = "error",
    }
}
