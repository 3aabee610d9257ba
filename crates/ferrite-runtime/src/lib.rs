//! The reconcile driver of Ferrite's controllers, and what every controller process shares.
//!
//! ```text
//!  watch ─▶ Store ─▶ predicate ─▶ Queue ─▶ worker: observe ─▶ plan ─▶ act ─▶ report
//!  (API server)       (R2)        (keyed)              │                        │
//!                                                 Progress::say        status, events, metrics, requeue
//! ```
//!
//! A kind implements [`Reconcile`]; [`Controller`] feeds and drives it. Use this crate to write a controller whose
//! objects carry Flux's conditions, finalizer and request annotations. It knows no kind.
//!
//! **Invariants.** Only the driver patches status and finalizers, emits events and requeues. A reconcile that waits
//! through [`Progress::wait`] holds no worker. Nothing is written when nothing changed. A panic ends one reconcile,
//! not the process. The environment is read in [`process`], nowhere else.

mod classify;
mod clock;
pub mod conditions;
mod controller;
mod drive;
mod events;
pub mod flags;
mod key;
pub mod leader;
pub mod logging;
mod metrics;
pub mod process;
mod progress;
pub mod queue;
mod reconcile;
mod redacted;
mod runtime;
pub mod serve;
mod status;
mod store;
mod watch_backoff;
pub mod workload_identity;

pub use classify::{Class, Classify, Interrupted, chain};
pub use clock::Clock;
pub use conditions::{Conditions, Truth};
pub use controller::{Controller, Handle, Trigger};
pub use events::Recorder;
pub use key::ObjectKey;
pub use metrics::{Metrics, Outcome};
pub use progress::Progress;
pub use queue::Backoff;
pub use reconcile::{Event, Object, Opening, Reconcile, Report, Requeue, Severity, StatusOf, conditions_of};
pub use redacted::Redacted;
pub use runtime::{Runtime, Scope};
pub use store::{Change, Store, Watchable, follow};
pub use tokio_util::sync::CancellationToken;
