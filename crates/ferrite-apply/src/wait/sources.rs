//! Where the news of objects come from: watches, and reads where an identity may not watch.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ferrite_resource::Entry;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::time::sleep;

use crate::{cluster::Cluster, error::ApiError, fetch, watch::Event};

/// How often an object is read that may not be watched, or whose kind is not served yet.
const POLL: Duration = Duration::from_secs(5);

/// Where events come from.
pub(super) enum Source {
    /// Objects of one collection, by name.
    Objects { targets: HashMap<String, usize>, listed: HashSet<String>, synced: bool },
    /// The pods of one target.
    Pods { target: usize },
}

pub(super) type Events = BoxStream<'static, Result<Event, ApiError>>;
pub(super) type Next = BoxFuture<'static, (usize, Option<Result<Event, ApiError>>, Events)>;

pub(super) fn next(source: usize, mut stream: Events) -> Next {
    async move {
        let event = stream.next().await;
        (source, event, stream)
    }
    .boxed()
}

/// An object that is read every 5 s, as events.
pub(super) fn polled(cluster: Cluster, entry: Entry) -> Events {
    stream::unfold((cluster, entry, true), |(cluster, entry, first)| async move {
        if !first {
            sleep(POLL).await;
        }
        let read = async {
            let (_, collection) = cluster.locate(&entry).await?;
            let read = fetch::get(&cluster.client, &collection, &entry.id.name).await;
            if read.as_ref().is_err_and(ApiError::is_path_not_found) {
                cluster.server.mapper.forget(&entry);
            }
            read
        };
        let events = match read.await {
            Ok(Some(object)) => vec![Ok(Event::Restarted), Ok(Event::Item(object)), Ok(Event::Synced)],
            Ok(None) => vec![Ok(Event::Restarted), Ok(Event::Synced)],
            // Reading is the last resort: a refusal is told, not answered with another way.
            Err(error) => vec![Err(ApiError { code: 0, ..error })],
        };
        Some((stream::iter(events), (cluster, entry, false)))
    })
    .flatten()
    .boxed()
}
