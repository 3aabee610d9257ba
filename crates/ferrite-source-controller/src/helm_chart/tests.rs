//! Whole reconciles of HelmCharts, after those of their repository, against a real server of files.

use std::io;

use ferrite_api::source::{HelmChart, HelmRepository};
use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
use ferrite_runtime::Requeue;
use ferrite_testkit::HelmRepositoryServer;
use serde_json::{Value, json};

use super::HelmCharts;
use crate::{
    helm_repository::HelmRepositories,
    world::{self, After, World, changed, condition},
};

struct Charts {
    server: HelmRepositoryServer,
    world: World,
    charts: HelmCharts,
    repositories: HelmRepositories,
}

/// The archive of a chart, as `helm package` lays it out.
fn package(name: &str, version: &str) -> Vec<u8> {
    let text = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let file =
        |path: String, content: String| Item { path, kind: ItemKind::File { executable: false }, content };
    let items = vec![
        file(format!("{name}/Chart.yaml"), text),
        file(format!("{name}/templates/app.yaml"), "kind: ConfigMap\n".to_owned()),
    ];
    let mut out = Vec::new();
    let read = |content: &String| Ok::<_, io::Error>(content.clone().into_bytes());
    archive(items, &Rules::none(), Bounds::default(), read, &mut out).unwrap();
    out
}

impl Charts {
    async fn new() -> Self {
        let (server, world) = (HelmRepositoryServer::start().await.unwrap(), World::new());
        let context = world.context("http://storage.test");
        let (charts, repositories) = (HelmCharts::new(context.clone()), HelmRepositories::new(context));
        let this = Self { server, world, charts, repositories };
        this.publish(&["1.0.0", "1.2.0", "2.0.0-rc.1"]).await;
        this
    }

    /// Publishes versions of the chart `app`, and lets the repository be reconciled.
    async fn publish(&self, versions: &[&str]) {
        let mut index = "apiVersion: v1\nentries:\n  app:\n".to_owned();
        for version in versions {
            let line =
                format!("  - {{name: app, version: {version}, apiVersion: v2, urls: [app-{version}.tgz]}}\n");
            index.push_str(&line);
            self.server.put(format!("/app-{version}.tgz"), package("app", version));
        }
        self.server.put("/index.yaml", index);
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": "charts", "namespace": "default", "generation": 1},
            "spec": {"url": self.server.url(), "interval": "1h", "timeout": "10s"},
        });
        let object: HelmRepository = serde_json::from_value(object).unwrap();
        let after = world::reconcile(&self.repositories, &self.charts.context, &object).await;
        self.world.put("helmrepositories/charts", serde_json::to_value(&after.object).unwrap());
    }

    fn chart(&self, spec: &Value) -> HelmChart {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": {"name": "default-app", "namespace": "default", "generation": 1},
            "spec": {"chart": "app", "interval": "1h", "sourceRef": {"kind": "HelmRepository", "name": "charts"}},
            "status": {"observedGeneration": -1},
        });
        world::merge(&mut object["spec"], spec);
        serde_json::from_value(object).unwrap()
    }

    async fn reconcile(&self, object: &HelmChart) -> After<HelmCharts> {
        world::reconcile(&self.charts, &self.charts.context, object).await
    }

    fn downloads(&self) -> usize {
        self.server.asked().iter().filter(|(path, _)| path.ends_with(".tgz")).count()
    }
}

#[track_caller]
fn failed(after: &After<HelmCharts>, reason: &str, message: &str) {
    let shown = condition(&after.report.status.conditions, "Ready");
    assert!(shown.starts_with(&format!("False {reason} {message}")), "{shown}");
    let fetch_failed = condition(&after.report.status.conditions, "FetchFailed");
    assert_eq!(fetch_failed, shown.replacen("False", "True", 1));
}

#[tokio::test]
async fn the_newest_stable_version_is_pulled_and_kept() {
    let charts = Charts::new().await;
    let first = charts.reconcile(&charts.chart(&json!({}))).await;
    let status = &first.report.status;
    let artifact = status.artifact.as_ref().unwrap();
    assert_eq!(artifact.revision, "1.2.0");
    assert_eq!(artifact.path, "helmchart/default/default-app/app-1.2.0.tgz");
    assert_eq!(fs_err::read(charts.world.place(artifact)).unwrap(), package("app", "1.2.0"), "byte for byte");
    assert_eq!(
        status.url.as_deref(),
        Some("http://storage.test/helmchart/default/default-app/latest.tar.gz")
    );
    assert_eq!(status.observed_chart_name.as_deref(), Some("app"));
    assert!(status.observed_source_artifact_revision.as_ref().unwrap().starts_with("sha256:"));
    let message = "ChartPullSucceeded pulled 'app' chart with version '1.2.0'";
    assert_eq!(condition(&status.conditions, "Ready"), format!("True {message}"));
    assert_eq!(condition(&status.conditions, "ArtifactInStorage"), format!("True {message}"));
    assert_eq!(first.events(), [format!("Info {message}")]);

    let second = charts.reconcile(&first.object).await;
    assert_eq!(second.report.status, first.report.status);
    assert_eq!((second.events().len(), charts.downloads()), (0, 1));

    charts.publish(&["1.0.0", "1.2.0", "1.3.0"]).await;
    let third = charts.reconcile(&second.object).await;
    assert_eq!(third.report.status.artifact.as_ref().unwrap().revision, "1.3.0");
    assert_eq!(charts.downloads(), 2);
    let shown = third.progress.said().unwrap();
    assert_eq!(shown, "building artifact: new 'app' chart with version '1.3.0'");
}

#[tokio::test]
async fn what_no_index_can_give_stalls_until_the_index_changes() {
    let charts = Charts::new().await;
    for (spec, message) in [
        (
            json!({"version": "^3"}),
            "invalid chart reference: failed to get chart version for remote reference: no 'app' chart with version matching '^3' found",
        ),
        (
            json!({"chart": "none"}),
            "invalid chart reference: failed to get chart version for remote reference: no chart with name 'none' found",
        ),
        (json!({"chart": "../x"}), "invalid chart reference: invalid chart name '../x'"),
        (json!({"version": "x y"}), "invalid chart reference: failed to get chart version"),
    ] {
        let after = charts.reconcile(&charts.chart(&spec)).await;
        failed(&after, "InvalidChartReference", message);
        assert_eq!(after.report.requeue, Requeue::Never);
    }
    let unsupported = json!({"sourceRef": {"kind": "GitRepository", "name": "app"}});
    let after = charts.reconcile(&charts.chart(&unsupported)).await;
    failed(
        &after,
        "UnsupportedSourceKind",
        "a chart in a GitRepository is not supported by this controller yet",
    );
    let after = charts.reconcile(&charts.chart(&json!({"valuesFiles": ["values-prod.yaml"]}))).await;
    failed(&after, "ValuesFilesError", "spec.valuesFiles is not supported by this controller yet");
}

#[tokio::test]
async fn failures_are_retried_and_the_last_chart_stays() {
    let charts = Charts::new().await;
    let good = charts.reconcile(&charts.chart(&json!({}))).await;
    let other = json!({"sourceRef": {"kind": "HelmRepository", "name": "none"}});
    let missing = charts.reconcile(&changed(&good.object, &other)).await;
    failed(&missing, "SourceUnavailable", "failed to get source: \"none\" not found");
    assert_eq!(missing.report.requeue, Requeue::Backoff);
    assert_eq!(missing.report.status.artifact, good.report.status.artifact);

    charts.server.put("/app-1.0.0.tgz", "no archive");
    let broken = charts.reconcile(&changed(&good.object, &json!({"version": "1.0.0"}))).await;
    failed(
        &broken,
        "ChartPullError",
        "chart pull error: the downloaded chart cannot be used: the archive is damaged",
    );
    charts.server.put("/app-1.0.0.tgz", package("other", "1.0.0"));
    let other = charts.reconcile(&changed(&good.object, &json!({"version": "1.0.0"}))).await;
    failed(&other, "ChartPullError", "chart pull error: the downloaded archive holds no 'app/Chart.yaml'");
    charts.server.put("/app-1.0.0.tgz", vec![0; (10 << 20) + 1]);
    let large = charts.reconcile(&changed(&good.object, &json!({"version": "1.0.0"}))).await;
    failed(
        &large,
        "ChartPullError",
        "chart pull error: failed to download chart for remote reference: failed to fetch",
    );

    charts.server.protect("reader", "canary");
    let refused = charts.reconcile(&changed(&good.object, &json!({"version": "1.0.0"}))).await;
    failed(
        &refused,
        "AuthenticationFailed",
        "chart pull error: failed to download chart for remote reference",
    );
    let back = charts.reconcile(&changed(&good.object, &json!({}))).await;
    assert_eq!(back.report.status.artifact.as_ref().unwrap().revision, "1.2.0");
}

#[tokio::test]
async fn a_repository_without_artifact_is_waited_for() {
    let charts = Charts::new().await;
    let bare = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": "default"}, "spec": {"url": "http://127.0.0.1:1"}});
    charts.world.put("helmrepositories/charts", bare);
    let after = charts.reconcile(&charts.chart(&json!({}))).await;
    failed(&after, "NoSourceArtifact", "no artifact available for HelmRepository source 'charts'");
    assert_eq!(after.report.requeue, Requeue::Backoff);
}
