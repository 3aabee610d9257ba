//! Tells: conditions, status and events, from what was done.

use std::time::Duration;

use ferrite_api::{
    ConditionType, Reason,
    source::{HelmRepository, HelmRepositoryStatus},
};
use ferrite_runtime::{Event, Report, Requeue, conditions_of};

use super::{Done, Error};
use crate::outcome;

/// The interval of a repository that has none.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

pub(super) fn report(
    repository: &HelmRepository,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<HelmRepositoryStatus> {
    if done.oci {
        return static_configuration(repository);
    }
    let mut status = repository.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(repository, now);
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
            let size = human(
                done.size.unwrap_or_else(|| artifact.size.and_then(|s| s.try_into().ok()).unwrap_or(0)),
            );
            let message = format!("stored fetched index of size {size} from '{}'", repository.spec.url);
            let words = (Reason::NewArtifact, Reason::Succeeded);
            let previous = done.started.previous_digest.as_ref();
            events.extend(outcome::news(artifact, previous, recovered, words, message));
            status.artifact = Some(artifact.clone());
            status.url.clone_from(&done.url);
        }
    }
    if outcome::is_handled(failure) {
        status.observed_generation = repository.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    let interval = repository.spec.interval.map_or(DEFAULT_INTERVAL, |interval| interval.to_std());
    Report { status, events, requeue: outcome::requeue(interval, failure) }
}

/// Type `oci` has no status; what another type left behind goes.
fn static_configuration(repository: &HelmRepository) -> Report<HelmRepositoryStatus> {
    let before = repository.status.clone().unwrap_or_default();
    let untouched = before.artifact.is_none() && before.conditions.is_empty();
    let status = if untouched { before } else { HelmRepositoryStatus::default() };
    Report { status, events: Vec::new(), requeue: Requeue::Never }
}

/// A size in the notation of Docker's `go-units`: four digits, decimal units.
fn human(bytes: u64) -> String {
    const UNITS: &[&str] = &["B", "kB", "MB", "GB", "TB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = match (unit, size) {
        (0, _) => 0,
        (_, size) if size < 10.0 => 3,
        (_, size) if size < 100.0 => 2,
        _ => 1,
    };
    let mut text = format!("{size:.decimals$}");
    if text.contains('.') {
        text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{text}{}", UNITS.get(unit).unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_written_as_docker_writes_them() {
        assert_eq!(human(999), "999B");
        assert_eq!(human(1000), "1kB");
        assert_eq!(human(1234), "1.234kB");
        assert_eq!(human(40_880), "40.88kB");
        assert_eq!(human(15_316_345), "15.32MB");
    }
}
