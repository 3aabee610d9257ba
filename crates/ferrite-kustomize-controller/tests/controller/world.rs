//! An API server, an artifact server, the controller, and short ways to use them.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use ferrite_apiserver::{ApiServer, Running};
use ferrite_artifact::{
    Algorithm, Bounds, DiskStore, Item, ItemKind, ObjectDirectory, Rules, Store, archive,
};
use ferrite_kustomize_controller::{Config, Error, NAME, run};
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
    controller: Option<Controller>,
    /// The requests of the controller, by method and kind of path.
    pub(crate) requests: Arc<Mutex<BTreeMap<String, u32>>>,
    _directory: tempfile::TempDir,
}

struct Controller {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::without(config, "nothing").await
    }

    /// Without the definition of this name.
    pub(crate) async fn without(config: Config, undefined: &str) -> Self {
        let crds = ferrite_api::crds::ALL.iter().copied().filter(|text| !is_named(text, undefined));
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
        let mut world = Self {
            client,
            server,
            store,
            artifacts,
            controller: None,
            requests: Arc::default(),
            _directory: directory,
        };
        world.start_controller(config);
        world
    }

    /// Returns once the controller has sent so many more requests.
    pub(crate) async fn further_requests(&self, count: u32) {
        let total = || self.requests.lock().unwrap().values().sum::<u32>();
        let wanted = total() + count;
        wait_for("the controller asks", PATIENCE, async || (total() >= wanted).then_some(())).await.unwrap();
    }

    pub(crate) fn faults(&self) -> &ferrite_apiserver::Faults {
        self.server.faults()
    }

    pub(crate) fn kubeconfig(&self) -> String {
        self.server.kubeconfig()
    }

    pub(crate) fn start_controller(&mut self, config: Config) {
        let shutdown = CancellationToken::new();
        let runtime =
            Runtime::new(NAME, counting(self.client.clone(), Arc::clone(&self.requests)), shutdown.clone());
        self.controller = Some(Controller { shutdown, task: tokio::spawn(run(runtime, config)) });
    }

    pub(crate) async fn stop_controller(&mut self) {
        let controller = self.controller.take().unwrap();
        controller.shutdown.cancel();
        tokio::time::timeout(PATIENCE, controller.task).await.unwrap().unwrap().unwrap();
    }

    /// Stores files as the artifact of GitRepository `name` with the revision `main@sha1:<tag>`.
    pub(crate) async fn push(&self, name: &str, tag: &str, files: &[(&str, &str)]) -> String {
        let spec = json!({"url": "https://example.com/x", "interval": "1h"});
        self.push_as("GitRepository", spec, name, tag, files).await
    }

    /// As [`World::push`], of another kind.
    pub(crate) async fn push_as(
        &self,
        kind: &str,
        spec: Value,
        name: &str,
        tag: &str,
        files: &[(&str, &str)],
    ) -> String {
        let items: Vec<_> = files
            .iter()
            .map(|(path, text)| Item {
                path: (*path).to_owned(),
                kind: ItemKind::File { executable: false },
                content: (*text).to_owned(),
            })
            .collect();
        let mut bytes = Vec::new();
        let read = |text: &String| Ok::<_, std::io::Error>(text.as_bytes().to_vec());
        archive(items, &Rules::none(), Bounds::default(), read, &mut bytes).unwrap();
        let directory = ObjectDirectory::new(kind, "default", name).unwrap();
        let mut pending = self.store.create(&directory, &format!("{tag}.tar.gz")).unwrap();
        pending.write_all(&bytes).unwrap();
        let stored = pending.commit().unwrap();
        let revision = format!("main@sha1:{tag}");
        self.apply(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
        .await;
        let status = json!({"status": {"artifact": {
            "path": stored.path, "url": format!("{}/{}", self.artifacts, stored.path), "revision": revision,
            "digest": stored.digest.to_string(), "size": stored.size, "lastUpdateTime": "2026-01-01T00:00:00Z",
        }}});
        let api = self.api(kind);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        revision
    }

    pub(crate) async fn kustomization(&self, name: &str, source: &str, spec: Value) {
        let mut object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": name},
            "spec": {
                "interval": "1h", "retryInterval": "1h", "timeout": "30s", "prune": true, "targetNamespace": "default",
                "sourceRef": {"kind": "GitRepository", "name": source},
            },
        });
        let Value::Object(fields) = spec else { panic!("a spec is an object") };
        object["spec"].as_object_mut().unwrap().extend(fields);
        self.apply(object).await;
    }

    pub(crate) async fn apply(&self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let (kind, name) = (object.types.clone().unwrap().kind, object.metadata.name.clone().unwrap());
        let params = PatchParams::apply("test").force();
        self.api(&kind).patch(&name, &params, &Patch::Apply(&object)).await.unwrap();
    }

    /// Applies the definition of this name, and waits until its kind is served.
    pub(crate) async fn define(&self, name: &str) {
        let text = ferrite_api::crds::ALL.iter().find(|text| is_named(text, name)).unwrap();
        self.apply(ferrite_api::crds::parse(text).unwrap()).await;
        let (plural, group) = name.split_once('.').unwrap();
        let group_version = format!("{group}/v1");
        let served = async || {
            let list = self.client.list_api_group_resources(&group_version).await.ok()?;
            list.resources.iter().any(|resource| resource.name == plural).then_some(())
        };
        wait_for(&format!("{name} is served"), PATIENCE, served).await.unwrap();
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
        let id = format!("Kustomization/{name}");
        self.until("it is ready", &id, |o| {
            condition(o, "Ready")["status"] == "True"
                && o["status"]["observedGeneration"] == o["metadata"]["generation"]
                && condition(o, "Ready")["observedGeneration"] == o["metadata"]["generation"]
        })
        .await
    }

    pub(crate) async fn applied(&self, name: &str, revision: &str) -> Value {
        let id = format!("Kustomization/{name}");
        self.until("the revision is applied", &id, |o| {
            o["status"]["lastAppliedRevision"] == revision && condition(o, "Ready")["status"] == "True"
        })
        .await
    }

    /// The Kustomization once it has failed for this reason.
    pub(crate) async fn failed(&self, name: &str, reason: &str) -> Value {
        let id = format!("Kustomization/{name}");
        self.until("it has failed", &id, |o| {
            condition(o, "Ready")["status"] == "False" && condition(o, "Ready")["reason"] == reason
        })
        .await
    }

    /// Reason and message of the events about `Kustomization/name`, once one of them is as `wanted`.
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
            "Kustomization" => ("kustomize.toolkit.fluxcd.io", "v1"),
            "GitRepository" | "Bucket" => ("source.toolkit.fluxcd.io", "v1"),
            "Deployment" => ("apps", "v1"),
            "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1"),
            "RoleBinding" | "Role" | "ClusterRole" => ("rbac.authorization.k8s.io", "v1"),
            _ => ("", "v1"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match kind {
            "ClusterRole" | "CustomResourceDefinition" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), "default", &resource),
        }
    }
}

fn is_named(crd: &str, name: &str) -> bool {
    crd.contains(&format!("\n  name: {name}\n"))
}

/// A client that counts its requests.
fn counting(client: Client, counts: Arc<Mutex<BTreeMap<String, u32>>>) -> Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (method, uri) = (request.method(), request.uri());
        let watch = uri.query().is_some_and(|query| query.contains("watch="));
        let dry = uri.query().is_some_and(|query| query.contains("dryRun="));
        // Names and namespaces are left out: they follow `namespaces` or a resource.
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let at = parts
            .iter()
            .position(|part| *part == "namespaces")
            .map_or(if parts.first() == Some(&"api") { 2 } else { 3 }, |at| at + 2);
        let resource = parts.get(at).copied().unwrap_or_default();
        let sub = parts.get(at + 2).copied().unwrap_or_default();
        let verb = if watch {
            "WATCH"
        } else if dry {
            "DRY"
        } else {
            method.as_str()
        };
        *counts.lock().unwrap().entry(format!("{verb} {resource}/{sub}")).or_default() += 1;
        let client = client.clone();
        async move {
            let response: Result<http::Response<kube::client::Body>, kube::Error> =
                client.send(request).await;
            response
        }
    });
    Client::new(service, "default")
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let list = object["status"]["conditions"].as_array();
    list.and_then(|list| list.iter().find(|condition| condition["type"] == kind)).unwrap_or(&Value::Null)
}

pub(crate) fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind)["message"].as_str().unwrap_or_default()
}

pub(crate) fn inventory(object: &Value) -> Vec<&str> {
    let entries = object["status"]["inventory"]["entries"].as_array();
    entries.into_iter().flatten().filter_map(|entry| entry["id"].as_str()).collect()
}

pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n")
}

pub(crate) fn deployment(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  annotations: {annotations}\nspec:\n  \
         replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: app, image: example}}]}}\n"
    )
}
