//! ferrite-apply.
