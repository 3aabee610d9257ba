//! Whether a value is what its schema says, in structured-merge-diff's words.

use super::element::Element;
use super::shape::{Form, child, item_element, shape, whole_list};
use crate::go;
use ferrite_schema::{Kind, Type};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// One place that does not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeError {
    /// `.spec.ports[port=80].name`; empty for the object itself.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// The errors in the layout of one message.
pub(crate) fn join(errors: &[TypeError]) -> String {
    match errors {
        [one] => one.to_string(),
        many => many.iter().fold("errors:".to_owned(), |text, e| format!("{text}\n  {e}")),
    }
}

/// Whether list items may share a key: what is stored may, what is applied may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duplicates {
    Allowed,
    Refused,
}

/// Every place where `value` does not fit `ty`.
pub(crate) fn check(ty: &Type, value: &Value, duplicates: Duplicates) -> Vec<TypeError> {
    let mut checker = Checker { duplicates, path: Vec::new(), errors: Vec::new() };
    checker.visit(ty, value);
    checker.errors
}

struct Checker {
    duplicates: Duplicates,
    path: Vec<Element>,
    errors: Vec<TypeError>,
}

impl Checker {
    fn error(&mut self, message: String) {
        self.errors.push(TypeError { path: super::set::text(&self.path), message });
    }

    fn descend(&mut self, element: Element, ty: &Type, value: &Value) {
        self.path.push(element);
        self.visit(ty, value);
        self.path.pop();
    }

    fn visit(&mut self, ty: &Type, value: &Value) {
        if value.is_null() {
            return;
        }
        match (shape(ty, Some(value)).form, value) {
            (Form::Map, Value::Object(map)) => {
                for (name, value) in map {
                    let element = Element::Field(name.as_str().into());
                    let Some(child) = child(ty, name) else {
                        self.path.push(element);
                        self.error("field not declared in schema".to_owned());
                        self.path.pop();
                        return;
                    };
                    self.descend(element, child, value);
                }
            }
            (Form::Map, other) => self.error(format!("expected map, got &{{{}}}", go::plain(other))),
            (Form::List, Value::Array(items)) => self.list(ty, items),
            (Form::List, other) => self.error(format!("expected list, got &{{{}}}", go::plain(other))),
            (Form::Scalar, other) => {
                if let Some(message) = scalar(ty.kind, other) {
                    self.error(message);
                }
            }
        }
    }

    fn list(&mut self, ty: &Type, items: &[Value]) {
        let item_type = ty.item();
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if whole_list(ty) {
                self.descend(Element::Index(i64::try_from(index).unwrap_or(i64::MAX)), item_type, item);
                continue;
            }
            match item_element(ty, item) {
                Err(why) => {
                    self.error(format!("element {index}: {why}"));
                    return;
                }
                Ok(element) => {
                    if seen.contains(&element) && self.duplicates == Duplicates::Refused {
                        self.error(format!("duplicate entries for key {element}"));
                    }
                    self.descend(element.clone(), item_type, item);
                    seen.insert(element);
                }
            }
        }
    }
}

fn scalar(kind: Kind, value: &Value) -> Option<String> {
    let any = matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_));
    match kind {
        Kind::String if !value.is_string() => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", go::sharp(value)))
        }
        Kind::Integer | Kind::Number if !value.is_number() => {
            Some(format!("expected numeric (int or float), got {}", go::type_name(value)))
        }
        Kind::Boolean if !value.is_boolean() => {
            Some(format!("expected boolean, got &{{{}}}", go::plain(value)))
        }
        Kind::IntOrString | Kind::Quantity | Kind::Any if !any => {
            Some(format!("expected any scalar, got &{{{}}}", go::plain(value)))
        }
        _ => None,
    }
}
