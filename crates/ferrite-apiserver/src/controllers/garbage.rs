//! Garbage collection by owner references: background, foreground, orphan.
//!
//! The index is kept from events: who exists, and who names whom as owner. Looking at an object costs its owners and
//! dependents, not the cluster.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::{change, delete};
use crate::handlers::remove::Propagation;
use crate::json::{items, text};
use crate::server::Server;
use crate::store::{Change, Event, ResourceKey, Store, Stored};

/// Where an object is.
type Place = (ResourceKey, Arc<str>, Arc<str>);

/// Owners, dependents, and what to look at next.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    exists: HashMap<Box<str>, Place>,
    dependents: HashMap<Box<str>, HashSet<Place>>,
    /// Dependents that may have lost their owners.
    suspects: HashSet<Place>,
    /// Owners that wait for their dependents.
    waiting: HashSet<Place>,
}

impl Garbage {
    /// Starts anew from the state.
    pub(super) fn reload(&mut self, store: &Store) {
        *self = Self::default();
        for key in store.resources() {
            for object in store.list(&key, None).objects {
                self.add(&key, &object);
            }
        }
    }

    fn add(&mut self, key: &ResourceKey, object: &Arc<Stored>) {
        let place: Place = (key.clone(), object.namespace.clone(), object.name.clone());
        self.exists.insert(object.uid.clone(), place.clone());
        for (owner, _) in &object.owners {
            self.dependents.entry(owner.clone()).or_default().insert(place.clone());
        }
        if !object.owners.is_empty() {
            self.suspects.insert(place.clone());
        }
        if object.deleting {
            self.waiting.insert(place);
        }
    }

    pub(super) fn note(&mut self, key: &ResourceKey, event: &Event) {
        let object = &event.object;
        let place: Place = (key.clone(), object.namespace.clone(), object.name.clone());
        if let Some(previous) = &event.previous {
            for (owner, _) in &previous.owners {
                if let Some(set) = self.dependents.get_mut(owner) {
                    set.remove(&place);
                    if set.is_empty() {
                        self.dependents.remove(owner);
                    }
                }
                if let Some(waiting) = self.exists.get(owner) {
                    self.waiting.insert(waiting.clone());
                }
            }
        }
        if event.change == Change::Deleted {
            self.exists.remove(&object.uid);
            if let Some(set) = self.dependents.remove(&object.uid) {
                self.suspects.extend(set.iter().cloned());
                self.dependents.insert(object.uid.clone(), set);
            }
        } else {
            self.add(key, object);
        }
    }

    /// Deletes, orphans and releases what the index says.
    pub(super) fn collect(&mut self, server: &Arc<Server>) {
        for place in std::mem::take(&mut self.waiting) {
            self.release(server, &place);
        }
        for place in std::mem::take(&mut self.suspects) {
            self.judge(server, &place);
        }
    }

    /// Deletes a dependent whose owners are all gone; drops the references to those that are.
    fn judge(&self, server: &Arc<Server>, place: &Place) {
        let (key, namespace, name) = place;
        let Some(stored) = server.store.get(key, namespace, name) else { return };
        if stored.owners.is_empty() {
            return;
        }
        // An owner in another namespace is none.
        let is_there = |uid: &str| {
            self.exists.get(uid).is_some_and(|(_, ns, _)| ns.is_empty() || **ns == *stored.namespace)
        };
        let present = stored.owners.iter().filter(|(uid, _)| is_there(uid)).count();
        if present == 0 {
            if !stored.deleting {
                let orphans = items(&stored.value()["metadata"]["finalizers"]).iter().any(|f| f == "orphan");
                delete(
                    server,
                    key,
                    namespace,
                    name,
                    Some(if orphans { Propagation::Orphan } else { Propagation::Background }),
                );
            }
        } else if present < stored.owners.len() {
            let gone: Vec<Box<str>> =
                stored.owners.iter().filter(|(uid, _)| !is_there(uid)).map(|(uid, _)| uid.clone()).collect();
            change(server, key, namespace, name, None, |object| disown(object, &gone));
        }
    }

    /// Lets an owner go that waits for its dependents, once they are gone or orphaned.
    fn release(&self, server: &Arc<Server>, place: &Place) {
        let (key, namespace, name) = place;
        let Some(stored) = server.store.get(key, namespace, name).filter(|s| s.deleting) else { return };
        let value = stored.value();
        let has = |finalizer: &str| items(&value["metadata"]["finalizers"]).iter().any(|f| f == finalizer);
        let dependents = || self.dependents.get(&stored.uid).into_iter().flatten();
        if has("orphan") {
            for (key, namespace, name) in dependents() {
                change(server, key, namespace, name, None, |object| {
                    disown(object, std::slice::from_ref(&stored.uid))
                });
            }
            return drop_finalizer(server, place, "orphan");
        }
        if !has("foregroundDeletion") {
            return;
        }
        let mut blocked = false;
        for (key, namespace, name) in dependents() {
            let Some(dependent) = server.store.get(key, namespace, name) else { continue };
            if !dependent.owners.iter().any(|(uid, blocks)| *uid == stored.uid && *blocks) {
                continue;
            }
            // One with another owner that stays is only disowned.
            let kept = dependent.owners.iter().any(|(uid, _)| {
                *uid != stored.uid && self.exists.contains_key(uid) && !self.is_going(server, uid)
            });
            if kept {
                change(server, key, namespace, name, None, |object| {
                    disown(object, std::slice::from_ref(&stored.uid))
                });
                continue;
            }
            blocked = true;
            if !dependent.deleting {
                let own = self.dependents.get(&dependent.uid).is_some_and(|d| !d.is_empty());
                delete(
                    server,
                    key,
                    namespace,
                    name,
                    Some(if own { Propagation::Foreground } else { Propagation::Background }),
                );
                blocked &= server.store.get(key, namespace, name).is_some();
            }
        }
        if !blocked {
            drop_finalizer(server, place, "foregroundDeletion");
        }
    }

    fn is_going(&self, server: &Arc<Server>, uid: &str) -> bool {
        let place = self.exists.get(uid);
        place
            .and_then(|(key, namespace, name)| server.store.get(key, namespace, name))
            .is_none_or(|o| o.deleting)
    }
}

fn disown(object: &mut Value, gone: &[Box<str>]) {
    let kept: Vec<Value> = items(&object["metadata"]["ownerReferences"])
        .iter()
        .filter(|o| !gone.iter().any(|uid| **uid == *text(o, "uid")))
        .cloned()
        .collect();
    object["metadata"]["ownerReferences"] = kept.into();
}

fn drop_finalizer(server: &Arc<Server>, place: &Place, finalizer: &str) {
    let (key, namespace, name) = place;
    change(server, key, namespace, name, None, |object| {
        let kept: Vec<Value> =
            items(&object["metadata"]["finalizers"]).iter().filter(|f| *f != finalizer).cloned().collect();
        object["metadata"]["finalizers"] = kept.into();
    });
}
