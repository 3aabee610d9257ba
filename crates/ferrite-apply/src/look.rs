//! Looking at one object before it is written: the live object, the dry run, the takeover.

use std::{collections::HashSet, time::Duration};

use ferrite_resource::{
    Entry, ObjectId, SsaMode, Status, applies, drift, forced,
    health::{Context, health},
    ignore::keep_live,
    ssa_mode, takeover,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    applier::ApplyOptions,
    cluster::Cluster,
    digest::{Digest, of_desired, of_live},
    error::{ApiError, ObjectError, Step},
    fetch,
    wait::{WaitError, WaitOptions, WaitTarget, wait_gone},
};

/// How often a takeover is tried again when somebody else writes the object at the same time.
const TAKEOVER_TRIES: usize = 5;
/// How long a kind may take to be served after its definition was applied, and how often it is looked for.
const DISCOVERY_PATIENCE: Duration = Duration::from_secs(10);
const DISCOVERY_PAUSE: Duration = Duration::from_millis(200);
/// How long an object that is created anew may take to go.
const RECREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be done with one object.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing: it is excluded.
    Skipped,
    /// Nothing: it is as wanted. It is ready, as far as that is known.
    Unchanged { ready: bool },
    /// It is written.
    Write(Write),
}

/// One write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) collection: String,
    /// What is sent instead of the desired object, when fields of the live one are kept.
    pub(crate) payload: Option<Value>,
    /// It does not exist.
    pub(crate) create: bool,
    /// The digest of what was wanted.
    pub(crate) digest: Digest,
}

/// Decides what is to be done with one object. Writes only to take fields over, or to delete what is created anew.
pub(crate) async fn look(
    cluster: &Cluster,
    options: &ApplyOptions,
    coming: &Coming,
    entry: &Entry,
    desired: &Value,
) -> Result<Verdict, ObjectError> {
    look_twice(cluster, options, coming, entry, desired).await.map_err(|error| error.scrubbed(desired))
}

/// The groups and kinds whose definitions are among the objects: the API server may take a moment to serve them.
#[derive(Debug, Default)]
pub(crate) struct Coming(HashSet<(String, String)>);

impl Coming {
    pub(crate) fn of<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let kind = |object: &Value| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            let definition = text("/kind").as_deref() == Some("CustomResourceDefinition");
            definition.then(|| Some((text("/spec/group")?, text("/spec/names/kind")?)))?
        };
        Self(objects.into_iter().filter_map(kind).collect())
    }

    pub(crate) fn holds(&self, id: &ObjectId) -> bool {
        self.0.contains(&(id.group.clone(), id.kind.clone()))
    }
}

/// Where an object is, with patience for a kind whose definition was just applied.
async fn locate(cluster: &Cluster, coming: &Coming, entry: &Entry) -> Result<String, ObjectError> {
    let deadline = Instant::now() + DISCOVERY_PATIENCE;
    loop {
        match cluster.locate(entry).await {
            Ok((_, collection)) => return Ok(collection),
            Err(error) if error.is_no_match() && coming.holds(&entry.id) && Instant::now() < deadline => {
                sleep(DISCOVERY_PAUSE).await;
            }
            Err(error) => return Err(ObjectError::new(entry, Step::DryRun, error)),
        }
    }
}

/// A path that is not there may be one that was remembered too long: it is looked up again, once.
async fn look_twice(
    cluster: &Cluster,
    options: &ApplyOptions,
    coming: &Coming,
    entry: &Entry,
    desired: &Value,
) -> Result<Verdict, ObjectError> {
    let collection = locate(cluster, coming, entry).await?;
    match look_at(cluster, options, entry, desired, collection).await {
        Err(error) if error.step == Step::DryRun && error.error.is_path_not_found() => {
            cluster.server.mapper.forget(entry);
            let collection = locate(cluster, coming, entry).await?;
            look_at(cluster, options, entry, desired, collection).await
        }
        verdict => verdict,
    }
}

async fn look_at(
    cluster: &Cluster,
    options: &ApplyOptions,
    entry: &Entry,
    desired: &Value,
    collection: String,
) -> Result<Verdict, ObjectError> {
    let refused = |error| ObjectError::new(entry, Step::DryRun, error);
    let ignored = options.ignore.paths(desired);
    let names: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    let digest = of_desired(desired, &names);
    let settled = cluster.ledger().settled(&entry.id, cluster.identity, digest).filter(|_| !options.audit);
    let watched = |(live, age): (Digest, Duration)| {
        age < spread(options.audit_watched_after, digest) && cluster.ledger().observed(&entry.id, live)
    };
    if settled.is_some_and(watched) {
        return Ok(Verdict::Unchanged { ready: cluster.ledger().is_current(&entry.id, cluster.identity) });
    }

    let (client, name) = (&cluster.client, entry.id.name.as_str());
    let mut live = fetch::get(client, &collection, name).await.map_err(refused)?;
    if applies(desired, live.as_ref()).is_err() {
        return Ok(Verdict::Skipped);
    }
    if let Some(live) = &live
        && settled.is_some_and(|(was, age)| age < options.audit_after && was == of_live(live))
    {
        let ready = ready(live);
        cluster.ledger().judged(&entry.id, cluster.identity, live, ready);
        return Ok(Verdict::Unchanged { ready });
    }

    let own = options.managers.own.as_str();
    let merged = match fetch::apply(client, &collection, name, desired, own, true).await {
        Ok(merged) => merged,
        Err(error) => {
            let Some(old) =
                live.take_if(|live| error.is_immutable() && (options.force || forced(desired, Some(&*live))))
            else {
                let error = refused(error);
                // An API server may quote the old value as well as the new one.
                return Err(live.iter().fold(error, |error, live| error.scrubbed(live)));
            };
            recreate(cluster, entry, &collection, &old).await?;
            fetch::apply(client, &collection, name, desired, own, true).await.map_err(refused)?
        }
    };
    let Some(mut live) = live else {
        return Ok(Verdict::Write(Write { collection, payload: None, create: true, digest }));
    };
    let taken = take_over(cluster, options, entry, desired, &collection, &mut live).await.map_err(refused)?;
    if !taken && !drift::drifted(Some(&live), &merged, &ignored) {
        let ready = ready(&live);
        cluster.ledger().applied(&entry.id, cluster.identity, Some(digest), &live, ready);
        return Ok(Verdict::Unchanged { ready });
    }
    let payload = (!ignored.is_empty()).then(|| {
        let mut payload = desired.clone();
        keep_live(&mut payload, &live, &ignored, own);
        payload
    });
    Ok(Verdict::Write(Write { collection, payload, create: false, digest }))
}

/// Up to a quarter less than a time, another quarter for each object, so that not all are due at once.
fn spread(time: Duration, digest: Digest) -> Duration {
    let share = digest.first().copied().map_or(0, u32::from);
    time - time / 4 * share / 255
}

/// Whether a live object is Current by the rules of its kind.
pub(crate) fn ready(live: &Value) -> bool {
    health(live, Context { now: jiff::Timestamp::now(), pods: &[] }).status == Status::Current
}

/// Folds the fields of other managers into ours; says whether there was anything to fold. `live` is as it is then.
async fn take_over(
    cluster: &Cluster,
    options: &ApplyOptions,
    entry: &Entry,
    desired: &Value,
    collection: &str,
    live: &mut Value,
) -> Result<bool, ApiError> {
    for attempt in 1.. {
        if ssa_mode(desired) == SsaMode::Merge || ssa_mode(live) == SsaMode::Merge {
            return Ok(false);
        }
        let Some(patch) = takeover(live, &options.managers) else { return Ok(attempt > 1) };
        let (client, name) = (&cluster.client, entry.id.name.as_str());
        match fetch::json_patch(client, collection, name, &patch, &options.managers.own).await {
            Ok(patched) => {
                // The watch for drift sees this write, too; it is ours, but it applied nothing yet.
                cluster.ledger().applied(&entry.id, cluster.identity, None, &patched, false);
                *live = patched;
                return Ok(true);
            }
            Err(error) if error.is_conflict() && attempt < TAKEOVER_TRIES => {
                match fetch::get(client, collection, name).await? {
                    Some(fresh) => *live = fresh,
                    None => return Ok(true),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Deletes an object whose change is one of immutable fields, and waits until it is gone.
async fn recreate(
    cluster: &Cluster,
    entry: &Entry,
    collection: &str,
    live: &Value,
) -> Result<(), ObjectError> {
    let failed = |error| ObjectError::new(entry, Step::Recreate, error);
    cluster.ledger().forget(&entry.id);
    fetch::delete(&cluster.client, collection, &entry.id.name, live, false).await.map_err(failed)?;
    let options = WaitOptions { timeout: RECREATE_TIMEOUT, ..WaitOptions::default() };
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
    let target = WaitTarget { uid, ..WaitTarget::from(entry.clone()) };
    match wait_gone(cluster, vec![target], &options, std::future::pending()).await {
        Ok(()) => Ok(()),
        Err(error @ (WaitError::Timeout(_) | WaitError::Failed(_) | WaitError::Cancelled)) => {
            Err(failed(ApiError::new("", 0, error.to_string())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audits_are_spread_over_a_quarter_of_the_time() {
        let of = |first: u8| {
            let mut digest = Digest::default();
            digest[0] = first;
            spread(Duration::from_secs(4000), digest).as_secs()
        };
        assert_eq!((of(0), of(51), of(255)), (4000, 3800, 3000));
    }

    #[test]
    fn definitions_among_the_objects_are_known() {
        let definition = serde_json::json!({"kind": "CustomResourceDefinition",
            "spec": {"group": "example.org", "names": {"kind": "Thing"}}});
        let coming = Coming::of([&definition, &Value::Null]);
        assert!(coming.holds(&ObjectId::new("example.org", "Thing", "a", "b")));
        assert!(!coming.holds(&ObjectId::new("", "Thing", "a", "b")));
    }
}
