//! Questions about owners, and taking over from managers that are to own nothing.

use super::element::{Element, same};
use super::fields_v1::FieldsError;
use super::managers::{Entry, Operation, entries, entry_json};
use super::shape::{child, item_element, whole_list, whole_map};
use ferrite_schema::Type;
use serde_json::Value;

/// Somebody who owns a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The field manager's name.
    pub manager: String,
    /// How it came to own it.
    pub operation: Operation,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
}

/// Who owns the value at a JSON pointer of `object`.
///
/// A place inside a list or mapping that is owned whole belongs to the whole's owners. Nobody owns what is not there.
///
/// # Errors
/// When managedFields cannot be read.
pub fn owners(object: &Value, pointer: &str, ty: &Type) -> Result<Vec<Owner>, FieldsError> {
    let Some(path) = path_of(object, pointer, ty) else { return Ok(Vec::new()) };
    let owning = entries(object)?.into_iter().filter(|e| e.fields.contains(&path));
    Ok(owning
        .map(|e| Owner { manager: e.manager, operation: e.operation, subresource: e.subresource })
        .collect())
}

/// The path that ownership of the value at `pointer` is recorded under.
fn path_of(object: &Value, pointer: &str, ty: &Type) -> Option<Vec<Element>> {
    let mut path = Vec::new();
    let (mut value, mut ty) = (object, ty);
    for token in pointer.strip_prefix('/')?.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(map) => {
                if whole_map(ty) {
                    break;
                }
                value = map.get(&token)?;
                ty = child(ty, &token)?;
                path.push(Element::Field(token.into()));
            }
            Value::Array(items) => {
                if whole_list(ty) {
                    break;
                }
                value = items.get(token.parse::<usize>().ok()?)?;
                path.push(item_element(ty, value).ok()?);
                ty = ty.item();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        }
    }
    Some(path)
}

/// A manager whose fields somebody else takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover<'a> {
    /// Its name, or how its name starts.
    pub manager: &'a str,
    /// Whether `manager` is only the start of the name.
    pub prefix: bool,
    /// The operation of the entry.
    pub operation: Operation,
}

impl Takeover<'_> {
    fn matches(&self, entry: &Entry) -> bool {
        let named =
            if self.prefix { entry.manager.starts_with(self.manager) } else { entry.manager == self.manager };
        named && entry.operation == self.operation && entry.subresource.is_empty()
    }
}

/// Folds the entries of `from` into the Apply entry of `into`; entries of subresources stay.
///
/// Returns the new `metadata.managedFields`, or `None` when no entry matches. Fields that somebody set from a terminal
/// become fields that `into` applied, so the next apply reverts or removes them.
///
/// # Errors
/// When managedFields cannot be read.
pub fn fold(object: &Value, from: &[Takeover<'_>], into: &str) -> Result<Option<Value>, FieldsError> {
    let mut kept = Vec::new();
    let mut target: Option<Entry> = None;
    let mut taken = Vec::new();
    for entry in entries(object)? {
        let is_target =
            entry.manager == into && entry.operation == Operation::Apply && entry.subresource.is_empty();
        if is_target {
            target = Some(entry);
        } else if from.iter().any(|f| f.matches(&entry)) {
            taken.push(entry);
        } else {
            kept.push(entry);
        }
    }
    if taken.is_empty() {
        return Ok(None);
    }
    let mut taken = taken.into_iter();
    let Some(mut target) = target.or_else(|| taken.next()) else { return Ok(None) };
    into.clone_into(&mut target.manager);
    target.operation = Operation::Apply;
    for entry in taken {
        target.fields.extend(entry.fields);
    }
    kept.push(target);
    Ok(Some(Value::Array(kept.iter().map(entry_json).collect())))
}

impl Entry {
    /// Whether two entries say the same, times aside.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let timeless = |e: &Self| entry_json(&Self { time: None, ..e.clone() });
        same(&timeless(self), &timeless(other))
    }
}
