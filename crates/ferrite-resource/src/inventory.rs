//! What one owner has applied: the only memory it keeps of it.

use std::collections::HashSet;

use serde::Serialize;

use crate::{
    identity::{Entry, IdentityError, ObjectId},
    order::apply_order,
};

/// The objects of one owner, in apply order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Inventory(Vec<Entry>);

/// An inventory that cannot be read. Nothing may be pruned then: what it meant is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status.inventory.entries[{index}] cannot be read")]
pub struct InventoryError {
    /// Position in `status.inventory.entries`.
    pub index: usize,
    /// Why.
    #[source]
    pub source: IdentityError,
}

impl FromIterator<Entry> for Inventory {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut seen = HashSet::new();
        let mut unique: Vec<Entry> =
            entries.into_iter().filter(|entry| seen.insert(entry.id.clone())).collect();
        unique.sort_by(|left, right| apply_order(&left.id, &right.id));
        Self(unique)
    }
}

impl Inventory {
    /// Reads the `(id, v)` pairs of `status.inventory`.
    ///
    /// # Errors
    ///
    /// [`InventoryError`] for the first id that cannot be read.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InventoryError> {
        let mut entries = Vec::new();
        for (index, (id, version)) in pairs.into_iter().enumerate() {
            let id = ObjectId::from_inventory_id(id).map_err(|source| InventoryError { index, source })?;
            entries.push(Entry { id, version: version.to_owned() });
        }
        Ok(entries.into_iter().collect())
    }

    /// The `(id, v)` pairs for `status.inventory`.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        self.0.iter().map(|entry| (entry.id.inventory_id(), entry.version.clone())).collect()
    }

    /// The entries in apply order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the object is in it, whatever the version.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.0.binary_search_by(|entry| apply_order(&entry.id, id)).is_ok()
    }

    /// Entries that `built` no longer holds, in deletion order (the reverse of apply order). Versions are ignored.
    #[must_use]
    pub fn stale(&self, built: &Self) -> Vec<Entry> {
        let kept: HashSet<&ObjectId> = built.0.iter().map(|entry| &entry.id).collect();
        self.0.iter().rev().filter(|entry| !kept.contains(&entry.id)).cloned().collect()
    }

    /// Both inventories together; for an object in both, `self` says the version.
    #[must_use]
    pub fn merged(&self, other: impl IntoIterator<Item = Entry>) -> Self {
        self.0.iter().cloned().chain(other).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(ids: &[&str]) -> Inventory {
        Inventory::parse(ids.iter().map(|id| (*id, "v1"))).unwrap()
    }

    #[test]
    fn stale_objects_go_in_reverse_apply_order() {
        let old =
            inventory(&["a_web_apps_Deployment", "_a__Namespace", "a_web__Service", "a_conf__ConfigMap"]);
        let new = inventory(&["a_conf__ConfigMap"]);
        let ids: Vec<String> = old.stale(&new).iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["Deployment/a/web", "Service/a/web", "Namespace/a"]);
    }

    #[test]
    fn a_new_version_of_an_object_is_not_stale() {
        let old = Inventory::parse([("a_b_autoscaling_HorizontalPodAutoscaler", "v2beta2")]).unwrap();
        let new = Inventory::parse([("a_b_autoscaling_HorizontalPodAutoscaler", "v2")]).unwrap();
        assert!(old.stale(&new).is_empty());
    }

    #[test]
    fn a_foreign_entry_names_its_position() {
        let error = Inventory::parse([("a_b__ConfigMap", "v1"), ("nonsense", "v1")]).unwrap_err();
        assert_eq!(error.to_string(), "status.inventory.entries[1] cannot be read");
    }

    #[test]
    fn merging_keeps_each_object_once_and_in_order() {
        let merged = inventory(&["a_b__Service"]).merged(inventory(&["a_b__Service", "_a__Namespace"]).0);
        assert_eq!(
            merged.to_pairs(),
            [("_a__Namespace".to_owned(), "v1".to_owned()), ("a_b__Service".to_owned(), "v1".to_owned())]
        );
    }
}
