//! Uninstalls: because the object goes, because its target is another, or as a remedy.

use ferrite_api::{
    ConditionType, Reason,
    helm::{DeletionPropagation, SnapshotAction},
};
use ferrite_helm::{Event as HookEvent, Status};
use ferrite_runtime::{Event, Truth};
use kube::api::PropagationPolicy;

use super::{Done, Worker};
use crate::{error::Error, history, object::Write, release::Options, storage::Storage};

/// What became of a release that was to be uninstalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It was uninstalled.
    Uninstalled,
    /// There was no record of it.
    NotFound,
    /// It had been uninstalled before, and its records are kept.
    Before,
}

impl Worker<'_> {
    /// Uninstalls the release that status tells of, and tells of it. Without one there is nothing to do.
    pub(crate) async fn take_away(&self, storage_namespace: &str, done: &mut Done) -> Result<(), String> {
        let Some(latest) = done.status().history.first().cloned() else { return Ok(()) };
        let outcome = self.uninstall(storage_namespace, &latest.name, SnapshotAction::Uninstall, done).await;
        let latest = done.status().history.first().cloned().unwrap_or(latest);
        let (full, chart) = (history::full_name(&latest), history::chart_name(&latest));
        let (good, reason) = (Truth::False, Reason::UninstallSucceeded);
        let outcome = match outcome {
            Ok(Gone::Uninstalled) => {
                let text = format!("Helm uninstall succeeded for release {full} with chart {chart}");
                done.status().inventory = None;
                done.mark(ConditionType::Released, good, reason, &text);
                self.tell(Event::info(reason, text), &latest);
                Ok(())
            }
            Ok(Gone::NotFound) => {
                let text = format!("Release {full} was not found, assuming it is uninstalled");
                done.mark(ConditionType::Released, good, reason, &text);
                Ok(())
            }
            Ok(Gone::Before) => {
                let text = format!("Release {full} was already uninstalled");
                done.mark(ConditionType::Released, good, reason, &text);
                Ok(())
            }
            Err(error) => {
                let text =
                    format!("Helm uninstall failed for release {full} with chart {chart}: {}", error.trim());
                done.status().failures += 1;
                done.mark(ConditionType::Released, Truth::False, Reason::UninstallFailed, &text);
                let event = Event::error(Reason::UninstallFailed, self.journal.append_to(&text));
                self.tell(event, &latest);
                Err(text)
            }
        };
        self.summarize(done);
        outcome
    }

    /// Uninstalls a release that failed.
    pub(super) async fn remediate(&self, done: &mut Done) -> Result<(), Error> {
        let Some(before) = done.status().history.first().cloned() else {
            return Err(Error::State("no latest release: required to uninstall".to_owned()));
        };
        let action = SnapshotAction::UninstallRemediation;
        let outcome = self.uninstall(&self.storage_namespace, &before.name, action, done).await;
        let outcome = match outcome {
            Ok(Gone::Uninstalled) => Ok(()),
            Ok(Gone::NotFound) => {
                Err(format!("uninstall: Release not loaded: {}: release: not found", before.name))
            }
            Ok(Gone::Before) => Err(format!("the release named \"{}\" is already deleted", before.name)),
            Err(error) => Err(error),
        };
        let latest = done.status().history.first().cloned().unwrap_or_else(|| before.clone());
        let start = format!(
            "Helm uninstall remediation for release {} with chart {}",
            history::full_name(&latest),
            history::chart_name(&latest)
        );
        // `Ready` goes on telling why the release failed.
        match outcome {
            Ok(()) => {
                let text = format!("{start} succeeded");
                done.mark(ConditionType::Remediated, Truth::True, Reason::UninstallSucceeded, &text);
                self.tell(Event::info(Reason::UninstallSucceeded, text), &latest);
                Ok(())
            }
            Err(error) => {
                let text = format!("{start} failed: {}", error.trim());
                done.status().failures += 1;
                done.mark(ConditionType::Remediated, Truth::False, Reason::UninstallFailed, &text);
                self.tell(Event::error(Reason::UninstallFailed, self.journal.append_to(&text)), &latest);
                // Whatever reached the records is seen by the next reconcile.
                if latest.digest == before.digest { Err(Error::Action(text)) } else { Ok(()) }
            }
        }
    }

    /// Uninstalls a release and deals with its records.
    async fn uninstall(
        &self,
        storage_namespace: &str,
        name: &str,
        action: SnapshotAction,
        done: &mut Done,
    ) -> Result<Gone, String> {
        let spec = self.object.spec.uninstall.clone().unwrap_or_default();
        let options = Options {
            timeout: self.timeout(spec.timeout),
            wait: self.wait(spec.disable_wait),
            jobs: false,
            hooks: !spec.disable_hooks,
            cleanup: false,
            write: Write::SERVER,
        };
        self.running("uninstall", options.timeout, false, done);
        let storage = self.storage(storage_namespace, name);
        let Some(mut release) = storage.last().await? else { return Ok(Gone::NotFound) };
        if release.status == Status::Uninstalled {
            if spec.keep_history {
                return Ok(Gone::Before);
            }
            purge(&storage).await?;
            return Ok(Gone::Uninstalled);
        }
        release.status = Status::Uninstalling;
        release.deleted = self.clock.now().to_string();
        "Deletion in progress (or silently failed)".clone_into(&mut release.description);
        let releaser = self.releaser(&storage);
        if options.hooks {
            releaser.hooks(&mut release, HookEvent::PreDelete, options, |_| true).await?;
        }
        storage.update(&release).await?;
        self.refresh(&release, Some(action), done);
        let policy = match spec.deletion_propagation {
            DeletionPropagation::Background => PropagationPolicy::Background,
            DeletionPropagation::Foreground => PropagationPolicy::Foreground,
            DeletionPropagation::Orphan => PropagationPolicy::Orphan,
        };
        let deleted = releaser.delete(&release, policy).await;
        let deleted = deleted.map_err(|error| format!("failed to delete release: {name}: {error}"))?;
        let mut errors = releaser.after_deletion(&mut release, deleted, options).await;
        // Without a record, status goes on telling of the last one there was.
        let kept = if spec.keep_history {
            release.status = Status::Uninstalled;
            "Uninstallation complete".clone_into(&mut release.description);
            storage.update(&release).await?;
            self.refresh(&release, Some(action), done);
            self.supersede(&storage, release.version, None, None, done).await
        } else {
            purge(&storage).await
        };
        errors.extend(kept.err());
        if errors.is_empty() {
            return Ok(Gone::Uninstalled);
        }
        Err(format!("uninstallation completed with {} error(s): {}", errors.len(), errors.join("; ")))
    }
}

async fn purge(storage: &Storage) -> Result<(), String> {
    for (version, _) in storage.history().await? {
        let deleted = storage.delete(version).await;
        deleted.map_err(|error| format!("uninstall: Failed to purge the release: {error}"))?;
    }
    Ok(())
}
