//! Tests of a release.

use serde_json::json;

use crate::world::{World, condition, message};

/// A Job that is done at once on a cluster whose workloads are stood in for.
const TEST: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: check\n  annotations:\n    helm.sh/hook: test\n\
                    spec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: c, image: x}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_run_after_an_install() {
    let world = World::start().await;
    world.release("app", json!({"test": {"enable": true}})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/test.yaml", TEST)]).await;
    let app = world.ready("app").await;
    let text = "Helm test succeeded for release default/app.v1 with chart web@1.0.0: 1 test hook completed successfully";
    assert_eq!(message(&app, "TestSuccess"), text);
    assert_eq!(condition(&app, "Ready")["reason"], "TestSucceeded");
    assert_eq!(app["status"]["history"][0]["testHooks"]["check"]["phase"], "Succeeded");
    // A further look runs nothing again.
    world.ask("HelmRelease/app", "look").await;
    let again = world.get("HelmRelease/app").await;
    assert_eq!(again["status"]["history"], app["status"]["history"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_release_happens_once() {
    let world = World::start().await;
    world.release("app", json!({})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/test.yaml", TEST)]).await;
    world.ready("app").await;
    let force = json!({"metadata": {"annotations": {
        "reconcile.fluxcd.io/forceAt": "now", "reconcile.fluxcd.io/requestedAt": "now",
    }}});
    world.merge("HelmRelease/app", force).await;
    let app = world
        .until("it is released anew", "HelmRelease/app", |o| o["status"]["lastHandledForceAt"] == "now")
        .await;
    assert_eq!(app["status"]["history"][0]["version"], 2);
    world.ask("HelmRelease/app", "later").await;
    assert_eq!(world.get("HelmRelease/app").await["status"]["history"][0]["version"], 2);
}
