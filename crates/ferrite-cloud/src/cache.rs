//! Tokens that are still good.
//!
//! A token is used until 80 % of its life is over, and one question to a cloud answers everybody who asks it at the
//! same time. Source of the fraction: fluxcd/pkg `cache.TokenCache`.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::Error;

/// Bounds of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// The most tokens that are kept; 0 keeps none (`--token-cache-max-size`).
    pub tokens: usize,
    /// The longest that a token is kept (`--token-cache-max-duration`).
    pub duration: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { tokens: 100, duration: Duration::from_hours(1) }
    }
}

/// What the cache did, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Answers from the cache.
    pub hits: u64,
    /// Answers from a cloud.
    pub misses: u64,
    /// Tokens dropped because there were too many.
    pub evictions: u64,
    /// Tokens kept now.
    pub items: usize,
}

/// When a token ends.
pub(crate) trait Expires {
    fn expires(&self) -> Timestamp;
}

#[derive(Debug)]
struct Slot<T> {
    token: tokio::sync::Mutex<Option<(T, Timestamp)>>,
    used: Mutex<Timestamp>,
}

/// Tokens by what decides them.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    slots: Mutex<HashMap<String, Arc<Slot<T>>>>,
    limits: CacheLimits,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

impl<T: Clone + Expires> Cache<T> {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        let slots = Mutex::default();
        Self { slots, limits, hits: 0.into(), misses: 0.into(), evictions: 0.into() }
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            items: self.slots.lock().len(),
        }
    }

    /// The token of `key`: the kept one, or what `make` makes. Failures are not kept.
    pub(crate) async fn get<F: Future<Output = Result<T, Error>>>(
        &self,
        key: String,
        now: impl Fn() -> Timestamp,
        make: impl FnOnce() -> F,
    ) -> Result<T, Error> {
        if self.limits.tokens == 0 {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return make().await;
        }
        let slot = self.slot(key, now());
        let mut kept = slot.token.lock().await;
        if let Some((token, until)) = &*kept
            && now() < *until
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(token.clone());
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        *kept = None;
        let asked = now();
        let token = make().await?;
        *kept = Some((token.clone(), self.until(asked, token.expires())));
        Ok(token)
    }

    /// Until when a token is used that was asked for at `asked` and ends at `expires`.
    fn until(&self, asked: Timestamp, expires: Timestamp) -> Timestamp {
        let life = asked.duration_until(expires).as_secs().max(0).unsigned_abs();
        let kept = Duration::from_secs(life.saturating_mul(4) / 5).min(self.limits.duration);
        asked.saturating_add(kept).unwrap_or(asked)
    }

    fn slot(&self, key: String, now: Timestamp) -> Arc<Slot<T>> {
        let mut slots = self.slots.lock();
        if !slots.contains_key(&key) && slots.len() >= self.limits.tokens {
            let oldest = slots.iter().min_by_key(|(_, slot)| *slot.used.lock()).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        let new = || Arc::new(Slot { token: tokio::sync::Mutex::default(), used: Mutex::new(now) });
        let slot = slots.entry(key).or_insert_with(new);
        *slot.used.lock() = now;
        Arc::clone(slot)
    }
}
