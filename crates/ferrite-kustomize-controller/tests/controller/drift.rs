//! What somebody else changes is put right at once, and own writes are not mistaken for that.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{World, config_map, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_are_repaired_at_once() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1")), ("b.yaml", &deployment("web", "{}"))]).await;
    world.kustomization("app", "app", json!({"wait": true})).await;
    world.ready("app").await;

    let start = Instant::now();
    world.merge("ConfigMap/a", json!({"data": {"value": "edited"}})).await;
    world.until("the edit is undone", "ConfigMap/a", |o| o["data"]["value"] == "1").await;
    let edit = start.elapsed();

    let start = Instant::now();
    world.merge("Deployment/web", json!({"spec": {"replicas": 7}})).await;
    world.until("the scale is undone", "Deployment/web", |o| o["spec"]["replicas"] == 1).await;
    let scale = start.elapsed();

    world.merge("ConfigMap/a", json!({"data": {"extra": "by hand"}})).await;
    world.until("what was added goes", "ConfigMap/a", |o| o["data"].get("extra").is_none()).await;

    let before = world.get("Deployment/web").await["metadata"]["uid"].clone();
    let start = Instant::now();
    world.delete("Deployment/web").await;
    world.until("it comes back", "Deployment/web", |o| o["metadata"]["uid"] != before).await;
    let deletion = start.elapsed();
    println!("repaired after {edit:?}, {scale:?}, {deletion:?}");
    // The interval is an hour: only the watch can have done it. The bound is wide for a loaded machine.
    assert!(edit.max(scale).max(deletion) < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_state_is_left_alone() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1")), ("b.yaml", &deployment("web", "{}"))]).await;
    world.kustomization("app", "app", json!({"wait": true})).await;
    world.ready("app").await;
    world.ask("Kustomization/app", "settle").await;

    let total = |o: &serde_json::Value| {
        o["status"]["history"][0]["totalReconciliations"].as_i64().unwrap_or_default()
    };
    let before = world.get("Kustomization/app").await;
    let written = world.get("Deployment/web").await["metadata"]["resourceVersion"].clone();
    // A status that changes is no drift.
    let api: kube::Api<k8s_openapi::api::apps::v1::Deployment> =
        kube::Api::namespaced(world.client.clone(), "default");
    for number in 0..3 {
        let patch = json!({"status": {"observedGeneration": 1, "collisionCount": number}});
        api.patch_status("web", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch))
            .await
            .unwrap();
    }
    world.merge("Kustomization/app", json!({"metadata": {"labels": {"touched": "yes"}}})).await;
    world.ask("Kustomization/app", "again").await;
    let after = world.get("Kustomization/app").await;
    assert_eq!(total(&after), total(&before) + 1, "one reconcile for one request");
    assert_ne!(world.get("Deployment/web").await["metadata"]["resourceVersion"], written);
    let generation = world.get("Deployment/web").await["metadata"]["generation"].clone();
    assert_eq!(generation, 1, "nothing was written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_a_row_are_all_undone_at_once() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;
    world.ready("app").await;
    let mut longest = Duration::ZERO;
    for edit in 0..20 {
        let start = Instant::now();
        world.merge("ConfigMap/a", json!({"data": {"value": format!("edited {edit}")}})).await;
        world.until("the edit is undone", "ConfigMap/a", |o| o["data"]["value"] == "1").await;
        longest = longest.max(start.elapsed());
    }
    println!("the longest of 20 repairs took {longest:?}");
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}
