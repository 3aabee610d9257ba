//! ArtifactGenerator: one repository becomes several artifacts, and each is applied by itself.

use ferrite_e2e::{git_repository, kustomization, with_namespace};
use serde_json::{Value, json};

use crate::config_map;

fn generator(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator",
        "metadata": {"name": "split"},
        "spec": {"sources": [{"alias": "mono", "kind": "GitRepository", "name": "mono"}]},
    });
    if let (Some(target), Value::Object(fields)) = (object["spec"].as_object_mut(), spec) {
        target.extend(fields);
    }
    object
}

fn has_artifact(object: &Value) -> bool {
    !object["status"]["artifact"].is_null()
}

#[test]
fn a_change_in_one_directory_reaches_one_kustomization_only() {
    with_namespace(|env| async move {
        let (web, api) = (config_map("web", "1"), config_map("api", "1"));
        let git = env.repository("mono", &[("web/a.yaml", &web), ("api/a.yaml", &api)]).await;
        env.apply(git_repository("mono", &git.url())).await;
        let output = |name: &str| {
            let copy = json!({"from": format!("@mono/{name}/**"), "to": "@artifact/"});
            json!({"name": name, "originRevision": "@mono", "copy": [copy]})
        };
        env.apply(generator(json!({"artifacts": [output("web"), output("api")]}))).await;
        for name in ["web", "api"] {
            let source = json!({
                "sourceRef": {"kind": "ExternalArtifact", "name": name}, "targetNamespace": env.namespace,
            });
            env.apply(kustomization(name, name, "./", source)).await;
            env.ready(&format!("Kustomization/{name}")).await;
        }
        let applied = |object: &Value| object["status"]["lastAppliedRevision"].clone();
        let before = applied(&env.get("Kustomization/api").await);
        assert!(before.to_string().starts_with("\"latest@sha256:"), "{before}");
        let artifact = env.get("ExternalArtifact/api").await;
        let origin = format!("main@sha1:{}", git.head());
        assert_eq!(artifact["status"]["artifact"]["metadata"]["org.opencontainers.image.revision"], origin);
        assert_eq!(artifact["metadata"]["labels"]["app.kubernetes.io/managed-by"], "source-watcher");

        git.commit(&[("web/a.yaml", &config_map("web", "2"))]);
        env.request_reconcile("GitRepository/mono").await;
        env.wait_for("ConfigMap/web", |map| map["data"]["value"] == "2").await;
        env.ready("ArtifactGenerator/split").await;
        assert_eq!(applied(&env.get("Kustomization/api").await), before, "nothing changed there");
    });
}

#[test]
fn directories_found_by_a_pattern_come_and_go_with_their_artifacts() {
    with_namespace(|env| async move {
        let git = env.repository("mono", &[("apps/web/a.yaml", "a"), ("apps/api/a.yaml", "b")]).await;
        env.apply(git_repository("mono", &git.url())).await;
        let copy = json!({"from": "@mono/apps/{app}/**", "to": "@artifact/"});
        env.apply(generator(json!({
            "pathPattern": "@mono/apps/{app}",
            "artifacts": [{"name": "app-{app}", "copy": [copy]}],
        })))
        .await;
        let web = env.wait_for("ExternalArtifact/app-web", has_artifact).await;
        assert_eq!(web["metadata"]["labels"]["app"], "web");
        env.ready("ArtifactGenerator/split").await;

        git.remove(&["apps/web/a.yaml"]);
        env.request_reconcile("GitRepository/mono").await;
        env.gone("ExternalArtifact/app-web").await;
        env.delete("ExternalArtifact/app-api").await;
        env.wait_for("ExternalArtifact/app-api", has_artifact).await;

        env.delete("ArtifactGenerator/split").await;
        env.gone("ArtifactGenerator/split").await;
        env.gone("ExternalArtifact/app-api").await;
    });
}

#[test]
fn a_chart_put_together_of_two_sources_is_released() {
    with_namespace(|env| async move {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata:\n  \
                   value: {{ .Values.value }}\n  kept: {{ .Values.kept | quote }}\n";
        let chart = [
            ("chart/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
            ("chart/values.yaml", "value: chart\nkept: \"yes\"\n"),
            ("chart/templates/map.yaml", map),
        ];
        let git = env.repository("mono", &chart).await;
        let values = env.repository("values", &[("prod.yaml", "value: prod\n")]).await;
        env.apply(git_repository("mono", &git.url())).await;
        env.apply(git_repository("values", &values.url())).await;
        env.apply(generator(json!({
            "sources": [
                {"alias": "mono", "kind": "GitRepository", "name": "mono"},
                {"alias": "values", "kind": "GitRepository", "name": "values"},
            ],
            "artifacts": [{"name": "app", "copy": [
                {"from": "@mono/chart", "to": "@artifact/"},
                {"from": "@values/prod.yaml", "to": "@artifact/chart/values.yaml", "strategy": "Merge"},
            ]}],
        })))
        .await;
        env.apply(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "app"},
            "spec": {"interval": "1h", "chartRef": {"kind": "ExternalArtifact", "name": "app"}},
        }))
        .await;
        let map = env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "prod").await;
        assert_eq!(map["data"]["kept"], "yes");
    });
}
