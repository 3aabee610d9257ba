//! Every object, one global version, and the recent past.
//!
//! Objects are kept as the JSON text that readers get: a GET copies nothing and twenty watchers share one encoding.
//! What happened lately is kept per resource, so that a watch can start in the past, a paged list can be a snapshot,
//! and a selector can tell "left the selection" from "was deleted".

mod history;
mod log;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use history::{Change, Event, Gone, line as history_line};
pub(crate) use log::{Log, Record, Ticket};

/// `group/resource`.
pub(crate) type ResourceKey = Arc<str>;

/// Namespace (empty for cluster scope) and name.
pub(crate) type ObjectKey = (Arc<str>, Arc<str>);

/// One version of one object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) version: u64,
    pub(crate) uid: Box<str>,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// uid, and whether it blocks the owner's deletion.
    pub(crate) owners: Box<[(Box<str>, bool)]>,
    pub(crate) deleting: bool,
    pub(crate) json: Bytes,
    /// Where in the text the digits of the version are.
    digits: std::ops::Range<usize>,
}

/// An object whose text is ready but for its version, which is known only under the lock.
#[derive(Debug)]
struct Prepared {
    stored: Stored,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Stands for the version in a prepared text: nobody else can know it.
fn placeholder() -> &'static str {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| uuid::Uuid::new_v4().to_string())
}

impl Prepared {
    /// Encodes the object; the expensive part of a write, done without any lock.
    fn new(mut value: Value) -> Self {
        value["metadata"]["resourceVersion"] = placeholder().into();
        let stored = Stored::describe(&value);
        let mut head = serde_json::to_vec(&value).unwrap_or_default();
        let mark = placeholder().as_bytes();
        let at = head.windows(mark.len()).position(|w| w == mark).unwrap_or(head.len());
        let tail = head.split_off(at).split_off(mark.len().min(head.len()));
        Self { stored, head, tail }
    }

    fn finish(self, version: u64) -> Stored {
        let digits = version.to_string();
        let mut json = self.head;
        let start = json.len();
        json.reserve_exact(digits.len() + self.tail.len());
        json.extend_from_slice(digits.as_bytes());
        json.extend_from_slice(&self.tail);
        Stored { version, digits: start..start + digits.len(), json: json.into(), ..self.stored }
    }
}

impl Stored {
    /// The object; parsed anew on each call.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| **k == *key).map(|(_, v)| &**v)
    }

    /// The same object in another version.
    fn renumbered(&self, version: u64) -> Self {
        let part = |range: std::ops::Range<usize>| self.json.get(range).unwrap_or_default();
        let digits = version.to_string();
        let (head, tail) = (part(0..self.digits.start), part(self.digits.end..self.json.len()));
        Self {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            version,
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            owners: self.owners.clone(),
            deleting: self.deleting,
            json: [head, digits.as_bytes(), tail].concat().into(),
            digits: head.len()..head.len() + digits.len(),
        }
    }

    /// Everything but version and text.
    fn describe(value: &Value) -> Self {
        let metadata = &value["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        let labels = metadata["labels"].as_object().map_or_else(Box::default, |labels| {
            labels.iter().map(|(k, v)| (k.as_str().into(), v.as_str().unwrap_or_default().into())).collect()
        });
        let owners = metadata["ownerReferences"].as_array().map_or_else(Box::default, |owners| {
            owners
                .iter()
                .map(|o| {
                    (
                        o["uid"].as_str().unwrap_or_default().into(),
                        o["blockOwnerDeletion"] == Value::Bool(true),
                    )
                })
                .collect()
        });
        Self {
            namespace: text("namespace").into(),
            name: text("name").into(),
            version: 0,
            uid: text("uid").into(),
            labels,
            owners,
            deleting: metadata.get("deletionTimestamp").is_some(),
            json: Bytes::new(),
            digits: 0..0,
        }
    }
}

/// Why a write did not happen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is an object of that name already.
    Exists,
    /// The object is gone.
    Missing,
    /// The object is no longer the version that the write was computed from.
    Changed,
}

/// A write that is visible; `durable` says when a crash can no longer take it back.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stored: Arc<Stored>,
    pub(crate) durable: log::Ticket,
}

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<ObjectKey, Arc<Stored>>,
    history: history::History,
    last: u64,
    /// Tells watchers of this resource, and only them, that something happened.
    changed: watch::Sender<u64>,
}

impl Collection {
    fn from(floor: u64) -> Self {
        let mut history = history::History::default();
        history.start_at(floor);
        Self { history, ..Self::default() }
    }
}

#[derive(Debug)]
struct Inner {
    version: u64,
    /// Nothing before this version can be asked for.
    floor: u64,
    collections: HashMap<ResourceKey, Collection>,
}

/// The one store of a server.
#[derive(Debug)]
pub(crate) struct Store {
    inner: RwLock<Inner>,
    changed: watch::Sender<u64>,
    any: tokio::sync::broadcast::Sender<(ResourceKey, Arc<Event>)>,
    log: Option<Log>,
}

/// A list at one version.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) version: u64,
}

impl Store {
    /// Opens the store; with a log, what the log holds is there again.
    pub(crate) fn open(log: Option<(Log, Vec<log::Record>)>) -> Self {
        let mut inner = Inner { version: 0, floor: 0, collections: HashMap::new() };
        let log = log.map(|(log, records)| {
            for record in records {
                inner.version = inner.version.max(record.version);
                let collection = inner.collections.entry(record.resource.as_str().into()).or_default();
                let key: ObjectKey = (record.namespace.as_str().into(), record.name.as_str().into());
                match record.object {
                    Some(value) => {
                        collection.objects.insert(key, Arc::new(Prepared::new(value).finish(record.version)));
                    }
                    None => {
                        collection.objects.remove(&key);
                    }
                }
            }
            let version = inner.version;
            for collection in inner.collections.values_mut() {
                collection.history.start_at(version);
            }
            inner.floor = version;
            log
        });
        let (changed, _) = watch::channel(inner.version);
        let (any, _) = tokio::sync::broadcast::channel(4096);
        Self { inner: RwLock::new(inner), changed, any, log }
    }

    /// The version of the last write.
    pub(crate) fn version(&self) -> u64 {
        self.inner.read().version
    }

    /// Follows the global version.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Follows one resource.
    pub(crate) fn follow_resource(&self, resource: &str) -> watch::Receiver<u64> {
        if let Some(collection) = self.inner.read().collections.get(resource) {
            return collection.changed.subscribe();
        }
        entry(&mut self.inner.write(), resource).1.changed.subscribe()
    }

    /// Has every watcher look again, because what is served has changed.
    pub(crate) fn wake_all(&self) {
        for collection in self.inner.read().collections.values() {
            collection.changed.send_modify(|_| {});
        }
    }

    /// Every event of every resource, for the controllers inside the server.
    pub(crate) fn subscribe(&self) -> tokio::sync::broadcast::Receiver<(ResourceKey, Arc<Event>)> {
        self.any.subscribe()
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let key: ObjectKey = (namespace.into(), name.into());
        self.inner.read().collections.get(resource)?.objects.get(&key).cloned()
    }

    /// All objects of a resource, of one namespace when given, in order of namespace and name.
    pub(crate) fn list(&self, resource: &str, namespace: Option<&str>) -> Listed {
        let inner = self.inner.read();
        let objects =
            inner.collections.get(resource).map_or_else(Vec::new, |c| select(&c.objects, namespace));
        Listed { objects, version: inner.version }
    }

    /// The list as it was at `version`.
    pub(crate) fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Listed, Gone> {
        let inner = self.inner.read();
        let Some(collection) = inner.collections.get(resource) else {
            return Ok(Listed { objects: Vec::new(), version });
        };
        let events = collection.history.since(version)?;
        if events.is_empty() {
            return Ok(Listed { objects: select(&collection.objects, namespace), version });
        }
        let mut objects = collection.objects.clone();
        for event in events.iter().rev() {
            let key = (event.object.namespace.clone(), event.object.name.clone());
            match &event.previous {
                Some(previous) if event.change != Change::Added => objects.insert(key, previous.clone()),
                Some(_) | None => objects.remove(&key),
            };
        }
        Ok(Listed { objects: select(&objects, namespace), version })
    }

    /// The version of the last change to a resource.
    pub(crate) fn last_change(&self, resource: &str) -> u64 {
        let inner = self.inner.read();
        inner.collections.get(resource).map_or(inner.floor, |c| c.last.max(inner.floor))
    }

    /// Names of all resources that hold objects.
    pub(crate) fn resources(&self) -> Vec<ResourceKey> {
        let inner = self.inner.read();
        inner.collections.iter().filter(|(_, c)| !c.objects.is_empty()).map(|(k, _)| k.clone()).collect()
    }

    /// Events of a resource after `version`, and the version up to which the answer is complete.
    pub(crate) fn events(&self, resource: &str, version: u64) -> Result<(Vec<Arc<Event>>, u64), Gone> {
        let inner = self.inner.read();
        let events = match inner.collections.get(resource) {
            Some(collection) => collection.history.since(version)?,
            None if version < inner.floor => return Err(Gone { oldest: inner.floor }),
            None => Vec::new(),
        };
        Ok((events, inner.version))
    }

    pub(crate) fn create(&self, resource: &str, value: Value) -> Result<Written, Refused> {
        let key = key_of(&value);
        let prepared = Prepared::new(value);
        let mut inner = self.inner.write();
        if inner.collections.get(resource).is_some_and(|c| c.objects.contains_key(&key)) {
            return Err(Refused::Exists);
        }
        let stored = Arc::new(prepared.finish(inner.version + 1));
        Ok(self.commit(&mut inner, resource, Change::Added, stored, None))
    }

    /// Replaces the object if it still is the version that `value` was computed from.
    pub(crate) fn update(&self, resource: &str, from: u64, value: Value) -> Result<Written, Refused> {
        let key = key_of(&value);
        let prepared = Prepared::new(value);
        let mut inner = self.inner.write();
        let previous = current(&inner, resource, &key, from)?;
        let stored = Arc::new(prepared.finish(inner.version + 1));
        Ok(self.commit(&mut inner, resource, Change::Modified, stored, Some(previous)))
    }

    /// Removes the object; the event carries a version of its own.
    pub(crate) fn delete(
        &self,
        resource: &str,
        from: u64,
        namespace: &str,
        name: &str,
    ) -> Result<Written, Refused> {
        let mut inner = self.inner.write();
        let previous = current(&inner, resource, &(namespace.into(), name.into()), from)?;
        let stored = Arc::new(previous.renumbered(inner.version + 1));
        Ok(self.commit(&mut inner, resource, Change::Deleted, stored, Some(previous)))
    }

    /// Forgets the past of every resource, so that watches from it get 410 Gone.
    pub(crate) fn forget(&self) {
        let mut inner = self.inner.write();
        let version = inner.version;
        inner.floor = version;
        for collection in inner.collections.values_mut() {
            collection.history.clear(version);
        }
    }

    fn commit(
        &self,
        inner: &mut Inner,
        resource: &str,
        change: Change,
        stored: Arc<Stored>,
        previous: Option<Arc<Stored>>,
    ) -> Written {
        inner.version = stored.version;
        let durable = self.log.as_ref().map_or_else(log::Ticket::done, |log| {
            let live = (change != Change::Deleted).then_some(&*stored);
            log.append(resource, &stored, live.is_some())
        });
        let (resource, collection) = entry(inner, resource);
        let key = (stored.namespace.clone(), stored.name.clone());
        if change == Change::Deleted {
            collection.objects.remove(&key);
        } else {
            collection.objects.insert(key, stored.clone());
        }
        let event = Arc::new(Event::new(change, stored.clone(), previous));
        collection.history.push(event.clone());
        collection.last = stored.version;
        collection.changed.send_replace(stored.version);
        self.changed.send_replace(stored.version);
        // Nobody listens before the controllers run; that is no failure.
        drop(self.any.send((resource, event)));
        if let Some(log) = &self.log
            && log.wants_compaction()
        {
            let live = inner
                .collections
                .iter()
                .flat_map(|(k, c)| c.objects.values().map(move |o| (k.clone(), o.clone())));
            log.compact(live.collect(), inner.version);
        }
        Written { stored, durable }
    }

    /// Writes what is buffered and closes the log.
    pub(crate) fn close(&self) {
        if let Some(log) = &self.log {
            log.close();
        }
    }
}

fn entry<'a>(inner: &'a mut Inner, resource: &str) -> (ResourceKey, &'a mut Collection) {
    let floor = inner.floor;
    let key: ResourceKey = match inner.collections.get_key_value(resource) {
        Some((key, _)) => key.clone(),
        None => resource.into(),
    };
    let collection = inner.collections.entry(key.clone()).or_insert_with(|| Collection::from(floor));
    (key, collection)
}

fn current(inner: &Inner, resource: &str, key: &ObjectKey, from: u64) -> Result<Arc<Stored>, Refused> {
    let found = inner.collections.get(resource).and_then(|c| c.objects.get(key)).ok_or(Refused::Missing)?;
    if found.version == from { Ok(found.clone()) } else { Err(Refused::Changed) }
}

fn key_of(value: &Value) -> ObjectKey {
    let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
    (text("namespace").into(), text("name").into())
}

fn select(objects: &BTreeMap<ObjectKey, Arc<Stored>>, namespace: Option<&str>) -> Vec<Arc<Stored>> {
    match namespace {
        None => objects.values().cloned().collect(),
        Some(namespace) => {
            let start: ObjectKey = (namespace.into(), "".into());
            objects
                .range(start..)
                .take_while(|((n, _), _)| **n == *namespace)
                .map(|(_, o)| o.clone())
                .collect()
        }
    }
}
