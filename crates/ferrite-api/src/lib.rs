//! ferrite-api.
