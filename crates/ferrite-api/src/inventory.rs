//! What was applied.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objects that an applier owns in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// The objects.
    pub entries: Vec<ResourceRef>,
}

/// One applied object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ResourceRef {
    /// `<namespace>_<name>_<group>_<kind>`; colons of RBAC names are written as two underscores.
    pub id: String,
    /// API version without the group.
    #[serde(rename = "v")]
    #[schemars(rename = "v")]
    pub version: String,
}
