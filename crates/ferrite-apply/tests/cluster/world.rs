//! An API server, a client that counts, and short spellings of objects.

use std::{future::Future, sync::Arc, time::Duration};

use ferrite_apiserver::{ApiServer, Running};
use ferrite_apply::{Applier, ApplyError, ApplyOptions, Cluster, Done};
use ferrite_resource::{Entry, Owner, prepare};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

/// Requests that were sent, as `GET /path?query`.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<std::sync::Mutex<Vec<String>>>);

impl Requests {
    /// The requests about objects since the last time; discovery and watches are left out.
    pub(crate) fn take(&self) -> Vec<String> {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        all.into_iter().filter(|line| line.matches('/').count() > 3 && !line.contains("watch=true")).collect()
    }
}

pub(crate) struct World {
    pub(crate) server: Running,
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
    pub(crate) requests: Requests,
}

pub(crate) fn owner() -> Owner {
    Owner::new("app", "flux-system")
}

pub(crate) async fn world() -> World {
    world_with(true).await
}

pub(crate) async fn world_with(workloads: bool) -> World {
    // Another test of this process may have been first.
    let _again = rustls::crypto::ring::default_provider().install_default();
    let server = ApiServer::builder().workloads(workloads).start().await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let requests = Requests::default();
    let client = counting(&config, &requests);
    World { server, cluster: Cluster::new(client.clone()), client, config, requests }
}

pub(crate) fn counting(config: &Config, requests: &Requests) -> Client {
    let requests = requests.clone();
    let layer = tower::layer::layer_fn(move |service| {
        let requests = requests.clone();
        tower::util::MapRequest::new(service, move |request: http::Request<kube::client::Body>| {
            requests.0.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            request
        })
    });
    ClientBuilder::try_from(config.clone()).unwrap().with_layer(&layer).build()
}

impl World {
    pub(crate) async fn apply(&self, objects: Vec<Value>) -> Result<Done, ApplyError> {
        self.apply_with(objects, ApplyOptions::default()).await
    }

    pub(crate) async fn apply_with(
        &self,
        objects: Vec<Value>,
        options: ApplyOptions,
    ) -> Result<Done, ApplyError> {
        let mut done = Done::default();
        let objects = objects.into_iter().map(prepared).collect();
        Applier::new(&self.cluster, options).apply(objects, &mut done).await?;
        Ok(done)
    }

    /// Applies what must not fail; what was done, one object a line.
    #[track_caller]
    pub(crate) fn applied(&self, objects: Vec<Value>) -> impl Future<Output = String> + '_ {
        let at = std::panic::Location::caller();
        async move {
            match self.apply(objects).await {
                Ok(done) => done.changes.to_string(),
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        match self.client.request::<Value>(request).await {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.is_not_found() => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// A merge patch by somebody else.
    pub(crate) async fn edit(&self, path: &str, manager: &str, patch: &Value) -> Value {
        let request = http::Request::patch(format!("{path}?fieldManager={manager}"))
            .header("content-type", "application/merge-patch+json")
            .body(serde_json::to_vec(patch).unwrap())
            .unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let request = http::Request::delete(path).body(Vec::new()).unwrap();
        let _status: Value = self.client.request(request).await.unwrap();
    }
}

pub(crate) fn prepared(mut object: Value) -> Value {
    prepare(&mut object, &owner(), None);
    object
}

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data})
}

pub(crate) fn deployment(name: &str, replicas: u32, annotations: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": "example.org/app:1", "resources": {"limits": {"cpu": "1000m"}}}]}}}})
}

pub(crate) fn crd(plural: &str, kind: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.org")},
        "spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

pub(crate) fn entry(object: &Value) -> Entry {
    Entry::of(object).unwrap()
}

/// Waits until a condition holds, at most 20 s.
#[track_caller]
pub(crate) fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let held = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), held).await.is_ok(), "{at}: not within 20 s");
    }
}
