//! The driver against an API that can conflict and go away: what a person would see on the object.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

mod api;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api::FakeApi;
use ferrite_runtime::{
    Class, Classify, Controller, Event, Handle, Interrupted, ObjectKey, Progress, Reconcile, Report, Requeue,
    Runtime, chain, conditions_of,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(CustomResource, Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[kube(group = "test.ferrite.dev", version = "v1", kind = "Widget", namespaced, status = "WidgetStatus")]
#[serde(rename_all = "camelCase")]
struct WidgetSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspend: Option<bool>,
    #[serde(default)]
    mode: String,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WidgetStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_handled_reconcile_at: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    made: Vec<String>,
}

/// What the world of the widgets looks like from outside.
#[derive(Default)]
struct World {
    runs: AtomicU32,
    /// One permit for each wait that began; a `Notify` would keep only the last.
    waiting: Began,
    healthy: Notify,
    torn_down: AtomicU32,
}

struct Began(tokio::sync::Semaphore);

impl Default for Began {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(0))
    }
}

impl Began {
    async fn once(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

struct Widgets(Arc<World>);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the {0} broke")]
    Broken(&'static str),
    #[error("mode `{0}` does not exist")]
    NoSuchMode(String),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Broken(_) => Class::Retry,
            Self::NoSuchMode(_) => Class::Stalled,
            Self::Interrupted(inner) => inner.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Broken(_) => "Broken",
            Self::NoSuchMode(_) => "InvalidMode",
            Self::Interrupted(inner) => inner.reason(),
        }
    }
}

impl Reconcile for Widgets {
    type Object = Widget;
    type Observed = String;
    type Plan = String;
    type Done = Vec<String>;
    type Error = Error;

    async fn observe(&self, widget: &Widget, _step: &Progress) -> Result<String, Error> {
        self.0.runs.fetch_add(1, Ordering::SeqCst);
        Ok(widget.spec.mode.clone())
    }

    fn plan(_widget: &Widget, mode: &String) -> String {
        mode.clone()
    }

    async fn act(&self, mode: String, done: &mut Vec<String>, step: &Progress) -> Result<(), Error> {
        match mode.as_str() {
            "" => done.push("ready".to_owned()),
            "half" => {
                done.push("first".to_owned());
                return Err(Error::Broken("second"));
            }
            "panic" => {
                done.push("first".to_owned());
                panic!("widget overflow");
            }
            "wait" => {
                step.say(format_args!("waiting for health"));
                self.0.waiting.0.add_permits(1);
                step.wait(self.0.healthy.notified()).await?;
                done.push("healthy".to_owned());
            }
            other => return Err(Error::NoSuchMode(other.to_owned())),
        }
        Ok(())
    }

    fn report(
        widget: &Widget,
        done: &Vec<String>,
        failure: Option<&Error>,
        now: Timestamp,
    ) -> Report<WidgetStatus> {
        let mut status = widget.status.clone().unwrap_or_default();
        let mut conditions = conditions_of(widget, now);
        let mut events = Vec::new();
        status.made.clone_from(done);
        match failure {
            None => {
                conditions.delete("Reconciling");
                conditions.delete("Stalled");
                conditions.set_true("Ready", "Succeeded", "all made");
                status.observed_generation = Some(conditions.generation());
                events.push(Event::info("Succeeded", "all made"));
            }
            Some(error) => {
                conditions.set_false("Ready", error.reason(), chain(error));
                match error.class() {
                    Class::Stalled => {
                        conditions.mark_stalled(error.reason(), chain(error));
                        status.observed_generation = Some(conditions.generation());
                    }
                    Class::Retry | Class::Wait(_) => conditions.mark_retrying(),
                }
                events.push(Event::error(error.reason(), chain(error)));
            }
        }
        status.conditions = conditions.into_vec();
        let requeue =
            Requeue::for_result(failure.map(|error| error as &dyn Classify), Duration::from_hours(1));
        Report { status, events, requeue }
    }

    async fn teardown(
        &self,
        _widget: &Widget,
        _done: &mut Vec<String>,
        _step: &Progress,
    ) -> Result<Vec<Event>, Error> {
        if self.0.torn_down.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Error::Broken("teardown"));
        }
        Ok(vec![Event::info("Deleted", "all gone")])
    }
}

struct Running {
    api: FakeApi,
    world: Arc<World>,
    handle: Handle<Widget>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

fn start(workers: usize) -> Running {
    start_with(workers, |_controller| {})
}

fn start_with(workers: usize, set_up: impl FnOnce(&mut Controller<Widgets>)) -> Running {
    let (api, world, shutdown) = (FakeApi::new(), Arc::new(World::default()), CancellationToken::new());
    let mut runtime = Runtime::new("widget-controller", api.client(), shutdown.clone());
    runtime.backoff.base = Duration::from_millis(10);
    let handle = Handle::new(&runtime);
    let mut controller =
        Controller::new(&runtime, handle.clone(), Widgets(Arc::clone(&world))).concurrent(workers);
    set_up(&mut controller);
    let tasks = TaskTracker::new();
    tasks.spawn(controller.run());
    Running { api, world, handle, shutdown, tasks }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await;
        assert!(ended.is_ok(), "the controller ends on shutdown");
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let list = object["status"]["conditions"].as_array();
    list.and_then(|list| list.iter().find(|condition| condition["type"] == kind)).unwrap_or(&Value::Null)
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

fn mode(mode: &'static str) -> impl FnOnce(&mut Value) {
    move |widget| widget["spec"]["mode"] = json!(mode)
}

#[tokio::test]
async fn a_new_object_gets_its_finalizer_and_becomes_ready_with_one_status_write() {
    let running = start(2);
    running.api.put("a", mode(""));
    let widget = running.api.until("a", is_ready).await;
    assert_eq!(widget["metadata"]["finalizers"], json!(["finalizers.fluxcd.io"]));
    assert_eq!(widget["status"]["made"], json!(["ready"]));
    assert_eq!(running.api.status_patches().len(), 1, "{:#?}", running.api.status_patches());
    running.stop().await;
}

#[tokio::test]
async fn a_request_is_handled_once_and_a_steady_state_writes_nothing() {
    let running = start(2);
    running.api.put("a", mode(""));
    running.api.until("a", is_ready).await;
    running.api.put("a", |widget| {
        widget["metadata"]["annotations"] = json!({"reconcile.fluxcd.io/requestedAt": "t1"});
    });
    running.api.until("a", |widget| widget["status"]["lastHandledReconcileAt"] == "t1").await;
    let patches = running.api.status_patches();
    assert_eq!(patches.last(), Some(&json!({"status": {"lastHandledReconcileAt": "t1"}})));
    running.api.put("b", mode(""));
    running.api.until("b", is_ready).await;
    assert_eq!(running.world.runs.load(Ordering::SeqCst), 3);
    running.stop().await;
}

#[tokio::test]
async fn what_was_done_reaches_status_when_a_later_step_fails_or_panics() {
    let running = start(2);
    for name in ["half", "panic"] {
        running.api.put(name, mode(name));
        let failed = |widget: &Value| condition(widget, "Ready")["status"] == "False";
        let widget = running.api.until(name, failed).await;
        assert_eq!(widget["status"]["made"], json!(["first"]), "{name}");
        assert_eq!(condition(&widget, "Reconciling")["reason"], "ProgressingWithRetry");
        assert!(widget["status"]["observedGeneration"].is_null(), "not handled to a conclusion");
    }
    let widget = running.api.get("panic").unwrap();
    let message = condition(&widget, "Ready")["message"].as_str().unwrap();
    assert_eq!(message, "a step of the reconcile panicked, which is a bug: widget overflow");
    running.stop().await;
}

#[tokio::test]
async fn a_stalled_object_waits_for_an_edit() {
    let running = start(2);
    running.api.put("a", mode("nonsense"));
    let stalled = |widget: &Value| condition(widget, "Stalled")["status"] == "True";
    let widget = running.api.until("a", stalled).await;
    assert_eq!(widget["status"]["observedGeneration"], 1);
    assert_eq!(condition(&widget, "Stalled")["message"], "mode `nonsense` does not exist");
    assert!(condition(&widget, "Reconciling").is_null());
    running.api.put("a", mode(""));
    let widget = running.api.until("a", is_ready).await;
    assert!(condition(&widget, "Stalled").is_null());
    running.stop().await;
}

#[tokio::test]
async fn waiting_holds_no_worker() {
    let running = start(1);
    for name in ["a", "b", "c"] {
        running.api.put(name, mode("wait"));
    }
    for _ in 0..3 {
        running.world.waiting.once().await;
    }
    running.api.put("quick", mode(""));
    running.api.until("quick", is_ready).await;
    let shown = |widget: &Value| condition(widget, "Reconciling")["message"] == "waiting for health";
    running.api.until("a", shown).await;
    for _ in 0..3 {
        running.world.healthy.notify_one();
    }
    for name in ["a", "b", "c"] {
        running.api.until(name, is_ready).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_newer_generation_ends_a_wait() {
    let running = start(1);
    running.api.put("a", mode("wait"));
    running.world.waiting.once().await;
    running.api.put("a", mode(""));
    let widget = running.api.until("a", is_ready).await;
    assert_eq!(widget["status"]["observedGeneration"], 2);
    assert_eq!(widget["status"]["made"], json!(["ready"]));
    running.stop().await;
}

#[tokio::test]
async fn another_object_reacts_to_a_status() {
    let running = start_with(1, |controller| {
        controller.react(|change, _widgets| {
            let widget = change.object();
            let ready = widget.status.as_ref().is_some_and(|status| !status.made.is_empty());
            let first = widget.metadata.name.as_deref() == Some("first");
            if first && ready {
                vec![ferrite_runtime::Trigger::Add(ObjectKey::new("default", "second"))]
            } else {
                vec![]
            }
        });
    });
    running.api.put("second", mode("nonsense"));
    let stalled = |widget: &Value| condition(widget, "Stalled")["status"] == "True";
    running.api.until("second", stalled).await;
    let before = running.world.runs.load(Ordering::SeqCst);
    running.api.put("first", mode(""));
    running.api.until("first", is_ready).await;
    while running.world.runs.load(Ordering::SeqCst) < before + 2 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_conflict_keeps_foreign_conditions() {
    let running = start(1);
    running.api.conflict(3);
    running.api.put("a", mode(""));
    let widget = running.api.until("a", is_ready).await;
    assert_eq!(condition(&widget, "Foreign")["status"], "True");
    running.stop().await;
}

#[tokio::test]
async fn suspend_writes_nothing_but_the_handled_request() {
    let running = start(1);
    running.api.put("a", |widget| {
        widget["spec"]["suspend"] = json!(true);
        widget["metadata"]["annotations"] = json!({"reconcile.fluxcd.io/requestedAt": "t1"});
    });
    let widget = running.api.until("a", |widget| widget["status"]["lastHandledReconcileAt"] == "t1").await;
    assert_eq!(widget["status"], json!({"lastHandledReconcileAt": "t1"}));
    assert_eq!(running.world.runs.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn deletion_is_retried_until_the_teardown_succeeds_and_forgets_the_object() {
    let running = start(1);
    running.api.put("a", mode(""));
    running.api.until("a", is_ready).await;
    running.api.put("a", |widget| widget["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    running.api.until("a", Value::is_null).await;
    assert_eq!(running.world.torn_down.load(Ordering::SeqCst), 2);
    running.stop().await;
}

#[tokio::test]
async fn an_api_server_that_was_away_is_caught_up_with() {
    let running = start(1);
    running.api.put("a", mode(""));
    running.api.put("gone", mode(""));
    running.api.until("a", is_ready).await;
    running.api.until("gone", is_ready).await;
    running.api.away(true);
    // Seen while nobody answers: the spec moves on, an object goes, another comes.
    running.api.put("a", mode("nonsense"));
    running.api.put("gone", |widget| {
        widget["metadata"]["finalizers"] = json!([]);
        widget["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    running.api.put("new", mode(""));
    running.api.away(false);
    running.api.until("new", is_ready).await;
    running.api.until("a", |widget| condition(widget, "Stalled")["status"] == "True").await;
    assert!(running.handle.store.len() >= 2);
    running.stop().await;
}

#[tokio::test]
async fn events_are_written_beside_the_reconcile() {
    let running = start(1);
    running.api.put("a", mode("nonsense"));
    running.api.until("a", |widget| condition(widget, "Stalled")["status"] == "True").await;
    let api = running.api.clone();
    let expect = "Warning InvalidMode mode `nonsense` does not exist";
    let seen = async {
        while !api.events().iter().any(|event| event == expect) {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), seen).await.is_ok(), "{:?}", api.events());
    running.stop().await;
}
