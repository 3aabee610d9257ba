//! Tenants: namespaces, each with an account that may only act there.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

/// Options of `ferrite create tenant`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Tenant {
    /// Its name.
    name: String,
    /// Namespaces of the tenant.
    #[arg(long, value_delimiter = ',', required = true)]
    with_namespace: Vec<String>,
    /// Role of the account in them.
    #[arg(long, default_value = "cluster-admin")]
    cluster_role: String,
    /// Account of the tenant. Default: named as the tenant.
    #[arg(long)]
    with_service_account: Option<String>,
    /// The namespaces exist.
    #[arg(long)]
    skip_namespace: bool,
}

impl Tenant {
    pub(super) fn objects(&self, labels: &Map<String, Value>) -> Result<Vec<Value>> {
        if self.name.is_empty() || self.name.contains('/') {
            bail!("invalid tenant name '{}'", self.name);
        }
        let mut labels = labels.clone();
        labels.insert("toolkit.fluxcd.io/tenant".to_owned(), self.name.as_str().into());
        let account = self.with_service_account.as_deref().unwrap_or(&self.name);
        let mut objects = Vec::new();
        for namespace in &self.with_namespace {
            if !self.skip_namespace {
                objects.push(json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": super::metadata(namespace, "", &labels),
                }));
            }
            objects.push(json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": super::metadata(account, namespace, &labels),
            }));
            objects.push(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": super::metadata(&format!("{}-reconciler", self.name), namespace, &labels),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.cluster_role},
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": format!("gotk:{namespace}:reconciler")},
                    {"kind": "ServiceAccount", "name": account, "namespace": namespace},
                ],
            }));
        }
        Ok(objects)
    }
}
