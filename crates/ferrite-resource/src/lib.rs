//! ferrite-resource.
