//! What is known of the objects of one API server: what was applied last, and what a watch saw last. Digests only.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ferrite_resource::ObjectId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::digest::Digest;

/// More objects than this are not remembered; those that do not fit are asked about every time.
const MAX_OBJECTS: usize = 500_000;

/// A group and a kind.
pub(crate) type Kind = (String, String);

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

#[derive(Debug, Default)]
struct State {
    records: HashMap<ObjectId, Record>,
    observed: HashMap<ObjectId, Digest>,
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

impl Ledger {
    /// Notes the live object after an apply of `desired` (or a dry run that changed nothing) by an identity.
    pub(crate) fn applied(&self, id: &ObjectId, identity: u64, desired: Option<Digest>, live: Digest) {
        let mut state = self.0.lock();
        if state.records.len() < MAX_OBJECTS || state.records.contains_key(id) {
            state.records.insert(id.clone(), Record { identity, desired, live, at: Instant::now() });
        }
    }

    /// Forgets what was applied, e.g. before the object is deleted.
    pub(crate) fn forget(&self, id: &ObjectId) {
        self.0.lock().records.remove(id);
    }

    /// The live state in which the object is as wanted, if that is known and not older than `audit_after`.
    pub(crate) fn settled(
        &self,
        id: &ObjectId,
        identity: u64,
        desired: Digest,
        audit_after: Duration,
    ) -> Option<Digest> {
        let state = self.0.lock();
        let record = state.records.get(id)?;
        let known = record.identity == identity && record.desired == Some(desired);
        (known && record.at.elapsed() < audit_after).then_some(record.live)
    }

    /// Whether a watch that is in step saw the object in this state last.
    pub(crate) fn observed(&self, id: &ObjectId, live: Digest) -> bool {
        let state = self.0.lock();
        let kind = (id.group.clone(), id.kind.clone());
        state.fresh.get(&kind).is_some_and(|until| Instant::now() < *until)
            && state.observed.get(id) == Some(&live)
    }

    /// Notes what a watch saw.
    pub(crate) fn saw(&self, id: &ObjectId, live: Digest) {
        let mut state = self.0.lock();
        if state.observed.len() < MAX_OBJECTS || state.observed.contains_key(id) {
            state.observed.insert(id.clone(), live);
        }
    }

    /// Notes that a watch saw the object go.
    pub(crate) fn saw_gone(&self, id: &ObjectId) {
        self.0.lock().observed.remove(id);
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

    /// The objects of a kind that the watch saw before and that are not in `listed`; they are gone, and forgotten.
    pub(crate) fn missing(&self, kind: &Kind, listed: &HashSet<ObjectId>) -> Vec<ObjectId> {
        let mut state = self.0.lock();
        let of_kind = |id: &ObjectId| id.group == kind.0 && id.kind == kind.1;
        let gone: Vec<ObjectId> =
            state.observed.keys().filter(|id| of_kind(id) && !listed.contains(*id)).cloned().collect();
        for id in &gone {
            state.observed.remove(id);
        }
        gone
    }

    /// Forgets what a watch of a kind saw.
    pub(crate) fn unwatched(&self, kind: &Kind) {
        let mut state = self.0.lock();
        state.fresh.remove(kind);
        state.observed.retain(|id, _| id.group != kind.0 || id.kind != kind.1);
    }

    /// What a watch saw of an object last, compared with what was applied.
    pub(crate) fn compare(&self, id: &ObjectId) -> Seen {
        let state = self.0.lock();
        match (state.records.get(id), state.observed.get(id)) {
            (None, _) => Seen::Unknown,
            (Some(_), None) => Seen::Deleted,
            (Some(record), Some(seen)) if record.live == *seen => Seen::Ours,
            (Some(_), Some(_)) => Seen::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId::new("", "ConfigMap", "a", name)
    }

    #[test]
    fn a_verdict_is_of_one_identity_and_one_desired_state_and_ages() {
        let ledger = Ledger::default();
        ledger.applied(&id("x"), 1, Some([1; 16]), [9; 16]);
        let hour = Duration::from_secs(3600);
        assert_eq!(ledger.settled(&id("x"), 1, [1; 16], hour), Some([9; 16]));
        assert_eq!(ledger.settled(&id("x"), 2, [1; 16], hour), None);
        assert_eq!(ledger.settled(&id("x"), 1, [2; 16], hour), None);
        assert_eq!(ledger.settled(&id("x"), 1, [1; 16], Duration::ZERO), None);
        ledger.applied(&id("x"), 1, None, [9; 16]);
        assert_eq!(ledger.settled(&id("x"), 1, [1; 16], hour), None);
    }

    #[test]
    fn what_a_watch_saw_is_compared_with_what_was_applied() {
        let ledger = Ledger::default();
        assert_eq!(ledger.compare(&id("x")), Seen::Unknown);
        ledger.applied(&id("x"), 1, None, [9; 16]);
        assert_eq!(ledger.compare(&id("x")), Seen::Deleted);
        ledger.saw(&id("x"), [9; 16]);
        assert_eq!(ledger.compare(&id("x")), Seen::Ours);
        ledger.saw(&id("x"), [8; 16]);
        assert_eq!(ledger.compare(&id("x")), Seen::Changed);
        ledger.forget(&id("x"));
        assert_eq!(ledger.compare(&id("x")), Seen::Unknown);
    }

    #[test]
    fn only_a_watch_in_step_is_believed() {
        let ledger = Ledger::default();
        let kind = (String::new(), "ConfigMap".to_owned());
        ledger.saw(&id("x"), [1; 16]);
        assert!(!ledger.observed(&id("x"), [1; 16]));
        ledger.fresh(&kind, Some(Duration::from_secs(60)));
        assert!(ledger.observed(&id("x"), [1; 16]));
        assert!(!ledger.observed(&id("x"), [2; 16]));
        ledger.fresh(&kind, None);
        assert!(!ledger.observed(&id("x"), [1; 16]));
    }

    #[test]
    fn a_new_list_says_what_is_missing() {
        let ledger = Ledger::default();
        let kind = (String::new(), "ConfigMap".to_owned());
        ledger.saw(&id("x"), [1; 16]);
        ledger.saw(&id("y"), [1; 16]);
        ledger.saw(&ObjectId::new("", "Secret", "a", "z"), [1; 16]);
        assert_eq!(ledger.missing(&kind, &HashSet::from([id("y")])), [id("x")]);
        assert!(ledger.missing(&kind, &HashSet::from([id("y")])).is_empty());
    }
}
