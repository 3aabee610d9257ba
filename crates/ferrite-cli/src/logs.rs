//! `ferrite logs`: the controllers' logs, one line each, for people.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use ferrite_runtime::flags::GoDuration;
use futures::AsyncReadExt as _;
use futures::io::AsyncBufReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, LogParams};
use serde::Deserialize;

use crate::installed;
use crate::objects::plain;
use crate::output;
use crate::say;
use crate::session::{NAMESPACE, Session};

/// Longer lines are left out.
const LINE_BYTES: usize = 1 << 20;

/// Options of `ferrite logs`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Lines of this level only: trace, debug, info, error.
    #[arg(long, value_parser = ["trace", "debug", "info", "error"])]
    level: Option<String>,
    /// Lines about objects of this kind only.
    #[arg(long)]
    kind: Option<String>,
    /// Lines about objects of this name only.
    #[arg(long)]
    name: Option<String>,
    /// Show lines as they come.
    #[arg(short, long)]
    follow: bool,
    /// Lines of each log to look at, from its end; all without.
    #[arg(long, allow_hyphen_values = true)]
    tail: Option<i64>,
    /// Namespace that the controllers run in.
    #[arg(long, default_value = NAMESPACE)]
    flux_namespace: String,
    /// Lines about objects of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Lines newer than this, as in 5s, 2m or 3h.
    #[arg(long, conflicts_with = "since_time")]
    since: Option<GoDuration>,
    /// Lines after this time (RFC 3339).
    #[arg(long)]
    since_time: Option<jiff::Timestamp>,
}

/// Prints the lines.
///
/// # Errors
///
/// When there are no pods, or a log cannot be read; the other logs are printed all the same.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    let pods = pods(session, options).await?;
    let logs = pods.iter().map(|pod| print(session, pod, options));
    let outcomes = if options.follow {
        futures::future::join_all(logs).await
    } else {
        let mut outcomes = Vec::new();
        for log in logs {
            outcomes.push(log.await);
        }
        outcomes
    };
    let mut failed = false;
    for error in outcomes.into_iter().filter_map(Result::err) {
        say::failure(format!("failed getting logs: {}", ferrite_runtime::chain(error.as_ref())));
        failed = true;
    }
    if failed { bail!("failed to collect logs from all Flux pods") } else { Ok(()) }
}

/// One pod of each Deployment, a ready one if there is one.
async fn pods(session: &Session, options: &Options) -> Result<Vec<Pod>> {
    let namespace = &options.flux_namespace;
    let api: Api<Pod> = Api::namespaced(session.client.clone(), namespace);
    let mut chosen = Vec::new();
    for deployment in installed::deployments(&session.within(namespace)).await? {
        let labels = deployment.spec.selector.match_labels.unwrap_or_default();
        if labels.is_empty() {
            continue;
        }
        let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut pods =
            api.list(&ListParams::default().labels(&selector.join(","))).await.map_err(plain)?.items;
        pods.sort_by_key(|pod| !ready(pod));
        chosen.extend(pods.into_iter().next());
    }
    if chosen.is_empty() {
        return Err(anyhow!("no Flux pods found in namespace {namespace:?}"));
    }
    Ok(chosen)
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn print(session: &Session, pod: &Pod, options: &Options) -> Result<()> {
    let several = pod.spec.as_ref().is_some_and(|spec| spec.containers.len() > 1);
    let seconds = |duration: Duration| i64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    let params = LogParams {
        container: several.then(|| "manager".to_owned()),
        follow: options.follow,
        tail_lines: options.tail.filter(|lines| *lines >= 0),
        since_seconds: options.since.map(|since| seconds(since.0)),
        since_time: options.since_time,
        ..LogParams::default()
    };
    let api: Api<Pod> = Api::namespaced(session.client.clone(), &options.flux_namespace);
    let stream = api.log_stream(&pod.name_any(), &params).await.map_err(plain)?;
    let namespace = (!options.all_namespaces).then_some(session.namespace.as_str());
    let mut stream = std::pin::pin!(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
        let read = (&mut stream).take(limit).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { continue };
        if entry.wanted(options, namespace) {
            output::print(&entry.text())?;
        }
    }
}

/// The fields of a log line that are shown.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Entry {
    ts: String,
    level: String,
    msg: String,
    error: String,
    #[serde(rename = "reconciler kind")]
    reconciler_kind: String,
    #[serde(rename = "controllerKind")]
    controller_kind: String,
    name: String,
    namespace: String,
}

impl Entry {
    fn kind(&self) -> &str {
        if self.reconciler_kind.is_empty() { &self.controller_kind } else { &self.reconciler_kind }
    }

    fn wanted(&self, options: &Options, namespace: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, has: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        options.level.as_ref().is_none_or(|level| *level == self.level)
            && (same(&options.kind, &self.reconciler_kind) || same(&options.kind, &self.controller_kind))
            && same(&options.name, &self.name)
            && namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(&self.namespace))
    }

    fn text(&self) -> String {
        let object =
            if self.name.is_empty() { String::new() } else { format!("/{}.{}", self.name, self.namespace) };
        format!("{} {} {}{object} - {} {}\n", self.ts, self.level, self.kind(), self.msg, self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_flux_shows_it() {
        let line = r#"{"level":"error","ts":"2026-01-01T00:00:00Z","msg":"Reconciler error","controllerKind":"Kustomization","name":"app","namespace":"prod","error":"no","extra":1}"#;
        let entry: Entry = serde_json::from_str(line).unwrap();
        assert_eq!(entry.text(), "2026-01-01T00:00:00Z error Kustomization/app.prod - Reconciler error no\n");
    }
}
