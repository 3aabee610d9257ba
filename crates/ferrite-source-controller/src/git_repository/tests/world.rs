//! What a reconcile sees: a Git server, a storage directory, a clock, and the objects of an API server.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use ferrite_api::{
    Artifact,
    source::{GitRepository, GitRepositoryStatus},
};
use ferrite_artifact::{Algorithm, DiskStore, Limits, unpack};
use ferrite_runtime::{CancellationToken, Clock, Event, Progress, Reconcile as _, Requeue, Runtime};
use ferrite_testkit::GitServer;
use http::{Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Config,
    context::Context,
    git_repository::{Done, Error, GitRepositories, Plan},
};

/// Objects by the end of their path: `secrets/git`, `gitrepositories/other`.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

pub(super) struct World {
    pub(super) git: GitServer,
    reconciler: GitRepositories,
    objects: Objects,
    storage: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
}

/// An object after a reconcile.
pub(super) struct After {
    pub(super) object: GitRepository,
    pub(super) status: GitRepositoryStatus,
    pub(super) events: Vec<Event>,
    pub(super) requeue: Requeue,
    pub(super) progress: Progress,
}

impl After {
    pub(super) fn artifact(&self) -> &Artifact {
        let ready = || condition(&self.status, "Ready");
        self.status.artifact.as_ref().unwrap_or_else(|| panic!("no artifact: {}", ready()))
    }

    pub(super) fn revision(&self) -> &str {
        &self.artifact().revision
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.events
            .iter()
            .map(|event| format!("{:?} {} {}", event.severity, event.reason, event.message))
            .collect()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let storage = tempfile::tempdir().unwrap();
        // What was just written is as old as the clock says it is.
        let seconds = Arc::new(AtomicI64::new(0));
        let objects = Objects::default();
        let reconciler = reconciler(&storage, &seconds, &objects, "http://storage.test");
        Self { git: GitServer::start().await.unwrap(), reconciler, objects, storage, seconds }
    }

    /// Forgets everything but the storage.
    pub(super) fn restart(&mut self, advertised: &str) {
        self.reconciler = reconciler(&self.storage, &self.seconds, &self.objects, advertised);
    }

    /// Moves the clock, files included: theirs is the machine's.
    pub(super) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A GitRepository of the served repository `app`, with `spec` over the defaults.
    pub(super) fn repository(&self, served: &str, spec: &Value) -> GitRepository {
        self.named(served, served, spec)
    }

    pub(super) fn named(&self, name: &str, served: &str, spec: &Value) -> GitRepository {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {"url": format!("{}/{served}", self.git.base_url()), "interval": "1h", "timeout": "10s",
                "ref": {"branch": "main"}},
            "status": {"observedGeneration": -1},
        });
        merge(&mut object["spec"], spec);
        serde_json::from_value(object).unwrap()
    }

    /// The object after somebody changed its spec.
    pub(super) fn changed(&self, object: &GitRepository, spec: &Value) -> GitRepository {
        let mut object = serde_json::to_value(object).unwrap();
        merge(&mut object["spec"], spec);
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        object["metadata"]["generation"] = json!(generation + 1);
        serde_json::from_value(object).unwrap()
    }

    /// The object after somebody asked for a reconcile.
    pub(super) fn asked(&self, object: &GitRepository) -> GitRepository {
        let mut object = object.clone();
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(ferrite_api::metadata::RECONCILE_REQUEST.to_owned(), "now".to_owned());
        object
    }

    /// Adds an object to those of the API server.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.objects.lock().insert(path.to_owned(), object);
    }

    /// One reconcile, as the driver does it.
    pub(super) async fn reconcile(&self, object: &GitRepository) -> After {
        let progress = Progress::detached();
        let mut done = Done::default();
        let outcome = self.steps(object, &mut done, &progress).await;
        let failure = outcome.err();
        let now = self.reconciler.context.clock.now();
        let report = GitRepositories::report(object, &done, failure.as_ref(), now);
        let mut object = object.clone();
        let mut status = report.status.clone();
        let asked = object.metadata.annotations.as_ref();
        status.last_handled_reconcile_at =
            asked.and_then(|all| all.get(ferrite_api::metadata::RECONCILE_REQUEST)).cloned();
        object.status = Some(status);
        After { object, status: report.status, events: report.events, requeue: report.requeue, progress }
    }

    async fn steps(&self, object: &GitRepository, done: &mut Done, progress: &Progress) -> Result<(), Error> {
        let observed = self.reconciler.observe(object, progress).await?;
        let plan: Plan = GitRepositories::plan(object, &observed);
        self.reconciler.act(plan, done, progress).await
    }

    pub(super) async fn teardown(&self, object: &GitRepository) -> Vec<String> {
        let events = self.reconciler.teardown(object, &mut Done::default(), &Progress::detached()).await;
        events.unwrap().into_iter().map(|event| event.message).collect()
    }

    pub(super) fn place(&self, artifact: &Artifact) -> PathBuf {
        self.storage.path().join(&artifact.path)
    }

    /// The paths of the files in a stored artifact.
    pub(super) fn files(&self, artifact: &Artifact) -> Vec<String> {
        let file = fs_err::File::open(self.place(artifact)).unwrap();
        let tree = unpack(file, &Limits::default()).unwrap();
        tree.files().map(|(path, ..)| path.to_owned()).collect()
    }

    /// The files that are stored for the object `name`, without locks.
    pub(super) fn stored(&self, name: &str) -> Vec<String> {
        let Ok(list) = fs_err::read_dir(self.storage.path().join("gitrepository/default").join(name)) else {
            return Vec::new();
        };
        let names = list.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

fn reconciler(
    storage: &tempfile::TempDir,
    seconds: &Arc<AtomicI64>,
    objects: &Objects,
    advertised: &str,
) -> GitRepositories {
    let mut runtime = Runtime::new("source-controller", client(objects), CancellationToken::new());
    let seconds = Arc::clone(seconds);
    // Retention compares with the times of files, so time passes from the machine's now; what is shown is fixed.
    let start = jiff::Timestamp::now();
    let fixed: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    runtime.clock = Clock::from_fn(move || match seconds.load(Ordering::SeqCst) {
        0 => fixed,
        passed => start + jiff::SignedDuration::from_secs(passed),
    });
    let store = DiskStore::open(storage.path(), Algorithm::Sha256).unwrap();
    let config = Config::new(storage.path());
    GitRepositories::new(Arc::new(Context::new(&runtime, &config, Arc::new(store), advertised.to_owned())))
}

fn client(objects: &Objects) -> kube::Client {
    let objects = Arc::clone(objects);
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        let found =
            objects.lock().iter().find(|(end, _)| path.ends_with(end.as_str())).map(|(_, o)| o.clone());
        let (status, body) = match found {
            Some(object) => (200, object),
            None => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let message = format!("\"{name}\" not found");
                (
                    404,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                    "reason": "NotFound", "message": message}),
                )
            }
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        let response = response.body(Body::from(body.to_string().into_bytes())).unwrap();
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    kube::Client::new(service, "default")
}

fn merge(target: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().cloned().unwrap_or_default() {
        target[key] = value;
    }
}

/// `<status> <reason> <message>` of a condition, or `absent`.
pub(super) fn condition(status: &GitRepositoryStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind);
    found.map_or_else(|| "absent".to_owned(), |c| format!("{} {} {}", c.status, c.reason, c.message))
}
