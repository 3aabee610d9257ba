//! Whole reconciles of HelmRepositories against a real server of files.

use ferrite_api::source::HelmRepository;
use ferrite_runtime::Requeue;
use ferrite_testkit::HelmRepositoryServer;
use serde_json::{Value, json};

use super::HelmRepositories;
use crate::world::{self, After, World, asked, changed, condition};

const INDEX: &str = "apiVersion: v1\nentries:\n  app:\n  - {name: app, version: 1.0.0, apiVersion: v2, urls: [app-1.0.0.tgz]}\n";
/// `sha256sum` of INDEX.
const REVISION: &str = "sha256:40d974180767407c95f5e5641389dd4edf6cea1d0628b2b279b70c5e234a1c08";

struct Charts {
    server: HelmRepositoryServer,
    world: World,
    reconciler: HelmRepositories,
}

impl Charts {
    async fn new() -> Self {
        let (server, world) = (HelmRepositoryServer::start().await.unwrap(), World::new());
        let reconciler = HelmRepositories::new(world.context("http://storage.test"));
        server.put("/index.yaml", INDEX);
        Self { server, world, reconciler }
    }

    fn repository(&self, spec: &Value) -> HelmRepository {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": "charts", "namespace": "default", "generation": 1},
            "spec": {"url": self.server.url(), "interval": "1h", "timeout": "10s"},
            "status": {"observedGeneration": -1},
        });
        world::merge(&mut object["spec"], spec);
        serde_json::from_value(object).unwrap()
    }

    async fn reconcile(&self, object: &HelmRepository) -> After<HelmRepositories> {
        world::reconcile(&self.reconciler, &self.reconciler.context, object).await
    }
}

#[track_caller]
fn failed(after: &After<HelmRepositories>, reason: &str, message: &str) {
    let shown = condition(&after.report.status.conditions, "Ready");
    assert!(shown.starts_with(&format!("False {reason} {message}")), "{shown}");
    let fetch_failed = condition(&after.report.status.conditions, "FetchFailed");
    assert_eq!(fetch_failed, shown.replacen("False", "True", 1));
}

#[tokio::test]
async fn an_index_becomes_an_artifact_and_is_kept() {
    let charts = Charts::new().await;
    let first = charts.reconcile(&charts.repository(&json!({}))).await;
    let status = &first.report.status;
    let artifact = status.artifact.as_ref().unwrap();
    let hex = REVISION.strip_prefix("sha256:").unwrap();
    assert_eq!(artifact.revision, REVISION);
    assert_eq!(artifact.path, format!("helmrepository/default/charts/index-{hex}.yaml"));
    assert_ne!(artifact.digest, artifact.revision, "what is stored is not what was downloaded");
    assert_eq!(status.url.as_deref(), Some("http://storage.test/helmrepository/default/charts/index.yaml"));
    let stored = fs_err::read_to_string(charts.world.place(artifact)).unwrap();
    assert!(stored.starts_with("{\n  \"apiVersion\": \"v1\""), "{stored}");
    let link = charts.world.place(artifact).with_file_name("index.yaml");
    assert_eq!(fs_err::read_to_string(link).unwrap(), stored);
    let ready = format!("True Succeeded stored artifact: revision '{REVISION}'");
    assert_eq!(condition(&status.conditions, "Ready"), ready);
    assert_eq!(status.conditions.len(), 2);
    let told = format!(
        "Info NewArtifact stored fetched index of size {}B from '{}'",
        artifact.size.unwrap(),
        charts.server.url()
    );
    assert_eq!(first.events(), [told]);

    let second = charts.reconcile(&first.object).await;
    assert_eq!(second.report.status, first.report.status);
    assert_eq!(second.events(), [""; 0]);

    assert_eq!(charts.server.sent(), 1, "the server said that the index is the same");

    charts.server.put("/index.yaml", format!("{INDEX}# more\n"));
    let third = charts.reconcile(&asked(&second.object)).await;
    let moved = third.report.status.artifact.as_ref().unwrap();
    assert_ne!(moved.revision, artifact.revision);
    assert_eq!(moved.digest, artifact.digest);
    assert_eq!(third.events(), [""; 0], "consumers would read the same");
    assert_eq!(charts.world.stored("helmrepository/default/charts").len(), 3, "two indexes and the link");
}

#[tokio::test]
async fn addresses_are_normalised_and_keep_their_query() {
    let charts = Charts::new().await;
    charts.server.put("/stable/index.yaml", INDEX);
    let url = format!("{}/stable///?token=x", charts.server.url());
    let after = charts.reconcile(&charts.repository(&json!({"url": url}))).await;
    assert!(after.report.status.artifact.is_some());
    assert_eq!(charts.server.asked(), [("/stable/index.yaml?token=x".to_owned(), false)]);
}

#[tokio::test]
async fn credentials_come_from_the_secret() {
    let charts = Charts::new().await;
    charts.server.protect("reader", "canary");
    let object = charts.repository(&json!({"secretRef": {"name": "charts"}}));
    failed(&charts.reconcile(&object).await, "AuthenticationFailed", "failed to get secret 'default/charts'");
    charts.world.secret("charts", &[("username", "reader"), ("password", "wrong")]);
    let wrong = charts.reconcile(&object).await;
    let url = charts.server.url();
    let message =
        format!("failed to fetch Helm repository index: failed to fetch {url}/index.yaml : 401 Unauthorized");
    failed(&wrong, "Failed", &message);
    charts.world.secret("charts", &[("username", "reader"), ("password", "canary")]);
    let right = charts.reconcile(&object).await;
    assert!(right.report.status.artifact.is_some());
    assert!(!format!("{:?} {:?}", right.report, wrong.report).contains("canary"));
}

#[tokio::test]
async fn what_cannot_be_used_is_told_and_keeps_the_last_index() {
    let charts = Charts::new().await;
    let good = charts.reconcile(&charts.repository(&json!({}))).await;
    for (index, message) in [
        ("", "failed to load Helm repository from index YAML: empty index.yaml file"),
        ("entries: {}", "failed to load Helm repository from index YAML: no API version specified"),
        ("apiVersion: [", "failed to load Helm repository from index YAML: failed to parse the index"),
    ] {
        charts.server.put("/index.yaml", index);
        let after = charts.reconcile(&asked(&good.object)).await;
        failed(&after, "IndexationFailed", message);
        assert_eq!(after.report.requeue, Requeue::Backoff);
        assert_eq!(after.report.status.artifact, good.report.status.artifact);
    }
    let away = charts.reconcile(&changed(&good.object, &json!({"url": "http://127.0.0.1:1"}))).await;
    failed(
        &away,
        "Failed",
        "failed to fetch Helm repository index: failed to fetch http://127.0.0.1:1/index.yaml",
    );
    let oci = charts.reconcile(&changed(&good.object, &json!({"url": "oci://host/charts"}))).await;
    let message =
        "invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type";
    failed(&oci, "URLInvalid", message);
    assert_eq!(oci.report.requeue, Requeue::Never);
}

#[tokio::test]
async fn an_index_past_the_bound_is_not_read() {
    let charts = Charts::new().await;
    let large = vec![b'#'; (50 << 20) + 1];
    charts.server.put("/index.yaml", large);
    let after = charts.reconcile(&charts.repository(&json!({}))).await;
    failed(&after, "Failed", "failed to fetch Helm repository index: failed to fetch http://127.0.0.1");
    assert!(condition(&after.report.status.conditions, "Ready").contains("larger than 52428800 bytes"));
}

#[tokio::test]
async fn type_oci_gets_no_status_and_loses_the_one_it_had() {
    let charts = Charts::new().await;
    let spec = json!({"type": "oci", "url": "oci://host/charts"});
    let fresh = charts.repository(&spec);
    let after = charts.reconcile(&fresh).await;
    assert_eq!(Some(&after.report.status), fresh.status.as_ref());
    assert_eq!((after.report.requeue, after.events().len()), (Requeue::Never, 0));
    let before = charts.reconcile(&charts.repository(&json!({}))).await;
    let migrated = charts.reconcile(&changed(&before.object, &spec)).await;
    assert_eq!(migrated.report.status, Default::default());
}
