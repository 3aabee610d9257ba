//! HelmRelease: a chart of a Helm repository, from the first install to the end.

use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
use ferrite_e2e::with_namespace;
use ferrite_testkit::HelmRepositoryServer;
use serde_json::json;

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-map\ndata:\n  \
                   value: {{ .Values.value | quote }}\n";

fn chart() -> Vec<u8> {
    let files = [
        ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\n"),
        ("web/values.yaml", "value: default\n"),
        ("web/templates/map.yaml", MAP),
    ];
    let items = files.map(|(path, text)| Item {
        path: path.to_owned(),
        kind: ItemKind::File { executable: false },
        content: text,
    });
    let mut bytes = Vec::new();
    let read = |text: &&str| Ok::<_, std::io::Error>(text.as_bytes().to_vec());
    archive(items.to_vec(), &Rules::none(), Bounds::default(), read, &mut bytes).expect("a chart is packed");
    bytes
}

#[test]
fn a_chart_is_released_upgraded_and_uninstalled() {
    with_namespace(|env| async move {
        let server = HelmRepositoryServer::start().await.expect("a Helm repository is served");
        server.put("/web-1.2.3.tgz", chart());
        let entry = "{name: web, version: 1.2.3, apiVersion: v2, urls: [web-1.2.3.tgz]}";
        server.put("/index.yaml", format!("apiVersion: v1\nentries:\n  web:\n  - {entry}\n"));
        env.apply(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": {"name": "charts"},
            "spec": {"interval": "1h", "url": server.url()},
        }))
        .await;
        env.apply(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "app"},
            "spec": {"interval": "1h", "chart": {"spec": {"chart": "web", "version": "1.x",
                "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}},
        }))
        .await;

        env.ready("HelmRelease/app").await;
        assert_eq!(env.get("ConfigMap/app-map").await["data"]["value"], "default");

        env.merge("HelmRelease/app", json!({"spec": {"values": {"value": "mine"}}})).await;
        let app = env.ready("HelmRelease/app").await;
        assert_eq!(env.get("ConfigMap/app-map").await["data"]["value"], "mine");
        assert_eq!(app["status"]["history"][0]["version"], 2);

        env.delete("HelmRelease/app").await;
        env.gone("HelmRelease/app").await;
        assert!(env.find("ConfigMap/app-map").await.is_none(), "the release is uninstalled");
    });
}
