//! The whole controller against an API server and an artifact server: what a person would see of a HelmRelease.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

#[path = "controller/charts.rs"]
mod charts;
#[path = "controller/failures.rs"]
mod failures;
#[path = "controller/lifecycle.rs"]
mod lifecycle;
#[path = "controller/options.rs"]
mod options;
#[path = "controller/tests.rs"]
mod tests;
#[path = "controller/world.rs"]
mod world;
