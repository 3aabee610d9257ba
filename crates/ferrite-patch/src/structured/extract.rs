//! The set of fields that a value has.

use super::element::Element;
use super::set::FieldSet;
use super::shape::{Form, child_or_any, item_element, shape, whole_list, whole_map};
use ferrite_schema::Type;
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields that whoever applies `value` owns.
///
/// Leaves, whole lists and mappings, list items and free keys are members; declared fields that hold something are not.
#[must_use]
pub fn fields_of(value: &Value, ty: &Type) -> FieldSet {
    visit(ty, value).1
}

/// Whether the value's own path is a member, and what is below it.
fn visit(ty: &Type, value: &Value) -> (bool, FieldSet) {
    match shape(ty, Some(value)).form {
        Form::Scalar => (true, FieldSet::new()),
        Form::List if whole_list(ty) => (true, FieldSet::new()),
        Form::List => (false, value.as_array().map(|items| list(ty, items)).unwrap_or_default()),
        Form::Map if whole_map(ty) => (true, FieldSet::new()),
        Form::Map => (false, value.as_object().map(|map| mapping(ty, map)).unwrap_or_default()),
    }
}

fn mapping(ty: &Type, map: &serde_json::Map<String, Value>) -> FieldSet {
    let mut set = FieldSet::new();
    for (name, value) in map {
        let (member, below) = visit(child_or_any(ty, name), value);
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        set.put(Element::Field(name.as_str().into()), member || empty || !ty.declares(name), below);
    }
    set
}

fn list(ty: &Type, items: &[Value]) -> FieldSet {
    let mut seen: BTreeMap<Element, Option<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(element) = item_element(ty, item) {
            // Items that share a key are owned together, without what is in them.
            seen.entry(element).and_modify(|i| *i = None).or_insert(Some(item));
        }
    }
    let item_type = ty.item();
    let mut set = FieldSet::new();
    for (element, item) in seen {
        let below = item.map(|i| visit(item_type, i).1).unwrap_or_default();
        set.put(element, true, below);
    }
    set
}
