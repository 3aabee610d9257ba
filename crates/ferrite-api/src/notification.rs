//! Notifications: `notification.toolkit.fluxcd.io`.

mod alert;
mod provider;
mod receiver;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use alert::{Alert, AlertSpec, EventSeverity, Recovery};
pub use provider::{Provider, ProviderSpec, ProviderType};
pub use receiver::{
    OidcProvider, OidcValidation, OidcVariable, Receiver, ReceiverResource, ReceiverSpec, ReceiverStatus,
    ReceiverType,
};

/// The group of notifications.
pub const GROUP: &str = "notification.toolkit.fluxcd.io";

/// Kinds that emit events and can be asked to reconcile.
pub const KINDS: &[&str] = &[
    "Bucket",
    "GitRepository",
    "Kustomization",
    "HelmRelease",
    "HelmChart",
    "HelmRepository",
    "ImageRepository",
    "ImagePolicy",
    "ImageUpdateAutomation",
    "OCIRepository",
    "ArtifactGenerator",
    "ExternalArtifact",
];

/// Objects of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceObjectReference {
    /// Their API version; not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Their kind. Objects of former versions may lack it; such a reference means nothing.
    #[serde(default)]
    #[schemars(extend("x-required" = true, "enum" = json!(KINDS)))]
    pub kind: String,
    /// Name of one object, or `*`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Their namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: Option<String>,
    /// Labels that the objects must have. Empty labels are not absent ones: with them a Receiver's `*` means every
    /// object of the namespace, without them nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
}
