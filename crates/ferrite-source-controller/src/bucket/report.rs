//! Tells: conditions, status and events, from what was done.

use ferrite_api::{
    ConditionType, Reason,
    source::{Bucket, BucketStatus},
};
use ferrite_runtime::{Event, Report, conditions_of};

use super::{Done, Error};
use crate::outcome;

pub(super) fn report(
    bucket: &Bucket,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<BucketStatus> {
    let spec = &bucket.spec;
    let mut status = bucket.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(bucket, now);
    let recovered = outcome::had_failed(&conditions);
    let mut events: Vec<Event> = done.started.event().into_iter().collect();
    if done.started.lost {
        status.artifact = None;
        status.url = None;
        conditions.delete(ConditionType::ArtifactInStorage);
    }
    match (failure, &done.artifact) {
        (Some(error), _) => outcome::fail(error, &mut conditions, &mut events),
        (None, None) => {}
        (None, Some(artifact)) => {
            let message = format!("stored artifact: revision '{}'", artifact.revision);
            outcome::succeed(&mut conditions, Reason::Succeeded, message);
            let message = format!(
                "stored artifact with {} fetched files from '{}' bucket",
                done.objects, spec.bucket_name
            );
            let words = (Reason::NewArtifact, Reason::Succeeded);
            let previous = done.started.previous_digest.as_ref();
            events.extend(outcome::news(artifact, previous, recovered, words, message));
            if status.artifact.as_ref().map(|before| &before.digest) != Some(&artifact.digest) {
                status.observed_ignore.clone_from(&spec.ignore);
            }
            status.artifact = Some(artifact.clone());
            status.url.clone_from(&done.url);
        }
    }
    if outcome::is_handled(failure) {
        status.observed_generation = bucket.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue: outcome::requeue(spec.interval.to_std(), failure) }
}
