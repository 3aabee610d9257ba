use super::*;

/// Every reason of Flux 2.9's controllers, sorted.
const FLUX: &str = "
    AccessDenied AcquireLockFailed ArchiveOperationFailed ArtifactFailed ArtifactUpToDate
    ArtifactVerificationFailed AuthenticationFailed AwaitingTests BucketOperationFailed
    BucketOperationSucceeded BuildFailed CacheOperationFailed ChartMutateError ChartPackageError
    ChartPackageSucceeded ChartPullError ChartPullSucceeded ChartVerificationError ConfigFactoryErr
    CopyFailure DependencyBuildError DependencyNotReady DirectoryCreationFailed DriftDetected
    EmptyGitRepository FactoryError Failed Failure FeatureGateDisabled GarbageCollectionFailed
    GarbageCollectionSucceeded GitOperationFailed GitOperationSucceeded HealthCheckCanceled
    HealthCheckFailed HelmChartDeleted HelmChartSyncErr IllegalPath ImageURLInvalid IncludeChange
    IndexationFailed Initialized InstallFailed InstallSucceeded IntervalNotConfigured InvalidCELExpression
    InvalidChartReference InvalidCommitSignature InvalidConfig InvalidGitObject InvalidPath InvalidPolicy
    InvalidPolicySelector InvalidProviderConfiguration InvalidSTSConfiguration InvalidSourceConfiguration
    InvalidTagSignature InvalidUpdateStrategy InvalidVerificationMode InventoryBuildFailed
    MetadataAppendFailed MetadataPatchError MissingRollbackTarget NamespaceCheckSkipped NewArtifact NewChart
    NewRevision NoArtifact NoDriftDetected NoSourceArtifact NotFound NotificationDispatchFailed
    OCIArtifactLayerOperationFailed OCIArtifactPullFailed PatchOperationFailed PendingRelease Progressing
    ProgressingWithRetry PruneFailed RESTClientError ReadOperationFailed Ready ReconcileError
    ReconciliationDisabled ReconciliationFailed ReconciliationSucceeded RemovedTemplateField
    ResolvedDependencies ResourceManagerError RetriesExceeded RollbackFailed RollbackSucceeded
    SourceFetchFailed SourceIgnoreError SourceManagerFailed SourceNotReady SourceUnavailable
    StatOperationFailed StateError Succeeded Suspended SymlinkUpdateFailed TestFailed TestSucceeded
    TokenNotFound URLInvalid UninstallFailed UninstallSucceeded UnsupportedSourceKind UpdateFailed
    UpgradeFailed UpgradeSucceeded ValidationFailed ValuesError ValuesFilesError VerificationError
";

#[test]
fn the_words_are_those_of_flux() {
    let mut ours: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    ours.sort_unstable();
    assert_eq!(ours, FLUX.split_whitespace().collect::<Vec<_>>());
}

/// The pattern of `status.conditions[].reason` in every CRD.
#[test]
fn every_word_is_a_valid_condition_reason() {
    for reason in Reason::ALL {
        let word = reason.as_str();
        assert!(word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.len() <= 1024, "{word}");
        assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
    }
}
