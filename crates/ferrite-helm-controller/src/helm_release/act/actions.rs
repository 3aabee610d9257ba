//! Install, upgrade, roll back, test, unlock, and uninstall as a remedy.

use std::sync::Arc;

use ferrite_api::{
    ConditionType, Reason, ResourceRef,
    helm::{CrdsPolicy, ReleaseAction, TestHookStatus},
};
use ferrite_helm::{ApplyMethod, Event as HookEvent, Release, ReleaseInfo, Rendered, Status};
use ferrite_resource::{Entry, Inventory};
use ferrite_runtime::Truth;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{Done, Outcome, Work, Worker, plain_name};
use crate::{
    api,
    error::Error,
    release::Options,
    render::{self, Rendering, label, origin},
    state,
    storage::Storage,
};

/// The parts of an install or upgrade that differ.
struct Attempt {
    action: ReleaseAction,
    revision: i64,
    options: Options,
    skip_schema: bool,
    crds: CrdsPolicy,
}

impl Worker<'_> {
    pub(super) async fn install(
        &self,
        work: &Work,
        last: Option<Release>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let spec = self.object.spec.install.clone().unwrap_or_default();
        done.status().history.clear();
        let attempt = Attempt {
            action: ReleaseAction::Install,
            revision: last.as_ref().map_or(1, |last| last.version + 1),
            options: Options {
                timeout: self.timeout(spec.timeout),
                wait: !spec.disable_wait,
                jobs: !spec.disable_wait_for_jobs,
                hooks: !spec.disable_hooks,
                take_ownership: !spec.disable_take_ownership,
                cleanup: false,
            },
            skip_schema: spec.disable_schema_validation,
            crds: spec.crds.unwrap_or(CrdsPolicy::Create),
        };
        if last.is_some() && !spec.replace {
            let error = "cannot re-use a name that is still in use; set spec.install.replace".to_owned();
            return Err(self.failed_early(work, &attempt, &error, done));
        }
        if spec.create_namespace && self.object.spec.target_namespace.is_some() {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": self.namespace, "labels": {"name": self.namespace}}});
            let made = self.make(namespace, false).await;
            made.map_err(|error| self.failed_early(work, &attempt, &error, done))?;
        }
        self.attempt(work, attempt, None, done).await
    }

    pub(super) async fn upgrade(&self, work: &Work, last: Release, done: &mut Done) -> Result<(), Error> {
        let spec = self.object.spec.upgrade.clone().unwrap_or_default();
        let attempt = Attempt {
            action: ReleaseAction::Upgrade,
            revision: last.version + 1,
            options: Options {
                timeout: self.timeout(spec.timeout),
                wait: !spec.disable_wait,
                jobs: !spec.disable_wait_for_jobs,
                hooks: !spec.disable_hooks,
                take_ownership: !spec.disable_take_ownership,
                cleanup: spec.cleanup_on_fail,
            },
            skip_schema: spec.disable_schema_validation,
            crds: spec.crds.unwrap_or(CrdsPolicy::Create),
        };
        self.attempt(work, attempt, Some(last), done).await
    }

    async fn attempt(
        &self,
        work: &Work,
        attempt: Attempt,
        last: Option<Release>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let (action, storage) = (attempt.action, self.records());
        self.running(action.as_str(), attempt.options.timeout, true);
        done.status().last_attempted_release_action = Some(action);
        let begun = self.clock.now();
        let base = self.base(&storage, last).await.map_err(Error::State)?;
        let prepared = self.prepare(work, &attempt, &storage, base.as_ref()).await;
        let mut release = prepared.map_err(|error| self.failed_early(work, &attempt, &error, done))?;
        self.remember(work, &release, Some(action), done);
        let events = match action {
            ReleaseAction::Install => (HookEvent::PreInstall, HookEvent::PostInstall),
            ReleaseAction::Upgrade => (HookEvent::PreUpgrade, HookEvent::PostUpgrade),
        };
        let outcome =
            self.releaser(&storage).deploy(&mut release, base.as_ref(), events, attempt.options).await;
        let verb = if action == ReleaseAction::Install { "Install" } else { "Upgrade" };
        match &outcome {
            Ok(_) => {
                release.status = Status::Deployed;
                release.description = format!("{verb} complete");
            }
            Err(error) => {
                release.status = Status::Failed;
                release.description = match action {
                    ReleaseAction::Install => format!("Release \"{}\" failed: {error}", release.name),
                    ReleaseAction::Upgrade => format!("Upgrade \"{}\" failed: {error}", release.name),
                };
            }
        }
        self.settle(work, &storage, &release, outcome.is_ok(), done).await.map_err(Error::State)?;
        done.status().last_attempted_release_action_duration =
            self.clock.now().duration_since(begun).try_into().ok().map(|d: std::time::Duration| d.into());
        done.unmark(ConditionType::Remediated);
        let (full, chart) = (state::full_name(&release), state::chart_name(&release));
        match outcome {
            Ok(entries) => {
                self.inventory(work, &entries, done);
                let status = done.status();
                status.failures = 0;
                (status.install_failures, status.upgrade_failures) = (0, 0);
                let text = format!("Helm {action} succeeded for release {full} with chart {chart}");
                let reason = reason(action, true);
                done.tell(ConditionType::Released, true, reason, &text);
                if state::tests(&self.object.spec) {
                    let text = format!("Helm release {full} with chart {chart} is awaiting tests");
                    done.mark(ConditionType::TestSuccess, Truth::Unknown, Reason::AwaitingTests, &text);
                }
            }
            Err(error) => {
                self.count(action, done);
                let plain = plain_name(self);
                let text = format!("Helm {action} failed for release {plain} with chart {chart}: {error}");
                done.tell(ConditionType::Released, false, reason(action, false), &text);
            }
        }
        Ok(())
    }

    /// An action that failed before it left a record.
    fn failed_early(&self, work: &Work, attempt: &Attempt, error: &str, done: &mut Done) -> Error {
        let chart = format!("{}@{}", work.wanted.chart_name, work.wanted.chart_version);
        let action = attempt.action;
        let text =
            format!("Helm {action} failed for release {} with chart {chart}: {error}", plain_name(self));
        done.unmark(ConditionType::Remediated);
        done.tell(ConditionType::Released, false, reason(action, false), &text);
        Error::Action(text)
    }

    fn count(&self, action: ReleaseAction, done: &mut Done) {
        let status = done.status();
        status.failures += 1;
        match action {
            ReleaseAction::Install => status.install_failures += 1,
            ReleaseAction::Upgrade => status.upgrade_failures += 1,
        }
    }

    /// What an upgrade starts from: the newest deployed release, or else the newest one.
    async fn base(&self, storage: &Storage, last: Option<Release>) -> Result<Option<Release>, String> {
        let Some(last) = last else { return Ok(None) };
        if last.status == Status::Deployed {
            return Ok(Some(last));
        }
        let history = storage.history().await?;
        let deployed = history.iter().rev().find(|(_, status)| *status == Status::Deployed);
        match deployed {
            Some((version, _)) => Ok(storage.get(*version).await?.or(Some(last))),
            None => Ok(Some(last)),
        }
    }

    /// Renders the chart, makes its CRDs and stores the pending release.
    async fn prepare(
        &self,
        work: &Work,
        attempt: &Attempt,
        storage: &Storage,
        base: Option<&Release>,
    ) -> Result<Release, String> {
        let info = ReleaseInfo {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            revision: attempt.revision,
            is_upgrade: attempt.action == ReleaseAction::Upgrade,
        };
        self.crds(work, attempt).await?;
        let rendered: Rendered = render::render(
            self.cluster,
            Rendering {
                chart: Arc::clone(&work.released.chart),
                values: work.released.values.clone(),
                info: info.clone(),
                skip_schema: attempt.skip_schema,
                post_renderer: Arc::clone(&work.changes),
                strategy: work.strategy,
            },
        )
        .await?;
        let mut release = rendered.into_release(&info, ApplyMethod::Server, &self.clock.now().to_string());
        if let Some(base) = base {
            release.first_deployed.clone_from(&base.first_deployed);
        }
        storage.create(&release, self.object.spec.max_history()).await?;
        Ok(release)
    }

    async fn crds(&self, work: &Work, attempt: &Attempt) -> Result<(), String> {
        if attempt.crds == CrdsPolicy::Skip {
            return Ok(());
        }
        let mut entries = Vec::new();
        let labels = origin(self.object).into_iter().collect();
        for (path, file) in work.released.chart.crds() {
            for mut object in api::objects(&file.text())? {
                if object.get("kind").and_then(Value::as_str) != Some("CustomResourceDefinition") {
                    tracing::warn!(%path, "only CustomResourceDefinitions are made of files in crds/");
                    continue;
                }
                label(&mut object, "labels", &labels);
                entries.push(self.make(object, attempt.crds == CrdsPolicy::CreateReplace).await?);
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let options = ferrite_apply::WaitOptions {
            timeout: std::time::Duration::from_secs(60),
            ..ferrite_apply::WaitOptions::default()
        };
        let waited = ferrite_apply::wait(self.cluster, entries, &options, std::future::pending());
        crate::release::patiently(self.step, waited).await.map_err(|error| format!("{error:#}"))
    }

    /// Makes an object unless it is there; then it is replaced if that is wanted.
    async fn make(&self, object: Value, replace: bool) -> Result<Entry, String> {
        let item = api::locate(self.cluster, object, &self.namespace).await?;
        let live = item.read(self.cluster.client()).await?;
        if live.is_none() || replace {
            item.apply(self.cluster.client(), live.as_ref(), &self.settings.managers).await?;
        }
        Ok(item.entry)
    }

    /// Stores how an action ended; what it replaced is superseded.
    async fn settle(
        &self,
        work: &Work,
        storage: &Storage,
        release: &Release,
        good: bool,
        done: &mut Done,
    ) -> Result<(), String> {
        if good {
            self.supersede(storage, release.version, done).await?;
        }
        storage.update(release).await?;
        self.remember(work, release, done.status().last_attempted_release_action, done);
        Ok(())
    }

    async fn supersede(&self, storage: &Storage, version: i64, done: &mut Done) -> Result<(), String> {
        for (old, status) in storage.history().await? {
            if old >= version || status != Status::Deployed {
                continue;
            }
            let Some(mut old) = storage.get(old).await? else { continue };
            old.status = Status::Superseded;
            storage.update(&old).await?;
            let history = &mut done.status().history;
            if history.iter().any(|known| i64::from(known.version) == old.version) {
                state::remember(history, state::snapshot(&old, None, None));
            }
        }
        Ok(())
    }

    fn remember(&self, work: &Work, release: &Release, action: Option<ReleaseAction>, done: &mut Done) {
        let snapshot = state::snapshot(release, action, work.released.oci_digest.clone());
        state::remember(&mut done.status().history, snapshot);
        let history = json!(done.status().history);
        self.step.field("history", history);
        self.step.field("storageNamespace", json!(self.storage_namespace));
    }

    fn inventory(&self, work: &Work, entries: &[Entry], done: &mut Done) {
        let mut all: Inventory = entries.iter().cloned().collect();
        let crds = work.released.chart.crds();
        let objects = crds.iter().filter_map(|(_, file)| api::objects(&file.text()).ok()).flatten();
        let crds: Vec<Entry> = objects.filter_map(|object| Entry::of(&object).ok()).collect();
        all = all.merged(crds);
        let entries = all.to_pairs().into_iter().map(|(id, version)| ResourceRef { id, version }).collect();
        done.status().inventory = Some(ferrite_api::Inventory { entries });
    }

    pub(super) async fn unlock(&self, mut last: Release, done: &mut Done) -> Result<(), Error> {
        let was = last.status.as_str();
        last.status = Status::Failed;
        last.description = format!("Release unlocked from stale '{was}' state");
        self.records().update(&last).await.map_err(Error::State)?;
        let text = format!(
            "Unlocked Helm release {} with chart {} in {was} state",
            state::full_name(&last),
            state::chart_name(&last)
        );
        let history = &mut done.status().history;
        if history.first().is_some_and(|known| i64::from(known.version) == last.version) {
            state::remember(history, state::snapshot(&last, None, None));
        }
        done.mark(ConditionType::Released, Truth::False, Reason::PendingRelease, &text);
        done.events.push(ferrite_runtime::Event::info(Reason::PendingRelease, text));
        Ok(())
    }

    pub(super) async fn test(&self, work: &Work, mut last: Release, done: &mut Done) -> Result<(), Error> {
        let spec = self.object.spec.test.clone().unwrap_or_default();
        let timeout = self.timeout(spec.timeout);
        self.running("test", timeout, false);
        let includes: Vec<&str> =
            spec.filters.iter().filter(|f| !f.exclude).map(|f| f.name.as_str()).collect();
        let wanted = |name: &str| {
            let excluded = spec.filters.iter().any(|f| f.exclude && f.name == name);
            !excluded && (includes.is_empty() || includes.contains(&name))
        };
        let storage = self.records();
        let outcome = self.releaser(&storage).hooks(&mut last, HookEvent::Test, timeout, wanted).await;
        storage.update(&last).await.map_err(Error::State)?;
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok().map(Time);
        let results: std::collections::BTreeMap<String, TestHookStatus> = last
            .hooks
            .iter()
            .filter(|hook| hook.is_test() && !hook.last_run.phase.is_empty())
            .map(|hook| {
                let run = &hook.last_run;
                (
                    hook.name.clone(),
                    TestHookStatus {
                        last_started: time(&run.started_at),
                        last_completed: time(&run.completed_at),
                        phase: Some(run.phase.clone()),
                    },
                )
            })
            .collect();
        let (full, chart) = (state::full_name(&last), state::chart_name(&last));
        let count = results.len();
        self.remember(work, &last, None, done);
        if let Some(latest) = done.status().history.first_mut() {
            latest.test_hooks = Some(results);
        }
        match outcome {
            Ok(()) => {
                let what = match count {
                    0 => "no test hooks".to_owned(),
                    1 => "1 test hook completed successfully".to_owned(),
                    many => format!("{many} test hooks completed successfully"),
                };
                let text = format!("Helm test succeeded for release {full} with chart {chart}: {what}");
                done.tell(ConditionType::TestSuccess, true, Reason::TestSucceeded, &text);
            }
            Err(error) => {
                let text = format!("Helm test failed for release {full} with chart {chart}: {error}");
                done.tell(ConditionType::TestSuccess, false, Reason::TestFailed, &text);
                let action = done.status().last_attempted_release_action;
                if let (Some(action), false) =
                    (action, state::ignores_tests(&self.object.spec, done.status()))
                {
                    self.count(action, done);
                }
            }
        }
        Ok(())
    }

    /// Rolls back; `Some` when there is nothing to roll back to.
    pub(super) async fn rollback(&self, last: Release, done: &mut Done) -> Result<Option<Outcome>, Error> {
        let spec = self.object.spec.rollback.clone().unwrap_or_default();
        let ignore = state::ignores_tests(&self.object.spec, done.status());
        state::truncate(&mut done.status().history, ignore);
        let target = state::previous(&done.status().history, ignore).cloned();
        let Some(target) = target else {
            let text = "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
            return Ok(Some(Outcome::Stalled(Reason::MissingRollbackTarget, text.to_owned())));
        };
        let storage = self.records();
        let timeout = self.timeout(spec.timeout);
        self.running("rollback", timeout, false);
        let found = storage.get(i64::from(target.version)).await.map_err(Error::State)?;
        let Some(found) = found else {
            let text = format!(
                "Failed to perform remediation: the record of release {}/{}.v{} is gone",
                target.namespace, target.name, target.version
            );
            return Ok(Some(Outcome::Stalled(Reason::MissingRollbackTarget, text)));
        };
        let now = self.clock.now().to_string();
        let mut release = Release {
            version: last.version + 1,
            status: Status::PendingRollback,
            last_deployed: now,
            deleted: String::new(),
            description: format!("Rollback to {}", found.version),
            apply_method: Some(ApplyMethod::Server),
            ..found.clone()
        };
        storage.create(&release, self.object.spec.max_history()).await.map_err(Error::State)?;
        let options = Options {
            timeout,
            wait: !spec.disable_wait,
            jobs: !spec.disable_wait_for_jobs,
            hooks: !spec.disable_hooks,
            take_ownership: true,
            cleanup: spec.cleanup_on_fail,
        };
        let events = (HookEvent::PreRollback, HookEvent::PostRollback);
        let outcome = self.releaser(&storage).deploy(&mut release, Some(&last), events, options).await;
        release.status = if outcome.is_ok() { Status::Deployed } else { Status::Failed };
        if outcome.is_ok() {
            self.supersede(&storage, release.version, done).await.map_err(Error::State)?;
        }
        storage.update(&release).await.map_err(Error::State)?;
        state::remember(
            &mut done.status().history,
            state::snapshot(&release, None, target.oci_digest.clone()),
        );
        let start = format!(
            "Helm rollback to previous release {} with chart {}",
            state::full_name(&found),
            state::chart_name(&found)
        );
        match outcome {
            Ok(_) => {
                done.tell(
                    ConditionType::Remediated,
                    true,
                    Reason::RollbackSucceeded,
                    &format!("{start} succeeded"),
                );
            }
            Err(error) => {
                let text = format!("{start} failed: {error}");
                done.tell(ConditionType::Remediated, false, Reason::RollbackFailed, &text);
            }
        }
        Ok(None)
    }

    /// Uninstalls a release that failed.
    pub(super) async fn remediate(&self, last: Release, done: &mut Done) -> Result<(), Error> {
        let start = format!(
            "Helm uninstall remediation for release {} with chart {}",
            state::full_name(&last),
            state::chart_name(&last)
        );
        let namespace = last.namespace.clone();
        match self.uninstall(&self.storage_namespace, last, &namespace).await {
            Ok(()) => {
                let status = done.status();
                status.inventory = None;
                if let Some(latest) = status.history.first_mut() {
                    Status::Uninstalled.as_str().clone_into(&mut latest.status);
                }
                done.tell(
                    ConditionType::Remediated,
                    true,
                    Reason::UninstallSucceeded,
                    &format!("{start} succeeded"),
                );
                Ok(())
            }
            Err(error) => {
                let text = format!("{start} failed: {error}");
                done.tell(ConditionType::Remediated, false, Reason::UninstallFailed, &text);
                Err(Error::Action(text))
            }
        }
    }
}

fn reason(action: ReleaseAction, good: bool) -> Reason {
    match (action, good) {
        (ReleaseAction::Install, true) => Reason::InstallSucceeded,
        (ReleaseAction::Install, false) => Reason::InstallFailed,
        (ReleaseAction::Upgrade, true) => Reason::UpgradeSucceeded,
        (ReleaseAction::Upgrade, false) => Reason::UpgradeFailed,
    }
}
