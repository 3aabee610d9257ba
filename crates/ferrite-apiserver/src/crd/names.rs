//! Which definition may have which names, and whether it is established.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::KEY;
use crate::clock::now_text;
use crate::json::{items, text};
use crate::server::Server;

/// Accepts the names of a definition, and establishes it, as far as other definitions of its group let it.
///
/// Returns whether the definition changed.
pub(crate) fn settle(server: &Server, name: &str) -> bool {
    for _ in 0..8 {
        let Some(stored) = server.store.get(KEY, "", name) else { return false };
        let mut value = stored.value();
        let before = value["status"].clone();
        let used = used_names(server, name, text(&value["spec"], "group"));
        decide(&mut value, &used);
        if value["status"] == before {
            return false;
        }
        crate::schema::normalize_kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", &mut value);
        if server.store.update(KEY, stored.version, value).is_ok() {
            return true;
        }
    }
    false
}

/// Names of resources and of kinds that other definitions of the group hold.
#[derive(Debug, Default)]
struct Used {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

fn used_names(server: &Server, own: &str, group: &str) -> Used {
    let mut used = Used::default();
    let suffix = format!(".{group}");
    for object in server.store.list(KEY, None).objects {
        if *object.name == *own || !object.name.ends_with(&suffix) {
            continue;
        }
        let value = object.value();
        if text(&value["spec"], "group") != group {
            continue;
        }
        let names = &value["status"]["acceptedNames"];
        for key in ["plural", "singular"] {
            used.resources.insert(text(names, key).to_owned());
        }
        used.resources.extend(super::strings(&names["shortNames"]));
        for key in ["kind", "listKind"] {
            used.kinds.insert(text(names, key).to_owned());
        }
    }
    used.resources.remove("");
    used.kinds.remove("");
    used
}

fn decide(value: &mut Value, used: &Used) {
    let wanted = value["spec"]["names"].clone();
    let mut accepted = value["status"]["acceptedNames"].clone();
    let mut conflict: Option<(&str, String)> = None;
    let taken =
        |set: &HashSet<String>, name: &str| set.contains(name).then(|| format!("{name:?} is already in use"));
    for (key, reason, set) in [
        ("plural", "PluralConflict", &used.resources),
        ("singular", "SingularConflict", &used.resources),
        ("kind", "KindConflict", &used.kinds),
        ("listKind", "ListKindConflict", &used.kinds),
    ] {
        match taken(set, text(&wanted, key)) {
            Some(why) => conflict = Some((reason, why)),
            None => accepted[key] = wanted[key].clone(),
        }
        if key == "singular" {
            let clashes: Vec<String> = items(&wanted["shortNames"])
                .iter()
                .filter_map(|n| taken(&used.resources, n.as_str()?))
                .collect();
            if clashes.is_empty() {
                accepted["shortNames"] = wanted["shortNames"].clone();
            } else {
                conflict = Some(("ShortNamesConflict", clashes.join(", ")));
            }
        }
    }
    accepted["categories"] = wanted["categories"].clone();
    if let Some(map) = accepted.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    value["status"]["acceptedNames"] = accepted;
    let established = super::is_true(value, "Established");
    match conflict {
        Some((reason, why)) => {
            set(value, "NamesAccepted", false, reason, &why);
            if !established {
                set(value, "Established", false, "NotAccepted", "not all names are accepted");
            }
        }
        None => {
            set(value, "NamesAccepted", true, "NoConflicts", "no conflicts found");
            set(value, "Established", true, "InitialNamesAccepted", "the initial names have been accepted");
        }
    }
}

/// Sets a condition; its time moves only when the status does.
pub(super) fn set(value: &mut Value, kind: &str, on: bool, reason: &str, message: &str) {
    let status = if on { "True" } else { "False" };
    let mut conditions = items(&value["status"]["conditions"]).to_vec();
    let fresh = json!({"type": kind, "status": status, "lastTransitionTime": now_text(), "reason": reason, "message": message});
    match conditions.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            let since = if old["status"] == status {
                old["lastTransitionTime"].clone()
            } else {
                fresh["lastTransitionTime"].clone()
            };
            *old = fresh;
            old["lastTransitionTime"] = since;
        }
        None => conditions.push(fresh),
    }
    value["status"]["conditions"] = conditions.into();
}

/// Marks a definition whose objects are being deleted.
pub(crate) fn set_terminating(value: &mut Value, reason: &str, message: &str) {
    set(value, "Terminating", true, reason, message);
}
