//! Columns and cells of built-in kinds.

use serde_json::Value;

use super::{Column, Columns, age};
use crate::resources::Resource;

pub(crate) fn columns(_resource: &Resource) -> Columns {
    vec![Column::new("Name", "string", "name", 0), Column::new("Age", "string", "", 0)]
}

pub(crate) fn cells(_resource: &Resource, item: &Value) -> Vec<Value> {
    vec![item["metadata"]["name"].clone(), age(&item["metadata"]["creationTimestamp"]).into()]
}
