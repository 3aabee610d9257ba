//! The last build of each Kustomization, so that a reconcile for which nothing changed builds nothing.

use std::{collections::HashMap, sync::Arc};

use ferrite_resource::Owner;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::{build::Built, variables::Substitution};

/// Memory that builds may take together, in bytes.
const LIMIT: usize = 64 << 20;
/// What an object takes in memory for each byte of its text, roughly.
const BYTES_PER_TEXT_BYTE: usize = 4;

/// Everything a build depends on, as a digest.
pub(crate) type Key = [u8; 32];

/// The key of a build: the artifact, the spec, the variables, and what tells the keys for decryption apart.
pub(crate) fn key(
    artifact_digest: &str,
    spec: &impl serde::Serialize,
    substitution: &Substitution,
    keys: &[u8],
) -> Key {
    let mut hasher = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    feed(artifact_digest.as_bytes());
    feed(&serde_json::to_vec(spec).unwrap_or_default());
    feed(keys);
    feed(&[u8::from(substitution.active)]);
    for (name, value) in &substitution.variables {
        feed(name.as_bytes());
        feed(value.as_bytes());
    }
    hasher.finalize().into()
}

/// Builds by their owner; the least recently used make room.
#[derive(Debug, Default)]
pub(crate) struct Builds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Owner, Kept>,
    total: usize,
    tick: u64,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    built: Arc<Built>,
    cost: usize,
    used: u64,
}

impl Builds {
    /// The build of `owner`, if it is the one of `key`.
    pub(crate) fn get(&self, owner: &Owner, key: &Key) -> Option<Arc<Built>> {
        let mut state = self.0.lock();
        state.tick += 1;
        let now = state.tick;
        let kept = state.kept.get_mut(owner).filter(|kept| kept.key == *key)?;
        kept.used = now;
        Some(Arc::clone(&kept.built))
    }

    /// Keeps a build in place of the last one of `owner`, unless it alone is too large.
    pub(crate) fn keep(&self, owner: &Owner, key: Key, built: &Arc<Built>) {
        let cost = built.text_bytes.saturating_mul(BYTES_PER_TEXT_BYTE);
        let mut state = self.0.lock();
        state.remove(owner);
        if cost > LIMIT {
            return;
        }
        state.tick += 1;
        state.total += cost;
        let kept = Kept { key, built: Arc::clone(built), cost, used: state.tick };
        state.kept.insert(owner.clone(), kept);
        while state.total > LIMIT {
            let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(owner, _)| owner.clone());
            let Some(oldest) = oldest else { return };
            state.remove(&oldest);
        }
    }

    /// Forgets the build of `owner`.
    pub(crate) fn forget(&self, owner: &Owner) {
        self.0.lock().remove(owner);
    }
}

impl State {
    fn remove(&mut self, owner: &Owner) {
        if let Some(gone) = self.kept.remove(owner) {
            self.total -= gone.cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(text_bytes: usize) -> Arc<Built> {
        Arc::new(Built { text_bytes, ..Built::default() })
    }

    fn owner(name: &str) -> Owner {
        Owner::new(name, "default")
    }

    #[test]
    fn a_build_is_used_again_for_the_very_same_input_only() {
        let builds = Builds::default();
        builds.keep(&owner("a"), [1; 32], &built(10));
        assert!(builds.get(&owner("a"), &[1; 32]).is_some());
        assert!(builds.get(&owner("a"), &[2; 32]).is_none() && builds.get(&owner("b"), &[1; 32]).is_none());
        builds.keep(&owner("a"), [2; 32], &built(20));
        assert!(builds.get(&owner("a"), &[1; 32]).is_none());
        builds.forget(&owner("a"));
        assert_eq!(builds.0.lock().total, 0);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let builds = Builds::default();
        let third = LIMIT / BYTES_PER_TEXT_BYTE / 3;
        for name in ["a", "b", "c"] {
            builds.keep(&owner(name), [0; 32], &built(third));
        }
        assert!(builds.get(&owner("a"), &[0; 32]).is_some());
        builds.keep(&owner("d"), [0; 32], &built(third));
        assert!(builds.get(&owner("b"), &[0; 32]).is_none());
        assert!(builds.get(&owner("a"), &[0; 32]).is_some());
        builds.keep(&owner("huge"), [0; 32], &built(LIMIT));
        assert!(builds.get(&owner("huge"), &[0; 32]).is_none());
    }

    #[test]
    fn keys_differ_with_everything_a_build_depends_on() {
        let with = |name: &str, value: &str| Substitution {
            variables: std::iter::once((name.to_owned(), value.to_owned())).collect(),
            active: true,
        };
        let keys = [
            key("d", &1, &Substitution::default(), &[]),
            key("e", &1, &Substitution::default(), &[]),
            key("d", &2, &Substitution::default(), &[]),
            key("d", &1, &Substitution::default(), &[1]),
            key("d", &1, &with("ab", "c"), &[]),
            key("d", &1, &with("a", "bc"), &[]),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
