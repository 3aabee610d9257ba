//! The crate against the embedded API server.

mod applying;
mod drift;
mod pruning;
mod trouble;
mod waiting;
mod world;
