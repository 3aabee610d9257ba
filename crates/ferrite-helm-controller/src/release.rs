//! What Helm does with a release in a cluster: apply, hooks, wait, delete. Records are written by whoever asks.

mod health;
mod hooks;
mod removal;

use std::{collections::BTreeMap, future::Future, time::Duration};

use ferrite_apply::{Cluster, CustomHealth, WaitError, WaitOptions, WaitTarget, wait};
use ferrite_helm::{Event, Release};
use ferrite_resource::Entry;
use ferrite_runtime::{Clock, Progress};
use futures::{StreamExt as _, stream};
use kube::api::PropagationPolicy;
use serde_json::{Value, json};

use crate::{
    journal::Journal,
    object::{self, Item, Write},
    render::label,
    storage::Storage,
};

/// The annotation that keeps an object when its release goes.
const POLICY: &str = "helm.sh/resource-policy";
/// Requests about the objects of a release that are under way at a time.
const CONCURRENCY: usize = 8;

/// Where and how a release is worked on.
pub(crate) struct Releaser<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) storage: &'a Storage,
    pub(crate) clock: &'a Clock,
    pub(crate) step: &'a Progress,
    pub(crate) custom: &'a CustomHealth<'a>,
    pub(crate) journal: &'a Journal,
    /// Whether a wait for objects ends when something newer arrives.
    pub(crate) overtaken: bool,
}

/// What is waited for after objects were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing but hooks.
    Hooks,
    /// That objects are healthy, by kstatus.
    Poller,
    /// That objects are ready, by the rules of Helm 3.
    Legacy,
}

/// How an action is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) timeout: Duration,
    pub(crate) wait: Wait,
    /// Whether Jobs have to be complete.
    pub(crate) jobs: bool,
    pub(crate) hooks: bool,
    pub(crate) cleanup: bool,
    pub(crate) write: Write,
}

/// Which hooks run around an action, and how Helm says that they failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    pub(crate) before: (Event, &'static str),
    pub(crate) after: (Event, &'static str),
}

/// Why an action failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Objects could not be written, or a hook failed.
    Failed(String),
    /// Objects did not become ready.
    Unready(String),
}

impl Failure {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Failed(text) | Self::Unready(text) => text,
        }
    }
}

/// Waits without a worker; a newer change does not end an action that is under way.
pub(crate) async fn patiently<F: Future>(step: &Progress, future: F) -> F::Output {
    // A release that is half done helps nobody: it goes on, and the driver ends it when the process has to.
    step.outlast(future).await
}

impl Releaser<'_> {
    /// Brings the objects of a release to the cluster, with the hooks `around` it; `old` are those of the release that
    /// is replaced.
    pub(crate) async fn deploy(
        &self,
        release: &mut Release,
        items: &[Item],
        old: &[Item],
        around: Around,
        options: Options,
    ) -> Result<(), Failure> {
        let told = |prefix: &str, error| Failure::Failed(format!("{prefix}{error}"));
        if options.hooks {
            let (event, prefix) = around.before;
            let run = self.hooks(release, event, options, |_| true).await;
            run.map_err(|error| told(prefix, error))?;
        }
        let mut created = Vec::new();
        let outcome = match self.apply(items, old, options.write, &mut created).await {
            Ok(()) => self.wait(items, options).await.map_err(Failure::Unready),
            Err(error) => Err(Failure::Failed(error)),
        };
        let outcome = match outcome {
            Ok(()) if options.hooks => {
                let (event, prefix) = around.after;
                let run = self.hooks(release, event, options, |_| true).await;
                run.map_err(|error| told(prefix, error))
            }
            outcome => outcome,
        };
        match outcome {
            Err(failure) if options.cleanup && !created.is_empty() => self.clean_up(created, failure).await,
            outcome => outcome,
        }
    }

    /// Deletes what a failed action created.
    async fn clean_up(&self, created: Vec<Item>, failure: Failure) -> Result<(), Failure> {
        self.journal.note(format_args!("cleaning up {} created resource(s)", created.len()));
        let mut errors = Vec::new();
        for item in created.iter().rev() {
            if let Err(error) = item.delete(self.cluster.client(), PropagationPolicy::Background).await {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            return Err(failure);
        }
        Err(Failure::Failed(format!(
            "an error occurred while cleaning up resources. original error: {}: unable to cleanup resources: {}",
            failure.text(),
            errors.join(", ")
        )))
    }

    /// The objects of a release with Helm's marks of ownership, located.
    pub(crate) async fn items(&self, release: &Release) -> Result<Vec<Item>, String> {
        let objects = marked(release)?;
        let located = object::locate_all(self.cluster, objects, &release.namespace).await;
        located.map_err(|error| format!("unable to build kubernetes objects from release manifest: {error}"))
    }

    /// The objects of the release that is replaced, as far as their kinds are still served.
    pub(crate) async fn old_items(&self, release: &Release) -> Result<Vec<Item>, String> {
        let located = object::locate_served(self.cluster, marked(release)?, &release.namespace).await;
        located.map_err(|error| {
            format!("unable to build kubernetes objects from current release manifest: {error}")
        })
    }

    /// Refuses when objects that are not in `old` exist and are not this release's.
    pub(crate) async fn refuse_foreign(&self, items: &[Item], old: &[Item]) -> Result<(), String> {
        let new: Vec<&Item> = items.iter().filter(|item| !holds(old, item)).collect();
        for (item, live) in new.iter().zip(self.read_all(&new).await?) {
            if let Some(live) = live {
                owned(item, &live)?;
            }
        }
        Ok(())
    }

    /// The objects as they are, in the order given.
    async fn read_all(&self, items: &[&Item]) -> Result<Vec<Option<Value>>, String> {
        let client = self.cluster.client();
        let reads: Vec<_> = items.iter().map(|item| item.read(client)).collect();
        let all: Vec<Result<_, String>> = stream::iter(reads).buffered(CONCURRENCY).collect().await;
        all.into_iter().collect()
    }

    /// Writes the objects kind by kind, then deletes what is in `old` only. As in Helm one that cannot be created ends
    /// it, and those that cannot be updated are told of together.
    async fn apply(
        &self,
        items: &[Item],
        old: &[Item],
        how: Write,
        created: &mut Vec<Item>,
    ) -> Result<(), String> {
        let client = self.cluster.client();
        let mut failed = Vec::new();
        self.journal.note(format_args!("checking {} resource(s) for changes", items.len()));
        for batch in items.chunk_by(|a, b| a.entry.id.kind == b.entry.id.kind) {
            let lives = self.read_all(&batch.iter().collect::<Vec<_>>()).await?;
            let writes: Vec<_> = batch
                .iter()
                .zip(&lives)
                .map(|(item, live)| write(client, item, live.as_ref(), old, how))
                .collect();
            let outcomes: Vec<_> = stream::iter(writes).buffered(CONCURRENCY).collect().await;
            let mut refused = None;
            for ((item, live), outcome) in batch.iter().zip(&lives).zip(outcomes) {
                match (live, outcome) {
                    (None, Ok(())) => {
                        self.journal.note(format_args!("created {}", item.described()));
                        created.push(item.clone());
                    }
                    (Some(_), Ok(())) => {}
                    (None, Err(error)) => refused = refused.or(Some(error)),
                    (Some(_), Err(error)) => failed.push(error),
                }
            }
            if let Some(error) = refused {
                return Err(if old.is_empty() {
                    error
                } else {
                    format!("failed to create resource: {error}")
                });
            }
        }
        if failed.is_empty() {
            self.delete_dropped(items, old, &mut failed).await;
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join(" && ")) }
    }

    /// Deletes objects that are not wanted any more, unless they are to be kept.
    async fn delete_dropped(&self, items: &[Item], old: &[Item], failed: &mut Vec<String>) {
        let client = self.cluster.client();
        for item in old.iter().filter(|item| !holds(items, item)) {
            let Ok(Some(live)) = item.read(client).await else { continue };
            if is_kept(&live) {
                self.journal.note(format_args!("kept {}, as its annotation says", item.described()));
                continue;
            }
            let id = &item.entry.id;
            match item.delete(client, PropagationPolicy::Background).await {
                Ok(_) => self.journal.note(format_args!("deleted {}", item.described())),
                Err(error) => failed.push(format!(
                    "failed to delete resource namespace={}, name={}, kind={}: {error}",
                    id.namespace, id.name, id.kind
                )),
            }
        }
    }

    async fn wait(&self, items: &[Item], options: Options) -> Result<(), String> {
        if options.wait == Wait::Hooks {
            return Ok(());
        }
        let paused = |item: &&Item| {
            item.entry.id.kind == "Deployment" && item.object.pointer("/spec/paused") == Some(&json!(true))
        };
        let targets: Vec<WaitTarget> = items
            .iter()
            .filter(|item| !paused(item))
            .map(|item| WaitTarget::applied(item.entry.clone(), &item.object))
            .collect();
        let judge = |object: &Value| match options.wait {
            Wait::Legacy => Some(health::legacy(object, options.jobs)),
            Wait::Poller | Wait::Hooks => (self.custom)(object)
                .or_else(|| if options.jobs { health::completed(object, "Job") } else { None }),
        };
        let how = WaitOptions {
            timeout: options.timeout,
            fail_fast: options.wait == Wait::Poller,
            custom: Some(&judge),
            ..WaitOptions::default()
        };
        self.journal.note(format_args!(
            "waiting for {} resource(s) with timeout of {}",
            targets.len(),
            ferrite_api::Duration::from(options.timeout)
        ));
        let newer = self.step.superseded();
        let cancel = async {
            if self.overtaken {
                newer.cancelled().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        patiently(self.step, Box::pin(wait(self.cluster, targets, &how, cancel)))
            .await
            .map_err(|error| told(&error))
    }
}

/// Brings one object to what it should be.
async fn write(
    client: &kube::Client,
    item: &Item,
    live: Option<&Value>,
    old: &[Item],
    how: Write,
) -> Result<(), String> {
    let Some(live) = live else { return item.create(client, how).await };
    let old = old.iter().find(|old| old.entry.id == item.entry.id);
    item.update(client, live, old.map(|old| &old.object), how).await
}

/// A failed wait in words.
fn told(error: &WaitError) -> String {
    match error {
        WaitError::Cancelled => "context canceled".to_owned(),
        WaitError::Timeout(_) | WaitError::Failed(_) => format!("{error:#}"),
    }
}

fn holds(items: &[Item], item: &Item) -> bool {
    items.iter().any(|other| other.entry.id == item.entry.id)
}

fn marked(release: &Release) -> Result<Vec<Value>, String> {
    let mut objects = object::objects(&release.manifest)?;
    let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned())]);
    let annotations = BTreeMap::from([
        ("meta.helm.sh/release-name".to_owned(), release.name.clone()),
        ("meta.helm.sh/release-namespace".to_owned(), release.namespace.clone()),
    ]);
    for object in &mut objects {
        label(object, "labels", &labels);
        label(object, "annotations", &annotations);
    }
    Ok(objects)
}

/// The entries of items.
pub(crate) fn entries(items: &[Item]) -> Vec<Entry> {
    items.iter().map(|item| item.entry.clone()).collect()
}

fn is_kept(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let policy = annotations.and_then(|all| all.get(POLICY)).and_then(Value::as_str).unwrap_or_default();
    policy.trim().eq_ignore_ascii_case("keep")
}

/// Helm's check of ownership, and its words.
fn owned(item: &Item, live: &Value) -> Result<(), String> {
    let wanted = |key: &str| {
        let annotation = item.object.pointer("/metadata/annotations").and_then(|all| all.get(key));
        annotation.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let checks = [
        ("label", "labels", "app.kubernetes.io/managed-by", "Helm".to_owned()),
        ("annotation", "annotations", "meta.helm.sh/release-name", wanted("meta.helm.sh/release-name")),
        (
            "annotation",
            "annotations",
            "meta.helm.sh/release-namespace",
            wanted("meta.helm.sh/release-namespace"),
        ),
    ];
    let problems: Vec<String> = checks
        .into_iter()
        .filter_map(|(what, place, key, value)| {
            let found = live.pointer(&format!("/metadata/{place}")).and_then(|all| all.get(key));
            match found.and_then(Value::as_str) {
                None => Some(format!("{what} validation error: missing key \"{key}\": must be set to \"{value}\"")),
                Some(found) if found == value => None,
                Some(found) => Some(format!(
                    "{what} validation error: key \"{key}\" must equal \"{value}\": current value is \"{found}\""
                )),
            }
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} exists and cannot be imported into the current release: invalid ownership metadata; {}",
        item.described(),
        problems.join("; ")
    ))
}
