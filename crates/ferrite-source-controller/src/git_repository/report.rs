//! Tells: conditions, status and events, from what was done.

use ferrite_api::{
    ConditionType, Reason,
    source::{GROUP, GitRepository, GitRepositoryStatus},
};
use ferrite_runtime::{Class, Classify, Conditions, Event, Report, Requeue, Truth, chain, conditions_of};

use super::{Done, Error};

/// The types whose order decides `Ready`, as in Flux.
const SUMMARY: &[&str] = &[
    ConditionType::StorageOperationFailed.as_str(),
    ConditionType::FetchFailed.as_str(),
    ConditionType::IncludeUnavailable.as_str(),
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
    ConditionType::ArtifactOutdated.as_str(),
    ConditionType::Stalled.as_str(),
    ConditionType::Reconciling.as_str(),
];

/// Those that mean that the last reconcile failed.
const FAILURES: &[ConditionType] =
    &[ConditionType::FetchFailed, ConditionType::IncludeUnavailable, ConditionType::StorageOperationFailed];

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
    let recovered = FAILURES.iter().any(|kind| conditions.is(kind, Truth::True));
    let mut events = Vec::new();
    if done.lost {
        status.artifact = None;
        conditions.delete(ConditionType::ArtifactInStorage);
    }
    if done.collected > 0 {
        let message = format!("garbage collected {} artifacts", done.collected);
        events.push(Event::trace(Reason::GarbageCollectionSucceeded, message));
    }
    match failure {
        None => succeed(repository, done, recovered, &mut status, &mut conditions, &mut events),
        Some(error) => fail(error, &mut conditions, &mut events),
    }
    let handled = failure.is_none_or(|error| error.class() == Class::Stalled);
    if handled {
        status.observed_generation = repository.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue: requeue(repository, failure) }
}

fn succeed(
    repository: &GitRepository,
    done: &Done,
    recovered: bool,
    status: &mut GitRepositoryStatus,
    conditions: &mut Conditions,
    events: &mut Vec<Event>,
) {
    let spec = &repository.spec;
    let Some(artifact) = &done.artifact else { return };
    for kind in FAILURES {
        conditions.delete(kind);
    }
    for kind in [ConditionType::ArtifactOutdated, ConditionType::Reconciling, ConditionType::Stalled] {
        conditions.delete(kind);
    }
    // Nothing is verified without spec.verify, and with it nothing gets here.
    conditions.delete(ConditionType::SourceVerified);
    status.source_verification_mode = None;
    let message = format!("stored artifact for revision '{}'", artifact.revision);
    conditions.set_true(ConditionType::ArtifactInStorage, Reason::Succeeded, message);
    conditions.summarize(ConditionType::Ready.as_str(), SUMMARY, NEGATIVE);
    events.extend(tell(repository, done, recovered));
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
    let event = if done.previous_digest.as_ref() != Some(&artifact.digest) {
        Event::info(Reason::NewArtifact, message)
    } else if recovered {
        Event::info(Reason::Succeeded, message)
    } else if asked(repository) {
        // Flux tells this at every interval; here only to who asked, so that a steady state writes nothing.
        let message =
            format!("no changes since last reconcilation: observed revision '{}'", artifact.revision);
        return Some(Event::trace(Reason::GitOperationSucceeded, message));
    } else {
        return None;
    };
    let with = |event: Event, key: &str, value: &str| event.with(format!("{GROUP}/{key}"), value);
    Some(with(with(event, "revision", &artifact.revision), "digest", &artifact.digest))
}

fn asked(repository: &GitRepository) -> bool {
    let request = repository.metadata.annotations.as_ref();
    let request = request.and_then(|annotations| annotations.get(ferrite_api::metadata::RECONCILE_REQUEST));
    let handled = repository.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    request.is_some() && request != handled
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= SUMMARY_LENGTH {
        return line.to_owned();
    }
    let start: String = line.chars().take(SUMMARY_LENGTH).collect();
    format!("{start}...")
}

fn fail(error: &Error, conditions: &mut Conditions, events: &mut Vec<Event>) {
    let Some(kind) = error.condition() else {
        // The driver ended it: nothing is known that was not known before, and it goes on soon.
        conditions.mark_retrying("reconciliation in progress");
        return;
    };
    let (reason, message) = (error.reason(), chain(error));
    // What came before the failed step went well; what comes after it is not known.
    if kind != ConditionType::FetchFailed {
        conditions.delete(ConditionType::FetchFailed);
    }
    if kind == ConditionType::StorageOperationFailed {
        conditions.delete(ConditionType::IncludeUnavailable);
    }
    conditions.set_true(kind, reason, message.clone());
    match error.class() {
        Class::Stalled => {
            conditions.mark_stalled(reason, message.clone());
            events.push(Event::error(reason, message));
        }
        Class::Retry => {
            conditions.mark_retrying(message.clone());
            events.push(Event::error(reason, message));
        }
        Class::Wait(_) => {
            conditions.mark_retrying(message.clone());
            events.push(Event::trace(reason, message));
        }
    }
    conditions.summarize(ConditionType::Ready.as_str(), SUMMARY, NEGATIVE);
}

/// A repository without interval is looked at when somebody asks, as in Flux.
fn requeue(repository: &GitRepository, failure: Option<&Error>) -> Requeue {
    let interval = repository.spec.interval.to_std();
    match Requeue::for_result(failure.map(|error| error as &dyn Classify), interval) {
        Requeue::After(interval) if interval.is_zero() => Requeue::Never,
        Requeue::After(interval) => Requeue::After(interval.max(std::time::Duration::from_secs(1))),
        other => other,
    }
}
