//! What a person is told: status, events, and when the HelmRelease is looked at again.

use std::time::Duration;

use ferrite_api::{
    ConditionType, Reason,
    helm::{GROUP, HelmRelease, HelmReleaseStatus},
};
use ferrite_runtime::{
    Class, Classify as _, Conditions, Event, Interrupted, Report, Requeue, Truth, chain, conditions_of,
};
use jiff::Timestamp;

use super::{
    FORCE, RESET,
    act::{Done, Outcome},
    token,
};
use crate::{error::Error, state};

pub(crate) fn report(
    object: &HelmRelease,
    done: &Done,
    failure: Option<&Error>,
    now: Timestamp,
) -> Report<HelmReleaseStatus> {
    let own = object.status.clone().unwrap_or_default();
    let mut status = done.status.clone().unwrap_or_else(|| own.clone());
    status.last_handled_reconcile_at = own.last_handled_reconcile_at;
    let mut conditions = conditions_of(object, now);
    for (kind, state) in &done.marks {
        match state {
            Some((truth, reason, message)) => conditions.set(kind, *truth, reason, message.clone()),
            None => conditions.delete(kind),
        }
    }
    let mut events: Vec<Event> = done.events.iter().map(|event| told(event.clone(), &status)).collect();
    let requeue = match failure {
        Some(error) => failed(object, error, &mut status, &mut conditions, &mut events),
        None => ended(object, done, &mut status, &mut conditions, &mut events),
    };
    // A request that came too early, while something was missing, still waits to be handled.
    if status.last_attempted_generation == object.metadata.generation && done.status.is_some() {
        status.last_handled_force_at = token(object, FORCE).or(status.last_handled_force_at);
        status.last_handled_reset_at = token(object, RESET).or(status.last_handled_reset_at);
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue }
}

fn ended(
    object: &HelmRelease,
    done: &Done,
    status: &mut HelmReleaseStatus,
    conditions: &mut Conditions,
    events: &mut Vec<Event>,
) -> Requeue {
    match &done.outcome {
        Outcome::Charts(again) => {
            conditions.mark_progress("Fulfilling prerequisites", false);
            Requeue::Wait(*again)
        }
        Outcome::Ready => {
            summarize(object, status, conditions);
            conditions.delete(ConditionType::Reconciling);
            conditions.delete(ConditionType::Stalled);
            status.observed_generation = object.metadata.generation;
            Requeue::After(object.spec.interval.to_std())
        }
        Outcome::Again => {
            summarize(object, status, conditions);
            conditions.mark_reconciling(Reason::ProgressingWithRetry, "retrying after remediation");
            Requeue::Wait(Duration::ZERO)
        }
        Outcome::RetryAfter(interval) => {
            summarize(object, status, conditions);
            let text = format!("retrying after {}", ferrite_api::Duration::from(*interval));
            conditions.mark_reconciling(Reason::ProgressingWithRetry, text);
            status.observed_generation = object.metadata.generation;
            Requeue::After(*interval)
        }
        Outcome::Stalled(reason, message) => {
            summarize(object, status, conditions);
            if !conditions.is(ConditionType::Ready, Truth::False) {
                conditions.set_false(ConditionType::Ready, *reason, message.clone());
            }
            conditions.mark_stalled(*reason, message.clone());
            status.observed_generation = object.metadata.generation;
            events.push(told(Event::error(*reason, message.clone()), status));
            Requeue::Never
        }
    }
}

/// `Ready` from the newest of `Remediated`, `TestSuccess` and `Released`; what was remediated is never ready.
fn summarize(object: &HelmRelease, status: &HelmReleaseStatus, conditions: &mut Conditions) {
    let mut order = vec![ConditionType::Remediated, ConditionType::Released];
    if state::tests(&object.spec) && !state::ignores_tests(&object.spec, status) {
        order.insert(1, ConditionType::TestSuccess);
    }
    let found = order.iter().filter_map(|kind| conditions.get(kind).cloned());
    // `max_by_key` keeps the last of equals, so the order is turned round.
    let newest = found.rev().max_by_key(|condition| condition.observed_generation);
    let Some(newest) = newest else { return };
    let truth = match newest.status.as_str() {
        "True" if newest.type_ != ConditionType::Remediated.as_str() => Truth::True,
        "Unknown" => Truth::Unknown,
        _ => Truth::False,
    };
    conditions.set(ConditionType::Ready, truth, newest.reason, newest.message);
}

fn failed(
    object: &HelmRelease,
    error: &Error,
    status: &mut HelmReleaseStatus,
    conditions: &mut Conditions,
    events: &mut Vec<Event>,
) -> Requeue {
    match error {
        // The next process goes on; what was said last is still true.
        Error::Interrupted(Interrupted::Shutdown) => return Requeue::Never,
        Error::Interrupted(Interrupted::Superseded) => return Requeue::Wait(Duration::ZERO),
        Error::Action(_) => {
            summarize(object, status, conditions);
            if let Some(message) = conditions.get(ConditionType::Ready).map(|ready| ready.message.clone()) {
                conditions.mark_reconciling(Reason::ProgressingWithRetry, message);
            }
            return Requeue::Backoff;
        }
        _ => {}
    }
    let (reason, message) = (error.reason(), chain(error));
    conditions.set_false(ConditionType::Ready, reason, message.clone());
    match error.class() {
        Class::Stalled => {
            status.observed_generation = object.metadata.generation;
            conditions.mark_stalled(reason, message.clone());
            events.push(told(Event::error(reason, message), status));
            Requeue::Never
        }
        Class::Wait(again) => {
            if matches!(error, Error::Dependency { .. }) {
                let text = format!(
                    "dependencies do not meet ready condition ({message}): retrying in {}",
                    ferrite_api::Duration::from(again)
                );
                events.push(told(Event::info(reason, text), status));
            }
            Requeue::Wait(again)
        }
        Class::Retry => {
            events.push(told(Event::error(reason, message), status));
            Requeue::Backoff
        }
    }
}

/// An event with the release it is about.
pub(crate) fn told(event: Event, status: &HelmReleaseStatus) -> Event {
    let latest = status.history.first();
    let pairs = [
        ("revision", status.last_attempted_revision.clone()),
        ("token", status.last_attempted_config_digest.clone()),
        ("app-version", latest.and_then(|snapshot| snapshot.app_version.clone())),
        ("oci-digest", status.last_attempted_revision_digest.clone()),
    ];
    pairs.into_iter().fold(event, |event, (key, value)| match value {
        Some(value) => event.with(format!("{GROUP}/{key}"), value),
        None => event,
    })
}
