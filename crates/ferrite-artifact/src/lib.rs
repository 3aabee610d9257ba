//! ferrite-artifact.
