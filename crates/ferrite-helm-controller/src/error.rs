//! What can go wrong with a HelmRelease: whose move it is, and which reason a condition shows.

use std::time::Duration;

use ferrite_api::Reason;
use ferrite_runtime::{Class, Classify, Interrupted};

use ferrite_apply::{ExpressionError, TargetError};

/// What failed. The texts are Flux's where people match on them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither or both of `chart` and `chartRef`.
    #[error("invalid Chart reference")]
    Reference,
    /// The chart is in another namespace, and that is not allowed.
    #[error("can't access '{0}', cross-namespace references have been blocked")]
    AccessDenied(String),
    /// The kind of the chart needs a feature gate.
    #[error("can't access '{0}', ExternalArtifact feature gate is disabled")]
    ExternalArtifactOff(String),
    /// An expression of the spec does not compile.
    #[error("Reconciliation failed terminally due to configuration error")]
    Expression(#[from] ExpressionError),
    /// `driftDetection.ignore` cannot be read.
    #[error("cannot use spec.driftDetection.ignore")]
    Ignore(#[from] ferrite_resource::ignore::IgnoreError),
    /// The HelmChart could not be written.
    #[error("failed to reconcile HelmChart '{name}'")]
    ChartSync {
        /// Namespace and name.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// A dependency is missing or not ready.
    #[error("{text}")]
    Dependency {
        /// Which, and how.
        text: String,
        /// When to look again.
        again: Duration,
    },
    /// The chart's source could not be read.
    #[error("could not get Source object: {0}")]
    Source(String),
    /// The chart's source has nothing to release now.
    #[error("{source_id} is not ready: {why}")]
    SourceNotReady {
        /// The source.
        source_id: String,
        /// What is missing.
        why: String,
        /// When to look again.
        again: Duration,
    },
    /// The values cannot be had.
    #[error("{0}")]
    Values(String),
    /// The stored chart is gone; the source stores it anew.
    #[error("Source not ready: artifact not found. Retrying in {}", ferrite_api::Duration::from(*again))]
    ArtifactGone {
        /// When to look again.
        again: Duration,
    },
    /// The chart cannot be downloaded or read.
    #[error("Could not load chart: {0}")]
    Load(String),
    /// The chart's version does not fit its artifact.
    #[error("{0}")]
    Mutate(String),
    /// No client for the target cluster.
    #[error("failed to build kube client")]
    Target(#[from] TargetError),
    /// Helm's records cannot be read.
    #[error("Could not determine release state: {0}")]
    State(String),
    /// An action failed before it left a record; the conditions tell how.
    #[error("{0}")]
    Action(String),
    /// The release is being deleted and cannot be uninstalled.
    #[error("{0}")]
    Teardown(String),
    /// The driver ended the reconcile.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Reference
            | Self::AccessDenied(_)
            | Self::ExternalArtifactOff(_)
            | Self::Expression(_)
            | Self::Ignore(_) => Class::Stalled,
            Self::Dependency { again, .. }
            | Self::SourceNotReady { again, .. }
            | Self::ArtifactGone { again } => Class::Wait(*again),
            Self::ChartSync { .. }
            | Self::Source(_)
            | Self::Values(_)
            | Self::Load(_)
            | Self::Mutate(_)
            | Self::Target(_)
            | Self::State(_)
            | Self::Action(_)
            | Self::Teardown(_)
            | Self::Interrupted(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::AccessDenied(_) | Self::ExternalArtifactOff(_) => Reason::AccessDenied,
            Self::Reference | Self::Ignore(_) => Reason::ConfigFactoryErr,
            Self::Expression(_) => Reason::InvalidCelExpression,
            Self::ChartSync { .. } => Reason::HelmChartSyncErr,
            Self::Dependency { .. } => Reason::DependencyNotReady,
            Self::Source(_) | Self::ArtifactGone { .. } | Self::Load(_) => Reason::ArtifactFailed,
            Self::SourceNotReady { .. } => Reason::SourceNotReady,
            Self::Values(_) => Reason::ValuesError,
            Self::Mutate(_) => Reason::ChartMutateError,
            Self::Target(_) => Reason::RestClientError,
            Self::State(_) => Reason::StateError,
            Self::Teardown(_) => Reason::UninstallFailed,
            Self::Interrupted(Interrupted::Superseded | Interrupted::Shutdown) => Reason::Progressing,
            Self::Action(_) | Self::Interrupted(Interrupted::Panicked(_)) => Reason::ReconcileError,
        }
        .as_str()
    }
}
