//! What can go wrong with an OCIRepository, whose move it is, and where it shows.

use std::sync::Arc;

use ferrite_api::{ConditionType, Reason};
use ferrite_artifact::{ArchiveError, IgnoreError, StoreError, UnpackError};
use ferrite_runtime::{Class, Classify, Interrupted, ObjectKey, workload_identity::WorkloadIdentityError};

use crate::{
    credentials::CredentialsError,
    oci::{OciError, VerifyError},
    outcome::SourceError,
};

/// Why an OCIRepository is not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// `spec.url` cannot be used.
    #[error("URL validation failed for '{url}'")]
    Url {
        /// The address.
        url: String,
        /// What is wrong.
        source: OciError,
    },
    /// A Secret or a ServiceAccount cannot be read.
    #[error("failed to get {kind} '{object}': {problem}")]
    Object {
        /// `secret` or `service account`.
        kind: &'static str,
        /// Its name.
        object: ObjectKey,
        /// What the API server said.
        problem: String,
    },
    /// A Secret holds something else than it should.
    #[error("failed to read the pull secret '{secret}': {problem}")]
    PullSecret {
        /// The Secret.
        secret: ObjectKey,
        /// What is wrong.
        problem: &'static str,
    },
    /// A Secret with certificates or a proxy holds something else than it should.
    #[error("failed to configure the connection")]
    Credentials(#[source] CredentialsError),
    /// Nobody trusted has signed it.
    #[error("failed to verify the signature using provider '{provider}'")]
    Verification {
        /// What made the signatures; `cosign keyless` without keys.
        provider: &'static str,
        /// Why it is not verified.
        source: VerifyError,
    },
    /// The gate is off, or the ServiceAccount cannot be had.
    #[error(transparent)]
    Identity(WorkloadIdentityError),
    /// The provider gives no login.
    #[error("failed to get credential from {provider}")]
    Login {
        /// `spec.provider`.
        provider: &'static str,
        /// Why not.
        source: ferrite_cloud::Error,
    },
    /// The tags could not be read.
    #[error("failed to determine the artifact tag for '{url}'")]
    Tags {
        /// The address.
        url: String,
        /// Why not.
        source: OciError,
    },
    /// No tag fits, or range or filter are none.
    #[error("failed to determine the artifact tag for '{url}': {problem}")]
    Tag {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The reference could not be resolved.
    #[error("failed to determine artifact digest")]
    Digest(#[source] OciError),
    /// The artifact could not be pulled.
    #[error("failed to pull artifact from '{url}'")]
    Pull {
        /// The address.
        url: String,
        /// Why not.
        source: OciError,
    },
    /// The artifact has no layer that fits.
    #[error("failed to find layer{wanted} in artifact")]
    NoLayer {
        /// ` with media type '…'`, or nothing.
        wanted: String,
    },
    /// The layer is no archive that may be unpacked.
    #[error("failed to extract layer contents from artifact")]
    Layer(#[source] UnpackError),
    /// Ignore patterns of the artifact cannot be used.
    #[error("failed to load source ignore patterns from repository")]
    Ignore(#[source] Arc<IgnoreError>),
    /// The storage could not be examined.
    #[error("failed to look at the stored artifact")]
    Stat(#[source] Arc<StoreError>),
    /// The artifact cannot be written to the storage.
    #[error("unable to archive artifact to storage")]
    Store(#[source] Arc<StoreError>),
    /// The files cannot be archived.
    #[error("unable to archive artifact to storage")]
    Archive(#[source] Arc<ArchiveError>),
    /// The artifacts of a deleted object cannot be removed.
    #[error("garbage collection for deleted resource failed")]
    Collect(#[source] Arc<StoreError>),
    /// The driver ended the reconcile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl SourceError for Error {
    fn condition(&self) -> Option<ConditionType> {
        Some(match self {
            Self::Url { .. }
            | Self::Object { .. }
            | Self::PullSecret { .. }
            | Self::Credentials(_)
            | Self::Identity(_)
            | Self::Login { .. }
            | Self::Tags { .. }
            | Self::Tag { .. }
            | Self::Digest(_)
            | Self::Pull { .. }
            | Self::NoLayer { .. }
            | Self::Layer(_) => ConditionType::FetchFailed,
            Self::Ignore(_) | Self::Stat(_) | Self::Store(_) | Self::Archive(_) | Self::Collect(_) => {
                ConditionType::StorageOperationFailed
            }
            Self::Verification { .. } => ConditionType::SourceVerified,
            Self::Interrupted(_) => return None,
        })
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } => Class::Stalled,
            Self::Interrupted(interrupted) => interrupted.class(),
            Self::Identity(WorkloadIdentityError::Disabled { .. }) => Class::Stalled,
            Self::Identity(_)
            | Self::Verification { .. }
            | Self::Login { .. }
            | Self::Object { .. }
            | Self::PullSecret { .. }
            | Self::Credentials(_)
            | Self::Tags { .. }
            | Self::Tag { .. }
            | Self::Digest(_)
            | Self::Pull { .. }
            | Self::NoLayer { .. }
            | Self::Layer(_)
            | Self::Ignore(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Archive(_)
            | Self::Collect(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Url { .. } => Reason::UrlInvalid,
            Self::Identity(WorkloadIdentityError::Disabled { .. }) => Reason::FeatureGateDisabled,
            Self::Object { .. }
            | Self::PullSecret { .. }
            | Self::Credentials(_)
            | Self::Identity(_)
            | Self::Login { .. } => Reason::AuthenticationFailed,
            Self::Verification { .. } => Reason::VerificationError,
            Self::Tags { .. } | Self::Tag { .. } => Reason::ReadOperationFailed,
            Self::Digest(_) | Self::Pull { .. } => Reason::OciArtifactPullFailed,
            Self::NoLayer { .. } | Self::Layer(_) => Reason::OciArtifactLayerOperationFailed,
            // A literal of Flux that its API package does not name.
            Self::Ignore(_) => return "SourceIgnoreError",
            Self::Stat(_) => Reason::StatOperationFailed,
            Self::Store(_) | Self::Archive(_) => Reason::ArchiveOperationFailed,
            Self::Collect(_) => Reason::GarbageCollectionFailed,
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
