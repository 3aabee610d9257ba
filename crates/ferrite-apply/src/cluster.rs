//! One identity on one API server.

use std::sync::Arc;

use ferrite_resource::{Entry, Inventory, Owner};
use kube::Client;

use crate::{
    error::ApiError,
    ledger::Ledger,
    mapper::{Mapper, Mapping},
    tracker::{DriftSink, Tracker, TrackerOptions},
};

/// What the identities on one API server share.
pub(crate) struct Server {
    pub(crate) mapper: Arc<Mapper>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) tracker: Option<Tracker>,
}

/// An API server as one identity sees it; cheap to clone.
///
/// Kinds and the memory of what was applied are shared by all identities on the same server, but what one identity was
/// told is not believed by another.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    pub(crate) identity: u64,
    pub(crate) server: Arc<Server>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cluster").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Cluster {
    /// An API server of its own, without a watch for drift.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::build(client, None)
    }

    /// An API server of its own, on which objects that are [tracked](Cluster::track) are watched for drift.
    ///
    /// The watches are the given client's, whatever identity applies. Must be called within a tokio runtime.
    #[must_use]
    pub fn with_tracker(client: Client, options: TrackerOptions, sink: DriftSink) -> Self {
        Self::build(client, Some((options, sink)))
    }

    fn build(client: Client, tracker: Option<(TrackerOptions, DriftSink)>) -> Self {
        let mapper = Arc::new(Mapper::new(client.clone()));
        let ledger = Arc::new(Ledger::default());
        let tracker = tracker.map(|(options, sink)| {
            Tracker::start(client.clone(), Arc::clone(&mapper), Arc::clone(&ledger), options, sink)
        });
        Self { client, identity: 0, server: Arc::new(Server { mapper, ledger, tracker }) }
    }

    /// The same API server as another identity, told apart by a number.
    #[must_use]
    pub fn as_identity(&self, client: Client, identity: u64) -> Self {
        Self { client, identity, server: Arc::clone(&self.server) }
    }

    /// The client of this identity.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The kinds of the server.
    #[must_use]
    pub fn mapper(&self) -> &Mapper {
        &self.server.mapper
    }

    /// The watch for drift, if there is one.
    #[must_use]
    pub fn tracker(&self) -> Option<&Tracker> {
        self.server.tracker.as_ref()
    }

    /// Watches the objects of an owner for drift, instead of those it had before.
    pub fn track(&self, owner: &Owner, inventory: &Inventory) {
        if let Some(tracker) = &self.server.tracker {
            tracker.track(owner, inventory.entries());
        }
    }

    /// Stops watching the objects of an owner.
    pub fn forget(&self, owner: &Owner) {
        if let Some(tracker) = &self.server.tracker {
            tracker.forget(owner);
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.server.ledger
    }

    /// The mapping of an object and the path of the collection it is in.
    pub(crate) async fn locate(&self, entry: &Entry) -> Result<(Mapping, String), ApiError> {
        let mapping = self.server.mapper.resolve(entry).await?;
        let collection = mapping.collection_of(&entry.id)?;
        Ok((mapping, collection))
    }
}
