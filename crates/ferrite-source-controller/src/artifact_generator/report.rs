//! Tells: conditions, status and events, from what was done.

use std::time::Duration;

use ferrite_api::{
    Reason,
    source::{ArtifactGenerator, ArtifactGeneratorStatus},
};
use ferrite_runtime::{
    Class, Classify as _, Event, Report, Requeue, chain,
    conditions::{READY, RECONCILING, STALLED},
    conditions_of,
};

use super::{Done, Error, Outcome};

/// Everything is checked this often, though nothing said that it changed.
const CHECK_EVERY: Duration = Duration::from_hours(1);

pub(super) fn report(
    generator: &ArtifactGenerator,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<ArtifactGeneratorStatus> {
    let mut status = generator.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(generator, now);
    let mut events = Vec::new();
    match (failure, &done.outcome) {
        (Some(Error::Interrupted(_)), _) | (None, Outcome::Unfinished) => conditions.mark_retrying(),
        (Some(error), _) => {
            let (reason, message) = (error.reason(), chain(error));
            conditions.set_false(READY, reason, message.clone());
            if error.class() == Class::Stalled {
                conditions.mark_stalled(reason, message.clone());
            } else {
                conditions.delete(STALLED);
                conditions.mark_retrying();
            }
            events.push(Event::error(reason, message));
            // What was made before the failure is not forgotten.
            for made in &done.inventory {
                status.inventory.retain(|one| one.name != made.name);
                status.inventory.push(made.clone());
            }
        }
        (None, Outcome::Disabled) => {
            conditions.delete(RECONCILING);
            events.push(Event::trace(Reason::ReconciliationDisabled, "Reconciliation is disabled"));
        }
        (None, Outcome::UpToDate) => {
            conditions.delete(RECONCILING);
            conditions.delete(STALLED);
        }
        (None, Outcome::Built { sources_digest }) => {
            let message = format!("reconciliation succeeded, generated {} artifact(s)", done.inventory.len());
            conditions.delete(RECONCILING);
            conditions.delete(STALLED);
            conditions.set_true(READY, Reason::Succeeded, message);
            status.inventory.clone_from(&done.inventory);
            status.observed_sources_digest = Some(sources_digest.clone());
            if !done.changed.is_empty() {
                let message = format!("external artifacts reconciled:\n{}", done.changed.join("\n"));
                events.push(Event::info(Reason::Ready, message));
            }
        }
    }
    status.conditions = conditions.into_vec();
    let requeue = match (failure, &done.outcome) {
        (None, Outcome::Disabled) => Requeue::Never,
        (failure, _) => {
            Requeue::for_result(failure.map(|error| error as &dyn ferrite_runtime::Classify), CHECK_EVERY)
        }
    };
    Report { status, events, requeue }
}
