use super::*;
use serde_json::json;

#[track_caller]
fn check(mut object: Value, expect: &Value) {
    prepare(&mut object, &Owner::new("app", "flux-system"), None);
    let labels = json!({
        "kustomize.toolkit.fluxcd.io/name": "app",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system"
    });
    let mut expect = expect.clone();
    expect["metadata"]["labels"] = labels;
    assert_eq!(object, expect);
}

#[test]
fn built_in_objects_lose_what_kubernetes_does_not_declare() {
    check(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "creationTimestamp": null},
            "spec": {"replicas": 0, "paused": false, "unknown": 1, "template": {"metadata": {"creationTimestamp": null},
                "spec": {"containers": [{"name": "c", "imag": "typo", "resources": {}, "env": [],
                    "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}]}}},
            "status": {"replicas": 3}}),
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"replicas": 0, "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {},
                "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}]}}}}),
    );
}

#[test]
fn a_wrongly_typed_object_is_left_to_the_api_server() {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"replicas": "three", "unknown": 1}});
    check(object.clone(), &object);
}

#[test]
fn string_data_becomes_data() {
    check(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new", "c": ""}}),
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "bmV3", "b": "Yg==", "c": ""}}),
    );
}

/// Go reads null in a mapping of texts as the empty text.
#[test]
fn null_labels_are_empty_labels() {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"x": null}},
        "data": {"k": null}});
    prepare(&mut object, &Owner::new("app", "flux-system"), None);
    assert_eq!((&object["metadata"]["annotations"], &object["data"]), (&json!({"x": ""}), &json!({"k": ""})));
}

#[test]
fn services_get_a_protocol() {
    check(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
        &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}),
    );
}

#[test]
fn custom_resources_keep_everything_but_the_status() {
    check(
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "resourceVersion": "3",
            "managedFields": []}, "spec": {"a": null, "b": []}, "status": {"x": 1}}),
        &json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"a": null, "b": []}}),
    );
}

#[test]
fn roles_are_not_touched() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"verbs": ["get"], "resources": [], "unknown": 1}]});
    check(role.clone(), &role);
}

#[test]
fn definitions_keep_their_status_and_lose_a_placeholder_bundle() {
    let crd = |client: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "c"},
            "spec": {"conversion": {"webhook": {"clientConfig": client}}}, "status": {"storedVersions": []}})
    };
    check(crd(json!({"caBundle": "Cg==", "url": "u"})), &crd(json!({"url": "u"})));
    check(crd(json!({"caBundle": "not base64!"})), &crd(json!({})));
    let pem = STANDARD.encode("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    check(crd(json!({"caBundle": pem})), &crd(json!({"caBundle": pem})));
}

#[test]
fn common_metadata_wins() {
    let mut object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"team": "x"}}});
    let common = CommonMetadata {
        labels: [("team".to_owned(), "y".to_owned())].into(),
        annotations: [("note".to_owned(), "z".to_owned())].into(),
    };
    let owner = Owner::new("app", "apps");
    prepare(&mut object, &owner, Some(&common));
    assert_eq!(object["metadata"]["labels"]["team"], "y");
    assert_eq!(object["metadata"]["annotations"], json!({"note": "z"}));
    assert!(owner.owns(&object));
    assert!(!Owner::new("app", "other").owns(&object));
    assert_eq!(
        owner.selector(),
        "kustomize.toolkit.fluxcd.io/name=app,kustomize.toolkit.fluxcd.io/namespace=apps"
    );
}

#[test]
fn what_is_no_object_does_not_panic() {
    for mut value in [
        json!(null),
        json!([]),
        json!({"metadata": 1, "kind": 2}),
        json!({"kind": "Secret", "apiVersion": "v1", "data": 3}),
    ] {
        prepare(&mut value, &Owner::new("a", "b"), None);
    }
}
