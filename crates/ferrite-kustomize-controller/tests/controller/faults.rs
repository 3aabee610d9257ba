//! An API server that is slow, fails, or goes away for a while.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, config_map};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_caught_up_with_long_before_the_retry_interval() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;
    world.ready("app").await;

    // Slow first, so that the reconcile is under way when everything fails; then it works again. The retry interval is
    // an hour.
    world.faults().set_latency(Duration::from_millis(200));
    world.push("app", "2", &[("a.yaml", &config_map("a", "2"))]).await;
    world.faults().set_error_rate(1.0);
    world.further_requests(2).await;
    world.faults().clear();
    world.until("the push arrives", "ConfigMap/a", |o| o["data"]["value"] == "2").await;
    world.applied("app", "main@sha1:2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_watches_lose_nothing() {
    let world = World::start().await;
    world.push("app", "1", &[("a.yaml", &config_map("a", "1"))]).await;
    world.kustomization("app", "app", json!({})).await;
    world.ready("app").await;

    world.faults().expire_history();
    world.merge("ConfigMap/a", json!({"data": {"value": "edited"}})).await;
    world.until("drift is seen after the gap", "ConfigMap/a", |o| o["data"]["value"] == "1").await;

    world.faults().drop_watches();
    let second = world.push("app", "2", &[("a.yaml", &config_map("a", "2"))]).await;
    world.applied("app", &second).await;
    assert_eq!(world.get("ConfigMap/a").await["data"]["value"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_now_and_then_leave_everything_applied_in_the_end() {
    let world = World::start().await;
    let files: Vec<(String, String)> =
        (0..8).map(|n| (format!("k{n}/a.yaml"), config_map(&format!("m{n}"), "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.push("app", "1", &files).await;
    for number in 0..8 {
        world
            .kustomization(
                &format!("k{number}"),
                "app",
                json!({"path": format!("k{number}"), "suspend": true}),
            )
            .await;
    }
    world.faults().set_latency(Duration::from_millis(20));
    for number in 0..8 {
        world.merge(&format!("Kustomization/k{number}"), json!({"spec": {"suspend": false}})).await;
    }
    world.faults().set_error_rate(0.3);
    world.further_requests(10).await;
    world.faults().clear();
    for number in 0..8 {
        world.ready(&format!("k{number}")).await;
        assert_eq!(world.get(&format!("ConfigMap/m{number}")).await["data"]["value"], "1");
    }
}
