//! Actions that fail, and what is done about them.

use serde_json::json;

use crate::world::{World, condition, message};

const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\ndata:\n  value: {{ .Values.value | quote }}\n";
/// A field that does not exist is refused by the API server.
const BROKEN: &str = "{{ if .Values.broken }}\napiVersion: v1\nkind: Service\nmetadata:\n  name: broken\nspec:\n  \
                      noSuchField: 1\n{{ end }}\n";
const FILES: [(&str, &str); 2] = [("templates/map.yaml", MAP), ("templates/service.yaml", BROKEN)];

async fn released(world: &World, spec: serde_json::Value) {
    world.release("app", spec).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &FILES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_retries_a_failed_install_stalls_until_the_spec_changes() {
    let world = World::start().await;
    released(&world, json!({"values": {"value": "1", "broken": true}})).await;
    let app = world
        .until("it has stalled", "HelmRelease/app", |o| {
            condition(o, "Stalled")["reason"] == "RetriesExceeded"
        })
        .await;
    assert_eq!(message(&app, "Stalled"), "Failed to install after 1 attempt(s)");
    assert_eq!(condition(&app, "Ready")["reason"], "InstallFailed");
    let start = "Helm install failed for release default/app with chart web@1.0.0: ";
    assert!(message(&app, "Released").starts_with(start), "{}", message(&app, "Released"));
    assert_eq!(app["status"]["installFailures"], 1);
    assert_eq!(world.record("app", 1).await.0["metadata"]["labels"]["status"], "failed");

    world.merge("HelmRelease/app", json!({"spec": {"values": {"broken": false}}})).await;
    let app = world.ready("app").await;
    assert_eq!(app["status"]["history"][0]["version"], 2);
    assert_eq!(condition(&app, "Stalled"), &json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upgrade_is_rolled_back() {
    let world = World::start().await;
    released(&world, json!({"values": {"value": "1"}, "upgrade": {"remediation": {"retries": 1}}})).await;
    world.ready("app").await;
    world.merge("HelmRelease/app", json!({"spec": {"values": {"value": "2", "broken": true}}})).await;
    let app = world
        .until("it has stalled", "HelmRelease/app", |o| {
            condition(o, "Stalled")["reason"] == "RetriesExceeded"
        })
        .await;
    assert_eq!(condition(&app, "Remediated")["reason"], "RollbackSucceeded");
    assert_eq!(condition(&app, "Ready")["status"], "False");
    assert_eq!(app["status"]["upgradeFailures"], 2);
    assert_eq!(world.get("ConfigMap/map").await["data"]["value"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_left_pending_is_unlocked() {
    let world = World::start().await;
    released(&world, json!({"values": {"value": "1"}})).await;
    world.ready("app").await;
    let (_, mut record) = world.record("app", 1).await;
    record.status = ferrite_helm::Status::PendingUpgrade;
    record.version = 2;
    let labels: std::collections::BTreeMap<_, _> = record.storage_labels(true, 0).into_iter().collect();
    world
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": record.storage_name(), "labels": labels},
            "stringData": {"release": record.encode().unwrap()}}))
        .await;
    world.ask("HelmRelease/app", "look").await;
    let app = world
        .until("it is released anew", "HelmRelease/app", |o| {
            o["status"]["history"][0]["version"] == 3 && condition(o, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(app["status"]["history"][0]["status"], "deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_install_is_uninstalled_before_it_is_tried_again() {
    let world = World::start().await;
    let remediation = json!({"remediation": {"retries": 1, "remediateLastFailure": true}});
    released(&world, json!({"values": {"value": "1", "broken": true}, "install": remediation})).await;
    let app = world
        .until("it has stalled", "HelmRelease/app", |o| {
            condition(o, "Stalled")["reason"] == "RetriesExceeded"
        })
        .await;
    assert_eq!(app["status"]["installFailures"], 2);
    assert_eq!(condition(&app, "Remediated")["reason"], "UninstallSucceeded");
    assert!(world.find("ConfigMap/map").await.is_none());
    assert!(world.find("Secret/sh.helm.release.v1.app.v1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_another_release() {
    let world = World::start().await;
    released(&world, json!({"values": {"value": "1"}})).await;
    world.ready("app").await;
    world.merge("HelmRelease/app", json!({"spec": {"releaseName": "other"}})).await;
    let app = world.ready("app").await;
    assert_eq!(
        message(&app, "Ready"),
        "Helm install succeeded for release default/other.v1 with chart web@1.0.0"
    );
    assert!(world.find("Secret/sh.helm.release.v1.app.v1").await.is_none());
    let map = world.get("ConfigMap/map").await;
    assert_eq!(map["metadata"]["annotations"]["meta.helm.sh/release-name"], "other");
}
