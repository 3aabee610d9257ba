//! The crate against the embedded API server.

#[cfg(test)]
mod applying;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod pruning;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod world;
