//! `ferrite diff`: what an apply would change, by a dry run of the API server. Values of Secrets are masked.

mod chart;

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use ferrite_api::helm::HelmRelease;
use ferrite_apply::{Applier, ApplyOptions, Cluster, Preview};
use ferrite_helm_controller::preview;
use ferrite_resource::diff::FieldChange;
use ferrite_resource::{Action, Entry, Managers, ObjectId};
use serde_json::Value;

use crate::build::{self, Builder};
use crate::inventory::{self, label};
use crate::kinds::HELM_RELEASE;
use crate::manifests;
use crate::objects;
use crate::output::{self, Encoding};
use crate::session::Session;

/// What can be compared.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// A Kustomization built from a directory of this machine, with the cluster.
    #[command(visible_alias = "ks")]
    Kustomization(Kustomization),
    /// A HelmRelease rendered from its chart, with the cluster.
    #[command(visible_alias = "hr")]
    Helmrelease(Release),
    /// An artifact of a registry, with a directory or file of this machine.
    Artifact(crate::artifact::Diff),
}

/// Options of `ferrite diff kustomization`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Kustomization {
    #[command(flatten)]
    input: build::Input,
    /// A Kustomization that is not in the cluster yet is no error: everything is new then.
    #[arg(long)]
    ignore_not_found: bool,
    /// Accepted for scripts written for flux.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    progress_bar: Option<String>,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
}

/// Options of `ferrite diff helmrelease`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Release {
    /// Name of the HelmRelease.
    name: String,
    /// Chart to render, a directory or a .tgz file. Default: the one that the source has.
    #[arg(long)]
    chart: Option<PathBuf>,
    /// File with the HelmRelease; else it is read from the cluster.
    #[arg(long)]
    helmrelease_file: Option<PathBuf>,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
}

/// Compares a Kustomization; true when something would change.
///
/// # Errors
///
/// When it cannot be built, or an object is refused by the API server.
pub(crate) async fn kustomization(session: &Session, options: &Kustomization) -> Result<bool> {
    let builder = Builder::new(Some(session), &options.input)?;
    let root = match builder.kustomization(&session.namespace).await {
        Err(_) if options.ignore_not_found => bare(&options.input.name, &session.namespace),
        found => found?,
    };
    let mut report = Report::default();
    for built in builder.build(&root).await? {
        let before = inventory::of_kustomization(&built.kustomization);
        let prunes = built.kustomization.pointer("/spec/prune") == Some(&Value::Bool(true));
        let remote = built.kustomization.pointer("/spec/kubeConfig").is_some_and(|config| !config.is_null());
        if remote {
            crate::say::warning(format!(
                "Kustomization/{} skipped: diff not supported for remote clusters",
                objects::name(&built.kustomization)
            ));
            continue;
        }
        let now: Vec<ObjectId> =
            built.objects.iter().filter_map(|object| Some(Entry::of(object).ok()?.id)).collect();
        report.add(compare(session, built.objects, "kustomize-controller").await?);
        if prunes {
            report.deleted.extend(before.into_iter().filter(|id| !now.contains(id)));
        }
    }
    report.print(options.output)
}

/// What stands for a Kustomization that is in no cluster and no file.
fn bare(name: &str, namespace: &str) -> Value {
    serde_json::json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "10m", "path": "./", "prune": true, "sourceRef": {"kind": "GitRepository", "name": name}},
    })
}

/// Compares a HelmRelease; true when something would change.
///
/// # Errors
///
/// When the chart cannot be had or rendered, or an object is refused by the API server.
pub(crate) async fn release(session: &Session, options: &Release) -> Result<bool> {
    let object = match &options.helmrelease_file {
        None => objects::get(session, &HELM_RELEASE, &session.namespace, &options.name).await?,
        Some(file) => from_file(session, file, &options.name).await?,
    };
    let parsed: HelmRelease =
        serde_json::from_value(object.clone()).context("the HelmRelease is not valid")?;
    let chart = match &options.chart {
        Some(path) => chart::local(path)?,
        None => chart::from_source(session, &object).await?,
    };
    let last = inventory::release(session, &object).await?;
    let cluster = Cluster::new(session.client.clone());
    let release = preview::release(&cluster, &parsed, chart, last.as_ref()).await?;
    let located = |text: &str| manifests::read(text);
    let mut wanted = located(&release.manifest)?;
    for object in &mut wanted {
        place(&cluster, object, &release.namespace).await;
    }
    let now: Vec<ObjectId> = wanted.iter().filter_map(|object| Some(Entry::of(object).ok()?.id)).collect();
    let mut report = Report::default();
    report.add(compare(session, wanted, "helm-controller").await?);
    if let Some(last) = last {
        let mut before = located(&last.manifest)?;
        for object in &mut before {
            place(&cluster, object, &last.namespace).await;
        }
        let before = before.iter().filter_map(|object| Some(Entry::of(object).ok()?.id));
        report.deleted.extend(before.filter(|id| !now.contains(id)));
    }
    report.print(options.output)
}

async fn from_file(session: &Session, file: &std::path::Path, name: &str) -> Result<Value> {
    let documents = manifests::read(&fs_err::read_to_string(file)?)?;
    let ours =
        |object: &Value| objects::text(object, "/kind") == HELM_RELEASE.kind && objects::name(object) == name;
    let mut found = documents
        .into_iter()
        .find(ours)
        .with_context(|| format!("{} has no HelmRelease {name}", file.display()))?;
    if objects::namespace(&found).is_empty() {
        found["metadata"]["namespace"] = session.namespace.clone().into();
    }
    if let Ok(live) = objects::get(session, &HELM_RELEASE, objects::namespace(&found), name).await
        && let Some(status) = live.get("status")
    {
        found["status"] = status.clone();
    }
    Ok(found)
}

/// Gives an object without a namespace the release's, where its kind has namespaces.
async fn place(cluster: &Cluster, object: &mut Value, namespace: &str) {
    let Ok(entry) = Entry::of(object) else { return };
    if entry.id.namespace.is_empty()
        && cluster.mapper().resolve(&entry).await.is_ok_and(|found| found.namespaced)
    {
        object["metadata"]["namespace"] = namespace.into();
    }
}

async fn compare(session: &Session, objects: Vec<Value>, manager: &str) -> Result<Vec<Preview>> {
    let cluster = Cluster::new(session.client.clone());
    let managers = Managers { own: manager.to_owned(), ..Managers::default() };
    let options = ApplyOptions { managers, ..ApplyOptions::default() };
    let previews = Applier::new(&cluster, options).preview(objects).await;
    previews.map_err(|error| anyhow!("{}", ferrite_runtime::chain(&error)))
}

/// What would change.
#[derive(Debug, Default)]
struct Report {
    previews: Vec<Preview>,
    deleted: Vec<ObjectId>,
}

impl Report {
    fn add(&mut self, previews: Vec<Preview>) {
        self.previews.extend(previews);
    }

    /// Prints it; true when something would change.
    fn print(&self, encoding: Option<Encoding>) -> Result<bool> {
        let changed = self.previews.iter().any(|preview| changes(preview.action)) || !self.deleted.is_empty();
        output::print(&match encoding {
            Some(encoding) => encoding.text(&self.to_json()?),
            None => self.text(),
        })?;
        Ok(changed)
    }

    fn to_json(&self) -> Result<Value> {
        let notable = self.previews.iter().filter(|preview| preview.action != Action::Unchanged);
        let previews: Result<Vec<Value>, _> = notable.map(serde_json::to_value).collect();
        Ok(serde_json::json!({
            "changes": previews?,
            "deleted": self.deleted.iter().map(label).collect::<Vec<_>>(),
        }))
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for preview in &self.previews {
            let what = match preview.action {
                Action::Created => "created",
                Action::Configured => "drifted",
                Action::Skipped => "skipped",
                _ => continue,
            };
            out.push_str(&format!("► {} {what}\n", label(&preview.entry.id)));
            if preview.action == Action::Configured {
                preview.diff.fields.iter().for_each(|change| field(&mut out, change));
                if preview.diff.more > 0 {
                    out.push_str(&format!("\n{} more fields\n", preview.diff.more));
                }
            }
        }
        for id in &self.deleted {
            out.push_str(&format!("► {} deleted\n", label(id)));
        }
        out
    }
}

fn changes(action: Action) -> bool {
    matches!(action, Action::Created | Action::Configured | Action::Deleted)
}

/// A field with what it was and what it would be.
fn field(out: &mut String, change: &FieldChange) {
    let what = match (&change.before, &change.after) {
        (None, _) => "+ value added",
        (_, None) => "- value removed",
        _ => "± value change",
    };
    out.push_str(&format!("\n{}\n  {what}\n", change.path));
    for (mark, value) in [('-', &change.before), ('+', &change.after)] {
        for line in value.iter().flat_map(|value| value.lines()) {
            out.push_str(&format!("    {mark} {line}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shown_with_both_values() {
        let text = |text: &str| Some(text.to_owned());
        let mut out = String::new();
        let path = "spec.replicas".to_owned();
        field(&mut out, &FieldChange { path: path.clone(), before: text("1"), after: text("2") });
        field(&mut out, &FieldChange { path, before: None, after: text("2") });
        assert_eq!(
            out,
            "\nspec.replicas\n  ± value change\n    - 1\n    + 2\n\nspec.replicas\n  + value added\n    + 2\n"
        );
    }
}
