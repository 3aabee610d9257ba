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
        file(format!("{name}/values.yaml"), "a: 1\nb: {c: 2}\n".to_owned()),
        file(format!("{name}/values-prod.yaml"), "b: {c: 3}\n".to_owned()),
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
            "invalid chart reference: failed to get chart version for remote reference: no chart name found",
        ),
        (json!({"chart": "../x"}), "invalid chart reference: invalid chart name '../x'"),
        (json!({"version": "x y"}), "invalid chart reference: failed to get chart version"),
    ] {
        let after = charts.reconcile(&charts.chart(&spec)).await;
        failed(&after, "InvalidChartReference", message);
        assert_eq!(after.report.requeue, Requeue::Never);
    }
    let after = charts.reconcile(&charts.chart(&json!({"verify": {"provider": "cosign"}}))).await;
    failed(
        &after,
        "ChartVerificationError",
        "spec.verify is not supported by this controller yet: only charts of HelmRepositories of type 'oci' have signatures",
    );
    let after = charts.reconcile(&charts.chart(&json!({"valuesFiles": ["values-none.yaml"]}))).await;
    let message = "False ValuesFilesError values files merge error: 'values-none.yaml': no values file found";
    let shown = condition(&after.report.status.conditions, "Ready");
    assert!(shown.starts_with(message), "{shown}");
    assert_eq!(condition(&after.report.status.conditions, "BuildFailed"), shown.replacen("False", "True", 1));
    assert_eq!(after.report.requeue, Requeue::Never);
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

impl Charts {
    /// A text file of a stored artifact.
    fn text(&self, after: &After<HelmCharts>, path: &str) -> String {
        let artifact = after.report.status.artifact.as_ref().unwrap();
        let file = fs_err::File::open(self.world.place(artifact)).unwrap();
        let tree = ferrite_artifact::unpack(file, &ferrite_artifact::Limits::default()).unwrap();
        let (_, bytes, _) = tree.files().find(|(name, ..)| *name == path).unwrap();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Stores an artifact of a GitRepository `app` and puts the object beside it.
    fn commit(&self, hash: &str, files: &[(&str, &str)]) {
        let spec = json!({"url": "https://git.test/app", "interval": "1h"});
        self.store_source("GitRepository", "gitrepositories/app", &format!("main@sha1:{hash}"), &spec, files);
    }

    fn store_source(&self, kind: &str, path: &str, revision: &str, spec: &Value, files: &[(&str, &str)]) {
        use ferrite_artifact::ObjectDirectory;
        let items = files.iter().map(|(path, content)| Item {
            path: (*path).to_owned(),
            kind: ItemKind::File { executable: false },
            content: (*content).to_owned(),
        });
        let directory = ObjectDirectory::new(kind, "default", "app").unwrap();
        let store = &self.charts.context.store;
        let name = revision.rsplit(':').next().unwrap();
        let mut pending = store.create(&directory, &format!("{name}.tar.gz")).unwrap();
        let read = |content: &String| Ok::<_, io::Error>(content.clone().into_bytes());
        archive(items.collect(), &Rules::none(), Bounds::default(), read, &mut pending).unwrap();
        let stored = pending.commit().unwrap();
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
            "metadata": {"name": "app", "namespace": "default"},
            "spec": spec,
            "status": {"artifact": {"path": stored.path, "url": "http://storage.test/x", "digest": stored.digest.to_string(),
                "revision": revision, "lastUpdateTime": "2026-01-01T00:00:00Z"}},
        });
        self.world.put(path, object);
    }
}

#[tokio::test]
async fn values_files_are_merged_into_a_pulled_chart() {
    let charts = Charts::new().await;
    let spec = json!({"valuesFiles": ["values.yaml", "none.yaml", "values-prod.yaml"], "ignoreMissingValuesFiles": true});
    let after = charts.reconcile(&charts.chart(&spec)).await;
    let status = &after.report.status;
    assert_eq!(status.artifact.as_ref().unwrap().revision, "1.2.0+1");
    assert_eq!(status.artifact.as_ref().unwrap().path, "helmchart/default/default-app/app-1.2.0+1.tgz");
    assert_eq!(status.observed_values_files, ["values.yaml", "values-prod.yaml"]);
    let message =
        "packaged 'app' chart with version '1.2.0+1' and merged values files [values.yaml values-prod.yaml]";
    assert_eq!(condition(&status.conditions, "Ready"), format!("True ChartPackageSucceeded {message}"));
    assert_eq!(charts.text(&after, "app/values.yaml"), "a: 1\nb:\n  c: 3\n");
    assert!(charts.text(&after, "app/Chart.yaml").contains("version: 1.2.0+1\n"));
    assert_eq!(charts.reconcile(&after.object).await.report.status, *status);
}

#[tokio::test]
async fn a_chart_in_a_git_repository_is_packaged() {
    let charts = Charts::new().await;
    let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
    let files =
        [("charts/web/Chart.yaml", chart), ("charts/web/values.yaml", "a: 1\n"), ("prod.yaml", "a: 2\n")];
    charts.commit("aaaaaaaaaaaaaaaa", &files);
    let source = json!({"kind": "GitRepository", "name": "app"});
    let first = charts.reconcile(&charts.chart(&json!({"chart": "./charts/web", "sourceRef": source}))).await;
    let message = "ChartPackageSucceeded packaged 'web' chart with version '0.1.0'";
    assert_eq!(condition(&first.report.status.conditions, "Ready"), format!("True {message}"));
    assert_eq!(first.events(), [format!("Info {message}")]);
    let seen = first.report.status.observed_source_artifact_revision.as_deref();
    assert_eq!(seen, Some("main@sha1:aaaaaaaaaaaaaaaa"));

    // By default another commit of the same version changes nothing.
    let files =
        [("charts/web/Chart.yaml", chart), ("charts/web/values.yaml", "a: 9\n"), ("prod.yaml", "a: 2\n")];
    charts.commit("bbbbbbbbbbbbbbbb", &files);
    let second = charts.reconcile(&first.object).await;
    assert_eq!(second.report.status.artifact, first.report.status.artifact);

    let by_revision =
        json!({"reconcileStrategy": "Revision", "valuesFiles": ["charts/web/values.yaml", "prod.yaml"]});
    let third = charts.reconcile(&changed(&second.object, &by_revision)).await;
    assert_eq!(third.report.status.artifact.as_ref().unwrap().revision, "0.1.0+bbbbbbbbbbbb.2");
    assert_eq!(charts.text(&third, "web/values.yaml"), "a: 2\n");

    let missing = charts.reconcile(&changed(&third.object, &json!({"chart": "./charts/none"}))).await;
    failed(
        &missing,
        "InvalidChartReference",
        "invalid chart reference: './charts/none': no such file or directory",
    );
    let outside =
        charts.reconcile(&changed(&third.object, &json!({"valuesFiles": ["../../etc/passwd"]}))).await;
    let shown = condition(&outside.report.status.conditions, "BuildFailed");
    assert!(
        shown.starts_with("True ValuesFilesError values files merge error: '../../etc/passwd'"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_chart_in_a_bucket_is_packaged() {
    let charts = Charts::new().await;
    let files =
        [("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"), ("web/values.yaml", "a: 1\n")];
    let (revision, hex) = (format!("sha256:{}", "cd".repeat(32)), "cdcdcdcdcdcd");
    let spec = json!({"bucketName": "charts", "endpoint": "minio", "interval": "1h"});
    charts.store_source("Bucket", "buckets/app", &revision, &spec, &files);
    let spec = json!({"chart": "web", "sourceRef": {"kind": "Bucket", "name": "app"}, "reconcileStrategy": "Revision"});
    let first = charts.reconcile(&charts.chart(&spec)).await;
    assert_eq!(first.report.status.artifact.as_ref().unwrap().revision, format!("0.1.0+{hex}"));
    assert_eq!(first.report.status.observed_source_artifact_revision.as_ref(), Some(&revision));
}

#[tokio::test]
async fn dependencies_are_found_downloaded_and_packaged() {
    let charts = Charts::new().await;
    let registry = ferrite_testkit::RegistryServer::start().await.unwrap();
    registry.push("libs/base", "0.3.0", &[(super::act::CHART_LAYER, &package("base", "0.3.0"))], &[]);
    let chart = |dependencies: &str| {
        format!("apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n{dependencies}")
    };
    let (http, oci) = (charts.server.url(), registry.url("libs"));
    let lock = format!(
        "dependencies:\n- {{name: app, version: 1.0.0, repository: {http}}}\n- {{name: base, version: 0.3.0, repository: {oci}}}\n"
    );
    let text = chart(&format!(
        "- {{name: app, version: ^1, repository: {http}}}\n- {{name: base, version: '*', repository: {oci}}}\n"
    ));
    charts.commit("aaaaaaaaaaaaaaaa", &[("web/Chart.yaml", &text), ("web/Chart.lock", &lock)]);
    charts
        .world
        .put("/helmrepositories", json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []}));
    let source = json!({"kind": "GitRepository", "name": "app"});
    let spec = json!({"chart": "./web", "sourceRef": source});
    let first = charts.reconcile(&charts.chart(&spec)).await;
    let message = "ChartPackageSucceeded packaged 'web' chart with version '0.1.0'";
    assert_eq!(condition(&first.report.status.conditions, "Ready"), format!("True {message}"));
    assert!(charts.text(&first, "web/charts/app/Chart.yaml").contains("version: 1.0.0\n"), "as locked");
    assert!(charts.text(&first, "web/charts/base/Chart.yaml").contains("version: 0.3.0\n"));

    // A repository of the namespace with the same address lends its password.
    charts.server.protect("reader", "canary");
    let aliased = chart(&format!("- {{name: app, version: ^1, repository: {http}, alias: front}}\n"));
    charts.commit("bbbbbbbbbbbbbbbb", &[("web/Chart.yaml", &aliased)]);
    let refused = charts.reconcile(&changed(&first.object, &json!({"reconcileStrategy": "Revision"}))).await;
    let shown = condition(&refused.report.status.conditions, "BuildFailed");
    let expect = format!(
        "True DependencyBuildError dependency build error: failed to add remote dependency 'front': failed to get chart 'app' version '^1' from '{http}': failed to fetch {http}/index.yaml : 401"
    );
    assert!(shown.starts_with(&expect), "{shown}");
    charts.world.secret("login", &[("username", "reader"), ("password", "canary")]);
    let repository = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": "locked", "namespace": "default"},
        "spec": {"url": format!("{http}/"), "interval": "1h", "timeout": "10s", "secretRef": {"name": "login"}},
    });
    charts.world.put(
        "/helmrepositories",
        json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [repository]}),
    );
    let second = charts.reconcile(&refused.object).await;
    assert_eq!(second.report.status.artifact.as_ref().unwrap().revision, "0.1.0+bbbbbbbbbbbb");
    let dependency = charts.text(&second, "web/charts/front/Chart.yaml");
    assert!(dependency.contains("name: front\n") && dependency.contains("version: 1.2.0\n"), "{dependency}");
}

#[tokio::test]
async fn a_chart_of_a_registry_is_pulled() {
    let charts = Charts::new().await;
    let registry = ferrite_testkit::RegistryServer::start().await.unwrap();
    registry.protect("reader", "canary");
    let layer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    for version in ["1.0.0", "1.1.0+build", "2.0.0-rc.1"] {
        let tag = version.replace('+', "_");
        registry.push("charts/app", &tag, &[(layer, &package("app", version))], &[]);
    }
    let repository = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": "default"},
        "spec": {"url": registry.url("charts"), "type": "oci", "secretRef": {"name": "login"}},
    });
    charts.world.put("helmrepositories/charts", repository);
    charts.world.secret("login", &[("username", "reader"), ("password", "wrong")]);
    let refused = charts.reconcile(&charts.chart(&json!({}))).await;
    failed(&refused, "AuthenticationFailed", "failed to configure the client of the Helm repository");
    charts.world.secret("login", &[("username", "reader"), ("password", "canary")]);
    let after = charts.reconcile(&charts.chart(&json!({"version": "1.x"}))).await;
    let artifact = after.report.status.artifact.as_ref().unwrap();
    assert_eq!(artifact.revision, "1.1.0+build");
    assert_eq!(fs_err::read(charts.world.place(artifact)).unwrap(), package("app", "1.1.0+build"));
    assert_eq!(charts.reconcile(&after.object).await.report.status, after.report.status);
    let exact = charts.reconcile(&changed(&after.object, &json!({"version": "1.0.0"}))).await;
    assert_eq!(exact.report.status.artifact.as_ref().unwrap().revision, "1.0.0");
    let none = charts.reconcile(&changed(&after.object, &json!({"version": "9.0.0"}))).await;
    failed(&none, "ChartPullError", "chart pull error: failed to get chart version for remote reference: '");
}
