//! What becomes of the applied objects, and who acts.

use serde_json::json;

use crate::world::{World, config_map, inventory, message};

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_policy_says_what_becomes_of_the_objects() {
    let world = World::start().await;
    world
        .push(
            "app",
            "1",
            &[
                ("a/a.yaml", &config_map("a", "1")),
                ("b/b.yaml", &config_map("b", "1")),
                ("c/c.yaml", &config_map("c", "1")),
            ],
        )
        .await;
    world.kustomization("a", "app", json!({"path": "a"})).await;
    world.kustomization("b", "app", json!({"path": "b", "deletionPolicy": "Orphan"})).await;
    world
        .kustomization(
            "c",
            "app",
            json!({"path": "c", "prune": false, "deletionPolicy": "WaitForTermination"}),
        )
        .await;
    for name in ["a", "b", "c"] {
        world.ready(name).await;
        world.delete(&format!("Kustomization/{name}")).await;
        world.gone(&format!("Kustomization/{name}")).await;
    }
    assert!(world.find("ConfigMap/a").await.is_none());
    assert!(world.find("ConfigMap/b").await.is_some());
    assert!(world.find("ConfigMap/c").await.is_none());
    world.event("a", |_, message| message == "ConfigMap/default/a deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_one_keeps_its_hands_off() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;
    world.ready("app").await;
    world.kustomization("app", "app", json!({"suspend": true})).await;
    world.ask("Kustomization/app", "one").await;
    world.merge("ConfigMap/a", json!({"data": {"value": "edited"}})).await;
    world.ask("Kustomization/app", "two").await;
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "edited");
    world.kustomization("app", "app", json!({"suspend": false})).await;
    world.until("the edit is undone", "ConfigMap/a", |o| o["data"]["value"] == "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_moved_is_not_pruned_by_its_former_owner() {
    let world = World::start().await;
    world
        .push("one", "1", &[("a.yaml", &config_map("a", "1")), ("keep.yaml", &config_map("keep", "1"))])
        .await;
    world.push("two", "1", &[("a.yaml", &config_map("a", "2"))]).await;
    world.kustomization("one", "one", json!({})).await;
    world.ready("one").await;
    world.kustomization("two", "two", json!({})).await;
    world.ready("two").await;
    let second = world.push("one", "2", &[("keep.yaml", &config_map("keep", "1"))]).await;
    world.applied("one", &second).await;
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let mut world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("b", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;
    world.ready("app").await;
    world.stop_controller().await;
    let second = world.push("app", "2", &[("a.yaml", &config_map("a", "2"))]).await;
    world.merge("ConfigMap/a", json!({"data": {"value": "edited"}})).await;
    world.start_controller(ferrite_kustomize_controller::Config::default());
    let ready = world.applied("app", &second).await;
    assert_eq!(inventory(&ready), ["default_a__ConfigMap"]);
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "2");
    world.gone("ConfigMap/b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_may_do_what_it_may_do() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}})).await;
    world.kustomization("app", "app", json!({"serviceAccountName": "tenant"})).await;
    let failed = world.failed("app", "ReconciliationFailed").await;
    assert!(
        message(&failed, "Ready").contains("system:serviceaccount:default:tenant"),
        "{}",
        message(&failed, "Ready")
    );

    world
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tenant"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}],
        }))
        .await;
    world.apply(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "tenant"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"},
        "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": "default"}],
    })).await;
    world
        .merge(
            "Kustomization/app",
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}),
        )
        .await;
    world.ready("app").await;

    // Without its service account nobody may prune; the Kustomization goes all the same.
    world.delete("ServiceAccount/tenant").await;
    world.delete("Kustomization/app").await;
    world.gone("Kustomization/app").await;
    assert!(world.find("ConfigMap/a").await.is_some());
    world
        .event("app", |_, message| message.starts_with("unable to prune objects: \nConfigMap/default/a"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_reached_by_its_kubeconfig() {
    let world = World::start().await;
    let other = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("app", "app", json!({"kubeConfig": {"secretRef": {"name": "other"}}})).await;
    let failed = world.failed("app", "ReconciliationFailed").await;
    let text = "failed to build kube client: unable to read KubeConfig secret 'default/other'";
    assert!(message(&failed, "Ready").starts_with(text), "{}", message(&failed, "Ready"));

    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"},
        "stringData": {"value": other.kubeconfig()},
    });
    world.apply(secret).await;
    world
        .merge(
            "Kustomization/app",
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}),
        )
        .await;
    world.ready("app").await;
    assert!(world.find("ConfigMap/a").await.is_none());
    assert_eq!(other.get("ConfigMap/a").await["data"]["value"], "1");

    other.merge("ConfigMap/a", json!({"data": {"value": "edited"}})).await;
    other.until("drift there is repaired too", "ConfigMap/a", |o| o["data"]["value"] == "1").await;
    world.delete("Kustomization/app").await;
    world.gone("Kustomization/app").await;
    assert!(other.find("ConfigMap/a").await.is_none());
}
