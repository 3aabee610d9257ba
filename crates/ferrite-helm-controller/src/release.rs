//! What Helm does with a release in a cluster: apply, hooks, wait, delete. Records are written by whoever asks.

use std::{collections::BTreeMap, future::Future, time::Duration};

use ferrite_apply::{Cluster, CustomHealth, WaitOptions, WaitTarget, wait, wait_gone};
use ferrite_helm::{Event, Release, hooks_for, uninstall_rank};
use ferrite_resource::{Entry, Health, Managers, Status};
use ferrite_runtime::{Clock, Progress};
use kube::api::PropagationPolicy;
use serde_json::{Value, json};

use crate::{
    api::{self, Item},
    render::label,
    storage::Storage,
};

/// The annotation that keeps an object when its release goes.
const POLICY: &str = "helm.sh/resource-policy";

/// Where and how a release is worked on.
pub(crate) struct Releaser<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) storage: &'a Storage,
    pub(crate) clock: &'a Clock,
    pub(crate) step: &'a Progress,
    pub(crate) managers: &'a Managers,
    pub(crate) custom: &'a CustomHealth<'a>,
}

/// How an action is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) timeout: Duration,
    pub(crate) wait: bool,
    pub(crate) jobs: bool,
    pub(crate) hooks: bool,
    pub(crate) take_ownership: bool,
    pub(crate) cleanup: bool,
}

/// Waits without a worker; a newer change does not end an action that is under way.
pub(crate) async fn patiently<F: Future>(step: &Progress, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match step.wait(future.as_mut()).await {
        Ok(output) => output,
        // A release that is half done helps nobody: it goes on, and the driver ends it when the process has to.
        Err(_) => future.await,
    }
}

impl Releaser<'_> {
    /// Brings the objects of a release to the cluster, with the hooks `before` and `after`; `base` is the release that
    /// is replaced. Returns the objects.
    pub(crate) async fn deploy(
        &self,
        release: &mut Release,
        base: Option<&Release>,
        (before, after): (Event, Event),
        options: Options,
    ) -> Result<Vec<Entry>, String> {
        let items = self.items(release).await?;
        let old = match base {
            Some(base) => self.items(base).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if options.hooks {
            self.hooks(release, before, options.timeout, |_| true).await?;
        }
        let mut created = Vec::new();
        let applied = self.apply(&items, &old, options, &mut created).await;
        let applied = match applied {
            Ok(()) if options.wait => self.wait(&items, options).await,
            applied => applied,
        };
        if let Err(error) = applied {
            if options.cleanup {
                for item in created.iter().rev() {
                    item.delete(self.cluster.client(), PropagationPolicy::Background).await?;
                }
            }
            return Err(error);
        }
        if options.hooks {
            self.hooks(release, after, options.timeout, |_| true).await?;
        }
        Ok(items.into_iter().map(|item| item.entry).collect())
    }

    /// The objects of a release with Helm's marks of ownership, located.
    pub(crate) async fn items(&self, release: &Release) -> Result<Vec<Item>, String> {
        let mut objects = api::objects(&release.manifest)?;
        let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned())]);
        let annotations = BTreeMap::from([
            ("meta.helm.sh/release-name".to_owned(), release.name.clone()),
            ("meta.helm.sh/release-namespace".to_owned(), release.namespace.clone()),
        ]);
        for object in &mut objects {
            label(object, "labels", &labels);
            label(object, "annotations", &annotations);
        }
        let located = api::locate_all(self.cluster, objects, &release.namespace).await;
        located.map_err(|error| format!("unable to build kubernetes objects from release manifest: {error}"))
    }

    async fn apply(
        &self,
        items: &[Item],
        old: &[Item],
        options: Options,
        created: &mut Vec<Item>,
    ) -> Result<(), String> {
        let client = self.cluster.client();
        for item in items {
            let live = item.read(client).await?;
            if let (Some(live), false) = (&live, options.take_ownership) {
                refuse_foreign(item, live)?;
            }
            item.apply(client, live.as_ref(), self.managers)
                .await
                .map_err(|error| format!("failed to apply {}: {error}", item.entry.id))?;
            if live.is_none() {
                created.push(item.clone());
            }
        }
        for item in old {
            if items.iter().any(|now| now.entry.id == item.entry.id) {
                continue;
            }
            let Some(live) = item.read(client).await? else { continue };
            if !is_kept(&live) {
                item.delete(client, PropagationPolicy::Background).await?;
            }
        }
        Ok(())
    }

    async fn wait(&self, items: &[Item], options: Options) -> Result<(), String> {
        let targets: Vec<WaitTarget> = items
            .iter()
            .filter(|item| item.object.pointer("/spec/paused") != Some(&json!(true)))
            .map(|item| WaitTarget::applied(item.entry.clone(), &item.object))
            .collect();
        let judge = |object: &Value| {
            (self.custom)(object).or_else(|| if options.jobs { completion(object, "Job") } else { None })
        };
        let how = WaitOptions { timeout: options.timeout, custom: Some(&judge), ..WaitOptions::default() };
        let waited = wait(self.cluster, targets, &how, std::future::pending());
        patiently(self.step, waited).await.map_err(|error| format!("{error:#}"))
    }

    /// Runs the hooks of an event, one after another; what became of them is noted in the release.
    pub(crate) async fn hooks(
        &self,
        release: &mut Release,
        event: Event,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let order: Vec<(String, String)> =
            hooks_for(&release.hooks, event).into_iter().map(|h| (h.path.clone(), h.name.clone())).collect();
        let positions: Vec<usize> = order
            .iter()
            .filter(|(_, name)| wanted(name))
            .filter_map(|(path, name)| release.hooks.iter().position(|h| h.path == *path && h.name == *name))
            .collect();
        for position in &positions {
            self.hook(release, *position, timeout)
                .await
                .map_err(|error| format!("failed {}: {error}", event.as_str()))?;
        }
        for position in positions {
            let Some(hook) = release.hooks.get(position).filter(|hook| hook.deleted_by("hook-succeeded"))
            else {
                continue;
            };
            for item in self.hook_items(&hook.manifest, &release.namespace).await? {
                self.remove_hook(&item, timeout).await?;
            }
        }
        Ok(())
    }

    async fn hook_items(&self, manifest: &str, namespace: &str) -> Result<Vec<Item>, String> {
        api::locate_all(self.cluster, api::objects(manifest)?, namespace).await
    }

    async fn hook(&self, release: &mut Release, position: usize, timeout: Duration) -> Result<(), String> {
        let Some(hook) = release.hooks.get(position).cloned() else { return Ok(()) };
        let items = self.hook_items(&hook.manifest, &release.namespace).await?;
        if hook.deleted_by("before-hook-creation") {
            for item in &items {
                self.remove_hook(item, timeout).await?;
            }
        }
        self.note(release, position, "Running");
        self.storage.update(release).await?;
        let outcome = self.run_hook(&items, timeout).await;
        self.note(release, position, if outcome.is_ok() { "Succeeded" } else { "Failed" });
        if outcome.is_err() && hook.deleted_by("hook-failed") {
            for item in &items {
                self.remove_hook(item, timeout).await?;
            }
        }
        outcome
    }

    fn note(&self, release: &mut Release, position: usize, phase: &str) {
        let Some(hook) = release.hooks.get_mut(position) else { return };
        let now = self.clock.now().to_string();
        if phase == "Running" {
            hook.last_run.started_at = now;
            hook.last_run.completed_at = String::new();
        } else {
            hook.last_run.completed_at = now;
        }
        phase.clone_into(&mut hook.last_run.phase);
    }

    async fn run_hook(&self, items: &[Item], timeout: Duration) -> Result<(), String> {
        for item in items {
            let live = item.read(self.cluster.client()).await?;
            item.apply(self.cluster.client(), live.as_ref(), self.managers).await?;
        }
        let targets: Vec<WaitTarget> = items
            .iter()
            .filter(|item| matches!(item.entry.id.kind.as_str(), "Job" | "Pod"))
            .map(|item| WaitTarget::applied(item.entry.clone(), &item.object))
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        let judge = |object: &Value| completion(object, "Job").or_else(|| completion(object, "Pod"));
        let how = WaitOptions { timeout, custom: Some(&judge), ..WaitOptions::default() };
        let waited = wait(self.cluster, targets, &how, std::future::pending());
        patiently(self.step, waited).await.map_err(|error| format!("{error:#}"))
    }

    async fn remove_hook(&self, item: &Item, timeout: Duration) -> Result<(), String> {
        if item.entry.id.kind == "CustomResourceDefinition"
            || !item.delete(self.cluster.client(), PropagationPolicy::Background).await?
        {
            return Ok(());
        }
        self.gone(vec![item.entry.clone()], timeout).await
    }

    async fn gone(&self, entries: Vec<Entry>, timeout: Duration) -> Result<(), String> {
        let how = WaitOptions { timeout, ..WaitOptions::default() };
        let waited = wait_gone(self.cluster, entries, &how, std::future::pending());
        patiently(self.step, waited).await.map_err(|error| format!("{error:#}"))
    }

    /// Deletes the objects of a release, in Helm's order, with its hooks.
    pub(crate) async fn remove(
        &self,
        release: &mut Release,
        options: Options,
        policy: PropagationPolicy,
    ) -> Result<(), String> {
        if options.hooks {
            self.hooks(release, Event::PreDelete, options.timeout, |_| true).await?;
        }
        let mut deleted = Vec::new();
        let mut objects = api::objects(&release.manifest)?;
        let kind =
            |object: &Value| object.get("kind").and_then(Value::as_str).map_or(usize::MAX, uninstall_rank);
        objects.sort_by_key(kind);
        for object in objects {
            // A kind that is gone has no objects.
            let Ok(item) = api::locate(self.cluster, object, &release.namespace).await else { continue };
            let Some(live) = item.read(self.cluster.client()).await? else { continue };
            if is_kept(&live) {
                continue;
            }
            item.delete(self.cluster.client(), policy.clone()).await?;
            deleted.push(item.entry);
        }
        if options.wait && !deleted.is_empty() {
            self.gone(deleted, options.timeout).await?;
        }
        if options.hooks {
            self.hooks(release, Event::PostDelete, options.timeout, |_| true).await?;
        }
        Ok(())
    }
}

fn is_kept(live: &Value) -> bool {
    let annotations = live.pointer("/metadata/annotations");
    let policy = annotations.and_then(|all| all.get(POLICY)).and_then(Value::as_str).unwrap_or_default();
    policy.trim().eq_ignore_ascii_case("keep")
}

fn refuse_foreign(item: &Item, live: &Value) -> Result<(), String> {
    let wanted = item.object.pointer("/metadata/annotations");
    let found = live.pointer("/metadata/annotations");
    let same = |key: &str| wanted.and_then(|all| all.get(key)) == found.and_then(|all| all.get(key));
    let managed = live.pointer("/metadata/labels").and_then(|all| all.get("app.kubernetes.io/managed-by"));
    if managed == Some(&json!("Helm"))
        && same("meta.helm.sh/release-name")
        && same("meta.helm.sh/release-namespace")
    {
        return Ok(());
    }
    let id = &item.entry.id;
    Err(format!(
        "{} \"{}\" in namespace \"{}\" exists and cannot be imported into the current release: invalid ownership metadata; its labels and annotations name no release or another one",
        id.kind, id.name, id.namespace
    ))
}

/// The health of a Job or Pod that has to come to an end; `None` for other kinds.
fn completion(object: &Value, kind: &str) -> Option<Health> {
    if object.get("kind").and_then(Value::as_str) != Some(kind) {
        return None;
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (status, message) = if kind == "Pod" {
        match text(object.pointer("/status/phase")).as_str() {
            "Succeeded" => (Status::Current, String::new()),
            "Failed" => (Status::Failed, text(object.pointer("/status/message"))),
            _ => (Status::InProgress, String::new()),
        }
    } else {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let found = |kind: &str| {
            conditions
                .into_iter()
                .flatten()
                .find(|c| text(c.get("type")) == kind && text(c.get("status")) == "True")
        };
        match (found("Complete"), found("Failed")) {
            (Some(_), _) => (Status::Current, String::new()),
            (None, Some(failed)) => (Status::Failed, text(failed.get("message"))),
            (None, None) => (Status::InProgress, String::new()),
        }
    };
    Some(Health::new(status, message))
}
