//! Unpacked artifacts in memory, the least recently used ones making room.

use std::collections::HashMap;

use ferrite_tree::MemoryTree;

use crate::Digest;

/// What an entry costs beside the bytes of its files.
const ENTRY_COST: u64 = 4096;
/// What a file costs beside its bytes: its name and its node.
const FILE_COST: u64 = 128;

/// Trees by the digest of their archive.
#[derive(Debug)]
pub(super) struct Cache {
    trees: HashMap<Digest, Kept>,
    /// Bytes all may cost together.
    limit: u64,
    total: u64,
    tick: u64,
}

#[derive(Debug)]
struct Kept {
    tree: MemoryTree,
    cost: u64,
    used: u64,
}

impl Cache {
    pub(super) fn new(limit: u64) -> Self {
        Self { trees: HashMap::new(), limit, total: 0, tick: 0 }
    }

    pub(super) fn get(&mut self, digest: &Digest) -> Option<MemoryTree> {
        self.tick += 1;
        let kept = self.trees.get_mut(digest)?;
        kept.used = self.tick;
        Some(kept.tree.clone())
    }

    /// Keeps `tree` unless it alone is past the limit.
    pub(super) fn insert(&mut self, digest: Digest, tree: MemoryTree) {
        let (files, bytes) = tree.totals();
        let cost = bytes as u64 + files as u64 * FILE_COST + ENTRY_COST;
        if cost > self.limit {
            return;
        }
        self.tick += 1;
        self.total += cost;
        if let Some(before) = self.trees.insert(digest, Kept { tree, cost, used: self.tick }) {
            self.total -= before.cost;
        }
        while self.total > self.limit {
            let oldest =
                self.trees.iter().min_by_key(|(_, kept)| kept.used).map(|(digest, _)| digest.clone());
            let Some(kept) = oldest.and_then(|digest| self.trees.remove(&digest)) else { return };
            self.total -= kept.cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn digest(name: &str) -> Digest {
        Digest::of(Algorithm::Sha256, name.as_bytes())
    }

    fn tree(bytes: usize) -> MemoryTree {
        let mut builder = MemoryTree::builder();
        builder.insert("file", &vec![0; bytes], false).unwrap();
        builder.build()
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let one = 10_000 + FILE_COST + ENTRY_COST;
        let mut cache = Cache::new(2 * one);
        for name in ["a", "b"] {
            cache.insert(digest(name), tree(10_000));
        }
        assert!(cache.get(&digest("a")).is_some());
        cache.insert(digest("c"), tree(10_000));
        assert!(cache.get(&digest("b")).is_none());
        assert!(cache.get(&digest("a")).is_some() && cache.get(&digest("c")).is_some());
        cache.insert(digest("huge"), tree(100_000));
        assert!(cache.get(&digest("huge")).is_none());
        assert_eq!(cache.total, 2 * one);
    }
}
