//! Indexes of Helm repositories that stay parsed, if `--helm-cache-max-size` asks for it.
//!
//! Many charts of one large index parse it once. It is off by default: an index of 50 MB takes more memory parsed than
//! most clusters want to spend, and charts that did not change do not look into it at all.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{IndexCacheLimits, context::Context, helm_index::Index};

/// Parsed indexes by the digest of the stored file.
#[derive(Debug)]
pub(crate) struct IndexCache {
    limits: IndexCacheLimits,
    entries: Mutex<HashMap<String, (Arc<Index>, Instant)>>,
}

impl IndexCache {
    pub(crate) fn new(limits: IndexCacheLimits) -> Self {
        Self { limits, entries: Mutex::default() }
    }

    /// The index of the file with this digest, which stays for another while.
    pub(crate) fn get(&self, digest: &str, now: Instant) -> Option<Arc<Index>> {
        let mut entries = self.entries.lock();
        let (index, until) = entries.get_mut(digest).filter(|(_, until)| now < *until)?;
        *until = now + self.limits.ttl;
        Some(Arc::clone(index))
    }

    /// Keeps an index if there is room; who is in stays in until its time is over.
    pub(crate) fn put(&self, digest: &str, index: Arc<Index>, now: Instant) {
        let mut entries = self.entries.lock();
        if entries.len() >= self.limits.indexes {
            entries.retain(|_, (_, until)| now < *until);
        }
        if entries.len() < self.limits.indexes {
            entries.insert(digest.to_owned(), (index, now + self.limits.ttl));
        }
    }

    fn forget_old(&self, now: Instant) {
        self.entries.lock().retain(|_, (_, until)| now < *until);
    }
}

/// Forgets indexes nobody uses, for ever.
pub(crate) async fn purge(context: Arc<Context>, interval: Duration) {
    if interval.is_zero() {
        return;
    }
    loop {
        tokio::time::sleep(interval).await;
        context.index_cache.forget_old(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_stays_while_it_is_used_and_there_is_room() {
        let ttl = Duration::from_mins(15);
        let limits = IndexCacheLimits { indexes: 1, ttl, ..IndexCacheLimits::default() };
        let (cache, start) = (IndexCache::new(limits), Instant::now());
        let index = || Arc::new(Index::of_versions("app", std::iter::empty()));
        cache.put("a", index(), start);
        cache.put("b", index(), start);
        assert!(cache.get("a", start + ttl / 2).is_some() && cache.get("b", start).is_none());
        assert!(cache.get("a", start + ttl).is_some(), "its use kept it");
        cache.put("b", index(), start + ttl * 3);
        assert!(cache.get("b", start + ttl * 3).is_some(), "the old one made room");
        cache.forget_old(start + ttl * 9);
        assert_eq!(cache.entries.lock().len(), 0);
        let none = IndexCache::new(IndexCacheLimits::default());
        none.put("a", index(), start);
        assert!(none.get("a", start).is_none());
    }
}
