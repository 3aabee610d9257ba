//! One reconcile from start to end: the only code that writes status, finalizers, events and figures.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::object::HasStatus as _,
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    classify::{Class, Classify as _, Interrupted, chain},
    conditions::{Conditions, PROGRESSING, keep_times},
    controller::{Driver, must_reconcile},
    key::ObjectKey,
    metrics::Outcome,
    progress::{Progress, Told},
    queue::{Finish, Work},
    reconcile::{Event, Opening, Reconcile, Report, Requeue, StatusOf, facts},
    status::{self, Written},
};

/// Nothing is written before a reconcile has run this long, so that a quick one costs one write.
const FIRST_WORD_AFTER: Duration = Duration::from_millis(100);
/// The least time between two intermediate writes.
const WORD_EVERY: Duration = Duration::from_secs(1);

impl<R: Reconcile> Driver<R> {
    /// Reconciles what the queue handed out, within a span that names it.
    pub(crate) async fn process(
        &self,
        work: &Work<ObjectKey>,
        slot: OwnedSemaphorePermit,
        workers: Arc<Semaphore>,
    ) -> Finish {
        let kind = R::Object::kind(&());
        let controller = kind.to_lowercase();
        let Some(object) = self.handle.store.get(&work.key) else {
            self.runtime.metrics.forget(&kind, &work.key);
            return Finish::Forget;
        };
        let span = tracing::info_span!(
            "reconcile",
            controller = %controller,
            controllerGroup = %R::Object::group(&()),
            controllerKind = %kind,
            namespace = %work.key.namespace,
            name = %work.key.name,
            reconcileID = %random_uuid(),
        );
        let started = Instant::now();
        self.runtime.metrics.waited(&controller, work.waited);
        let progress = Progress::new(slot, workers, work.superseded.clone(), self.runtime.shutdown.clone());
        let run = Run { driver: self, api: self.runtime.api_in(&work.key.namespace), progress: &progress };
        let requeue = run.reconcile(object.as_ref()).instrument(span).await;
        let (finish, outcome) = match requeue {
            Ended::Requeue(Requeue::After(interval), _) => {
                let jittered = jitter(interval, self.runtime.jitter_percent, rand::random_range(-1.0..=1.0));
                (Finish::After(jittered), Outcome::RequeueAfter)
            }
            Ended::Requeue(Requeue::Wait(delay), _) => (Finish::After(delay), Outcome::RequeueAfter),
            Ended::Requeue(Requeue::Backoff, _) => (Finish::Backoff, Outcome::Error),
            Ended::Requeue(Requeue::Never, failed) => {
                (Finish::Idle, if failed { Outcome::Error } else { Outcome::Success })
            }
            Ended::Gone => (Finish::Idle, Outcome::Success),
        };
        self.runtime.metrics.reconciled(&controller, &kind, &work.key, outcome, started.elapsed());
        finish
    }
}

/// How a reconcile ended.
enum Ended {
    /// Look again as told; whether it failed.
    Requeue(Requeue, bool),
    /// The object is gone, or as good as.
    Gone,
}

/// One reconcile under way.
struct Run<'a, R: Reconcile> {
    driver: &'a Driver<R>,
    api: Api<R::Object>,
    progress: &'a Progress,
}

impl<R: Reconcile> Run<'_, R> {
    async fn reconcile(&self, object: &R::Object) -> Ended {
        if object.meta().deletion_timestamp.is_some() {
            return self.delete(object).await;
        }
        if !R::concerns(object) {
            return self.leave(object).await;
        }
        let object = match self.with_finalizer(object).await {
            Ok(Some(object)) => object,
            Ok(None) => return Ended::Gone,
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot add the finalizer");
                return Ended::Requeue(Requeue::Backoff, true);
            }
        };
        if serde_json::to_value(&object).is_ok_and(|value| facts::suspended(&value)) {
            tracing::debug!("reconciliation is suspended for this object");
            let unchanged = facts::status(&object);
            return self.write(&object, unchanged, Vec::new(), Requeue::Never, false).await;
        }
        self.open(&object);
        let (current, done, outcome) = self.steps(&object).await;
        let failure = outcome.err();
        let now = self.driver.runtime.clock.now();
        let report = R::report(&self.with_said(&current), &done, failure.as_ref(), now);
        self.log(failure.as_ref(), &report);
        self.finish(&current, report, failure.is_some()).await
    }

    /// Tells what the kind says at the start, if anything.
    fn open(&self, object: &R::Object) {
        let status = facts::status(object);
        let handled = status.get("lastHandledReconcileAt").and_then(Value::as_str);
        let opening = Opening {
            generation: object.meta().generation.unwrap_or_default(),
            observed_generation: status.get("observedGeneration").and_then(Value::as_i64).unwrap_or(-1),
            unhandled_request: facts::requested_at(object).filter(|asked| Some(*asked) != handled),
        };
        if let Some(sentence) = R::opening(&opening) {
            self.progress.say(format_args!("{sentence}"));
        }
    }

    /// Observe, plan, act, with what they tell written beside them.
    async fn steps(&self, object: &R::Object) -> (R::Object, R::Done, Result<(), R::Error>) {
        let mut done = R::Done::default();
        let reconciler = &self.driver.reconciler;
        let steps = async {
            let observed = reconciler.observe(object, self.progress).await?;
            let plan = R::plan(object, &observed);
            drop(observed);
            tracing::debug!(?plan, "planned");
            reconciler.act(plan, &mut done, self.progress).await
        };
        let (current, outcome) = self.beside(object, steps).await;
        (current, done, outcome)
    }

    /// Runs `steps`, catching panics and ending them after the grace time of a shutdown, and writes beside them what
    /// they tell. Returns the object with the status as written last.
    async fn beside<T>(
        &self,
        object: &R::Object,
        steps: impl Future<Output = Result<T, R::Error>>,
    ) -> (R::Object, Result<T, R::Error>) {
        let ended = CancellationToken::new();
        let guarded = async {
            let _end = ended.clone().drop_guard();
            let shutdown = async {
                self.progress.shutdown().cancelled().await;
                tokio::time::sleep(self.driver.runtime.grace).await;
            };
            tokio::select! {
                biased;
                outcome = AssertUnwindSafe(steps).catch_unwind() => outcome.unwrap_or_else(|panic| {
                    self.driver.runtime.metrics.panicked(&R::Object::kind(&()).to_lowercase());
                    Err(Interrupted::Panicked(panic_text(panic.as_ref())).into())
                }),
                () = shutdown => Err(Interrupted::Shutdown.into()),
            }
        };
        let (outcome, current) = tokio::join!(guarded, self.write_progress(object.clone(), &ended));
        (current, outcome)
    }

    async fn write_progress(&self, mut current: R::Object, ended: &CancellationToken) -> R::Object {
        let mut not_before = Instant::now() + FIRST_WORD_AFTER;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => return current,
                () = self.progress.changed.notified() => {}
            }
            tokio::select! {
                biased;
                () = ended.cancelled() => return current,
                () = tokio::time::sleep_until(not_before) => {}
            }
            let told = self.progress.take();
            self.emit(&current, told.events.clone());
            if told.is_empty() {
                continue;
            }
            let wanted = self.with_told(&current, &told);
            match status::write(&self.api, self.field_manager(), &current, &wanted, None).await {
                Ok(Written::Changed(object)) => self.adopt(&mut current, object),
                Ok(Written::Unchanged | Written::Gone) => {}
                Err(error) => tracing::debug!(error = %chain(&error), "progress not written"),
            }
            not_before = Instant::now() + WORD_EVERY;
        }
    }

    fn with_told(&self, object: &R::Object, told: &Told) -> Map<String, Value> {
        let mut status = facts::status(object);
        let mut conditions = crate::reconcile::conditions_of(object, self.driver.runtime.clock.now());
        told.apply_to(&mut conditions);
        for (field, value) in told.status.clone() {
            if value.is_null() {
                status.remove(&field);
            } else {
                status.insert(field, value);
            }
        }
        status.insert("conditions".to_owned(), json!(Conditions::into_vec(conditions)));
        status
    }

    /// The object as a report sees it: with the last sentence in `Reconciling`, whether or not it was written. What a
    /// failed reconcile leaves there must not depend on how fast it was.
    fn with_said(&self, object: &R::Object) -> R::Object {
        let (Some(said), Ok(mut shown)) = (self.progress.said(), serde_json::to_value(object)) else {
            return object.clone();
        };
        let mut conditions = crate::reconcile::conditions_of(object, self.driver.runtime.clock.now());
        conditions.mark_reconciling(PROGRESSING, said);
        shown["status"]["conditions"] = json!(conditions.into_vec());
        serde_json::from_value(shown).unwrap_or_else(|_| object.clone())
    }

    async fn finish(&self, current: &R::Object, report: Report<StatusOf<R::Object>>, failed: bool) -> Ended {
        let Report { status, events, requeue } = report;
        let status = match serde_json::to_value(&status) {
            Ok(Value::Object(mut status)) => {
                keep_times(&facts::status(current), &mut status);
                status
            }
            _ => {
                tracing::error!("the status of this kind is not a JSON object, which is a bug");
                return Ended::Requeue(Requeue::Backoff, true);
            }
        };
        let mut all = self.progress.take().events;
        all.extend(events);
        self.write(current, status, all, requeue, failed).await
    }

    /// Writes the status, `lastHandledReconcileAt` included, then emits the events.
    async fn write(
        &self,
        current: &R::Object,
        mut status: Map<String, Value>,
        events: Vec<Event>,
        requeue: Requeue,
        failed: bool,
    ) -> Ended {
        if let Some(asked) = facts::requested_at(current) {
            status.insert("lastHandledReconcileAt".to_owned(), json!(asked));
        }
        let written =
            status::write(&self.api, self.field_manager(), current, &status, Some(self.progress.shutdown()))
                .await;
        let (object, ended) = match written {
            Ok(Written::Changed(object)) => {
                let mut after = current.clone();
                self.adopt(&mut after, object);
                (Some(after), Ended::Requeue(requeue, failed))
            }
            Ok(Written::Unchanged) => (None, Ended::Requeue(requeue, failed)),
            Ok(Written::Gone) => (None, Ended::Gone),
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot write status");
                (None, Ended::Requeue(Requeue::Backoff, true))
            }
        };
        self.emit(object.as_ref().unwrap_or(current), events);
        ended
    }

    async fn delete(&self, object: &R::Object) -> Ended {
        let Some(finalizer) = R::FINALIZER.filter(|ours| object.finalizers().iter().any(|have| have == ours))
        else {
            return Ended::Gone;
        };
        let mut done = R::Done::default();
        let (current, outcome) =
            self.beside(object, self.driver.reconciler.teardown(object, &mut done, self.progress)).await;
        let failure = match outcome {
            Ok(events) => {
                // What was told last may not have been emitted yet.
                let mut all = self.progress.take().events;
                all.extend(events);
                self.emit(&current, all);
                return self.drop_finalizer(&current, finalizer).await;
            }
            Err(failure) => failure,
        };
        let now = self.driver.runtime.clock.now();
        let report = R::report(&self.with_said(&current), &done, Some(&failure), now);
        self.log(Some(&failure), &report);
        // Whatever the class, an object that is being deleted is tried again: nobody can edit its spec usefully.
        let report = match report.requeue {
            Requeue::Never => Report { requeue: Requeue::Backoff, ..report },
            Requeue::After(_) | Requeue::Wait(_) | Requeue::Backoff => report,
        };
        self.finish(&current, report, true).await
    }

    /// Takes away what was left on an object that is no concern any more; touches no other.
    async fn leave(&self, object: &R::Object) -> Ended {
        let Some(finalizer) = R::FINALIZER.filter(|ours| object.finalizers().iter().any(|have| have == ours))
        else {
            return Ended::Requeue(Requeue::Never, false);
        };
        let mut done = R::Done::default();
        let teardown = self.driver.reconciler.teardown(object, &mut done, self.progress);
        let (mut current, outcome) = self.beside(object, teardown).await;
        match outcome {
            Ok(events) => self.emit(&current, events),
            Err(failure) => {
                tracing::error!(error = %chain(&failure), "cannot take away what was made for the object");
                return Ended::Requeue(Requeue::Backoff, true);
            }
        }
        let shutdown = Some(self.progress.shutdown());
        let empty = Map::new();
        match status::write(&self.api, self.field_manager(), &current, &empty, shutdown).await {
            Ok(Written::Changed(object)) => self.adopt(&mut current, object),
            Ok(Written::Unchanged) => {}
            Ok(Written::Gone) => return Ended::Gone,
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot write status");
                return Ended::Requeue(Requeue::Backoff, true);
            }
        }
        match self.drop_finalizer(&current, finalizer).await {
            Ended::Gone => Ended::Requeue(Requeue::Never, false),
            failed @ Ended::Requeue(..) => failed,
        }
    }

    async fn drop_finalizer(&self, object: &R::Object, finalizer: &str) -> Ended {
        let left: Vec<&String> = object.finalizers().iter().filter(|have| *have != finalizer).collect();
        match self.patch_finalizers(object, json!(left)).await {
            Ok(_) => Ended::Gone,
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot remove the finalizer");
                Ended::Requeue(Requeue::Backoff, true)
            }
        }
    }

    /// The object with our finalizer on it; `None` when it is gone.
    async fn with_finalizer(&self, object: &R::Object) -> Result<Option<R::Object>, kube::Error> {
        let Some(finalizer) =
            R::FINALIZER.filter(|ours| !object.finalizers().iter().any(|have| have == ours))
        else {
            return Ok(Some(object.clone()));
        };
        let mut all = object.finalizers().to_vec();
        all.push(finalizer.to_owned());
        let written = self.patch_finalizers(object, json!(all)).await?;
        if let Some(written) = &written {
            self.seen(object, written.clone());
        }
        Ok(written)
    }

    async fn patch_finalizers(
        &self,
        object: &R::Object,
        list: Value,
    ) -> Result<Option<R::Object>, kube::Error> {
        // The resource version guards finalizers that others added meanwhile.
        let body = json!({"metadata": {"finalizers": list, "resourceVersion": object.resource_version()}});
        let params =
            PatchParams { field_manager: Some(self.field_manager().to_owned()), ..PatchParams::default() };
        match self.api.patch(&object.name_any(), &params, &Patch::Merge(&body)).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the status of what a write returned into the object under way. Its spec and annotations stay those that
    /// this reconcile works on: observing a generation that was not handled would be a lie.
    fn adopt(&self, current: &mut R::Object, written: R::Object) {
        current.status_mut().clone_from(&written.status().cloned());
        current.meta_mut().resource_version.clone_from(&written.meta().resource_version);
        self.seen(current, written);
    }

    /// Shows what a write returned to the next reconcile. An object that must be reconciled anew is left to the watch,
    /// which would otherwise find nothing changed.
    fn seen(&self, before: &R::Object, written: R::Object) {
        if !must_reconcile(before, &written)
            && let Some(change) = self.driver.handle.store.offer(written)
        {
            self.driver.react(&change);
        }
    }

    fn emit(&self, object: &R::Object, events: Vec<Event>) {
        for event in events {
            self.driver.runtime.recorder.emit(object, event);
        }
    }

    fn field_manager(&self) -> &str {
        &self.driver.runtime.field_manager
    }

    fn log(&self, failure: Option<&R::Error>, report: &Report<StatusOf<R::Object>>) {
        match failure {
            None => {
                for event in &report.events {
                    tracing::info!(reason = %event.reason, "{}", event.message);
                }
                tracing::debug!(requeue = ?report.requeue, "reconciliation finished");
            }
            Some(error) => match error.class() {
                Class::Wait(_) => tracing::info!(reason = error.reason(), "{}", chain(error)),
                Class::Retry | Class::Stalled => {
                    tracing::error!(reason = error.reason(), error = %chain(error), "reconciliation failed");
                }
            },
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// `interval × (1 ± percent/100)`; `unit` is drawn from -1 to 1.
fn jitter(interval: Duration, percent: u8, unit: f64) -> Duration {
    let share = f64::from(percent.min(99)) / 100.0;
    interval.mul_f64((1.0 + share * unit).max(0.0))
}

/// A random UUID (version 4), as controller-runtime puts into every log line of a reconcile.
pub(crate) fn random_uuid() -> String {
    let value = rand::random::<u128>() & !(0xf000_u128 << 64) & !(0xc000_u128 << 48)
        | (0x4000_u128 << 64)
        | (0x8000_u128 << 48);
    let hex = format!("{value:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_share() {
        let hour = Duration::from_hours(1);
        assert_eq!(jitter(hour, 5, 1.0), Duration::from_mins(63));
        assert_eq!(jitter(hour, 5, -1.0), Duration::from_mins(57));
        assert_eq!(jitter(hour, 0, 1.0), hour);
    }

    #[test]
    fn reconcile_ids_are_random_uuids() {
        let id = random_uuid();
        let bytes = id.as_bytes();
        assert!(id.len() == 36 && bytes[14] == b'4' && b"89ab".contains(&bytes[19]), "{id}");
    }
}
