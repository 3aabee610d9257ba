//! One question to a remote answers everybody who asks it at about the same time.
//!
//! However many objects share a remote and its credentials, there is one poll per interval: an answer is used again
//! while it is young enough for who asks, and who asks while a question is on its way waits for the next answer,
//! which all who wait share.

use std::{collections::HashMap, future::Future, hash::Hash, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Questions remembered after they were asked last.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// The last answers to questions `K`; a failure is kept only for those who wait for it.
#[derive(Debug)]
pub(crate) struct Polls<K, V, E> {
    slots: Mutex<HashMap<K, Arc<Slot<V, E>>>>,
}

#[derive(Debug)]
struct Slot<V, E> {
    last: tokio::sync::Mutex<Option<Answer<V, E>>>,
    used: Mutex<Instant>,
}

/// An answer, and when its question was asked.
#[derive(Debug)]
pub(crate) struct Answer<V, E> {
    pub(crate) result: Result<Arc<V>, Arc<E>>,
    pub(crate) asked: Instant,
}

impl<V, E> Clone for Answer<V, E> {
    fn clone(&self) -> Self {
        Self { result: self.result.clone(), asked: self.asked }
    }
}

impl<K: Clone + Eq + Hash, V, E> Polls<K, V, E> {
    pub(crate) fn new() -> Self {
        Self { slots: Mutex::default() }
    }

    /// The answer to `key`: one whose question was asked no longer than `max_age` before this call and that `serves`
    /// the caller, or a new one. With an age of zero only a question asked after this call will do.
    pub(crate) async fn get<F: Future<Output = Result<V, E>>>(
        &self,
        key: &K,
        max_age: Duration,
        serves: impl Fn(&V) -> bool,
        ask: impl FnOnce() -> F,
    ) -> Answer<V, E> {
        let arrived = Instant::now();
        let slot = self.slot(key, arrived);
        let mut last = slot.last.lock().await;
        if let Some(answer) = &*last {
            let usable = match &answer.result {
                Ok(value) => answer.asked + max_age >= arrived && serves(value),
                Err(_) => answer.asked >= arrived,
            };
            if usable {
                return answer.clone();
            }
        }
        let asked = Instant::now();
        let result = ask().await.map(Arc::new).map_err(Arc::new);
        last.insert(Answer { result, asked }).clone()
    }

    fn slot(&self, key: &K, now: Instant) -> Arc<Slot<V, E>> {
        let mut slots = self.slots.lock();
        slots.retain(|_, slot| now.saturating_duration_since(*slot.used.lock()) < KEPT_FOR);
        let new = || Arc::new(Slot { last: tokio::sync::Mutex::default(), used: Mutex::new(now) });
        let slot = slots.entry(key.clone()).or_insert_with(new);
        *slot.used.lock() = now;
        Arc::clone(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    type Counted = Polls<&'static str, u32, &'static str>;

    async fn ask(polls: &Counted, count: &AtomicU32, max_age: Duration) -> u32 {
        let question = || async {
            tokio::task::yield_now().await;
            Ok(count.fetch_add(1, Ordering::SeqCst))
        };
        *polls.get(&"remote", max_age, |_| true, question).await.result.unwrap()
    }

    #[tokio::test]
    async fn a_young_answer_is_used_again() {
        let (polls, count) = (Counted::new(), AtomicU32::new(0));
        assert_eq!(ask(&polls, &count, Duration::from_mins(1)).await, 0);
        assert_eq!(ask(&polls, &count, Duration::from_mins(1)).await, 0);
        assert_eq!(ask(&polls, &count, Duration::ZERO).await, 1, "who asks for news gets news");
    }

    #[tokio::test]
    async fn all_who_wait_share_the_next_answer() {
        let (polls, count) = (Counted::new(), AtomicU32::new(0));
        let asks = (0..20).map(|_| ask(&polls, &count, Duration::ZERO));
        futures::future::join_all(asks).await;
        // The first question, and one more for all who came while it was on its way.
        assert!(count.load(Ordering::SeqCst) <= 2, "{count:?} questions");
    }

    #[tokio::test]
    async fn failures_are_shared_but_not_kept() {
        let polls = Counted::new();
        let failing = || polls.get(&"remote", Duration::from_mins(1), |_| true, || async { Err("away") });
        assert_eq!(*failing().await.result.unwrap_err(), "away");
        let next = polls.get(&"remote", Duration::from_mins(1), |_| true, || async { Ok(7) }).await;
        assert_eq!(*next.result.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_serve_is_asked_anew() {
        let polls = Counted::new();
        let old = polls.get(&"remote", Duration::ZERO, |_| true, || async { Ok(1) }).await;
        assert_eq!(*old.result.unwrap(), 1);
        let new = polls.get(&"remote", Duration::from_mins(1), |value| *value > 1, || async { Ok(2) }).await;
        assert_eq!(*new.result.unwrap(), 2);
    }
}
