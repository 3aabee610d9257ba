//! Discovery documents, legacy and aggregated.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::resources::{Resource, Served, Sub, group_version};

/// `/api`
pub(crate) fn api_versions(address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

/// `/apis`
pub(crate) fn group_list(served: &Served) -> Value {
    let groups: Vec<Value> =
        served.groups().iter().map(|(name, versions)| group_fields(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`
pub(crate) fn group(served: &Served, name: &str) -> Option<Value> {
    let groups = served.groups();
    let (name, versions) = groups.iter().find(|(g, _)| *g == name)?;
    let mut document = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), group_fields(name, versions))
    {
        document.extend(fields);
    }
    Some(document)
}

fn group_fields(name: &str, versions: &[&str]) -> Value {
    let entry = |version: &&str| json!({"groupVersion": group_version(name, version), "version": version});
    let preferred = versions.first().map(entry).unwrap_or_default();
    json!({"name": name, "versions": versions.iter().map(entry).collect::<Vec<_>>(), "preferredVersion": preferred})
}

/// `/api/v1` and `/apis/<group>/<version>`
pub(crate) fn resource_list(served: &Served, group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for resource in served.in_version(group, version) {
        entries.push(resource_entry(resource));
        entries.extend(resource.subs.iter().map(|sub| sub_entry(resource, sub)));
    }
    if entries.is_empty() {
        return None;
    }
    let mut list = Map::new();
    list.insert("kind".into(), "APIResourceList".into());
    // The core group's list is older than its own apiVersion.
    if !group.is_empty() {
        list.insert("apiVersion".into(), "v1".into());
    }
    list.insert("groupVersion".into(), group_version(group, version).into());
    list.insert("resources".into(), entries.into());
    Some(Value::Object(list))
}

fn resource_entry(resource: &Resource) -> Value {
    let mut entry = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs});
    if !resource.short.is_empty() {
        entry["shortNames"] = resource.short.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    if resource.verbs.iter().any(|v| v == "list") && resource.kind != "ComponentStatus" {
        entry["storageVersionHash"] = storage_hash(resource).into();
    }
    entry
}

fn sub_entry(resource: &Resource, sub: &Sub) -> Value {
    let mut entry = json!({"name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": resource.namespaced});
    if let Some((group, version)) = &sub.of {
        entry["group"] = group.as_str().into();
        entry["version"] = version.as_str().into();
    }
    entry["kind"] = sub.kind.as_str().into();
    entry["verbs"] = sub.verbs.clone().into();
    entry
}

/// The first eight bytes of the SHA-256 of `group/version/Kind` of the storage version.
fn storage_hash(resource: &Resource) -> String {
    // Where the storage version's own group differs from the served one, the hash follows storage.
    let (group, version) = match (resource.group.as_str(), resource.plural.as_str()) {
        ("events.k8s.io", _) => ("", "v1"),
        (group, _) => (group, resource.storage.as_str()),
    };
    let text = format!("{group}/{version}/{}", resource.kind);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// The `APIGroupDiscoveryList` of `/api` (core) or `/apis` (all others), for `v2` or `v2beta1`.
pub(crate) fn aggregated(served: &Served, core: bool, version: &str) -> Value {
    let groups = if core { vec![("", vec!["v1"])] } else { served.groups() };
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|v| {
                    let resources: Vec<Value> =
                        served.in_version(group, v).map(|r| aggregated_entry(r, v)).collect();
                    json!({"version": v, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
}

fn aggregated_entry(resource: &Resource, version: &str) -> Value {
    // Built-in kinds leave group and version empty when they are the list's own; custom ones name them.
    let own = |kind: &str| {
        if resource.custom.is_some() {
            json!({"group": resource.group, "version": version, "kind": kind})
        } else {
            json!({"group": "", "version": "", "kind": kind})
        }
    };
    let mut entry = json!({"resource": resource.plural, "responseKind": own(&resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs});
    if !resource.short.is_empty() {
        entry["shortNames"] = resource.short.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    if !resource.subs.is_empty() {
        let subs: Vec<Value> = resource
            .subs
            .iter()
            .map(|sub| {
                let kind = match &sub.of {
                    Some((group, version)) => json!({"group": group, "version": version, "kind": sub.kind}),
                    None => own(&sub.kind),
                };
                json!({"subresource": sub.name, "responseKind": kind, "verbs": sub.verbs})
            })
            .collect();
        entry["subresources"] = subs.into();
    }
    entry
}
