use serde_json::json;

use super::*;

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

fn wanted(chart: &str) -> Wanted {
    Wanted {
        chart_name: "web".into(),
        chart_version: chart.into(),
        config_digest: values::digest(json!({"a": 1}).as_object().unwrap()),
        post_renderers: None,
        common_metadata: None,
        generation: Some(1),
        force: false,
    }
}

fn status(releases: &[&Release]) -> HelmReleaseStatus {
    HelmReleaseStatus {
        observed_generation: Some(1),
        history: releases.iter().map(|r| snapshot(r, Some(ReleaseAction::Install), None)).collect(),
        ..HelmReleaseStatus::default()
    }
}

#[test]
fn states_follow_from_the_newest_record() {
    let judged = |last: Option<&Release>, status: &HelmReleaseStatus, chart: &str| {
        judge(&spec(&json!({})), status, last, &wanted(chart)).unwrap()
    };
    let deployed = release(1, "deployed", "1.0.0");
    let known = status(&[&deployed]);
    assert_eq!(judged(None, &known, "1.0.0"), State::Absent);
    assert_eq!(judged(Some(&deployed), &known, "1.0.0"), State::InSync);
    assert_eq!(judged(Some(&deployed), &known, "1.0.1"), State::OutOfSync);
    assert_eq!(judged(Some(&deployed), &HelmReleaseStatus::default(), "1.0.0"), State::Unmanaged);
    let pending = release(2, "pending-upgrade", "1.0.0");
    assert_eq!(judged(Some(&pending), &known, "1.0.0"), State::Locked);
    assert_eq!(judged(Some(&release(2, "deployed", "1.0.0")), &known, "1.0.0"), State::Unmanaged);
    let mut edited = deployed.clone();
    edited.manifest = "---\nkind: A\n".into();
    assert_eq!(judged(Some(&edited), &known, "1.0.0"), State::Unmanaged);
    let failed = release(1, "failed", "1.0.0");
    assert_eq!(judged(Some(&failed), &status(&[&failed]), "1.0.0"), State::Failed);
    assert_eq!(judged(Some(&release(1, "uninstalled", "1.0.0")), &known, "1.0.0"), State::Absent);
    // A snapshot of Flux is believed.
    let mut of_flux = known;
    of_flux.history[0].api_version = Some("v2".into());
    of_flux.history[0].digest = "sha256:00".into();
    assert_eq!(judged(Some(&deployed), &of_flux, "1.0.0"), State::InSync);
}

#[test]
fn failures_are_remedied_as_long_as_there_are_retries() {
    let failed = |action, failures| HelmReleaseStatus {
        last_attempted_release_action: Some(action),
        install_failures: failures,
        upgrade_failures: failures,
        ..HelmReleaseStatus::default()
    };
    let cases = [
        (json!({}), ReleaseAction::Install, 1, Next::Exceeded),
        (json!({"install": {"remediation": {"retries": 1}}}), ReleaseAction::Install, 1, Next::Uninstall),
        (json!({"install": {"remediation": {"retries": 1}}}), ReleaseAction::Install, 2, Next::Exceeded),
        (json!({"install": {"remediation": {"retries": -1}}}), ReleaseAction::Install, 9, Next::Uninstall),
        (json!({"upgrade": {"remediation": {"retries": 1}}}), ReleaseAction::Upgrade, 1, Next::Rollback),
        (json!({"upgrade": {"remediation": {"retries": 1}}}), ReleaseAction::Upgrade, 2, Next::Rollback),
        (
            json!({"upgrade": {"remediation": {"retries": 1, "remediateLastFailure": false}}}),
            ReleaseAction::Upgrade,
            2,
            Next::Exceeded,
        ),
        (
            json!({"upgrade": {"remediation": {"retries": 1, "strategy": "uninstall"}}}),
            ReleaseAction::Upgrade,
            1,
            Next::Uninstall,
        ),
        (
            json!({"upgrade": {"strategy": {"name": "RetryOnFailure"}}}),
            ReleaseAction::Upgrade,
            7,
            Next::Upgrade { forget: false },
        ),
        (json!({}), ReleaseAction::Upgrade, 0, Next::Upgrade { forget: false }),
    ];
    for (fields, action, failures, expect) in cases {
        let got = next(&spec(&fields), &failed(action, failures), State::Failed, &wanted("1.0.0"), false);
        assert_eq!(got, expect, "{fields} {action} {failures}");
    }
    let forced = Wanted { force: true, ..wanted("1.0.0") };
    let status = failed(ReleaseAction::Install, 3);
    assert_eq!(next(&spec(&json!({})), &status, State::Absent, &wanted("1.0.0"), false), Next::Exceeded);
    assert_eq!(next(&spec(&json!({})), &status, State::Absent, &forced, false), Next::Install);
}

#[test]
fn history_is_kept_back_to_the_release_that_worked_before() {
    let releases: Vec<Release> =
        [(5, "failed"), (4, "failed"), (3, "superseded"), (2, "superseded"), (1, "superseded")]
            .into_iter()
            .map(|(version, state)| release(version, state, "1.0.0"))
            .collect();
    let mut history = status(&releases.iter().collect::<Vec<_>>()).history;
    assert_eq!(previous(&history, false).unwrap().version, 3);
    truncate(&mut history, false);
    assert_eq!(history.iter().map(|s| s.version).collect::<Vec<_>>(), [5, 4, 3]);
}
