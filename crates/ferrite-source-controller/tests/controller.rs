//! The whole controller against an API server: objects in, artifacts out, across restarts and deletions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

use std::{path::Path, time::Duration};

use ferrite_api::source::GitRepository;
use ferrite_apiserver::ApiServer;
use ferrite_artifact::{FetchOptions, Fetcher};
use ferrite_runtime::{CancellationToken, Runtime};
use ferrite_source_controller::{Config, NAME, run};
use ferrite_testkit::{GitServer, HelmRepositoryServer, RegistryServer, wait_for};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::DynamicObject,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    client: Client,
    repositories: Api<GitRepository>,
    _server: ferrite_apiserver::Running,
}

impl Cluster {
    async fn start() -> Self {
        let server = ApiServer::builder().crds(ferrite_api::crds::ALL.iter().copied()).start().await.unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        Self { repositories: Api::namespaced(client.clone(), "default"), client, _server: server }
    }

    async fn create(&self, name: &str, url: &str, spec: &Value) {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": name},
            "spec": {"url": url, "interval": "1h", "timeout": "20s", "ref": {"branch": "main"}},
        });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
        let object = serde_json::from_value(object).unwrap();
        self.repositories.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn merge(&self, name: &str, patch: &Value) {
        self.repositories.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn ask(&self, name: &str, token: &str) {
        self.merge(name, &json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}))
            .await;
    }

    /// The object once it is as `wanted`.
    async fn until(&self, what: &str, name: &str, wanted: impl Fn(&GitRepository) -> bool) -> GitRepository {
        let look = async || self.repositories.get(name).await.ok().filter(&wanted);
        match wait_for(what, PATIENCE, look).await {
            Ok(object) => object,
            Err(error) => panic!("{error}; last state: {:#?}", self.repositories.get(name).await),
        }
    }

    async fn ready(&self, name: &str) -> GitRepository {
        self.until("it is ready", name, |object| {
            let status = object.status.as_ref();
            status.is_some_and(|status| {
                status.observed_generation == object.metadata.generation
                    && status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
            })
        })
        .await
    }
}

/// A controller that runs until it is stopped.
struct Controller {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), ferrite_source_controller::Error>>,
}

impl Controller {
    fn start(cluster: &Cluster, storage: &Path) -> Self {
        let shutdown = CancellationToken::new();
        let runtime = Runtime::new(NAME, cluster.client.clone(), shutdown.clone());
        let mut config = Config::new(storage);
        config.storage_addr = "127.0.0.1:0".to_owned();
        Self { shutdown, task: tokio::spawn(run(runtime, config)) }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_served_kept_over_a_restart_and_removed() {
    let cluster = Cluster::start().await;
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("deploy/app.yaml", "v: 1")]).unwrap();
    let storage = tempfile::tempdir().unwrap();
    let controller = Controller::start(&cluster, storage.path());
    cluster.create("app", &app.url(), &json!({})).await;

    let ready = cluster.ready("app").await;
    let artifact = ready.status.unwrap().artifact.unwrap();
    assert_eq!(artifact.revision, format!("main@sha1:{}", app.head().unwrap()));
    assert_eq!(ready.metadata.finalizers.unwrap(), ["finalizers.fluxcd.io"]);
    let fetcher = Fetcher::new(FetchOptions::default()).unwrap();
    let size = artifact.size.and_then(|size| u64::try_from(size).ok());
    let tree = fetcher.fetch(&artifact.url, &artifact.digest, size).await.unwrap();
    assert_eq!(tree.files().next().unwrap(), ("deploy/app.yaml", &b"v: 1"[..], false));

    // A restart on the same volume: another port, the same file, no pack.
    controller.stop().await;
    let before = git.traffic();
    let controller = Controller::start(&cluster, storage.path());
    let moved = cluster.until("the new address is told", "app", |object| {
        object.status.as_ref().and_then(|s| s.artifact.as_ref()).is_some_and(|a| a.url != artifact.url)
    });
    let after_restart = moved.await.status.unwrap().artifact.unwrap();
    assert_eq!(
        (&after_restart.digest, after_restart.last_update_time),
        (&artifact.digest, artifact.last_update_time)
    );
    assert!(git.traffic().requests - before.requests <= 3, "one poll: {before:?} {:?}", git.traffic());
    assert!(fetcher.fetch(&after_restart.url, &artifact.digest, size).await.is_ok());

    // A push, asked for by a person.
    let head = app.commit("second", &[("deploy/app.yaml", "v: 2")]).unwrap();
    cluster.ask("app", "now").await;
    let pushed = cluster.until("the push is stored", "app", |object| {
        let status = object.status.as_ref();
        status.is_some_and(|status| {
            status.artifact.as_ref().is_some_and(|artifact| artifact.revision.ends_with(&head))
                && status.last_handled_reconcile_at.as_deref() == Some("now")
        })
    });
    assert_eq!(pushed.await.status.unwrap().conditions.len(), 2);

    // Suspended: nothing is written; resumed: it goes on.
    cluster.merge("app", &json!({"spec": {"suspend": true}})).await;
    let third = app.commit("third", &[("deploy/app.yaml", "v: 3")]).unwrap();
    cluster.ask("app", "later").await;
    let handled = cluster.until("the request is handled", "app", |object| {
        object.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some("later")
    });
    let suspended = handled.await.status.unwrap().artifact.unwrap();
    assert!(suspended.revision.ends_with(&head), "{}", suspended.revision);
    cluster.merge("app", &json!({"spec": {"suspend": false}})).await;
    let resumed = cluster.until("it goes on", "app", |object| {
        object.status.as_ref().and_then(|s| s.artifact.as_ref()).is_some_and(|a| a.revision.ends_with(&third))
    });
    assert!(resumed.await.status.is_some());

    // Deleted: the directory goes, then the object.
    let directory = storage.path().join("gitrepository/default/app");
    assert!(directory.exists());
    cluster.repositories.delete("app", &DeleteParams::default()).await.unwrap();
    let gone = async || cluster.repositories.get_opt("app").await.unwrap().is_none().then_some(());
    wait_for("the object is gone", PATIENCE, gone).await.unwrap();
    assert!(!directory.exists());
    controller.stop().await;
}

/// The other kinds through the real driver and their CRDs: what is stored can be fetched.
#[tokio::test(flavor = "multi_thread")]
async fn charts_and_oci_artifacts_are_served() {
    let cluster = Cluster::start().await;
    let registry = RegistryServer::start().await.unwrap();
    let charts = HelmRepositoryServer::start().await.unwrap();
    let archive = archive_of(&[("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.2.3\n")]);
    charts.put("/app-1.2.3.tgz", archive.clone());
    let entry = "{name: app, version: 1.2.3, apiVersion: v2, urls: [app-1.2.3.tgz]}";
    charts.put("/index.yaml", format!("apiVersion: v1\nentries:\n  app:\n  - {entry}\n"));
    let layer = "application/vnd.cncf.flux.content.v1.tar+gzip";
    registry.push("org/app", "latest", &[(layer, &archive)], &[]);
    let storage = tempfile::tempdir().unwrap();
    let controller = Controller::start(&cluster, storage.path());

    let object = |kind: &str, spec: Value| json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": {"name": "app"}, "spec": spec});
    let source = json!({"kind": "HelmRepository", "name": "app"});
    for (kind, plural, spec) in [
        ("OCIRepository", "ocirepositories", json!({"url": registry.url("org/app"), "interval": "1h"})),
        ("HelmChart", "helmcharts", json!({"chart": "app", "interval": "1h", "sourceRef": source})),
        ("HelmRepository", "helmrepositories", json!({"url": charts.url(), "interval": "1h"})),
    ] {
        let version = kube::core::GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind);
        let resource = kube::core::ApiResource::from_gvk_with_plural(&version, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), "default", &resource);
        let object = serde_json::from_value(object(kind, spec)).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
        if kind == "HelmChart" {
            continue; // It waits for its repository, which comes next.
        }
        let artifact = ready_artifact(&api).await;
        let fetcher = Fetcher::new(FetchOptions::default()).unwrap();
        if kind == "OCIRepository" {
            let tree =
                fetcher.fetch(&text(&artifact, "url"), &text(&artifact, "digest"), None).await.unwrap();
            assert_eq!(tree.files().next().unwrap().0, "app/Chart.yaml");
        }
        if kind == "HelmRepository" {
            let version = kube::core::GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "HelmChart");
            let resource = kube::core::ApiResource::from_gvk_with_plural(&version, "helmcharts");
            let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), "default", &resource);
            let chart = ready_artifact(&api).await;
            assert_eq!(text(&chart, "revision"), "1.2.3");
            let tree = fetcher.fetch(&text(&chart, "url"), &text(&chart, "digest"), None).await.unwrap();
            assert_eq!(tree.files().count(), 1);
        }
    }
    controller.stop().await;
}

/// The artifact of the object `app` once it is ready.
async fn ready_artifact(api: &Api<DynamicObject>) -> Value {
    let look = async || {
        let object = api.get("app").await.ok()?;
        let conditions = object.data["status"]["conditions"].as_array()?;
        let ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        ready.then(|| object.data["status"]["artifact"].clone())
    };
    match wait_for("it is ready", PATIENCE, look).await {
        Ok(artifact) => artifact,
        Err(error) => panic!("{error}; last state: {:#?}", api.get("app").await),
    }
}

fn text(artifact: &Value, key: &str) -> String {
    artifact[key].as_str().unwrap().to_owned()
}

fn archive_of(files: &[(&str, &'static str)]) -> Vec<u8> {
    use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
    let items = files.iter().map(|(path, content)| Item {
        path: (*path).to_owned(),
        kind: ItemKind::File { executable: false },
        content: *content,
    });
    let mut out = Vec::new();
    let read = |content: &&'static str| Ok::<_, std::io::Error>(content.as_bytes().to_vec());
    archive(items.collect(), &Rules::none(), Bounds::default(), read, &mut out).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_keeps_nobody_else_from_work() {
    let cluster = Cluster::start().await;
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("app.yaml", "v: 1")]).unwrap();
    // Accepts connections and never answers.
    let tarpit = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/x", tarpit.local_addr().unwrap());
    for number in 0..8 {
        cluster.create(&format!("silent-{number}"), &silent, &json!({"timeout": "40s"})).await;
    }
    let storage = tempfile::tempdir().unwrap();
    let controller = Controller::start(&cluster, storage.path());
    cluster.create("app", &app.url(), &json!({})).await;
    let started = tokio::time::Instant::now();
    cluster.ready("app").await;
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "two workers, eight silent hosts: {:?}",
        started.elapsed()
    );
    controller.stop().await;
}
