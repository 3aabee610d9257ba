//! ferrite-apiserver.
