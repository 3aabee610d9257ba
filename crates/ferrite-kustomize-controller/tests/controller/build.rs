//! From an artifact to objects, with good and with bad input.

use serde_json::json;

use crate::world::{World, condition, config_map, inventory, message};

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_applied_followed_and_pruned() {
    let world = World::start().await;
    let first =
        world.push("app", "1", &[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("b", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;

    let ready = world.applied("app", &first).await;
    assert_eq!(ready["metadata"]["finalizers"], json!(["finalizers.fluxcd.io"]));
    assert_eq!(message(&ready, "Ready"), "Applied revision: main@sha1:1");
    assert_eq!(condition(&ready, "Ready")["reason"], "ReconciliationSucceeded");
    assert_eq!(ready["status"]["conditions"].as_array().unwrap().len(), 1);
    assert_eq!(ready["status"]["lastAttemptedRevision"], "main@sha1:1");
    assert_eq!(inventory(&ready), ["default_a__ConfigMap", "default_b__ConfigMap"]);
    assert_eq!(ready["status"]["inventory"]["entries"][0]["v"], "v1");
    let history = &ready["status"]["history"][0];
    assert!(history["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(history["lastReconciledStatus"], "ReconciliationSucceeded");
    assert_eq!(history["metadata"]["revision"], "main@sha1:1");
    let applied = world.get("ConfigMap/a").await;
    assert_eq!(applied["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "app");
    let managers = applied["metadata"]["managedFields"].to_string();
    assert!(managers.contains("\"kustomize-controller\""), "{managers}");
    let events = world.event("app", |_, message| message.starts_with("Reconciliation finished in ")).await;
    let changes = "ConfigMap/default/a created\nConfigMap/default/b created";
    assert!(events.iter().any(|(reason, m)| reason == "Progressing" && m == changes), "{events:?}");

    let second = world.push("app", "2", &[("a.yaml", &config_map("a", "2"))]).await;
    let ready = world.applied("app", &second).await;
    assert_eq!(inventory(&ready), ["default_a__ConfigMap"]);
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "2");
    world.gone("ConfigMap/b").await;
    assert_eq!(ready["status"]["history"].as_array().unwrap().len(), 2);
    world.event("app", |_, message| message == "ConfigMap/default/b deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_fails_with_one_condition_and_changes_nothing() {
    let world = World::start().await;
    world.push("app", "1", &[("deploy/a.yaml", &config_map("a", "good"))]).await;
    world.kustomization("app", "app", json!({"path": "./deploy"})).await;
    world.ready("app").await;

    world.push("app", "2", &[("deploy/a.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: [\n")]).await;
    let failed = world.failed("app", "BuildFailed").await;
    assert!(message(&failed, "Ready").contains("a.yaml"), "{}", message(&failed, "Ready"));
    assert_eq!(condition(&failed, "Reconciling")["reason"], "ProgressingWithRetry");
    assert_eq!(failed["status"]["lastAttemptedRevision"], "main@sha1:2");
    assert_eq!(failed["status"]["lastAppliedRevision"], "main@sha1:1");
    assert_eq!(inventory(&failed), ["default_a__ConfigMap"]);
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "good");

    world.push("app", "3", &[("elsewhere/a.yaml", &config_map("a", "x"))]).await;
    let failed = world.failed("app", "ArtifactFailed").await;
    assert_eq!(message(&failed, "Ready"), "kustomization path not found: ./deploy");

    let unknown = "apiVersion: example.com/v1\nkind: Unheard\nmetadata:\n  name: of\n";
    world.push("app", "4", &[("deploy/a.yaml", &config_map("a", "x")), ("deploy/b.yaml", unknown)]).await;
    let failed = world.failed("app", "ReconciliationFailed").await;
    assert!(message(&failed, "Ready").contains("Unheard"), "{}", message(&failed, "Ready"));
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "good", "nothing is half-applied");

    let good = world.push("app", "5", &[("deploy/a.yaml", &config_map("a", "better"))]).await;
    let ready = world.applied("app", &good).await;
    assert_eq!(condition(&ready, "Reconciling"), &serde_json::Value::Null);
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "better");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_edit_can_help_is_stalled() {
    let world = World::with(ferrite_kustomize_controller::Config {
        no_cross_namespace_refs: true,
        ..Default::default()
    })
    .await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    for (name, spec, reason, text) in [
        (
            "elsewhere",
            json!({"sourceRef": {"kind": "GitRepository", "name": "app", "namespace": "other"}}),
            "AccessDenied",
            "can't access 'GitRepository/other/app', cross-namespace references have been blocked",
        ),
        (
            "cel",
            json!({"dependsOn": [{"name": "x", "readyExpr": "dep.status =="}]}),
            "InvalidCELExpression",
            "Reconciliation failed terminally due to configuration error: spec.dependsOn[0].readyExpr",
        ),
    ] {
        world.kustomization(name, "app", spec).await;
        let failed = world.failed(name, reason).await;
        assert!(message(&failed, "Ready").starts_with(text), "{}", message(&failed, "Ready"));
        assert_eq!(condition(&failed, "Stalled")["reason"], reason);
        assert_eq!(failed["status"]["observedGeneration"], failed["metadata"]["generation"]);
    }
    assert!(world.find("ConfigMap/a").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_maps_secrets_and_the_spec() {
    let world = World::start().await;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "vars", "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
        "data": {"one": "map", "two": "map", "three": "map"},
    });
    world.apply(map.clone()).await;
    world.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vars"}, "stringData": {"two": "secret"}})).await;
    let manifest = config_map("a", "${one}-${two}-${three}-${four:=default}");
    world.push("app", "1", &[("a.yaml", &manifest)]).await;
    let post_build = json!({
        "substitute": {"three": "spec"},
        "substituteFrom": [
            {"kind": "ConfigMap", "name": "vars"}, {"kind": "Secret", "name": "vars"},
            {"kind": "Secret", "name": "missing", "optional": true},
        ],
    });
    world.kustomization("app", "app", json!({"postBuild": post_build})).await;
    world.ready("app").await;
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "map-secret-spec-default");

    let mut changed = map;
    changed["data"]["one"] = json!("new");
    world.apply(changed).await;
    world
        .until("the labelled map is followed", "ConfigMap/a", |o| {
            o["data"]["value"] == "new-secret-spec-default"
        })
        .await;

    world
        .kustomization(
            "app",
            "app",
            json!({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "gone"}]}}),
        )
        .await;
    let failed = world.failed("app", "BuildFailed").await;
    assert!(
        message(&failed, "Ready").contains("substitute from 'Secret/gone' error"),
        "{}",
        message(&failed, "Ready")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_before_a_failure_is_in_the_inventory() {
    let world = World::start().await;
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: made\nrules: []\n";
    let refused = "apiVersion: example.com/v1\nkind: Unheard\nmetadata:\n  name: of\n";
    world.push("app", "1", &[("a.yaml", role), ("b.yaml", refused)]).await;
    world.kustomization("app", "app", json!({})).await;

    let failed = world.failed("app", "ReconciliationFailed").await;

    assert!(
        message(&failed, "Ready").contains("Unheard/default/of dry-run failed"),
        "{}",
        message(&failed, "Ready")
    );
    assert!(message(&failed, "Ready").contains("ClusterRole/made created"), "{}", message(&failed, "Ready"));
    assert_eq!(inventory(&failed), ["_made_rbac.authorization.k8s.io_ClusterRole"]);
    let good = world.push("app", "2", &[("a.yaml", &config_map("a", "1"))]).await;
    world.applied("app", &good).await;
    world.gone("ClusterRole/made").await;
}
