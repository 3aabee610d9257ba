//! In which order objects are applied, and in which stages.

use std::cmp::Ordering;

use serde_json::Value;

use crate::identity::{Entry, ObjectId};

/// Kinds applied before all others, in this order (fluxcd/pkg `ssa` `ReconcileOrder.First`).
const FIRST: &[&str] = &[
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds applied after all others, in this order (`ReconcileOrder.Last`).
const LAST: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Compares two objects by apply order: kind, then group, kind, namespace and name. Deletion goes the other way.
#[must_use]
pub fn apply_order(left: &ObjectId, right: &ObjectId) -> Ordering {
    let key = |id: &ObjectId| rank(&id.kind);
    key(left)
        .cmp(&key(right))
        .then_with(|| left.group.cmp(&right.group))
        .then_with(|| left.kind.cmp(&right.kind))
        .then_with(|| left.namespace.cmp(&right.namespace))
        .then_with(|| left.name.cmp(&right.name))
}

fn rank(kind: &str) -> usize {
    let position = |list: &[&str]| list.iter().position(|listed| *listed == kind);
    position(FIRST).or_else(|| position(LAST).map(|at| FIRST.len() + 1 + at)).unwrap_or(FIRST.len())
}

/// Kinds that get a stage of their own (`--custom-apply-stage-kinds`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageKinds(Vec<(String, String)>);

impl StageKinds {
    /// Reads `group/Kind,Kind,…`; a kind without a slash is of the core group. Empty parts are skipped.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let kinds = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        Self(
            kinds
                .map(|part| part.rsplit_once('/').unwrap_or(("", part)))
                .map(|(group, kind)| (group.to_owned(), kind.to_owned()))
                .collect(),
        )
    }

    fn contains(&self, id: &ObjectId) -> bool {
        self.0.iter().any(|(group, kind)| *group == id.group && *kind == id.kind)
    }
}

/// Objects that are validated together and then applied, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// In apply order.
    pub objects: Vec<(Entry, Value)>,
    /// The next stage starts only when these are all Current.
    pub wait: bool,
}

/// Splits objects into the stages of a Kustomization, each in apply order; empty stages are left out.
///
/// Definitions (CRD, Namespace, ClusterRole), then classes (kinds that end with `Class`), then `custom` kinds, then
/// the rest. Only the first two are waited for (kustomize-controller `apply`).
#[must_use]
pub fn stages(objects: Vec<(Entry, Value)>, custom: &StageKinds) -> Vec<Staged> {
    let mut stages: [Vec<(Entry, Value)>; 4] = Default::default();
    for object in objects {
        let stage = stage_of(&object.0.id, custom);
        if let Some(stage) = stages.get_mut(stage) {
            stage.push(object);
        }
    }
    stages
        .into_iter()
        .enumerate()
        .filter(|(_, objects)| !objects.is_empty())
        .map(|(index, mut objects)| {
            objects.sort_by(|left, right| apply_order(&left.0.id, &right.0.id));
            Staged { objects, wait: index < 2 }
        })
        .collect()
}

fn stage_of(id: &ObjectId, custom: &StageKinds) -> usize {
    match id.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" | "ClusterRole" => 0,
        kind if kind.ends_with("Class") => 1,
        _ if custom.contains(id) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: &str, kind: &str, name: &str) -> (Entry, Value) {
        (Entry { id: ObjectId::new(group, kind, "", name), version: "v1".to_owned() }, Value::Null)
    }

    #[test]
    fn kinds_are_applied_in_the_order_of_flux() {
        let mut ids: Vec<ObjectId> = [
            ("", "Widget"),
            ("apps", "Deployment"),
            ("", "ValidatingWebhookConfiguration"),
            ("", "MutatingWebhookConfiguration"),
            ("", "Service"),
            ("", "Namespace"),
            ("", "ConfigMap"),
            ("z", "CustomResourceDefinition"),
            ("", "RoleBinding"),
            ("a", "Gadget"),
        ]
        .map(|(group, kind)| ObjectId::new(group, kind, "", "x"))
        .to_vec();
        ids.sort_by(apply_order);
        let kinds: Vec<&str> = ids.iter().map(|id| id.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "CustomResourceDefinition",
                "Namespace",
                "RoleBinding",
                "ConfigMap",
                "Service",
                "Deployment",
                "Widget",
                "Gadget",
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration"
            ]
        );
    }

    #[test]
    fn definitions_and_classes_are_stages_that_are_waited_for() {
        let objects = vec![
            entry("", "ConfigMap", "c"),
            entry("example.org", "Database", "d"),
            entry("storage.k8s.io", "StorageClass", "s"),
            entry("", "Namespace", "n"),
            entry("", "Secret", "s"),
        ];
        let stages = stages(objects, &StageKinds::parse("example.org/Database, Secret"));
        let told: Vec<String> = stages
            .iter()
            .map(|stage| {
                let ids: Vec<String> = stage.objects.iter().map(|(entry, _)| entry.id.to_string()).collect();
                format!("{} wait={}", ids.join(" "), stage.wait)
            })
            .collect();
        assert_eq!(
            told,
            [
                "Namespace/n wait=true",
                "StorageClass/s wait=true",
                "Secret/s Database/d wait=false",
                "ConfigMap/c wait=false"
            ]
        );
    }
}
