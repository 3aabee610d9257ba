//! End-to-end tests: real controllers, a real Git server, and an API server that answers as Kubernetes does.
//!
//! ```text
//! Env ──▶ embedded API server (or the cluster of $KUBECONFIG)
//!     ──▶ every controller, in this process
//!     ──▶ Git servers and webhook receivers on port 0
//! ```
//!
//! [`with_namespace`] gives a test a random namespace and everything above; on failure it prints the objects of the
//! namespace with their conditions and events. Waits are bounded and print the state they saw last.

#![expect(clippy::panic, reason = "what fails here is a test, and its panic is the message")]

mod cluster;
mod env;
mod kubelet;
mod objects;
mod repository;

pub use env::{Env, ready, with_namespace};
pub use objects::{git_repository, kustomization};
pub use repository::Repository;
