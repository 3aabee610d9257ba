//! Ferrite's API: the types of every custom resource, the words on their wire, and the CRDs made from them.
//!
//! ```text
//!  Rust types ──schemars──▶ crds::generate ──cargo xtask gen──▶ crds/*.yaml ──include_str!──▶ crds::ALL
//!      │                         ▲
//!      └▶ controllers            └ former versions: what they had beyond the current one
//! ```
//!
//! For whoever reads or writes Flux's objects from Rust. The types are those of the version that is stored; the
//! former versions that are served too hold the same fields (`docs/api-versions.md`), so a controller reads one
//! version only.
//!
//! ```
//! use ferrite_api::source::GitRepository;
//!
//! let repository: GitRepository = serde_json::from_value(serde_json::json!({
//!     "apiVersion": "source.toolkit.fluxcd.io/v1",
//!     "kind": "GitRepository",
//!     "metadata": {"name": "app"},
//!     "spec": {"url": "https://example.com/app", "interval": "1h30m", "ref": {"branch": "main"}},
//! }))?;
//! assert_eq!(repository.spec.interval.to_std().as_secs(), 5400);
//! assert_eq!(repository.spec.timeout().to_string(), "1m0s");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! It deliberately decides nothing: no reconciling, no client, no validation beyond what a type says.

#[macro_use]
mod wire_enum;

mod artifact;
mod condition;
pub mod crds;
mod duration;
pub mod helm;
pub mod image;
mod inventory;
pub mod kustomize;
pub mod metadata;
pub mod notification;
mod patches;
mod reason;
mod references;
mod schema;
pub mod source;

pub use artifact::Artifact;
pub use condition::ConditionType;
pub use duration::{Duration, DurationError};
pub use inventory::{Inventory, ResourceRef};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use patches::{Image, JsonOp, JsonOperation, JsonPatch, Patch, Selector};
pub use reason::Reason;
pub use references::{
    AccessFrom, CommonMetadata, CustomHealthCheck, DependencyReference, KubeConfigReference,
    LocalObjectReference, NamespaceSelector, NamespacedObjectKindReference, NamespacedObjectReference,
    SecretKeyReference,
};
