//! Who refers to what: from a source, a dependency, a ConfigMap or a Secret to the Kustomizations that name it.

use std::collections::{BTreeSet, HashMap};

use ferrite_api::kustomize::{Kustomization, SubstituteKind};
use ferrite_runtime::{Change, ObjectKey};
use parking_lot::RwLock;

use ferrite_apply::SourceId;

/// What a Kustomization can refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Referent {
    Source(SourceId),
    Kustomization(ObjectKey),
    ConfigMap(ObjectKey),
    Secret(ObjectKey),
}

/// The references of all Kustomizations, kept in step with their store.
#[derive(Debug, Default)]
pub(crate) struct Index(RwLock<Maps>);

#[derive(Debug, Default)]
struct Maps {
    referrers: HashMap<Referent, BTreeSet<ObjectKey>>,
    references: HashMap<ObjectKey, Vec<Referent>>,
}

impl Index {
    /// Takes a change of a Kustomization in. A change of its status costs a comparison.
    pub(crate) fn update(&self, change: &Change<Kustomization>) {
        let key = ObjectKey::of(change.object().as_ref());
        match change {
            Change::Deleted(_) => self.set(key, Vec::new()),
            Change::Applied { old: Some(old), new } if old.metadata.generation == new.metadata.generation => {
            }
            Change::Applied { new, .. } => self.set(key, references(new)),
        }
    }

    /// The Kustomizations that refer to it, by name.
    pub(crate) fn referrers(&self, referent: &Referent) -> Vec<ObjectKey> {
        self.0.read().referrers.get(referent).map(|keys| keys.iter().cloned().collect()).unwrap_or_default()
    }

    fn set(&self, key: ObjectKey, now: Vec<Referent>) {
        let mut maps = self.0.write();
        for gone in maps.references.remove(&key).unwrap_or_default() {
            if let Some(keys) = maps.referrers.get_mut(&gone) {
                keys.remove(&key);
                if keys.is_empty() {
                    maps.referrers.remove(&gone);
                }
            }
        }
        for referent in &now {
            maps.referrers.entry(referent.clone()).or_default().insert(key.clone());
        }
        if !now.is_empty() {
            maps.references.insert(key, now);
        }
    }
}

/// The source of a Kustomization.
pub(crate) fn source_of(object: &Kustomization) -> SourceId {
    let reference = &object.spec.source_ref;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = reference.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(own);
    SourceId { kind: reference.kind.into(), key: ObjectKey::new(namespace, &reference.name) }
}

/// The Kustomizations that `object` waits for, in order.
pub(crate) fn dependencies_of(object: &Kustomization) -> impl Iterator<Item = ObjectKey> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    object.spec.depends_on.iter().map(move |dependency| {
        let namespace = dependency.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(own);
        ObjectKey::new(namespace, &dependency.name)
    })
}

fn references(object: &Kustomization) -> Vec<Referent> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let local = |name: &str| ObjectKey::new(own, name);
    let mut all = vec![Referent::Source(source_of(object))];
    all.extend(dependencies_of(object).map(Referent::Kustomization));
    for from in object.spec.post_build.iter().flat_map(|post_build| &post_build.substitute_from) {
        all.push(match from.kind {
            SubstituteKind::ConfigMap => Referent::ConfigMap(local(&from.name)),
            SubstituteKind::Secret => Referent::Secret(local(&from.name)),
        });
    }
    if let Some(kube_config) = &object.spec.kube_config {
        all.extend(kube_config.secret_ref.iter().map(|secret| Referent::Secret(local(&secret.name))));
        all.extend(kube_config.config_map_ref.iter().map(|map| Referent::ConfigMap(local(&map.name))));
    }
    let decryption = object.spec.decryption.iter().filter_map(|decryption| decryption.secret_ref.as_ref());
    all.extend(decryption.map(|secret| Referent::Secret(local(&secret.name))));
    all.sort_by_key(|referent| format!("{referent:?}"));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn kustomization(generation: i64, spec: &serde_json::Value) -> Arc<Kustomization> {
        let mut whole =
            json!({"sourceRef": {"kind": "GitRepository", "name": "app"}, "interval": "1m", "prune": true});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let metadata = json!({"name": "k", "namespace": "a", "generation": generation});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": whole})).unwrap())
    }

    #[test]
    fn references_follow_the_spec() {
        let (index, k) = (Index::default(), ObjectKey::new("a", "k"));
        let source = |namespace: &str, name: &str| {
            Referent::Source(SourceId {
                kind: ferrite_apply::SourceKind::GitRepository,
                key: ObjectKey::new(namespace, name),
            })
        };
        let first = kustomization(
            1,
            &json!({
                "dependsOn": [{"name": "base"}, {"name": "crds", "namespace": "infra"}],
                "decryption": {"provider": "sops", "secretRef": {"name": "keys"}},
                "postBuild": {"substituteFrom": [{"kind": "Secret", "name": "vars"}, {"kind": "ConfigMap", "name": "vars"}]},
            }),
        );
        index.update(&Change::Applied { old: None, new: Arc::clone(&first) });
        for referent in [
            source("a", "app"),
            Referent::Kustomization(ObjectKey::new("a", "base")),
            Referent::Kustomization(ObjectKey::new("infra", "crds")),
            Referent::Secret(ObjectKey::new("a", "vars")),
            Referent::Secret(ObjectKey::new("a", "keys")),
            Referent::ConfigMap(ObjectKey::new("a", "vars")),
        ] {
            assert_eq!(index.referrers(&referent), std::slice::from_ref(&k), "{referent:?}");
        }

        let second = kustomization(
            2,
            &json!({"sourceRef": {"kind": "GitRepository", "name": "app", "namespace": "b"}}),
        );
        index.update(&Change::Applied { old: Some(first), new: Arc::clone(&second) });
        assert_eq!(index.referrers(&source("b", "app")), [k]);
        assert!(index.referrers(&source("a", "app")).is_empty());
        assert!(index.referrers(&Referent::Kustomization(ObjectKey::new("a", "base"))).is_empty());

        index.update(&Change::Deleted(second));
        assert!(index.0.read().referrers.is_empty() && index.0.read().references.is_empty());
    }
}
