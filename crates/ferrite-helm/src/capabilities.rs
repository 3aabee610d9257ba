//! What a cluster can do, as templates see it.

use ferrite_semver::Version;

use crate::error::Error;

/// The Kubernetes version assumed without a cluster: that of Helm 4.3's client library.
const DEFAULT_KUBE_VERSION: &str = "v1.37.0";

/// The Helm version templates are told; the one this engine follows.
pub const HELM_VERSION: &str = "v4.3.1";

/// A Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As given, with a leading `v`: `v1.33.2-gke.100`.
    pub version: String,
    /// Without vendor suffix: `v1.33.2`; what ranges are compared with.
    pub normalized: String,
    /// Major number.
    pub major: String,
    /// Minor number.
    pub minor: String,
}

impl KubeVersion {
    /// Reads a version.
    ///
    /// # Errors
    ///
    /// [`Error::Values`] when it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let version = Version::parse(text).map_err(|_| {
            let shown = ferrite_gotemplate::quote(text.as_bytes());
            Error::Values(format!("invalid kube version {shown}: invalid semantic version"))
        })?;
        let bare = text.strip_prefix('v').unwrap_or(text);
        Ok(Self {
            version: format!("v{bare}"),
            normalized: format!("v{}.{}.{}", version.major(), version.minor(), version.patch()),
            major: version.major().to_string(),
            minor: version.minor().to_string(),
        })
    }
}

/// What `.Capabilities` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// `group/version` and, with a cluster, `group/version/Kind`.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            kube_version: KubeVersion {
                version: DEFAULT_KUBE_VERSION.into(),
                normalized: DEFAULT_KUBE_VERSION.into(),
                major: "1".into(),
                minor: "37".into(),
            },
            api_versions: DEFAULT_APIS.iter().map(|api| (*api).to_owned()).collect(),
        }
    }
}

/// Every group and version of Helm 4.3's client library, and those of custom resource definitions, in Helm's order.
const DEFAULT_APIS: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
