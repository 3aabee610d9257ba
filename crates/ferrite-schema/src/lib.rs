//! ferrite-schema.
