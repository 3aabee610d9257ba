//! Helm releases: `helm.toolkit.fluxcd.io`.

mod actions;
mod release;
mod status;

pub use actions::{
    ActionStrategyName, ChartNameChangeStrategy, CrdsPolicy, DeletionPropagation, Install,
    InstallRemediation, InstallStrategy, RemediationStrategy, Rollback, ServerSideApply, Test, TestFilter,
    Uninstall, Upgrade, UpgradeRemediation, UpgradeStrategy,
};
pub use release::{
    ChartReferenceKind, CrossNamespaceChartReference, CrossNamespaceObjectReference, DriftDetection,
    DriftDetectionMode, HelmChartTemplate, HelmChartTemplateMetadata, HelmChartTemplateSpec,
    HelmChartTemplateVerification, HelmRelease, HelmReleaseSpec, KustomizePostRenderer, PostRenderStrategy,
    PostRenderer, ValuesKind, ValuesReference, WaitStrategy, WaitStrategyName,
};
pub use status::{HelmReleaseStatus, ReleaseAction, Snapshot, SnapshotAction, TestHookStatus};

/// The group of Helm releases.
pub const GROUP: &str = "helm.toolkit.fluxcd.io";
