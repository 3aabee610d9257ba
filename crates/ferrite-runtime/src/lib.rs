//! ferrite-runtime.
