//! An embedded Kubernetes API server: what GitOps controllers, `kubectl` and `helm` ask of a cluster, in one process.
//!
//! ```text
//!  TLS ─▶ http ─▶ handlers ─▶ auth, rbac ─▶ kinds / crd (defaults, rules) ─▶ store ─▶ watches
//!                                 ▲                                           │
//!                                 └── controllers: namespaces, garbage, CRDs ◀┘──▶ log on disk
//! ```
//!
//! For end-to-end tests, laptops and CI. It answers as Kubernetes 1.36 does: server-side apply with field owners,
//! watches with bookmarks, CRDs with structural schemas, dry runs, garbage collection, RBAC, tables.
//! Built-in kinds come from `ferrite-schema`, merge rules from `ferrite-patch`; custom kinds are known by their CRDs only.
//!
//! ```no_run
//! # async fn example() -> Result<(), ferrite_apiserver::Error> {
//! let running = ferrite_apiserver::ApiServer::builder().workloads(true).start().await?;
//! println!("{}", running.kubeconfig());
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It deliberately runs no container and schedules nothing: with [`Builder::workloads`] a stand-in writes the status
//! that a healthy cluster would write. The annotation `ferrite.dev/fail: <message>` on a workload makes it fail and
//! `ferrite.dev/hang: "true"` keeps it from ever getting ready.

mod admission;
mod auth;
mod builder;
mod cel;
mod clock;
mod controllers;
mod crd;
mod discovery;
mod error;
mod faults;
mod handlers;
mod http;
mod json;
mod keys;
mod kinds;
mod merge;
mod openapi;
mod protobuf;
mod quantity;
mod rbac;
mod resources;
mod schema;
mod selectors;
mod server;
mod status;
mod store;
mod tables;
mod tls;
mod workloads;
mod yaml;

pub use builder::{ApiServer, Builder, Running};
pub use error::Error;
pub use faults::Faults;
