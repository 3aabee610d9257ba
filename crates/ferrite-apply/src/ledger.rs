//! What is known of the objects of one API server: what was applied last, what a watch saw last, and which of them were
//! found healthy. Digests only.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use ferrite_resource::{ObjectId, health::stays_current};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::digest::{Digest, of_live};

/// More objects than this are not remembered; those that do not fit are asked about every time.
const MAX_OBJECTS: usize = 500_000;
/// A verdict about the health of an object that no watch confirms is believed for this long, and only of a kind whose
/// health no controller decides: as long as a reconcile takes from writing an object to asking about it.
const BELIEVED: Duration = Duration::from_secs(5);

/// A group and a kind.
pub(crate) type Kind = (String, String);

/// What was applied last.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// Who applied it: a verdict of one identity is not another's.
    identity: u64,
    /// What was applied; `None` after a write that was not an apply.
    desired: Option<Digest>,
    /// The live object afterwards.
    live: Digest,
    /// When the API server last confirmed it.
    at: Instant,
}

/// What a watch saw last.
#[derive(Debug, Clone, Copy)]
struct Sight {
    live: Digest,
    version: u64,
}

/// When an object was found Current, by whom, and in which version.
#[derive(Debug, Clone, Copy)]
struct Healthy {
    identity: u64,
    version: u64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Known {
    record: Option<Record>,
    sight: Option<Sight>,
    healthy: Option<Healthy>,
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<ObjectId, Known>,
    /// Kinds whose watch is in step, and until when that can be trusted.
    fresh: HashMap<Kind, Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<State>);

/// What a watch saw, compared with what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// We did not apply it.
    Unknown,
    /// It is as we left it.
    Ours,
    /// Somebody changed it.
    Changed,
    /// Somebody deleted it.
    Deleted,
}

impl State {
    fn note(&mut self, id: &ObjectId, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.objects.get_mut(id) {
            change(known);
        } else if self.objects.len() < MAX_OBJECTS {
            change(self.objects.entry(id.clone()).or_default());
        }
    }

    fn is_fresh(&self, id: &ObjectId) -> bool {
        let kind = (id.group.clone(), id.kind.clone());
        self.fresh.get(&kind).is_some_and(|until| Instant::now() < *until)
    }

    /// Forgets an object of which nothing is known any more.
    fn tidy(&mut self, id: &ObjectId) {
        let empty =
            |known: &Known| known.record.is_none() && known.sight.is_none() && known.healthy.is_none();
        if self.objects.get(id).is_some_and(empty) {
            self.objects.remove(id);
        }
    }
}

impl Ledger {
    /// Notes the live object after an apply of `desired` (or a dry run that changed nothing) by an identity, and whether
    /// it is Current. An object that is being deleted is not noted: it is about to be something else.
    pub(crate) fn applied(
        &self,
        id: &ObjectId,
        identity: u64,
        desired: Option<Digest>,
        live: &Value,
        current: bool,
    ) {
        if live.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
            return self.forget(id);
        }
        let record = Record { identity, desired, live: of_live(live), at: Instant::now() };
        let healthy = current.then(|| Healthy { identity, version: version_of(live), at: Instant::now() });
        self.0.lock().note(id, |known| {
            known.record = Some(record);
            known.healthy = healthy;
        });
    }

    /// Notes whether an identity found the live object Current.
    pub(crate) fn judged(&self, id: &ObjectId, identity: u64, live: &Value, current: bool) {
        let healthy = current.then(|| Healthy { identity, version: version_of(live), at: Instant::now() });
        let mut state = self.0.lock();
        // Only of what was applied: others are rarely asked about twice.
        if let Some(known) = state.objects.get_mut(id).filter(|known| known.record.is_some()) {
            known.healthy = healthy;
        }
    }

    /// Whether the identity found the object Current, and nothing happened to it since.
    pub(crate) fn is_current(&self, id: &ObjectId, identity: u64) -> bool {
        let state = self.0.lock();
        let Some(known) = state.objects.get(id) else { return false };
        let Some(healthy) = known.healthy.filter(|healthy| healthy.identity == identity) else {
            return false;
        };
        match known.sight {
            Some(sight) if state.is_fresh(id) => sight.version == healthy.version,
            _ => healthy.at.elapsed() < BELIEVED && stays_current(id),
        }
    }

    /// Forgets what was applied, e.g. before the object is deleted.
    pub(crate) fn forget(&self, id: &ObjectId) {
        let mut state = self.0.lock();
        if let Some(known) = state.objects.get_mut(id) {
            known.record = None;
            known.healthy = None;
        }
        state.tidy(id);
    }

    /// The live state in which the object is as wanted, if that is known, and how long ago the API server said so.
    pub(crate) fn settled(
        &self,
        id: &ObjectId,
        identity: u64,
        desired: Digest,
    ) -> Option<(Digest, Duration)> {
        let state = self.0.lock();
        let record = state.objects.get(id)?.record?;
        let known = record.identity == identity && record.desired == Some(desired);
        known.then(|| (record.live, record.at.elapsed()))
    }

    /// Whether a watch that is in step saw the object in this state last.
    pub(crate) fn observed(&self, id: &ObjectId, live: Digest) -> bool {
        let state = self.0.lock();
        let sight = state.objects.get(id).and_then(|known| known.sight);
        sight.is_some_and(|sight| sight.live == live) && state.is_fresh(id)
    }

    /// Notes what a watch saw: the object, or its metadata.
    pub(crate) fn saw(&self, id: &ObjectId, object: &Value) {
        let sight = Sight { live: of_live(object), version: version_of(object) };
        self.0.lock().note(id, |known| known.sight = Some(sight));
    }

    /// Notes that a watch saw the object go.
    pub(crate) fn saw_gone(&self, id: &ObjectId) {
        let mut state = self.0.lock();
        if let Some(known) = state.objects.get_mut(id) {
            known.sight = None;
            known.healthy = None;
        }
        state.tidy(id);
    }

    /// Notes that a watch of a kind is in step for some time, or that it is not any more.
    pub(crate) fn fresh(&self, kind: &Kind, trusted: Option<Duration>) {
        let mut state = self.0.lock();
        match trusted {
            Some(trusted) => {
                state.fresh.insert(kind.clone(), Instant::now() + trusted);
            }
            None => {
                state.fresh.remove(kind);
            }
        }
    }

    /// The objects of a kind that the watch saw before and that are not in `listed`: they are gone.
    pub(crate) fn missing(&self, kind: &Kind, listed: &HashSet<ObjectId>) -> Vec<ObjectId> {
        let state = self.0.lock();
        let seen = state.objects.iter().filter(|(id, known)| of_kind(id, kind) && known.sight.is_some());
        let gone: Vec<ObjectId> =
            seen.map(|(id, _)| id).filter(|id| !listed.contains(*id)).cloned().collect();
        drop(state);
        for id in &gone {
            self.saw_gone(id);
        }
        gone
    }

    /// Forgets what a watch of a kind saw.
    pub(crate) fn unwatched(&self, kind: &Kind) {
        let mut state = self.0.lock();
        state.fresh.remove(kind);
        state.objects.retain(|id, known| {
            if of_kind(id, kind) {
                known.sight = None;
            }
            known.record.is_some() || known.sight.is_some()
        });
    }

    /// What a watch saw of an object last, compared with what was applied.
    pub(crate) fn compare(&self, id: &ObjectId) -> Seen {
        let state = self.0.lock();
        let known = state.objects.get(id);
        match known.and_then(|known| known.record).map(|record| (record, known.and_then(|known| known.sight)))
        {
            None => Seen::Unknown,
            Some((_, None)) => Seen::Deleted,
            Some((record, Some(sight))) if record.live == sight.live => Seen::Ours,
            Some((_, Some(_))) => Seen::Changed,
        }
    }
}

fn of_kind(id: &ObjectId, kind: &Kind) -> bool {
    id.kind == kind.1 && id.group == kind.0
}

fn version_of(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: Duration = Duration::from_secs(3600);

    fn id(name: &str) -> ObjectId {
        ObjectId::new("", "ConfigMap", "a", name)
    }

    fn kind() -> Kind {
        (String::new(), "ConfigMap".to_owned())
    }

    fn live(version: &str) -> Value {
        json!({"metadata": {"uid": "u", "resourceVersion": version}})
    }

    #[test]
    fn a_verdict_is_of_one_identity_and_one_desired_state() {
        let ledger = Ledger::default();
        ledger.applied(&id("x"), 1, Some([1; 16]), &live("1"), false);
        let settled = |identity, desired| ledger.settled(&id("x"), identity, desired).map(|(live, _)| live);
        assert_eq!(settled(1, [1; 16]), Some(of_live(&live("1"))));
        assert_eq!(settled(2, [1; 16]), None);
        assert_eq!(settled(1, [2; 16]), None);
        ledger.applied(&id("x"), 1, None, &live("1"), false);
        assert_eq!(settled(1, [1; 16]), None);
        ledger.applied(&id("x"), 1, Some([1; 16]), &json!({"metadata": {"deletionTimestamp": "x"}}), true);
        assert_eq!(settled(1, [1; 16]), None, "an object that is going");
    }

    #[test]
    fn what_a_watch_saw_is_compared_with_what_was_applied() {
        let ledger = Ledger::default();
        assert_eq!(ledger.compare(&id("x")), Seen::Unknown);
        ledger.applied(&id("x"), 1, None, &live("1"), false);
        assert_eq!(ledger.compare(&id("x")), Seen::Deleted);
        ledger.saw(&id("x"), &live("1"));
        assert_eq!(ledger.compare(&id("x")), Seen::Ours);
        ledger.saw(&id("x"), &live("2"));
        assert_eq!(ledger.compare(&id("x")), Seen::Changed);
        ledger.forget(&id("x"));
        assert_eq!(ledger.compare(&id("x")), Seen::Unknown);
    }

    #[test]
    fn only_a_watch_in_step_is_believed() {
        let ledger = Ledger::default();
        let seen = |version| ledger.observed(&id("x"), of_live(&live(version)));
        ledger.saw(&id("x"), &live("1"));
        assert!(!seen("1"));
        ledger.fresh(&kind(), Some(HOUR));
        assert!(seen("1"));
        assert!(!seen("2"));
        ledger.fresh(&kind(), None);
        assert!(!seen("1"));
    }

    #[test]
    fn health_is_believed_as_long_as_a_watch_sees_the_same_version() {
        let ledger = Ledger::default();
        let current = |identity| ledger.is_current(&id("x"), identity);
        ledger.judged(&id("x"), 1, &live("1"), true);
        assert!(!current(1), "it was not applied");
        ledger.applied(&id("x"), 1, None, &live("1"), true);
        assert!(current(1), "without a watch, for a moment");
        assert!(!current(2), "by another identity");
        ledger.saw(&id("x"), &live("2"));
        ledger.fresh(&kind(), Some(HOUR));
        assert!(!current(1), "it changed");
        ledger.judged(&id("x"), 1, &live("2"), true);
        assert!(current(1));
        ledger.judged(&id("x"), 1, &live("2"), false);
        assert!(!current(1));
        ledger.judged(&id("x"), 1, &live("2"), true);
        ledger.saw_gone(&id("x"));
        assert!(!current(1), "it is gone");
    }

    #[test]
    fn a_new_list_says_what_is_missing() {
        let ledger = Ledger::default();
        ledger.saw(&id("x"), &live("1"));
        ledger.saw(&id("y"), &live("1"));
        ledger.saw(&ObjectId::new("", "Secret", "a", "z"), &live("1"));
        assert_eq!(ledger.missing(&kind(), &HashSet::from([id("y")])), [id("x")]);
        assert!(ledger.missing(&kind(), &HashSet::from([id("y")])).is_empty());
        ledger.unwatched(&kind());
        assert!(ledger.missing(&kind(), &HashSet::new()).is_empty());
    }
}
