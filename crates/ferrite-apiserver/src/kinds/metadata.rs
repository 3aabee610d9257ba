//! `metadata`: what the server sets and what it refuses.

use serde_json::{Map, Value};

use super::names;
use crate::json::{items, text};
use crate::resources::Resource;
use crate::status::Cause;

/// Bytes of all annotations together.
const ANNOTATIONS: usize = 256 * 1024;

/// Random letters as generated names end with: no vowels, nothing that looks like another.
fn suffix() -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let bytes = uuid::Uuid::new_v4().into_bytes();
    let pick = |b: &u8| ALPHABET.get(usize::from(*b) % ALPHABET.len()).map_or('x', |c| char::from(*c));
    bytes.iter().take(5).map(pick).collect()
}

/// A name from `metadata.generateName`.
pub(crate) fn generate_name(prefix: &str) -> String {
    let kept: String = prefix.chars().take(58).collect();
    kept + &suffix()
}

/// Changes the object's metadata, which is made if it is not there.
pub(crate) fn edit<R>(object: &mut Value, change: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
    let mut meta = match object["metadata"].take() {
        Value::Object(meta) => meta,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    let result = change(&mut meta);
    object["metadata"] = Value::Object(meta);
    result
}

/// What the server sets on creation, whatever the client says.
pub(crate) fn on_create(object: &mut Value) {
    const SERVERS: [&str; 7] = [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
        "uid",
        "creationTimestamp",
        "resourceVersion",
    ];
    edit(object, |meta| {
        for key in SERVERS {
            meta.shift_remove(key);
        }
        meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
        meta.insert("creationTimestamp".into(), crate::clock::now_text().into());
    });
}

/// What an update cannot change is taken over from the object as it is.
pub(crate) fn on_update(live: &Value, object: &mut Value) {
    let old = &live["metadata"];
    edit(object, |meta| {
        for key in ["uid", "creationTimestamp", "generation", "selfLink"] {
            match old.get(key) {
                Some(value) => meta.insert(key.into(), value.clone()),
                None => meta.shift_remove(key),
            };
        }
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            match (meta.get(key), old.get(key)) {
                (None | Some(Value::Null), Some(value)) => {
                    meta.insert(key.into(), value.clone());
                }
                (Some(Value::Null), None) => {
                    meta.shift_remove(key);
                }
                _ => {}
            }
        }
    });
}

fn invalid(field: &str, value: &str, problems: &[String], out: &mut Vec<Cause>) {
    out.extend(problems.iter().map(|p| Cause::invalid(field, &value.into(), p)));
}

/// Labels at `field`.
pub(crate) fn labels(value: &Value, field: &str, out: &mut Vec<Cause>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        invalid(field, key, &names::qualified_name(key), out);
        let value = value.as_str().unwrap_or_default();
        invalid(field, value, &names::label_value(value), out);
    }
}

pub(crate) fn annotations(value: &Value, field: &str, out: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in value.as_object().into_iter().flatten() {
        invalid(field, key, &names::qualified_name(&key.to_lowercase()), out);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        out.push(Cause::too_long(field, ANNOTATIONS));
    }
}

/// The rules of every object's metadata.
pub(crate) fn validate(resource: &Resource, object: &Value, out: &mut Vec<Cause>) {
    let meta = &object["metadata"];
    let name = text(meta, "name");
    if name.is_empty() {
        out.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        invalid("metadata.name", name, &names::of_resource(&resource.group, &resource.plural, name), out);
    }
    common(meta, "metadata", out);
}

/// The rules that embedded objects share: labels, annotations, owners, finalizers.
pub(crate) fn common(meta: &Value, at: &str, out: &mut Vec<Cause>) {
    labels(&meta["labels"], &format!("{at}.labels"), out);
    annotations(&meta["annotations"], &format!("{at}.annotations"), out);
    owners(meta, at, out);
    for finalizer in items(&meta["finalizers"]) {
        let name = finalizer.as_str().unwrap_or_default();
        let field = format!("{at}.finalizers");
        invalid(&field, name, &names::qualified_name(name), out);
    }
    let both =
        ["orphan", "foregroundDeletion"].iter().all(|f| items(&meta["finalizers"]).iter().any(|x| x == f));
    if both {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        out.push(Cause::invalid(format!("{at}.finalizers"), &meta["finalizers"], why));
    }
}

fn owners(meta: &Value, at: &str, out: &mut Vec<Cause>) {
    let mut controller: Option<&Value> = None;
    for (i, owner) in items(&meta["ownerReferences"]).iter().enumerate() {
        let field = |key: &str| format!("{at}.ownerReferences[{i}].{key}");
        let version = text(owner, "apiVersion");
        if version.is_empty() {
            out.push(Cause::invalid(field("apiVersion"), &"".into(), "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                let why = format!("{key} must not be empty");
                out.push(Cause::invalid(field(key), &"".into(), &why));
            }
        }
        if (version, text(owner, "kind")) == ("v1", "Event") {
            out.push(Cause::invalid(
                format!("{at}.ownerReferences[{i}]"),
                &format!("{version}, Kind=Event").into(),
                "is disallowed from being an owner",
            ));
        }
        if owner["controller"] == true {
            if let Some(first) = controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
                    text(first, "kind"),
                    text(first, "name"),
                    text(owner, "kind"),
                    text(owner, "name")
                );
                out.push(Cause::invalid(format!("{at}.ownerReferences"), &meta["ownerReferences"], &why));
            }
            controller = controller.or(Some(owner));
        }
    }
}

/// The rules that compare with the object as it was.
pub(crate) fn validate_update(live: &Value, object: &Value, out: &mut Vec<Cause>) {
    let (old, new) = (&live["metadata"], &object["metadata"]);
    if old.get("deletionTimestamp").is_some() {
        let before = items(&old["finalizers"]);
        let added: Vec<String> =
            items(&new["finalizers"]).iter().filter(|f| !before.contains(f)).map(|f| f.to_string()).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            out.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if old.get(key) != new.get(key) {
            out.push(Cause::invalid(format!("metadata.{key}"), &new[key], "field is immutable"));
        }
    }
}

/// Warnings about finalizers that others might use too.
pub(crate) fn warnings(live: Option<&Value>, object: &Value) -> Vec<String> {
    let before = live.map_or(&[] as &[Value], |l| items(&l["metadata"]["finalizers"]));
    let bare = |f: &&Value| {
        f.as_str()
            .is_some_and(|f| !f.contains('/') && !matches!(f, "orphan" | "foregroundDeletion" | "kubernetes"))
    };
    let new = items(&object["metadata"]["finalizers"]).iter().filter(|f| !before.contains(f)).filter(bare);
    let why = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers";
    new.map(|f| format!("metadata.finalizers: {f}: {why}")).collect()
}

/// Whether nothing keeps a deleted object any more.
pub(crate) fn is_released(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some_and(|t| !t.is_null())
        && items(&object["metadata"]["finalizers"]).is_empty()
}

/// Removes empty maps and lists of metadata, which Go would not write.
pub(crate) fn tidy(object: &mut Value) {
    edit(object, tidy_map);
}

fn tidy_map(meta: &mut Map<String, Value>) {
    for key in ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"] {
        if meta.get(key).is_some_and(crate::json::is_empty) {
            meta.shift_remove(key);
        }
    }
    for key in ["generateName", "selfLink", "namespace", "resourceVersion"] {
        if meta.get(key).is_some_and(|v| v == "" || v.is_null()) {
            meta.shift_remove(key);
        }
    }
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "creationTimestamp"] {
        if meta.get(key).is_some_and(Value::is_null) {
            meta.shift_remove(key);
        }
    }
}
