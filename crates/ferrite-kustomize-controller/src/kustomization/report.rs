//! What a person is told: status, events, and when the Kustomization is looked at again.

use std::{collections::BTreeMap, time::Duration};

use ferrite_api::{
    ConditionType, Reason, ResourceRef, Time,
    kustomize::{Kustomization, KustomizationStatus, Snapshot},
};
use ferrite_resource::Inventory;
use ferrite_runtime::{
    Class, Classify as _, Conditions, Event, Interrupted, Report, Requeue, chain, conditions_of,
};
use jiff::Timestamp;

use super::act::{Done, passed, told};
use crate::error::{Attempt, Error, Failure};

/// Entries of `status.history` that are kept.
const HISTORY: usize = 5;

pub(crate) fn report(
    object: &Kustomization,
    done: &Done,
    failure: Option<&Error>,
    now: Timestamp,
) -> Report<KustomizationStatus> {
    let mut status = object.status.clone().unwrap_or_default();
    let attempt = done.attempt.as_ref().or_else(|| failure.and_then(|error| error.attempt.as_ref()));
    if let Some(attempt) = attempt {
        status.last_attempted_revision = Some(attempt.revision.clone());
    }
    if let Some(inventory) = &done.inventory {
        status.inventory = Some(wire(inventory));
    }
    let mut conditions = conditions_of(object, now);
    let is_news = failure.is_some() || is_news(object, done, now);
    let (mut events, requeue) = match failure {
        None => succeeded(object, done, &mut status, &mut conditions, now),
        // Replaced before anything was done: the next reconcile tells.
        Some(error) if done.attempt.is_none() && is_superseded(error) => {
            (Vec::new(), Requeue::Wait(Duration::ZERO))
        }
        Some(error) => failed(object, error, attempt, &mut status, &mut conditions),
    };
    if !is_news {
        events.clear();
    } else if let Some(outcome) = outcome(failure) {
        remember(&mut status.history, done, outcome, now);
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue }
}

/// Whether a success is worth telling. One that only looked, because a watch saw somebody write to an applied object
/// and nothing had to be put right, is not: Flux would not have looked.
fn is_news(object: &Kustomization, done: &Done, now: Timestamp) -> bool {
    let Some(status) = &object.status else { return true };
    let applied = status.last_applied_revision.as_ref();
    let since = status.history.first().map(|last| now.duration_since(last.last_reconciled.0));
    // Below the interval whatever the jitter.
    let due = since
        .and_then(|since| Duration::try_from(since).ok())
        .is_none_or(|since| since >= object.spec.interval.to_std().mul_f64(0.9));
    let settled = super::is_ready(object)
        && status.history.first().map(|last| &last.digest) == done.digest.as_ref()
        && status.observed_generation == object.metadata.generation
        && applied == done.attempt.as_ref().map(|attempt| &attempt.revision);
    done.changed || due || !settled || super::plan::is_asked_for(object)
}

fn succeeded(
    object: &Kustomization,
    done: &Done,
    status: &mut KustomizationStatus,
    conditions: &mut Conditions,
    now: Timestamp,
) -> (Vec<Event>, Requeue) {
    let interval = object.spec.interval;
    let Some(attempt) = &done.attempt else { return (Vec::new(), Requeue::After(interval.to_std())) };
    status.observed_generation = object.metadata.generation;
    status.last_applied_revision = Some(attempt.revision.clone());
    status.last_applied_origin_revision.clone_from(&attempt.origin_revision);
    let reason = Reason::ReconciliationSucceeded;
    let mut events = Vec::new();
    match &done.health {
        Some(checked) => {
            // The time it took differs with every run; a text that is still true stays, so that nothing is written.
            let kept =
                conditions.before(ConditionType::Healthy).filter(|c| c.status == "True" && !checked.news);
            let text = kept.map_or_else(|| passed(checked.after), |kept| kept.message.clone());
            conditions.set_true(ConditionType::Healthy, Reason::Succeeded, text);
            if checked.news {
                events.push(told(Event::info(reason, passed(checked.after)), attempt));
            }
        }
        None => conditions.delete(ConditionType::Healthy),
    }
    conditions.delete(ConditionType::Reconciling);
    conditions.delete(ConditionType::Stalled);
    conditions.set_true(ConditionType::Ready, reason, format!("Applied revision: {}", attempt.revision));
    let message = format!(
        "Reconciliation finished in {}, next run in {interval}",
        ferrite_api::Duration::from(taken(done, now))
    );
    let commit_status = format!("{}/commit_status", ferrite_api::kustomize::GROUP);
    events.push(told(Event::info(reason, message), attempt).with(commit_status, "update"));
    (events, Requeue::After(interval.to_std()))
}

fn failed(
    object: &Kustomization,
    error: &Error,
    attempt: Option<&Attempt>,
    status: &mut KustomizationStatus,
    conditions: &mut Conditions,
) -> (Vec<Event>, Requeue) {
    if let Failure::Interrupted(Interrupted::Shutdown) = error.failure {
        // The next process goes on; what was said last is still true.
        return (Vec::new(), Requeue::Never);
    }
    let (reason, message) = (error.reason(), text(error));
    if is_superseded(error) {
        conditions.set_unknown(ConditionType::Ready, reason, message.clone());
        if object.spec.wait || !object.spec.health_checks.is_empty() {
            conditions.set_unknown(ConditionType::Healthy, reason, message);
        }
        return (Vec::new(), Requeue::Wait(Duration::ZERO));
    }
    conditions.set_false(ConditionType::Ready, reason, message.clone());
    if let Failure::Health { .. } = error.failure {
        conditions.set_false(ConditionType::Healthy, reason, message.clone());
    }
    // Flux waits for the retry interval here too, which may be an hour after a second's outage.
    let retry = if object.metadata.deletion_timestamp.is_some() || error.failure.is_transient() {
        Requeue::Backoff
    } else {
        Requeue::Wait(object.spec.retry_interval().to_std())
    };
    let named = |event: Event| match attempt {
        Some(attempt) => told(event, attempt),
        None => event,
    };
    match error.class() {
        Class::Stalled => {
            status.observed_generation = object.metadata.generation;
            conditions.mark_stalled(reason, message.clone());
            (vec![named(Event::error(reason, message))], Requeue::Never)
        }
        Class::Wait(again) => {
            conditions.mark_retrying();
            let events = match &error.failure {
                Failure::Dependency { again, .. } => {
                    let again = ferrite_api::Duration::from(*again);
                    let text = format!("Dependencies do not meet ready condition, retrying in {again}");
                    vec![named(Event::info(reason, text))]
                }
                _ => Vec::new(),
            };
            (events, Requeue::Wait(again))
        }
        Class::Retry => {
            conditions.mark_retrying();
            (vec![named(Event::error(reason, message))], retry)
        }
    }
}

fn is_superseded(error: &Error) -> bool {
    matches!(error.failure, Failure::Interrupted(Interrupted::Superseded))
}

/// The error with its causes. Objects that are not healthy are told with what explains it.
fn text(error: &Error) -> String {
    match &error.failure {
        Failure::Health { source, .. } => format!("{error}: {source:#}"),
        _ => chain(error),
    }
}

fn taken(done: &Done, now: Timestamp) -> Duration {
    done.started.and_then(|started| now.duration_since(started).try_into().ok()).unwrap_or_default()
}

fn wire(inventory: &Inventory) -> ferrite_api::Inventory {
    let entries = inventory.to_pairs().into_iter().map(|(id, version)| ResourceRef { id, version }).collect();
    ferrite_api::Inventory { entries }
}

/// The word of `status.history` for how a reconcile ended; those that built nothing are not remembered.
fn outcome(failure: Option<&Error>) -> Option<Reason> {
    match failure.map(|error| &error.failure) {
        None => Some(Reason::ReconciliationSucceeded),
        Some(Failure::Apply(_)) => Some(Reason::ReconciliationFailed),
        Some(Failure::Prune(_)) => Some(Reason::PruneFailed),
        Some(Failure::Health { .. }) => Some(Reason::HealthCheckFailed),
        Some(_) => None,
    }
}

/// Counts a reconcile in `history`: one entry for each digest and outcome, newest first, at most five.
fn remember(history: &mut Vec<Snapshot>, done: &Done, outcome: Reason, now: Timestamp) {
    let (Some(digest), Some(attempt)) = (&done.digest, &done.attempt) else { return };
    let at = Time(now);
    let same =
        history.iter().position(|s| s.digest == *digest && s.last_reconciled_status == outcome.as_str());
    let known = same.map(|index| history.remove(index));
    let mut metadata = BTreeMap::from([("revision".to_owned(), attempt.revision.clone())]);
    if let Some(origin) = &attempt.origin_revision {
        metadata.insert("originRevision".to_owned(), origin.clone());
    }
    let entry = Snapshot {
        digest: digest.clone(),
        first_reconciled: known.as_ref().map_or_else(|| at.clone(), |known| known.first_reconciled.clone()),
        last_reconciled: at,
        last_reconciled_duration: ferrite_api::Duration::from(taken(done, now)),
        last_reconciled_status: outcome.as_str().to_owned(),
        total_reconciliations: known.map_or(0, |known| known.total_reconciliations).saturating_add(1),
        metadata,
    };
    history.insert(0, entry);
    history.truncate(HISTORY);
}
