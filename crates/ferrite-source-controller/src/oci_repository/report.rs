//! Tells: conditions, status and events, from what was done.

use ferrite_api::{
    ConditionType, Reason,
    source::{OciRepository, OciRepositoryStatus},
};
use ferrite_runtime::{Event, Report, conditions_of};

use super::{Done, Error, Verified, act::origin};
use crate::outcome;

pub(super) fn report(
    repository: &OciRepository,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<OciRepositoryStatus> {
    let spec = &repository.spec;
    let mut status = repository.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(repository, now);
    let recovered = outcome::had_failed(&conditions);
    let mut events: Vec<Event> = done.started.event().into_iter().collect();
    if done.started.lost {
        status.artifact = None;
        status.url = None;
        conditions.delete(ConditionType::ArtifactInStorage);
    }
    if spec.verify.is_none() {
        conditions.delete(ConditionType::SourceVerified);
    }
    match &done.verified {
        Some(Verified { revision, signed: true }) => {
            let message = format!("verified signature of revision {revision}");
            conditions.set_true(ConditionType::SourceVerified, Reason::Succeeded, message);
        }
        Some(Verified { signed: false, .. }) => conditions.delete(ConditionType::SourceVerified),
        None => {}
    }
    match (failure, &done.artifact) {
        (Some(error), _) => outcome::fail(error, &mut conditions, &mut events),
        (None, None) => {}
        (None, Some(artifact)) => {
            let message = format!("stored artifact for digest '{}'", artifact.revision);
            outcome::succeed(&mut conditions, Reason::Succeeded, message);
            let origin = origin(&artifact.metadata).unwrap_or_default();
            let message =
                format!("stored artifact with revision '{}' from '{}'{origin}", artifact.revision, spec.url);
            let words = (Reason::NewArtifact, Reason::Succeeded);
            let previous = done.started.previous_digest.as_ref();
            events.extend(outcome::news(artifact, previous, recovered, words, message));
            status.artifact = Some(artifact.clone());
            status.url.clone_from(&done.url);
            status.observed_ignore.clone_from(&spec.ignore);
            status.observed_layer_selector.clone_from(&spec.layer_selector);
        }
    }
    if outcome::is_handled(failure) {
        status.observed_generation = repository.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue: outcome::requeue(spec.interval.to_std(), failure) }
}
