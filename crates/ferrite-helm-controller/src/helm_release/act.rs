//! Writes HelmCharts; or judges the release and acts, again and again, until nothing is left to do.

mod attempt;
mod charts;
mod crds;
mod done;
mod drift;
mod rollback;
mod test;
mod uninstall;
mod unlock;
mod worker;

use std::time::Duration;

use ferrite_api::{
    ConditionType, Reason,
    helm::{HelmReleaseStatus, ReleaseAction, SnapshotAction},
};
use ferrite_helm::{
    Release,
    next_step::{self, AfterRemediation, DriftMode, Observed, Policy, State, Step, Stored, Taken, next_step},
};
use ferrite_runtime::{Event, Progress, Truth};

use super::plan::{Plan, Work};
use crate::{context::Context, decide, error::Error, history, names};
use drift::Drift;
pub(super) use {
    done::{Done, play},
    worker::Worker,
};

/// How a reconcile ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The release is as wanted.
    #[default]
    Ready,
    /// HelmCharts were written; they are not ready before this time, unless a watch tells.
    Charts(Duration),
    /// The old release is gone; the new one is made at once.
    Anew,
    /// More is to be done soon.
    Again,
    /// Something newer ended a wait; it is looked at at once.
    Overtaken,
    /// A failed action is tried again after this time.
    RetryAfter(Duration),
    /// Only a change of the spec, the chart or the values helps, or a request.
    Stalled(Reason, String),
}

pub(crate) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    match plan {
        Plan::Charts(charts) => charts::write(context, *charts, done, step).await,
        Plan::Release(work) => release(context, &work, done, step).await,
    }
}

async fn release(context: &Context, work: &Work, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let (object, released) = (&work.object, &work.released);
    let worker = Worker::new(context, object, released.cluster.clone(), &released.expressions, step);
    done.status = Some(object.status.clone().unwrap_or_default());
    if replaced(work, &worker, done).await? {
        done.outcome = Outcome::Anew;
        return Ok(());
    }
    prepare(work, &worker, done.status());
    // Boxed, as are the actions: their futures are large, and stacks are not.
    let outcome = Box::pin(steps(work, &worker, done)).await;
    if step.superseded().is_cancelled() && worker.settings.cancel_on_new && was_cut_off(&outcome, done) {
        overtaken(work, done, step);
        return Ok(());
    }
    done.outcome = outcome?;
    Ok(())
}

/// Whether the reconcile did not get to an end because a wait ended early.
fn was_cut_off(outcome: &Result<Outcome, Error>, done: &mut Done) -> bool {
    match outcome {
        Ok(Outcome::Ready) => false,
        Ok(_) => done.status().failures > 0,
        Err(error) => matches!(error, Error::Action(_)),
    }
}

fn overtaken(work: &Work, done: &mut Done, step: &Progress) {
    let by = format!(
        "HelmRelease/{}/{}",
        work.object.metadata.namespace.as_deref().unwrap_or_default(),
        work.object.metadata.name.as_deref().unwrap_or_default()
    );
    let text = format!("New reconciliation triggered by {by}");
    done.mark(ConditionType::Ready, Truth::False, Reason::HealthCheckCanceled, &text);
    let text = format!("Health checks canceled due to new reconciliation triggered by {by}");
    step.event(Event::info(Reason::HealthCheckCanceled, text));
    done.outcome = Outcome::Overtaken;
}

/// Steps before any action: where records are, what is tried, and whether failures still count.
fn prepare(work: &Work, worker: &Worker<'_>, status: &mut HelmReleaseStatus) {
    status.storage_namespace = Some(worker.storage_namespace.clone());
    if work.reset {
        (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    }
    status.last_attempted_generation = work.object.metadata.generation;
    status.last_attempted_revision = Some(work.wanted.chart_version.clone());
    status.last_attempted_revision_digest.clone_from(&work.released.oci_digest);
    status.last_attempted_config_digest = Some(work.wanted.config_digest.clone());
    status.last_attempted_values_checksum = None;
    status.last_release_revision = None;
}

/// Uninstalls a release whose name, place or chart was another; says whether there was one.
async fn replaced(work: &Work, worker: &Worker<'_>, done: &mut Done) -> Result<bool, Error> {
    use ferrite_api::helm::ChartNameChangeStrategy;
    let status = done.status().clone();
    let (Some(storage), Some(latest)) = (&status.storage_namespace, status.history.first()) else {
        return Ok(false);
    };
    let strategy = work.object.spec.upgrade.as_ref().and_then(|u| u.chart_name_change_strategy);
    let reinstall = strategy.unwrap_or_default() == ChartNameChangeStrategy::Reinstall;
    let same = *storage == worker.storage_namespace
        && latest.namespace == worker.namespace
        && latest.name == worker.name
        && (latest.chart_name == work.wanted.chart_name || !reinstall);
    if same {
        return Ok(false);
    }
    Box::pin(worker.take_away(storage, done)).await.map_err(Error::Action)?;
    let status = done.status();
    status.history.clear();
    status.storage_namespace = None;
    (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    Ok(true)
}

/// Asks what to do and does it, until nothing is left.
async fn steps(work: &Work, worker: &Worker<'_>, done: &mut Done) -> Result<Outcome, Error> {
    let (spec, settings) = (&work.object.spec, worker.settings);
    let mode = decide::drift_mode(spec, settings.drift);
    let mut taken = Taken::default();
    // A demand is looked at once, whatever comes of it.
    let mut forced = work.wanted.force;
    loop {
        let last = worker.records().last().await.map_err(|error| {
            Error::State(format!("failed to retrieve last release from storage: {error}"))
        })?;
        let policy = decide::policy(spec, done.status(), settings.default_to_retry, forced);
        forced = false;
        let (state, drift) = Box::pin(judge(work, worker, last.as_ref(), &policy, done)).await?;
        let history = known(worker, state, &policy, done, last.as_ref()).await?;
        let next = next_step(state, &history, mode, &policy, taken);
        tracing::info!(?state, ?next, "judged the release");
        if state == State::Untested || state == State::InSync {
            settle_remediation(worker, done);
        }
        let ignore = decide::tests_do_not_matter(spec, &policy);
        let retry = worker.retry(done.status());
        if matches!(state, State::InSync | State::Failed(_)) {
            decide::truncate(done.status(), ignore, retry.is_some());
        }
        let acted = match (next, last) {
            (Step::Done, Some(_)) => return Ok(finish(work, worker, done, mode)),
            (Step::ReportDrift, Some(_)) => {
                worker.tell_drift(&drift, done);
                worker.summarize(done);
                return Ok(Outcome::Ready);
            }
            (Step::Unlock(_), Some(last)) => Box::pin(worker.unlock(last, done)).await,
            (Step::Install, last) => Box::pin(worker.install(work, last, done)).await,
            (Step::Upgrade { adopt }, Some(last)) => {
                if adopt {
                    done.status().history.clear();
                }
                Box::pin(worker.upgrade(work, last, done)).await
            }
            (Step::Test, Some(last)) => Box::pin(worker.test(last, done)).await,
            (Step::CorrectDrift, Some(_)) => {
                worker.tell_drift(&drift, done);
                Box::pin(worker.correct(work, &drift, done)).await;
                Ok(())
            }
            (Step::Rollback { to }, Some(last)) => Box::pin(worker.rollback(work, last, to, done)).await,
            (Step::UninstallFailed, Some(_)) => Box::pin(worker.remediate(done)).await,
            (Step::Stop, _) => return Ok(stop(worker, done, &policy)),
            (Step::RetriesExceeded(action), _) => return Ok(exceeded(action, done.status())),
            (Step::MissingRollbackTarget, _) => return Ok(no_target()),
            (Step::Undeterminable(status), _) => {
                let status = status.as_str();
                let why = format!("unable to determine state for release with status '{status}'");
                return Err(Error::State(why));
            }
            (_, None) => return Err(Error::State("there is no record of the release".to_owned())),
        };
        if let Err(error) = acted {
            return match worker.retry(done.status()) {
                Some(interval) => {
                    tracing::error!(%error, "the action failed");
                    Ok(Outcome::RetryAfter(interval))
                }
                None => Err(error),
            };
        }
        taken.note(next);
        if matches!(next, Step::Rollback { .. } | Step::UninstallFailed) {
            return Ok(after_remediation(work, worker, done, next));
        }
    }
}

/// Where the release stands; the cluster is looked at when nothing else is to be done.
async fn judge(
    work: &Work,
    worker: &Worker<'_>,
    last: Option<&Release>,
    policy: &Policy,
    done: &mut Done,
) -> Result<(State, Drift), Error> {
    let spec = &work.object.spec;
    let mode = decide::drift_mode(spec, worker.settings.drift);
    let config = decide::config_text(spec, last, &work.released.values);
    let desired = decide::desired(spec, done.status(), &work.wanted, &config, mode);
    let history = decide::snapshots(done.status(), last);
    let state = |drifted| {
        let observed = Observed { last: last.map(|last| last.status), history: &history, drifted };
        State::of(&observed, &desired, policy)
    };
    let found = state(false);
    match last {
        Some(last) if found == State::InSync && mode != DriftMode::Disabled => {
            let drift = worker.drift(work, last).await?;
            Ok((state(!drift.is_empty()), drift))
        }
        _ => Ok((found, Drift::default())),
    }
}

/// The history, with whether the release to roll back to is still in storage as it was.
async fn known(
    worker: &Worker<'_>,
    state: State,
    policy: &Policy,
    done: &mut Done,
    last: Option<&Release>,
) -> Result<Vec<next_step::Snapshot>, Error> {
    let mut history = decide::snapshots(done.status(), last);
    if !matches!(state, State::Failed(_)) {
        return Ok(history);
    }
    // Whether it is the target depends on tests too, so whatever may be is looked at: the first that fits, mostly.
    let asked = next_step(state, &history, DriftMode::Disabled, policy, Taken::default());
    let Step::Rollback { to } = asked else { return Ok(history) };
    let snapshot = done.status().history.iter().find(|snapshot| i64::from(snapshot.version) == to).cloned();
    let stored = worker.records().get(to).await.map_err(Error::State)?;
    let same = snapshot.zip(stored).is_some_and(|(snapshot, stored)| history::is_of(&snapshot, &stored));
    for target in history.iter_mut().filter(|target| target.version == to && !same) {
        target.stored = Stored::Altered;
    }
    Ok(history)
}

/// A rollback came to what is wanted now: the release counts as upgraded.
fn settle_remediation(worker: &Worker<'_>, done: &mut Done) {
    if !done.conditions(worker).is(ConditionType::Remediated, Truth::True) {
        return;
    }
    let Some(latest) = done.status().history.first().cloned() else { return };
    let text = format!(
        "Helm upgrade succeeded for release {} with chart {}",
        history::full_name(&latest),
        history::chart_name(&latest)
    );
    done.mark(ConditionType::Released, Truth::True, Reason::UpgradeSucceeded, &text);
    done.unmark(ConditionType::Remediated);
}

/// The release is as wanted: conditions of earlier failures go.
fn finish(work: &Work, worker: &Worker<'_>, done: &mut Done, mode: DriftMode) -> Outcome {
    let conditions = done.conditions(worker);
    let latest = done.status().history.first().cloned();
    let good = conditions.is(ConditionType::Ready, Truth::True)
        && conditions.is(ConditionType::Released, Truth::True);
    let released = conditions.get(ConditionType::Released).map(|released| released.reason.clone());
    let action = match released.as_deref() {
        Some("InstallFailed") => Some(ReleaseAction::Install),
        Some("UpgradeFailed") => Some(ReleaseAction::Upgrade),
        Some(_) => None,
        None => match latest.as_ref().and_then(|latest| latest.action) {
            Some(SnapshotAction::Install) => Some(ReleaseAction::Install),
            _ => Some(ReleaseAction::Upgrade),
        },
    };
    if let (false, Some(action), Some(latest)) = (good, action, latest) {
        let text = format!(
            "Helm {action} succeeded for release {} with chart {}",
            history::full_name(&latest),
            history::chart_name(&latest)
        );
        done.mark(ConditionType::Released, Truth::True, attempt::reason(action, true), &text);
    }
    if mode == DriftMode::Disabled {
        done.unmark(ConditionType::Drifted);
    } else {
        let text = "No drift detected against the cluster state";
        done.mark(ConditionType::Drifted, Truth::False, Reason::NoDriftDetected, text);
    }
    if !decide::tests(&work.object.spec) {
        done.unmark(ConditionType::TestSuccess);
    }
    worker.summarize(done);
    Outcome::Ready
}

/// Every kind of action was taken, and the release is not as wanted yet.
fn stop(worker: &Worker<'_>, done: &mut Done, policy: &Policy) -> Outcome {
    if let Some(interval) = worker.retry(done.status()) {
        return Outcome::RetryAfter(interval);
    }
    match next_step::after_remediation(Step::Stop, policy) {
        AfterRemediation::Again => Outcome::Again,
        AfterRemediation::Stalled(..) => Outcome::Ready,
    }
}

fn after_remediation(work: &Work, worker: &Worker<'_>, done: &mut Done, step: Step) -> Outcome {
    if let Some(interval) = worker.retry(done.status()) {
        return Outcome::RetryAfter(interval);
    }
    let policy = decide::policy(&work.object.spec, done.status(), worker.settings.default_to_retry, false);
    match next_step::after_remediation(step, &policy) {
        AfterRemediation::Again => Outcome::Again,
        AfterRemediation::Stalled(action, _) => exceeded(action, done.status()),
    }
}

fn exceeded(action: next_step::ReleaseAction, status: &HelmReleaseStatus) -> Outcome {
    let action = status.last_attempted_release_action.unwrap_or(match action {
        next_step::ReleaseAction::Install => ReleaseAction::Install,
        next_step::ReleaseAction::Upgrade => ReleaseAction::Upgrade,
    });
    let count = match action {
        ReleaseAction::Install => status.install_failures,
        ReleaseAction::Upgrade => status.upgrade_failures,
    };
    Outcome::Stalled(Reason::RetriesExceeded, format!("Failed to {action} after {count} attempt(s)"))
}

fn no_target() -> Outcome {
    let text =
        "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
    Outcome::Stalled(Reason::MissingRollbackTarget, text.to_owned())
}

/// Names of a release, as a spec gives them.
pub(super) fn names_of(object: &ferrite_api::helm::HelmRelease) -> (String, String, String) {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    (
        names::release_name(&object.spec, name),
        names::release_namespace(&object.spec, own),
        names::storage_namespace(&object.spec, own),
    )
}
