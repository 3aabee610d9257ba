//! The watch of one kind.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use ferrite_resource::{Entry, ObjectId, Owner};
use futures::StreamExt;
use serde_json::Value;
use tokio::{task::AbortHandle, time::sleep};

use super::Inner;
use crate::{
    error::ApiError,
    ledger::Kind,
    watch::{Event, Query, events},
};

/// The server ends each watch after this many seconds, so that a dead connection is noticed.
const WATCH_SECONDS: u32 = 120;
/// For how long a watch is believed without a sign of life: until the next one is opened.
const TRUSTED: Duration = Duration::from_secs(150);
/// When a kind may not be watched, or is not served, it is tried again after this time.
const RETRY: Duration = Duration::from_secs(60);

/// Starts the watch of a kind.
pub(super) fn watch(inner: &Arc<Inner>, kind: Kind, version: String) -> AbortHandle {
    tokio::spawn(follow(Arc::downgrade(inner), kind, version)).abort_handle()
}

async fn follow(inner: Weak<Inner>, kind: Kind, version: String) {
    loop {
        let Some(query) = query(&inner, &kind, &version).await else { return };
        match query {
            Ok((client, query)) => {
                let mut stream = events(client, query);
                let mut listed = HashSet::new();
                while let Some(event) = stream.next().await {
                    let Some(inner) = inner.upgrade() else { return };
                    match event {
                        Ok(event) => take(&inner, &kind, &mut listed, event),
                        Err(error) => {
                            inner.ledger.fresh(&kind, None);
                            tracing::debug!(group = kind.0, kind = kind.1, %error, "watch for drift failed");
                            if error.is_not_found() {
                                inner.mapper.forget(&any_of(&kind, &version));
                                break;
                            }
                            if error.is_forbidden() {
                                break;
                            }
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(group = kind.0, kind = kind.1, %error, "cannot watch for drift"),
        }
        sleep(RETRY).await;
    }
}

/// What to watch; `None` when the tracker is gone.
async fn query(
    inner: &Weak<Inner>,
    kind: &Kind,
    version: &str,
) -> Option<Result<(kube::Client, Query), ApiError>> {
    let (client, mapper) = {
        let inner = inner.upgrade()?;
        (inner.client.clone(), Arc::clone(&inner.mapper))
    };
    let entry = any_of(kind, version);
    let mapping = match mapper.resolve_any(&entry).await {
        Ok(Some(mapping)) => mapping,
        Ok(None) => return Some(Err(ApiError::no_match(&entry))),
        Err(error) => return Some(Err(error)),
    };
    let mut query = Query::new(mapping.collection(""));
    query.labels = Some(Owner::name_label());
    query.metadata = true;
    query.seconds = WATCH_SECONDS;
    Some(Ok((client, query)))
}

fn any_of(kind: &Kind, version: &str) -> Entry {
    Entry { id: ObjectId::new(kind.0.as_str(), kind.1.as_str(), "", ""), version: version.to_owned() }
}

fn take(inner: &Inner, kind: &Kind, listed: &mut HashSet<ObjectId>, event: Event) {
    match event {
        Event::Restarted => {
            listed.clear();
            inner.ledger.fresh(kind, None);
        }
        Event::Item(object) => {
            let id = id_of(kind, &object);
            inner.ledger.saw(&id, &object);
            inner.noticed(&id);
            listed.insert(id);
        }
        Event::Synced => {
            let mut gone: HashSet<ObjectId> = inner.ledger.missing(kind, listed).into_iter().collect();
            gone.extend(inner.tracked(kind).into_iter().filter(|id| !listed.contains(id)));
            for id in gone {
                inner.noticed(&id);
            }
            *listed = HashSet::new();
            inner.ledger.fresh(kind, Some(TRUSTED));
        }
        Event::Changed(object) => {
            let id = id_of(kind, &object);
            inner.ledger.saw(&id, &object);
            inner.noticed(&id);
            inner.ledger.fresh(kind, Some(TRUSTED));
        }
        Event::Deleted(object) => {
            let id = id_of(kind, &object);
            inner.ledger.saw_gone(&id);
            inner.noticed(&id);
        }
        Event::Alive => inner.ledger.fresh(kind, Some(TRUSTED)),
    }
}

fn id_of(kind: &Kind, object: &Value) -> ObjectId {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    ObjectId::new(kind.0.as_str(), kind.1.as_str(), text("/metadata/namespace"), text("/metadata/name"))
}
