//! What a reconcile under test sees: a storage directory, a clock, and a table of objects for an API server.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use ferrite_api::{Artifact, Condition};
use ferrite_artifact::{Algorithm, DiskStore, Limits, unpack};
use ferrite_runtime::{CancellationToken, Clock, Progress, Reconcile, Report, Runtime, StatusOf};
use http::{Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{Config, context::Context};

/// Objects by the end of their path: `secrets/git`, `gitrepositories/other`.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// The surroundings of reconciles.
pub(crate) struct World {
    objects: Objects,
    storage: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
}

/// An object after a reconcile.
pub(crate) struct After<R: Reconcile> {
    pub(crate) object: R::Object,
    pub(crate) report: Report<StatusOf<R::Object>>,
    pub(crate) progress: Progress,
}

impl<R: Reconcile> After<R> {
    pub(crate) fn events(&self) -> Vec<String> {
        let events = &self.report.events;
        events
            .iter()
            .map(|event| format!("{:?} {} {}", event.severity, event.reason, event.message))
            .collect()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self { objects: Objects::default(), storage: tempfile::tempdir().unwrap(), seconds: Arc::default() }
    }

    /// A process's surroundings over this storage.
    pub(crate) fn context(&self, advertised: &str) -> Arc<Context> {
        self.context_with(advertised, &Config::new(self.storage.path()))
    }

    /// As [`World::context`], of a process with these settings.
    pub(crate) fn context_with(&self, advertised: &str, config: &Config) -> Arc<Context> {
        let mut runtime = Runtime::new("source-controller", client(&self.objects), CancellationToken::new());
        let seconds = Arc::clone(&self.seconds);
        // Retention compares with the times of files, so time passes from the machine's now; what is shown is fixed.
        let start = jiff::Timestamp::now();
        let fixed: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        runtime.clock = Clock::from_fn(move || match seconds.load(Ordering::SeqCst) {
            0 => fixed,
            passed => start + jiff::SignedDuration::from_secs(passed),
        });
        let store = DiskStore::open(self.storage.path(), Algorithm::Sha256).unwrap();
        Arc::new(Context::new(&runtime, config, Arc::new(store), advertised.to_owned()))
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Adds an object to those of the API server.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.objects.lock().insert(path.to_owned(), object);
    }

    /// Adds a Secret.
    pub(crate) fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, String> = data.iter().map(|(key, value)| (*key, base64(value))).collect();
        let metadata = json!({"name": name, "namespace": "default"});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
        self.put(&format!("secrets/{name}"), secret);
    }

    pub(crate) fn place(&self, artifact: &Artifact) -> PathBuf {
        self.storage.path().join(&artifact.path)
    }

    /// The paths of the files in a stored artifact.
    pub(crate) fn files(&self, artifact: &Artifact) -> Vec<String> {
        let file = fs_err::File::open(self.place(artifact)).unwrap();
        let tree = unpack(file, &Limits::default()).unwrap();
        tree.files().map(|(path, ..)| path.to_owned()).collect()
    }

    /// The files that are stored in a directory, without locks.
    pub(crate) fn stored(&self, directory: &str) -> Vec<String> {
        let Ok(list) = fs_err::read_dir(self.storage.path().join(directory)) else { return Vec::new() };
        let names = list.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

/// One reconcile, as the driver does it.
pub(crate) async fn reconcile<R: Reconcile>(
    reconciler: &R,
    context: &Context,
    object: &R::Object,
) -> After<R> {
    let progress = Progress::detached();
    let mut done = R::Done::default();
    let steps = async {
        let observed = reconciler.observe(object, &progress).await?;
        let plan = R::plan(object, &observed);
        reconciler.act(plan, &mut done, &progress).await
    };
    let failure = steps.await.err();
    let report = R::report(object, &done, failure.as_ref(), context.clock.now());
    let mut after = serde_json::to_value(object).unwrap();
    after["status"] = serde_json::to_value(&report.status).unwrap();
    let request =
        format!("/metadata/annotations/{}", ferrite_api::metadata::RECONCILE_REQUEST.replace('/', "~1"));
    if let Some(asked) = after.pointer(&request).cloned() {
        after["status"]["lastHandledReconcileAt"] = asked;
    }
    After { object: serde_json::from_value(after).unwrap(), report, progress }
}

/// An object with its spec changed, one generation later.
pub(crate) fn changed<K: serde::Serialize + serde::de::DeserializeOwned>(object: &K, spec: &Value) -> K {
    let mut object = serde_json::to_value(object).unwrap();
    merge(&mut object["spec"], spec);
    let generation = object["metadata"]["generation"].as_i64().unwrap();
    object["metadata"]["generation"] = json!(generation + 1);
    serde_json::from_value(object).unwrap()
}

/// An object for which somebody asked for a reconcile.
pub(crate) fn asked<K: kube::Resource + Clone>(object: &K) -> K {
    let mut object = object.clone();
    let annotations = object.meta_mut().annotations.get_or_insert_default();
    annotations.insert(ferrite_api::metadata::RECONCILE_REQUEST.to_owned(), "now".to_owned());
    object
}

pub(crate) fn merge(target: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().cloned().unwrap_or_default() {
        target[key] = value;
    }
}

/// `<status> <reason> <message>` of a condition, or `absent`.
pub(crate) fn condition(conditions: &[Condition], kind: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == kind);
    found.map_or_else(|| "absent".to_owned(), |c| format!("{} {} {}", c.status, c.reason, c.message))
}

/// `text` in base64, as Secrets carry it.
pub(crate) fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    out
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
