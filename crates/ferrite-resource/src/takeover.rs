//! Taking the fields of kubectl and others over, so that what they set is reverted or removed.

use serde_json::{Value, json};

use crate::managed_fields::{FieldSet, entries, text};

/// Annotations and labels that appliers before Flux left (kustomize-controller `apply` cleanup options).
const STALE_ANNOTATIONS: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];
const STALE_LABELS: &[&str] = &["fluxcd.io/sync-gc-mark"];

/// Whose fields are taken over: those of kubectl, of our own updates before server-side apply, and of more managers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managers {
    /// Our own field manager, which applies.
    pub own: String,
    /// Further managers, whatever their operation (`--override-manager`); a manager matches by prefix.
    pub overrides: Vec<String>,
    /// Whether the fields of kubectl and of our own updates are taken over, with what earlier appliers left. Helm lets
    /// them be.
    pub kubectl: bool,
}

impl Default for Managers {
    fn default() -> Self {
        Self { own: "kustomize-controller".to_owned(), overrides: Vec::new(), kubectl: true }
    }
}

impl Managers {
    fn takes_over(&self, entry: &Value) -> bool {
        let (manager, operation) = (text(entry, "manager"), text(entry, "operation"));
        if !text(entry, "subresource").is_empty() || !matches!(operation, "Apply" | "Update") {
            return false;
        }
        let update = operation == "Update";
        let earlier = manager.starts_with("kubectl")
            || (update && (manager.starts_with("before-first-apply") || manager.starts_with(&self.own)));
        (self.kubectl && earlier)
            || self.overrides.iter().any(|other| !other.is_empty() && manager.starts_with(other.as_str()))
                && !is_own(entry, &self.own)
    }
}

fn is_own(entry: &Value, own: &str) -> bool {
    text(entry, "manager") == own
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

/// The names of the managers on the live object whose fields would be taken over.
#[must_use]
pub fn foreign_managers<'a>(live: &'a Value, managers: &Managers) -> Vec<&'a str> {
    let mut names: Vec<&str> = entries(live)
        .iter()
        .filter(|entry| managers.takes_over(entry))
        .map(|entry| text(entry, "manager"))
        .collect();
    names.dedup();
    names
}

/// The JSON patch (RFC 6902) that removes what earlier appliers left on the live object and folds their entries of
/// managedFields into ours; `None` when there is nothing to do.
///
/// It also sets the resourceVersion that `live` was read at, so that the API server answers with a conflict instead of
/// losing the ownership somebody else gained in between.
#[must_use]
pub fn takeover(live: &Value, managers: &Managers) -> Option<Value> {
    let mut patch = Vec::new();
    let stale = [("annotations", STALE_ANNOTATIONS), ("labels", STALE_LABELS)];
    for (place, keys) in stale.into_iter().filter(|_| managers.kubectl) {
        let map = live.get("metadata").and_then(|meta| meta.get(place));
        for key in keys {
            if map.is_some_and(|map| map.get(key).is_some()) {
                let step = key.replace('/', "~1");
                patch.push(json!({"op": "remove", "path": format!("/metadata/{place}/{step}")}));
            }
        }
    }
    let folded = fold(live, &managers.own, |entry| managers.takes_over(entry));
    guarded(live, patch, folded)
}

/// The JSON patch that folds what `from` wrote by updates into what `own` applies, so that an apply that no longer names
/// a field removes it (`k8s.io/client-go/util/csaupgrade`); `None` when there is nothing to fold.
#[must_use]
pub fn fold_updates(live: &Value, from: &[&str], own: &str) -> Option<Value> {
    let folded = fold(live, own, |entry| {
        text(entry, "operation") == "Update"
            && text(entry, "subresource").is_empty()
            && from.contains(&text(entry, "manager"))
    });
    guarded(live, Vec::new(), folded)
}

fn guarded(live: &Value, mut patch: Vec<Value>, folded: Option<Vec<Value>>) -> Option<Value> {
    if let Some(folded) = folded {
        patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": folded}));
    }
    if patch.is_empty() {
        return None;
    }
    if let Some(version) = live.pointer("/metadata/resourceVersion") {
        patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    }
    Some(Value::Array(patch))
}

/// managedFields with the entries that are taken over folded into ours, which comes last; `None` when there are none.
///
/// Without an entry of our own the first that is taken over is renamed.
fn fold(live: &Value, own_name: &str, takes_over: impl Fn(&Value) -> bool) -> Option<Vec<Value>> {
    let all = entries(live);
    if !all.iter().any(&takes_over) {
        return None;
    }
    let mut own = all.iter().find(|entry| is_own(entry, own_name)).cloned();
    let mut fields = own.as_ref().map(fields_of);
    let mut kept = Vec::with_capacity(all.len());
    for entry in all {
        if is_own(entry, own_name) {
            continue;
        }
        if !takes_over(entry) {
            kept.push(entry.clone());
            continue;
        }
        match &mut fields {
            Some(fields) => fields.merge(fields_of(entry)),
            None => {
                fields = Some(fields_of(entry));
                own = Some(entry.clone());
            }
        }
    }
    let mut own = own?;
    if let Some(entry) = own.as_object_mut() {
        entry.insert("manager".to_owned(), own_name.into());
        entry.insert("operation".to_owned(), "Apply".into());
        entry.insert("fieldsV1".to_owned(), fields?.to_value());
    }
    kept.push(own);
    Some(kept)
}

fn fields_of(entry: &Value) -> FieldSet {
    FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn live(entries: &[Value]) -> Value {
        json!({"metadata": {"name": "a", "resourceVersion": "7", "managedFields": entries}})
    }

    #[test]
    fn nothing_foreign_needs_no_patch() {
        let status = json!({"manager": "kubectl-edit", "operation": "Update", "subresource": "status", "fieldsV1": {}});
        let object = live(&[entry("kustomize-controller", "Apply", &json!({"f:data": {}})), status]);
        assert_eq!(takeover(&object, &Managers::default()), None);
    }

    #[test]
    fn kubectls_fields_are_folded_into_our_entry() {
        let object = live(&[
            entry("kustomize-controller", "Apply", &json!({"f:data": {"f:a": {}}})),
            entry("kubectl-edit", "Update", &json!({"f:data": {"f:b": {}}})),
            entry("helm", "Update", &json!({"f:data": {"f:c": {}}})),
            entry("before-first-apply", "Update", &json!({"f:data": {".": {}, "f:a": {}}})),
        ]);
        assert_eq!(foreign_managers(&object, &Managers::default()), ["kubectl-edit", "before-first-apply"]);
        assert_eq!(
            takeover(&object, &Managers::default()).unwrap(),
            json!([
                {"op": "replace", "path": "/metadata/managedFields", "value": [
                    entry("helm", "Update", &json!({"f:data": {"f:c": {}}})),
                    entry("kustomize-controller", "Apply", &json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})),
                ]},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
            ])
        );
    }

    #[test]
    fn without_an_entry_of_ours_the_first_is_renamed() {
        let object = live(&[
            entry("kubectl-client-side-apply", "Update", &json!({"f:data": {"f:a": {}}})),
            entry("argocd", "Apply", &json!({"f:data": {"f:b": {}}})),
        ]);
        let managers = Managers { overrides: vec!["argocd".to_owned()], ..Managers::default() };
        let patch = takeover(&object, &managers).unwrap();
        assert_eq!(
            patch.pointer("/0/value").unwrap(),
            &json!([entry("kustomize-controller", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}}}))])
        );
    }

    #[test]
    fn what_older_appliers_left_is_removed() {
        let object = json!({"metadata": {
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "x"},
            "labels": {"fluxcd.io/sync-gc-mark": "sha256.x"}
        }});
        assert_eq!(
            takeover(&object, &Managers::default()).unwrap(),
            json!([
                {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
                {"op": "remove", "path": "/metadata/labels/fluxcd.io~1sync-gc-mark"}
            ])
        );
    }

    #[test]
    fn updates_of_the_named_are_folded_and_kubectl_is_let_be() {
        let f = |name: &str| json!({"f:data": {format!("f:{name}"): {}}});
        let object = live(&[
            entry("helm", "Update", &f("a")),
            entry("kubectl-edit", "Update", &f("b")),
            entry("helm-controller", "Apply", &f("c")),
        ]);
        let patch = fold_updates(&object, &["helm", "helm-controller"], "helm-controller").unwrap();
        let folded = json!([
            entry("kubectl-edit", "Update", &f("b")),
            entry("helm-controller", "Apply", &json!({"f:data": {"f:a": {}, "f:c": {}}})),
        ]);
        assert_eq!(patch[0]["value"], folded);
        assert_eq!(fold_updates(&object, &["other"], "helm-controller"), None);
        let managers = Managers { own: "helm-controller".into(), kubectl: false, ..Managers::default() };
        assert_eq!(takeover(&object, &managers), None);
    }
}
