//! What an apply or a prune has done so far.

use ferrite_resource::{Action, ChangeSet, Entry};

/// The effects of one reconcile on a cluster, noted as they happen. `Done::default()`: nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// What was done, in order.
    pub changes: ChangeSet,
    /// Objects for which a write was sent of which no answer was seen: they may or may not be in the cluster. They
    /// belong into the inventory, or an object could be left behind for good.
    pub uncertain: Vec<Entry>,
}

impl Done {
    /// Everything that is or may be in the cluster now: for the inventory. What was deleted is not in it.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.changes
            .with(&[Action::Created, Action::Configured, Action::Unchanged, Action::Skipped])
            .chain(&self.uncertain)
    }

    /// Notes that a write is about to be sent.
    pub(crate) fn begin(&mut self, entry: &Entry) {
        self.uncertain.push(entry.clone());
    }

    /// Notes that the write that began last did happen.
    pub(crate) fn finish(&mut self, action: Action) {
        if let Some(entry) = self.uncertain.pop() {
            self.changes.push(entry, action);
        }
    }

    /// Notes that the write that began last did not happen.
    pub(crate) fn refused(&mut self) {
        self.uncertain.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_resource::ObjectId;

    #[test]
    fn a_write_without_an_answer_stays_in_the_inventory() {
        let entry =
            |name: &str| Entry { id: ObjectId::new("", "ConfigMap", "a", name), version: "v1".into() };
        let mut done = Done::default();
        done.begin(&entry("one"));
        done.finish(Action::Created);
        done.begin(&entry("two"));
        done.refused();
        done.begin(&entry("three"));
        done.changes.push(entry("four"), Action::Deleted);
        let names: Vec<&str> = done.entries().map(|entry| entry.id.name.as_str()).collect();
        assert_eq!(names, ["one", "three"]);
    }
}
