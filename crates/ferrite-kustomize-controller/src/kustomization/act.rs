//! Applies, prunes and waits; notes each effect as it happens.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ferrite_api::{ConditionType, Reason};
use ferrite_apply::{
    Applier, Done as Applied, WaitError, WaitOptions, WaitTarget, custom_health, prune, wait,
};
use ferrite_resource::{Action, ChangeSet, Entry, Inventory, ObjectId, health::removes_itself};
use ferrite_runtime::{Event, Interrupted, Progress, Truth};
use jiff::Timestamp;
use serde_json::Value;

use super::plan::{Health, Plan};
use crate::{
    build::Built,
    context::Context,
    error::{Attempt, Error, Failure},
};

/// What has been done; `Done::default()` is nothing.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// When the reconcile began.
    pub(crate) started: Option<Timestamp>,
    /// The revision that was applied.
    pub(crate) attempt: Option<Attempt>,
    /// The digest of what was built.
    pub(crate) digest: Option<String>,
    /// What must be in status, once something may have been written.
    pub(crate) inventory: Option<Inventory>,
    /// Whether anything in the cluster was created, changed or deleted.
    pub(crate) changed: bool,
    /// How health came out, where it was asked for.
    pub(crate) health: Option<Checked>,
}

/// All objects were healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// After this time.
    pub(crate) after: Duration,
    /// Whether that is news.
    pub(crate) news: bool,
}

pub(crate) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    done.started = Some(plan.started);
    done.attempt = Some(plan.attempt.clone());
    done.digest = Some(plan.built.digest.clone());
    let attempt = plan.attempt.clone();
    run(context, plan, done, step).await.map_err(|failure| Error::at(&attempt, failure))
}

async fn run(context: &Context, mut plan: Plan, done: &mut Done, step: &Progress) -> Result<(), Failure> {
    let revision = &plan.attempt.revision;
    let timeout = ferrite_api::Duration::from(plan.timeout);
    step.say(format_args!("Detecting drift for revision {revision} with a timeout of {timeout}"));
    let finishing = finishing(&plan.built.objects);
    let built = std::mem::replace(&mut plan.built, Arc::new(Built::default()));
    let objects = Arc::try_unwrap(built).map_or_else(|shared| shared.objects.clone(), |built| built.objects);

    let mut applied = Applied::default();
    let options = plan.options.clone();
    let outcome = Applier::new(&plan.cluster, options).apply(objects, &mut applied).await;
    let now: Inventory = applied.entries().cloned().collect();
    // Until pruning is through, what was there before may still be there.
    done.inventory = Some(plan.before.merged(now.entries().iter().cloned()));
    outcome?;
    let changes = applied.changes.notable();
    if !changes.is_empty() {
        step.event(told(Event::info(Reason::Progressing.as_str(), changes.to_string()), &plan.attempt));
    }
    plan.cluster.track(&plan.owner, &now);

    let mut pruned = Applied::default();
    let survivors = if plan.prune { prune_stale(&plan, &now, &mut pruned, step).await } else { Ok(()) };
    match survivors {
        Ok(()) => done.inventory = Some(now.clone()),
        Err(error) => {
            done.inventory = Some(now.merged(error.survivors().cloned()));
            return Err(Failure::Prune(error));
        }
    }

    let changed = !changes.is_empty() || !pruned.changes.is_empty();
    done.changed = changed;
    let (targets, owned) = match std::mem::replace(&mut plan.health, Health::None) {
        Health::None => return Ok(()),
        Health::Listed(targets) => (targets, false),
        Health::Applied => (applied_targets(&applied.changes, &finishing), true),
    };
    if targets.is_empty() {
        return Ok(());
    }
    done.health = Some(check_health(context, &plan, targets, owned, changed, step).await?);
    Ok(())
}

async fn prune_stale(
    plan: &Plan,
    now: &Inventory,
    pruned: &mut Applied,
    step: &Progress,
) -> Result<(), ferrite_apply::PruneError> {
    let stale = plan.before.stale(now);
    if stale.is_empty() {
        return Ok(());
    }
    let outcome = prune(&plan.cluster, &stale, &plan.owner, pruned).await;
    if !pruned.changes.is_empty() {
        step.event(told(
            Event::info(Reason::Progressing.as_str(), pruned.changes.to_string()),
            &plan.attempt,
        ));
    }
    outcome
}

async fn check_health(
    context: &Context,
    plan: &Plan,
    targets: Vec<WaitTarget>,
    owned: bool,
    changed: bool,
    step: &Progress,
) -> Result<Checked, Failure> {
    let timeout = ferrite_api::Duration::from(plan.timeout);
    let message =
        format!("Running health checks for revision {} with a timeout of {timeout}", plan.attempt.revision);
    step.mark(ConditionType::Healthy, Truth::Unknown, Reason::Progressing, message.clone());
    step.say(format_args!("{message}"));
    let custom = custom_health(&plan.expressions);
    let options = WaitOptions {
        timeout: plan.timeout,
        fail_fast: plan.fail_fast,
        custom: if plan.expressions.health.is_empty() { None } else { Some(&custom) },
        owner: owned.then_some(&plan.owner),
    };
    let begun = context.clock.now();
    let outcome = step.wait(wait(&plan.cluster, targets, &options, std::future::pending())).await?;
    let after = context.clock.now().duration_since(begun).try_into().unwrap_or_default();
    match outcome {
        Ok(()) => Ok(Checked { after, news: !plan.was_healthy || plan.new_revision && changed }),
        Err(WaitError::Cancelled) => Err(Interrupted::Superseded.into()),
        Err(source) => Err(Failure::Health { after, source }),
    }
}

/// Jobs that are removed some time after they finished.
fn finishing(objects: &[Value]) -> HashSet<ObjectId> {
    let entries =
        objects.iter().filter(|object| removes_itself(object)).filter_map(|object| Entry::of(object).ok());
    entries.map(|entry| entry.id).collect()
}

fn applied_targets(changes: &ChangeSet, finishing: &HashSet<ObjectId>) -> Vec<WaitTarget> {
    changes
        .with(&[Action::Created, Action::Configured, Action::Unchanged])
        .map(|entry| {
            let finished_when_gone = finishing.contains(&entry.id);
            WaitTarget { finished_when_gone, ..WaitTarget::from(entry.clone()) }
        })
        .collect()
}

/// An event with the revision it is about.
pub(crate) fn told(event: Event, attempt: &Attempt) -> Event {
    let key = |name: &str| format!("{}/{name}", ferrite_api::kustomize::GROUP);
    let event = event.with(key("revision"), &attempt.revision);
    match &attempt.origin_revision {
        Some(origin) => event.with(key("originRevision"), origin),
        None => event,
    }
}

/// The text of `Healthy` when all is well.
pub(crate) fn passed(after: Duration) -> String {
    format!("Health check passed in {}", ferrite_api::Duration::from(after))
}
