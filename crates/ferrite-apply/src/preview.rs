//! What an apply would do.

use std::collections::HashSet;

use ferrite_resource::{
    Action, Entry, IdentityError, applies, apply_order,
    diff::{Diff, diff},
    drift::drifted,
    forced, takeover,
};
use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;

use crate::{
    applier::ApplyOptions,
    cluster::Cluster,
    error::{ApplyError, ObjectError, Step},
    fetch,
    look::Coming,
};

/// What would be done with one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The object.
    pub entry: Entry,
    /// What would be done. An object that would be deleted and created anew counts as created.
    pub action: Action,
    /// The fields that would change; values of Secrets are masked. Empty for objects that only change their owner.
    pub diff: Diff,
}

/// What is among the objects and may not exist yet.
struct Among {
    namespaces: HashSet<String>,
    kinds: Coming,
}

pub(crate) async fn preview(
    cluster: &Cluster,
    options: &ApplyOptions,
    objects: Vec<Value>,
) -> Result<Vec<Preview>, ApplyError> {
    let entries = objects.iter().map(|object| Ok((Entry::of(object)?, object)));
    let mut entries = entries.collect::<Result<Vec<_>, IdentityError>>()?;
    entries.sort_by(|left, right| apply_order(&left.0.id, &right.0.id));
    let namespaces =
        entries.iter().filter(|(entry, _)| entry.id.kind == "Namespace" && entry.id.group.is_empty());
    let among = Among {
        namespaces: namespaces.map(|(entry, _)| entry.id.name.clone()).collect(),
        kinds: Coming::of(entries.iter().map(|(_, object)| *object)),
    };
    // By index, and by reference: a closure over borrowed items makes a future that cannot be proved to be `Send`.
    let (among, objects) = (&among, &entries);
    let tries = stream::iter(0..objects.len()).map(|index| async move {
        let (entry, desired) = objects.get(index)?;
        let tried = try_one(cluster, options, among, entry, desired).await;
        Some(tried.map_err(|error| ObjectError::new(entry, Step::DryRun, error).scrubbed(desired)))
    });
    let all: Vec<Result<Preview, ObjectError>> =
        tries.buffered(options.concurrency.max(1)).filter_map(std::future::ready).collect().await;
    let mut previews = Vec::with_capacity(all.len());
    let mut failed = Vec::new();
    for tried in all {
        match tried {
            Ok(preview) => previews.push(preview),
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() {
        Ok(previews)
    } else {
        Err(ApplyError::Objects { failed, earlier: Default::default() })
    }
}

async fn try_one(
    cluster: &Cluster,
    options: &ApplyOptions,
    among: &Among,
    entry: &Entry,
    desired: &Value,
) -> Result<Preview, crate::ApiError> {
    let preview = |action, diff| Preview { entry: entry.clone(), action, diff };
    let created = || preview(Action::Created, diff(None, desired, &[]));
    let collection = match cluster.locate(entry).await {
        Ok((_, collection)) => collection,
        Err(error) if error.is_no_match() && among.kinds.holds(&entry.id) => return Ok(created()),
        Err(error) => return Err(error),
    };
    let (client, name) = (&cluster.client, entry.id.name.as_str());
    let live = fetch::get(client, &collection, name).await?;
    if applies(desired, live.as_ref()).is_err() {
        return Ok(preview(Action::Skipped, Diff::default()));
    }
    let ignored = if live.is_some() { options.ignore.paths(desired) } else { Vec::new() };
    let merged = match fetch::apply(client, &collection, name, desired, &options.managers.own, true).await {
        Ok(merged) => merged,
        Err(error) if error.is_not_found() && among.namespaces.contains(&entry.id.namespace) => {
            return Ok(created());
        }
        Err(error) if error.is_immutable() && live.is_some() => {
            if options.force || forced(desired, live.as_ref()) {
                return Ok(created());
            }
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let action = match &live {
        None => Action::Created,
        Some(old) if drifted(Some(old), &merged, &ignored) || takeover(old, &options.managers).is_some() => {
            Action::Configured
        }
        Some(_) => return Ok(preview(Action::Unchanged, Diff::default())),
    };
    Ok(preview(action, diff(live.as_ref(), &merged, &ignored)))
}
