//! Patches and image overrides, as kustomize has them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::schema;

/// A strategic merge or JSON 6902 patch, inline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// The patch as YAML: an object to merge, or a list of JSON 6902 operations.
    #[serde(default)]
    #[schemars(extend("x-required" = true))]
    pub patch: String,
    /// The objects to patch; a merge patch names its own when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Objects; an empty field matches everything. Names and kinds are anchored regular expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version without the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Label selector over annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
    /// Label selector over labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// JSON 6902 operations for the objects of a selector: the notation of former versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JsonPatch {
    /// The operations, in order.
    pub patch: Vec<JsonOperation>,
    /// The objects to patch.
    pub target: Selector,
}

/// One operation of RFC 6902.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JsonOperation {
    /// What to do.
    pub op: JsonOp,
    /// JSON pointer to where.
    pub path: String,
    /// JSON pointer to the value to move or copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value to add, replace or test.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::anything")]
    pub value: Option<Value>,
}

/// A null that is there is a value: `{"op": "add", "path": "/a", "value": null}` adds it.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

wire_enum! {
    /// An operation's name (RFC 6902 §4).
    pub enum JsonOp {
        /// Compare.
        Test = "test",
        /// Remove.
        Remove = "remove",
        /// Add or insert.
        Add = "add",
        /// Replace what exists.
        Replace = "replace",
        /// Move from another place.
        Move = "move",
        /// Copy from another place.
        Copy = "copy",
    }
}

/// A container image to rename or retag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The image's name without its tag.
    pub name: String,
    /// The name to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// The tag to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
    /// The digest to use instead; wins over the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
