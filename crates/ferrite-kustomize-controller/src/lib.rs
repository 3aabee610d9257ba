//! ferrite-kustomize-controller.
