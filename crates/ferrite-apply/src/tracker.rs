//! Watching applied objects for changes that somebody else makes.
//!
//! ```text
//! inventories ─▶ kinds ─▶ one watch of metadata per kind (label of the owner's name) ─▶ Ledger: what was seen
//!                                                                                        │ differs from what we left
//!                                             sink(Drift) ◀── after a pause ◀── pending ◀┘
//! ```

mod kind;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry as Slot},
    sync::{Arc, Weak},
    time::Duration,
};

use ferrite_resource::{Entry, ObjectId, Owner};
use kube::Client;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::{
    ledger::{Kind, Ledger, Seen},
    mapper::Mapper,
};

/// An object that is not as its owner left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Whose it is.
    pub owner: Owner,
    /// The object.
    pub entry: Entry,
    /// It is gone, not only changed.
    pub deleted: bool,
}

/// Is told of drift. Called from a task of the tracker: it should only pass the news on.
pub type DriftSink = Arc<dyn Fn(Drift) + Send + Sync>;

/// How drift is watched for.
#[derive(Debug, Clone)]
pub struct TrackerOptions {
    /// A change is told after this time, unless it turns out to be our own or is undone.
    pub debounce: Duration,
    /// An object that keeps changing is told of again after at most this time; the time doubles from `debounce` up with
    /// each change, and starts anew when the object was left alone for twice as long.
    pub longest_quiet: Duration,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self { debounce: Duration::from_millis(300), longest_quiet: Duration::from_secs(300) }
    }
}

/// Watches the objects of the inventories it was given; cheap to clone. Ends when the last clone is dropped.
///
/// A kind is watched, as metadata and across namespaces, as long as an inventory holds an object of it. A watch that
/// starts again compares what it lists with what it saw before, and tells only differences.
#[derive(Clone)]
pub struct Tracker(Arc<Inner>);

struct Inner {
    client: Client,
    mapper: Arc<Mapper>,
    ledger: Arc<Ledger>,
    options: TrackerOptions,
    state: Mutex<State>,
    wake: Notify,
    alarm: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct State {
    owners: HashMap<Owner, Vec<ObjectId>>,
    holders: HashMap<ObjectId, (Owner, String)>,
    kinds: HashMap<Kind, KindWatch>,
    pending: HashMap<ObjectId, Instant>,
    quiet: HashMap<ObjectId, Quiet>,
    /// When the next look at what is pending is planned.
    alarm: Option<Instant>,
}

struct KindWatch {
    objects: usize,
    task: AbortHandle,
}

#[derive(Clone, Copy)]
struct Quiet {
    until: Instant,
    length: Duration,
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.0.state.lock();
        formatter
            .debug_struct("Tracker")
            .field("owners", &state.owners.len())
            .field("objects", &state.holders.len())
            .field("kinds", &state.kinds.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for kind in self.state.get_mut().kinds.values() {
            kind.task.abort();
        }
        if let Some(alarm) = self.alarm.get_mut().take() {
            alarm.abort();
        }
    }
}

impl Tracker {
    /// A tracker without inventories. Must be called within a tokio runtime.
    pub(crate) fn start(
        client: Client,
        mapper: Arc<Mapper>,
        ledger: Arc<Ledger>,
        options: TrackerOptions,
        sink: DriftSink,
    ) -> Self {
        let inner = Arc::new(Inner {
            client,
            mapper,
            ledger,
            options,
            state: Mutex::default(),
            wake: Notify::new(),
            alarm: Mutex::new(None),
        });
        let alarm = tokio::spawn(ring(Arc::downgrade(&inner), sink));
        *inner.alarm.lock() = Some(alarm.abort_handle());
        Self(inner)
    }

    /// Watches the objects of an owner, instead of those it had before. An object that two inventories hold is the one's
    /// that came last.
    pub fn track(&self, owner: &Owner, inventory: &[Entry]) {
        let mut state = self.0.state.lock();
        let before: HashSet<ObjectId> = state.owners.remove(owner).unwrap_or_default().into_iter().collect();
        let mut now = Vec::with_capacity(inventory.len());
        for entry in inventory {
            now.push(entry.id.clone());
            let holder = (owner.clone(), entry.version.clone());
            if state.holders.insert(entry.id.clone(), holder).is_some() {
                continue;
            }
            let kind = (entry.id.group.clone(), entry.id.kind.clone());
            let start = |kind: &Kind| kind::watch(&self.0, kind.clone(), entry.version.clone());
            match state.kinds.entry(kind) {
                Slot::Occupied(mut watch) => watch.get_mut().objects += 1,
                Slot::Vacant(slot) => {
                    let task = start(slot.key());
                    slot.insert(KindWatch { objects: 1, task });
                }
            }
        }
        let kept: HashSet<&ObjectId> = now.iter().collect();
        for id in before.iter().filter(|id| !kept.contains(id)) {
            self.0.release(&mut state, owner, id);
        }
        if !now.is_empty() {
            state.owners.insert(owner.clone(), now);
        }
    }

    /// Stops watching the objects of an owner.
    pub fn forget(&self, owner: &Owner) {
        self.track(owner, &[]);
    }

    /// The groups and kinds that are watched, for tests and metrics.
    #[must_use]
    pub fn kinds(&self) -> Vec<(String, String)> {
        let mut kinds: Vec<Kind> = self.0.state.lock().kinds.keys().cloned().collect();
        kinds.sort();
        kinds
    }
}

impl Inner {
    /// An owner does not hold an object any more; a kind without objects is not watched.
    fn release(&self, state: &mut State, owner: &Owner, id: &ObjectId) {
        if state.holders.get(id).is_none_or(|(holder, _)| holder != owner) {
            return;
        }
        state.holders.remove(id);
        state.pending.remove(id);
        state.quiet.remove(id);
        let kind = (id.group.clone(), id.kind.clone());
        let last = state.kinds.get_mut(&kind).is_some_and(|watch| {
            watch.objects = watch.objects.saturating_sub(1);
            watch.objects == 0
        });
        if last && let Some(watch) = state.kinds.remove(&kind) {
            watch.task.abort();
            self.ledger.unwatched(&kind);
        }
    }

    /// Something was seen of an object: unless it is as we left it, it is looked at again after a pause.
    fn noticed(&self, id: &ObjectId) {
        let mut state = self.state.lock();
        if !state.holders.contains_key(id) {
            return;
        }
        match self.ledger.compare(id) {
            Seen::Unknown | Seen::Ours => {
                state.pending.remove(id);
            }
            Seen::Changed | Seen::Deleted => {
                let soon = Instant::now() + self.options.debounce;
                let due = state.quiet.get(id).map_or(soon, |quiet| quiet.until.max(soon));
                let due = *state.pending.entry(id.clone()).or_insert(due);
                if state.alarm.is_none_or(|alarm| due < alarm) {
                    state.alarm = Some(due);
                    self.wake.notify_one();
                }
            }
        }
    }

    /// The tracked objects of a kind.
    fn tracked(&self, kind: &Kind) -> Vec<ObjectId> {
        let state = self.state.lock();
        state.holders.keys().filter(|id| id.group == kind.0 && id.kind == kind.1).cloned().collect()
    }

    /// What is due, and when the next is.
    fn due(&self) -> (Vec<Drift>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let due: Vec<ObjectId> =
            state.pending.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()).collect();
        let mut news = Vec::new();
        for id in due {
            state.pending.remove(&id);
            let seen = self.ledger.compare(&id);
            let Some((owner, version)) = state.holders.get(&id).cloned() else { continue };
            if !matches!(seen, Seen::Changed | Seen::Deleted) {
                continue;
            }
            let length = match state.quiet.get(&id) {
                Some(quiet) if now < quiet.until + quiet.length * 2 => quiet.length * 2,
                _ => self.options.debounce,
            };
            let length = length.min(self.options.longest_quiet);
            state.quiet.insert(id.clone(), Quiet { until: now + length, length });
            news.push(Drift { owner, entry: Entry { id, version }, deleted: seen == Seen::Deleted });
        }
        state.quiet.retain(|_, quiet| now < quiet.until + quiet.length * 2);
        state.alarm = state.pending.values().min().copied();
        (news, state.alarm)
    }
}

/// Tells what is due, when it is due.
async fn ring(inner: Weak<Inner>, sink: DriftSink) {
    loop {
        let Some(strong) = inner.upgrade() else { return };
        let (news, next) = strong.due();
        for drift in news {
            sink(drift);
        }
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = strong.wake.notified() => {}
        }
    }
}
