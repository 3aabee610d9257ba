use super::{
    AfterRemediation, Change, Desired, DriftMode, Failure, Observed, OnFailure, Policy, ReleaseAction,
    Snapshot, State, Step, Stored, Taken, Tests, after_remediation, history_length, next_step,
};
use crate::release::Status;

fn snapshot(version: i64, status: Status) -> Snapshot {
    Snapshot {
        version,
        status,
        chart_name: "web".into(),
        chart_version: "1.0.0".into(),
        config_digest: "sha256:a".into(),
        tests: None,
        stored: Stored::Same,
    }
}

fn desired() -> Desired {
    Desired {
        chart_name: "web".into(),
        chart_version: "1.0.0".into(),
        config_digest: "sha256:a".into(),
        rendering_changed: false,
        tests: false,
        drift: DriftMode::Disabled,
    }
}

const DEFAULT: OnFailure = OnFailure {
    retry: false,
    retries: 0,
    remediate_last: false,
    ignore_test_failures: false,
    uninstall: false,
};

fn policy() -> Policy {
    Policy {
        install: DEFAULT,
        upgrade: DEFAULT,
        install_failures: 0,
        upgrade_failures: 0,
        last_action: None,
        forced: false,
    }
}

fn after(action: ReleaseAction, failures: i64, on_failure: OnFailure) -> Policy {
    let mut policy = Policy { last_action: Some(action), ..policy() };
    match action {
        ReleaseAction::Install => (policy.install, policy.install_failures) = (on_failure, failures),
        ReleaseAction::Upgrade => (policy.upgrade, policy.upgrade_failures) = (on_failure, failures),
    }
    policy
}

#[track_caller]
fn state(last: Option<Status>, history: &[Snapshot], desired: &Desired, expect: State) {
    let observed = Observed { last, history, drifted: true };
    let policy = after(ReleaseAction::Upgrade, 0, DEFAULT);
    assert_eq!(State::of(&observed, desired, &policy), expect);
}

#[test]
fn states_follow_storage_and_history() {
    let deployed = [snapshot(2, Status::Deployed)];
    state(None, &[], &desired(), State::Absent);
    state(Some(Status::PendingUpgrade), &deployed, &desired(), State::Locked(Status::PendingUpgrade));
    state(Some(Status::Uninstalled), &[], &desired(), State::Absent);
    state(Some(Status::Deployed), &[], &desired(), State::Unmanaged);
    let altered = [Snapshot { stored: Stored::Altered, ..snapshot(2, Status::Deployed) }];
    state(Some(Status::Deployed), &altered, &desired(), State::Unmanaged);
    state(Some(Status::Failed), &deployed, &desired(), State::Failed(Failure::Release));
    state(Some(Status::Superseded), &deployed, &desired(), State::Undeterminable(Status::Superseded));
    state(Some(Status::Deployed), &deployed, &desired(), State::InSync);
}

#[test]
fn a_deployed_release_is_compared_with_what_is_wanted() {
    let deployed = [snapshot(2, Status::Deployed)];
    let is = |desired: Desired, expect| state(Some(Status::Deployed), &deployed, &desired, expect);
    is(Desired { chart_version: "1.1.0".into(), ..desired() }, State::OutOfSync(Change::Chart));
    is(Desired { config_digest: "sha256:b".into(), ..desired() }, State::OutOfSync(Change::Values));
    is(Desired { rendering_changed: true, ..desired() }, State::OutOfSync(Change::Rendering));
    is(Desired { tests: true, ..desired() }, State::Untested);
    is(Desired { drift: DriftMode::Warn, ..desired() }, State::Drifted);
    let tested = [Snapshot { tests: Some(Tests::Failed), ..snapshot(2, Status::Deployed) }];
    let tests = Desired { tests: true, ..desired() };
    state(Some(Status::Deployed), &tested, &tests, State::Failed(Failure::Tests));
    let observed = Observed { last: Some(Status::Deployed), history: &tested, drifted: false };
    let ignoring = OnFailure { ignore_test_failures: true, ..DEFAULT };
    let ignored = after(ReleaseAction::Upgrade, 0, ignoring);
    assert_eq!(State::of(&observed, &tests, &ignored), State::InSync);
    assert_eq!(State::of(&observed, &tests, &policy()), State::InSync, "nobody knows which action made it");
    let retrying = after(ReleaseAction::Upgrade, 0, OnFailure { retry: true, ..DEFAULT });
    assert_eq!(State::of(&observed, &tests, &retrying), State::Failed(Failure::Tests));
}

#[track_caller]
fn step(state: State, history: &[Snapshot], policy: &Policy, expect: Step) {
    assert_eq!(next_step(state, history, DriftMode::Enabled, policy, Taken::default()), expect);
}

const UPGRADE: Step = Step::Upgrade { adopt: false };

#[test]
fn what_is_missing_or_old_is_installed_or_upgraded_while_attempts_are_left() {
    step(State::Absent, &[], &policy(), Step::Install);
    let tried = after(ReleaseAction::Install, 1, DEFAULT);
    step(State::Absent, &[], &tried, Step::RetriesExceeded(ReleaseAction::Install));
    step(State::Absent, &[], &Policy { forced: true, ..tried }, Step::Install);
    let endless = after(ReleaseAction::Install, 99, OnFailure { retries: -1, ..DEFAULT });
    step(State::Absent, &[], &endless, Step::Install);
    step(State::Unmanaged, &[], &policy(), Step::Upgrade { adopt: true });
    step(State::OutOfSync(Change::Chart), &[], &policy(), UPGRADE);
    let tried = after(ReleaseAction::Upgrade, 1, DEFAULT);
    step(State::OutOfSync(Change::Chart), &[], &tried, Step::RetriesExceeded(ReleaseAction::Upgrade));
    step(State::Locked(Status::PendingInstall), &[], &policy(), Step::Unlock(Status::PendingInstall));
    step(State::Drifted, &[], &policy(), Step::CorrectDrift);
    step(State::InSync, &[], &policy(), Step::Done);
    step(State::InSync, &[], &Policy { forced: true, ..policy() }, UPGRADE);
}

#[test]
fn failures_are_remediated_as_the_spec_says() {
    let failure = State::Failed(Failure::Release);
    let history = [snapshot(4, Status::Failed), snapshot(3, Status::Failed), snapshot(2, Status::Superseded)];
    let once = |on_failure| after(ReleaseAction::Upgrade, 1, on_failure);
    let retrying = OnFailure { retries: 2, ..DEFAULT };
    step(failure, &history, &once(retrying), Step::Rollback { to: 2 });
    step(failure, &history, &once(OnFailure { uninstall: true, ..retrying }), Step::UninstallFailed);
    step(failure, &history, &once(OnFailure { retry: true, ..retrying }), UPGRADE);
    step(failure, &history, &once(DEFAULT), Step::RetriesExceeded(ReleaseAction::Upgrade));
    step(failure, &history, &once(OnFailure { remediate_last: true, ..DEFAULT }), Step::Rollback { to: 2 });
    step(failure, &history[..2], &once(retrying), Step::MissingRollbackTarget);
    let altered = [history[0].clone(), Snapshot { stored: Stored::Altered, ..history[2].clone() }];
    step(failure, &altered, &once(retrying), UPGRADE);
    let untested = [history[0].clone(), Snapshot { tests: Some(Tests::Failed), ..history[2].clone() }];
    step(failure, &untested, &once(retrying), Step::MissingRollbackTarget);
    step(failure, &history, &after(ReleaseAction::Install, 1, retrying), Step::UninstallFailed);
    step(failure, &history, &after(ReleaseAction::Upgrade, 0, retrying), UPGRADE);
    step(failure, &history, &policy(), UPGRADE);
}

#[test]
fn every_kind_of_action_is_taken_once() {
    let mut taken = Taken::default();
    taken.note(Step::Install);
    let ask = |state, taken| {
        next_step(state, &[], DriftMode::Disabled, &Policy { forced: true, ..policy() }, taken)
    };
    assert_eq!(ask(State::OutOfSync(Change::Values), taken), Step::Stop);
    assert_eq!(ask(State::InSync, taken), Step::Done, "a demand is met by the first action");
    assert_eq!(ask(State::Untested, taken), Step::Test);
    taken.note(Step::UninstallFailed);
    assert_eq!(ask(State::Untested, taken), Step::Stop, "nothing follows a remediation");
}

#[test]
fn remediation_leads_to_another_attempt_while_there_are_some() {
    let retrying = OnFailure { retries: 1, ..DEFAULT };
    let again = after(ReleaseAction::Upgrade, 1, retrying);
    assert_eq!(after_remediation(Step::Rollback { to: 1 }, &again), AfterRemediation::Again);
    let last = after(ReleaseAction::Upgrade, 2, retrying);
    let stalled = AfterRemediation::Stalled(ReleaseAction::Upgrade, 2);
    assert_eq!(after_remediation(Step::Rollback { to: 1 }, &last), stalled);
    assert_eq!(
        after_remediation(Step::UninstallFailed, &last),
        AfterRemediation::Again,
        "an install follows"
    );
}

#[test]
fn history_reaches_back_to_what_could_be_restored() {
    let statuses =
        |all: &[Status]| -> Vec<Snapshot> { all.iter().map(|status| snapshot(1, *status)).collect() };
    use Status::{Deployed, Failed, Superseded};
    assert_eq!(history_length(&statuses(&[Deployed, Failed, Superseded, Superseded]), false, false), 3);
    assert_eq!(history_length(&statuses(&[Failed; 9]), false, false), 5);
    assert_eq!(history_length(&statuses(&[Deployed, Superseded, Superseded]), false, true), 3);
    assert_eq!(history_length(&[], false, false), 0);
}
