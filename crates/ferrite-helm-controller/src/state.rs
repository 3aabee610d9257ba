//! Decides what to do next with a release: pure, from its records and what status remembers.

use ferrite_api::helm::{
    ActionStrategyName, HelmReleaseSpec, HelmReleaseStatus, ReleaseAction, RemediationStrategy, Snapshot,
};
use ferrite_helm::{Release, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::{names, values};

/// Marks snapshots whose digest is computed here; Flux accepts those of other versions than its own unseen.
pub(crate) const SNAPSHOT_VERSION: &str = "ferrite/v1";

/// How a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    Locked,
    Unmanaged,
    Failed,
    OutOfSync,
    Untested,
    InSync,
}

/// What is wanted of a release.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) chart_name: String,
    pub(crate) chart_version: String,
    pub(crate) config_digest: String,
    pub(crate) post_renderers: Option<String>,
    pub(crate) common_metadata: Option<String>,
    pub(crate) generation: Option<i64>,
    pub(crate) force: bool,
}

/// Judges a release by its newest record.
pub(crate) fn judge(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    last: Option<&Release>,
    wanted: &Wanted,
) -> Result<State, String> {
    let Some(last) = last else { return Ok(State::Absent) };
    if last.status.is_pending() {
        return Ok(State::Locked);
    }
    if last.status == Status::Uninstalled {
        return Ok(State::Absent);
    }
    let Some(latest) = status.history.first() else { return Ok(State::Unmanaged) };
    if i64::from(latest.version) != last.version
        || latest.name != last.name
        || latest.namespace != last.namespace
        || latest.api_version.as_deref() == Some(SNAPSHOT_VERSION) && latest.digest != digest(last)
    {
        return Ok(State::Unmanaged);
    }
    match last.status {
        Status::Failed => Ok(State::Failed),
        Status::Deployed => Ok(judge_deployed(spec, status, latest, last, wanted)),
        other => Err(format!("unable to determine state for release with status '{}'", other.as_str())),
    }
}

fn judge_deployed(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    latest: &Snapshot,
    last: &Release,
    wanted: &Wanted,
) -> State {
    let (name, version, _) = chart_of(last);
    let new_generation = status.observed_generation != wanted.generation;
    let rendered_otherwise = status.observed_post_renderers_digest != wanted.post_renderers
        || status.observed_common_metadata_digest != wanted.common_metadata;
    if name != wanted.chart_name
        || version != wanted.chart_version
        || latest.config_digest != wanted.config_digest
        || new_generation && rendered_otherwise
    {
        return State::OutOfSync;
    }
    if tests(spec) {
        match &latest.test_hooks {
            None => return State::Untested,
            Some(_) if has_failed_tests(latest) && !ignores_tests(spec, status) => return State::Failed,
            Some(_) => {}
        }
    }
    State::InSync
}

pub(crate) fn tests(spec: &HelmReleaseSpec) -> bool {
    spec.test.as_ref().is_some_and(|test| test.enable)
}

pub(crate) fn has_failed_tests(snapshot: &Snapshot) -> bool {
    snapshot.test_hooks.iter().flat_map(BTreeMap::values).any(|hook| hook.phase.as_deref() == Some("Failed"))
}

/// Whether a failed test of the last action is no failure.
pub(crate) fn ignores_tests(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> bool {
    let own = match status.last_attempted_release_action {
        Some(ReleaseAction::Install) => {
            spec.install.as_ref().and_then(|i| i.remediation.as_ref()).and_then(|r| r.ignore_test_failures)
        }
        _ => spec.upgrade.as_ref().and_then(|u| u.remediation.as_ref()).and_then(|r| r.ignore_test_failures),
    };
    own.unwrap_or_else(|| spec.test.as_ref().is_some_and(|test| test.ignore_failures))
}

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Done,
    Unlock,
    Install,
    /// With whether what is remembered of earlier releases is forgotten first.
    Upgrade {
        forget: bool,
    },
    Test,
    Rollback,
    Uninstall,
    Exceeded,
}

/// How failures of an action are dealt with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remediation {
    pub(crate) retries: i64,
    pub(crate) last: bool,
    pub(crate) uninstall: bool,
    /// Whether it is tried again from where it stands, and after how long.
    pub(crate) retry: Option<std::time::Duration>,
}

impl Remediation {
    pub(crate) fn of(spec: &HelmReleaseSpec, action: ReleaseAction, default_to_retry: bool) -> Self {
        let (strategy, retries, last, uninstall) = match action {
            ReleaseAction::Install => {
                let install = spec.install.as_ref();
                let remediation = install.and_then(|i| i.remediation.as_ref());
                let strategy = install.and_then(|i| i.strategy.as_ref());
                let retries = remediation.and_then(|r| r.retries).unwrap_or(0);
                let last = remediation.and_then(|r| r.remediate_last_failure).unwrap_or(false);
                (strategy.map(|s| (s.name, s.retry_interval)), retries, last, true)
            }
            ReleaseAction::Upgrade => {
                let upgrade = spec.upgrade.as_ref();
                let remediation = upgrade.and_then(|u| u.remediation.as_ref());
                let strategy = upgrade.and_then(|u| u.strategy.as_ref());
                let retries = remediation.and_then(|r| r.retries).unwrap_or(0);
                let last = remediation.and_then(|r| r.remediate_last_failure).unwrap_or(retries > 0);
                let way = remediation.and_then(|r| r.strategy);
                (
                    strategy.map(|s| (s.name, s.retry_interval)),
                    retries,
                    last,
                    way == Some(RemediationStrategy::Uninstall),
                )
            }
        };
        let minutes = std::time::Duration::from_secs(300);
        let retry = match strategy {
            Some((ActionStrategyName::RetryOnFailure, interval)) => {
                Some(interval.map_or(minutes, ferrite_api::Duration::to_std))
            }
            Some((ActionStrategyName::RemediateOnFailure, _)) => None,
            None => default_to_retry.then_some(minutes),
        };
        Self { retries: i64::from(retries), last, uninstall, retry }
    }

    pub(crate) fn exhausted(&self, failures: i64) -> bool {
        self.retries >= 0 && failures > self.retries
    }
}

/// Failures of an action since the spec last changed.
pub(crate) fn failures(status: &HelmReleaseStatus, action: ReleaseAction) -> i64 {
    match action {
        ReleaseAction::Install => status.install_failures,
        ReleaseAction::Upgrade => status.upgrade_failures,
    }
}

/// What to do about a state.
pub(crate) fn next(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    state: State,
    wanted: &Wanted,
    default_to_retry: bool,
) -> Next {
    let exhausted = |action| {
        let remediation = Remediation::of(spec, action, default_to_retry);
        remediation.retry.is_none() && !wanted.force && remediation.exhausted(failures(status, action))
    };
    match state {
        State::InSync if wanted.force => Next::Upgrade { forget: false },
        State::InSync => Next::Done,
        State::Locked => Next::Unlock,
        State::Absent if exhausted(ReleaseAction::Install) => Next::Exceeded,
        State::Absent => Next::Install,
        State::Unmanaged => Next::Upgrade { forget: true },
        State::OutOfSync if exhausted(ReleaseAction::Upgrade) => Next::Exceeded,
        State::OutOfSync => Next::Upgrade { forget: false },
        State::Untested => Next::Test,
        State::Failed => {
            let Some(action) = status.last_attempted_release_action else {
                return Next::Upgrade { forget: false };
            };
            let remediation = Remediation::of(spec, action, default_to_retry);
            if wanted.force || remediation.retry.is_some() || failures(status, action) == 0 {
                Next::Upgrade { forget: false }
            } else if remediation.exhausted(failures(status, action)) && !remediation.last {
                Next::Exceeded
            } else if remediation.uninstall {
                Next::Uninstall
            } else {
                Next::Rollback
            }
        }
    }
}

/// Name, version and app version of a stored chart.
pub(crate) fn chart_of(release: &Release) -> (String, String, Option<String>) {
    let text = |field: &str| {
        let found = release.chart.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    (text("name").unwrap_or_default(), text("version").unwrap_or_default(), text("appVersion"))
}

/// `namespace/name.vN`
pub(crate) fn full_name(release: &Release) -> String {
    format!("{}/{}.v{}", release.namespace, release.name, release.version)
}

/// `name@version`
pub(crate) fn chart_name(release: &Release) -> String {
    let (name, version, _) = chart_of(release);
    format!("{name}@{version}")
}

/// The digest of what a record says; tests may run later without changing it.
pub(crate) fn digest(release: &Release) -> String {
    let mut record = release.to_json();
    let metadata = record.pointer("/chart/metadata").cloned().unwrap_or_default();
    let tests: Vec<bool> = release.hooks.iter().map(ferrite_helm::Hook::is_test).collect();
    if let Some(hooks) = record.get_mut("hooks").and_then(Value::as_array_mut) {
        let mut tests = tests.into_iter();
        hooks.retain(|_| !tests.next().unwrap_or(false));
        if hooks.is_empty() {
            record["hooks"] = Value::Null;
        }
    }
    let field = |name: &str| record.get(name).cloned().unwrap_or_default();
    let observed = json!({
        "name": field("name"), "version": field("version"), "info": field("info"), "chartMetadata": metadata,
        "config": field("config"), "manifest": field("manifest"), "hooks": field("hooks"), "namespace": field("namespace"),
    });
    names::digest(&ferrite_helm::go_json(&observed))
}

/// What status remembers of a record.
pub(crate) fn snapshot(
    release: &Release,
    action: Option<ReleaseAction>,
    oci_digest: Option<String>,
) -> Snapshot {
    let (chart_name, chart_version, app_version) = chart_of(release);
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok().map(Time);
    let never = || Time(jiff::Timestamp::UNIX_EPOCH);
    Snapshot {
        api_version: Some(SNAPSHOT_VERSION.to_owned()),
        digest: digest(release),
        action,
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        version: i32::try_from(release.version).unwrap_or(i32::MAX),
        status: release.status.as_str().to_owned(),
        chart_name,
        chart_version,
        app_version,
        config_digest: values::digest(&release.config),
        first_deployed: time(&release.first_deployed).unwrap_or_else(never),
        last_deployed: time(&release.last_deployed).unwrap_or_else(never),
        deleted: time(&release.deleted),
        test_hooks: None,
        oci_digest,
    }
}

/// Takes a record into the history: a known revision is replaced, a new one put first.
pub(crate) fn remember(history: &mut Vec<Snapshot>, new: Snapshot) {
    match history.iter_mut().find(|known| known.version == new.version && known.name == new.name) {
        Some(known) => {
            *known = Snapshot {
                action: new.action.or(known.action),
                test_hooks: new.test_hooks.or_else(|| known.test_hooks.take()),
                oci_digest: new.oci_digest.or_else(|| known.oci_digest.take()),
                ..new
            };
        }
        None => history.insert(0, new),
    }
}

/// Forgets what is older than the release before the newest that worked; at most five when none did.
pub(crate) fn truncate(history: &mut Vec<Snapshot>, keep_failed_tests: bool) {
    let works = |snapshot: &Snapshot| {
        matches!(snapshot.status.as_str(), "deployed" | "superseded")
            && (keep_failed_tests || !has_failed_tests(snapshot))
    };
    let keep = history.iter().skip(1).position(works).map_or(5, |index| index + 2);
    history.truncate(keep);
}

/// The release to roll back to: the newest earlier one that worked.
pub(crate) fn previous(history: &[Snapshot], ignore_tests: bool) -> Option<&Snapshot> {
    history.iter().skip(1).find(|snapshot| {
        matches!(snapshot.status.as_str(), "deployed" | "superseded")
            && (ignore_tests || !has_failed_tests(snapshot))
    })
}

/// The digest of a part of the spec as Flux computes it; `None` when it is empty.
pub(crate) fn part_digest<T: serde::Serialize>(part: &T, empty: bool) -> Option<String> {
    let value = serde_json::to_value(part).ok().filter(|_| !empty)?;
    Some(names::digest(&format!("{}\n", ferrite_helm::go_json(&value))))
}

#[cfg(test)]
mod tests;
