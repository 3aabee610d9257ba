//! What was done to which object, and how it is told.

use std::fmt;

use serde::Serialize;

use crate::identity::Entry;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It did not exist.
    Created,
    /// It differed.
    Configured,
    /// It was as wanted.
    Unchanged,
    /// It is excluded from reconciliation, or belongs to somebody else.
    Skipped,
    /// It is gone.
    Deleted,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        })
    }
}

/// One object and what happened to it; displayed as `Kind/namespace/name created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The object.
    pub entry: Entry,
    /// What happened.
    pub action: Action,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.entry.id, self.action)
    }
}

/// What one apply or prune did, in the order it was done; displayed one change a line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ChangeSet(pub Vec<Change>);

impl ChangeSet {
    /// Notes a change.
    pub fn push(&mut self, entry: Entry, action: Action) {
        self.0.push(Change { entry, action });
    }

    /// The changes a person wants to hear of: everything but `unchanged` and, unless they are of a prune, `skipped`.
    #[must_use]
    pub fn notable(&self) -> Self {
        let notable = |change: &&Change| {
            matches!(change.action, Action::Created | Action::Configured | Action::Deleted)
        };
        Self(self.0.iter().filter(notable).cloned().collect())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries with one of the given actions.
    pub fn with<'a>(&'a self, actions: &'a [Action]) -> impl Iterator<Item = &'a Entry> + 'a {
        self.0.iter().filter(move |change| actions.contains(&change.action)).map(|change| &change.entry)
    }
}

impl fmt::Display for ChangeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            change.fmt(formatter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ObjectId;

    #[test]
    fn changes_are_told_one_a_line() {
        let entry =
            |name: &str| Entry { id: ObjectId::new("", "ConfigMap", "a", name), version: "v1".to_owned() };
        let mut changes = ChangeSet::default();
        changes.push(entry("one"), Action::Created);
        changes.push(entry("two"), Action::Unchanged);
        changes.push(entry("three"), Action::Configured);
        assert_eq!(changes.notable().to_string(), "ConfigMap/a/one created\nConfigMap/a/three configured");
    }
}
