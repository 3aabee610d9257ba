//! ferrite-source-controller.
