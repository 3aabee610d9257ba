//! Label and field selectors.

mod fields;
mod labels;

use serde_json::Value;

use crate::handlers::Scope;
use crate::status::ApiError;
use crate::store::Stored;

pub(crate) use fields::FieldSelector;
pub(crate) use labels::LabelSelector;

/// What of a resource a list or watch shows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
}

impl Selection {
    pub(crate) fn of(scope: &Scope<'_>) -> Result<Self, ApiError> {
        let query = &scope.call.query;
        let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default(), &scope.resource)?;
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?;
        let name = (!scope.name.is_empty()).then(|| scope.name.to_owned());
        Ok(Self { labels, fields, name })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.name.is_none()
    }

    pub(crate) fn matches(&self, object: &Stored) -> bool {
        self.name.as_ref().is_none_or(|n| **n == *object.name)
            && self.labels.matches(|key| object.label(key))
            && self.fields.matches(object)
    }
}

/// The text of a field for comparison in a selector.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
