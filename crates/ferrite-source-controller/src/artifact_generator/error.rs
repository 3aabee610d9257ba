//! What can go wrong with an ArtifactGenerator, and whose move it is.

use std::{sync::Arc, time::Duration};

use ferrite_api::Reason;
use ferrite_artifact::{ArchiveError, IgnoreError, StoreError};
use ferrite_runtime::{Class, Classify, Interrupted};

use super::ComposeError;

/// Why a generator's artifacts are not as its spec asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The spec contradicts itself.
    #[error("{0}")]
    Validation(String),
    /// The spec names a source that it may not read.
    #[error("{0}")]
    Denied(String),
    /// A source cannot be read, has no artifact, or it cannot be fetched.
    #[error("get sources failed: {problem}")]
    Sources {
        /// Which, and why.
        problem: String,
        /// When to look again.
        again: Duration,
    },
    /// The pattern, or what it makes of the directories, cannot be used.
    #[error("failed to expand path pattern: {0}")]
    Pattern(String),
    /// An artifact cannot be put together.
    #[error("{name} build failed")]
    Compose {
        /// Its name.
        name: String,
        /// Why not.
        source: ComposeError,
    },
    /// An artifact cannot be archived.
    #[error("{name} build failed")]
    Archive {
        /// Its name.
        name: String,
        /// Why not.
        source: Arc<ArchiveError>,
    },
    /// The built-in rules could not be used.
    #[error("{name} build failed")]
    Rules {
        /// The artifact's name.
        name: String,
        /// Why not.
        source: Arc<IgnoreError>,
    },
    /// An artifact cannot be stored.
    #[error("{name} build failed")]
    Store {
        /// Its name.
        name: String,
        /// Why not.
        source: Arc<StoreError>,
    },
    /// An ExternalArtifact cannot be written.
    #[error("{name} reconcile failed: {problem}")]
    Apply {
        /// Its name.
        name: String,
        /// What the API server said.
        problem: String,
    },
    /// What is no longer wanted cannot be removed.
    #[error("failed to remove {name}: {problem}")]
    Remove {
        /// What.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The storage or the ExternalArtifacts could not be examined.
    #[error("failed to look at the generated artifacts: {0}")]
    Look(String),
    /// The deadline passed.
    #[error("the reconciliation took longer than {timeout:?}; see --reconciliation-timeout")]
    Timeout {
        /// The deadline.
        timeout: Duration,
    },
    /// The driver ended the reconcile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Validation(_) | Self::Denied(_) | Self::Pattern(_) => Class::Stalled,
            Self::Sources { again, .. } => Class::Wait(*again),
            Self::Compose { .. }
            | Self::Archive { .. }
            | Self::Rules { .. }
            | Self::Store { .. }
            | Self::Apply { .. }
            | Self::Remove { .. }
            | Self::Look(_)
            | Self::Timeout { .. } => Class::Retry,
            Self::Interrupted(interrupted) => interrupted.class(),
        }
    }

    fn reason(&self) -> &'static str {
        let reason = match self {
            Self::Validation(_) => Reason::ValidationFailed,
            Self::Denied(_) => Reason::AccessDenied,
            Self::Sources { .. } => Reason::SourceFetchFailed,
            Self::Pattern(_)
            | Self::Compose { .. }
            | Self::Archive { .. }
            | Self::Rules { .. }
            | Self::Store { .. } => Reason::BuildFailed,
            Self::Apply { .. } | Self::Remove { .. } | Self::Look(_) | Self::Timeout { .. } => {
                Reason::ReconciliationFailed
            }
            Self::Interrupted(interrupted) => return interrupted.reason(),
        };
        reason.as_str()
    }
}
