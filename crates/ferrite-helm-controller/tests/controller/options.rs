//! How objects are applied, named, kept and compared.

use std::collections::BTreeMap;

use ferrite_helm::{ApplyMethod, Release, Status};
use serde_json::{Value, json};

use crate::world::{World, condition, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\ndata:\n  value: {{ .Values.value | quote }}\n\
                   {{ if .Values.more }}  more: x\n{{ end }}";

async fn released(world: &World, spec: Value, files: &[(&str, &str)]) {
    world.release("app", spec).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", files).await;
}

/// Manager and operation of each entry of managedFields.
fn managers(object: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().map(|entry| (text(entry, "manager"), text(entry, "operation"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_can_be_applied_by_the_client() {
    let world = World::start().await;
    let spec = json!({"values": {"value": "1", "more": true}, "install": {"serverSideApply": false}});
    released(&world, spec, &[("templates/map.yaml", MAP)]).await;
    world.ready("app").await;
    assert_eq!(world.record("app", 1).await.1.apply_method, Some(ApplyMethod::Client));
    let own = |operation: &str| ("helm-controller".to_owned(), operation.to_owned());
    assert_eq!(managers(&world.get("ConfigMap/map").await), [own("Update")]);

    // What others set stays; what the chart no longer says goes; `auto` keeps the way of applying.
    world.merge("ConfigMap/map", json!({"data": {"other": "theirs"}})).await;
    world.merge("HelmRelease/app", json!({"spec": {"values": {"value": "2", "more": false}}})).await;
    world.ready("app").await;
    let map = world.get("ConfigMap/map").await;
    assert_eq!(map["data"], json!({"value": "2", "other": "theirs"}));
    assert_eq!(world.record("app", 2).await.1.apply_method, Some(ApplyMethod::Client));

    // From then on the server applies, and owns what the client had set.
    let server = json!({"spec": {"values": {"value": "3"}, "upgrade": {"serverSideApply": "enabled"}}});
    world.merge("HelmRelease/app", server).await;
    world.ready("app").await;
    assert_eq!(world.record("app", 3).await.1.apply_method, Some(ApplyMethod::Server));
    let map = world.get("ConfigMap/map").await;
    assert!(managers(&map).contains(&own("Apply")) && !managers(&map).contains(&own("Update")), "{map:#}");
    assert_eq!(map["data"], json!({"value": "3", "other": "theirs"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_helm_is_taken_over() {
    let world = World::start().await;
    let manifest = "---\n# Source: web/templates/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\ndata:\n  value: \"1\"\n---\n# Source: web/templates/old.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n";
    let record = Release::from_json(json!({
        "name": "app", "namespace": "default", "version": 4, "manifest": manifest, "config": {"value": "1"},
        "info": {"status": "deployed", "first_deployed": "2026-01-01T00:00:00Z", "last_deployed": "2026-01-01T00:00:00Z"},
        "chart": {"metadata": {"name": "web", "version": "0.9.0"}},
    }))
    .unwrap();
    let labels: BTreeMap<_, _> = record.storage_labels(true, 0).into_iter().collect();
    world
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": record.storage_name(), "labels": labels},
            "stringData": {"release": record.encode().unwrap()}}))
        .await;
    for name in ["map", "old"] {
        world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})).await;
    }
    let uid = world.get("ConfigMap/map").await["metadata"]["uid"].clone();
    released(&world, json!({"values": {"value": "2"}}), &[("templates/map.yaml", MAP)]).await;
    let app = world.ready("app").await;
    let text = "Helm upgrade succeeded for release default/app.v5 with chart web@1.0.0";
    assert_eq!(message(&app, "Ready"), text);
    let map = world.get("ConfigMap/map").await;
    assert_eq!((&map["metadata"]["uid"], &map["data"]["value"]), (&uid, &json!("2")));
    assert!(world.find("ConfigMap/old").await.is_none(), "what the chart no longer has is deleted");
    let (_, first) = world.record("app", 4).await;
    assert_eq!((first.status, first.first_deployed.as_str()), (Status::Superseded, "2026-01-01T00:00:00Z"));
    let (_, now) = world.record("app", 5).await;
    assert_eq!((now.first_deployed, now.apply_method), (first.first_deployed, Some(ApplyMethod::Client)));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_others_are_refused_where_ownership_is_not_taken() {
    let world = World::start().await;
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}})).await;
    let spec = json!({"values": {"value": "1"}, "install": {"disableTakeOwnership": true}});
    released(&world, spec, &[("templates/map.yaml", MAP)]).await;
    let app = world.failed("app", "InstallFailed").await;
    let text = "Helm install failed for release default/app with chart web@1.0.0: unable to continue with install: \
                ConfigMap \"map\" in namespace \"default\" exists and cannot be imported into the current release: \
                invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must \
                be set to \"Helm\"; annotation validation error: missing key \"meta.helm.sh/release-name\": must be \
                set to \"app\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be \
                set to \"default\"";
    assert_eq!(message(&app, "Released"), text);
    assert!(world.find("Secret/sh.helm.release.v1.app.v1").await.is_none(), "nothing was stored");
    assert_eq!(app["status"]["installFailures"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn former_values_are_preserved() {
    let world = World::start().await;
    let spec = json!({"values": {"value": "1", "more": true}, "upgrade": {"preserveValues": true}});
    released(&world, spec, &[("templates/map.yaml", MAP)]).await;
    world.ready("app").await;
    world.merge("HelmRelease/app", json!({"spec": {"values": {"value": "2", "more": null}}})).await;
    world.ready("app").await;
    assert_eq!(world.get("ConfigMap/map").await["data"], json!({"value": "2", "more": "x"}));
    let (_, record) = world.record("app", 2).await;
    assert_eq!(Value::Object(record.config), json!({"value": "2", "more": true}));
    world.ask("HelmRelease/app", "look").await;
    assert!(world.find("Secret/sh.helm.release.v1.app.v3").await.is_none(), "nothing is upgraded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_retried_where_they_are() {
    let world = World::start().await;
    let broken = "{{ if .Values.broken }}apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {noSuchField: 1}{{ end }}";
    let strategy = json!({"strategy": {"name": "RetryOnFailure", "retryInterval": "1h"}});
    let spec = json!({"values": {"value": "1", "broken": true}, "install": strategy});
    released(&world, spec, &[("templates/map.yaml", MAP), ("templates/s.yaml", broken)]).await;
    let app = world
        .until("it waits", "HelmRelease/app", |o| {
            condition(o, "Reconciling")["message"] == "retrying after 1h0m0s"
        })
        .await;
    assert_eq!(condition(&app, "Reconciling")["reason"], "ProgressingWithRetry");
    assert_eq!(condition(&app, "Ready")["reason"], "InstallFailed");
    assert_eq!(app["status"]["observedGeneration"], 1);
    assert_eq!(world.get("ConfigMap/map").await["data"]["value"], "1", "nothing is remediated");
    world.merge("HelmRelease/app", json!({"spec": {"values": {"broken": false}}})).await;
    let app = world.ready("app").await;
    assert_eq!(app["status"]["history"][0]["version"], 2);
    assert_eq!(app["status"]["failures"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_only_told_of_where_that_is_wanted_and_ignored_where_it_is_ignored() {
    let world = World::start().await;
    let spec = json!({"values": {"value": "1"}, "driftDetection": {"mode": "warn"}});
    released(&world, spec, &[("templates/map.yaml", MAP)]).await;
    world.ready("app").await;
    world.merge("ConfigMap/map", json!({"data": {"value": "changed"}})).await;
    world.ask("HelmRelease/app", "look").await;
    let app = world.get("HelmRelease/app").await;
    let text = "Cluster state of release default/app.v1 has drifted from the desired state:\n\
                ConfigMap/default/map changed (0 additions, 1 changes, 0 removals)";
    assert_eq!(message(&app, "Drifted"), text);
    assert_eq!(condition(&app, "Ready")["status"], "True");
    assert_eq!(world.get("ConfigMap/map").await["data"]["value"], "changed");

    let rules = json!([{"paths": ["/data/value"], "target": {"kind": "ConfigMap"}}]);
    world.merge("HelmRelease/app", json!({"spec": {"driftDetection": {"ignore": rules}}})).await;
    let app = world.ready("app").await;
    assert_eq!(message(&app, "Drifted"), "No drift detected against the cluster state");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_kept_as_the_spec_says() {
    let world = World::start().await;
    let spec = json!({"values": {"value": "0"}, "maxHistory": 2, "uninstall": {"keepHistory": true}});
    released(&world, spec, &[("templates/map.yaml", MAP)]).await;
    world.ready("app").await;
    for value in ["1", "2", "3"] {
        world.merge("HelmRelease/app", json!({"spec": {"values": {"value": value}}})).await;
        world.ready("app").await;
    }
    assert!(world.find("Secret/sh.helm.release.v1.app.v2").await.is_none());
    assert_eq!(world.record("app", 3).await.1.status, Status::Superseded);
    world.delete("HelmRelease/app").await;
    world.gone("HelmRelease/app").await;
    let (_, last) = world.record("app", 4).await;
    assert_eq!((last.status, last.description.as_str()), (Status::Uninstalled, "Uninstallation complete"));
    assert!(world.find("ConfigMap/map").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_waits_until_its_expression_holds() {
    let world = World::start().await;
    world.release("base", json!({})).await;
    world.until("it is made", "HelmChart/default-base", |_| true).await;
    let expression = "dep.status.history[0].chartVersion == self.spec.values.value";
    let depends = json!([{"name": "base", "readyExpr": expression}]);
    world.release("app", json!({"values": {"value": "1.0.0"}, "dependsOn": depends})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/map.yaml", MAP)]).await;
    world.failed("app", "DependencyNotReady").await;
    world.chart("default-base", "1.0.0", &[]).await;
    world.ready("app").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_of_the_api_are_released() {
    let world = World::start().await;
    for (name, version) in [("one", "v2beta1"), ("two", "v2beta2")] {
        let object = json!({
            "apiVersion": format!("helm.toolkit.fluxcd.io/{version}"), "kind": "HelmRelease",
            "metadata": {"name": name},
            "spec": {"interval": "1h", "releaseName": name, "chart": {"spec": {
                "chart": "web", "version": "1.x", "sourceRef": {"kind": "HelmRepository", "name": "repo"},
            }}},
        });
        world.apply_as(&format!("helm.toolkit.fluxcd.io/{version}"), object).await;
        world.until("it is made", &format!("HelmChart/default-{name}"), |_| true).await;
        world.chart(&format!("default-{name}"), "1.0.0", &[]).await;
        world.ready(name).await;
    }
}
