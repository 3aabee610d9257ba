//! Tells: conditions, status and events, from what was done.

use ferrite_api::{
    ConditionType, Reason,
    source::{GitRepository, GitRepositoryStatus},
};
use ferrite_runtime::{Conditions, Event, Report, conditions_of};

use super::{Done, Error, verify::Verified};
use crate::outcome;

/// Characters of a commit's first line in an event.
const SUMMARY_LENGTH: usize = 50;

pub(super) fn report(
    repository: &GitRepository,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<GitRepositoryStatus> {
    let mut status = repository.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(repository, now);
    let recovered = outcome::had_failed(&conditions);
    let mut events: Vec<Event> = done.started.event().into_iter().collect();
    if done.started.lost {
        status.artifact = None;
        conditions.delete(ConditionType::ArtifactInStorage);
    }
    if let Some(Verified { mode, message }) = &done.verified {
        conditions.set_true(ConditionType::SourceVerified, Reason::Succeeded, message);
        status.source_verification_mode = Some(*mode);
        events.push(Event::trace(Reason::Succeeded, message.clone()));
    }
    match failure {
        None => {
            succeed(repository, done, &mut status, &mut conditions);
            events.extend(tell(repository, done, recovered));
        }
        Some(error) => outcome::fail(error, &mut conditions, &mut events),
    }
    if outcome::is_handled(failure) {
        status.observed_generation = repository.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue: outcome::requeue(repository.spec.interval.to_std(), failure) }
}

fn succeed(
    repository: &GitRepository,
    done: &Done,
    status: &mut GitRepositoryStatus,
    conditions: &mut Conditions,
) {
    let spec = &repository.spec;
    let Some(artifact) = &done.artifact else { return };
    if spec.verify.is_none() {
        conditions.delete(ConditionType::SourceVerified);
        status.source_verification_mode = None;
    }
    let message = format!("stored artifact for revision '{}'", artifact.revision);
    outcome::succeed(conditions, Reason::Succeeded, message);
    status.artifact = Some(artifact.clone());
    status.included_artifacts.clone_from(&done.included);
    status.observed_ignore.clone_from(&spec.ignore);
    status.observed_recurse_submodules = spec.recurse_submodules;
    status.observed_include.clone_from(&spec.include);
    status.observed_sparse_checkout.clone_from(&spec.sparse_checkout);
}

/// The event of a success: a new artifact, a recovery, or that all stayed as it was.
fn tell(repository: &GitRepository, done: &Done, recovered: bool) -> Option<Event> {
    let artifact = done.artifact.as_ref()?;
    let subject = done.summary.as_deref().map_or_else(|| artifact.revision.clone(), shortened);
    let message = format!("stored artifact for commit '{subject}'");
    let words = (Reason::NewArtifact, Reason::Succeeded);
    let news = outcome::news(artifact, done.started.previous_digest.as_ref(), recovered, words, message);
    // Flux tells that nothing moved at every interval; here only who asked is told, so that a steady state writes
    // nothing.
    let handled = repository.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    news.or_else(|| {
        let message =
            || format!("no changes since last reconcilation: observed revision '{}'", artifact.revision);
        outcome::is_asked(repository, handled).then(|| Event::trace(Reason::GitOperationSucceeded, message()))
    })
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= SUMMARY_LENGTH {
        return line.to_owned();
    }
    let start: String = line.chars().take(SUMMARY_LENGTH).collect();
    format!("{start}...")
}
