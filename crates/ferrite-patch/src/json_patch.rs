//! JSON patch, RFC 6902, with the habits of evanphx/json-patch v4 that the API server inherits.
//!
//! Those habits: `replace`, `test` and `copy` of a missing key of a mapping see null; a path need not start with a
//! slash; positions may be negative and count from the end; an absent `value` is null.

use crate::structured::same;
use serde_json::{Map, Value};

/// Most operations in one patch (Kubernetes' limit).
pub const MAX_OPERATIONS: usize = 10_000;

/// Most bytes that the `copy` operations of one patch may make together.
const MAX_COPIED: usize = 3 << 20;

/// A patch that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a list of operations: 400.
    #[error("json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp")]
    NotAPatch {
        /// What it is: `object`, `string`, …
        found: &'static str,
    },
    /// It has more than [`MAX_OPERATIONS`] operations: 413.
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooMany(usize),
    /// An operation does not apply to the document: 422.
    #[error("operation {index}: {message}")]
    Operation {
        /// Its place in the patch, from 0.
        index: usize,
        /// What is wrong.
        message: String,
    },
}

/// The document after every operation of `patch`, which may be null for none.
///
/// # Errors
/// When `patch` is no patch, or an operation fails; the document is then what it was.
pub fn apply(document: &Value, patch: &Value) -> Result<Value, Error> {
    let operations = match patch {
        Value::Null => return Ok(document.clone()),
        Value::Array(operations) => operations,
        Value::Object(_) => return Err(Error::NotAPatch { found: "object" }),
        Value::String(_) => return Err(Error::NotAPatch { found: "string" }),
        Value::Number(_) => return Err(Error::NotAPatch { found: "number" }),
        Value::Bool(_) => return Err(Error::NotAPatch { found: "bool" }),
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Error::TooMany(operations.len()));
    }
    let mut run = Run { document: document.clone(), copied: 0 };
    for (index, operation) in operations.iter().enumerate() {
        run.operation(operation).map_err(|message| Error::Operation { index, message })?;
    }
    Ok(run.document)
}

struct Run {
    document: Value,
    copied: usize,
}

fn missing(what: &str, pointer: &str) -> String {
    format!("{what}: {pointer:?} is not there")
}

fn text<'o>(operation: &'o Map<String, Value>, key: &str) -> Result<&'o str, String> {
    let value = operation.get(key).and_then(Value::as_str);
    value.ok_or_else(|| format!("{key:?} is missing or not a string"))
}

impl Run {
    fn operation(&mut self, operation: &Value) -> Result<(), String> {
        let Value::Object(operation) = operation else { return Err("not an object".to_owned()) };
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        let path = || text(operation, "path");
        match text(operation, "op")? {
            "add" => self.add(path()?, value()),
            "remove" => self.remove(path()?).map(drop),
            "replace" => self.replace(path()?, value()),
            "test" => self.test(path()?, &value()),
            "move" => {
                let value = self.remove(text(operation, "from")?)?;
                self.add(path()?, value)
            }
            "copy" => {
                let value = self.get(text(operation, "from")?)?.unwrap_or(&Value::Null).clone();
                self.copied += value.to_string().len();
                if self.copied > MAX_COPIED {
                    return Err(format!("copies of more than {MAX_COPIED} bytes"));
                }
                self.add(path()?, value)
            }
            other => Err(format!("unknown operation {other:?}")),
        }
    }

    /// The mapping or list that holds the last step of the pointer, and that step.
    fn holder(&mut self, pointer: &str) -> Result<(&mut Value, String), String> {
        // What is before the first slash is not looked at.
        let (_, steps) = pointer.split_once('/').ok_or_else(|| missing("path", pointer))?;
        let mut steps: Vec<String> = steps.split('/').map(unescape).collect();
        let last = steps.pop().unwrap_or_default();
        let mut at = &mut self.document;
        for step in steps {
            at = match at {
                Value::Object(map) => map.get_mut(&step),
                Value::Array(items) => position(&step, items.len()).and_then(|i| items.get_mut(i)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            }
            .ok_or_else(|| missing("path", pointer))?;
        }
        if at.is_object() || at.is_array() { Ok((at, last)) } else { Err(missing("path", pointer)) }
    }

    /// The value at a pointer; a missing key of a mapping is nothing, a missing position an error.
    fn get(&mut self, pointer: &str) -> Result<Option<&Value>, String> {
        let (holder, last) = self.holder(pointer)?;
        match holder {
            Value::Array(items) => {
                let found = position(&last, items.len()).and_then(|i| items.get(i));
                found.map(Some).ok_or_else(|| missing("position", pointer))
            }
            other => Ok(other.get(&last)),
        }
    }

    fn add(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        let (holder, last) = self.holder(pointer)?;
        match holder {
            Value::Array(items) if last == "-" => items.push(value),
            Value::Array(items) => {
                // One more position than there are items: the place after the last.
                let at = position(&last, items.len() + 1).ok_or_else(|| missing("position", pointer))?;
                items.insert(at, value);
            }
            Value::Object(map) => {
                map.insert(last, value);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    fn remove(&mut self, pointer: &str) -> Result<Value, String> {
        let (holder, last) = self.holder(pointer)?;
        let removed = match holder {
            Value::Array(items) => position(&last, items.len()).map(|i| items.remove(i)),
            Value::Object(map) => map.shift_remove(&last),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        removed.ok_or_else(|| missing("value", pointer))
    }

    fn replace(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        if pointer.is_empty() {
            if !value.is_object() && !value.is_array() {
                return Err("the whole document can only become an object or array".to_owned());
            }
            self.document = value;
            return Ok(());
        }
        let (holder, last) = self.holder(pointer)?;
        match holder {
            Value::Array(items) => {
                let found = position(&last, items.len()).and_then(|i| items.get_mut(i));
                *found.ok_or_else(|| missing("position", pointer))? = value;
            }
            Value::Object(map) => {
                map.insert(last, value);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    fn test(&mut self, pointer: &str, expected: &Value) -> Result<(), String> {
        let found =
            if pointer.is_empty() { &self.document } else { self.get(pointer)?.unwrap_or(&Value::Null) };
        if same(found, expected) { Ok(()) } else { Err(format!("the value at {pointer:?} is another one")) }
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A position in a list of `length`; negative ones count from the end.
fn position(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    if (0..length).contains(&index) { usize::try_from(index).ok() } else { None }
}

#[cfg(test)]
mod tests;
