use crate::{ListType, Schemas, Type, decode_error, empty_object, normalize, unknown_fields};
use serde_json::{Value, json};

fn ty(group: &str, version: &str, kind: &str) -> &'static Type {
    Schemas::builtin().get(group, version, kind).expect("a built-in kind")
}

fn at(ty: &'static Type, path: &[&str]) -> &'static Type {
    path.iter().fold(ty, |ty, name| match *name {
        "[]" => ty.item(),
        name => ty.child(name).expect("declared"),
    })
}

#[test]
fn every_definition_parses_and_every_kind_has_one() {
    let schemas = Schemas::builtin();
    let mut kinds = 0;
    for (group, version, kind) in schemas.kinds() {
        let ty = schemas.get(group, version, kind).expect("listed");
        assert!(!ty.name.is_empty(), "{group}/{version} {kind} has no definition");
        kinds += 1;
    }
    assert!(kinds > 150, "only {kinds} kinds");
    assert!(schemas.get("apps", "v9", "Deployment").is_none());
    assert_eq!(schemas.for_api_version("v1", "Pod").map(|t| &*t.name), Some("io.k8s.api.core.v1.Pod"));
}

#[test]
fn merge_facts_of_well_known_fields() {
    let spec = at(ty("", "v1", "Pod"), &["spec"]);
    assert_eq!(spec.merge_key("containers"), Some("name"));
    assert_eq!(spec.merge_key("volumes"), Some("name"));
    assert!(spec.field("volumes").expect("declared").patch.retain_keys);
    assert_eq!(spec.child("tolerations").expect("declared").list, ListType::Atomic);
    let ports = at(spec, &["containers", "[]", "ports"]);
    assert_eq!(ports.list, ListType::Map(vec!["containerPort".into(), "protocol".into()]));
    assert_eq!(ports.item().key_default("protocol"), Some(json!("TCP")));
    assert!(!at(ty("", "v1", "PersistentVolume"), &["spec", "claimRef"]).atomic);
    assert_eq!(at(spec, &["imagePullSecrets", "[]"]).key_default("name"), Some(json!("")));
    assert!(at(ty("", "v1", "Service"), &["spec", "selector"]).atomic);
    let meta = at(ty("", "v1", "ConfigMap"), &["metadata"]);
    assert!(meta.field("finalizers").expect("declared").patch.merge);
    assert_eq!(meta.child("finalizers").expect("declared").list, ListType::Set);
}

#[test]
fn normalize_writes_what_go_would() {
    let mut deployment = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "", "nope": 1}]}}, "replicas": 0, "paused": false},
        "metadata": {"labels": {}, "name": "a", "annotations": null}, "kind": "Deployment", "apiVersion": "apps/v1"});
    normalize(ty("apps", "v1", "Deployment"), &mut deployment);
    assert_eq!(
        deployment.to_string(),
        r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":[{"name":"a","resources":{}}]}},"strategy":{}},"status":{}}"#
    );
    let again = deployment.clone();
    normalize(ty("apps", "v1", "Deployment"), &mut deployment);
    assert_eq!(deployment, again);
}

#[test]
fn empty_objects_are_go_zero_values() {
    assert_eq!(
        empty_object(ty("", "v1", "ConfigMap"), "v1", "ConfigMap"),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}})
    );
    assert_eq!(empty_object(Type::free_object(), "e/v1", "W"), json!({"apiVersion": "e/v1", "kind": "W"}));
}

#[test]
fn decoding_errors_are_those_of_go() {
    let check = |group: &str, kind: &str, object: Value, expect: &str| {
        assert_eq!(decode_error(ty(group, "v1", kind), &object).as_deref(), Some(expect));
    };
    let field = |what: &str, at: &str, of: &str| {
        format!("json: cannot unmarshal {what} into Go struct field {at} of type {of}")
    };
    check("", "ConfigMap", json!({"data": {"k": 5}}), &field("number", "ConfigMap.data", "string"));
    check("", "ConfigMap", json!({"data": "x"}), &field("string", "ConfigMap.data", "map[string]string"));
    check(
        "",
        "ConfigMap",
        json!({"metadata": {"labels": {"a": 1}}}),
        &field("number", "ObjectMeta.metadata.labels", "string"),
    );
    check("", "Secret", json!({"data": {"k": 5}}), &field("number", "Secret.data", "[]uint8"));
    check("", "Secret", json!({"data": {"k": "not base64!"}}), "illegal base64 data at input byte 3");
    check("", "Secret", json!({"data": {"k": "1"}}), "illegal base64 data at input byte 0");
    check(
        "apps",
        "Deployment",
        json!({"spec": {"replicas": "two"}}),
        &field("string", "DeploymentSpec.spec.replicas", "int32"),
    );
    check(
        "apps",
        "Deployment",
        json!({"spec": {"replicas": 1.5}}),
        &field("number 1.5", "DeploymentSpec.spec.replicas", "int32"),
    );
    check(
        "",
        "Service",
        json!({"spec": {"ports": [{"port": "80"}]}}),
        &field("string", "ServicePort.spec.ports.port", "int32"),
    );
    check(
        "",
        "Pod",
        json!({"spec": {"containers": {}}}),
        &field("object", "PodSpec.spec.containers", "[]v1.Container"),
    );
    check(
        "",
        "Pod",
        json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1kk"}}}]}}),
        "unable to parse quantity's suffix",
    );
    let fits = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "100m", "memory": 1, "a": "1e3"}}, "image": null}]}});
    assert_eq!(decode_error(ty("", "v1", "Pod"), &fits), None);
    assert_eq!(
        decode_error(ty("", "v1", "Secret"), &json!({"data": {"k": "dg==", "l": "YWJj", "m": ""}})),
        None
    );
}

#[test]
fn unknown_fields_come_in_the_order_of_the_object() {
    let object = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}, "typo": "x"}, "spec": {"containers": [{"name": "c", "imagePolicy": "x"}]}}, "nope": 1}});
    assert_eq!(
        unknown_fields(ty("apps", "v1", "Deployment"), &object),
        ["spec.template.metadata.typo", "spec.template.spec.containers[0].imagePolicy", "spec.nope"]
    );
    assert_eq!(unknown_fields(ty("", "v1", "ConfigMap"), &json!({"Data": null})), ["Data"]);
    assert_eq!(
        unknown_fields(ty("apps", "v1", "ControllerRevision"), &json!({"data": {"any": {"thing": 1}}})),
        [""; 0]
    );
}
