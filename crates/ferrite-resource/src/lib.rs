//! The thinking half of server-side apply: what an object is, in which order it is applied, what drifted, whether it
//! is healthy, and what has to go.
//!
//! ```text
//! built objects ─▶ identity ─▶ prepare ─▶ stages ─────────────┐
//!                                                             ▼ (ferrite-apply talks to the cluster)
//! live object, dry-run result ─▶ exclusion ─▶ takeover ─▶ drift ─▶ ChangeSet ─▶ Inventory ─▶ stale
//! live object ─▶ health (status with evidence)
//! ```
//!
//! Use this crate to decide about Kubernetes objects without a cluster: a plan, a linter, a test.
//! To talk to a cluster use `ferrite-apply`, which calls this one.
//!
//! ```
//! use ferrite_resource::{Entry, Inventory, Owner, StageKinds, drift::drifted, prepare, stages};
//! use serde_json::json;
//!
//! let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"},
//!     "stringData": {"key": "value"}});
//! prepare(&mut secret, &Owner::new("app", "flux-system"), None);
//! assert_eq!(secret["data"]["key"], "dmFsdWU=");
//!
//! let entry = Entry::of(&secret)?;
//! let inventory: Inventory = [entry.clone()].into_iter().collect();
//! assert_eq!(inventory.to_pairs(), [("shop_s__Secret".to_owned(), "v1".to_owned())]);
//! assert!(drifted(None, &secret, &[]), "it does not exist yet");
//! assert_eq!(stages(vec![(entry, secret)], &StageKinds::default()).len(), 1);
//! # Ok::<(), ferrite_resource::IdentityError>(())
//! ```
//!
//! It deliberately knows no CEL ([`health::by_expressions`] asks a caller who does) and keeps no state.
//!
//! Everything works on [`serde_json::Value`]; a value that is not an object is handled as one without fields.
//!
//! **Invariants.** Synchronous and without input or output. Total: no input makes a function panic. Inventory ids,
//! labels and field managers are byte for byte those of Flux's kustomize-controller, so that either can take over
//! from the other.

pub mod changes;
pub mod diff;
pub mod drift;
mod exclusion;
pub mod health;
mod identity;
pub mod ignore;
mod inventory;
mod managed_fields;
pub mod mask;
mod order;
mod path;
pub mod prepare;
pub mod quantity;
mod selector;
mod takeover;

pub use changes::{Action, Change, ChangeSet};
pub use exclusion::{Exclusion, SsaMode, applies, forced, prunes, ssa_mode};
pub use health::{Health, Status};
pub use identity::{Entry, IdentityError, ObjectId};
pub use inventory::{Inventory, InventoryError};
pub use order::{StageKinds, Staged, apply_order, stages};
pub use path::{Pointer, PointerError};
pub use prepare::{CommonMetadata, Owner, prepare};
pub use selector::{Selector, SelectorError};
pub use takeover::{Managers, fold_updates, foreign_managers, takeover};
