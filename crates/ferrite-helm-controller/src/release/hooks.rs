//! Hooks: objects that run before, after, or as a test of a release (Helm `pkg/action/hooks.go`).

use ferrite_apply::{WaitOptions, WaitTarget, wait, wait_gone};
use ferrite_helm::{Event, Hook, Release, hooks_for};
use ferrite_resource::Entry;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, LogParams, PropagationPolicy},
};
use serde_json::Value;

use super::{Options, Releaser, health, patiently};
use crate::object::{self, Item};

/// Lines of a failed hook's log that are told.
const LOG_LINES: i64 = 10;
/// Bytes of a log that are read.
const LOG_BYTES: i64 = 4096;

impl Releaser<'_> {
    /// Runs the hooks of an event, one after another; what became of them is noted in the release.
    pub(crate) async fn hooks(
        &self,
        release: &mut Release,
        event: Event,
        options: Options,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let order: Vec<(String, String)> =
            hooks_for(&release.hooks, event).into_iter().map(|h| (h.path.clone(), h.name.clone())).collect();
        let positions: Vec<usize> = order
            .iter()
            .filter(|(_, name)| wanted(name))
            .filter_map(|(path, name)| release.hooks.iter().position(|h| h.path == *path && h.name == *name))
            .collect();
        for (done, position) in positions.iter().enumerate() {
            if let Err(error) = Box::pin(self.hook(release, *position, event, options)).await {
                // Those before it have succeeded.
                for earlier in positions.iter().take(done) {
                    self.remove_by(release, *earlier, "hook-succeeded", options).await?;
                }
                return Err(error);
            }
        }
        for position in positions.iter().rev() {
            if let Some(hook) = release.hooks.get(*position) {
                self.tell_logs(hook, &release.namespace, "hook-succeeded").await;
            }
            self.remove_by(release, *position, "hook-succeeded", options).await?;
        }
        Ok(())
    }

    async fn hook_items(&self, hook: &Hook, namespace: &str) -> Result<Vec<Item>, String> {
        object::locate_all(self.cluster, object::objects(&hook.manifest)?, namespace).await
    }

    async fn hook(
        &self,
        release: &mut Release,
        position: usize,
        event: Event,
        options: Options,
    ) -> Result<(), String> {
        if let Some(hook) = release.hooks.get_mut(position)
            && hook.delete_policies.is_empty()
        {
            hook.delete_policies.push("before-hook-creation".to_owned());
        }
        let Some(hook) = release.hooks.get(position).cloned() else { return Ok(()) };
        self.remove_by(release, position, "before-hook-creation", options).await?;
        let items = self.hook_items(&hook, &release.namespace).await.map_err(|error| {
            format!("unable to build kubernetes object for {} hook {}: {error}", event.as_str(), hook.path)
        })?;
        self.note(release, position, "Running");
        self.storage.update(release).await?;
        self.journal.note(format_args!("running {} hook {}", event.as_str(), hook.path));
        let outcome = match self.create_hook(&items, options).await {
            Ok(()) => self.await_hook(&items, options).await,
            Err(error) => Err(format!("warning: Hook {} {} failed: {error}", event.as_str(), hook.path)),
        };
        self.note(release, position, if outcome.is_ok() { "Succeeded" } else { "Failed" });
        if let Err(error) = &outcome {
            self.journal.note(format_args!("hook {} failed: {error}", hook.path));
            self.tell_logs(&hook, &release.namespace, "hook-failed").await;
            self.remove_by(release, position, "hook-failed", options).await?;
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

    async fn create_hook(&self, items: &[Item], options: Options) -> Result<(), String> {
        for item in items {
            let client = self.cluster.client();
            match item.read(client).await? {
                // Client-side, Helm only ever creates hooks.
                Some(live) if options.write.method == ferrite_helm::ApplyMethod::Server => {
                    item.update(client, &live, None, options.write).await?;
                }
                _ => item.create(client, options.write).await?,
            }
        }
        Ok(())
    }

    async fn await_hook(&self, items: &[Item], options: Options) -> Result<(), String> {
        let targets: Vec<WaitTarget> = items
            .iter()
            .filter(|item| matches!(item.entry.id.kind.as_str(), "Job" | "Pod"))
            .map(|item| WaitTarget::applied(item.entry.clone(), &item.object))
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        let judge =
            |object: &Value| health::completed(object, "Job").or_else(|| health::completed(object, "Pod"));
        // They can be migrations of databases: one that failed is told of when all have ended.
        let how = WaitOptions {
            timeout: options.timeout,
            fail_fast: false,
            custom: Some(&judge),
            ..WaitOptions::default()
        };
        let waited = wait(self.cluster, targets, &how, std::future::pending());
        patiently(self.step, Box::pin(waited)).await.map_err(|error| format!("{error:#}"))
    }

    /// Deletes a hook's objects if it has this policy; definitions stay.
    async fn remove_by(
        &self,
        release: &Release,
        position: usize,
        policy: &str,
        options: Options,
    ) -> Result<(), String> {
        let Some(hook) = release.hooks.get(position) else { return Ok(()) };
        if !hook.deleted_by(policy) || hook.kind == "CustomResourceDefinition" {
            return Ok(());
        }
        let mut deleted = Vec::new();
        for item in self.hook_items(hook, &release.namespace).await? {
            if item.delete(self.cluster.client(), PropagationPolicy::Background).await? {
                deleted.push(item.entry);
            }
        }
        if deleted.is_empty() { Ok(()) } else { self.gone(deleted, options).await }
    }

    pub(super) async fn gone(&self, entries: Vec<Entry>, options: Options) -> Result<(), String> {
        let how = WaitOptions { timeout: options.timeout, ..WaitOptions::default() };
        let waited = wait_gone(self.cluster, entries, &how, std::future::pending());
        patiently(self.step, Box::pin(waited)).await.map_err(|error| format!("{error:#}"))
    }

    /// Takes the end of the logs of a hook's pods into the journal, if the chart asks for it: logs can hold secrets.
    async fn tell_logs(&self, hook: &Hook, namespace: &str, policy: &str) {
        if !hook.output_log_policies.iter().any(|wanted| wanted == policy) {
            return;
        }
        let selector = match hook.kind.as_str() {
            "Job" => ListParams::default().labels(&format!("job-name={}", hook.name)),
            "Pod" => ListParams::default().fields(&format!("metadata.name={}", hook.name)),
            _ => return,
        };
        let items = self.hook_items(hook, namespace).await.unwrap_or_default();
        let namespace = items.first().map_or(namespace, |item| &item.entry.id.namespace);
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().clone(), namespace);
        let Ok(found) = pods.list(&selector).await else { return };
        for pod in found.items {
            let name = pod.metadata.name.unwrap_or_default();
            let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
            for container in containers {
                let params = LogParams {
                    container: Some(container.name.clone()),
                    tail_lines: Some(LOG_LINES),
                    limit_bytes: Some(LOG_BYTES),
                    ..LogParams::default()
                };
                if let Ok(log) = pods.logs(&name, &params).await {
                    let log = log.trim_end();
                    self.journal
                        .note(format_args!("logs of pod {name}, container {}: {log}", container.name));
                }
            }
        }
    }
}
