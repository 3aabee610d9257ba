//! Order between Kustomizations, and health.

use std::time::Duration;

use ferrite_kustomize_controller::Config;
use serde_json::json;

use crate::world::{World, condition, config_map, deployment, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_starts_when_its_dependency_is_ready() {
    let world = World::start().await;
    world
        .push("app", "1", &[("one/a.yaml", &config_map("one", "1")), ("two/b.yaml", &config_map("two", "1"))])
        .await;
    world.kustomization("two", "app", json!({"path": "./two", "dependsOn": [{"name": "one"}]})).await;
    let waiting = world.failed("two", "DependencyNotReady").await;
    assert_eq!(message(&waiting, "Ready"), "dependency 'default/one' not found");
    assert!(world.find("ConfigMap/two").await.is_none());

    let start = std::time::Instant::now();
    world.kustomization("one", "app", json!({"path": "./one"})).await;
    world.ready("two").await;
    assert!(start.elapsed() < Duration::from_secs(25), "woken, not polled every 30s: {:?}", start.elapsed());

    // A new revision goes through them in the same order.
    let second = world
        .push("app", "2", &[("one/a.yaml", &config_map("one", "2")), ("two/b.yaml", &config_map("two", "2"))])
        .await;
    world.applied("two", &second).await;
    assert_eq!(world.get("Kustomization/one").await["status"]["lastAppliedRevision"], second);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_can_say_when_a_dependency_is_ready() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("base", "app", json!({})).await;
    world.ready("base").await;
    let expression = "has(dep.metadata.labels) && 'go' in dep.metadata.labels && dep.metadata.labels['go'] == self.metadata.name";
    world
        .kustomization("app", "app", json!({"dependsOn": [{"name": "base", "readyExpr": expression}]}))
        .await;
    let waiting = world.failed("app", "DependencyNotReady").await;
    assert_eq!(
        message(&waiting, "Ready"),
        "dependency 'default/base' is not ready according to readyExpr eval"
    );
    world.merge("Kustomization/base", json!({"metadata": {"labels": {"go": "app"}}})).await;
    world.ask("Kustomization/base", "now").await;
    world.ready("app").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_waited_for_and_told() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &deployment("web", "{}"))]).await;
    world.kustomization("app", "app", json!({"wait": true})).await;
    let ready = world.ready("app").await;
    assert_eq!(condition(&ready, "Healthy")["reason"], "Succeeded");
    assert!(
        message(&ready, "Healthy").starts_with("Health check passed in "),
        "{}",
        message(&ready, "Healthy")
    );

    let broken = deployment("web", "{ferrite.dev/fail: 'image cannot be pulled'}");
    world.push("app", "2", &[("a.yaml", &broken)]).await;
    let failed = world.failed("app", "HealthCheckFailed").await;
    let text = message(&failed, "Ready");
    assert!(text.starts_with("health check failed after "), "{text}");
    assert!(text.contains("Deployment/default/web status: 'Failed'"), "{text}");
    assert_eq!(condition(&failed, "Healthy")["status"], "False");
    assert_eq!(failed["status"]["lastAppliedRevision"], "main@sha1:1");
    assert_eq!(failed["status"]["history"][0]["lastReconciledStatus"], "HealthCheckFailed");

    world.push("app", "3", &[("a.yaml", &deployment("web", "{}"))]).await;
    world.kustomization("app", "app", json!({"wait": false, "healthChecks": [{"kind": "Deployment", "name": "web", "namespace": "default"}]})).await;
    world.applied("app", "main@sha1:3").await;
    world.kustomization("app", "app", json!({"wait": false})).await;
    let ready = world
        .until("health is not asked for any more", "Kustomization/app", |o| condition(o, "Healthy").is_null())
        .await;
    assert_eq!(condition(&ready, "Ready")["status"], "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_ends_a_wait_and_waits_hold_no_worker() {
    let world = World::start().await;
    let hanging = deployment("hanging", "{ferrite.dev/hang: 'true'}");
    world.push("app", "1", &[("bad/a.yaml", &hanging), ("good/a.yaml", &config_map("good", "1"))]).await;
    for number in 0..6 {
        world
            .kustomization(
                &format!("bad-{number}"),
                "app",
                json!({"path": "./bad", "wait": true, "timeout": "10m"}),
            )
            .await;
    }
    world.until("it was applied", "Deployment/hanging", |_| true).await;
    world.kustomization("good", "app", json!({"path": "./good"})).await;
    world.ready("good").await;

    let fixed = deployment("hanging", "{}");
    let second =
        world.push("app", "2", &[("bad/a.yaml", &fixed), ("good/a.yaml", &config_map("good", "1"))]).await;
    for number in 0..6 {
        world.applied(&format!("bad-{number}"), &second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_sources_that_is_defined_later_is_watched_from_then_on() {
    let late = "buckets.source.toolkit.fluxcd.io";
    let world = World::without(Config::default(), late).await;
    world.kustomization("app", "app", json!({"sourceRef": {"kind": "Bucket", "name": "app"}})).await;
    let missing = world.failed("app", "ArtifactFailed").await;
    assert_eq!(message(&missing, "Ready"), "Bucket.source.toolkit.fluxcd.io \"app\" not found");
    world.define(late).await;
    // The interval is an hour: only a watch can bring these.
    for tag in ["1", "2"] {
        let spec = json!({"bucketName": "b", "endpoint": "example.com", "interval": "1h"});
        let files = [("a.yaml", config_map("a", tag))];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        let revision = world.push_as("Bucket", spec, "app", tag, &files).await;
        world.applied("app", &revision).await;
    }
}
