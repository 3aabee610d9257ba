//! Kustomizations: `kustomize.toolkit.fluxcd.io`.

mod kustomization;
mod spec;

pub use kustomization::{Kustomization, KustomizationSpec, KustomizationStatus, Snapshot};
pub use spec::{
    BuildMetadata, CrossNamespaceSourceReference, Decryption, DecryptionProvider, DeletionPolicy, IgnoreRule,
    PostBuild, SourceKind, SubstituteKind, SubstituteReference, SubstituteStrategy,
};

/// The group of Kustomizations.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";
