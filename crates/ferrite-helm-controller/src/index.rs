//! Who refers to what: from a chart's source, a dependency, a ConfigMap or a Secret to the HelmReleases that name it.

use std::collections::{BTreeSet, HashMap};

use ferrite_api::helm::{HelmRelease, ValuesKind};
use ferrite_runtime::{Change, ObjectKey};
use parking_lot::RwLock;

use ferrite_apply::{SourceId, SourceKind};

/// What a HelmRelease can refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Referent {
    Source(SourceId),
    Release(ObjectKey),
    ConfigMap(ObjectKey),
    Secret(ObjectKey),
}

/// The references of all HelmReleases, kept in step with their store.
#[derive(Debug, Default)]
pub(crate) struct Index(RwLock<Maps>);

#[derive(Debug, Default)]
struct Maps {
    referrers: HashMap<Referent, BTreeSet<ObjectKey>>,
    references: HashMap<ObjectKey, Vec<Referent>>,
}

impl Index {
    /// Takes a change of a HelmRelease in. A change of its status costs a comparison.
    pub(crate) fn update(&self, change: &Change<HelmRelease>) {
        let key = ObjectKey::of(change.object().as_ref());
        match change {
            Change::Deleted(_) => self.set(key, Vec::new()),
            Change::Applied { old: Some(old), new } if old.metadata.generation == new.metadata.generation => {
            }
            Change::Applied { new, .. } => self.set(key, references(new)),
        }
    }

    /// The HelmReleases that refer to it, by name.
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

fn namespace_or<'a>(named: Option<&'a str>, own: &'a str) -> &'a str {
    named.filter(|namespace| !namespace.is_empty()).unwrap_or(own)
}

/// Where the chart of a HelmRelease comes from; `None` when the spec names nothing, or two things.
pub(crate) fn source_of(object: &HelmRelease) -> Option<SourceId> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    match (&object.spec.chart, &object.spec.chart_ref) {
        (Some(template), None) => {
            let namespace = namespace_or(template.spec.source_ref.namespace.as_deref(), own);
            let name = format!("{own}-{}", object.metadata.name.as_deref().unwrap_or_default());
            Some(SourceId { kind: SourceKind::HelmChart, key: ObjectKey::new(namespace, name) })
        }
        (None, Some(reference)) => {
            let namespace = namespace_or(reference.namespace.as_deref(), own);
            Some(SourceId { kind: reference.kind.into(), key: ObjectKey::new(namespace, &reference.name) })
        }
        _ => None,
    }
}

/// The HelmReleases that `object` waits for, in order.
pub(crate) fn dependencies_of(object: &HelmRelease) -> impl Iterator<Item = ObjectKey> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    object.spec.depends_on.iter().map(move |dependency| {
        ObjectKey::new(namespace_or(dependency.namespace.as_deref(), own), &dependency.name)
    })
}

fn references(object: &HelmRelease) -> Vec<Referent> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let local = |name: &str| ObjectKey::new(own, name);
    let mut all: Vec<Referent> = source_of(object).map(Referent::Source).into_iter().collect();
    all.extend(dependencies_of(object).map(Referent::Release));
    for from in &object.spec.values_from {
        all.push(match from.kind {
            ValuesKind::ConfigMap => Referent::ConfigMap(local(&from.name)),
            ValuesKind::Secret => Referent::Secret(local(&from.name)),
        });
    }
    if let Some(kube_config) = &object.spec.kube_config {
        all.extend(kube_config.secret_ref.iter().map(|secret| Referent::Secret(local(&secret.name))));
        all.extend(kube_config.config_map_ref.iter().map(|map| Referent::ConfigMap(local(&map.name))));
    }
    all
}
