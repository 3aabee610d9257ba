//! What can go wrong with a Bucket, whose move it is, and where it shows.

use std::{sync::Arc, time::Duration};

use ferrite_api::{ConditionType, Reason};
use ferrite_artifact::{ArchiveError, IgnoreError, StoreError};
use ferrite_bucket::BucketError;
use ferrite_runtime::{Class, Classify, Interrupted, ObjectKey};

use crate::{credentials::CredentialsError, download::DownloadError, outcome::SourceError};

/// Why a Bucket is not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A Secret cannot be read.
    #[error("failed to get {what} '{secret}': {problem}")]
    Secret {
        /// `secret`, `STS secret` and so on.
        what: &'static str,
        /// Its name.
        secret: ObjectKey,
        /// What the API server said.
        problem: String,
    },
    /// A Secret holds something else than it should.
    #[error("{0}")]
    SecretData(String),
    /// A Secret with certificates or a proxy holds something else than it should.
    #[error("failed to get {what}")]
    Credentials {
        /// `proxy URL`, `TLS config`.
        what: &'static str,
        /// What is wrong.
        source: CredentialsError,
    },
    /// The client cannot be set up.
    #[error("failed to configure the connection")]
    Setting(#[source] DownloadError),
    /// The feature gate is off.
    #[error(
        "to use spec.serviceAccountName for provider authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller"
    )]
    GateOff,
    /// There is no way to log in to the provider as the spec asks.
    #[error("{0}")]
    Login(String),
    /// `spec.sts` does not fit.
    #[error("{0}")]
    Sts(String),
    /// `spec.sts.endpoint` is no address.
    #[error("failed to parse STS endpoint '{0}'")]
    StsEndpoint(String),
    /// Endpoint, name or keys cannot be used.
    #[error(transparent)]
    Client(Box<BucketError>),
    /// The store does not say whether the bucket is there.
    #[error("failed to confirm existence of '{bucket}' bucket")]
    Confirm {
        /// The bucket.
        bucket: String,
        /// What the store said.
        source: Box<BucketError>,
    },
    /// There is no such bucket.
    #[error("bucket '{0}' not found")]
    NotFound(String),
    /// The ignore rules could not be downloaded.
    #[error("failed to get Etag for '.sourceignore' object")]
    IgnoreFile(#[source] Box<BucketError>),
    /// The ignore rules cannot be used.
    #[error("failed to read the ignore rules of the bucket")]
    Ignore(#[source] Arc<IgnoreError>),
    /// The objects could not be listed.
    #[error(
        "indexation of objects from bucket '{bucket}' failed: listing objects from bucket '{bucket}' failed"
    )]
    Index {
        /// The bucket.
        bucket: String,
        /// What the store said.
        source: Box<BucketError>,
    },
    /// An object could not be downloaded.
    #[error("fetch from bucket '{bucket}' failed: failed to get '{key}' object")]
    Fetch {
        /// The bucket.
        bucket: String,
        /// The object.
        key: String,
        /// What the store said.
        source: Box<BucketError>,
    },
    /// A key that cannot be a path.
    #[error("cannot use the key '{key}': {problem}")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        problem: String,
    },
    /// More bytes than an artifact may hold.
    #[error(
        "the objects of bucket '{bucket}' have more than {limit} bytes; exclude some with spec.prefix or spec.ignore"
    )]
    TooLarge {
        /// The bucket.
        bucket: String,
        /// The bound.
        limit: u64,
    },
    /// The deadline passed.
    #[error("{what} bucket '{bucket}' took longer than {timeout:?}; raise spec.timeout if it is large")]
    Timeout {
        /// `listing`, `fetching`.
        what: &'static str,
        /// The bucket.
        bucket: String,
        /// The deadline.
        timeout: Duration,
    },
    /// The temporary directory refused.
    #[error("failed to create temporary working directory")]
    Disk(#[source] Arc<std::io::Error>),
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
            Self::Secret { .. }
            | Self::SecretData(_)
            | Self::Credentials { .. }
            | Self::Setting(_)
            | Self::GateOff
            | Self::Login(_)
            | Self::Sts(_)
            | Self::StsEndpoint(_)
            | Self::Client(_)
            | Self::Confirm { .. }
            | Self::NotFound(_)
            | Self::IgnoreFile(_)
            | Self::Ignore(_)
            | Self::Index { .. }
            | Self::Fetch { .. }
            | Self::Key { .. }
            | Self::TooLarge { .. }
            | Self::Timeout { .. } => ConditionType::FetchFailed,
            Self::Disk(_) | Self::Stat(_) | Self::Store(_) | Self::Archive(_) | Self::Collect(_) => {
                ConditionType::StorageOperationFailed
            }
            Self::Interrupted(_) => return None,
        })
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::GateOff | Self::Sts(_) | Self::StsEndpoint(_) => Class::Stalled,
            Self::Interrupted(interrupted) => interrupted.class(),
            Self::Secret { .. }
            | Self::SecretData(_)
            | Self::Credentials { .. }
            | Self::Setting(_)
            | Self::Login(_)
            | Self::Client(_)
            | Self::Confirm { .. }
            | Self::NotFound(_)
            | Self::IgnoreFile(_)
            | Self::Ignore(_)
            | Self::Index { .. }
            | Self::Fetch { .. }
            | Self::Key { .. }
            | Self::TooLarge { .. }
            | Self::Timeout { .. }
            | Self::Disk(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Archive(_)
            | Self::Collect(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Secret { .. }
            | Self::SecretData(_)
            | Self::Credentials { .. }
            | Self::Setting(_)
            | Self::Login(_)
            | Self::Client(_) => Reason::AuthenticationFailed,
            Self::GateOff => Reason::FeatureGateDisabled,
            Self::Sts(_) => Reason::InvalidStsConfiguration,
            Self::StsEndpoint(_) => Reason::UrlInvalid,
            Self::Confirm { .. }
            | Self::NotFound(_)
            | Self::IgnoreFile(_)
            | Self::Ignore(_)
            | Self::Index { .. }
            | Self::Fetch { .. }
            | Self::Key { .. }
            | Self::TooLarge { .. }
            | Self::Timeout { .. } => Reason::BucketOperationFailed,
            Self::Disk(_) => Reason::DirectoryCreationFailed,
            Self::Stat(_) => Reason::StatOperationFailed,
            Self::Store(_) | Self::Archive(_) => Reason::ArchiveOperationFailed,
            Self::Collect(_) => Reason::GarbageCollectionFailed,
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
