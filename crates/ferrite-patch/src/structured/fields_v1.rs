//! Field sets as `FieldsV1` JSON: `{"f:spec":{"f:replicas":{}}}`.

use super::element::{Element, Scalar};
use super::set::FieldSet;
use serde_json::{Map, Value};

/// Deepest nesting that is read; Kubernetes objects stay far below it.
const MAX_DEPTH: usize = 256;

/// `FieldsV1` JSON that is not a field set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A key that is too short or has no colon at its second place.
    #[error("{0:?} is not a path element: expected f:, k:, v: or i: and its content")]
    Element(String),
    /// The content of a `k:`, `v:` or `i:` key.
    #[error("the content of path element {0:?} is not what its type needs")]
    Content(String),
    /// Something else than an object.
    #[error("expected an object of path elements, found {0}")]
    NotObject(&'static str),
    /// Deeper than 256 levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// An entry of managedFields that says something impossible.
    #[error("{0}")]
    Entry(String),
}

impl FieldSet {
    /// Reads `FieldsV1`. Path elements of unknown types are dropped, as Kubernetes drops them.
    ///
    /// # Errors
    /// When a key of a known type cannot be read.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, FieldsError> {
        Ok(read(fields, 0)?.0)
    }

    /// Writes `FieldsV1`, keys in the set's order.
    #[must_use]
    pub fn to_fields_v1(&self) -> Value {
        Value::Object(write(self, false))
    }
}

/// What is below a key, and whether the key itself is a member.
fn read(fields: &Value, depth: usize) -> Result<(FieldSet, bool), FieldsError> {
    let object = match fields {
        Value::Object(object) => object,
        Value::Null => return Ok((FieldSet::new(), true)),
        Value::Array(_) => return Err(FieldsError::NotObject("a list")),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(FieldsError::NotObject("a scalar"));
        }
    };
    if depth > MAX_DEPTH {
        return Err(FieldsError::Depth);
    }
    let mut set = FieldSet::new();
    let mut member = false;
    for (key, below) in object {
        if key == "." {
            member = true;
        } else if let Some(element) = element(key)? {
            let (below, is_member) = read(below, depth + 1)?;
            set.put(element, is_member, below);
        }
    }
    let member = member || set.is_empty();
    Ok((set, member))
}

fn element(key: &str) -> Result<Option<Element>, FieldsError> {
    let bad = || FieldsError::Element(key.to_owned());
    let content = || FieldsError::Content(key.to_owned());
    let (kind, rest) = key.split_once(':').filter(|(kind, _)| kind.len() == 1).ok_or_else(bad)?;
    Ok(Some(match kind {
        "f" => Element::Field(rest.into()),
        "v" => Element::Value(Scalar(serde_json::from_str(rest).map_err(|_| content())?)),
        "k" => {
            let fields: Map<String, Value> = serde_json::from_str(rest).map_err(|_| content())?;
            let mut fields: Vec<(Box<str>, Scalar)> =
                fields.into_iter().map(|(n, v)| (n.into(), Scalar(v))).collect();
            fields.sort();
            Element::Key(fields)
        }
        "i" => Element::Index(rest.parse().map_err(|_| content())?),
        _ => return Ok(None),
    }))
}

fn write(set: &FieldSet, member: bool) -> Map<String, Value> {
    let mut out = Map::new();
    if member && !set.is_empty() {
        out.insert(".".into(), Value::Object(Map::new()));
    }
    for (element, member, below) in set.iter() {
        out.insert(name(element), Value::Object(write(below, member)));
    }
    out
}

fn name(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
        Element::Value(value) => format!("v:{}", crate::go::json(&value.0)),
        Element::Index(index) => format!("i:{index}"),
        Element::Key(fields) => {
            let mut object = Map::new();
            for (name, value) in fields {
                object.insert(name.to_string(), value.0.clone());
            }
            format!("k:{}", crate::go::json(&Value::Object(object)))
        }
    }
}
