//! What to do next with a release: the decisions of Flux's helm-controller as pure functions.
//!
//! ```text
//! storage, history, spec ─▶ State::of ─▶ next_step ─▶ Step ─▶ (the caller acts, observes again, and asks again)
//! ```
//!
//! The caller loops until a step says it is over; [`Taken`] keeps every kind of action to once per reconcile.

use crate::release::Status;

/// A release as status history remembers it, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its revision.
    pub version: i64,
    /// Helm's status of it.
    pub status: Status,
    /// Name of the chart.
    pub chart_name: String,
    /// Version of the chart.
    pub chart_version: String,
    /// Digest of the values.
    pub config_digest: String,
    /// Results of the tests: `None` when they have not run.
    pub tests: Option<Tests>,
    /// Whether storage still holds what was recorded.
    pub stored: Stored,
}

/// How a release's tests went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// All succeeded, or there are none.
    Passed,
    /// At least one failed.
    Failed,
}

/// What storage holds of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The same release.
    Same,
    /// Another one under its name and revision, or none.
    Altered,
}

impl Snapshot {
    fn is_target(&self, ignore_tests: bool) -> bool {
        matches!(self.status, Status::Deployed | Status::Superseded)
            && (ignore_tests || self.tests != Some(Tests::Failed))
    }
}

/// What the release should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Name of the chart.
    pub chart_name: String,
    /// Version of the chart.
    pub chart_version: String,
    /// Digest of the values.
    pub config_digest: String,
    /// Post-renderers or common metadata changed with this generation.
    pub rendering_changed: bool,
    /// `spec.test.enable`
    pub tests: bool,
    /// `spec.driftDetection.mode`
    pub drift: DriftMode,
}

/// What is done about drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DriftMode {
    /// It is repaired.
    Enabled,
    /// It is reported.
    Warn,
    /// Nobody looks.
    #[default]
    Disabled,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed<'a> {
    /// Status of the newest revision in storage.
    pub last: Option<Status>,
    /// Snapshots, newest first.
    pub history: &'a [Snapshot],
    /// Whether the cluster differs from the release; only looked for when drift matters.
    pub drifted: bool,
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Absent,
    /// An action was interrupted.
    Locked(Status),
    /// Somebody else made or changed it.
    Unmanaged,
    /// Chart, values or rendering are not those wanted.
    OutOfSync(Change),
    /// It is deployed, its tests have not run.
    Untested,
    /// The last action or its tests failed.
    Failed(Failure),
    /// The cluster differs from it.
    Drifted,
    /// It is as wanted.
    InSync,
    /// Its status says nothing about what to do.
    Undeterminable(Status),
}

/// What is not as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another chart, or another version of it.
    Chart,
    /// Other values.
    Values,
    /// Other post-renderers or metadata.
    Rendering,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The install, upgrade or rollback.
    Release,
    /// A test of a deployed release.
    Tests,
}

impl State {
    /// Where a release stands. Test failures count only where `policy` would act on them.
    #[must_use]
    pub fn of(observed: &Observed<'_>, desired: &Desired, policy: &Policy) -> Self {
        let Some(status) = observed.last else { return Self::Absent };
        if status.is_pending() {
            return Self::Locked(status);
        }
        let Some(latest) = observed.history.first() else {
            return if status == Status::Uninstalled { Self::Absent } else { Self::Unmanaged };
        };
        if latest.stored == Stored::Altered {
            return Self::Unmanaged;
        }
        match status {
            Status::Failed => Self::Failed(Failure::Release),
            Status::Uninstalled => Self::Absent,
            Status::Deployed => Self::deployed(latest, observed, desired, policy),
            Status::Unknown
            | Status::Superseded
            | Status::Uninstalling
            | Status::PendingInstall
            | Status::PendingUpgrade
            | Status::PendingRollback => Self::Undeterminable(status),
        }
    }

    fn deployed(latest: &Snapshot, observed: &Observed<'_>, desired: &Desired, policy: &Policy) -> Self {
        if latest.chart_name != desired.chart_name || latest.chart_version != desired.chart_version {
            return Self::OutOfSync(Change::Chart);
        }
        if latest.config_digest != desired.config_digest {
            return Self::OutOfSync(Change::Values);
        }
        if desired.rendering_changed {
            return Self::OutOfSync(Change::Rendering);
        }
        if desired.tests && latest.tests.is_none() {
            return Self::Untested;
        }
        if desired.tests && latest.tests == Some(Tests::Failed) && policy.minds_tests() {
            return Self::Failed(Failure::Tests);
        }
        if desired.drift != DriftMode::Disabled && observed.drifted { Self::Drifted } else { Self::InSync }
    }
}

/// An action that makes a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseAction {
    /// `install`
    Install,
    /// `upgrade`
    Upgrade,
}

/// What to do when an action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnFailure {
    /// `RetryOnFailure`: the action is tried again as it is, after an interval; nothing is remediated.
    pub retry: bool,
    /// Attempts after the first; negative means without end.
    pub retries: i64,
    /// Remediate also after the last attempt.
    pub remediate_last: bool,
    /// Failed tests are no failure: as the action says, or else as `spec.test.ignoreFailures` does.
    pub ignore_test_failures: bool,
    /// Uninstall instead of rolling back; an install is always uninstalled.
    pub uninstall: bool,
}

/// What is known of attempts, and what is to be done about failed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// For installs.
    pub install: OnFailure,
    /// For upgrades.
    pub upgrade: OnFailure,
    /// Failed installs since the last change.
    pub install_failures: i64,
    /// Failed upgrades since the last change.
    pub upgrade_failures: i64,
    /// `status.lastAttemptedReleaseAction`
    pub last_action: Option<ReleaseAction>,
    /// A person asked for an action now: counters do not matter.
    pub forced: bool,
}

impl Policy {
    fn active(&self) -> Option<(OnFailure, i64)> {
        Some(match self.last_action? {
            ReleaseAction::Install => (self.install, self.install_failures),
            ReleaseAction::Upgrade => (self.upgrade, self.upgrade_failures),
        })
    }

    /// Whether a failed test is a failure of the release: when it is known which action made it, and that does not
    /// ignore them.
    fn minds_tests(&self) -> bool {
        self.active().is_some_and(|(on_failure, _)| !on_failure.ignore_test_failures)
    }
}

/// Whether no attempt is left.
fn exhausted(on_failure: OnFailure, failures: i64) -> bool {
    on_failure.retries >= 0 && failures > on_failure.retries
}

/// One step. All that is needed to take it is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All is as wanted.
    Done,
    /// Enough was done in this reconcile; look again in the next.
    Stop,
    /// Mark the interrupted revision as failed.
    Unlock(Status),
    /// Install; history starts over.
    Install,
    /// Upgrade; `adopt` forgets history that is not ours.
    Upgrade {
        /// The release was not made by us.
        adopt: bool,
    },
    /// Run the tests.
    Test,
    /// Make the cluster as the release has it.
    CorrectDrift,
    /// Say that the cluster differs.
    ReportDrift,
    /// Go back to a revision.
    Rollback {
        /// The revision.
        to: i64,
    },
    /// Take the failed release away.
    UninstallFailed,
    /// No attempt is left; only a change or a person can help.
    RetriesExceeded(ReleaseAction),
    /// There is nothing to go back to; only a change or a person can help.
    MissingRollbackTarget,
    /// Nothing can be done in this state.
    Undeterminable(Status),
}

/// Kinds of actions, each of which a reconcile takes at most once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    unlocked: bool,
    released: bool,
    tested: bool,
    corrected: bool,
    remediated: bool,
}

impl Taken {
    /// Notes that a step was taken.
    pub fn note(&mut self, step: Step) {
        match step {
            Step::Unlock(_) => self.unlocked = true,
            Step::Install | Step::Upgrade { .. } => self.released = true,
            Step::Test => self.tested = true,
            Step::CorrectDrift => self.corrected = true,
            Step::Rollback { .. } | Step::UninstallFailed => self.remediated = true,
            Step::Done
            | Step::Stop
            | Step::ReportDrift
            | Step::RetriesExceeded(_)
            | Step::MissingRollbackTarget
            | Step::Undeterminable(_) => {}
        }
    }

    fn has(self, step: Step) -> bool {
        match step {
            Step::Unlock(_) => self.unlocked,
            Step::Install | Step::Upgrade { .. } => self.released,
            Step::Test => self.tested,
            Step::CorrectDrift => self.corrected,
            Step::Rollback { .. } | Step::UninstallFailed => self.remediated,
            _ => false,
        }
    }
}

/// The next step for a release.
#[must_use]
pub fn next_step(
    state: State,
    history: &[Snapshot],
    drift: DriftMode,
    policy: &Policy,
    taken: Taken,
) -> Step {
    if taken.remediated {
        return Step::Stop;
    }
    // A demand counts once.
    let forced = policy.forced && !taken.released;
    let step = match state {
        State::InSync if forced => Step::Upgrade { adopt: false },
        State::InSync => Step::Done,
        State::Locked(status) => Step::Unlock(status),
        State::Absent if !forced && exhausted(policy.install, policy.install_failures) => {
            Step::RetriesExceeded(ReleaseAction::Install)
        }
        State::Absent => Step::Install,
        State::Unmanaged => Step::Upgrade { adopt: true },
        State::OutOfSync(_) if !forced && exhausted(policy.upgrade, policy.upgrade_failures) => {
            Step::RetriesExceeded(ReleaseAction::Upgrade)
        }
        State::OutOfSync(_) => Step::Upgrade { adopt: false },
        State::Untested => Step::Test,
        State::Drifted if drift == DriftMode::Enabled => Step::CorrectDrift,
        State::Drifted => Step::ReportDrift,
        State::Failed(_) => failed(history, policy, forced),
        State::Undeterminable(status) => Step::Undeterminable(status),
    };
    if taken.has(step) { Step::Stop } else { step }
}

fn failed(history: &[Snapshot], policy: &Policy, forced: bool) -> Step {
    let again = Step::Upgrade { adopt: false };
    let (Some(action), Some((on_failure, failures))) = (policy.last_action, policy.active()) else {
        return again;
    };
    // Nothing has failed since the last change: what failed was something else.
    if on_failure.retry || forced || failures <= 0 {
        return again;
    }
    if exhausted(on_failure, failures) && !on_failure.remediate_last {
        return Step::RetriesExceeded(action);
    }
    if on_failure.uninstall || action == ReleaseAction::Install {
        return Step::UninstallFailed;
    }
    let ignore_tests = on_failure.ignore_test_failures;
    match history.iter().skip(1).find(|snapshot| snapshot.is_target(ignore_tests)) {
        None => Step::MissingRollbackTarget,
        Some(target) if target.stored == Stored::Altered => again,
        Some(target) => Step::Rollback { to: target.version },
    }
}

/// What follows a remediation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRemediation {
    /// Try again at once.
    Again,
    /// `RetriesExceeded`, with the action and the number of attempts.
    Stalled(ReleaseAction, i64),
}

/// What follows the remediation that [`next_step`] chose.
#[must_use]
pub fn after_remediation(step: Step, policy: &Policy) -> AfterRemediation {
    let Some((action, (on_failure, failures))) = policy.last_action.zip(policy.active()) else {
        return AfterRemediation::Again;
    };
    let fresh_start = action == ReleaseAction::Upgrade && step == Step::UninstallFailed;
    if fresh_start || !exhausted(on_failure, failures) {
        AfterRemediation::Again
    } else {
        AfterRemediation::Stalled(action, failures)
    }
}

/// Snapshots kept where nothing says how many.
const KEPT: usize = 5;

/// How many of the newest snapshots to keep: down to the first older one that could be rolled back to.
#[must_use]
pub fn history_length(history: &[Snapshot], ignore_tests: bool, retry: bool) -> usize {
    let target = history.iter().skip(1).position(|snapshot| snapshot.is_target(ignore_tests));
    match target {
        Some(at) if !retry => at + 2,
        _ => history.len().min(KEPT),
    }
}

#[cfg(test)]
mod tests;
