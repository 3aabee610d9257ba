//! Conditions as Flux writes them: order, transition times, limits, and the rules that tie them together.
//!
//! Sources: fluxcd/pkg `runtime/conditions` (setter, getter, merge) and `runtime/reconcile` as observed.

use std::cmp::Reverse;

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value, json};

/// Condition type `Ready`.
pub const READY: &str = "Ready";
/// Condition type `Reconciling`; exists only while True.
pub const RECONCILING: &str = "Reconciling";
/// Condition type `Stalled`; exists only while True.
pub const STALLED: &str = "Stalled";
/// The reason of a reconcile under way.
pub const PROGRESSING: &str = "Progressing";
/// The reason of a reconcile that failed and will be tried again.
pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";

/// Bytes of a message; the CRDs refuse longer ones.
const MESSAGE_LIMIT_BYTES: usize = 32_768;

/// A condition's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl Truth {
    /// The wire string.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The conditions of one object while a report is computed.
///
/// `lastTransitionTime` moves when status, reason or message differ from what the object had *before*, so setting,
/// deleting and setting again within one report keeps the time.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    before: Vec<Condition>,
    list: Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

impl Conditions {
    /// Starts from the conditions an object has; `generation` is its `metadata.generation`.
    #[must_use]
    pub fn new(before: Vec<Condition>, generation: i64, now: Timestamp) -> Self {
        let now = now.round(Unit::Second).map_or(now, |rounded| {
            if rounded > now { rounded - jiff::SignedDuration::from_secs(1) } else { rounded }
        });
        Self { list: before.clone(), before, generation, now }
    }

    /// The condition of this type.
    #[must_use]
    pub fn get(&self, kind: impl AsRef<str>) -> Option<&Condition> {
        find(&self.list, kind.as_ref())
    }

    /// The condition of this type as the object had it before this report.
    #[must_use]
    pub fn before(&self, kind: impl AsRef<str>) -> Option<&Condition> {
        find(&self.before, kind.as_ref())
    }

    /// Whether the condition exists with this status.
    #[must_use]
    pub fn is(&self, kind: impl AsRef<str>, truth: Truth) -> bool {
        self.get(kind).is_some_and(|condition| condition.status == truth.as_str())
    }

    /// Sets a condition, observed at this generation. A message over 32768 bytes is cut and ends in `...`.
    pub fn set(
        &mut self,
        kind: impl AsRef<str>,
        truth: Truth,
        reason: impl AsRef<str>,
        message: impl Into<String>,
    ) {
        let kind = kind.as_ref();
        let mut condition = Condition {
            type_: kind.to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.as_ref().to_owned(),
            message: bounded(message.into()),
            observed_generation: Some(self.generation),
            last_transition_time: Time(self.now),
        };
        if let Some(before) = self.before(kind).filter(|before| same_state(before, &condition)) {
            condition.last_transition_time = before.last_transition_time.clone();
        }
        match self.list.iter_mut().find(|have| have.type_ == kind) {
            Some(have) => *have = condition,
            None => self.list.push(condition),
        }
    }

    /// [`Conditions::set`] with `True`.
    pub fn set_true(&mut self, kind: impl AsRef<str>, reason: impl AsRef<str>, message: impl Into<String>) {
        self.set(kind, Truth::True, reason, message);
    }

    /// [`Conditions::set`] with `False`.
    pub fn set_false(&mut self, kind: impl AsRef<str>, reason: impl AsRef<str>, message: impl Into<String>) {
        self.set(kind, Truth::False, reason, message);
    }

    /// [`Conditions::set`] with `Unknown`.
    pub fn set_unknown(
        &mut self,
        kind: impl AsRef<str>,
        reason: impl AsRef<str>,
        message: impl Into<String>,
    ) {
        self.set(kind, Truth::Unknown, reason, message);
    }

    /// Removes a condition.
    pub fn delete(&mut self, kind: impl AsRef<str>) {
        self.list.retain(|condition| condition.type_ != kind.as_ref());
    }

    /// `Reconciling=True`; removes `Stalled`, the two exclude each other.
    pub fn mark_reconciling(&mut self, reason: impl AsRef<str>, message: impl Into<String>) {
        self.delete(STALLED);
        self.set_true(RECONCILING, reason, message);
    }

    /// `Stalled=True`; removes `Reconciling`.
    pub fn mark_stalled(&mut self, reason: impl AsRef<str>, message: impl Into<String>) {
        self.delete(RECONCILING);
        self.set_true(STALLED, reason, message);
    }

    /// Progressive status: `Reconciling=True/Progressing`, and `Ready=Unknown` with the same message when `drift` was
    /// found or Ready is absent or already Unknown; a steady state never flaps Ready. Decided here and nowhere else.
    pub fn mark_progress(&mut self, message: impl Into<String>, drift: bool) {
        let message = message.into();
        self.mark_reconciling(PROGRESSING, message.clone());
        if drift || self.get(READY).is_none() || self.is(READY, Truth::Unknown) {
            self.set_unknown(READY, PROGRESSING, message);
        }
    }

    /// A failure that will be tried again: `Reconciling`, where present, gets the reason `ProgressingWithRetry` and
    /// keeps its message, which says how far the reconcile came. A reconcile that said nothing leaves none.
    pub fn mark_retrying(&mut self) {
        if let Some(message) = self.get(RECONCILING).map(|present| present.message.clone()) {
            self.mark_reconciling(PROGRESSING_WITH_RETRY, message);
        }
    }

    /// Computes `target` from the conditions in `order`: the first non-empty group of bad True, good False, good True,
    /// bad False, Unknown decides, by its first member in `order`. `negative` names the types whose True is bad.
    pub fn summarize(&mut self, target: &str, order: &[&str], negative: &[&str]) {
        let group = |condition: &Condition| {
            let bad = negative.contains(&condition.type_.as_str());
            match (condition.status.as_str(), bad) {
                ("True", true) => 0,
                ("False", false) => 1,
                ("True", false) => 2,
                ("False", true) => 3,
                _ => 4,
            }
        };
        // `min_by_key` keeps the first of equals, which is the order asked for.
        let Some(first) =
            order.iter().filter_map(|kind| self.get(kind)).min_by_key(|found| group(found)).cloned()
        else {
            return;
        };
        let truth = match group(&first) {
            0 | 1 => Truth::False,
            2 | 3 => Truth::True,
            _ => Truth::Unknown,
        };
        self.set(target, truth, first.reason, first.message);
    }

    /// The list as it is written: `Stalled`, `Reconciling`, `Ready`, then the others by observed generation
    /// descending, then by type.
    #[must_use]
    pub fn into_vec(self) -> Vec<Condition> {
        let mut list = self.list;
        sort(&mut list);
        list
    }

    /// The conditions as they are now, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.list.iter()
    }

    /// The generation conditions are observed at.
    #[must_use]
    pub const fn generation(&self) -> i64 {
        self.generation
    }
}

/// Merges after a write conflict: `ours` wins for every type it has or had (`base`), others stay as `theirs` has them.
#[must_use]
pub(crate) fn merge(base: &[Condition], ours: &[Condition], theirs: Vec<Condition>) -> Vec<Condition> {
    let mut merged: Vec<Condition> = theirs
        .into_iter()
        .filter(|condition| find(base, &condition.type_).is_none() && find(ours, &condition.type_).is_none())
        .collect();
    merged.extend(ours.iter().cloned());
    sort(&mut merged);
    merged
}

/// Conditions of `wanted` that are as `have` has them keep their transition time, whatever the report started from.
pub(crate) fn keep_times(have: &Map<String, Value>, wanted: &mut Map<String, Value>) {
    let list = |status: &Map<String, Value>| -> Vec<Condition> {
        let list = status.get("conditions").cloned().unwrap_or_default();
        serde_json::from_value(list).unwrap_or_default()
    };
    let (before, mut after) = (list(have), list(wanted));
    for condition in &mut after {
        if let Some(before) = find(&before, &condition.type_).filter(|before| same_state(before, condition)) {
            condition.last_transition_time = before.last_transition_time.clone();
        }
    }
    if wanted.contains_key("conditions") {
        wanted.insert("conditions".to_owned(), json!(after));
    }
}

fn sort(list: &mut [Condition]) {
    list.sort_by(|left, right| sort_key(left).cmp(&sort_key(right)));
}

fn sort_key(condition: &Condition) -> (usize, Reverse<i64>, &str) {
    let rank = [STALLED, RECONCILING, READY].iter().position(|kind| *kind == condition.type_).unwrap_or(3);
    let generation = if rank < 3 { 0 } else { condition.observed_generation.unwrap_or_default() };
    (rank, Reverse(generation), condition.type_.as_str())
}

fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|condition| condition.type_ == kind)
}

fn same_state(left: &Condition, right: &Condition) -> bool {
    left.status == right.status && left.reason == right.reason && left.message == right.message
}

fn bounded(mut message: String) -> String {
    const CUT: &str = "...";
    if message.len() > MESSAGE_LIMIT_BYTES {
        let mut end = MESSAGE_LIMIT_BYTES - CUT.len();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str(CUT);
    }
    message
}

#[cfg(test)]
mod tests;
