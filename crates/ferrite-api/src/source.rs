//! Sources: `source.toolkit.fluxcd.io`, and `source.extensions.fluxcd.io` for [`ArtifactGenerator`].

mod artifact_generator;
mod bucket;
mod external_artifact;
mod git_repository;
mod helm_chart;
mod helm_repository;
mod oci_repository;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use artifact_generator::{
    ArtifactGenerator, ArtifactGeneratorSpec, ArtifactGeneratorStatus, CopyOperation, CopyStrategy,
    GeneratedArtifact, GeneratorSource, GeneratorSourceKind, OutputArtifact,
};
pub use bucket::{Bucket, BucketSpec, BucketStatus, BucketSts, StsProvider};
pub use external_artifact::{ExternalArtifact, ExternalArtifactSpec, ExternalArtifactStatus};
pub use git_repository::{
    GitProvider, GitRepository, GitRepositoryInclude, GitRepositoryReference, GitRepositorySpec,
    GitRepositoryStatus, GitRepositoryVerification, GitVerificationMode,
};
pub use helm_chart::{
    ChartSourceKind, HelmChart, HelmChartSpec, HelmChartStatus, HelmChartVerification,
    LocalHelmChartSourceReference, ReconcileStrategy,
};
pub use helm_repository::{HelmRepository, HelmRepositorySpec, HelmRepositoryStatus, HelmRepositoryType};
pub use oci_repository::{
    OciLayerOperation, OciLayerSelector, OciRepository, OciRepositoryReference, OciRepositorySpec,
    OciRepositoryStatus, OciRepositoryVerification,
};

/// The group of the sources.
pub const GROUP: &str = "source.toolkit.fluxcd.io";
/// The group of [`ArtifactGenerator`].
pub const EXTENSIONS_GROUP: &str = "source.extensions.fluxcd.io";

/// Time that one operation on a source may take when the object does not say.
pub const DEFAULT_TIMEOUT: crate::Duration = crate::Duration::from_secs(60);

wire_enum! {
    /// How to get credentials for a registry or an object store.
    #[derive(Default)]
    pub enum CloudProvider {
        /// From a Secret, or none.
        #[default]
        Generic = "generic",
        /// From AWS.
        Aws = "aws",
        /// From Azure.
        Azure = "azure",
        /// From Google Cloud.
        Gcp = "gcp",
    }
}

wire_enum! {
    /// What made a signature of an OCI artifact.
    #[derive(Default)]
    pub enum VerificationProvider {
        /// Sigstore's cosign.
        #[default]
        Cosign = "cosign",
        /// Notary's notation.
        Notation = "notation",
    }
}

/// Who signed, keyless: patterns for the certificate's issuer and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OidcIdentityMatch {
    /// Regular expression for the issuer.
    pub issuer: String,
    /// Regular expression for the subject.
    pub subject: String,
}
