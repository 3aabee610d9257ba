//! What every source tells of a reconcile: the rules that its conditions, events and requeue follow.
//!
//! Flux: `internal/reconcile/summarize` and the `…ReadyCondition` tables of each controller.

use std::time::Duration;

use ferrite_api::{Artifact, ConditionType, Reason, metadata, source::GROUP};
use ferrite_runtime::{Class, Classify, Conditions, Event, Requeue, Truth, chain};

/// The types whose order decides `Ready`. Each kind has some of them; absent ones decide nothing.
const ORDER: &[&str] = &[
    ConditionType::StorageOperationFailed.as_str(),
    ConditionType::FetchFailed.as_str(),
    ConditionType::IncludeUnavailable.as_str(),
    ConditionType::BuildFailed.as_str(),
    ConditionType::ArtifactOutdated.as_str(),
    ConditionType::ArtifactInStorage.as_str(),
    ConditionType::SourceVerified.as_str(),
    ConditionType::Stalled.as_str(),
    ConditionType::Reconciling.as_str(),
];

/// Those whose True is bad.
const NEGATIVE: &[&str] = &[
    ConditionType::StorageOperationFailed.as_str(),
    ConditionType::FetchFailed.as_str(),
    ConditionType::IncludeUnavailable.as_str(),
    ConditionType::BuildFailed.as_str(),
    ConditionType::ArtifactOutdated.as_str(),
    ConditionType::Stalled.as_str(),
    ConditionType::Reconciling.as_str(),
];

/// Those that say that the last reconcile failed, in the order of its steps.
const FAILURES: &[ConditionType] = &[
    ConditionType::FetchFailed,
    ConditionType::IncludeUnavailable,
    ConditionType::BuildFailed,
    ConditionType::StorageOperationFailed,
];

/// The step that shows its failure as False.
const VERIFIED: ConditionType = ConditionType::SourceVerified;

/// An error of a source's reconcile.
pub(crate) trait SourceError: Classify + std::error::Error {
    /// The condition that shows it; `None` for what the driver ended.
    fn condition(&self) -> Option<ConditionType>;

    /// Whether it is the ordinary course of things, of which nobody is alerted.
    fn is_ordinary(&self) -> bool {
        false
    }
}

/// Whether the last reconcile failed, by the conditions it left.
pub(crate) fn had_failed(conditions: &Conditions) -> bool {
    FAILURES.iter().any(|kind| conditions.is(kind, Truth::True))
}

/// The artifact is stored: nothing else is left to say.
pub(crate) fn succeed(conditions: &mut Conditions, reason: Reason, message: String) {
    for kind in FAILURES {
        conditions.delete(kind);
    }
    for kind in [ConditionType::ArtifactOutdated, ConditionType::Reconciling, ConditionType::Stalled] {
        conditions.delete(kind);
    }
    conditions.set_true(ConditionType::ArtifactInStorage, reason, message);
    summarize(conditions);
}

/// A step failed: its condition, `Ready`, and whose move it is.
pub(crate) fn fail(error: &impl SourceError, conditions: &mut Conditions, events: &mut Vec<Event>) {
    let Some(kind) = error.condition() else {
        // The driver ended it: nothing is known that was not known before, and it goes on soon.
        mark_retrying(conditions);
        return;
    };
    let (reason, message) = (error.reason(), chain(error));
    if kind == VERIFIED {
        // What is verified has been fetched.
        conditions.delete(ConditionType::FetchFailed);
        conditions.delete(ConditionType::IncludeUnavailable);
        conditions.set_false(kind, reason, message.clone());
    } else {
        // What comes before the failed step went well; what comes after it is not known.
        for earlier in FAILURES.iter().take_while(|earlier| **earlier != kind) {
            conditions.delete(earlier);
        }
        if conditions.is(VERIFIED, Truth::False) {
            conditions.delete(VERIFIED);
        }
        conditions.set_true(kind, reason, message.clone());
    }
    match error.class() {
        Class::Stalled => {
            conditions.mark_stalled(reason, message.clone());
            events.push(Event::error(reason, message));
        }
        Class::Retry => {
            mark_retrying(conditions);
            events.push(match error.is_ordinary() {
                true => Event::trace(reason, message),
                false => Event::error(reason, message),
            });
        }
        Class::Wait(_) => {
            mark_retrying(conditions);
            events.push(Event::trace(reason, message));
        }
    }
    summarize(conditions);
}

/// A source is under way from the start, whether or not it says how far it came.
fn mark_retrying(conditions: &mut Conditions) {
    if conditions.get(ConditionType::Reconciling).is_none() {
        conditions.mark_reconciling(Reason::Progressing, "reconciliation in progress");
    }
    conditions.mark_retrying();
}

fn summarize(conditions: &mut Conditions) {
    conditions.summarize(ConditionType::Ready.as_str(), ORDER, NEGATIVE);
    // What is not verified is not ready, whatever else there is to say.
    let unverified = conditions.get(VERIFIED).filter(|_| conditions.is(VERIFIED, Truth::False));
    if let Some((reason, message)) = unverified.map(|c| (c.reason.clone(), c.message.clone())) {
        conditions.set_false(ConditionType::Ready, reason, message);
    }
}

/// Whether the generation is dealt with: by success, or because only an edit can help.
pub(crate) fn is_handled<E: SourceError>(failure: Option<&E>) -> bool {
    failure.is_none_or(|error| error.class() == Class::Stalled)
}

/// When to come back. A source without interval is looked at when somebody asks, as in Flux.
pub(crate) fn requeue<E: SourceError>(interval: Duration, failure: Option<&E>) -> Requeue {
    match Requeue::for_result(failure.map(|error| error as &dyn Classify), interval) {
        Requeue::After(interval) if interval.is_zero() => Requeue::Never,
        Requeue::After(interval) => Requeue::After(interval.max(Duration::from_secs(1))),
        other => other,
    }
}

/// What there is to tell of an artifact: that it is new, or that a failure is over; else nothing.
///
/// `words` are the reasons for the two. The metadata are those that receivers go by.
pub(crate) fn news(
    artifact: &Artifact,
    previous_digest: Option<&String>,
    recovered: bool,
    words: (Reason, Reason),
    message: String,
) -> Option<Event> {
    let (new, recovery) = words;
    let reason = if previous_digest != Some(&artifact.digest) {
        new
    } else if recovered {
        recovery
    } else {
        return None;
    };
    let event = Event::info(reason, message)
        .with(format!("{GROUP}/revision"), &artifact.revision)
        .with(format!("{GROUP}/digest"), &artifact.digest);
    Some(event)
}

/// Whether a person asked for this reconcile and was not answered yet.
pub(crate) fn is_asked<K: kube::Resource>(object: &K, handled: Option<&String>) -> bool {
    let request = object.meta().annotations.as_ref();
    let request = request.and_then(|annotations| annotations.get(metadata::RECONCILE_REQUEST));
    request.is_some() && request != handled
}
