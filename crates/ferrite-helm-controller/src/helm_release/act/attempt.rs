//! Installs and upgrades (helm-controller `internal/action`, Helm `pkg/action`).

use std::sync::Arc;

use ferrite_api::{
    ConditionType, Reason,
    helm::{CrdsPolicy, Install, ReleaseAction, ServerSideApply, Upgrade},
};
use ferrite_helm::{ApplyMethod, Event as HookEvent, Release, ReleaseInfo, Reused, Status};
use ferrite_resource::Entry;
use ferrite_runtime::{Event, Truth};
use serde_json::{Map, Value, json};

use super::{Done, Work, Worker};
use crate::{
    error::Error,
    history,
    object::{self, Item, Write},
    release::{Around, Options, entries},
    render::{self, Rendering},
    storage::Storage,
};

type Values = Map<String, Value>;

/// What is done around an install.
const INSTALL: Around = Around {
    before: (HookEvent::PreInstall, "failed pre-install: "),
    after: (HookEvent::PostInstall, "failed post-install: "),
};
/// What is done around an upgrade.
const UPGRADE: Around = Around {
    before: (HookEvent::PreUpgrade, "pre-upgrade hooks failed: "),
    after: (HookEvent::PostUpgrade, "post-upgrade hooks failed: "),
};

/// The parts of an install or upgrade that differ.
pub(super) struct Attempt {
    action: ReleaseAction,
    pub(super) options: Options,
    pub(super) crds: CrdsPolicy,
    revision: i64,
    around: Around,
    skip_schema: bool,
    take_ownership: bool,
    create_namespace: bool,
    preserve_values: bool,
    /// Whether a release that was uninstalled or has failed is replaced.
    replace: bool,
    /// How many records are kept; 0 for all.
    max_history: i32,
}

/// A release that is stored and can be deployed.
struct Prepared {
    release: Release,
    items: Vec<Item>,
    old: Vec<Item>,
}

/// How an attempt failed; `recorded` says whether a record tells of it.
struct Failed {
    error: String,
    recorded: bool,
}

impl From<String> for Failed {
    fn from(error: String) -> Self {
        Self { error, recorded: false }
    }
}

impl Worker<'_> {
    pub(super) async fn install(
        &self,
        work: &Work,
        last: Option<Release>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let spec = self.object.spec.install.clone().unwrap_or_default();
        let attempt = self.install_attempt(&spec, last.as_ref());
        self.running("install", attempt.options.timeout, true, done);
        done.status().history.clear();
        self.attempt(work, &attempt, last, done).await
    }

    fn install_attempt(&self, spec: &Install, last: Option<&Release>) -> Attempt {
        let server = spec.server_side_apply.unwrap_or(!self.settings.helm3_defaults);
        let take_ownership = !spec.disable_take_ownership;
        Attempt {
            action: ReleaseAction::Install,
            revision: last.map_or(1, |last| last.version + 1),
            options: Options {
                timeout: self.timeout(spec.timeout),
                wait: self.wait(spec.disable_wait),
                jobs: !spec.disable_wait_for_jobs,
                hooks: !spec.disable_hooks,
                cleanup: false,
                write: Write {
                    method: method(server),
                    replace: false,
                    strict: !spec.disable_open_api_validation,
                    fold: true,
                    three_way_custom: take_ownership,
                },
            },
            around: INSTALL,
            skip_schema: spec.disable_schema_validation,
            crds: spec.crds.unwrap_or(CrdsPolicy::Create),
            take_ownership,
            create_namespace: spec.create_namespace && self.object.spec.target_namespace.is_some(),
            preserve_values: false,
            replace: spec.replace,
            max_history: 0,
        }
    }

    pub(super) async fn upgrade(&self, work: &Work, last: Release, done: &mut Done) -> Result<(), Error> {
        let spec = self.object.spec.upgrade.clone().unwrap_or_default();
        let attempt = self.upgrade_attempt(&spec, &last);
        self.running("upgrade", attempt.options.timeout, true, done);
        self.attempt(work, &attempt, Some(last), done).await
    }

    fn upgrade_attempt(&self, spec: &Upgrade, last: &Release) -> Attempt {
        let server = match spec.server_side_apply.unwrap_or_default() {
            ServerSideApply::Enabled => true,
            ServerSideApply::Disabled => false,
            ServerSideApply::Auto => last.apply_method == Some(ApplyMethod::Server),
        };
        Attempt {
            action: ReleaseAction::Upgrade,
            revision: last.version + 1,
            options: Options {
                timeout: self.timeout(spec.timeout),
                wait: self.wait(spec.disable_wait),
                jobs: !spec.disable_wait_for_jobs,
                hooks: !spec.disable_hooks,
                cleanup: spec.cleanup_on_fail,
                write: Write {
                    method: method(server),
                    replace: spec.force && !server,
                    strict: !spec.disable_open_api_validation,
                    fold: false,
                    three_way_custom: false,
                },
            },
            around: UPGRADE,
            skip_schema: spec.disable_schema_validation,
            crds: spec.crds.unwrap_or(CrdsPolicy::Create),
            take_ownership: !spec.disable_take_ownership,
            create_namespace: false,
            preserve_values: spec.preserve_values,
            replace: false,
            max_history: self.object.spec.max_history(),
        }
    }

    async fn attempt(
        &self,
        work: &Work,
        attempt: &Attempt,
        last: Option<Release>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let action = attempt.action;
        done.status().last_attempted_release_action = Some(action);
        done.unmark(ConditionType::TestSuccess);
        done.unmark(ConditionType::Remediated);
        let begun = self.clock.now();
        let outcome = Box::pin(self.try_attempt(work, attempt, last, done)).await;
        let took: Option<std::time::Duration> = self.clock.now().duration_since(begun).try_into().ok();
        done.status().last_attempted_release_action_duration = took.map(Into::into);
        let outcome = match outcome {
            Ok(()) => {
                self.succeeded(action, done);
                Ok(())
            }
            Err(failed) => self.failed(work, action, &failed, done),
        };
        self.summarize(done);
        outcome
    }

    fn succeeded(&self, action: ReleaseAction, done: &mut Done) {
        let Some(latest) = done.status().history.first().cloned() else { return };
        let (full, chart) = (history::full_name(&latest), history::chart_name(&latest));
        let text = format!("Helm {action} succeeded for release {full} with chart {chart}");
        done.mark(ConditionType::Released, Truth::True, reason(action, true), &text);
        if crate::decide::tests(&self.object.spec) && latest.test_hooks.is_none() {
            let text = format!("Helm release {full} with chart {chart} is awaiting tests");
            done.mark(ConditionType::TestSuccess, Truth::Unknown, Reason::AwaitingTests, &text);
        }
        if self.retry(done.status()).is_some() {
            let status = done.status();
            (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
        }
        self.tell(Event::info(reason(action, true), text), &latest);
    }

    fn failed(
        &self,
        work: &Work,
        action: ReleaseAction,
        failed: &Failed,
        done: &mut Done,
    ) -> Result<(), Error> {
        let text = format!(
            "Helm {action} failed for release {}/{} with chart {}@{}: {}",
            self.namespace,
            self.name,
            work.wanted.chart_name,
            work.wanted.chart_version,
            failed.error.trim()
        );
        let reason = reason(action, false);
        done.mark(ConditionType::Released, Truth::False, reason, &text);
        self.tell_attempt(Event::error(reason, self.journal.append_to(&text)), work);
        let status = done.status();
        status.failures += 1;
        if !failed.recorded {
            return Err(Error::Action(text));
        }
        match action {
            ReleaseAction::Install => status.install_failures += 1,
            ReleaseAction::Upgrade => status.upgrade_failures += 1,
        }
        Ok(())
    }

    async fn try_attempt(
        &self,
        work: &Work,
        attempt: &Attempt,
        last: Option<Release>,
        done: &mut Done,
    ) -> Result<(), Failed> {
        let storage = self.records();
        let crds = self
            .crds(work, attempt)
            .await
            .map_err(|error| format!("failed to apply CustomResourceDefinitions: {error}"))?;
        let reusable =
            |last: &Release| attempt.replace && matches!(last.status, Status::Uninstalled | Status::Failed);
        if attempt.action == ReleaseAction::Install && last.as_ref().is_some_and(|last| !reusable(last)) {
            let error = "release name check failed: cannot reuse a name that is still in use";
            return Err(error.to_owned().into());
        }
        let base = match attempt.action {
            ReleaseAction::Install => None,
            ReleaseAction::Upgrade => self.base(&storage, last.clone()).await?,
        };
        let original = base.as_ref().map(|base| (base.version, base.apply_method));
        let Prepared { mut release, items, old } =
            Box::pin(self.prepare(work, attempt, last.as_ref(), base.as_ref())).await?;
        self.store(attempt, &storage, &release, last).await?;
        self.note(work, &release, attempt.action, done);
        self.inventory(entries(&items), &crds, done);
        let mut options = attempt.options;
        options.write.fold |= original.is_some_and(|(_, method)| method != Some(ApplyMethod::Server));
        let recorded = |error| Failed { error, recorded: true };
        let outcome =
            Box::pin(self.releaser(&storage).deploy(&mut release, &items, &old, attempt.around, options))
                .await;
        match outcome {
            Ok(()) => {
                let original = original.map(|(version, _)| version);
                self.supersede(&storage, release.version, original, None, done).await.map_err(recorded)?;
                release.status = Status::Deployed;
                release.description = match attempt.action {
                    ReleaseAction::Install => "Install complete".to_owned(),
                    ReleaseAction::Upgrade => "Upgrade complete".to_owned(),
                };
                storage.update(&release).await.map_err(recorded)?;
                self.note(work, &release, attempt.action, done);
                Ok(())
            }
            Err(failure) => {
                let error = failure.text().to_owned();
                release.status = Status::Failed;
                release.description = match attempt.action {
                    ReleaseAction::Install => format!("Release \"{}\" failed: {error}", release.name),
                    ReleaseAction::Upgrade => format!("Upgrade \"{}\" failed: {error}", release.name),
                };
                // Should this fail, the record stays pending, and is unlocked.
                if let Err(error) = storage.update(&release).await {
                    tracing::warn!(%error, "cannot record that the release failed");
                }
                self.note(work, &release, attempt.action, done);
                Err(recorded(error))
            }
        }
    }

    fn note(&self, work: &Work, release: &Release, action: ReleaseAction, done: &mut Done) {
        self.remember(release, Some(action.into()), work.released.oci_digest.clone(), done);
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

    /// Renders the chart, and finds out where its objects are and whether they may be taken.
    async fn prepare(
        &self,
        work: &Work,
        attempt: &Attempt,
        last: Option<&Release>,
        base: Option<&Release>,
    ) -> Result<Prepared, String> {
        let info = ReleaseInfo {
            name: self.name.clone(),
            namespace: base.map_or_else(|| self.namespace.clone(), |base| base.namespace.clone()),
            revision: attempt.revision,
            is_upgrade: attempt.action == ReleaseAction::Upgrade,
        };
        let (values, defaults) = self.values(work, attempt, base)?;
        self.journal.note(format_args!(
            "rendering chart {}@{} for revision {}",
            work.wanted.chart_name, work.wanted.chart_version, attempt.revision
        ));
        let rendering = Rendering {
            chart: Arc::clone(&work.released.chart),
            values,
            defaults,
            info: info.clone(),
            skip_schema: attempt.skip_schema,
            post_renderer: Arc::clone(&work.changes),
            strategy: work.strategy,
            dns: self.settings.allow_dns,
        };
        let rendered = render::render(&self.cluster, rendering).await?;
        let method = attempt.options.write.method;
        let mut release = rendered.into_release(&info, method, &self.clock.now().to_string());
        if let Some(base) = base {
            release.first_deployed.clone_from(&base.first_deployed);
            release.labels = last.map(|last| last.labels.clone()).unwrap_or_default();
        }
        let storage = self.records();
        let releaser = self.releaser(&storage);
        let items = releaser.items(&release).await?;
        let old = match base {
            Some(base) => releaser.old_items(base).await?,
            None => Vec::new(),
        };
        if !attempt.take_ownership {
            let verb = if base.is_some() { "update" } else { "install" };
            let refused = releaser.refuse_foreign(&items, &old).await;
            refused.map_err(|error| format!("unable to continue with {verb}: {error}"))?;
        }
        Ok(Prepared { release, items, old })
    }

    /// The user's values of the new revision, and what takes the place of the chart's defaults.
    fn values(
        &self,
        work: &Work,
        attempt: &Attempt,
        base: Option<&Release>,
    ) -> Result<(Values, Option<Values>), String> {
        let own = &work.released.values;
        let Some(base) = base.filter(|_| attempt.preserve_values) else { return Ok((own.clone(), None)) };
        let reused = ferrite_helm::reuse_values(base, own);
        let Reused { config, defaults } =
            reused.map_err(|error| format!("failed to rebuild old values: {error}"))?;
        Ok((config, Some(defaults)))
    }

    /// Makes the namespace if that is wanted, and stores the pending release.
    async fn store(
        &self,
        attempt: &Attempt,
        storage: &Storage,
        release: &Release,
        last: Option<Release>,
    ) -> Result<(), String> {
        if attempt.create_namespace {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": self.namespace, "labels": {"name": self.namespace}}});
            let item = object::locate(&self.cluster, namespace, &self.namespace).await?;
            if item.read(self.cluster.client()).await?.is_none() {
                item.create(self.cluster.client(), attempt.options.write).await?;
            }
        }
        if let Some(mut last) = last.filter(|last| attempt.replace && last.status == Status::Uninstalled) {
            last.status = Status::Superseded;
            "superseded by new release".clone_into(&mut last.description);
            storage.update(&last).await?;
        }
        storage.create(release, attempt.max_history).await
    }

    /// Marks older releases that are deployed, and the one that was upgraded, as superseded; `action` is what status
    /// then says made them so.
    pub(super) async fn supersede(
        &self,
        storage: &Storage,
        version: i64,
        original: Option<i64>,
        action: Option<ferrite_api::helm::SnapshotAction>,
        done: &mut Done,
    ) -> Result<(), String> {
        for (old, status) in storage.history().await? {
            if old >= version || (status != Status::Deployed && Some(old) != original) {
                continue;
            }
            let Some(mut old) = storage.get(old).await? else { continue };
            old.status = Status::Superseded;
            storage.update(&old).await?;
            self.refresh(&old, action, done);
            let history = &mut done.status().history;
            for known in history.iter_mut().filter(|known| i64::from(known.version) == old.version) {
                known.action = action;
            }
        }
        Ok(())
    }

    /// The definitions of a chart, located.
    pub(super) async fn locate_crd(&self, object: Value) -> Result<(Entry, Item), String> {
        let item = object::locate(&self.cluster, object, &self.namespace).await?;
        Ok((item.entry.clone(), item))
    }
}

const fn method(server: bool) -> ApplyMethod {
    if server { ApplyMethod::Server } else { ApplyMethod::Client }
}

pub(super) const fn reason(action: ReleaseAction, good: bool) -> Reason {
    match (action, good) {
        (ReleaseAction::Install, true) => Reason::InstallSucceeded,
        (ReleaseAction::Install, false) => Reason::InstallFailed,
        (ReleaseAction::Upgrade, true) => Reason::UpgradeSucceeded,
        (ReleaseAction::Upgrade, false) => Reason::UpgradeFailed,
    }
}
