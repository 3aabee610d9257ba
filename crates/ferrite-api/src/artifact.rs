//! What a source produces.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// An archive that a source controller stores and serves.
///
/// Objects of a former version may lack `digest`, `revision` and `lastUpdateTime`; they read as empty or the Unix
/// epoch, and such an artifact cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Path of the file below the storage's root.
    pub path: String,
    /// Where the file is served over HTTP.
    pub url: String,
    /// What the file was made of: `<branch>@sha1:<commit>`, a chart's version, `<tag>@sha256:<digest>`.
    #[serde(default)]
    #[schemars(extend("x-required" = true))]
    pub revision: String,
    /// Digest of the file, `<algorithm>:<hex>`.
    #[serde(default)]
    #[schemars(extend("x-required" = true, "pattern" = schema::DIGEST))]
    pub digest: String,
    /// When the file was written.
    #[serde(default = "schema::epoch")]
    #[schemars(schema_with = "schema::time", extend("x-required" = true))]
    pub last_update_time: Time,
    /// Size of the file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// What the source says of it, such as OCI annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
