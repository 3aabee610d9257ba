//! A Kubernetes API of one kind, with faults on demand: conflicts, outages, what was asked.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, StreamExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Request, Response, body::Bytes, body::Frame};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// The fake; cheap to clone.
#[derive(Clone)]
pub(crate) struct FakeApi(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changes: broadcast::Sender<Value>,
    away: AtomicBool,
    back: tokio::sync::watch::Sender<u32>,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, Value>,
    events: Vec<Value>,
    patches: Vec<(String, Value)>,
    conflicts: u32,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            changes: broadcast::channel(1024).0,
            away: AtomicBool::new(false),
            back: tokio::sync::watch::Sender::new(0),
        };
        Self(Arc::new(inner))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service =
            tower::service_fn(move |request: Request<kube::client::Body>| -> BoxFuture<'static, _> {
                let fake = fake.clone();
                Box::pin(async move { fake.answer(request).await })
            });
        kube::Client::new(service, "default")
    }

    /// Creates or changes an object as a user would: the generation moves with the spec.
    pub(crate) fn put(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.0.state.lock();
        let fresh = || {
            json!({"apiVersion": "test.ferrite.dev/v1", "kind": "Widget", "spec": {},
            "metadata": {"name": name, "namespace": "default", "uid": name, "generation": 0}})
        };
        let old = state.objects.get(name).cloned();
        let mut new = old.clone().unwrap_or_else(fresh);
        change(&mut new);
        if old.as_ref().is_none_or(|old| old["spec"] != new["spec"]) {
            new["metadata"]["generation"] = json!(new["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        self.store(&mut state, name, new);
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.0.state.lock().objects.get(name).cloned()
    }

    /// Waits until the object is as asked; prints the last state when it takes more than ten seconds.
    pub(crate) async fn until(&self, name: &str, good: impl Fn(&Value) -> bool) -> Value {
        let mut changes = self.0.changes.subscribe();
        let wait = async {
            loop {
                let now = self.get(name).unwrap_or_default();
                if good(&now) {
                    return now;
                }
                let _change_or_lag = changes.recv().await.is_ok();
            }
        };
        let result = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await;
        result.unwrap_or_else(|_| panic!("not reached; last state {:#}", self.get(name).unwrap_or_default()))
    }

    /// Every status patch so far, in order.
    pub(crate) fn status_patches(&self) -> Vec<Value> {
        let state = self.0.state.lock();
        state
            .patches
            .iter()
            .filter(|(path, _)| path.ends_with("/status"))
            .map(|(_, body)| body.clone())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let line = |event: &Value| {
            format!("{} {} {}", text(event, "type"), text(event, "reason"), text(event, "message"))
        };
        self.0.state.lock().events.iter().map(line).collect()
    }

    /// Lets the next `count` conditional writes find that somebody else wrote just before: a foreign condition.
    pub(crate) fn conflict(&self, count: u32) {
        self.0.state.lock().conflicts = count;
    }

    /// Ends every watch and refuses every request, or answers again.
    pub(crate) fn away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
        self.0.back.send_modify(|times| *times += 1);
    }

    fn store(&self, state: &mut State, name: &str, mut object: Value) -> Value {
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        let verb = match (deleting && !held, state.objects.contains_key(name)) {
            (true, _) => "DELETED",
            (false, true) => "MODIFIED",
            (false, false) => "ADDED",
        };
        if verb == "DELETED" {
            state.objects.remove(name);
        } else {
            state.objects.insert(name.to_owned(), object.clone());
        }
        let _nobody_watches = self.0.changes.send(json!({"type": verb, "object": object})).is_err();
        object
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Result<Response<Body>, std::io::Error> {
        if self.0.away.load(Ordering::SeqCst) {
            return Ok(failure(503, "ServiceUnavailable"));
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut parts = path.split('/').skip_while(|part| *part != "widgets").skip(1);
        let name = parts.next().unwrap_or_default().to_owned();
        if path.ends_with("/events") {
            self.0.state.lock().events.push(body.clone());
            return Ok(ok(&body));
        }
        Ok(match (head.method.as_str(), name.as_str()) {
            ("GET", "") if query.contains("watch=true") => self.watch(&query),
            ("GET", "") => self.list(),
            ("GET", name) => self.get(name).map_or_else(|| failure(404, "NotFound"), |object| ok(&object)),
            ("PATCH", name) => self.patch(name, &path, &body),
            _ => failure(405, "MethodNotAllowed"),
        })
    }

    fn list(&self) -> Response<Body> {
        let state = self.0.state.lock();
        let items: Vec<&Value> = state.objects.values().collect();
        ok(&json!({"apiVersion": "test.ferrite.dev/v1", "kind": "WidgetList",
            "metadata": {"resourceVersion": state.version.to_string()}, "items": items}))
    }

    fn watch(&self, query: &str) -> Response<Body> {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or("0");
        let from: u64 = from.parse().unwrap_or_default();
        let state = self.0.state.lock();
        let changes = self.0.changes.subscribe();
        // Deletions during an outage are not replayed, so a gap is answered as an API server does after compaction.
        if from + 50 < state.version {
            return failure(410, "Expired");
        }
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"].as_str().unwrap_or("0").parse().unwrap_or(0)
        };
        let missed: Vec<Value> =
            state.objects.values().filter(|object| version(object) > from).cloned().collect();
        drop(state);
        let missed = missed.into_iter().map(|object| json!({"type": "MODIFIED", "object": object}));
        let live = futures::stream::unfold(changes, |mut changes| async move {
            changes.recv().await.ok().map(|change| (change, changes))
        });
        let mut back = self.0.back.subscribe();
        let ended = async move { back.changed().await.is_ok() };
        let events = futures::stream::iter(missed).chain(live).take_until(Box::pin(ended));
        stream(events.map(|event| format!("{event}\n")))
    }

    fn patch(&self, name: &str, path: &str, body: &Value) -> Response<Body> {
        let mut state = self.0.state.lock();
        if !state.objects.contains_key(name) {
            return failure(404, "NotFound");
        }
        let expects = body.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        if expects.is_some() && state.conflicts > 0 {
            state.conflicts -= 1;
            let mut object = state.objects[name].clone();
            let foreign = json!({"type": "Foreign", "status": "True", "reason": "R", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            if let Some(list) = object["status"]["conditions"].as_array_mut() {
                list.retain(|condition| condition["type"] != "Foreign");
                list.push(foreign);
            } else {
                object["status"] = json!({"conditions": [foreign]});
            }
            self.store(&mut state, name, object);
        }
        let mut object = state.objects[name].clone();
        if expects.is_some_and(|expects| object["metadata"]["resourceVersion"] != json!(expects)) {
            return failure(409, "Conflict");
        }
        state.patches.push((path.to_owned(), body.clone()));
        let part = if path.ends_with("/status") { "status" } else { "metadata" };
        merge(&mut object[part], body[part].clone());
        ok(&self.store(&mut state, name, object))
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(&key);
        } else {
            merge(&mut target[&key], value);
        }
    }
}

fn ok(value: &Value) -> Response<Body> {
    let text = value.to_string();
    stream(futures::stream::iter([text]))
}

fn failure(code: u16, reason: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code});
    let mut response = ok(&status);
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap();
    response
}

fn stream(lines: impl Stream<Item = String> + Send + 'static) -> Response<Body> {
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}
