//! An API server, an artifact server, the controller, and short ways to use them.

use std::{io::Write as _, time::Duration};

use ferrite_apiserver::{ApiServer, Running};
use ferrite_artifact::{
    Algorithm, Bounds, DiskStore, Item, ItemKind, ObjectDirectory, Rules, Store, archive,
};
use ferrite_helm_controller::{Config, Error, NAME, run};
use ferrite_runtime::{CancellationToken, Runtime};
use ferrite_testkit::wait_for;
use kube::{
    Client,
    api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything a test needs; ends with the value.
pub(crate) struct World {
    pub(crate) client: Client,
    server: Running,
    store: DiskStore,
    artifacts: String,
    _controller: JoinHandle<Result<(), Error>>,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let crds = ferrite_api::crds::ALL.iter().copied();
        let server = ApiServer::builder().crds(crds).workloads(true).start().await.unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config_of_server = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = Client::try_from(config_of_server).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path(), Algorithm::Sha256).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let artifacts = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(ferrite_artifact::serve(listener, store.clone(), std::future::pending()));
        let runtime = Runtime::new(NAME, client.clone(), CancellationToken::new());
        let controller = tokio::spawn(run(runtime, config));
        Self { client, server, store, artifacts, _controller: controller, _directory: directory }
    }

    /// Stores the chart `web` of this version as the artifact of HelmChart `name`.
    pub(crate) async fn chart(&self, name: &str, version: &str, files: &[(&str, &str)]) {
        self.artifact("HelmChart", name, version, version, files).await;
    }

    /// Stores the chart `web` of this version as the artifact of a source, as this revision.
    pub(crate) async fn artifact(
        &self,
        kind: &str,
        name: &str,
        version: &str,
        revision: &str,
        files: &[(&str, &str)],
    ) {
        let head = format!("apiVersion: v2\nname: web\nversion: {version}\nappVersion: '9'\n");
        let all = [("Chart.yaml", head.as_str())].into_iter().chain(files.iter().copied());
        let items: Vec<_> = all
            .map(|(path, text)| Item {
                path: format!("web/{path}"),
                kind: ItemKind::File { executable: false },
                content: text.to_owned(),
            })
            .collect();
        let mut bytes = Vec::new();
        let read = |text: &String| Ok::<_, std::io::Error>(text.as_bytes().to_vec());
        archive(items, &Rules::none(), Bounds::default(), read, &mut bytes).unwrap();
        let directory = ObjectDirectory::new(kind, "default", name).unwrap();
        let file = revision.replace([':', '@'], "-");
        let mut pending = self.store.create(&directory, &format!("web-{file}.tgz")).unwrap();
        pending.write_all(&bytes).unwrap();
        let stored = pending.commit().unwrap();
        let generation = self.get(&format!("{kind}/{name}")).await["metadata"]["generation"].clone();
        let mut status = json!({"status": {"artifact": {
            "path": stored.path, "url": format!("{}/{}", self.artifacts, stored.path), "revision": revision,
            "digest": stored.digest.to_string(), "size": stored.size, "lastUpdateTime": "2026-01-01T00:00:00Z",
        }}});
        if kind != "ExternalArtifact" {
            status["status"]["observedGeneration"] = generation;
        }
        let api = self.api(kind);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }

    /// A HelmRelease `name` of chart `web` in a HelmRepository.
    pub(crate) async fn release(&self, name: &str, spec: Value) {
        let mut object = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": name},
            "spec": {"interval": "1h", "timeout": "30s", "chart": {"spec": {
                "chart": "web", "version": "1.x", "sourceRef": {"kind": "HelmRepository", "name": "repo"},
            }}},
        });
        let Value::Object(fields) = spec else { panic!("a spec is an object") };
        object["spec"].as_object_mut().unwrap().extend(fields);
        self.apply(object).await;
    }

    /// The record of a revision of a release.
    pub(crate) async fn record(&self, name: &str, version: u32) -> (Value, ferrite_helm::Release) {
        let secret = self.get(&format!("Secret/sh.helm.release.v1.{name}.v{version}")).await;
        let data: k8s_openapi::ByteString =
            serde_json::from_value(secret["data"]["release"].clone()).unwrap();
        let release = ferrite_helm::Release::decode(&String::from_utf8(data.0).unwrap()).unwrap();
        (secret, release)
    }

    pub(crate) async fn apply(&self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let (kind, name) = (object.types.clone().unwrap().kind, object.metadata.name.clone().unwrap());
        let params = PatchParams::apply("test").force();
        self.api(&kind).patch(&name, &params, &Patch::Apply(&object)).await.unwrap();
    }

    /// Applies an object in another version than its kind is stored in.
    pub(crate) async fn apply_as(&self, api_version: &str, object: Value) {
        let (group, version) = api_version.split_once('/').unwrap();
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let (kind, name) = (object.types.clone().unwrap().kind, object.metadata.name.clone().unwrap());
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), "default", &resource);
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.unwrap();
    }

    pub(crate) async fn merge(&self, id: &str, patch: Value) {
        let (kind, name) = id.split_once('/').unwrap();
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        self.api(kind).patch(name, &params, &Patch::Merge(&patch)).await.unwrap();
    }

    pub(crate) async fn ask(&self, id: &str, token: &str) {
        self.merge(id, json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}))
            .await;
        self.until("the request is handled", id, |o| o["status"]["lastHandledReconcileAt"] == token).await;
    }

    pub(crate) async fn delete(&self, id: &str) {
        let (kind, name) = id.split_once('/').unwrap();
        self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn find(&self, id: &str) -> Option<Value> {
        let (kind, name) = id.split_once('/').unwrap();
        let found = self.api(kind).get_opt(name).await.unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    /// As [`Self::find`], where requests may fail.
    pub(crate) async fn try_find(&self, id: &str) -> Option<Value> {
        let (kind, name) = id.split_once('/').unwrap();
        let found = self.api(kind).get_opt(name).await.ok().flatten();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) fn faults(&self) -> &ferrite_apiserver::Faults {
        self.server.faults()
    }

    pub(crate) async fn get(&self, id: &str) -> Value {
        self.find(id).await.unwrap_or_else(|| panic!("{id} does not exist"))
    }

    pub(crate) async fn gone(&self, id: &str) {
        wait_for(&format!("{id} is gone"), PATIENCE, async || self.find(id).await.is_none().then_some(()))
            .await
            .unwrap();
    }

    /// The object once it is as `wanted`.
    pub(crate) async fn until(&self, what: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let look = async || self.find(id).await.filter(&wanted);
        match wait_for(&format!("{id}: {what}"), PATIENCE, look).await {
            Ok(object) => object,
            Err(error) => panic!("{error}; last state: {:#}", self.find(id).await.unwrap_or_default()),
        }
    }

    pub(crate) async fn ready(&self, name: &str) -> Value {
        let id = format!("HelmRelease/{name}");
        self.until("it is ready", &id, |o| {
            condition(o, "Ready")["status"] == "True"
                && o["status"]["observedGeneration"] == o["metadata"]["generation"]
                && condition(o, "Ready")["observedGeneration"] == o["metadata"]["generation"]
        })
        .await
    }

    /// The HelmRelease once it has failed for this reason.
    pub(crate) async fn failed(&self, name: &str, reason: &str) -> Value {
        let id = format!("HelmRelease/{name}");
        self.until("it has failed", &id, |o| {
            condition(o, "Ready")["status"] == "False" && condition(o, "Ready")["reason"] == reason
        })
        .await
    }

    /// Reason and message of the events about `HelmRelease/name`, once one of them is as `wanted`.
    pub(crate) async fn event(
        &self,
        name: &str,
        wanted: impl Fn(&str, &str) -> bool,
    ) -> Vec<(String, String)> {
        let look = async || {
            let list = self.api("Event").list(&kube::api::ListParams::default()).await.unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let events: Vec<(String, String)> = list
                .items
                .iter()
                .filter(|e| e.data["involvedObject"]["name"] == name)
                .map(|e| (text(&e.data["reason"]), text(&e.data["message"])))
                .collect();
            events.iter().any(|(reason, message)| wanted(reason, message)).then_some(events)
        };
        wait_for(&format!("an event about {name}"), PATIENCE, look).await.unwrap()
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version) = match kind {
            "HelmRelease" => ("helm.toolkit.fluxcd.io", "v2"),
            "HelmChart" | "HelmRepository" | "OCIRepository" | "ExternalArtifact" => {
                ("source.toolkit.fluxcd.io", "v1")
            }
            "RoleBinding" | "Role" => ("rbac.authorization.k8s.io", "v1"),
            "Deployment" => ("apps", "v1"),
            "Job" => ("batch", "v1"),
            _ => ("", "v1"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), "default", &resource)
    }
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let list = object["status"]["conditions"].as_array();
    list.and_then(|list| list.iter().find(|condition| condition["type"] == kind)).unwrap_or(&Value::Null)
}

pub(crate) fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind)["message"].as_str().unwrap_or_default()
}
