//! The whole controller against an API server and an artifact server: what a person would see of a Kustomization.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

#[path = "controller/build.rs"]
mod build;
#[path = "controller/decryption.rs"]
mod decryption;
#[path = "controller/deletion.rs"]
mod deletion;
#[path = "controller/drift.rs"]
mod drift;
#[path = "controller/faults.rs"]
mod faults;
#[path = "controller/many.rs"]
mod many;
#[path = "controller/order.rs"]
mod order;
#[path = "controller/world.rs"]
mod world;
