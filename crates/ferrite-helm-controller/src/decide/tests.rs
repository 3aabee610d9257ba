use ferrite_api::helm::SnapshotAction;
use ferrite_helm::next_step::{Change, Failure, Observed, State, Step, Taken, next_step};
use serde_json::{Value, json};

use super::*;
use crate::digest::Algorithm;

fn spec(fields: &Value) -> HelmReleaseSpec {
    let mut whole = json!({"interval": "1m", "chartRef": {"kind": "HelmChart", "name": "web"}});
    whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn release(version: i64, state: &str, chart: &str) -> Release {
    Release::from_json(json!({
        "name": "web", "namespace": "shop", "version": version, "config": {"a": 1}, "manifest": "---\n",
        "info": {"first_deployed": "2026-01-01T00:00:00Z", "last_deployed": "2026-01-01T00:00:00Z", "status": state},
        "chart": {"metadata": {"name": "web", "version": chart}},
    }))
    .unwrap()
}

fn status(releases: &[&Release]) -> HelmReleaseStatus {
    let snapshot =
        |r: &&Release| history::snapshot(r, Some(SnapshotAction::Install), None, Algorithm::Sha256);
    HelmReleaseStatus {
        observed_generation: Some(1),
        history: releases.iter().map(snapshot).collect(),
        ..HelmReleaseStatus::default()
    }
}

/// The state of a release whose chart and values are wanted in a version.
fn judged(spec: &HelmReleaseSpec, status: &HelmReleaseStatus, last: Option<&Release>, chart: &str) -> State {
    let values = json!({"a": 1});
    let config = config_text(spec, last, values.as_object().unwrap());
    let wanted = Wanted {
        chart_name: "web".into(),
        chart_version: chart.into(),
        config_digest: Algorithm::Sha256.digest(&config),
        post_renderers: None,
        common_metadata: None,
        generation: Some(1),
        force: false,
    };
    let desired = desired(spec, status, &wanted, &config, DriftMode::Disabled);
    let history = snapshots(status, last);
    let observed = Observed { last: last.map(|last| last.status), history: &history, drifted: false };
    State::of(&observed, &desired, &policy(spec, status, false, false))
}

#[test]
fn releases_are_judged_by_record_and_status() {
    let plain = spec(&json!({}));
    let deployed = release(1, "deployed", "1.0.0");
    let known = status(&[&deployed]);
    let check = |last: Option<&Release>, status: &HelmReleaseStatus, chart: &str, expect| {
        assert_eq!(judged(&plain, status, last, chart), expect);
    };
    check(None, &known, "1.0.0", State::Absent);
    check(Some(&deployed), &known, "1.0.0", State::InSync);
    check(Some(&deployed), &known, "1.0.1", State::OutOfSync(Change::Chart));
    check(Some(&deployed), &HelmReleaseStatus::default(), "1.0.0", State::Unmanaged);
    let pending = release(2, "pending-upgrade", "1.0.0");
    check(Some(&pending), &known, "1.0.0", State::Locked(Status::PendingUpgrade));
    check(Some(&release(2, "deployed", "1.0.0")), &known, "1.0.0", State::Unmanaged);
    let mut edited = deployed.clone();
    edited.manifest = "---\nkind: A\n".into();
    check(Some(&edited), &known, "1.0.0", State::Unmanaged);
    let failed = release(1, "failed", "1.0.0");
    check(Some(&failed), &status(&[&failed]), "1.0.0", State::Failed(Failure::Release));
    let uninstalled = release(1, "uninstalled", "1.0.0");
    check(Some(&uninstalled), &status(&[&uninstalled]), "1.0.0", State::Absent);
    let mut other_values = known.clone();
    other_values.history[0].config_digest = Algorithm::Sha512.digest("a: 2\n");
    check(Some(&deployed), &other_values, "1.0.0", State::OutOfSync(Change::Values));
    other_values.history[0].config_digest = Algorithm::Sha512.digest("a: 1\n");
    check(Some(&deployed), &other_values, "1.0.0", State::InSync);
}

#[test]
fn rendering_counts_once_per_generation() {
    let plain = spec(&json!({}));
    let deployed = release(1, "deployed", "1.0.0");
    let mut known = status(&[&deployed]);
    known.observed_post_renderers_digest = Some("sha256:00".into());
    assert_eq!(judged(&plain, &known, Some(&deployed), "1.0.0"), State::InSync);
    known.observed_generation = Some(0);
    let changed = State::OutOfSync(Change::Rendering);
    assert_eq!(judged(&plain, &known, Some(&deployed), "1.0.0"), changed);
}

#[test]
fn values_that_are_preserved_are_no_difference() {
    let mut deployed = release(1, "deployed", "1.0.0");
    deployed.config.insert("kept".into(), json!("x"));
    let known = status(&[&deployed]);
    let preserving = spec(&json!({"upgrade": {"preserveValues": true}}));
    assert_eq!(judged(&preserving, &known, Some(&deployed), "1.0.0"), State::InSync);
    let changed = State::OutOfSync(Change::Values);
    assert_eq!(judged(&spec(&json!({})), &known, Some(&deployed), "1.0.0"), changed);
}

#[test]
fn failures_are_remedied_as_long_as_there_are_retries() {
    let upgrade = Step::Upgrade { adopt: false };
    let cases = [
        (json!({}), ReleaseAction::Install, 1, Step::RetriesExceeded(next_step::ReleaseAction::Install)),
        (
            json!({"install": {"remediation": {"retries": 1}}}),
            ReleaseAction::Install,
            1,
            Step::UninstallFailed,
        ),
        (
            json!({"install": {"remediation": {"retries": 1}}}),
            ReleaseAction::Install,
            2,
            Step::RetriesExceeded(next_step::ReleaseAction::Install),
        ),
        (
            json!({"install": {"remediation": {"retries": -1}}}),
            ReleaseAction::Install,
            9,
            Step::UninstallFailed,
        ),
        (
            json!({"upgrade": {"remediation": {"retries": 1}}}),
            ReleaseAction::Upgrade,
            2,
            Step::Rollback { to: 1 },
        ),
        (
            json!({"upgrade": {"remediation": {"retries": 1, "remediateLastFailure": false}}}),
            ReleaseAction::Upgrade,
            2,
            Step::RetriesExceeded(next_step::ReleaseAction::Upgrade),
        ),
        (
            json!({"upgrade": {"remediation": {"retries": 1, "strategy": "uninstall"}}}),
            ReleaseAction::Upgrade,
            1,
            Step::UninstallFailed,
        ),
        (json!({"upgrade": {"strategy": {"name": "RetryOnFailure"}}}), ReleaseAction::Upgrade, 7, upgrade),
        (json!({}), ReleaseAction::Upgrade, 0, upgrade),
    ];
    let (failed, worked) = (release(2, "failed", "1.0.0"), release(1, "superseded", "1.0.0"));
    for (fields, action, failures, expect) in cases {
        let status = HelmReleaseStatus {
            last_attempted_release_action: Some(action),
            install_failures: failures,
            upgrade_failures: failures,
            ..status(&[&failed, &worked])
        };
        let spec = spec(&fields);
        let policy = policy(&spec, &status, false, false);
        let history = snapshots(&status, Some(&failed));
        let state = State::Failed(Failure::Release);
        let next = next_step(state, &history, DriftMode::Disabled, &policy, Taken::default());
        assert_eq!(next, expect, "{fields} {action} {failures}");
    }
}

#[test]
fn retries_wait_as_the_spec_says() {
    let of =
        |fields: &Value, default| retry(&spec(fields), ReleaseAction::Install, default).map(|d| d.as_secs());
    assert_eq!(of(&json!({}), false), None);
    assert_eq!(of(&json!({}), true), Some(300));
    let install = |strategy: Value| json!({"install": {"strategy": strategy}});
    assert_eq!(of(&install(json!({"name": "RemediateOnFailure"})), true), None);
    assert_eq!(of(&install(json!({"name": "RetryOnFailure", "retryInterval": "30s"})), false), Some(30));
}

#[test]
fn history_is_kept_back_to_the_release_that_worked_before() {
    let releases: Vec<Release> =
        [(5, "failed"), (4, "failed"), (3, "superseded"), (2, "superseded"), (1, "superseded")]
            .into_iter()
            .map(|(version, state)| release(version, state, "1.0.0"))
            .collect();
    let mut status = status(&releases.iter().collect::<Vec<_>>());
    truncate(&mut status, false, false);
    assert_eq!(status.history.iter().map(|s| s.version).collect::<Vec<_>>(), [5, 4, 3]);
}
