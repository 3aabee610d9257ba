//! What can go wrong with a Kustomization: which step, whose move it is, and which reason a condition shows.

use std::{fmt, time::Duration};

use ferrite_api::Reason;
use ferrite_apply::{ApiError, ExpressionError, SourceId, TargetError};
use ferrite_artifact::FetchError;
use ferrite_runtime::{Class, Classify, Interrupted, ObjectKey};
use serde::Serialize;

use crate::{build::BuildError, decrypt::KeysError, variables::VariablesError};

/// The revision that a reconcile works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    /// The revision of the artifact.
    pub(crate) revision: String,
    /// The revision of the artifact's origin, where the source tells it.
    pub(crate) origin_revision: Option<String>,
}

/// A reconcile that failed: how, and with which revision, if it came that far.
#[derive(Debug)]
pub(crate) struct Error {
    /// The revision, once an artifact was fetched.
    pub(crate) attempt: Option<Attempt>,
    /// What failed.
    pub(crate) failure: Failure,
}

impl Error {
    /// A failure with a revision.
    pub(crate) fn at(attempt: &Attempt, failure: impl Into<Failure>) -> Self {
        Self { attempt: Some(attempt.clone()), failure: failure.into() }
    }
}

impl<F: Into<Failure>> From<F> for Error {
    fn from(failure: F) -> Self {
        Self { attempt: None, failure: failure.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.failure)
    }
}

/// What failed. The texts are Flux's where people match on them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The source is in another namespace, and that is not allowed.
    #[error("can't access '{0}', cross-namespace references have been blocked")]
    AccessDenied(SourceName),
    /// The kind of the source needs a feature gate.
    #[error("can't use '{0}', the feature gate ExternalArtifact is off")]
    ExternalArtifactOff(SourceName),
    /// Decryption as a service account needs a feature gate.
    #[error(
        "to use spec.decryption.serviceAccountName for decryption authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller"
    )]
    DecryptionIdentityOff,
    /// The keys for decryption cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An expression of the spec does not compile.
    #[error("Reconciliation failed terminally due to configuration error")]
    Expression(#[from] ExpressionError),
    /// The source does not exist.
    #[error("{kind}.{} \"{name}\" not found", ferrite_api::source::GROUP)]
    SourceNotFound {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// When to look again.
        again: Duration,
    },
    /// The source has not stored anything yet.
    #[error("Source artifact not found, retrying in {}", ferrite_api::Duration::from(*again))]
    NoArtifact {
        /// When to look again.
        again: Duration,
    },
    /// The stored artifact is gone; the source stores it anew.
    #[error("Source is not ready, artifact not found, retrying in {}", ferrite_api::Duration::from(*again))]
    ArtifactGone {
        /// When to look again.
        again: Duration,
    },
    /// A dependency is missing, not ready or behind.
    #[error("{unmet}")]
    Dependency {
        /// Which, and how.
        unmet: Unmet,
        /// When to look again.
        again: Duration,
    },
    /// The API server could not be asked.
    #[error("cannot read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// The artifact cannot be downloaded or is not what the source says.
    #[error("failed to download and extract the artifact")]
    Fetch(#[source] ferrite_artifact::FetchError),
    /// `spec.path` leads nowhere.
    #[error("kustomization path not found: {path}")]
    Path {
        /// The path as it is written.
        path: String,
    },
    /// The inventory in status cannot be read; what it meant is not known, so nothing may be applied or pruned.
    #[error(
        "cannot read the inventory; restore status.inventory, or remove the entry and delete its object by hand"
    )]
    Inventory(#[from] ferrite_resource::InventoryError),
    /// `spec.ignore` cannot be read.
    #[error("cannot use spec.ignore")]
    Ignore(#[from] ferrite_resource::ignore::IgnoreError),
    /// The variables cannot be had.
    #[error("post build failed")]
    Variables(#[from] VariablesError),
    /// The manifests cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No client for the target cluster.
    #[error("failed to build kube client")]
    Target(#[from] TargetError),
    /// Objects were refused.
    #[error(transparent)]
    Apply(#[from] ferrite_apply::ApplyError),
    /// Objects could not be deleted.
    #[error(transparent)]
    Prune(ferrite_apply::PruneError),
    /// Objects are not healthy.
    #[error("health check failed after {}", ferrite_api::Duration::from(*.after))]
    Health {
        /// How long was waited.
        after: Duration,
        /// Which objects, and how they are.
        source: ferrite_apply::WaitError,
    },
    /// The Kustomization is being deleted and its objects cannot be.
    #[error("pruning for deleted resource failed")]
    Teardown(#[source] ferrite_apply::PruneError),
    /// The driver ended the reconcile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Failure {
    /// Whether it is likely to pass by itself soon: somebody was away or busy, and nothing was refused for good.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Read { source, .. }
            | Self::Variables(VariablesError::Read { source, .. })
            | Self::Keys(KeysError::Read { source, .. })
            | Self::Target(TargetError::Secret { source, .. }) => is_away(source),
            Self::Fetch(error) => is_passing(error),
            Self::Apply(error) => error.failed().iter().any(|failed| is_unanswered(&failed.error)),
            Self::Prune(error) | Self::Teardown(error) => {
                error.failed.iter().any(|failed| is_unanswered(&failed.error))
            }
            Self::Interrupted(_) => true,
            Self::AccessDenied(_)
            | Self::ExternalArtifactOff(_)
            | Self::DecryptionIdentityOff
            | Self::Keys(_)
            | Self::Expression(_)
            | Self::SourceNotFound { .. }
            | Self::NoArtifact { .. }
            | Self::ArtifactGone { .. }
            | Self::Dependency { .. }
            | Self::Path { .. }
            | Self::Inventory(_)
            | Self::Ignore(_)
            | Self::Variables(_)
            | Self::Build(_)
            | Self::Target(_)
            | Self::Health { .. } => false,
        }
    }
}

/// No answer, or one that says to come back.
fn is_away(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500 || status.code == 429,
        _ => true,
    }
}

fn is_unanswered(error: &ApiError) -> bool {
    // A kind that is not served has no status either, but it was answered.
    let silent = error.code == 0 && !error.message.starts_with("no matches for kind");
    silent || error.code >= 500 || error.code == 429
}

fn is_passing(error: &FetchError) -> bool {
    match error {
        FetchError::Unreachable { .. }
        | FetchError::Stalled { .. }
        | FetchError::Digest { .. }
        | FetchError::Interrupted { .. } => true,
        FetchError::Status { status, .. } => *status >= 500 || *status == 429,
        FetchError::NotFound { .. }
        | FetchError::Url { .. }
        | FetchError::InvalidDigest { .. }
        | FetchError::Client(_)
        | FetchError::Archive { .. } => false,
    }
}

/// A source for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceName(String);

impl From<&SourceId> for SourceName {
    fn from(id: &SourceId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What keeps a dependency from being met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// It does not exist.
    Missing(ObjectKey),
    /// It is not ready.
    NotReady(ObjectKey),
    /// It has another revision of the same source.
    Behind(ObjectKey),
    /// It waits for this one itself, by way of these.
    Cycle(Vec<ObjectKey>),
    /// Its `readyExpr` does not hold.
    Expression(ObjectKey),
    /// Its `readyExpr` cannot be evaluated.
    Evaluation(ObjectKey, String),
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(formatter, "dependency '{key}' not found"),
            Self::NotReady(key) => write!(formatter, "dependency '{key}' is not ready"),
            Self::Behind(key) => write!(formatter, "dependency '{key}' revision is not up to date"),
            Self::Cycle(path) => {
                let path: Vec<String> = path.iter().map(|key| format!("'{key}'")).collect();
                let path = path.join(" waits for ");
                write!(formatter, "dependency cycle: {path}; remove one of them from spec.dependsOn")
            }
            Self::Expression(key) => {
                write!(formatter, "dependency '{key}' is not ready according to readyExpr eval")
            }
            Self::Evaluation(key, why) => write!(formatter, "dependency '{key}' readyExpr: {why}"),
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match &self.failure {
            Failure::AccessDenied(_)
            | Failure::ExternalArtifactOff(_)
            | Failure::DecryptionIdentityOff
            | Failure::Expression(_)
            | Failure::Ignore(_) => Class::Stalled,
            Failure::SourceNotFound { again, .. }
            | Failure::NoArtifact { again }
            | Failure::ArtifactGone { again }
            | Failure::Dependency { again, .. } => Class::Wait(*again),
            Failure::Read { .. }
            | Failure::Fetch(_)
            | Failure::Path { .. }
            | Failure::Inventory(_)
            | Failure::Keys(_)
            | Failure::Variables(_)
            | Failure::Build(_)
            | Failure::Target(_)
            | Failure::Apply(_)
            | Failure::Prune(_)
            | Failure::Health { .. }
            | Failure::Teardown(_)
            | Failure::Interrupted(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match &self.failure {
            Failure::AccessDenied(_) => Reason::AccessDenied,
            Failure::ExternalArtifactOff(_) | Failure::DecryptionIdentityOff => Reason::FeatureGateDisabled,
            Failure::Expression(_) => Reason::InvalidCelExpression,
            Failure::SourceNotFound { .. }
            | Failure::NoArtifact { .. }
            | Failure::ArtifactGone { .. }
            | Failure::Fetch(_)
            | Failure::Path { .. } => Reason::ArtifactFailed,
            Failure::Dependency { .. } => Reason::DependencyNotReady,
            Failure::Keys(_) | Failure::Variables(_) | Failure::Build(_) => Reason::BuildFailed,
            Failure::Read { .. }
            | Failure::Ignore(_)
            | Failure::Inventory(_)
            | Failure::Target(_)
            | Failure::Apply(_) => Reason::ReconciliationFailed,
            Failure::Prune(_) | Failure::Teardown(_) => Reason::PruneFailed,
            Failure::Health { .. } => Reason::HealthCheckFailed,
            Failure::Interrupted(Interrupted::Superseded) => Reason::HealthCheckCanceled,
            Failure::Interrupted(Interrupted::Shutdown) => Reason::Progressing,
            Failure::Interrupted(Interrupted::Panicked(_)) => Reason::ReconciliationFailed,
        }
        .as_str()
    }
}
