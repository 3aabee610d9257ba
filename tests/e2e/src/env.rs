//! What a test sees of the world: a namespace, objects in it, repositories, and bounded waits.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::discovery::Scope;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::cluster::{self, Cluster};
use crate::repository::Repository;

/// How long any wait may take; generous, because a loaded machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// One test's namespace and the means to act on it.
pub struct Env {
    /// The admin client.
    pub client: Client,
    /// The namespace of this test; objects without one are put here.
    pub namespace: String,
    cluster: &'static Cluster,
}

/// Runs `test` in a namespace of its own; prints what is in it when the test fails.
///
/// # Panics
///
/// With the test's own panic, or when the cluster cannot be started.
pub fn with_namespace<F, T>(test: F)
where
    F: FnOnce(Env) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster::shared();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let namespace = format!("e2e-{}-{number}", cluster.run_id);
    let outcome = cluster.runtime.block_on(async {
        let client = cluster.client.clone();
        let env = Env { client: client.clone(), namespace: namespace.clone(), cluster };
        env.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        let dump = Env { client, namespace: namespace.clone(), cluster };
        let outcome = std::panic::AssertUnwindSafe(test(env)).catch_unwind().await;
        if outcome.is_err() {
            dump.print().await;
        }
        dump.remove().await;
        outcome
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Env {
    /// A repository for this test that holds `files`, or nothing at all when there are none.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub async fn repository(&self, name: &str, files: &[(&str, &str)]) -> Repository {
        let made = self.cluster.git.repository(&format!("{}-{name}", self.namespace), files);
        Repository(made.expect("a repository"))
    }

    /// As [`Env::repository`], for whoever presents the user name and password.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub async fn private_repository(
        &self,
        name: &str,
        user: &str,
        password: &str,
        files: &[(&str, &str)],
    ) -> Repository {
        let name = format!("{}-{name}", self.namespace);
        Repository(self.cluster.git.private_repository(&name, user, password, files).expect("a repository"))
    }

    /// The S3 server of all tests; the keys are `e2e` and `canary-s3`. Name buckets after the namespace.
    #[must_use]
    pub const fn s3(&self) -> &ferrite_testkit::S3Server {
        &self.cluster.s3
    }

    /// Applies `object` as a user would with `kubectl apply --server-side`, into the test's namespace.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn apply(&self, object: Value) {
        let shown = format!("{}/{}", object["kind"], object["metadata"]["name"]);
        let result = self.try_apply(object).await;
        assert!(result.is_ok(), "apply {shown}: {:?}", result.err());
    }

    /// As [`Env::apply`], with the API server's answer.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn try_apply(&self, object: Value) -> kube::Result<DynamicObject> {
        let object: DynamicObject =
            serde_json::from_value(object).expect("an object with apiVersion and kind");
        let types = object.types.clone().unwrap_or_default();
        let api =
            self.api(&format!("{}.{}", types.kind, types.api_version), object.namespace().as_deref()).await;
        api.patch(&object.name_any(), &PatchParams::apply("e2e").force(), &Patch::Apply(&object)).await
    }

    /// What the API server would say to `object` in the test's namespace, unknown fields and warnings included.
    ///
    /// # Errors
    ///
    /// Its refusal.
    pub async fn would_apply(&self, mut object: Value) -> kube::Result<()> {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        let object: DynamicObject =
            serde_json::from_value(object).expect("an object with apiVersion and kind");
        let types = object.types.clone().unwrap_or_default();
        let api = self.api(&format!("{}.{}", types.kind, types.api_version), None).await;
        let mut params = PatchParams::apply("e2e").force().dry_run();
        params.field_validation = Some(kube::api::ValidationDirective::Strict);
        api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await.map(|_| ())
    }

    /// The object `Kind/name` as it is now.
    ///
    /// # Panics
    ///
    /// When it does not exist.
    pub async fn get(&self, id: &str) -> Value {
        self.find(id).await.unwrap_or_else(|| panic!("{id} does not exist in {}", self.namespace))
    }

    /// The object `Kind/name`, or `None` when there is none.
    pub async fn find(&self, id: &str) -> Option<Value> {
        let (kind, name) = split(id);
        let found = self.api(kind, None).await.get_opt(name).await;
        found.unwrap_or_else(|error| panic!("get {id}: {error}")).map(|object| plain(&object))
    }

    /// Patches `Kind/name` with a JSON merge patch, as somebody with kubectl would.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn merge(&self, id: &str, patch: Value) {
        let (kind, name) = split(id);
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        let result = self.api(kind, None).await.patch(name, &params, &Patch::Merge(&patch)).await;
        assert!(result.is_ok(), "patch {id}: {:?}", result.err());
    }

    /// Deletes `Kind/name`.
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub async fn delete(&self, id: &str) {
        let (kind, name) = split(id);
        let result = self.api(kind, None).await.delete(name, &Default::default()).await;
        assert!(result.is_ok(), "delete {id}: {:?}", result.err());
    }

    /// Waits until `Kind/name` satisfies `wanted`, and returns it.
    ///
    /// # Panics
    ///
    /// After 60 s, with the object as it was seen last.
    pub async fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(id, |object| object.is_some_and(&wanted)).await.unwrap_or_default()
    }

    /// Waits until `Kind/name` is gone.
    ///
    /// # Panics
    ///
    /// After 60 s, with the object as it was seen last.
    pub async fn gone(&self, id: &str) {
        self.wait(id, |object| object.is_none()).await;
    }

    /// Waits until Ready is True for the current generation.
    ///
    /// # Panics
    ///
    /// After 60 s, with the object as it was seen last.
    pub async fn ready(&self, id: &str) -> Value {
        self.wait_for(id, |object| {
            ready(object).is_some_and(|c| {
                c["status"] == "True" && c["observedGeneration"] == object["metadata"]["generation"]
            })
        })
        .await
    }

    /// Waits until Ready is False, with a message that contains `text`.
    ///
    /// # Panics
    ///
    /// After 60 s, with the object as it was seen last.
    pub async fn failed(&self, id: &str, text: &str) -> Value {
        self.wait_for(id, |object| {
            ready(object).is_some_and(|c| {
                c["status"] == "False" && c["message"].as_str().is_some_and(|m| m.contains(text))
            })
        })
        .await
    }

    /// Asks for a reconcile now, as `flux reconcile` does, without waiting for it.
    ///
    /// # Panics
    ///
    /// When the object does not exist.
    pub async fn request_reconcile(&self, id: &str) -> String {
        static TOKEN: AtomicU32 = AtomicU32::new(0);
        let token = format!("e2e-{}", TOKEN.fetch_add(1, Ordering::Relaxed));
        self.merge(id, json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}))
            .await;
        token
    }

    /// The messages of the events about `Kind/name`, with their reasons.
    ///
    /// # Panics
    ///
    /// When events cannot be listed.
    pub async fn events(&self, id: &str) -> Vec<(String, String)> {
        let (kind, name) = split(id);
        let params =
            ListParams::default().fields(&format!("involvedObject.kind={kind},involvedObject.name={name}"));
        let list = self.api("Event.v1", None).await.list(&params).await.expect("events can be listed");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list.items.iter().map(|e| (text(&e.data["reason"]), text(&e.data["message"]))).collect()
    }

    /// The message of the first event of `reason` about `Kind/name`, which may still have to come.
    ///
    /// # Panics
    ///
    /// After 60 s.
    pub async fn wait_for_event(&self, id: &str, reason: &str) -> String {
        let (kind, name) = split(id);
        let api = self.api("Event.v1", None).await;
        let fields = format!("involvedObject.kind={kind},involvedObject.name={name}");
        let stream =
            watcher(api, watcher::Config::default().fields(&fields)).default_backoff().applied_objects();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let found = stream.filter_map(|event| {
            let event = event.ok().filter(|event| event.data["reason"] == reason);
            std::future::ready(event.map(|event| text(&event.data["message"])))
        });
        let mut found = found.boxed();
        let found = tokio::time::timeout(PATIENCE, found.next()).await.ok().flatten();
        found.unwrap_or_else(|| panic!("gave up on an event {reason} about {id}"))
    }

    /// Posts a webhook to the notification-controller and returns the status of the answer.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn post_webhook(&self, path: &str, body: &str) -> u16 {
        let url = format!("http://{}{path}", self.cluster.webhooks);
        let answer =
            reqwest::Client::new().post(url).header("content-type", "application/json").body(body.to_owned());
        answer.send().await.expect("an answer").status().as_u16()
    }

    async fn wait(&self, id: &str, done: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let (kind, name) = split(id);
        let api = self.api(kind, None).await;
        let mut stream = watcher(api, watcher::Config::default().fields(&format!("metadata.name={name}")))
            .default_backoff()
            .boxed();
        let mut seen: Option<Value> = None;
        let mut listed = false;
        let watched = async {
            while let Some(event) = stream.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        seen = Some(plain(&object))
                    }
                    Ok(watcher::Event::Delete(_)) => seen = None,
                    Ok(watcher::Event::Init) => (seen, listed) = (None, false),
                    Ok(watcher::Event::InitDone) => listed = true,
                    Err(_) => continue, // the watcher reconnects with backoff
                }
                if listed && done(seen.as_ref()) {
                    return true;
                }
            }
            false
        };
        let finished = tokio::time::timeout(PATIENCE, watched).await.unwrap_or(false);
        assert!(finished, "gave up on {id}; last seen:\n{}", seen.as_ref().map_or("nothing".into(), pretty));
        seen
    }

    /// `Kind`, or `Kind.apiVersion` where the kind's name alone is ambiguous.
    async fn api(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (resource, capabilities) = self.cluster.resource(kind).await;
        let namespace = namespace.unwrap_or(&self.namespace);
        match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    async fn print(&self) {
        eprintln!("--- namespace {} ---", self.namespace);
        for kind in [
            "GitRepository",
            "Bucket",
            "ArtifactGenerator",
            "ExternalArtifact",
            "Kustomization",
            "HelmRelease",
            "Event.v1",
        ] {
            let Ok(list) = self.api(kind, None).await.list(&ListParams::default()).await else { continue };
            for object in list.items {
                eprintln!("{}", pretty(&plain(&object)));
            }
        }
    }

    async fn remove(&self) {
        for kind in ["Kustomization", "HelmRelease", "ArtifactGenerator", "GitRepository", "Bucket"] {
            let api = self.api(kind, None).await;
            let _best_effort = api.delete_collection(&Default::default(), &ListParams::default()).await;
        }
        let namespaces = self.api("Namespace", None).await;
        let _best_effort = namespaces.delete(&self.namespace, &Default::default()).await;
    }
}

/// The Ready condition of `object`.
pub fn ready(object: &Value) -> Option<&Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == "Ready")
}

fn plain(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn pretty(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

fn split(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or_else(|| panic!("`{id}` is not Kind/name"))
}
