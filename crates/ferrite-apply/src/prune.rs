//! Deleting what an owner does not want any more.

use ferrite_resource::{Action, Entry, Owner, prunes};
use futures::{StreamExt, stream};

use crate::{
    cluster::Cluster,
    done::Done,
    error::{ApiError, ObjectError, PruneError, Step},
    fetch,
};

/// Objects of one kind that are deleted at once.
const CONCURRENCY: usize = 4;
/// How often an object is read again because somebody writes it at the same time; after that, only its uid has to match.
const TRIES: usize = 3;

/// Deletes objects of an owner, in the given order (that of [`ferrite_resource::Inventory::stale`]), kind by kind.
///
/// Each object is read first: one that does not carry both labels of the owner, or is marked to be kept, is skipped.
/// Dependents are left to the garbage collector. An object that is not there, or whose kind is not served any more,
/// counts as deleted. Every object is tried, whatever happens to the others.
///
/// # Errors
///
/// [`PruneError`] with the objects that are still there.
pub async fn prune(
    cluster: &Cluster,
    entries: &[Entry],
    owner: &Owner,
    done: &mut Done,
) -> Result<(), PruneError> {
    let mut failed = Vec::new();
    let same_kind =
        |left: &Entry, right: &Entry| left.id.kind == right.id.kind && left.id.group == right.id.group;
    for kind in entries.chunk_by(same_kind) {
        // By index: a closure over borrowed items makes a future that cannot be proved to be `Send`.
        let deletions = stream::iter(0..kind.len()).map(|index| async move {
            let entry = kind.get(index)?;
            Some((entry, delete(cluster, entry, owner).await))
        });
        let mut deletions = deletions.buffered(CONCURRENCY);
        while let Some(deletion) = deletions.next().await {
            let Some((entry, outcome)) = deletion else { continue };
            match outcome {
                Ok(action) => done.changes.push(entry.clone(), action),
                Err(error) => failed.push(error),
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(PruneError { failed }) }
}

async fn delete(cluster: &Cluster, entry: &Entry, owner: &Owner) -> Result<Action, ObjectError> {
    match delete_found(cluster, entry, owner).await {
        // The version that was known may not be served any more; the object is found in another one.
        Err(error) if error.error.is_path_not_found() => {
            cluster.server.mapper.forget(entry);
            delete_found(cluster, entry, owner).await
        }
        outcome => outcome,
    }
}

async fn delete_found(cluster: &Cluster, entry: &Entry, owner: &Owner) -> Result<Action, ObjectError> {
    let query = |error| ObjectError::new(entry, Step::Query, error);
    let Some(mapping) = cluster.server.mapper.resolve_any(entry).await.map_err(query)? else {
        cluster.ledger().forget(&entry.id);
        return Ok(Action::Deleted);
    };
    let collection = mapping.collection_of(&entry.id).map_err(query)?;
    let name = entry.id.name.as_str();
    for attempt in 1..=TRIES {
        let read = fetch::get_metadata(&cluster.client, &collection, name).await.map_err(query)?;
        let Some(read) = read else {
            cluster.ledger().forget(&entry.id);
            return Ok(Action::Deleted);
        };
        if !owner.owns(&read) || !prunes(&read) {
            cluster.ledger().forget(&entry.id);
            return Ok(Action::Skipped);
        }
        // From here on the watch for drift does not miss it.
        cluster.ledger().forget(&entry.id);
        match fetch::delete(&cluster.client, &collection, name, &read, attempt < TRIES).await {
            Ok(_) => return Ok(Action::Deleted),
            Err(error) if error.is_conflict() && attempt < TRIES => {}
            Err(error) => return Err(ObjectError::new(entry, Step::Delete, error)),
        }
    }
    Err(ObjectError::new(entry, Step::Delete, ApiError::new("Conflict", 409, "the object keeps changing")))
}
