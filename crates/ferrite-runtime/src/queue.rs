//! A keyed work queue: one entry a key, one worker a key, delays by deadline, backoff by key.
//!
//! ```text
//! add ──▶ ready ──▶ pop (worker) ──▶ finish ──▶ idle, delayed, or ready again when something came meanwhile
//!            ▲                                      │
//!            └──────────── deadline passed ─────────┘
//! ```
//!
//! A key that is being worked on is never given to a second worker: what arrives meanwhile marks it dirty. What
//! *supersedes* also cancels the token of the running work, so that a wait can end early.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    fmt::Debug,
    hash::Hash,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// The delays of failing keys: `base`, doubled with each failure, never above `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub base: Duration,
    /// The longest delay.
    pub cap: Duration,
}

impl Default for Backoff {
    /// Flux's `--min-retry-delay` and `--max-retry-delay`.
    fn default() -> Self {
        Self { base: Duration::from_millis(750), cap: Duration::from_mins(15) }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row, counted from 1.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let factor = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// How a piece of work ended, for the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Come back after this time; failures are forgotten.
    After(Duration),
    /// Come back after the key's backoff.
    Backoff,
    /// Do not come back by time; failures are forgotten.
    Idle,
    /// Forget the key, unless something arrived meanwhile.
    Forget,
}

/// What [`Queue::pop`] hands out.
#[derive(Debug)]
pub struct Work<K> {
    /// The key.
    pub key: K,
    /// Cancelled when something newer arrives for the key.
    pub superseded: CancellationToken,
    /// How long it was ready before it was taken.
    pub waited: Duration,
}

/// The queue; see the module. Shared by reference or `Arc`.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    backoff: Backoff,
}

#[derive(Debug)]
struct State<K> {
    entries: HashMap<K, Entry>,
    ready: VecDeque<K>,
    /// Deadlines; an element whose deadline is not the entry's is stale and skipped.
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed_keys: HashMap<u64, K>,
    sequence: u64,
    stats: Stats,
}

/// Counters for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Keys that became ready, ever.
    pub adds: u64,
    /// Keys put back with backoff, ever.
    pub retries: u64,
    /// Keys ready now.
    pub depth: usize,
    /// Keys being worked on now.
    pub active: usize,
    /// How long the key that is worked on longest has been.
    pub longest: Duration,
    /// How long all keys that are worked on have been, together.
    pub unfinished: Duration,
}

#[derive(Debug, Default)]
struct Entry {
    ready_since: Option<Instant>,
    active: Option<(CancellationToken, Instant)>,
    dirty: bool,
    due: Option<(Instant, u64)>,
    failures: u32,
}

impl<K: Clone + Eq + Hash + Debug> Queue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        let state = State {
            entries: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BinaryHeap::new(),
            delayed_keys: HashMap::new(),
            sequence: 0,
            stats: Stats::default(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), backoff }
    }

    /// Makes `key` ready; once is enough however often it is called.
    pub fn add(&self, key: K) {
        self.state.lock().add(key, false, Instant::now());
        self.changed.notify_one();
    }

    /// [`Queue::add`], and ends the waits of work that runs for the key.
    pub fn supersede(&self, key: K) {
        self.state.lock().add(key, true, Instant::now());
        self.changed.notify_one();
    }

    /// Makes `key` ready after `delay`, or when it was due before, if that is sooner.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.state.lock().schedule(key, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// Ends the waits of work that runs for `key` without making it ready.
    pub fn cancel(&self, key: &K) {
        if let Some(token) = self.state.lock().entries.get(key).and_then(|entry| entry.active.as_ref()) {
            token.0.cancel();
        }
    }

    /// Returns once a key is ready, without taking it. Cancel-safe.
    pub async fn ready(&self) {
        loop {
            let next_deadline = {
                let mut state = self.state.lock();
                state.release_due(Instant::now());
                if !state.ready.is_empty() {
                    return;
                }
                state.delayed.peek().map(|Reverse((deadline, _))| *deadline)
            };
            match next_deadline {
                Some(deadline) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(deadline) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Takes the next ready key, if there is one.
    pub fn try_pop(&self) -> Option<Work<K>> {
        let mut state = self.state.lock();
        let work = state.take(Instant::now());
        if !state.ready.is_empty() {
            self.changed.notify_one();
        }
        work
    }

    /// The next ready key; waits for one. Cancel-safe.
    pub async fn pop(&self) -> Work<K> {
        loop {
            self.ready().await;
            if let Some(work) = self.try_pop() {
                return work;
            }
        }
    }

    /// Ends the work on `key`. What arrived meanwhile makes it ready at once, whatever `finish` says.
    pub fn finish(&self, key: &K, finish: Finish) {
        self.state.lock().finish(key, finish, self.backoff, Instant::now());
        self.changed.notify_one();
    }

    /// Failures in a row of `key`.
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.state.lock().entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// Counters for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state.lock().stats(Instant::now())
    }
}

impl<K: Clone + Eq + Hash + Debug> State<K> {
    fn stats(&self, now: Instant) -> Stats {
        let begun = self.entries.values().filter_map(|entry| entry.active.as_ref());
        let mut stats = Stats { depth: self.ready.len(), ..self.stats };
        for age in begun.map(|(_, since)| now.saturating_duration_since(*since)) {
            stats.longest = stats.longest.max(age);
            stats.unfinished = stats.unfinished.saturating_add(age);
        }
        stats
    }

    fn add(&mut self, key: K, supersede: bool, now: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some((token, _)) = &entry.active {
            entry.dirty = true;
            if supersede {
                token.cancel();
            }
        } else if entry.ready_since.is_none() {
            entry.ready_since = Some(now);
            self.stats.adds += 1;
            self.ready.push_back(key);
        }
    }

    fn schedule(&mut self, key: K, deadline: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.due.is_some_and(|(due, _)| due <= deadline) {
            return;
        }
        if let Some((_, stale)) = entry.due.take() {
            self.delayed_keys.remove(&stale);
        }
        self.sequence += 1;
        entry.due = Some((deadline, self.sequence));
        self.delayed_keys.insert(self.sequence, key);
        self.delayed.push(Reverse((deadline, self.sequence)));
        // Stale deadlines of keys that are triggered often must not pile up.
        if self.delayed.len() > 64 && self.delayed.len() > 2 * self.delayed_keys.len() {
            let live = &self.delayed_keys;
            self.delayed.retain(|Reverse((_, sequence))| live.contains_key(sequence));
        }
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(Reverse((deadline, sequence))) = self.delayed.peek().copied() {
            if let Some(key) = self.delayed_keys.get(&sequence) {
                if deadline > now {
                    return;
                }
                let key = key.clone();
                self.unschedule(&key);
                self.add(key, false, now);
            }
            self.delayed.pop();
        }
    }

    fn unschedule(&mut self, key: &K) {
        if let Some((_, sequence)) = self.entries.get_mut(key).and_then(|entry| entry.due.take()) {
            self.delayed_keys.remove(&sequence);
        }
    }

    fn take(&mut self, now: Instant) -> Option<Work<K>> {
        let key = self.ready.pop_front()?;
        // Working on a key answers whatever it was due for.
        self.unschedule(&key);
        let entry = self.entries.entry(key.clone()).or_default();
        let superseded = CancellationToken::new();
        entry.active = Some((superseded.clone(), now));
        let waited =
            entry.ready_since.take().map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        self.stats.active += 1;
        Some(Work { key, superseded, waited })
    }

    fn finish(&mut self, key: &K, finish: Finish, backoff: Backoff, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.active.take().is_some() {
            self.stats.active -= 1;
        }
        let dirty = std::mem::take(&mut entry.dirty);
        let delay = match finish {
            Finish::After(delay) => {
                entry.failures = 0;
                Some(delay)
            }
            Finish::Backoff => {
                entry.failures = entry.failures.saturating_add(1);
                self.stats.retries += 1;
                Some(backoff.delay(entry.failures))
            }
            Finish::Idle | Finish::Forget => {
                entry.failures = 0;
                None
            }
        };
        if dirty {
            self.add(key.clone(), false, now);
        } else if let Some(delay) = delay {
            self.schedule(key.clone(), now + delay);
        } else if finish == Finish::Forget && entry.due.is_none() {
            self.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
