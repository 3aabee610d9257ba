//! ferrite-helm.
