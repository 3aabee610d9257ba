//! The contract between a kind's reconciler and the driver.

use std::{collections::BTreeMap, fmt, future::Future, time::Duration};

use jiff::Timestamp;
use kube::{
    Resource,
    core::{NamespaceResourceScope, object::HasStatus},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    classify::{Classify, Interrupted},
    conditions::Conditions,
    progress::Progress,
};

/// A namespaced kind with a status: what [`Reconcile`] works on. Implemented for every such type.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Serialize + Clone + Default + Send + Sync>
    + Serialize
    + DeserializeOwned
    + Clone
    + fmt::Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Serialize + Clone + Default + Send + Sync>
        + Serialize
        + DeserializeOwned
        + Clone
        + fmt::Debug
        + Send
        + Sync
        + 'static
{
}

/// The status type of a kind.
pub type StatusOf<K> = <K as HasStatus>::Status;

/// How one kind is reconciled: read, decide, write, tell.
///
/// ```text
/// observe ──▶ plan ──▶ act ──▶ report          the driver alone patches status, emits events,
///  reads      pure    writes    pure            records metrics and requeues
/// ```
///
/// Finalizer, suspend, `requestedAt`, deletion, panics, backoff and jitter are the driver's and appear in no
/// implementation. Implementations write `async fn`; the futures must be `Send`.
pub trait Reconcile: Send + Sync + 'static {
    /// The kind.
    type Object: Object;
    /// Everything that was read.
    type Observed: Send;
    /// Everything that will be done, with no choice left open.
    type Plan: fmt::Debug + Send;
    /// What has been done; owned by the driver, so that it survives an error, a panic and a cancelled future.
    type Done: Default + Send;
    /// What can go wrong; `From<Interrupted>` covers what the driver itself ends.
    type Error: std::error::Error + Classify + From<Interrupted> + Send + Sync + 'static;

    /// The finalizer that guards [`Reconcile::teardown`]; `None` when deletion needs no work.
    const FINALIZER: Option<&'static str> = Some("finalizers.fluxcd.io");

    /// Whether this controller has anything to do with `object`, by its spec.
    ///
    /// What does not concern it gets neither finalizer nor status; what it left on an object that once concerned it
    /// is taken away: [`Reconcile::teardown`] runs, the status is emptied and the finalizer goes.
    fn concerns(object: &Self::Object) -> bool {
        let _all = object;
        true
    }

    /// Reads only. `step` tells what is being waited for.
    fn observe(
        &self,
        object: &Self::Object,
        step: &Progress,
    ) -> impl Future<Output = Result<Self::Observed, Self::Error>> + Send;

    /// Decides: pure, total, no clock, no `&self`.
    fn plan(object: &Self::Object, observed: &Self::Observed) -> Self::Plan;

    /// The only step that writes; notes each effect in `done` as it happens.
    ///
    /// Long waits go through [`Progress::wait`], which gives the worker back meanwhile.
    fn act(
        &self,
        plan: Self::Plan,
        done: &mut Self::Done,
        step: &Progress,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Tells: pure. `object` carries the status as last written, including what `step` showed meanwhile.
    fn report(
        object: &Self::Object,
        done: &Self::Done,
        failure: Option<&Self::Error>,
        now: Timestamp,
    ) -> Report<StatusOf<Self::Object>>;

    /// Undoes what `act` did, for an object that is being deleted; runs even when the object is suspended.
    ///
    /// The finalizer goes when this returns `Ok`; an error is reported through [`Reconcile::report`] and retried.
    /// The events it returns are emitted before the finalizer goes.
    fn teardown(
        &self,
        object: &Self::Object,
        done: &mut Self::Done,
        step: &Progress,
    ) -> impl Future<Output = Result<Vec<Event>, Self::Error>> + Send {
        let _unused = (object, done, step);
        async { Ok(Vec::new()) }
    }

    /// The sentence of `Reconciling` when a reconcile starts, or `None` to write nothing before its end.
    ///
    /// The default speaks when there is a new generation or an unhandled request, so a steady state is silent.
    fn opening(opening: &Opening<'_>) -> Option<String> {
        opening.sentence()
    }
}

/// What [`Reconcile::opening`] may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`; -1 when there is none.
    pub observed_generation: i64,
    /// The value of `reconcile.fluxcd.io/requestedAt` when `status.lastHandledReconcileAt` differs from it.
    pub unhandled_request: Option<&'a str>,
}

impl Opening<'_> {
    /// Flux's sentence: new generation first, then an unhandled request, else nothing.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        if self.generation != self.observed_generation {
            return Some(format!(
                "processing object: new generation {} -> {}",
                self.observed_generation, self.generation
            ));
        }
        self.unhandled_request.map(|_| "reconciliation in progress".to_owned())
    }
}

/// What a reconcile tells: the whole new status, the events, and when to come back.
///
/// The driver writes only the difference to the status it last saw, and nothing at all when there is none.
/// It sets `lastHandledReconcileAt` itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<S> {
    /// The status as it should be, conditions included.
    pub status: S,
    /// Events in order.
    pub events: Vec<Event>,
    /// When to come back.
    pub requeue: Requeue,
}

/// When an object is looked at again, unless something triggers it earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// After the interval, with the configured jitter. Resets the backoff.
    After(Duration),
    /// After exactly this time, without jitter. Resets the backoff.
    Wait(Duration),
    /// After the object's exponential backoff.
    Backoff,
    /// Not by time.
    Never,
}

impl Requeue {
    /// The requeue for a result: `interval` on success, else what the error's class says.
    #[must_use]
    pub fn for_result(failure: Option<&dyn Classify>, interval: Duration) -> Self {
        use crate::classify::Class;
        match failure.map(Classify::class) {
            None => Self::After(interval),
            Some(Class::Retry) => Self::Backoff,
            Some(Class::Wait(delay)) => Self::Wait(delay),
            Some(Class::Stalled) => Self::Never,
        }
    }
}

/// How loud an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Severity {
    /// A Kubernetes event of type Normal only; never posted.
    Trace,
    /// Normal, posted as `info`.
    Info,
    /// Warning, posted as `error`.
    Error,
}

/// One event; reason = the condition reason it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// How loud.
    pub severity: Severity,
    /// CamelCase reason.
    pub reason: String,
    /// What happened, for a person.
    pub message: String,
    /// Metadata by full key (`<api group>/revision`); becomes annotations of the Kubernetes event.
    pub metadata: BTreeMap<String, String>,
}

impl Event {
    /// An event of type Normal, posted as `info`.
    pub fn info(reason: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, reason, message)
    }

    /// An event of type Warning, posted as `error`.
    pub fn error(reason: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, reason, message)
    }

    /// An event of type Normal that is never posted.
    pub fn trace(reason: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self::new(Severity::Trace, reason, message)
    }

    fn new(severity: Severity, reason: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self {
            severity,
            reason: reason.as_ref().to_owned(),
            message: message.into(),
            metadata: BTreeMap::new(),
        }
    }

    /// Adds one metadata entry.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// Reads what the driver and `report` need from any object's metadata and status.
pub(crate) mod facts {
    use super::Object;
    use serde_json::Value;

    /// The annotation whose change asks for a reconcile.
    pub(crate) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

    pub(crate) fn requested_at<K: kube::Resource>(object: &K) -> Option<&str> {
        object.meta().annotations.as_ref()?.get(REQUESTED_AT).map(String::as_str)
    }

    /// The status as JSON; an empty object when there is none.
    pub(crate) fn status<K: Object>(object: &K) -> serde_json::Map<String, Value> {
        match object.status().map(serde_json::to_value) {
            Some(Ok(Value::Object(map))) => map,
            _ => serde_json::Map::new(),
        }
    }

    pub(crate) fn suspended(object: &Value) -> bool {
        object.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Starts the conditions of a report from those the object has.
#[must_use]
pub fn conditions_of<K: Object>(object: &K, now: Timestamp) -> Conditions {
    let before = facts::status(object)
        .remove("conditions")
        .and_then(|list| serde_json::from_value(list).ok())
        .unwrap_or_default();
    Conditions::new(before, object.meta().generation.unwrap_or_default(), now)
}
