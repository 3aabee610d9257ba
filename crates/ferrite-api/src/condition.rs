//! Names of conditions.

wire_enum! {
    /// The type of a condition, as Flux names it.
    ///
    /// Sources: `api/*/condition_types.go` of Flux's controllers, and kstatus for the first three.
    pub enum ConditionType {
        /// Whether the object is as its spec asks.
        Ready = "Ready",
        /// A reconcile is under way; exists only while True.
        Reconciling = "Reconciling",
        /// Only an edit or a request can help; exists only while True.
        Stalled = "Stalled",
        /// The artifact of the observed revision is stored.
        ArtifactInStorage = "ArtifactInStorage",
        /// The stored artifact is older than the source; exists only while True.
        ArtifactOutdated = "ArtifactOutdated",
        /// Whether the source's signature was verified.
        SourceVerified = "SourceVerified",
        /// The source could not be read; exists only while True.
        FetchFailed = "FetchFailed",
        /// The artifact could not be built; exists only while True.
        BuildFailed = "BuildFailed",
        /// The storage failed; exists only while True.
        StorageOperationFailed = "StorageOperationFailed",
        /// An included repository is missing or has no artifact; exists only while True.
        IncludeUnavailable = "IncludeUnavailable",
        /// Whether every applied object is healthy.
        Healthy = "Healthy",
        /// Whether the last install or upgrade succeeded.
        Released = "Released",
        /// Whether the release's tests passed.
        TestSuccess = "TestSuccess",
        /// Whether a failed release was rolled back or uninstalled.
        Remediated = "Remediated",
        /// Whether the cluster differs from the release.
        Drifted = "Drifted",
    }
}
