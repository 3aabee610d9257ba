use serde_json::{Value, json};

use super::schemas::{Dialect, Schemas};
use super::{document, index, paths, whole};
use crate::resources::{Registry, Resource};

fn core(path: &str) -> Value {
    let registry = Registry::new();
    let served = registry.served();
    let body = &document(&served, "", "v1").expect("the core group is served").body;
    let document: Value = serde_json::from_slice(body).expect("a document is JSON");
    document.pointer(path).cloned().unwrap_or_default()
}

#[test]
fn a_type_keeps_what_merges_need() {
    assert_eq!(
        core("/components/schemas/io.k8s.api.core.v1.PodSpec/properties/volumes"),
        json!({"type": "array", "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Volume"},
            "x-kubernetes-list-map-keys": ["name"], "x-kubernetes-list-type": "map",
            "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge,retainKeys"})
    );
    assert_eq!(
        core("/components/schemas/io.k8s.api.core.v1.ConfigMap"),
        json!({"type": "object", "properties": {"apiVersion": {"type": "string"},
            "binaryData": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
            "data": {"type": "object", "additionalProperties": {"type": "string"}}, "immutable": {"type": "boolean"}, "kind": {"type": "string"},
            "metadata": {"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]}},
            "x-kubernetes-group-version-kind": [{"group": "", "kind": "ConfigMap", "version": "v1"}]})
    );
    assert_eq!(
        core("/components/schemas/io.k8s.api.core.v1.ContainerPort/properties/protocol"),
        json!({"type": "string", "default": "TCP"})
    );
}

#[test]
fn every_reference_has_its_schema() {
    let registry = Registry::new();
    for dialect in [Dialect::V2, Dialect::V3] {
        let served = registry.served();
        let resources: Vec<&Resource> = served.resources.iter().map(|r| &**r).collect();
        let mut schemas = Schemas::new(dialect);
        let paths = paths::of(&resources, &mut schemas);
        let schemas = schemas.finish();
        let text = format!("{}{}", Value::Object(paths), Value::Object(schemas.clone()));
        let missing: Vec<&str> = text
            .split("\"$ref\":\"#/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.rsplit('/').next())
            .filter(|name| !schemas.contains_key(*name))
            .collect();
        assert_eq!(missing, [""; 0]);
        assert!(schemas.len() > 400, "only {} schemas", schemas.len());
    }
}

#[test]
fn patches_take_the_types_that_clients_look_for() {
    let patch = "/paths/~1api~1v1~1namespaces~1{namespace}~1configmaps~1{name}/patch";
    assert_eq!(
        core(&format!("{patch}/x-kubernetes-group-version-kind")),
        json!({"group": "", "version": "v1", "kind": "ConfigMap"})
    );
    assert!(
        core(&format!("{patch}/requestBody/content/application~1strategic-merge-patch+json")).is_object()
    );
    assert_eq!(core(&format!("{patch}/operationId")), json!("patchCoreV1NamespacedConfigMap"));
}

#[test]
fn the_index_names_each_document_by_its_hash() {
    let registry = Registry::new();
    let served = registry.served();
    let index = index(&served);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().expect("apps is served");
    let hash = &document(&served, "apps", "v1").expect("apps is served").hash;
    assert_eq!(url, format!("/openapi/v3/apis/apps/v1?hash={hash}"));
    assert_eq!(whole(&served)["swagger"], "2.0");
}
