//! The two kinds of write: server-side apply, and everything else.

use super::conflict::Conflicts;
use super::extract::fields_of;
use super::fields_v1::FieldsError;
use super::managers::{Id, Managers, Operation, set_managed_fields};
use super::typed::{Duplicates, TypeError, check, join};
use super::updater::Updater;
use super::{FieldSet, Write, compare};
use ferrite_schema::{Type, empty_object};
use serde_json::{Map, Value};

/// kubectl's record of what it last applied from the client's side.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The manager that owns what an object had before anything was applied to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Kubernetes' limit of all annotations together, in bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// What an apply made of the object.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object with its new managedFields, neither defaulted nor normalized.
    pub object: Value,
    /// Whether anything but managedFields differs from the live object.
    pub changed: bool,
}

/// An apply that cannot be done. The texts are the API server's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The request is wrong by itself: 400.
    #[error("{0}")]
    BadRequest(String),
    /// The configuration does not fit the schema: 500, as Kubernetes has it.
    #[error("failed to create typed patch object ({object}): {}", join(errors))]
    Patch {
        /// `namespace/name; group/version, Kind=Kind`
        object: String,
        /// Each place.
        errors: Vec<TypeError>,
    },
    /// What is stored does not fit the schema: 500.
    #[error("failed to create typed live object ({object}): {}", join(errors))]
    Live {
        /// `namespace/name; group/version, Kind=Kind`
        object: String,
        /// Each place.
        errors: Vec<TypeError>,
    },
    /// The live object's managedFields cannot be read: 500.
    #[error("failed to decode managed fields: {0}")]
    Managers(FieldsError),
    /// Others own fields that the configuration changes: 409.
    #[error("{0}")]
    Conflicts(Conflicts),
}

/// Applies a configuration to the live object, or creates the object from it when there is none.
///
/// # Errors
/// [`Error::Conflicts`] unless `force`; the other variants when the configuration or what is stored is not usable.
pub fn apply(
    live: Option<&Value>,
    patch: &Value,
    ty: &Type,
    write: &Write<'_>,
    force: bool,
) -> Result<Applied, Error> {
    let text = |key: &str| patch.get(key).and_then(Value::as_str).unwrap_or_default();
    if (text("apiVersion"), text("kind")) != (write.api_version, write.kind) {
        let given = gvk(text("apiVersion"), text("kind"));
        return Err(Error::BadRequest(format!("invalid object type: {given}")));
    }
    if patch.get("metadata").and_then(|m| m.get("managedFields")).is_some_and(|m| !m.is_null()) {
        return Err(Error::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    let mut managers = match live {
        Some(live) => Managers::of(live).map_err(Error::Managers)?,
        None => Managers::default(),
    };
    let mut live = live.cloned().unwrap_or_else(|| empty_object(ty, write.api_version, write.kind));
    set_managed_fields(&mut live, Vec::new());
    let errors = check(ty, patch, Duplicates::Refused);
    if !errors.is_empty() {
        return Err(Error::Patch { object: object_name(patch), errors });
    }
    let errors = check(ty, &live, Duplicates::Allowed);
    if !errors.is_empty() {
        return Err(Error::Live { object: object_name(&live), errors });
    }

    let updater = updater(ty, write);
    if managers.is_empty() {
        let empty = empty_object(ty, write.api_version, write.kind);
        let set = updater.update(&empty, &live, &mut managers);
        let id = Id::new(BEFORE_FIRST_APPLY, Operation::Update, write.api_version, write.subresource);
        managers.record(id, &set, write.api_version, write.now);
    }
    let id = Id::new(write.manager, Operation::Apply, write.api_version, write.subresource);
    let mut after = managers.clone();
    let new = match updater.apply(&live, patch, &mut after, &id, force) {
        Ok(new) => new,
        Err(conflicts) => {
            let takes_over = kubectl_takes_over(write, &conflicts, &live, ty);
            takes_over.map_err(Error::Conflicts)?;
            after = managers;
            updater.apply(&live, patch, &mut after, &id, true).map_err(Error::Conflicts)?
        }
    };
    after.strip_manager(&id);
    let changed = new.is_some();
    if changed {
        after.times.insert(id, write.now.to_owned());
    }
    let mut object = new.unwrap_or(live);
    set_managed_fields(&mut object, Vec::new());
    if write.manager == "kubectl" {
        follow_last_applied(&mut object, patch);
    }
    after.write_into(&mut object);
    Ok(Applied { object, changed })
}

/// Records who owns the fields that a create, replace or patch changes; returns `new` with its managedFields.
///
/// `live` is `None` for a create. What the writer put into managedFields itself counts, unless it creates or writes a
/// subresource: an empty list, or one empty entry, clears them. Anything unreadable there keeps the live ones. Objects
/// that do not fit their schema keep them too.
#[must_use]
pub fn update(live: Option<&Value>, new: Value, ty: &Type, write: &Write<'_>) -> Value {
    let mut new = new;
    let mut managers = managers_of_update(live, &new, write);
    set_managed_fields(&mut new, Vec::new());
    // An object without owners stays so: somebody cleared them.
    let tracked = live.is_none() || !managers.is_empty();
    if tracked {
        let mut before = live.cloned().unwrap_or_else(|| empty_object(ty, write.api_version, write.kind));
        set_managed_fields(&mut before, Vec::new());
        let fits = |value: &Value| check(ty, value, Duplicates::Allowed).is_empty();
        if fits(&before) && fits(&new) {
            let set = updater(ty, write).update(&before, &new, &mut managers);
            let id = Id::new(write.manager, Operation::Update, write.api_version, write.subresource);
            managers.record(id, &set, write.api_version, write.now);
        }
    }
    managers.write_into(&mut new);
    new
}

fn managers_of_update(live: Option<&Value>, new: &Value, write: &Write<'_>) -> Managers {
    let Some(live) = live else { return Managers::default() };
    let live = || Managers::of(live).unwrap_or_default();
    if !write.subresource.is_empty() {
        return live();
    }
    let given = new.get("metadata").and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    match given.map(Vec::as_slice) {
        Some([]) => return Managers::default(),
        Some([Value::Object(one)]) if one.values().all(is_zero) => return Managers::default(),
        Some(_) | None => {}
    }
    match Managers::of(new) {
        Ok(managers) if !managers.is_empty() => managers,
        _ => live(),
    }
}

fn is_zero(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// When nothing but the times in managedFields would change, keeps those of `before`.
///
/// The API server does this after every write, so that a write without effect changes nothing at all.
pub fn keep_times(before: &Value, after: &mut Value) {
    let list = |object: &Value| object.get("metadata")?.get("managedFields")?.as_array().cloned();
    let (Some(old), Some(new)) = (list(before), list(after)) else { return };
    let timeless = |list: &[Value]| -> Vec<Value> {
        let mut list = list.to_vec();
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            entry.shift_remove("time");
        }
        list
    };
    // The order depends on the times.
    let (mut a, mut b) = (timeless(&old), timeless(&new));
    a.sort_by(super::element::compare);
    b.sort_by(super::element::compare);
    if a == b && same_but_managed_fields(before, after) {
        set_managed_fields(after, old);
    }
}

fn same_but_managed_fields(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return false };
    let without = |m: Option<&Value>| -> Map<String, Value> {
        let mut map = m.and_then(Value::as_object).cloned().unwrap_or_default();
        map.shift_remove("managedFields");
        map
    };
    a.len() == b.len()
        && a.iter().all(|(k, v)| {
            if k == "metadata" { without(Some(v)) == without(b.get(k)) } else { b.get(k) == Some(v) }
        })
}

fn updater<'a>(ty: &'a Type, write: &Write<'a>) -> Updater<'a> {
    Updater { version: write.api_version, ty, versions: write.versions, scope: write.scope }
}

/// `group/version, Kind=Kind`, the core group as an empty one.
fn gvk(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn object_name(object: &Value) -> String {
    let metadata = |key: &str| object.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str);
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    format!(
        "{}/{}; {}",
        metadata("namespace").unwrap_or_default(),
        metadata("name").unwrap_or_default(),
        gvk(text("apiVersion"), text("kind"))
    )
}

/// kubectl may take what it applied from the client's side before, as the annotation and the live object agree on.
fn kubectl_takes_over(
    write: &Write<'_>,
    conflicts: &Conflicts,
    live: &Value,
    ty: &Type,
) -> Result<(), Conflicts> {
    if write.manager != "kubectl" {
        return Err(conflicts.clone());
    }
    let Some(allowed) = last_applied_fields(live, ty, write.api_version) else {
        return Err(conflicts.clone());
    };
    conflicts.except(&allowed).map_or(Ok(()), Err)
}

fn last_applied_fields(live: &Value, ty: &Type, api_version: &str) -> Option<FieldSet> {
    let annotation = live.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    let last: Value = serde_json::from_str(annotation).ok()?;
    if last.get("apiVersion")?.as_str()? != api_version
        || !check(ty, &last, Duplicates::Refused).is_empty()
        || !check(ty, live, Duplicates::Refused).is_empty()
    {
        return None;
    }
    let changes = compare(ty, &last, live);
    let fields = fields_of(&last, ty);
    Some(fields.difference(&changes.modified).difference(&changes.added).difference(&changes.removed))
}

/// Keeps kubectl's annotation in step with what kubectl applies from the server's side.
fn follow_last_applied(object: &mut Value, patch: &Value) {
    let Some(Value::Object(annotations)) = object.get_mut("metadata").and_then(|m| m.get_mut("annotations"))
    else {
        return;
    };
    if annotations.get(LAST_APPLIED).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = patch.clone();
    if let Some(Value::Object(own)) = applied.get_mut("metadata").and_then(|m| m.get_mut("annotations")) {
        own.shift_remove(LAST_APPLIED);
    }
    sort_keys(&mut applied);
    annotations.insert(LAST_APPLIED.to_owned(), format!("{}\n", crate::go::json(&applied)).into());
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        annotations.shift_remove(LAST_APPLIED);
    }
}

fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.sort_keys();
            map.values_mut().for_each(sort_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
