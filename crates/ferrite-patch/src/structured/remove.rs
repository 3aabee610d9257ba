//! Taking a set of fields out of a value.

use super::element::Element;
use super::set::FieldSet;
use super::shape::{Form, child_or_any, item_element, shape, whole_list, whole_map};
use ferrite_schema::Type;
use serde_json::{Map, Value};

/// `value` without the fields in `set`. What loses everything that it holds stays, empty.
pub(crate) fn remove(ty: &Type, value: &Value, set: &FieldSet) -> Value {
    match (shape(ty, Some(value)).form, value) {
        (Form::Scalar, _) => value.clone(),
        (Form::List, Value::Array(items)) if !whole_list(ty) => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let Ok(element) = item_element(ty, item) else {
                    kept.push(item.clone());
                    continue;
                };
                if !set.has(&element) {
                    kept.push(without(ty.item(), item, set.below(&element)));
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Form::Map, Value::Object(map)) if !whole_map(ty) => {
            let mut kept = Map::with_capacity(map.len());
            for (name, value) in map {
                let element = Element::Field(name.as_str().into());
                if !set.has(&element) {
                    let ty = child_or_any(ty, name);
                    kept.insert(name.clone(), without(ty, value, set.below(&element)));
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Form::List | Form::Map, _) => Value::Null,
    }
}

fn without(ty: &Type, value: &Value, below: Option<&FieldSet>) -> Value {
    let Some(below) = below else { return value.clone() };
    match (remove(ty, value, below), value) {
        (Value::Null, Value::Object(_)) => Value::Object(Map::new()),
        (Value::Null, Value::Array(_)) => Value::Array(Vec::new()),
        (rest, _) => rest,
    }
}
