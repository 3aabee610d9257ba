//! From a spec, status and records to the words of [`ferrite_helm::next_step`], which decides.

use ferrite_api::helm::{
    ActionStrategyName, DriftDetectionMode, HelmReleaseSpec, HelmReleaseStatus, ReleaseAction,
    RemediationStrategy, Snapshot,
};
use ferrite_helm::{
    Release, Status,
    next_step::{self, Desired, DriftMode, OnFailure, Policy, Stored, Tests},
};
use std::{collections::BTreeMap, time::Duration};

use crate::{digest, history, values};

/// How long after a failure `RetryOnFailure` tries again by default.
const RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// What is wanted of a release.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) chart_name: String,
    pub(crate) chart_version: String,
    /// Digest of the values.
    pub(crate) config_digest: String,
    pub(crate) post_renderers: Option<String>,
    pub(crate) common_metadata: Option<String>,
    pub(crate) generation: Option<i64>,
    pub(crate) force: bool,
}

pub(crate) fn tests(spec: &HelmReleaseSpec) -> bool {
    spec.test.as_ref().is_some_and(|test| test.enable)
}

pub(crate) fn ignores_tests(spec: &HelmReleaseSpec) -> bool {
    spec.test.as_ref().is_some_and(|test| test.ignore_failures)
}

/// `spec.driftDetection.mode`
pub(crate) fn drift_mode(spec: &HelmReleaseSpec, default: DriftMode) -> DriftMode {
    match spec.drift_detection.as_ref() {
        None => default,
        Some(drift) => match drift.mode.unwrap_or_default() {
            DriftDetectionMode::Enabled => DriftMode::Enabled,
            DriftDetectionMode::Warn => DriftMode::Warn,
            DriftDetectionMode::Disabled => DriftMode::Disabled,
        },
    }
}

fn on_failure(spec: &HelmReleaseSpec, action: ReleaseAction, default_to_retry: bool) -> OnFailure {
    let own = match action {
        ReleaseAction::Install => {
            let remediation = spec.install.as_ref().and_then(|i| i.remediation.clone()).unwrap_or_default();
            OnFailure {
                retry: false,
                retries: remediation.retries.unwrap_or(0).into(),
                remediate_last: remediation.remediate_last_failure.unwrap_or(false),
                ignore_test_failures: remediation.ignore_test_failures.unwrap_or_else(|| ignores_tests(spec)),
                uninstall: true,
            }
        }
        ReleaseAction::Upgrade => {
            let remediation = spec.upgrade.as_ref().and_then(|u| u.remediation.clone()).unwrap_or_default();
            let retries = remediation.retries.unwrap_or(0);
            OnFailure {
                retry: false,
                retries: retries.into(),
                remediate_last: remediation.remediate_last_failure.unwrap_or(retries > 0),
                ignore_test_failures: remediation.ignore_test_failures.unwrap_or_else(|| ignores_tests(spec)),
                uninstall: remediation.strategy == Some(RemediationStrategy::Uninstall),
            }
        }
    };
    OnFailure { retry: retry(spec, action, default_to_retry).is_some(), ..own }
}

/// After how long a failed action is tried again, where that is how failures are dealt with.
pub(crate) fn retry(
    spec: &HelmReleaseSpec,
    action: ReleaseAction,
    default_to_retry: bool,
) -> Option<Duration> {
    let strategy = match action {
        ReleaseAction::Install => {
            spec.install.as_ref().and_then(|i| i.strategy.as_ref()).map(|s| (s.name, s.retry_interval))
        }
        ReleaseAction::Upgrade => {
            spec.upgrade.as_ref().and_then(|u| u.strategy.as_ref()).map(|s| (s.name, s.retry_interval))
        }
    };
    match strategy {
        Some((ActionStrategyName::RetryOnFailure, interval)) => {
            Some(interval.map_or(RETRY_INTERVAL, ferrite_api::Duration::to_std))
        }
        Some((ActionStrategyName::RemediateOnFailure, _)) => None,
        None => default_to_retry.then_some(RETRY_INTERVAL),
    }
}

/// Attempts so far, and what is done about failed ones.
pub(crate) fn policy(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    default_to_retry: bool,
    forced: bool,
) -> Policy {
    Policy {
        install: on_failure(spec, ReleaseAction::Install, default_to_retry),
        upgrade: on_failure(spec, ReleaseAction::Upgrade, default_to_retry),
        install_failures: status.install_failures,
        upgrade_failures: status.upgrade_failures,
        last_action: status.last_attempted_release_action.map(|action| match action {
            ReleaseAction::Install => next_step::ReleaseAction::Install,
            ReleaseAction::Upgrade => next_step::ReleaseAction::Upgrade,
        }),
        forced,
    }
}

/// Whether the last action ignores failed tests, or by default all do.
pub(crate) fn tests_do_not_matter(spec: &HelmReleaseSpec, policy: &Policy) -> bool {
    match policy.last_action {
        Some(next_step::ReleaseAction::Install) => policy.install.ignore_test_failures,
        Some(next_step::ReleaseAction::Upgrade) => policy.upgrade.ignore_test_failures,
        None => ignores_tests(spec),
    }
}

/// What a release should be. `config` is the text of the values that it should have.
pub(crate) fn desired(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    wanted: &Wanted,
    config: &str,
    drift: DriftMode,
) -> Desired {
    let latest = status.history.first().map(|latest| &latest.config_digest);
    let same = latest.filter(|latest| digest::verify(latest, config) == digest::Verdict::Same);
    let rendered_otherwise = status.observed_post_renderers_digest != wanted.post_renderers
        || status.observed_common_metadata_digest != wanted.common_metadata;
    Desired {
        chart_name: wanted.chart_name.clone(),
        chart_version: wanted.chart_version.clone(),
        config_digest: same.unwrap_or(&wanted.config_digest).clone(),
        rendering_changed: status.observed_generation != wanted.generation && rendered_otherwise,
        tests: tests(spec),
        drift,
    }
}

/// History as the state machine reads it; the first snapshot is that of the newest record, if it is of it.
pub(crate) fn snapshots(status: &HelmReleaseStatus, last: Option<&Release>) -> Vec<next_step::Snapshot> {
    let mut all: Vec<next_step::Snapshot> = status.history.iter().map(of_status).collect();
    if let (Some(first), Some(latest), Some(last)) = (all.first_mut(), status.history.first(), last) {
        if history::is_of(latest, last) {
            (first.chart_name, first.chart_version, _) = history::chart_of(last);
        } else {
            first.stored = Stored::Altered;
        }
    }
    all
}

fn of_status(snapshot: &Snapshot) -> next_step::Snapshot {
    next_step::Snapshot {
        version: snapshot.version.into(),
        status: Status::parse(&snapshot.status),
        chart_name: snapshot.chart_name.clone(),
        chart_version: snapshot.chart_version.clone(),
        config_digest: snapshot.config_digest.clone(),
        tests: snapshot
            .test_hooks
            .as_ref()
            .map(|_| if has_failed_tests(snapshot) { Tests::Failed } else { Tests::Passed }),
        stored: Stored::Same,
    }
}

fn has_failed_tests(snapshot: &Snapshot) -> bool {
    let hooks = snapshot.test_hooks.iter().flat_map(BTreeMap::values).flatten();
    hooks.into_iter().any(|hook| hook.phase.as_deref() == Some("Failed"))
}

/// Forgets what is older than the release before the newest that worked; at most five when none did, or when failures
/// are retried.
pub(crate) fn truncate(status: &mut HelmReleaseStatus, ignore_tests: bool, retry: bool) {
    let keep = next_step::history_length(&snapshots(status, None), ignore_tests, retry);
    status.history.truncate(keep);
}

/// The digest of a part of the spec as Flux computes it; `None` when it is empty.
pub(crate) fn part_digest<T: serde::Serialize>(
    part: &T,
    empty: bool,
    algorithm: digest::Algorithm,
) -> Option<String> {
    let value = serde_json::to_value(part).ok().filter(|_| !empty)?;
    Some(algorithm.digest(&format!("{}\n", ferrite_helm::go_json(&value))))
}

/// The values a release should have: with `preserveValues` those of the revision before are kept.
pub(crate) fn config_text(
    spec: &HelmReleaseSpec,
    last: Option<&Release>,
    own: &serde_json::Map<String, serde_json::Value>,
) -> String {
    let preserve = spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.preserve_values);
    let reused = last.filter(|_| preserve).and_then(|last| ferrite_helm::reuse_values(last, own).ok());
    reused.map_or_else(|| values::text(own), |reused| values::text(&reused.config))
}

#[cfg(test)]
mod tests;
