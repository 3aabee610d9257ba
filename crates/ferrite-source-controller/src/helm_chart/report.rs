//! Tells: conditions, status and events, from what was done.

use ferrite_api::{
    ConditionType, Reason,
    source::{ChartSourceKind, HelmChart, HelmChartStatus},
};
use ferrite_runtime::{Event, Report, chain, conditions_of};

use super::{Done, Error};
use crate::outcome;

pub(super) fn report(
    chart: &HelmChart,
    done: &Done,
    failure: Option<&Error>,
    now: jiff::Timestamp,
) -> Report<HelmChartStatus> {
    let mut status = chart.status.clone().unwrap_or_default();
    let mut conditions = conditions_of(chart, now);
    let recovered = outcome::had_failed(&conditions);
    let mut events: Vec<Event> = done.started.event().into_iter().collect();
    if done.started.lost {
        status.artifact = None;
        status.url = None;
        conditions.delete(ConditionType::ArtifactInStorage);
    }
    if chart.spec.verify.is_none() || done.verified == Some(false) {
        conditions.delete(ConditionType::SourceVerified);
    }
    if let Some(error @ Error::Verification { .. }) = failure {
        conditions.set_true(ConditionType::BuildFailed, Reason::ChartVerificationError, chain(error));
    }
    match (failure, &done.artifact) {
        (Some(error), _) => outcome::fail(error, &mut conditions, &mut events),
        (None, None) => {}
        (None, Some(artifact)) => {
            let (reason, message) = sentence(chart, done, &artifact.revision);
            if done.verified == Some(true) {
                let message = format!("verified signature of version {}", artifact.revision);
                conditions.set_true(ConditionType::SourceVerified, Reason::Succeeded, message);
            }
            outcome::succeed(&mut conditions, reason, message.clone());
            let words = (reason, reason);
            let previous = done.started.previous_digest.as_ref();
            events.extend(outcome::news(artifact, previous, recovered, words, message));
            status.artifact = Some(artifact.clone());
            status.url.clone_from(&done.url);
            status.observed_chart_name.clone_from(&done.chart);
            status.observed_source_artifact_revision.clone_from(&done.source_revision);
            let shows_files = chart.spec.ignore_missing_values_files;
            status.observed_values_files = if shows_files { done.values_files.clone() } else { Vec::new() };
        }
    }
    if outcome::is_handled(failure) {
        status.observed_generation = chart.metadata.generation;
    }
    status.conditions = conditions.into_vec();
    Report { status, events, requeue: outcome::requeue(chart.spec.interval.to_std(), failure) }
}

/// What was done, or what the condition says of when it was done.
fn sentence(chart: &HelmChart, done: &Done, version: &str) -> (Reason, String) {
    let name = done.chart.as_deref().unwrap_or(&chart.spec.chart);
    let is_source = chart.spec.source_ref.kind != ChartSourceKind::HelmRepository;
    let files = chart.spec.values_files();
    let merges = !files.is_empty() && (is_source || files != ["values.yaml"]);
    if !is_source && !merges {
        return (Reason::ChartPullSucceeded, format!("pulled '{name}' chart with version '{version}'"));
    }
    let mut message = format!("packaged '{name}' chart with version '{version}'");
    if merges {
        let merged = if chart.spec.ignore_missing_values_files {
            done.values_files.join(" ")
        } else {
            files.join(" ")
        };
        message.push_str(&format!(" and merged values files [{merged}]"));
    }
    (Reason::ChartPackageSucceeded, message)
}
