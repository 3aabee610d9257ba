//! Goes back to the release before a failed upgrade (Helm `pkg/action/rollback.go`).

use ferrite_api::{
    ConditionType, Reason,
    helm::{Rollback, ServerSideApply, Snapshot, SnapshotAction},
};
use ferrite_helm::{ApplyMethod, Event as HookEvent, Release, Status};
use ferrite_resource::Entry;
use ferrite_runtime::{Event, Truth};

use super::{Done, Work, Worker, worker::Facts};
use crate::{
    error::Error,
    history,
    object::{self, Write},
    release::{Around, Failure, Options, entries},
    storage::Storage,
};

/// What is done around a rollback.
const ROLLBACK: Around =
    Around { before: (HookEvent::PreRollback, ""), after: (HookEvent::PostRollback, "") };

impl Worker<'_> {
    /// Rolls back from the failed release `current` to revision `to`.
    pub(super) async fn rollback(
        &self,
        work: &Work,
        current: Release,
        to: i64,
        done: &mut Done,
    ) -> Result<(), Error> {
        let spec = self.object.spec.rollback.clone().unwrap_or_default();
        self.running("rollback", self.timeout(spec.timeout), false, done);
        let known = done.status().history.iter().find(|known| i64::from(known.version) == to).cloned();
        let Some(target) = known else {
            return Err(Error::State(format!("status knows nothing of revision {to}")));
        };
        let before = done.status().history.first().map(|latest| latest.digest.clone());
        let outcome = self.try_rollback(&spec, current, to, &crd_entries(work), done).await;
        let outcome = self.conclude_rollback(work, &target, before.as_ref(), outcome, done);
        self.summarize(done);
        outcome
    }

    fn conclude_rollback(
        &self,
        work: &Work,
        target: &Snapshot,
        before: Option<&String>,
        outcome: Result<(), String>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let (full, chart) = (history::full_name(target), history::chart_name(target));
        let start = format!("Helm rollback to previous release {full} with chart {chart}");
        let facts = Facts {
            revision: &target.chart_version,
            token: &work.wanted.config_digest,
            app_version: target.app_version.as_deref(),
            oci_digest: target.oci_digest.as_deref(),
        };
        match outcome {
            Ok(()) => {
                let text = format!("{start} succeeded");
                done.mark(ConditionType::Remediated, Truth::True, Reason::RollbackSucceeded, &text);
                self.step.event(facts.on(Event::info(Reason::RollbackSucceeded, text)));
                Ok(())
            }
            Err(error) => {
                let text = format!("{start} failed: {}", error.trim());
                done.status().failures += 1;
                done.mark(ConditionType::Remediated, Truth::False, Reason::RollbackFailed, &text);
                let event = Event::error(Reason::RollbackFailed, self.journal.append_to(&text));
                self.step.event(facts.on(event));
                let after = done.status().history.first().map(|latest| &latest.digest);
                if after == before { Err(Error::Action(text)) } else { Ok(()) }
            }
        }
    }

    async fn try_rollback(
        &self,
        spec: &Rollback,
        mut current: Release,
        to: i64,
        crds: &[Entry],
        done: &mut Done,
    ) -> Result<(), String> {
        let storage = self.records();
        let found = storage.get(to).await?.ok_or_else(|| format!("release has no {to} version"))?;
        let server = match spec.server_side_apply.unwrap_or_default() {
            ServerSideApply::Enabled => true,
            ServerSideApply::Disabled => false,
            ServerSideApply::Auto => found.apply_method == Some(ApplyMethod::Server),
        };
        let method = if server { ApplyMethod::Server } else { ApplyMethod::Client };
        let mut release = Release {
            version: current.version + 1,
            status: Status::PendingRollback,
            first_deployed: current.first_deployed.clone(),
            last_deployed: self.clock.now().to_string(),
            deleted: String::new(),
            description: format!("Rollback to {to}"),
            apply_method: Some(method),
            ..found
        };
        let releaser = self.releaser(&storage);
        let items = releaser.items(&release).await?;
        let old = releaser.old_items(&current).await?;
        storage.create(&release, self.object.spec.max_history()).await?;
        self.remember(&release, Some(SnapshotAction::Rollback), None, done);
        self.inventory(entries(&items), crds, done);
        let options = Options {
            timeout: self.timeout(spec.timeout),
            wait: self.wait(spec.disable_wait),
            jobs: !spec.disable_wait_for_jobs,
            hooks: !spec.disable_hooks,
            cleanup: spec.cleanup_on_fail,
            write: Write { replace: spec.force && !server, fold: true, ..Write { method, ..Write::SERVER } },
        };
        let outcome = releaser.deploy(&mut release, &items, &old, ROLLBACK, options).await;
        match outcome {
            Ok(()) => {
                let action = Some(SnapshotAction::Rollback);
                self.supersede(&storage, release.version, None, action, done).await?;
                release.status = Status::Deployed;
                storage.update(&release).await?;
                self.refresh(&release, Some(SnapshotAction::Rollback), done);
                Ok(())
            }
            Err(failure) => {
                let error = self.note_failed(&storage, &mut current, &mut release, &failure, done).await;
                Err(error)
            }
        }
    }

    /// Records that a rollback failed; returns its error.
    async fn note_failed(
        &self,
        storage: &Storage,
        current: &mut Release,
        release: &mut Release,
        failure: &Failure,
        done: &mut Done,
    ) -> String {
        release.status = Status::Failed;
        let error = match failure {
            Failure::Failed(error) => {
                release.description = format!("Rollback \"{}\" failed: {error}", release.name);
                current.status = Status::Superseded;
                if let Err(error) = storage.update(current).await {
                    tracing::warn!(%error, "cannot record that the release is superseded");
                }
                self.refresh(current, Some(SnapshotAction::Rollback), done);
                error.clone()
            }
            Failure::Unready(error) => {
                release.description = format!("Release \"{}\" failed: {error}", release.name);
                format!("release {} failed: {error}", release.name)
            }
        };
        // Should this fail, the record stays pending, and is unlocked.
        if let Err(error) = storage.update(release).await {
            tracing::warn!(%error, "cannot record that the rollback failed");
        }
        self.refresh(release, Some(SnapshotAction::Rollback), done);
        error
    }
}

/// The definitions of the chart that is wanted: they are not rolled back.
fn crd_entries(work: &Work) -> Vec<Entry> {
    let crds = ferrite_helm::enabled_crds(&work.released.chart, &work.released.values).unwrap_or_default();
    let objects = crds.iter().filter_map(|(_, file)| object::objects(&file.text()).ok()).flatten();
    objects.filter_map(|object| Entry::of(&object).ok()).collect()
}
