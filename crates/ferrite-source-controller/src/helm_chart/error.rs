//! What can go wrong with a HelmChart, whose move it is, and where it shows.

use std::sync::Arc;

use ferrite_api::{ConditionType, Reason};
use ferrite_artifact::{StoreError, UnpackError};
use ferrite_runtime::{Class, Classify, Interrupted};

use crate::{
    download::DownloadError,
    helm_index::IndexError,
    helm_repository,
    oci::{OciError, VerifyError},
    outcome::SourceError,
};

/// Why a HelmChart is not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The source does not exist or cannot be read.
    #[error("failed to get source: {problem}")]
    Source {
        /// What the API server said.
        problem: String,
    },
    /// The source has no artifact yet.
    #[error("no artifact available for {kind} source '{name}'")]
    NoSourceArtifact {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// Something the spec asks for is not supported.
    #[error("{field} is not supported by this controller yet: {help}")]
    Unsupported {
        /// What.
        field: &'static str,
        /// What to do instead.
        help: &'static str,
        /// The reason shown.
        reason: Reason,
    },
    /// Nobody trusted has signed the chart.
    #[error("chart verification error: failed to verify oci://{reference}")]
    Verification {
        /// The chart with its digest.
        reference: String,
        /// Why it is not verified.
        source: VerifyError,
    },
    /// `spec.chart` cannot be the name of a chart.
    #[error(
        "invalid chart reference: invalid chart name '{name}', a valid name must be lower case letters and numbers and MAY be separated with dashes (-), slashes (/) or periods (.)"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// `spec.chart` names no chart in the source.
    #[error("invalid chart reference: '{path}': {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The source's files cannot be read.
    #[error("failed to open the artifact of the source")]
    SourceFiles(#[source] UnpackError),
    /// A dependency is not there.
    #[error("dependency build error: failed to add {kind} dependency '{name}': {problem}")]
    Dependency {
        /// The dependency, as its parent calls it.
        name: String,
        /// `local` or `remote`.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A values file cannot be used.
    #[error("values files merge error: '{name}': {problem}")]
    Values {
        /// The file.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The chart's version cannot carry more metadata.
    #[error("chart metadata patch error: '{version}': {problem}")]
    Version {
        /// The version.
        version: String,
        /// What is wrong.
        problem: String,
    },
    /// The chart cannot be packaged.
    #[error("chart package error: {0}")]
    Package(String),
    /// The index has no such chart, or the range is none.
    #[error("invalid chart reference: failed to get chart version for remote reference")]
    Reference(#[source] IndexError),
    /// The stored index cannot be read.
    #[error("chart pull error: failed to load chart index")]
    Index(#[source] IndexError),
    /// The index gives no address, or none that can be used.
    #[error("chart pull error: failed to download chart for remote reference: {problem}")]
    Address {
        /// What is wrong.
        problem: String,
    },
    /// The repository's Secrets cannot be used.
    #[error("failed to configure the client of the Helm repository")]
    Access(#[source] helm_repository::Error),
    /// The archive could not be downloaded.
    #[error("chart pull error: failed to download chart for remote reference")]
    Pull(#[source] DownloadError),
    /// The registry could not be asked, or does not have the chart.
    #[error("chart pull error: failed to get chart version for remote reference")]
    Registry(#[source] OciError),
    /// What was downloaded is no archive that may be unpacked.
    #[error("chart pull error: the downloaded chart cannot be used")]
    Archive(#[source] UnpackError),
    /// What was downloaded is another chart.
    #[error("chart pull error: the downloaded archive holds no '{chart}/Chart.yaml'")]
    OtherChart {
        /// The chart that was asked for.
        chart: String,
    },
    /// The storage could not be examined or read.
    #[error("failed to look at the stored artifact")]
    Stat(#[source] Arc<StoreError>),
    /// The artifact cannot be written to the storage.
    #[error("unable to copy Helm chart to storage")]
    Store(#[source] Arc<StoreError>),
    /// The artifacts of a deleted object cannot be removed.
    #[error("garbage collection for deleted resource failed")]
    Collect(#[source] Arc<StoreError>),
    /// The driver ended the reconcile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl SourceError for Error {
    fn is_ordinary(&self) -> bool {
        matches!(self, Self::NoSourceArtifact { .. })
    }

    fn condition(&self) -> Option<ConditionType> {
        Some(match self {
            Self::Source { .. }
            | Self::NoSourceArtifact { .. }
            | Self::Unsupported { .. }
            | Self::Name { .. }
            | Self::Reference(_)
            | Self::Index(_)
            | Self::Address { .. }
            | Self::Access(_)
            | Self::Pull(_)
            | Self::Registry(_)
            | Self::Archive(_)
            | Self::Path { .. }
            | Self::SourceFiles(_)
            | Self::OtherChart { .. } => ConditionType::FetchFailed,
            Self::Dependency { .. } | Self::Values { .. } | Self::Version { .. } | Self::Package(_) => {
                ConditionType::BuildFailed
            }
            Self::Stat(_) | Self::Store(_) | Self::Collect(_) => ConditionType::StorageOperationFailed,
            Self::Verification { .. } => ConditionType::SourceVerified,
            Self::Interrupted(_) => return None,
        })
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Unsupported { .. }
            | Self::Name { .. }
            | Self::Reference(_)
            | Self::Path { .. }
            | Self::Values { .. }
            | Self::Version { .. } => Class::Stalled,
            Self::Access(error) => error.class(),
            Self::Interrupted(interrupted) => interrupted.class(),
            Self::Source { .. }
            | Self::NoSourceArtifact { .. }
            | Self::Verification { .. }
            | Self::Index(_)
            | Self::Address { .. }
            | Self::Pull(_)
            | Self::Registry(_)
            | Self::Archive(_)
            | Self::OtherChart { .. }
            | Self::SourceFiles(_)
            | Self::Dependency { .. }
            | Self::Package(_)
            | Self::Stat(_)
            | Self::Store(_)
            | Self::Collect(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Source { .. } => Reason::SourceUnavailable,
            Self::NoSourceArtifact { .. } => Reason::NoSourceArtifact,
            Self::Unsupported { reason, .. } => *reason,
            Self::Verification { .. } => Reason::VerificationError,
            Self::Name { .. } | Self::Reference(_) | Self::Path { .. } => Reason::InvalidChartReference,
            Self::SourceFiles(_) => Reason::ReadOperationFailed,
            Self::Dependency { .. } => Reason::DependencyBuildError,
            Self::Values { .. } => Reason::ValuesFilesError,
            Self::Version { .. } => Reason::MetadataPatchError,
            Self::Package(_) => Reason::ChartPackageError,
            Self::Access(error) => return error.reason(),
            Self::Registry(OciError::Refused { .. }) => Reason::AuthenticationFailed,
            Self::Pull(error) if error.is_authentication() => Reason::AuthenticationFailed,
            Self::Index(_)
            | Self::Address { .. }
            | Self::Pull(_)
            | Self::Registry(_)
            | Self::Archive(_)
            | Self::OtherChart { .. } => Reason::ChartPullError,
            Self::Stat(_) => Reason::StatOperationFailed,
            Self::Store(_) => Reason::ArchiveOperationFailed,
            Self::Collect(_) => Reason::GarbageCollectionFailed,
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
