//! Watched objects in memory, kept slim, and the changes a watch brings.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{key::ObjectKey, watch_backoff::WatchBackoff};

/// What can be watched into a [`Store`].
pub trait Watchable:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
}
impl<K> Watchable for K where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
}

/// One change of a watched object.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// It is new (`old` is `None`) or it changed.
    Applied {
        /// As it was known before.
        old: Option<Arc<K>>,
        /// As it is now.
        new: Arc<K>,
    },
    /// It is gone; this is how it was known last.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The object, as it is or as it was last.
    #[must_use]
    pub const fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied { new, .. } => new,
            Self::Deleted(last) => last,
        }
    }
}

/// The objects of one watch, without `managedFields` and without kubectl's last-applied annotation.
///
/// Cheap to clone; every clone sees the same objects.
pub struct Store<K>(Arc<Inner<K>>);

struct Inner<K> {
    objects: RwLock<HashMap<ObjectKey, Arc<K>>>,
    listed: watch::Sender<bool>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Store({} objects)", self.0.objects.read().len())
    }
}

impl<K: Resource<DynamicType = ()>> Default for Store<K> {
    fn default() -> Self {
        Self(Arc::new(Inner { objects: RwLock::default(), listed: watch::Sender::new(false) }))
    }
}

impl<K: Resource<DynamicType = ()>> Store<K> {
    /// The object of this key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.0.objects.read().get(key).cloned()
    }

    /// All objects, in no particular order.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.0.objects.read().values().cloned().collect()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.objects.read().len()
    }

    /// Whether there is no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns once the first list has been read.
    pub async fn listed(&self) {
        let mut listed = self.0.listed.subscribe();
        // The sender lives as long as the store, so waiting cannot fail.
        let _sender_alive = listed.wait_for(|listed| *listed).await.is_ok();
    }

    /// Takes an object that a write returned, unless something newer is known; the change, when it was taken.
    pub fn offer(&self, mut object: K) -> Option<Change<K>> {
        slim(&mut object);
        let key = ObjectKey::of(&object);
        let mut objects = self.0.objects.write();
        // An object that is not known any more has been deleted meanwhile.
        let have = objects.get(&key).filter(|have| is_newer(have.as_ref(), &object)).cloned()?;
        let new = Arc::new(object);
        objects.insert(key, Arc::clone(&new));
        Some(Change::Applied { old: Some(have), new })
    }

    /// Adds an object from elsewhere than a watch, as tests do.
    pub fn insert(&self, mut object: K) {
        slim(&mut object);
        self.0.objects.write().insert(ObjectKey::of(&object), Arc::new(object));
    }

    fn apply(&self, object: K) -> Option<Change<K>> {
        let key = ObjectKey::of(&object);
        let mut objects = self.0.objects.write();
        let old = objects.get(&key).cloned();
        if old.as_ref().is_some_and(|old| !is_newer(old.as_ref(), &object)) {
            return None;
        }
        let new = Arc::new(object);
        objects.insert(key, Arc::clone(&new));
        Some(Change::Applied { old, new })
    }

    fn remove(&self, key: &ObjectKey) -> Option<Change<K>> {
        self.0.objects.write().remove(key).map(Change::Deleted)
    }
}

/// Whether `offered` is another and not an older state than `have`. Resource versions compare as numbers since
/// Kubernetes 1.35 (KEP-5504); anything else counts as newer.
fn is_newer<K: Resource>(have: &K, offered: &K) -> bool {
    if have.meta().uid != offered.meta().uid {
        return true;
    }
    let version =
        |object: &K| object.meta().resource_version.as_ref().and_then(|text| text.parse::<u64>().ok());
    match (version(have), version(offered)) {
        (Some(have), Some(offered)) => offered > have,
        _ => true,
    }
}

fn slim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Keeps `store` equal to what the API server has and calls `on_change` for each change, until `shutdown`.
///
/// An API server that is away is waited for (200 ms doubling to 10 s); after a gap everything is listed again and
/// only real differences are reported.
pub async fn follow<K: Watchable>(
    api: Api<K>,
    config: watcher::Config,
    store: Store<K>,
    shutdown: CancellationToken,
    on_change: impl Fn(&Change<K>) + Send,
) {
    let kind = K::kind(&());
    let stream = watcher::watcher(api, config)
        .modify(slim)
        .backoff(WatchBackoff::new(Duration::from_millis(200), Duration::from_secs(10)))
        .take_until(shutdown.cancelled_owned());
    let mut stream = std::pin::pin!(stream);
    let mut listing: Option<Vec<K>> = None;
    let mut failing = false;
    while let Some(event) = stream.next().await {
        match event {
            Err(error) => {
                if !failing {
                    tracing::warn!(kind = %kind, error = %crate::classify::chain(&error), "watch interrupted, trying again");
                }
                failing = true;
                continue;
            }
            Ok(Event::Init) => listing = Some(Vec::new()),
            Ok(Event::InitApply(object)) => listing.get_or_insert_default().push(object),
            Ok(Event::InitDone) => {
                replace(&store, listing.take().unwrap_or_default(), &on_change);
                store.0.listed.send_replace(true);
            }
            Ok(Event::Apply(object)) => {
                if let Some(change) = store.apply(object) {
                    on_change(&change);
                }
            }
            Ok(Event::Delete(object)) => {
                if let Some(change) = store.remove(&ObjectKey::of(&object)) {
                    on_change(&change);
                }
            }
        }
        if std::mem::take(&mut failing) {
            tracing::info!(kind = %kind, "watch resumed");
        }
    }
}

fn replace<K: Watchable>(store: &Store<K>, listed: Vec<K>, on_change: &impl Fn(&Change<K>)) {
    let present: std::collections::HashSet<ObjectKey> = listed.iter().map(ObjectKey::of).collect();
    let gone: Vec<ObjectKey> =
        store.0.objects.read().keys().filter(|key| !present.contains(key)).cloned().collect();
    let removed = gone.iter().filter_map(|key| store.remove(key)).collect::<Vec<_>>();
    let applied = listed.into_iter().filter_map(|object| store.apply(object)).collect::<Vec<_>>();
    for change in removed.iter().chain(&applied) {
        on_change(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;

    fn config_map(name: &str, version: &str) -> ConfigMap {
        serde_json::from_value(serde_json::json!({"metadata":
            {"name": name, "namespace": "default", "uid": "1", "resourceVersion": version}}))
        .unwrap()
    }

    fn version(store: &Store<ConfigMap>) -> String {
        store.get(&ObjectKey::new("default", "a")).unwrap().resource_version().unwrap()
    }

    #[test]
    fn an_older_state_never_replaces_a_newer_one() {
        let store = Store::default();
        store.insert(config_map("a", "9"));
        assert!(store.offer(config_map("a", "10")).is_some());
        assert_eq!(version(&store), "10");
        assert!(store.apply(config_map("a", "9")).is_none(), "a late watch event");
        assert_eq!(version(&store), "10");
    }

    #[test]
    fn a_write_that_returns_after_the_deletion_does_not_resurrect() {
        let store = Store::default();
        assert!(store.offer(config_map("a", "10")).is_none());
        assert!(store.is_empty());
    }

    #[test]
    fn a_relist_reports_only_what_differs() {
        let store = Store::default();
        store.insert(config_map("same", "1"));
        store.insert(config_map("gone", "1"));
        let seen = parking_lot::Mutex::new(Vec::new());
        replace(&store, vec![config_map("same", "1"), config_map("new", "2")], &|change: &Change<
            ConfigMap,
        >| {
            let verb = if matches!(change, Change::Deleted(_)) { "-" } else { "+" };
            seen.lock().push(format!("{verb}{}", change.object().name_any()));
        });
        assert_eq!(seen.into_inner(), ["-gone", "+new"]);
    }
}
