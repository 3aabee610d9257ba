//! From the first install over upgrades to the end.

use serde_json::json;

use crate::world::{World, condition, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-map\ndata:\n  \
                   value: {{ .Values.value | quote }}\n  version: {{ .Chart.Version }}\n";
const EXTRA: &str =
    "{{ if .Values.extra }}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n{{ end }}\n";
const HOOK: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  annotations:\n    \
                    helm.sh/hook: pre-install,pre-upgrade\ndata: {revision: '{{ .Release.Revision }}'}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_upgraded_and_uninstalled() {
    let world = World::start().await;
    world.release("app", json!({"values": {"value": "one", "extra": true}})).await;
    let chart = world.until("it is made", "HelmChart/default-app", |_| true).await;
    assert_eq!(chart["spec"]["chart"], "web");
    assert_eq!(chart["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"], "app");
    let files = [
        ("values.yaml", "value: default\n"),
        ("templates/map.yaml", MAP),
        ("templates/extra.yaml", EXTRA),
        ("templates/hook.yaml", HOOK),
        ("templates/NOTES.txt", "Hello {{ .Values.value }}"),
    ];
    world.chart("default-app", "1.0.0", &files).await;
    let app = world.ready("app").await;
    assert_eq!(
        message(&app, "Ready"),
        "Helm install succeeded for release default/app.v1 with chart web@1.0.0"
    );
    assert_eq!(condition(&app, "Released")["reason"], "InstallSucceeded");
    assert_eq!(app["status"]["helmChart"], "default/default-app");
    assert_eq!(app["status"]["storageNamespace"], "default");
    assert_eq!(app["status"]["lastAttemptedRevision"], "1.0.0");
    let map = world.get("ConfigMap/app-map").await;
    assert_eq!(map["data"]["value"], "one");
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    assert_eq!(map["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"], "app");
    assert_eq!(map["metadata"]["annotations"]["meta.helm.sh/release-name"], "app");
    assert_eq!(world.get("ConfigMap/hook").await["data"]["revision"], "1");
    let (secret, record) = world.record("app", 1).await;
    assert_eq!(secret["type"], "helm.sh/release.v1");
    assert_eq!(secret["metadata"]["labels"]["status"], "deployed");
    assert_eq!((record.notes.as_str(), record.description.as_str()), ("Hello one", "Install complete"));

    // New values: an upgrade, and what is no longer rendered goes.
    world.merge("HelmRelease/app", json!({"spec": {"values": {"value": "two", "extra": false}}})).await;
    let app = world.ready("app").await;
    assert_eq!(
        message(&app, "Ready"),
        "Helm upgrade succeeded for release default/app.v2 with chart web@1.0.0"
    );
    assert_eq!(world.get("ConfigMap/app-map").await["data"]["value"], "two");
    assert!(world.find("ConfigMap/extra").await.is_none());
    assert_eq!(world.record("app", 1).await.0["metadata"]["labels"]["status"], "superseded");
    let history = app["status"]["history"].as_array().unwrap();
    let shown: Vec<_> = history.iter().map(|s| (s["version"].clone(), s["status"].clone())).collect();
    assert_eq!(shown, [(json!(2), json!("deployed")), (json!(1), json!("superseded"))]);

    // A new chart is released when its artifact is there.
    world.chart("default-app", "1.1.0", &files).await;
    world
        .until("the new chart is released", "HelmRelease/app", |o| {
            o["status"]["history"][0]["chartVersion"] == "1.1.0" && condition(o, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(world.get("ConfigMap/app-map").await["data"]["version"], "1.1.0");

    // A request changes nothing: no fourth revision.
    world.ask("HelmRelease/app", "now").await;
    assert!(world.find("Secret/sh.helm.release.v1.app.v4").await.is_none());

    world.delete("HelmRelease/app").await;
    world.gone("HelmRelease/app").await;
    let text = "Helm uninstall succeeded for release default/app.v3 with chart web@1.1.0";
    world.event("app", |reason, message| reason == "UninstallSucceeded" && message == text).await;
    for gone in ["ConfigMap/app-map", "HelmChart/default-app", "Secret/sh.helm.release.v1.app.v3"] {
        assert!(world.find(gone).await.is_none(), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_put_together_and_changes_are_put_back() {
    let world = World::start().await;
    world
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"},
        "data": {"values.yaml": "value: base\n"}}))
        .await;
    let from = json!([{"kind": "ConfigMap", "name": "base"}, {"kind": "Secret", "name": "absent"}]);
    world.release("app", json!({"valuesFrom": from, "driftDetection": {"mode": "enabled"}})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/map.yaml", MAP)]).await;
    let app = world.failed("app", "ValuesError").await;
    assert!(
        message(&app, "Ready")
            .starts_with("could not resolve Secret chart values reference 'default/absent'")
    );
    let optional = json!([{"kind": "ConfigMap", "name": "base"}, {"kind": "Secret", "name": "absent", "optional": true}]);
    world.merge("HelmRelease/app", json!({"spec": {"valuesFrom": optional}})).await;
    let app = world.ready("app").await;
    assert_eq!(world.get("ConfigMap/app-map").await["data"]["value"], "base");
    assert_eq!(condition(&app, "Drifted")["reason"], "NoDriftDetected");

    world.merge("ConfigMap/app-map", json!({"data": {"value": "changed"}})).await;
    world.ask("HelmRelease/app", "look").await;
    world.event("app", |reason, _| reason == "DriftCorrected").await;
    assert_eq!(world.get("ConfigMap/app-map").await["data"]["value"], "base");
    assert!(world.find("Secret/sh.helm.release.v1.app.v2").await.is_none());
}
