//! Namespaces: what each has from the start, and how one goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{change, create, delete};
use crate::handlers::remove::Propagation;
use crate::json::{items, text};
use crate::server::Server;
use crate::store::Stored;

/// The namespace, with what every namespace has.
pub(super) fn ensure(server: &Arc<Server>, name: &str) {
    create(
        server,
        "/namespaces",
        "",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    );
    furnish(server, name);
}

fn furnish(server: &Arc<Server>, name: &str) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    create(server, "/serviceaccounts", name, account);
    let why = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description": why}}, "data": {"ca.crt": server.ca}});
    create(server, "/configmaps", name, map);
}

/// Furnishes a namespace, or empties one that is going and lets it go when it is empty.
pub(super) fn settle(server: &Arc<Server>, name: &str) {
    let Some(stored) = server.store.get("/namespaces", "", name) else { return };
    if !stored.deleting {
        return furnish(server, name);
    }
    let mut left: BTreeMap<String, Vec<Arc<Stored>>> = BTreeMap::new();
    for key in server.store.resources() {
        let objects = server.store.list(&key, Some(name)).objects;
        for object in objects.iter().filter(|o| !o.deleting) {
            delete(server, &key, name, &object.name, Some(Propagation::Background));
        }
        let objects = server.store.list(&key, Some(name)).objects;
        if !objects.is_empty() {
            left.insert(key.to_string(), objects);
        }
    }
    if !left.is_empty() {
        let conditions = remaining(&left);
        return change(server, "/namespaces", "", name, Some("status"), |namespace| {
            for condition in &conditions {
                crate::workloads::set_condition(namespace, condition);
            }
        });
    }
    let served = server.registry.served();
    let finalizers = items(&stored.value()["metadata"]["finalizers"]).to_vec();
    change(server, "/namespaces", "", name, Some("finalize"), |namespace| {
        namespace["spec"]["finalizers"] = json!([])
    });
    if finalizers.is_empty() && served.by_key("/namespaces").is_some() {
        delete(server, "/namespaces", "", name, Some(Propagation::Background));
    }
}

fn remaining(left: &BTreeMap<String, Vec<Arc<Stored>>>) -> Vec<Value> {
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    let mut resources = Vec::new();
    for (key, objects) in left {
        let (group, plural) = key.split_once('/').unwrap_or(("", key));
        resources.push(format!("{plural}.{group} has {} resource instances", objects.len()));
        for object in objects {
            for finalizer in items(&object.value()["metadata"]["finalizers"]) {
                *finalizers.entry(finalizer.as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
    }
    let held: Vec<String> =
        finalizers.iter().map(|(f, n)| format!("{f} in {n} resource instances")).collect();
    let condition = |kind: &str, on: bool, reason: &str, message: String| json!({"type": kind, "status": if on { "True" } else { "False" }, "reason": reason, "message": message});
    let parsed = "All legacy kube types successfully parsed";
    let deleted = "All content successfully deleted, may be waiting on finalization";
    let mut out = vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".into(),
        ),
        condition("NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", parsed.into()),
        condition("NamespaceDeletionContentFailure", false, "ContentDeleted", deleted.into()),
        condition(
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", resources.join(", ")),
        ),
    ];
    out.push(if held.is_empty() {
        condition(
            "NamespaceFinalizersRemaining",
            false,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".into(),
        )
    } else {
        let message = format!("Some content in the namespace has finalizers remaining: {}", held.join(", "));
        condition("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message)
    });
    for condition in &mut out {
        condition["lastTransitionTime"] = crate::clock::now_text().into();
    }
    debug_assert!(out.iter().all(|c| !text(c, "type").is_empty()), "each condition has a type");
    out
}
