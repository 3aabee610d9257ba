//! Structured merge: writes that know who owns which field.
//!
//! ```text
//! managedFields ─▶ FieldSet per manager ─┐
//! live ──────────────────────────────────┼─▶ merge ─▶ prune ─▶ conflicts? ─▶ object with new managedFields
//! applied configuration ─▶ fields_of ────┘
//! ```
//!
//! The rules are those of structured-merge-diff v6 and of Kubernetes' field managers around it.

mod compare;
mod conflict;
mod element;
mod extract;
mod fields_v1;
mod managers;
mod merge;
mod ownership;
mod reconcile;
mod remove;
mod set;
mod shape;
mod typed;
mod updater;
mod write;

#[cfg(test)]
mod tests;

pub use compare::{Comparison, compare};
pub use conflict::{Conflict, Conflicts};
pub use element::{Element, Scalar, same};
pub use extract::fields_of;
pub use fields_v1::FieldsError;
pub use managers::{Entry, Operation, entries, entry_json};
pub use ownership::{Owner, Takeover, fold, owners};
pub use set::{FieldSet, text};
pub use typed::TypeError;
pub use write::{Applied, Error, apply, keep_times, update};

use ferrite_schema::Type;
use serde_json::Value;

/// One write of an object.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// The version that the request speaks: `apps/v1`.
    pub api_version: &'a str,
    /// The object's kind.
    pub kind: &'a str,
    /// The field manager; empty is `unknown`.
    pub manager: &'a str,
    /// `status` and the like; empty for the object itself.
    pub subresource: &'a str,
    /// The time to record, RFC 3339 in whole seconds and UTC.
    pub now: &'a str,
    /// The fields that this endpoint can write at all.
    pub scope: Scope<'a>,
    /// The kind's other versions, when it has any.
    pub versions: Option<&'a dyn Versions>,
}

impl std::fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write")
            .field("manager", &self.manager)
            .field("subresource", &self.subresource)
            .finish_non_exhaustive()
    }
}

/// The other versions of a kind.
pub trait Versions {
    /// The object, which says its own `apiVersion`, in version `to`; `None` when there is no such version.
    fn convert(&self, object: &Value, to: &str) -> Option<Value>;
    /// The type of the kind in this version.
    fn schema(&self, api_version: &str) -> Option<&Type>;
}

/// The fields that an endpoint can write. Others are neither owned nor fought over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of them.
    #[default]
    Whole,
    /// All but these paths of plain names, with all that is below: `[["status"]]`.
    Except(&'a [&'a [&'a str]]),
    /// Only these top-level fields: `["status"]`.
    Only(&'a [&'a str]),
}

impl Scope<'_> {
    fn filter(self, set: FieldSet) -> FieldSet {
        match self {
            Self::Whole => set,
            Self::Except(paths) => set.recursive_difference(&FieldSet::of_names(paths)),
            Self::Only(names) => set.only(names),
        }
    }

    fn filter_comparison(self, changes: Comparison) -> Comparison {
        Comparison {
            removed: self.filter(changes.removed),
            modified: self.filter(changes.modified),
            added: self.filter(changes.added),
        }
    }
}
