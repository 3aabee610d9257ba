//! ferrite-testkit.
