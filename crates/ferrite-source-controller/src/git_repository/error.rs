//! What can go wrong with a GitRepository, whose move it is, and where it shows.

use std::{sync::Arc, time::Duration};

use ferrite_api::{ConditionType, Reason};
use ferrite_artifact::{ArchiveError, IgnoreError, StoreError};
use ferrite_runtime::{Class, Classify, Interrupted, ObjectKey, workload_identity::WorkloadIdentityError};

use crate::{credentials::CredentialsError, outcome::SourceError};

/// Why a GitRepository is not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// `spec.url` cannot be used.
    #[error("failed to parse url")]
    Url(#[source] Arc<ferrite_git::Error>),
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
    /// The Secret of `proxySecretRef` cannot be read or does not hold a proxy.
    #[error("failed to configure proxy options: {0}")]
    Proxy(String),
    /// The SSH key needs a passphrase and there is none.
    #[error("SSH identity key is encrypted but no 'password' field was provided in the secret '{secret}'")]
    EncryptedIdentity {
        /// The Secret.
        secret: ObjectKey,
    },
    /// A certificate, key or proxy cannot be used.
    #[error("failed to configure authentication options")]
    Authentication(#[source] Arc<ferrite_git::Error>),
    /// A GitHub App without a Secret that describes it.
    #[error("secretRef with github app data must be specified when provider is set to github")]
    GithubAppWithoutSecret,
    /// A Secret that does not describe a GitHub App.
    #[error("secretRef with github app data must be specified when provider is set to github")]
    GithubAppWithoutData,
    /// No token of a GitHub App could be had.
    #[error("failed to configure authentication options: {0}")]
    GithubApp(String),
    /// The gate is off, or the ServiceAccount cannot be had.
    #[error(transparent)]
    Identity(WorkloadIdentityError),
    /// The provider gives no login.
    #[error("failed to configure authentication options")]
    Login(#[source] ferrite_cloud::Error),
    /// A Secret of a GitHub App, and a provider that does not use it.
    #[error("secretRef '{secret}' has github app data but provider is not set to github")]
    GithubAppWithoutProvider {
        /// The Secret.
        secret: ObjectKey,
    },
    /// The remote could not be asked, or does not have what is asked for.
    #[error("failed to checkout and determine revision")]
    Checkout(#[source] Arc<ferrite_git::Error>),
    /// There is no commit.
    #[error("git repository is empty")]
    Empty,
    /// The Secret with the trusted keys cannot be read.
    #[error("public keys secret error: {0}")]
    PublicKeys(String),
    /// A tag has to be signed, and no tag is referenced.
    #[error("cannot verify tag object's signature if a tag reference is not specified")]
    TagNotReferenced,
    /// A tag has to be signed and is not.
    #[error("cannot verify signature of tag '{tag}' since it is not signed")]
    UnsignedTag {
        /// Its name, and its id where it is an object.
        tag: String,
    },
    /// No trusted key signed the tag.
    #[error("signature verification of tag '{tag}' failed: {problem}")]
    TagSignature {
        /// Its name and its id.
        tag: String,
        /// What is wrong.
        problem: String,
    },
    /// No trusted key signed the commit.
    #[error("signature verification of commit '{commit}' failed: {problem}")]
    CommitSignature {
        /// Its id.
        commit: String,
        /// What is wrong.
        problem: String,
    },
    /// An included repository does not exist or cannot be read.
    #[error("could not get resource for include '{include}': {problem}")]
    IncludeNotFound {
        /// The included repository.
        include: String,
        /// What the API server said.
        problem: String,
        /// When to look again.
        retry: Duration,
    },
    /// An included repository has no artifact.
    #[error("no artifact available for include '{include}'")]
    IncludeWithoutArtifact {
        /// The included repository.
        include: String,
        /// When to look again.
        retry: Duration,
    },
    /// An include would lie outside of the artifact.
    #[error("path calculation for include '{include}' failed: {problem}")]
    IncludePath {
        /// The included repository.
        include: String,
        /// What is wrong and where.
        problem: String,
    },
    /// An include could not be copied.
    #[error("failed to copy '{include}' include from {from} to {to}: {problem}")]
    IncludeCopy {
        /// The included repository.
        include: String,
        /// The directory in it.
        from: String,
        /// The directory in this repository.
        to: String,
        /// What is wrong.
        problem: String,
    },
    /// Ignore patterns of the repository cannot be used.
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
            Self::Url(_)
            | Self::Secret { .. }
            | Self::Credentials(_)
            | Self::Proxy(_)
            | Self::EncryptedIdentity { .. }
            | Self::Authentication(_)
            | Self::GithubAppWithoutSecret
            | Self::GithubAppWithoutData
            | Self::GithubApp(_)
            | Self::GithubAppWithoutProvider { .. }
            | Self::Identity(_)
            | Self::Login(_)
            | Self::Checkout(_)
            | Self::Empty => ConditionType::FetchFailed,
            Self::PublicKeys(_)
            | Self::TagNotReferenced
            | Self::UnsignedTag { .. }
            | Self::TagSignature { .. }
            | Self::CommitSignature { .. } => ConditionType::SourceVerified,
            Self::IncludeNotFound { .. } | Self::IncludeWithoutArtifact { .. } => {
                ConditionType::IncludeUnavailable
            }
            Self::IncludePath { .. }
            | Self::IncludeCopy { .. }
            | Self::Ignore(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Archive(_)
            | Self::Collect(_) => ConditionType::StorageOperationFailed,
            Self::Interrupted(_) => return None,
        })
    }
}

impl From<ferrite_git::Error> for Error {
    fn from(error: ferrite_git::Error) -> Self {
        Self::from(Arc::new(error))
    }
}

impl From<Arc<ferrite_git::Error>> for Error {
    fn from(error: Arc<ferrite_git::Error>) -> Self {
        match *error {
            ferrite_git::Error::Empty => Self::Empty,
            ferrite_git::Error::Url { .. } => Self::Url(error),
            ferrite_git::Error::Credentials { .. } => Self::Authentication(error),
            _ => Self::Checkout(error),
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Url(_)
            | Self::TagNotReferenced
            | Self::Identity(WorkloadIdentityError::Disabled { .. })
            | Self::GithubAppWithoutSecret => Class::Stalled,
            Self::IncludeNotFound { retry, .. } | Self::IncludeWithoutArtifact { retry, .. } => {
                Class::Wait(*retry)
            }
            Self::Interrupted(interrupted) => interrupted.class(),
            Self::Secret { .. }
            | Self::Credentials(_)
            | Self::Proxy(_)
            | Self::EncryptedIdentity { .. }
            | Self::Authentication(_)
            | Self::GithubAppWithoutData
            | Self::GithubApp(_)
            | Self::GithubAppWithoutProvider { .. }
            | Self::Identity(_)
            | Self::Login(_)
            | Self::Checkout(_)
            | Self::Empty
            | Self::PublicKeys(_)
            | Self::UnsignedTag { .. }
            | Self::TagSignature { .. }
            | Self::CommitSignature { .. }
            | Self::IncludePath { .. }
            | Self::IncludeCopy { .. }
            | Self::Ignore(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Archive(_)
            | Self::Collect(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Url(_) => Reason::UrlInvalid,
            Self::Secret { .. }
            | Self::Credentials(_)
            | Self::Proxy(_)
            | Self::EncryptedIdentity { .. }
            | Self::GithubApp(_)
            | Self::Login(_)
            | Self::Authentication(_) => Reason::AuthenticationFailed,
            Self::Identity(WorkloadIdentityError::Disabled { .. }) => Reason::FeatureGateDisabled,
            Self::Identity(_) => Reason::AuthenticationFailed,
            Self::GithubAppWithoutSecret
            | Self::GithubAppWithoutData
            | Self::GithubAppWithoutProvider { .. } => Reason::InvalidProviderConfiguration,
            Self::Checkout(_) => Reason::GitOperationFailed,
            Self::Empty => Reason::EmptyGitRepository,
            Self::PublicKeys(_) => Reason::VerificationError,
            Self::TagNotReferenced => Reason::InvalidVerificationMode,
            Self::UnsignedTag { .. } => Reason::InvalidGitObject,
            Self::TagSignature { .. } => Reason::InvalidTagSignature,
            Self::CommitSignature { .. } => Reason::InvalidCommitSignature,
            Self::IncludeNotFound { .. } => Reason::NotFound,
            Self::IncludeWithoutArtifact { .. } => Reason::NoArtifact,
            Self::IncludePath { .. } => Reason::IllegalPath,
            Self::IncludeCopy { .. } => Reason::CopyFailure,
            Self::Ignore(_) => Reason::SourceIgnoreError,
            Self::Stat(_) => Reason::StatOperationFailed,
            Self::Store(error) => match **error {
                StoreError::Locked { .. } => Reason::AcquireLockFailed,
                StoreError::Io { .. } | StoreError::Name { .. } | StoreError::NoDirectory { .. } => {
                    Reason::ArchiveOperationFailed
                }
            },
            Self::Archive(_) => Reason::ArchiveOperationFailed,
            Self::Collect(_) => Reason::GarbageCollectionFailed,
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
