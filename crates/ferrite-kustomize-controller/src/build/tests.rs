use serde_json::json;

use super::*;

fn build_with(files: &[(&str, &str)], spec: &Value, variables: &[(&str, &str)]) -> Result<Built, BuildError> {
    let mut tree = MemoryTree::builder();
    for (path, text) in files {
        tree.insert(path, text.as_bytes(), false).unwrap();
    }
    let mut whole =
        json!({"sourceRef": {"kind": "GitRepository", "name": "a"}, "interval": "1m", "prune": true});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    build(&Input {
        tree: tree.build(),
        directory: "deploy".to_owned(),
        spec: serde_json::from_value(whole).unwrap(),
        owner: Owner::new("app", "flux-system"),
        substitution: Substitution { active: !std::collections::BTreeMap::is_empty(&variables), variables },
        strict: true,
        keys: None,
        remote: None,
    })
}

const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\ndata:\n  port: \"${port}\"\n";

#[test]
fn objects_carry_their_owner_and_the_common_metadata_over_their_own() {
    let file = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\n  labels: {team: a, keep: b}\n";
    let spec = json!({"commonMetadata": {"labels": {"team": "z"}, "annotations": {"note": "n"}}, "targetNamespace": "shop"});
    let built = build_with(&[("deploy/a.yaml", file)], &spec, &[]).unwrap();
    assert_eq!(
        built.objects,
        [json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "config", "namespace": "shop",
            "labels": {
                "team": "z", "keep": "b",
                "kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            },
            "annotations": {"note": "n"},
        }})]
    );
    assert!(built.digest.starts_with("sha256:") && built.digest.len() == 71, "{}", built.digest);
}

#[test]
fn variables_are_put_in_after_the_build_and_change_types_as_their_text_says() {
    let file = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: ${port}\n";
    let built = build_with(&[("deploy/a.yaml", file)], &json!({}), &[("port", "8080")]).unwrap();
    assert_eq!(built.objects[0].pointer("/spec/ports/0/port"), Some(&json!(8080)));
    let before = build_with(&[("deploy/a.yaml", file)], &json!({}), &[("port", "80")]).unwrap().digest;
    assert_ne!(before, built.digest, "other values are another build");
}

#[test]
fn an_object_can_keep_its_dollars() {
    for place in ["labels", "annotations"] {
        let file = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  {place}: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {{x: '${{arr[@]}}'}}\n"
        );
        let built = build_with(&[("deploy/a.yaml", &file)], &json!({}), &[("port", "1")]).unwrap();
        assert_eq!(built.objects[0].pointer("/data/x"), Some(&json!("${arr[@]}")));
    }
    let built = build_with(&[("deploy/a.yaml", CONFIG_MAP)], &json!({}), &[]).unwrap();
    assert_eq!(
        built.objects[0].pointer("/data/port"),
        Some(&json!("${port}")),
        "no variables, no substitution"
    );
}

#[test]
fn failures_name_the_object_or_the_file() {
    let text = |error: BuildError| ferrite_runtime::chain(&error);
    let error = build_with(&[("deploy/a.yaml", CONFIG_MAP)], &json!({}), &[("other", "1")]).unwrap_err();
    assert_eq!(
        text(error),
        "post build failed for 'ConfigMap.v1.[noGrp]/config': envsubst error: variable substitution failed: \
         variable not set (strict mode): \"port\" in line 3"
    );
    let error = build_with(&[("deploy/a.yaml", CONFIG_MAP)], &json!({}), &[("port", "[")]).unwrap_err();
    assert!(
        text(error).starts_with(
            "post build failed for 'ConfigMap.v1.[noGrp]/config': the result of the substitution"
        )
    );
    let error = build_with(&[("deploy/bad.yaml", "a: [\n")], &json!({}), &[]).unwrap_err();
    assert!(text(error).contains("bad.yaml"));
}

#[test]
fn an_encrypted_secret_is_refused() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {x: 'ENC[AES256_GCM,data]'}\nsops: {mac: 'ENC[x]'}\n";
    let error = build_with(&[("deploy/a.yaml", secret)], &json!({}), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Secret/shop/s is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
    );
}

#[test]
fn the_fields_of_former_versions_patch_too() {
    let spec = json!({
        "patchesStrategicMerge": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"a": "1"}}],
        "patchesJson6902": [{
            "target": {"version": "v1", "kind": "ConfigMap", "name": "config"},
            "patch": [{"op": "add", "path": "/data/b", "value": "2"}],
        }],
        "patches": [{"patch": "- {op: add, path: /data/c, value: '3'}", "target": {"kind": "ConfigMap"}}],
        "validation": "client",
    });
    let built = build_with(&[("deploy/a.yaml", CONFIG_MAP)], &spec, &[("port", "http")]).unwrap();
    assert_eq!(built.objects[0]["data"], json!({"port": "http", "a": "1", "b": "2", "c": "3"}));
}
