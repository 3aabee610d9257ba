//! One step of a path into an object, and its order and text.

use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::fmt;

/// One step from a value to a value inside it.
///
/// The order is structured-merge-diff's: names, keys, values, positions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field or key of a mapping.
    Field(Box<str>),
    /// The item of a list whose key fields have these values; sorted by name.
    Key(Vec<(Box<str>, Scalar)>),
    /// The item of a set.
    Value(Scalar),
    /// The n-th item of an atomic list.
    Index(i64),
}

impl Element {
    /// The field of this name.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// The item with these key values, in any order.
    #[must_use]
    pub fn key<'n>(fields: impl IntoIterator<Item = (&'n str, Value)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().map(|(n, v)| (n.into(), Scalar(v))).collect();
        fields.sort();
        Self::Key(fields)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i == 0 { "[" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value that tells list items apart; usually text or a number, but any JSON is held.
#[derive(Debug, Clone)]
pub struct Scalar(pub Value);

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(s) => f.write_str(&crate::go::quote(s)),
            Value::Null => f.write_str("null"),
            other => f.write_str(&crate::go::sharp(other)),
        }
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

/// structured-merge-diff's order of values: numbers, text, booleans, lists, mappings, null.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let first = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne());
            first.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |m: &'_ serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = m.keys().cloned().collect();
                keys.sort_unstable();
                keys
            };
            let (left, right) = (sorted(a), sorted(b));
            for (l, r) in left.iter().zip(&right) {
                let order = l.cmp(r).then_with(|| match (a.get(l), b.get(r)) {
                    (Some(a), Some(b)) => compare(a, b),
                    _ => Ordering::Equal,
                });
                if order.is_ne() {
                    return order;
                }
            }
            left.len().cmp(&right.len())
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return a.cmp(&b);
    }
    let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// Whether two values are the same to Kubernetes: key order is nothing, `1` is `1.0`.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
