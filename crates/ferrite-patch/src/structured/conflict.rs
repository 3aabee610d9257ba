//! Fields that an apply would take from others.

use super::element::Element;
use super::managers::Id;
use super::set::{FieldSet, text};
use std::fmt;

/// One field and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    id: Id,
    /// The field.
    pub path: Vec<Element>,
}

impl Conflict {
    pub(crate) fn new(id: Id, path: Vec<Element>) -> Self {
        Self { id, path }
    }

    /// The owner's name.
    #[must_use]
    pub fn manager(&self) -> &str {
        &self.id.manager
    }

    /// How the owner came to own it.
    #[must_use]
    pub fn operation(&self) -> super::Operation {
        self.id.operation
    }

    /// The message of its cause in a Status: `conflict with "kubectl-edit" using v1`.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.id.describe())
    }

    /// The field of its cause in a Status: `.spec.replicas`.
    #[must_use]
    pub fn field(&self) -> String {
        text(&self.path)
    }
}

/// All conflicts of one apply, by owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(Vec<Conflict>);

impl Conflicts {
    /// `conflicts` come in the order of their owners.
    pub(crate) fn new(conflicts: Vec<Conflict>) -> Self {
        Self(conflicts)
    }

    /// Each conflict.
    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.0.iter()
    }

    /// The conflicts over fields that are not in `allowed`; `None` when that is none of them.
    pub(crate) fn except(&self, allowed: &FieldSet) -> Option<Self> {
        let left: Vec<_> = self.0.iter().filter(|c| !allowed.contains(&c.path)).cloned().collect();
        if left.is_empty() { None } else { Some(Self(left)) }
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", one.message(), one.field());
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut owner = None;
        for conflict in &self.0 {
            if owner != Some(&conflict.id) {
                let line = if owner.is_some() { "\n" } else { "" };
                write!(f, "{line}conflicts with {}:", conflict.id.describe())?;
                owner = Some(&conflict.id);
            }
            write!(f, "\n- {}", conflict.field())?;
        }
        Ok(())
    }
}
