//! ferrite-kustomize.
