//! What is known of a release.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Duration, Inventory, schema};

/// What was released.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-default" = json!({"observedGeneration": -1})))]
pub struct HelmReleaseStatus {
    /// The last generation that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The generation that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_generation: Option<i64>,
    /// `<namespace>/<name>` of the HelmChart that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<String>,
    /// Namespace of Helm's records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: Option<String>,
    /// Releases, newest first, back to the last one that worked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// The objects of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// The action that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<ReleaseAction>,
    /// How long that took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = null))]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// Failures since the spec last changed or the last success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// Failed installs since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub install_failures: i64,
    /// Failed upgrades since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,
    /// The chart's version that was last tried; for an OCI artifact with the first 12 digits of its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// Digest of the OCI artifact that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision_digest: Option<String>,
    /// Digest of the values that were last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_config_digest: Option<String>,
    /// Deprecated: SHA-1 of the values that were last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_values_checksum: Option<String>,
    /// Deprecated: number of the last release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_release_revision: Option<i32>,
    /// Digest of the post-renderers that were last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_post_renderers_digest: Option<String>,
    /// Digest of the common metadata that was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_common_metadata_digest: Option<String>,
    /// The last reconcile request that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The last request to force a release that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_force_at: Option<String>,
    /// The last request to forget failures that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset_at: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

wire_enum! {
    /// What made a release what it is.
    pub enum SnapshotAction {
        /// An install.
        Install = "install",
        /// An upgrade.
        Upgrade = "upgrade",
        /// The rollback after a failed upgrade.
        Rollback = "rollback",
        /// An uninstall, because the object goes or its target changed.
        Uninstall = "uninstall",
        /// The uninstall after a failed action.
        UninstallRemediation = "uninstall-remediation",
    }
}

impl From<ReleaseAction> for SnapshotAction {
    fn from(action: ReleaseAction) -> Self {
        match action {
            ReleaseAction::Install => Self::Install,
            ReleaseAction::Upgrade => Self::Upgrade,
        }
    }
}

wire_enum! {
    /// What is done with a release.
    pub enum ReleaseAction {
        /// Install.
        Install = "install",
        /// Upgrade.
        Upgrade = "upgrade",
    }
}

/// One release, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Version of the way `digest` is computed; `v2` today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Digest of Helm's record, `<algorithm>:<hex>`.
    pub digest: String,
    /// The action that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = null))]
    pub action: Option<SnapshotAction>,
    /// The release's name.
    pub name: String,
    /// The release's namespace.
    pub namespace: String,
    /// The release's number.
    pub version: i32,
    /// Helm's state of the release.
    pub status: String,
    /// The chart's name.
    pub chart_name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The version of what the chart holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Digest of the values, `<algorithm>:<hex>`.
    pub config_digest: String,
    /// When it was first deployed.
    #[schemars(schema_with = "schema::time")]
    pub first_deployed: Time,
    /// When it was last deployed.
    #[schemars(schema_with = "schema::time")]
    pub last_deployed: Time,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub deleted: Option<Time>,
    /// Its tests, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, TestHookStatus>>")]
    pub test_hooks: Option<BTreeMap<String, Option<TestHookStatus>>>,
    /// Digest of the OCI artifact that the chart came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestHookStatus {
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_started: Option<Time>,
    /// When it was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_completed: Option<Time>,
    /// Helm's phase of the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
