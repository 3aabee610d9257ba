//! The parts of a Kustomization's spec.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LocalObjectReference, Selector};

wire_enum! {
    /// Kinds of sources that hold manifests.
    #[derive(Default)]
    pub enum SourceKind {
        /// An OCI artifact.
        OciRepository = "OCIRepository",
        /// A Git repository.
        #[default]
        GitRepository = "GitRepository",
        /// An object store.
        Bucket = "Bucket",
        /// An artifact of a third party.
        ExternalArtifact = "ExternalArtifact",
    }
}

/// A source, maybe in another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// Its API version; not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Its kind.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
    /// Its namespace; the Kustomization's when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

wire_enum! {
    /// What becomes of the applied objects when the Kustomization is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// Deleted when `prune` is set, else left.
        #[default]
        MirrorPrune = "MirrorPrune",
        /// Deleted.
        Delete = "Delete",
        /// Deleted, and the Kustomization stays until they are gone.
        WaitForTermination = "WaitForTermination",
        /// Left.
        Orphan = "Orphan",
    }
}

wire_enum! {
    /// Annotations that tell how an object was built.
    pub enum BuildMetadata {
        /// Where it came from.
        OriginAnnotations = "originAnnotations",
        /// What changed it.
        TransformerAnnotations = "transformerAnnotations",
    }
}

/// How to decrypt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// With what.
    pub provider: DecryptionProvider,
    /// A Secret with the private keys and credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The ServiceAccount to get cloud credentials for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

wire_enum! {
    /// With what to decrypt.
    #[derive(Default)]
    pub enum DecryptionProvider {
        /// SOPS.
        #[default]
        Sops = "sops",
    }
}

/// Variables for the built manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Values by name; they win over `substituteFrom`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets with values by name; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
    /// When to substitute; `WithVariables` when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

wire_enum! {
    /// When to substitute.
    #[derive(Default)]
    pub enum SubstituteStrategy {
        /// When there is at least one variable.
        #[default]
        WithVariables = "WithVariables",
        /// Always, so that defaults take effect and escapes are undone.
        Always = "Always",
    }
}

/// Where to read variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubstituteReference {
    /// The object's kind.
    pub kind: SubstituteKind,
    /// The object's name; it is in the namespace of the Kustomization.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether it may be missing.
    #[serde(default)]
    #[schemars(extend("x-default" = false))]
    pub optional: bool,
}

wire_enum! {
    /// Kinds that hold variables.
    pub enum SubstituteKind {
        /// A Secret.
        Secret = "Secret",
        /// A ConfigMap.
        ConfigMap = "ConfigMap",
    }
}

/// Fields to leave alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoreRule {
    /// JSON pointers (RFC 6901) to the fields.
    pub paths: Vec<String>,
    /// The objects; all of them when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}
