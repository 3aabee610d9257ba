//! What a person is told: status, events, and when the HelmRelease is looked at again.

use std::time::Duration;

use ferrite_api::{
    ConditionType, Reason,
    helm::{HelmRelease, HelmReleaseStatus},
};
use ferrite_runtime::{
    Class, Classify as _, Conditions, Event, Interrupted, Report, Requeue, chain, conditions_of,
};
use jiff::Timestamp;

use super::{
    FORCE, RESET,
    act::{Done, Outcome, play},
    token,
};
use crate::error::Error;

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
    play(&done.marks, &mut conditions);
    let mut events = Vec::new();
    let requeue = match failure {
        Some(error) => failed(object, error, &mut status, &mut conditions, &mut events),
        None => {
            if !matches!(done.outcome, Outcome::Charts(_)) {
                forget_prerequisites(&mut conditions);
            }
            ended(object, done, &mut status, &mut conditions)
        }
    };
    // A request that came too early, while something was missing, still waits to be handled.
    if status.last_attempted_generation == object.metadata.generation && done.status.is_some() {
        status.last_handled_force_at = token(object, FORCE).or(status.last_handled_force_at);
        status.last_handled_reset_at = token(object, RESET).or(status.last_handled_reset_at);
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue }
}

/// `Ready` stops naming a prerequisite that is there again: what the release itself came to is told instead.
fn forget_prerequisites(conditions: &mut Conditions) {
    const PREREQUISITES: [Reason; 7] = [
        Reason::DependencyNotReady,
        Reason::AccessDenied,
        Reason::ArtifactFailed,
        Reason::SourceNotReady,
        Reason::ValuesError,
        Reason::RestClientError,
        Reason::FactoryError,
    ];
    let ready = conditions.get(ConditionType::Ready).filter(|ready| ready.status == "False");
    if !ready.is_some_and(|ready| PREREQUISITES.iter().any(|reason| reason.as_str() == ready.reason)) {
        return;
    }
    let failed = [ConditionType::Remediated, ConditionType::TestSuccess, ConditionType::Released];
    let failed = failed.into_iter().find_map(|kind| {
        conditions.get(kind).filter(|c| c.status == "False" || kind == ConditionType::Remediated).cloned()
    });
    match failed {
        Some(failed) => conditions.set_false(ConditionType::Ready, failed.reason, failed.message),
        None => {
            conditions.set_unknown(ConditionType::Ready, Reason::Progressing, "reconciliation in progress")
        }
    }
}

fn ended(
    object: &HelmRelease,
    done: &Done,
    status: &mut HelmReleaseStatus,
    conditions: &mut Conditions,
) -> Requeue {
    let told = |conditions: &Conditions| {
        conditions.get(ConditionType::Ready).map(|ready| ready.message.clone()).unwrap_or_default()
    };
    match &done.outcome {
        Outcome::Charts(again) => {
            conditions.mark_progress("Fulfilling prerequisites", false);
            Requeue::Wait(*again)
        }
        Outcome::Ready => {
            conditions.delete(ConditionType::Reconciling);
            status.observed_generation = object.metadata.generation;
            Requeue::After(object.spec.interval.to_std())
        }
        Outcome::Anew => {
            conditions.mark_progress("Fulfilling prerequisites", false);
            Requeue::Wait(Duration::ZERO)
        }
        Outcome::Overtaken => Requeue::Wait(Duration::ZERO),
        Outcome::Again => {
            let message = told(conditions);
            conditions.mark_reconciling(Reason::ProgressingWithRetry, message);
            // At once, but not in a storm when it fails again and again.
            Requeue::Backoff
        }
        Outcome::RetryAfter(interval) => {
            let text = format!("retrying after {}", ferrite_api::Duration::from(*interval));
            conditions.mark_reconciling(Reason::ProgressingWithRetry, text);
            status.observed_generation = object.metadata.generation;
            Requeue::After(*interval)
        }
        Outcome::Stalled(reason, message) => {
            conditions.mark_stalled(*reason, message.clone());
            status.observed_generation = object.metadata.generation;
            Requeue::Never
        }
    }
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
        // The action has told of it.
        Error::Action(_) => {
            if let Some(message) = conditions.get(ConditionType::Ready).map(|ready| ready.message.clone()) {
                conditions.mark_reconciling(Reason::ProgressingWithRetry, message);
            }
            return Requeue::Backoff;
        }
        _ => {}
    }
    let (reason, message) = (error.reason(), chain(error));
    conditions.set_false(ConditionType::Ready, reason, message.clone());
    match error {
        Error::Dependency { .. } => events.push(Event::info(reason, message.clone())),
        Error::AccessDenied(_) | Error::ExternalArtifactOff(_) | Error::Values(_) => {
            events.push(Event::error(reason, message.clone()));
        }
        Error::Load(why) => events.push(Event::error(reason, why.clone())),
        Error::Expression(why) => events.push(Event::error(reason, chain(why))),
        Error::Ignore(why) => events.push(Event::error(reason, chain(why))),
        _ => {}
    }
    match error.class() {
        Class::Stalled => {
            status.observed_generation = object.metadata.generation;
            conditions.mark_stalled(reason, message);
            Requeue::Never
        }
        Class::Wait(again) => Requeue::Wait(again),
        Class::Retry => Requeue::Backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_stops_naming_a_source_that_is_there_again() {
        let shown = |conditions: &Conditions| {
            let ready = conditions.get(ConditionType::Ready).cloned().unwrap();
            (ready.status, ready.reason, ready.message)
        };
        let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        let mut conditions = Conditions::new(Vec::new(), 1, Timestamp::UNIX_EPOCH);
        conditions.set_false(ConditionType::Ready, Reason::SourceNotReady, "no artifact");
        forget_prerequisites(&mut conditions);
        assert_eq!(shown(&conditions), text("Unknown", "Progressing", "reconciliation in progress"));

        conditions.set_false(ConditionType::Released, Reason::UpgradeFailed, "it broke");
        conditions.set_false(ConditionType::Ready, Reason::ValuesError, "no values");
        forget_prerequisites(&mut conditions);
        assert_eq!(shown(&conditions), text("False", "UpgradeFailed", "it broke"));

        conditions.set_false(ConditionType::Ready, Reason::TestFailed, "a test");
        forget_prerequisites(&mut conditions);
        assert_eq!(shown(&conditions), text("False", "TestFailed", "a test"));
    }
}
