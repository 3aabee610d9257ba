//! What becomes of the applied objects when their Kustomization is deleted.

use ferrite_api::{
    Reason,
    kustomize::{DeletionPolicy, Kustomization},
};
use ferrite_apply::{Done as Applied, WaitOptions, WaitTarget, prune, wait_gone};
use ferrite_resource::{Action, Inventory};
use ferrite_runtime::{Event, Progress};

use super::act::{Done, told};
use crate::{
    context::Context,
    error::{Attempt, Error, Failure},
};

pub(crate) async fn teardown(
    context: &Context,
    object: &Kustomization,
    done: &mut Done,
    step: &Progress,
) -> Result<Vec<Event>, Error> {
    let owner = super::owner_of(object);
    // What goes now is no drift.
    context.targets.forget(&owner);
    context.builds.forget(&owner);
    let inventory = super::inventory_of(object)?;
    let attempt = applied(object);
    if !deletes(object) || inventory.is_empty() {
        return Ok(Vec::new());
    }
    let entries = inventory.stale(&Inventory::default());
    let read = |source| Failure::Read { what: "the service account to act as".to_owned(), source };
    if context.targets.lost_identity(object).await.map_err(read)? {
        let list: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
        let message = format!("unable to prune objects: \n{}", list.join("\n"));
        return Ok(vec![told(Event::error(Reason::PruneFailed.as_str(), message), &attempt)]);
    }
    let cluster = context.targets.of(object).await.map_err(|error| Error::at(&attempt, error))?;
    let mut pruned = Applied::default();
    let outcome = prune(&cluster, &entries, &owner, &mut pruned).await;
    if let Err(error) = outcome {
        done.inventory = Some(error.survivors().cloned().collect());
        return Err(Error::at(&attempt, Failure::Teardown(error)));
    }
    let reason = Reason::ReconciliationSucceeded.as_str();
    let mut events = vec![told(Event::info(reason, pruned.changes.to_string()), &attempt)];
    if object.spec.deletion_policy() == DeletionPolicy::WaitForTermination {
        let gone: Vec<WaitTarget> =
            pruned.changes.with(&[Action::Deleted]).cloned().map(WaitTarget::from).collect();
        let options = WaitOptions { timeout: object.spec.timeout().to_std(), ..WaitOptions::default() };
        let waited = step.wait(wait_gone(&cluster, gone, &options, std::future::pending())).await?;
        if let Err(error) = waited {
            let message = format!("failed to wait for resources termination: {error}");
            events.push(told(Event::error(Reason::PruneFailed.as_str(), message), &attempt));
        }
    }
    Ok(events)
}

/// Whether the applied objects are to be deleted.
fn deletes(object: &Kustomization) -> bool {
    let wanted = match object.spec.deletion_policy() {
        DeletionPolicy::MirrorPrune => object.spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    };
    wanted && !object.spec.suspend
}

/// The revision that was applied last.
fn applied(object: &Kustomization) -> Attempt {
    let status = object.status.clone().unwrap_or_default();
    Attempt {
        revision: status.last_applied_revision.unwrap_or_default(),
        origin_revision: status.last_applied_origin_revision,
    }
}
