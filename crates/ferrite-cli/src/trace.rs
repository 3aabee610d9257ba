//! `ferrite trace`: from an object to the Git commit, chart or artifact it comes from.

use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::{HELM_CHART, HELM_RELEASE, KUSTOMIZATION, Kind, find};
use crate::objects::{self, condition, label, text};
use crate::output;
use crate::resources::{self, Resource};
use crate::say;
use crate::session::Session;

/// How far owner references are followed.
const DEPTH: usize = 16;

/// Options of `ferrite trace`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// `resource/name …`, or `resource name …`; only names with --kind.
    #[arg(required = true)]
    objects: Vec<String>,
    /// Kind of the object, as in Deployment.
    #[arg(long, requires = "api_version")]
    kind: Option<String>,
    /// API version of the object, as in apps/v1.
    #[arg(long, requires = "kind")]
    api_version: Option<String>,
}

/// Prints where the objects come from.
///
/// # Errors
///
/// When an object is not there, or not managed; the others are traced all the same.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    let targets = targets(session, options).await?;
    let mut failed = false;
    for (index, (resource, name)) in targets.iter().enumerate() {
        if index > 0 {
            output::print("---\n")?;
        }
        match trace(session, resource, name).await {
            Ok(report) => output::print(&report)?,
            Err(error) => {
                failed = true;
                let why = ferrite_runtime::chain(error.as_ref());
                let kind = &resource.resource.kind;
                say::failure(format!(
                    "failed to trace {kind}/{name} in namespace {}: {why}",
                    session.namespace
                ));
            }
        }
    }
    if failed { bail!("not every object could be traced") } else { Ok(()) }
}

/// The resources and names that are asked for.
///
/// # Errors
///
/// When the words make no sense, or the API server has no such resource.
async fn targets(session: &Session, options: &Options) -> Result<Vec<(Resource, String)>> {
    if let (Some(kind), Some(version)) = (&options.kind, &options.api_version) {
        let resource = resources::of_kind(session, version, kind).await?;
        return Ok(options.objects.iter().map(|name| (resource.clone(), name.clone())).collect());
    }
    let wrong = || anyhow!("either `<resource>/<name>` or `<resource> <name>` is required as an argument");
    let slashed = options.objects.iter().filter(|word| word.contains('/')).count();
    let mut targets = Vec::new();
    if slashed == options.objects.len() {
        for word in &options.objects {
            let (resource, name) = word.split_once('/').ok_or_else(wrong)?;
            targets.push((resources::resolve(session, resource).await?, name.to_owned()));
        }
    } else {
        let (resource, names) = options
            .objects
            .split_first()
            .filter(|(_, names)| !names.is_empty() && slashed == 0)
            .ok_or_else(wrong)?;
        let resource = resources::resolve(session, resource).await?;
        targets.extend(names.iter().map(|name| (resource.clone(), name.clone())));
    }
    Ok(targets)
}

async fn trace(session: &Session, resource: &Resource, name: &str) -> Result<String> {
    let object = resource.get(session, name).await.context("failed to find object")?;
    let Some(owner) = owner(session, &object).await else { bail!("object not managed by Flux") };
    let mut blocks = Blocks::default();
    let mut head = Block::new("Object", format!("{}/{name}", text(&object, "/kind")));
    head.line("Namespace", objects::namespace(&object));
    head.line("Status", "Managed by Flux");
    blocks.push(head);
    match owner {
        Owner::Kustomization(namespace, name) => {
            kustomization(session, &mut blocks, &namespace, &name).await?
        }
        Owner::HelmRelease(namespace, name) => helm_release(session, &mut blocks, &namespace, &name).await?,
    }
    Ok(blocks.text())
}

/// Who applied an object: namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Kustomization(String, String),
    HelmRelease(String, String),
}

/// Who applied an object, or one of the objects that made it.
pub(crate) async fn owner(session: &Session, object: &Value) -> Option<Owner> {
    let mut current = object.clone();
    for _ in 0..DEPTH {
        if let Some(owner) = by_labels(&current) {
            return Some(owner);
        }
        let reference = current.pointer("/metadata/ownerReferences/0")?.clone();
        let resource =
            resources::of_kind(session, text(&reference, "/apiVersion"), text(&reference, "/kind"))
                .await
                .ok()?;
        let session = session.within(objects::namespace(object));
        current = resource.get(&session, text(&reference, "/name")).await.ok()?;
    }
    None
}

/// Who applied an object, as its labels say.
pub(crate) fn by_labels(object: &Value) -> Option<Owner> {
    let pair = |kind: &Kind| {
        let part = |part: &str| label(object, &format!("{}/{part}", kind.group)).to_owned();
        Some((part("namespace"), part("name")))
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
    };
    pair(&KUSTOMIZATION)
        .map(|(namespace, name)| Owner::Kustomization(namespace, name))
        .or_else(|| pair(&HELM_RELEASE).map(|(namespace, name)| Owner::HelmRelease(namespace, name)))
}

async fn kustomization(session: &Session, blocks: &mut Blocks, namespace: &str, name: &str) -> Result<()> {
    let object = objects::get(session, &KUSTOMIZATION, namespace, name)
        .await
        .context("failed to find kustomization")?;
    let mut block = Block::new("Kustomization", name);
    block.line("Namespace", namespace);
    block.line("Target", text(&object, "/spec/targetNamespace"));
    block.always("Path", text(&object, "/spec/path"));
    block.always("Revision", text(&object, "/status/lastAppliedRevision"));
    block.status(&object, false);
    blocks.push(block);
    source(session, blocks, &object, "/spec/sourceRef").await
}

async fn helm_release(session: &Session, blocks: &mut Blocks, namespace: &str, name: &str) -> Result<()> {
    let object =
        objects::get(session, &HELM_RELEASE, namespace, name).await.context("failed to find HelmRelease")?;
    let mut block = Block::new("HelmRelease", name);
    block.line("Namespace", namespace);
    block.line("Target", text(&object, "/spec/targetNamespace"));
    block.always("Revision", text(&object, "/status/lastAttemptedRevision"));
    block.status(&object, false);
    blocks.push(block);
    if let Some((namespace, name)) = text(&object, "/status/helmChart").split_once('/') {
        let chart =
            objects::get(session, &HELM_CHART, namespace, name).await.context("failed to find HelmChart")?;
        let mut block = Block::new("HelmChart", name);
        block.line("Namespace", namespace);
        block.always("Chart", text(&chart, "/spec/chart"));
        block.always("Version", text(&chart, "/spec/version"));
        block.line("Revision", text(&chart, "/status/artifact/revision"));
        block.status(&chart, false);
        blocks.push(block);
    }
    let pointer =
        if object.pointer("/spec/chart").is_some() { "/spec/chart/spec/sourceRef" } else { "/spec/chartRef" };
    source(session, blocks, &object, pointer).await
}

async fn source(session: &Session, blocks: &mut Blocks, object: &Value, pointer: &str) -> Result<()> {
    let Some((kind, namespace, name)) = objects::reference(object, pointer) else { return Ok(()) };
    let Some(kind) = find(&kind) else { return Ok(()) };
    let source = objects::get(session, kind, &namespace, &name)
        .await
        .with_context(|| format!("failed to find {}", kind.kind))?;
    let mut block = Block::new(kind.kind, name);
    block.line("Namespace", &namespace);
    block.line("URL", text(&source, "/spec/url"));
    block.line("Bucket", text(&source, "/spec/bucketName"));
    if let Some((kind, _, name)) = objects::reference(&source, "/spec/sourceRef") {
        block.line("Source", &format!("{kind}/{}/{name}", text(&source, "/spec/sourceRef/namespace")));
    }
    let said = [("tag", "Tag"), ("semver", "Tag"), ("branch", "Branch"), ("digest", "Digest")];
    let said = said.iter().map(|(field, title)| (title, text(&source, &format!("/spec/ref/{field}"))));
    if let Some((title, value)) = said.into_iter().find(|(_, value)| !value.is_empty()) {
        block.line(title, value);
    }
    block.line("Revision", text(&source, "/status/artifact/revision"));
    let metadata = source.pointer("/status/artifact/metadata");
    for (title, key) in [
        ("Origin Revision", "org.opencontainers.image.revision"),
        ("Origin Source", "org.opencontainers.image.source"),
    ] {
        let value = metadata.and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
        block.line(title, value.unwrap_or_default());
    }
    block.status(&source, true);
    blocks.push(block);
    Ok(())
}

/// A block of the report: titles and values.
#[derive(Debug)]
struct Block(Vec<(String, String)>);

impl Block {
    fn new(title: &str, value: impl Into<String>) -> Self {
        Self(vec![(title.to_owned(), value.into())])
    }

    /// Adds a line unless its value is empty.
    fn line(&mut self, title: &str, value: &str) {
        if !value.is_empty() {
            self.always(title, value);
        }
    }

    fn always(&mut self, title: &str, value: &str) {
        self.0.push((title.to_owned(), value.to_owned()));
    }

    /// When it was reconciled, and what was said; `failures` tells failures by other words.
    fn status(&mut self, object: &Value, failures: bool) {
        let Some(ready) = condition(object, "Ready") else {
            self.always("Status", "Unknown");
            return;
        };
        let at = go_time(text(ready, "/lastTransitionTime"));
        let failed = failures && text(ready, "/status") == "False";
        let what = if failed { "Last reconciliation failed at" } else { "Last reconciled at" };
        self.always("Status", &format!("{what} {at}"));
        self.always("Message", text(ready, "/message"));
    }
}

/// The report.
#[derive(Debug, Default)]
struct Blocks(Vec<Block>);

impl Blocks {
    fn push(&mut self, block: Block) {
        self.0.push(block);
    }

    /// The values stand in one column, as wide as the widest title of the kinds `flux` prints.
    fn text(&self) -> String {
        let longest =
            self.0.iter().flat_map(|block| &block.0).map(|(title, _)| title.len()).max().unwrap_or(0);
        let helm =
            self.0.iter().any(|block| block.0.first().is_some_and(|(title, _)| title == HELM_RELEASE.kind));
        let width = (longest + 2).max(if helm { 16 } else { 17 });
        let blocks: Vec<String> = self
            .0
            .iter()
            .map(|block| {
                let lines = block.0.iter().map(|(title, value)| {
                    let title = format!("{title}:");
                    format!("{title:<width$}{value}").trim_end().to_owned() + "\n"
                });
                lines.collect()
            })
            .collect();
        format!("\n{}", blocks.join("---\n"))
    }
}

/// A time as Go prints it: `2026-01-02 03:04:05 +0000 UTC`.
fn go_time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_in_one_column() {
        let mut blocks = Blocks::default();
        let mut block = Block::new("Object", "Deployment/app");
        block.line("Namespace", "prod");
        block.line("Target", "");
        blocks.push(block);
        let mut block = Block::new("Kustomization", "app");
        block.status(
            &json!({"status": {"conditions": [{
                "type": "Ready", "status": "True", "message": "m", "lastTransitionTime": "2026-01-02T03:04:05Z",
            }]}}),
            false,
        );
        blocks.push(block);
        assert_eq!(
            blocks.text(),
            "\nObject:          Deployment/app\nNamespace:       prod\n---\nKustomization:   app\nStatus:          Last reconciled at 2026-01-02 03:04:05 +0000 UTC\nMessage:         m\n"
        );
    }

    #[test]
    fn labels_name_the_owner() {
        let object = json!({"metadata": {"labels": {
            "kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": "prod",
        }}});
        assert_eq!(by_labels(&object), Some(Owner::Kustomization("prod".to_owned(), "app".to_owned())));
        assert_eq!(by_labels(&json!({})), None);
    }
}
