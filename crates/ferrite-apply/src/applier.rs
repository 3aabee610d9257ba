//! Applying a set of objects, stage by stage.

use std::time::Duration;

use ferrite_resource::{Action, Entry, IdentityError, Managers, StageKinds, ignore::IgnoreRules, stages};
use futures::{StreamExt, stream};
use serde_json::Value;

use crate::{
    cluster::Cluster,
    done::Done,
    error::{ApplyError, ObjectError, Step},
    fetch,
    look::{Coming, Verdict, Write, look, ready},
    preview::{Preview, preview},
    wait::{WaitOptions, WaitTarget, wait},
};

/// How a set of objects is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Our field manager, and whose fields are taken over.
    pub managers: Managers,
    /// How many objects are looked at in parallel (`--concurrent-ssa`); 0 counts as 1.
    pub concurrency: usize,
    /// Objects with changed immutable fields are deleted and created anew (`spec.force`).
    pub force: bool,
    /// Fields whose drift is left alone (`spec.ignore`).
    pub ignore: IgnoreRules,
    /// Kinds that get a stage of their own (`--custom-apply-stage-kinds`).
    pub stage_kinds: StageKinds,
    /// How long definitions and classes may take until they are Current.
    pub stage_timeout: Duration,
    /// Ask the API server about every object, whatever is remembered.
    pub audit: bool,
    /// An object that is as it was left is dry-run again after this time at the latest; before, it is only read. Until
    /// then a change of the API server's own mind (its defaults, its webhooks) goes unnoticed.
    pub audit_after: Duration,
    /// The same for an object that a watch for drift sees: before, nothing is asked at all.
    pub audit_watched_after: Duration,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            managers: Managers::default(),
            concurrency: 4,
            force: false,
            ignore: IgnoreRules::default(),
            stage_kinds: StageKinds::default(),
            stage_timeout: Duration::from_secs(60),
            audit: false,
            audit_after: Duration::from_secs(3600),
            audit_watched_after: Duration::from_secs(3600),
        }
    }
}

/// Applies sets of objects to a cluster; cheap to make.
#[derive(Debug)]
pub struct Applier<'a> {
    cluster: &'a Cluster,
    options: ApplyOptions,
}

impl<'a> Applier<'a> {
    /// An applier to a cluster, as the identity of the cluster.
    #[must_use]
    pub fn new(cluster: &'a Cluster, options: ApplyOptions) -> Self {
        Self { cluster, options }
    }

    /// Applies objects that were prepared ([`ferrite_resource::prepare()`]).
    ///
    /// Stage by stage: definitions, classes, custom stages, everything else. Of a stage every object is looked at, in
    /// parallel; only when none is refused are those that differ written, one after another in apply order. The first
    /// two stages end when their objects are Current. Objects that are as wanted are noted as unchanged, excluded ones
    /// as skipped.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; `done` then holds what was done before, and what may have been.
    pub async fn apply(&self, objects: Vec<Value>, done: &mut Done) -> Result<(), ApplyError> {
        let entries = objects
            .into_iter()
            .map(|object| Ok((Entry::of(&object)?, object)))
            .collect::<Result<Vec<_>, IdentityError>>()?;
        let coming = Coming::of(entries.iter().map(|(_, object)| object));
        for stage in stages(entries, &self.options.stage_kinds) {
            let stopped = |failed| ApplyError::Objects { failed, earlier: done.changes.clone() };
            let verdicts = self.look_at_all(&coming, &stage.objects).await.map_err(stopped)?;
            let waited = self.write_all(&stage.objects, verdicts, done).await?;
            if stage.wait && !waited.is_empty() {
                let options = WaitOptions { timeout: self.options.stage_timeout, ..WaitOptions::default() };
                let targets: Vec<WaitTarget> = waited.into_iter().map(WaitTarget::from).collect();
                wait(self.cluster, targets, &options, std::future::pending())
                    .await
                    .map_err(|source| ApplyError::Stage { source, earlier: done.changes.clone() })?;
            }
        }
        Ok(())
    }

    /// What [`Applier::apply`] would do, without doing it, in apply order: with the dry run of the API server.
    ///
    /// An object that cannot be tried because its namespace or its definition is among the objects and does not exist
    /// yet counts as created.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] with every object that was refused.
    pub async fn preview(&self, objects: Vec<Value>) -> Result<Vec<Preview>, ApplyError> {
        preview(self.cluster, &self.options, objects).await
    }

    async fn look_at_all(
        &self,
        coming: &Coming,
        objects: &[(Entry, Value)],
    ) -> Result<Vec<Verdict>, Vec<ObjectError>> {
        // By index: a closure over borrowed items makes a future that cannot be proved to be `Send`.
        let looks = stream::iter(0..objects.len()).map(|index| async move {
            let (entry, desired) = objects.get(index)?;
            Some(look(self.cluster, &self.options, coming, entry, desired).await)
        });
        let all: Vec<Result<Verdict, ObjectError>> =
            looks.buffered(self.options.concurrency.max(1)).filter_map(std::future::ready).collect().await;
        let mut verdicts = Vec::with_capacity(all.len());
        let mut failed = Vec::new();
        for verdict in all {
            match verdict {
                Ok(verdict) => verdicts.push(verdict),
                Err(error) => failed.push(error),
            }
        }
        if failed.is_empty() { Ok(verdicts) } else { Err(failed) }
    }

    /// Writes what is to be written; the objects that are not known to be ready are returned.
    async fn write_all(
        &self,
        objects: &[(Entry, Value)],
        verdicts: Vec<Verdict>,
        done: &mut Done,
    ) -> Result<Vec<Entry>, ApplyError> {
        let earlier = done.changes.clone();
        let mut unready = Vec::new();
        for ((entry, desired), verdict) in objects.iter().zip(verdicts) {
            match verdict {
                Verdict::Skipped => done.changes.push(entry.clone(), Action::Skipped),
                Verdict::Unchanged { ready } => {
                    done.changes.push(entry.clone(), Action::Unchanged);
                    if !ready {
                        unready.push(entry.clone());
                    }
                }
                Verdict::Write(write) => {
                    self.write(entry, desired, &write, done).await.map_err(|error| ApplyError::Objects {
                        failed: vec![error],
                        earlier: earlier.clone(),
                    })?;
                    unready.push(entry.clone());
                }
            }
        }
        Ok(unready)
    }

    async fn write(
        &self,
        entry: &Entry,
        desired: &Value,
        write: &Write,
        done: &mut Done,
    ) -> Result<(), ObjectError> {
        let payload = write.payload.as_ref().unwrap_or(desired);
        let (client, own) = (&self.cluster.client, self.options.managers.own.as_str());
        done.begin(entry);
        match fetch::apply(client, &write.collection, &entry.id.name, payload, own, false).await {
            Ok(live) => {
                let digest = Some(write.digest);
                self.cluster.ledger().applied(&entry.id, self.cluster.identity, digest, &live, ready(&live));
                done.finish(if write.create { Action::Created } else { Action::Configured });
                Ok(())
            }
            Err(error) => {
                if error.is_refusal() {
                    done.refused();
                }
                Err(ObjectError::new(entry, Step::Apply, error).scrubbed(desired))
            }
        }
    }
}
