//! Writes HelmCharts; or judges the release and acts, again and again, until nothing is left to do.

mod actions;
mod drift;
mod worker;

use std::time::Duration;

use ferrite_api::{
    ConditionType, Reason,
    helm::{HelmReleaseStatus, ReleaseAction},
    source::HelmChart,
};
use ferrite_helm::{Release, Status};
use ferrite_runtime::{Event, Progress, Truth};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};

use super::{
    observe::Charts,
    plan::{Plan, Work},
};
use crate::{
    NAME,
    context::Context,
    error::Error,
    names,
    state::{self, Next, Remediation, State},
};
pub(super) use worker::Worker;

/// Status, reason and message of a condition; `None` when it is deleted.
pub(crate) type Mark = Option<(Truth, Reason, String)>;

/// What has been done; `Done::default()` is nothing.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Status as it has to be, without conditions.
    pub(crate) status: Option<HelmReleaseStatus>,
    /// Conditions that were set, or deleted, in order.
    pub(crate) marks: Vec<(ConditionType, Mark)>,
    /// What happened.
    pub(crate) events: Vec<Event>,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

impl Done {
    pub(super) fn mark(&mut self, kind: ConditionType, truth: Truth, reason: Reason, message: &str) {
        self.marks.push((kind, Some((truth, reason, message.to_owned()))));
    }

    pub(super) fn unmark(&mut self, kind: ConditionType) {
        self.marks.push((kind, None));
    }

    /// Sets a condition, and tells of it.
    pub(super) fn tell(&mut self, kind: ConditionType, good: bool, reason: Reason, message: &str) {
        self.mark(kind, if good { Truth::True } else { Truth::False }, reason, message);
        let event = if good { Event::info(reason, message) } else { Event::error(reason, message) };
        self.events.push(event);
    }

    pub(super) fn status(&mut self) -> &mut HelmReleaseStatus {
        self.status.get_or_insert_with(HelmReleaseStatus::default)
    }
}

/// How a reconcile ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The release is as wanted.
    #[default]
    Ready,
    /// HelmCharts were written; they are not ready before this time, unless a watch tells.
    Charts(Duration),
    /// More is to be done at once.
    Again,
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
        Plan::Charts(charts) => write_charts(context, *charts, done, step).await,
        Plan::Release(work) => release(context, &work, done, step).await,
    }
}

async fn write_charts(
    context: &Context,
    charts: Charts,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let fail = |name: &dyn std::fmt::Display, source| Error::ChartSync { name: name.to_string(), source };
    let params = PatchParams::apply(NAME).force();
    done.outcome = Outcome::Charts(charts.again);
    if let Some(key) = charts.delete {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), &key.namespace);
        match api.delete(&key.name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            Err(error) => return Err(fail(&key, error)),
        }
        step.event(Event::trace(Reason::HelmChartDeleted, format!("deleted HelmChart '{key}'")));
        step.field("helmChart", serde_json::Value::Null);
        done.status = charts.status.clone();
        done.status().helm_chart = None;
        done.outcome = Outcome::Again;
    }
    if let Some((key, wanted, new)) = charts.apply {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), &key.namespace);
        api.patch(&key.name, &params, &Patch::Apply(&wanted)).await.map_err(|error| fail(&key, error))?;
        let (reason, verb) =
            if new { ("HelmChartCreated", "Created") } else { ("HelmChartConfigured", "Configured") };
        let source = wanted.pointer("/spec/sourceRef");
        let source = |field: &str| source.and_then(|s| s.get(field)?.as_str()).unwrap_or_default();
        let source = format!("{}/{}/{}", source("kind"), key.namespace, source("name"));
        step.event(Event::trace(reason, format!("{verb} HelmChart/{key} with SourceRef '{source}'")));
        if done.status.is_none() {
            done.status = charts.status;
        }
        done.status().helm_chart = Some(key.to_string());
        done.outcome = Outcome::Charts(charts.again);
    }
    Ok(())
}

async fn release(context: &Context, work: &Work, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let (object, released) = (&work.object, &work.released);
    let worker =
        Worker::new(context, object, &released.cluster, &released.expressions, &released.settings, step);
    done.status = Some(object.status.clone().unwrap_or_default());
    if replaced(work, &worker, done).await? {
        done.outcome = Outcome::Again;
        return Ok(());
    }
    prepare(work, &worker, done.status());
    let mut remediated = false;
    // Each kind of action happens once; this many are enough for all of them.
    for _ in 0..8 {
        let last = worker.records().last().await.map_err(Error::State)?;
        let status = done.status().clone();
        let found = state::judge(&object.spec, &status, last.as_ref(), &work.wanted).map_err(Error::State)?;
        let mut wanted = work.wanted.clone();
        // A forced release happens once.
        wanted.force &= done.events.is_empty();
        let next = state::next(&object.spec, &status, found, &wanted, released.settings.default_to_retry);
        tracing::info!(state = ?found, ?next, "judged the release");
        match (next, last) {
            (Next::Done, Some(last)) => return finish(work, &worker, done, last).await,
            (Next::Unlock, Some(last)) => worker.unlock(last, done).await?,
            (Next::Install, last) => worker.install(work, last, done).await?,
            (Next::Upgrade { forget }, Some(last)) => {
                if forget {
                    done.status().history.clear();
                }
                worker.upgrade(work, last, done).await?;
            }
            (Next::Test, Some(last)) => worker.test(work, last, done).await?,
            (Next::Rollback, Some(last)) => match worker.rollback(last, done).await? {
                Some(outcome) => {
                    done.outcome = outcome;
                    return Ok(());
                }
                None => remediated = true,
            },
            (Next::Uninstall, Some(last)) => {
                worker.remediate(last, done).await?;
                remediated = true;
            }
            (Next::Exceeded, _) => {
                done.outcome = exceeded(found, done.status());
                return Ok(());
            }
            (_, None) => return Err(Error::State("there is no record of the release".to_owned())),
        }
        if remediated {
            done.outcome = after_remediation(work, done.status(), found);
            return Ok(());
        }
        if let Some(interval) = retry_interval(work, done) {
            done.outcome = Outcome::RetryAfter(interval);
            return Ok(());
        }
    }
    Err(Error::State("the release does not come to rest".to_owned()))
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
    let last = worker.storage(storage, &latest.name).last().await.map_err(Error::State)?;
    if let Some(last) = last.filter(|last| last.status != Status::Uninstalled) {
        let (full, chart) = (state::full_name(&last), state::chart_name(&last));
        let namespace = last.namespace.clone();
        if let Err(error) = worker.uninstall(storage, last, &namespace).await {
            let text = format!("Helm uninstall failed for release {full} with chart {chart}: {error}");
            done.tell(ConditionType::Released, false, Reason::UninstallFailed, &text);
            return Err(Error::Action(text));
        }
        let text = format!("Helm uninstall succeeded for release {full} with chart {chart}");
        done.events.push(Event::info(Reason::UninstallSucceeded, text));
    }
    let status = done.status();
    status.history.clear();
    status.storage_namespace = None;
    status.inventory = None;
    (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    Ok(true)
}

/// The release is as wanted: its history is cut, conditions of earlier failures go, and drift is looked for.
async fn finish(work: &Work, worker: &Worker<'_>, done: &mut Done, last: Release) -> Result<(), Error> {
    let spec = &work.object.spec;
    let (full, chart) = (state::full_name(&last), state::chart_name(&last));
    let ignore = state::ignores_tests(spec, done.status());
    let status = done.status();
    state::truncate(&mut status.history, ignore);
    status.observed_post_renderers_digest.clone_from(&work.wanted.post_renderers);
    status.observed_common_metadata_digest.clone_from(&work.wanted.common_metadata);
    let installed =
        status.history.first().and_then(|snapshot| snapshot.action) == Some(ReleaseAction::Install);
    if done.marks.is_empty() {
        let (reason, verb) = if installed {
            (Reason::InstallSucceeded, "install")
        } else {
            (Reason::UpgradeSucceeded, "upgrade")
        };
        let text = format!("Helm {verb} succeeded for release {full} with chart {chart}");
        done.mark(ConditionType::Released, Truth::True, reason, &text);
        done.unmark(ConditionType::Remediated);
    }
    if !state::tests(spec) {
        done.unmark(ConditionType::TestSuccess);
    }
    worker.drift(work, &last, done).await?;
    done.outcome = Outcome::Ready;
    Ok(())
}

fn exceeded(found: State, status: &HelmReleaseStatus) -> Outcome {
    let action = match (found, status.last_attempted_release_action) {
        (State::Absent, _) => ReleaseAction::Install,
        (State::OutOfSync, _) => ReleaseAction::Upgrade,
        (_, action) => action.unwrap_or(ReleaseAction::Upgrade),
    };
    let count = state::failures(status, action);
    Outcome::Stalled(Reason::RetriesExceeded, format!("Failed to {action} after {count} attempt(s)"))
}

fn after_remediation(work: &Work, status: &HelmReleaseStatus, found: State) -> Outcome {
    let Some(action) = status.last_attempted_release_action else { return Outcome::Again };
    let remediation = Remediation::of(&work.object.spec, action, work.released.settings.default_to_retry);
    let left = !remediation.exhausted(state::failures(status, action));
    let uninstalled_upgrade = action == ReleaseAction::Upgrade && remediation.uninstall;
    if left || uninstalled_upgrade { Outcome::Again } else { exceeded(found, status) }
}

/// When a failed action is tried again, if that is how failures are dealt with.
fn retry_interval(work: &Work, done: &mut Done) -> Option<Duration> {
    let status = done.status();
    let failed = status.history.first().is_some_and(|snapshot| snapshot.status == Status::Failed.as_str());
    let action = status.last_attempted_release_action.filter(|_| failed && status.failures > 0)?;
    Remediation::of(&work.object.spec, action, work.released.settings.default_to_retry).retry
}

/// `namespace/name` without a revision.
pub(super) fn plain_name(worker: &Worker<'_>) -> String {
    format!("{}/{}", worker.namespace, worker.name)
}

impl Worker<'_> {
    /// The name and namespace of the release that status tells of, or of the one that is wanted.
    pub(super) fn target(&self, status: &HelmReleaseStatus) -> (String, String) {
        status.history.first().map_or_else(
            || (self.name.clone(), self.namespace.clone()),
            |latest| (latest.name.clone(), latest.namespace.clone()),
        )
    }
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
