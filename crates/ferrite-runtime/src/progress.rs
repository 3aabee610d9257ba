//! What a running reconcile can tell the driver, and how it gives its worker back while it waits.

use std::{fmt, future::Future, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{classify::Interrupted, conditions::Truth, reconcile::Event};

/// The handle a step holds on its reconcile.
///
/// Nothing here blocks or fails: the driver writes what is told to status, throttled, beside the running step, and
/// drops what the end of the reconcile overtakes.
#[derive(Debug)]
pub struct Progress {
    told: Mutex<Told>,
    /// The last sentence, written or not.
    said: Mutex<Option<String>>,
    pub(crate) changed: Notify,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    workers: Arc<Semaphore>,
    superseded: CancellationToken,
    shutdown: CancellationToken,
}

/// Status, reason and message of a condition.
type State = (Truth, String, String);

/// What has been told and not yet written.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    pub(crate) message: Option<String>,
    pub(crate) drift: bool,
    pub(crate) conditions: Vec<(String, Option<State>)>,
    pub(crate) status: Map<String, Value>,
    pub(crate) events: Vec<Event>,
}

impl Told {
    pub(crate) fn is_empty(&self) -> bool {
        self.message.is_none() && self.conditions.is_empty() && self.status.is_empty()
    }
}

impl Progress {
    pub(crate) fn new(
        slot: OwnedSemaphorePermit,
        workers: Arc<Semaphore>,
        superseded: CancellationToken,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            told: Mutex::default(),
            said: Mutex::default(),
            changed: Notify::new(),
            slot: Mutex::new(Some(slot)),
            workers,
            superseded,
            shutdown,
        }
    }

    /// A handle bound to no driver, for calling a step by itself: what is told goes nowhere.
    #[must_use]
    pub fn detached() -> Self {
        Self {
            told: Mutex::default(),
            said: Mutex::default(),
            changed: Notify::new(),
            slot: Mutex::new(None),
            workers: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            superseded: CancellationToken::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// Shows `message` in `Reconciling` (and in `Ready` by the progressive rules).
    pub fn say(&self, message: fmt::Arguments<'_>) {
        self.speak(message.to_string(), false);
    }

    /// [`Progress::say`] after a real difference was found: `Ready` becomes Unknown whatever it was.
    pub fn say_drift(&self, message: fmt::Arguments<'_>) {
        self.speak(message.to_string(), true);
    }

    /// Shows a condition before the end of the reconcile.
    pub fn mark(
        &self,
        kind: impl AsRef<str>,
        truth: Truth,
        reason: impl AsRef<str>,
        message: impl Into<String>,
    ) {
        let state = (truth, reason.as_ref().to_owned(), message.into());
        self.tell(|told| told.conditions.push((kind.as_ref().to_owned(), Some(state))));
    }

    /// Removes a condition before the end of the reconcile.
    pub fn unmark(&self, kind: impl AsRef<str>) {
        self.tell(|told| told.conditions.push((kind.as_ref().to_owned(), None)));
    }

    /// Merges one field of status before the end of the reconcile; `Value::Null` removes it.
    pub fn field(&self, name: &str, value: Value) {
        self.tell(|told| {
            told.status.insert(name.to_owned(), value);
        });
    }

    /// Emits an event at once.
    pub fn event(&self, event: Event) {
        self.tell(|told| told.events.push(event));
    }

    /// Waits without holding a worker.
    ///
    /// The worker goes back to the pool until `future` is done, then one is taken again, in turn.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Superseded`] as soon as a newer generation, revision or request arrives for the object, and
    /// [`Interrupted::Shutdown`] when the process goes down; `future` is dropped then.
    pub async fn wait<F: Future>(&self, future: F) -> Result<F::Output, Interrupted> {
        let held = self.slot.lock().take();
        let had_slot = held.is_some();
        drop(held);
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(Interrupted::Shutdown),
            () = self.superseded.cancelled() => Err(Interrupted::Superseded),
            output = future => Ok(output),
        };
        // On shutdown nobody needs to queue: what is left is to report.
        if had_slot && !matches!(outcome, Err(Interrupted::Shutdown)) {
            let slot = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Interrupted::Shutdown),
                slot = Arc::clone(&self.workers).acquire_owned() => slot.ok(),
            };
            *self.slot.lock() = slot;
        }
        outcome
    }

    /// Waits without holding a worker for what must not be left half done: something newer does not end it.
    ///
    /// When the process goes down the driver ends the reconcile after its grace, and with it this wait.
    pub async fn outlast<F: Future>(&self, future: F) -> F::Output {
        let held = self.slot.lock().take();
        let had_slot = held.is_some();
        drop(held);
        let output = future.await;
        if had_slot {
            // On shutdown nobody needs to queue: what is left is to report.
            let slot = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => None,
                slot = Arc::clone(&self.workers).acquire_owned() => slot.ok(),
            };
            *self.slot.lock() = slot;
        }
        output
    }

    /// Cancelled when something newer arrived for this object.
    #[must_use]
    pub const fn superseded(&self) -> &CancellationToken {
        &self.superseded
    }

    /// Cancelled when the process goes down.
    #[must_use]
    pub const fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut *self.told.lock())
    }

    fn speak(&self, message: String, drift: bool) {
        *self.said.lock() = Some(message.clone());
        self.tell(|told| {
            told.message = Some(message);
            told.drift |= drift;
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock());
        self.changed.notify_one();
    }
}

/// What was told, for the driver's report and for tests of kinds.
impl Progress {
    /// The last sentence of this reconcile, whether or not it was written.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        self.said.lock().clone()
    }

    /// The conditions told and not yet written, as a list.
    #[must_use]
    pub fn marked(&self, generation: i64, now: jiff::Timestamp) -> Vec<Condition> {
        let told = self.told.lock().clone();
        let mut conditions = crate::conditions::Conditions::new(Vec::new(), generation, now);
        told.apply_to(&mut conditions);
        conditions.into_vec()
    }
}

impl Told {
    pub(crate) fn apply_to(&self, conditions: &mut crate::conditions::Conditions) {
        for (kind, state) in &self.conditions {
            match state {
                Some((truth, reason, message)) => conditions.set(kind, *truth, reason, message.clone()),
                None => conditions.delete(kind),
            }
        }
        if let Some(message) = &self.message {
            conditions.mark_progress(message.clone(), self.drift);
        }
    }
}
