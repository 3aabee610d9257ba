//! A Helm chart as a source.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{OidcIdentityMatch, VerificationProvider};
use crate::{Artifact, Duration, LocalObjectReference, schema};

/// Which chart to fetch or package, and how often.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmChart",
    doc = "A Helm chart that becomes an artifact.",
    namespaced,
    status = "HelmChartStatus",
    schema = "disabled",
    derive = "PartialEq",
    shortname = "hc",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn = r#"{"name":"Chart","type":"string","jsonPath":".spec.chart"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.version"}"#,
    printcolumn = r#"{"name":"Source Kind","type":"string","jsonPath":".spec.sourceRef.kind"}"#,
    printcolumn = r#"{"name":"Source Name","type":"string","jsonPath":".spec.sourceRef.name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([
    {
        "rule": "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
        "message": "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'",
    },
])))]
pub struct HelmChartSpec {
    /// The chart's name in a Helm repository, or its directory or archive in another source.
    pub chart: String,
    /// Range of semantic versions; not read for charts of GitRepository and Bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "*"))]
    pub version: Option<String>,
    /// Where the chart is.
    pub source_ref: LocalHelmChartSourceReference,
    /// How often to look for a new chart.
    pub interval: Duration,
    /// What makes a new artifact.
    #[serde(default)]
    #[schemars(extend("x-default" = "ChartVersion"))]
    pub reconcile_strategy: ReconcileStrategy,
    /// Files of the chart's source that together become its values.yaml; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Deprecated, of v1beta1 and v1beta2: a file that is merged before those of `valuesFiles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_file: Option<String>,
    /// Whether a missing values file is passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing_values_files: bool,
    /// Whose signatures to require; for charts of a registry. A chart's dependencies are not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HelmChartVerification>,
    /// Whether to leave the source alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

impl HelmChartSpec {
    /// The files that together become the chart's values.yaml: that of former versions first.
    #[must_use]
    pub fn values_files(&self) -> Vec<&str> {
        let former = self.values_file.as_deref().filter(|file| !file.is_empty());
        former.into_iter().chain(self.values_files.iter().map(String::as_str)).collect()
    }

    /// The range of versions; any when empty.
    #[must_use]
    pub fn version(&self) -> &str {
        self.version.as_deref().filter(|version| !version.is_empty()).unwrap_or("*")
    }
}

/// Where a chart is, in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalHelmChartSourceReference {
    /// Its API version; not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Its kind.
    pub kind: ChartSourceKind,
    /// Its name.
    pub name: String,
}

wire_enum! {
    /// Kinds of sources that hold charts.
    #[derive(Default)]
    pub enum ChartSourceKind {
        /// A Helm repository.
        #[default]
        HelmRepository = "HelmRepository",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// An object store.
        Bucket = "Bucket",
    }
}

wire_enum! {
    /// What makes a new artifact of a chart.
    #[derive(Default)]
    pub enum ReconcileStrategy {
        /// Another version of the chart.
        #[default]
        ChartVersion = "ChartVersion",
        /// Another revision of the chart's source.
        Revision = "Revision",
    }
}

/// Which signatures to require.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartVerification {
    /// What made the signatures.
    #[serde(default)]
    #[schemars(extend("x-default" = "cosign", "x-required" = true))]
    pub provider: VerificationProvider,
    /// A Secret with the trusted public keys; keyless verification when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Identities of which one has to have signed, keyless.
    #[serde(rename = "matchOIDCIdentity", default, skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OidcIdentityMatch>,
}

/// What was seen and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-default" = json!({"observedGeneration": -1})))]
pub struct HelmChartStatus {
    /// The last generation that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The last artifact that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Where the newest artifact is served, whatever its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name of the chart that was last resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_chart_name: Option<String>,
    /// Revision of the source's artifact that was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_source_artifact_revision: Option<String>,
    /// `valuesFiles` as found and used for the artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// The last reconcile request that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
