//! What can go wrong with a HelmRepository, whose move it is, and where it shows.

use std::sync::Arc;

use ferrite_api::{ConditionType, Reason};
use ferrite_artifact::StoreError;
use ferrite_runtime::{Class, Classify, Interrupted, ObjectKey, workload_identity::WorkloadIdentityError};

use crate::{
    credentials::CredentialsError, download::DownloadError, helm_index::IndexError, oci::OciError,
    outcome::SourceError,
};

/// Why a HelmRepository is not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// `spec.url` cannot be used.
    #[error("invalid Helm repository URL: {problem}")]
    Url {
        /// What is wrong.
        problem: String,
    },
    /// A Secret cannot be read.
    #[error("failed to get secret '{secret}': {problem}")]
    Secret {
        /// The Secret.
        secret: ObjectKey,
        /// What the API server said.
        problem: String,
    },
    /// A Secret holds something else than it should.
    #[error("failed to configure authentication options")]
    Credentials(#[source] CredentialsError),
    /// The default ServiceAccount cannot be had.
    #[error(transparent)]
    Identity(WorkloadIdentityError),
    /// The provider gives no login.
    #[error("failed to get credential from '{provider}'")]
    Login {
        /// `spec.provider`.
        provider: &'static str,
        /// Why not.
        source: ferrite_cloud::Error,
    },
    /// The index could not be downloaded.
    #[error("failed to fetch Helm repository index")]
    Fetch(#[source] DownloadError),
    /// The registry could not be asked.
    #[error("failed to log in to the registry")]
    Registry(#[source] OciError),
    /// The index cannot be used.
    #[error("failed to load Helm repository from index YAML")]
    Index(#[source] IndexError),
    /// The storage could not be examined.
    #[error("failed to look at the stored artifact")]
    Stat(#[source] Arc<StoreError>),
    /// The artifact cannot be written to the storage.
    #[error("unable to write Helm repository index to storage")]
    Store(#[source] Arc<StoreError>),
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
            | Self::Secret { .. }
            | Self::Credentials(_)
            | Self::Identity(_)
            | Self::Login { .. }
            | Self::Fetch(_)
            | Self::Registry(_)
            | Self::Index(_) => ConditionType::FetchFailed,
            Self::Stat(_) | Self::Store(_) | Self::Collect(_) => ConditionType::StorageOperationFailed,
            Self::Interrupted(_) => return None,
        })
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } => Class::Stalled,
            Self::Interrupted(interrupted) => interrupted.class(),
            Self::Secret { .. }
            | Self::Credentials(_)
            | Self::Identity(_)
            | Self::Login { .. }
            | Self::Fetch(_)
            | Self::Registry(_)
            | Self::Index(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Collect(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Url { .. } => Reason::UrlInvalid,
            Self::Secret { .. } | Self::Credentials(_) | Self::Identity(_) | Self::Login { .. } => {
                Reason::AuthenticationFailed
            }
            Self::Registry(OciError::Refused { .. }) => Reason::AuthenticationFailed,
            Self::Fetch(_) | Self::Registry(_) => Reason::Failed,
            Self::Index(_) => Reason::IndexationFailed,
            Self::Stat(_) => Reason::StatOperationFailed,
            Self::Store(_) => Reason::ArchiveOperationFailed,
            Self::Collect(_) => Reason::GarbageCollectionFailed,
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
