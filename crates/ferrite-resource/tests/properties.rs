//! What must hold for any input: nothing panics, reading is the inverse of writing, secrets stay secret.

use ferrite_resource::{
    CommonMetadata, Managers, ObjectId, Owner, Pointer, Selector,
    diff::diff,
    drift::drifted,
    foreign_managers,
    health::{Context, PodQuery, evidence, health},
    ignore::{keep_live, strip},
    mask, prepare,
    quantity::Quantity,
    takeover,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Words that mean something to the crate, so that random objects hit its rules.
const WORDS: &[&str] = &[
    "metadata",
    "labels",
    "annotations",
    "name",
    "namespace",
    "spec",
    "status",
    "conditions",
    "type",
    "reason",
    "message",
    "True",
    "Ready",
    "Stalled",
    "replicas",
    "selector",
    "matchLabels",
    "template",
    "containers",
    "ports",
    "protocol",
    "data",
    "stringData",
    "managedFields",
    "manager",
    "operation",
    "Apply",
    "Update",
    "kubectl-edit",
    "fieldsV1",
    "f:spec",
    ".",
    "phase",
    "Running",
    "Pending",
    "containerStatuses",
    "state",
    "waiting",
    "observedGeneration",
    "generation",
    "deletionTimestamp",
    "creationTimestamp",
    "resourceVersion",
    "metrics",
    "subresource",
    "updateStrategy",
];

const KINDS: &[(&str, &str)] = &[
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("example.org/v1", "Thing"),
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => "[a-z/~.=,()! é]{0,6}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..5).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    (prop::sample::select(KINDS), value(), value(), value(), value()).prop_map(|((version, kind), meta, spec, status, data)| {
        json!({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec, "status": status, "data": data})
    })
}

proptest! {
    #[test]
    fn parsers_take_any_text(text in "\\PC{0,40}") {
        if let Ok(pointer) = Pointer::parse(&text) {
            prop_assert_eq!(pointer.to_string(), text.clone());
        }
        if let Ok(id) = ObjectId::from_inventory_id(&text) {
            prop_assert_eq!(ObjectId::from_inventory_id(&id.inventory_id()), Ok(id));
        }
        let _parsed = (Quantity::parse(&text), Selector::parse(&text).is_ok());
    }

    #[test]
    fn inventory_ids_are_read_back(namespace in "[a-z0-9-]{0,8}", name in "[a-z0-9.:-]{1,12}", kind in "[A-Z][a-z]{1,8}") {
        let role = ObjectId::new("rbac.authorization.k8s.io", "ClusterRole", namespace.as_str(), name.as_str());
        prop_assert_eq!(ObjectId::from_inventory_id(&role.inventory_id()), Ok(role));
        let other = ObjectId::new("", kind, namespace, name);
        prop_assert_eq!(ObjectId::from_inventory_id(&other.inventory_id()), Ok(other));
    }

    #[test]
    fn decisions_take_any_object(left in object(), right in object(), pods in prop::collection::vec(value(), 0..3)) {
        let context = Context { now: jiff::Timestamp::UNIX_EPOCH, pods: &pods };
        let _health = (health(&left, context), PodQuery::of(&left), evidence(&left, &pods));
        let managers = Managers { overrides: vec!["Apply".to_owned()], ..Managers::default() };
        let _taken = (foreign_managers(&left, &managers), takeover(&left, &managers));
        let pointer = Pointer::parse("/spec/ports/0").unwrap();
        let _drift = (drifted(Some(&left), &right, &[&pointer]), diff(Some(&left), &right, &[&pointer]).to_string());
        let mut changed = left.clone();
        strip(&mut changed, &[&pointer]);
        keep_live(&mut changed, &right, &[&pointer], "x");
    }

    #[test]
    fn an_object_has_not_drifted_from_itself(mut object in object()) {
        object["metadata"] = json!({"resourceVersion": "1"});
        prop_assert!(!drifted(Some(&object), &object, &[]));
        prop_assert!(diff(Some(&object), &object, &[]).is_empty());
    }

    #[test]
    fn preparing_twice_is_preparing_once(mut object in object()) {
        let (owner, common) = (Owner::new("a", "b"), CommonMetadata::default());
        object["metadata"] = json!({"name": "x", "labels": {"a": "b"}});
        prepare(&mut object, &owner, Some(&common));
        let once = object.clone();
        prepare(&mut object, &owner, Some(&common));
        prop_assert_eq!(object, once);
    }

    #[test]
    fn a_takeover_leaves_nothing_to_take_over(mut object in object(), entries in prop::collection::vec(
        (prop::sample::select(&["kustomize-controller", "kubectl-edit", "helm"][..]),
         prop::sample::select(&["Apply", "Update"][..]), value()), 0..5))
    {
        let entries: Vec<Value> = entries.into_iter()
            .map(|(manager, operation, fields)| json!({"manager": manager, "operation": operation, "fieldsV1": fields}))
            .collect();
        object["metadata"] = json!({"managedFields": entries});
        let managers = Managers::default();
        if let Some(patch) = takeover(&object, &managers) {
            object["metadata"]["managedFields"] = patch[0]["value"].clone();
        }
        prop_assert!(takeover(&object, &managers).is_none());
        prop_assert!(foreign_managers(&object, &managers).is_empty());
    }

    #[test]
    fn values_of_secrets_are_never_shown(before in "[A-Za-z0-9]{6,40}", after in "[A-Za-z0-9]{6,40}", key in "k[a-c]{1,3}") {
        let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"resourceVersion": "1"},
            "data": {key.as_str(): value}, "stringData": {"other": value}});
        let (left, right) = (secret(&format!("{before}=")), secret(&format!("{after}+")));
        let shown = diff(Some(&left), &right, &[]).to_string() + &diff(None, &right, &[]).to_string();
        prop_assert!(!shown.contains(&before) && !shown.contains(&after), "{}", shown);
        let scrubbed = mask::scrub(&format!("value {before}= is not {after}+"), &left);
        prop_assert!(!scrubbed.contains(&before), "{}", scrubbed);
    }
}
