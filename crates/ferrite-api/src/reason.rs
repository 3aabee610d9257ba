//! Reasons of conditions and events.

#[cfg(test)]
mod tests;

wire_enum! {
    /// Why a condition has its status, and why an event was emitted.
    ///
    /// The words are API: people alert on them. They are Flux's (`api/*/condition_types.go` and literals of its
    /// controllers); `reason/tests.rs` pins the list.
    pub enum Reason {
        // Every kind.
        /// All is as asked.
        Succeeded = "Succeeded",
        /// Something failed that has no reason of its own.
        Failed = "Failed",
        /// As `Failed`, in the image controllers.
        Failure = "Failure",
        /// A reconcile is under way.
        Progressing = "Progressing",
        /// A reconcile failed and will be tried again.
        ProgressingWithRetry = "ProgressingWithRetry",
        /// The object is suspended.
        Suspended = "Suspended",
        /// An object named in `dependsOn`, or one the object needs, is not ready.
        DependencyNotReady = "DependencyNotReady",
        /// A reference crosses namespaces and may not.
        AccessDenied = "AccessDenied",
        /// A CEL expression does not compile.
        InvalidCelExpression = "InvalidCELExpression",
        /// The spec asks for what a feature gate switches off.
        FeatureGateDisabled = "FeatureGateDisabled",
        /// A newer revision or deletion ended the wait for healthy objects.
        HealthCheckCanceled = "HealthCheckCanceled",
        /// A path leaves the artifact or does not exist.
        InvalidPath = "InvalidPath",
        /// The object and what it owns could not be cleaned up, or old artifacts could not be removed.
        GarbageCollectionFailed = "GarbageCollectionFailed",
        /// Old artifacts or owned objects were removed.
        GarbageCollectionSucceeded = "GarbageCollectionSucceeded",

        // Sources.
        /// A URL is not one, or its scheme does not fit.
        UrlInvalid = "URLInvalid",
        /// Credentials are missing, wrong or refused.
        AuthenticationFailed = "AuthenticationFailed",
        /// A signature is missing or wrong.
        VerificationError = "VerificationError",
        /// The stored artifact is not what its digest says.
        ArtifactVerificationFailed = "ArtifactVerificationFailed",
        /// A directory could not be made.
        DirectoryCreationFailed = "DirectoryCreationFailed",
        /// A file could not be examined.
        StatOperationFailed = "StatOperationFailed",
        /// A file could not be read.
        ReadOperationFailed = "ReadOperationFailed",
        /// A lock could not be taken.
        AcquireLockFailed = "AcquireLockFailed",
        /// The artifact could not be written.
        ArchiveOperationFailed = "ArchiveOperationFailed",
        /// The link to the newest artifact could not be moved.
        SymlinkUpdateFailed = "SymlinkUpdateFailed",
        /// The stored artifact is that of the source's revision.
        ArtifactUpToDate = "ArtifactUpToDate",
        /// A cache failed.
        CacheOperationFailed = "CacheOperationFailed",
        /// The object could not be patched.
        PatchOperationFailed = "PatchOperationFailed",
        /// The bucket's STS settings contradict each other.
        InvalidStsConfiguration = "InvalidSTSConfiguration",
        /// The provider's settings contradict each other.
        InvalidProviderConfiguration = "InvalidProviderConfiguration",
        /// There is a new revision.
        NewRevision = "NewRevision",
        /// A new artifact was stored.
        NewArtifact = "NewArtifact",
        /// There is no artifact yet.
        NoArtifact = "NoArtifact",
        /// A referenced source has no artifact yet.
        NoSourceArtifact = "NoSourceArtifact",
        /// A referenced object does not exist.
        NotFound = "NotFound",
        /// Git answered.
        GitOperationSucceeded = "GitOperationSucceeded",
        /// Git failed.
        GitOperationFailed = "GitOperationFailed",
        /// The repository has no commits.
        EmptyGitRepository = "EmptyGitRepository",
        /// The file .sourceignore could not be read.
        SourceIgnoreError = "SourceIgnoreError",
        /// `verify.mode` is not known.
        InvalidVerificationMode = "InvalidVerificationMode",
        /// What was fetched is neither the commit nor the tag that has to be signed.
        InvalidGitObject = "InvalidGitObject",
        /// The commit's signature is missing, wrong or of an unknown key.
        InvalidCommitSignature = "InvalidCommitSignature",
        /// The tag's signature is missing, wrong or of an unknown key.
        InvalidTagSignature = "InvalidTagSignature",
        /// An include changed.
        IncludeChange = "IncludeChange",
        /// An include points out of the artifact.
        IllegalPath = "IllegalPath",
        /// An include could not be copied.
        CopyFailure = "CopyFailure",
        /// The bucket answered.
        BucketOperationSucceeded = "BucketOperationSucceeded",
        /// The bucket failed.
        BucketOperationFailed = "BucketOperationFailed",
        /// An OCI artifact could not be pulled.
        OciArtifactPullFailed = "OCIArtifactPullFailed",
        /// A layer of an OCI artifact could not be taken.
        OciArtifactLayerOperationFailed = "OCIArtifactLayerOperationFailed",
        /// A Helm repository's index could not be read.
        IndexationFailed = "IndexationFailed",
        /// There is a new chart.
        NewChart = "NewChart",
        /// A chart was pulled.
        ChartPullSucceeded = "ChartPullSucceeded",
        /// A chart could not be pulled.
        ChartPullError = "ChartPullError",
        /// A chart was packaged.
        ChartPackageSucceeded = "ChartPackageSucceeded",
        /// A chart could not be packaged.
        ChartPackageError = "ChartPackageError",
        /// A chart's signature is missing or wrong.
        ChartVerificationError = "ChartVerificationError",
        /// A chart's dependencies could not be built.
        DependencyBuildError = "DependencyBuildError",
        /// A chart's dependencies were resolved.
        ResolvedDependencies = "ResolvedDependencies",
        /// A chart's name or version names nothing that exists.
        InvalidChartReference = "InvalidChartReference",
        /// A chart's metadata could not be changed.
        MetadataPatchError = "MetadataPatchError",
        /// A chart's values files could not be merged.
        ValuesFilesError = "ValuesFilesError",
        /// A chart's source does not exist or could not be read.
        SourceUnavailable = "SourceUnavailable",
        /// A chart's source is of a kind that holds no charts.
        UnsupportedSourceKind = "UnsupportedSourceKind",

        // Artifact generators.
        /// A source of a generator could not be fetched.
        SourceFetchFailed = "SourceFetchFailed",
        /// The object opted out of being reconciled.
        ReconciliationDisabled = "ReconciliationDisabled",
        /// A generator is ready.
        Ready = "Ready",

        // Kustomizations.
        /// Everything was applied.
        ReconciliationSucceeded = "ReconciliationSucceeded",
        /// Something could not be applied.
        ReconciliationFailed = "ReconciliationFailed",
        /// The source's artifact could not be fetched or is missing.
        ArtifactFailed = "ArtifactFailed",
        /// The manifests could not be built.
        BuildFailed = "BuildFailed",
        /// What is no longer wanted could not be removed.
        PruneFailed = "PruneFailed",
        /// An applied object is not healthy.
        HealthCheckFailed = "HealthCheckFailed",

        // Helm releases.
        /// The release was installed.
        InstallSucceeded = "InstallSucceeded",
        /// The release could not be installed.
        InstallFailed = "InstallFailed",
        /// The release was upgraded.
        UpgradeSucceeded = "UpgradeSucceeded",
        /// The release could not be upgraded.
        UpgradeFailed = "UpgradeFailed",
        /// The release's tests passed.
        TestSucceeded = "TestSucceeded",
        /// The release's tests failed.
        TestFailed = "TestFailed",
        /// The release was rolled back.
        RollbackSucceeded = "RollbackSucceeded",
        /// The release could not be rolled back.
        RollbackFailed = "RollbackFailed",
        /// The release was uninstalled.
        UninstallSucceeded = "UninstallSucceeded",
        /// The release could not be uninstalled.
        UninstallFailed = "UninstallFailed",
        /// The chart's source is not ready.
        SourceNotReady = "SourceNotReady",
        /// The release's HelmChart could not be made or changed.
        HelmChartSyncErr = "HelmChartSyncErr",
        /// The release's HelmChart was deleted.
        HelmChartDeleted = "HelmChartDeleted",
        /// The values could not be put together.
        ValuesError = "ValuesError",
        /// The chart could not be changed for this release.
        ChartMutateError = "ChartMutateError",
        /// No client for the target cluster could be made.
        RestClientError = "RESTClientError",
        /// No manager for the release's objects could be made.
        ResourceManagerError = "ResourceManagerError",
        /// The Helm action could not be set up.
        FactoryError = "FactoryError",
        /// The Helm action's settings are wrong.
        ConfigFactoryErr = "ConfigFactoryErr",
        /// The release's state could not be determined.
        StateError = "StateError",
        /// A release action failed in a way that has no reason of its own.
        ReconcileError = "ReconcileError",
        /// Another action on the release is under way.
        PendingRelease = "PendingRelease",
        /// The release's tests have not run yet.
        AwaitingTests = "AwaitingTests",
        /// All retries are used up.
        RetriesExceeded = "RetriesExceeded",
        /// There is no earlier release to roll back to.
        MissingRollbackTarget = "MissingRollbackTarget",
        /// The cluster differs from the release.
        DriftDetected = "DriftDetected",
        /// The cluster is as the release says.
        NoDriftDetected = "NoDriftDetected",
        /// The release's inventory could not be built.
        InventoryBuildFailed = "InventoryBuildFailed",
        /// Namespaces of the release's objects were not looked up.
        NamespaceCheckSkipped = "NamespaceCheckSkipped",

        // Notification.
        /// The object is initialised.
        Initialized = "Initialized",
        /// The spec is not valid.
        ValidationFailed = "ValidationFailed",
        /// A receiver's token is missing.
        TokenNotFound = "TokenNotFound",
        /// A notification could not be sent.
        NotificationDispatchFailed = "NotificationDispatchFailed",
        /// Metadata of an event came from several places.
        MetadataAppendFailed = "MetadataAppendFailed",
        /// The spec's settings contradict each other.
        InvalidConfig = "InvalidConfig",

        // Images.
        /// An image's name is not one.
        ImageUrlInvalid = "ImageURLInvalid",
        /// A policy is not valid.
        InvalidPolicy = "InvalidPolicy",
        /// A policy asks for an interval and has none.
        IntervalNotConfigured = "IntervalNotConfigured",
        /// The update strategy is not known.
        InvalidUpdateStrategy = "InvalidUpdateStrategy",
        /// The source settings of an automation contradict each other.
        InvalidSourceConfiguration = "InvalidSourceConfiguration",
        /// The source of an automation could not be prepared.
        SourceManagerFailed = "SourceManagerFailed",
        /// Files could not be updated.
        UpdateFailed = "UpdateFailed",
        /// The policy selector is not valid.
        InvalidPolicySelector = "InvalidPolicySelector",
        /// A commit template uses a field that is gone.
        RemovedTemplateField = "RemovedTemplateField",
    }
}
