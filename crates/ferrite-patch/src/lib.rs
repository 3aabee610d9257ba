//! ferrite-patch.
