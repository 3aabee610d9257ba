//! Kustomizations and HelmReleases.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::spec::{Spec, dependencies, duration, reference};
use crate::session::Wait;

/// Options of `ferrite create kustomization`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Kustomization {
    /// Its name.
    pub(super) name: String,
    /// What it is made from: [Kind/]name[.namespace], a GitRepository unless said.
    #[arg(long)]
    source: String,
    /// Directory of the source.
    #[arg(long, default_value = "./")]
    path: String,
    /// Delete what the source does not have any more.
    #[arg(long)]
    prune: bool,
    /// Wait for everything that is applied.
    #[arg(long)]
    wait: bool,
    /// Workloads to wait for: Kind/name.namespace.
    #[arg(long, value_delimiter = ',')]
    health_check: Vec<String>,
    /// How long to wait for them.
    #[arg(long, default_value = "2m")]
    health_check_timeout: Wait,
    /// Kustomizations that must be ready before: [namespace/]name[@expression].
    #[arg(long, value_delimiter = ',')]
    depends_on: Vec<String>,
    /// Account to impersonate.
    #[arg(long)]
    service_account: Option<String>,
    /// How manifests are encrypted.
    #[arg(long, value_parser = ["sops"])]
    decryption_provider: Option<String>,
    /// Secret with the keys.
    #[arg(long, requires = "decryption_provider")]
    decryption_secret: Option<String>,
    /// Namespace of everything that is applied.
    #[arg(long)]
    target_namespace: Option<String>,
    /// Secret with the kubeconfig of another cluster.
    #[arg(long)]
    kubeconfig_secret_ref: Option<String>,
    /// How soon to try again after a failure.
    #[arg(long)]
    retry_interval: Option<Wait>,
}

impl Kustomization {
    pub(super) fn spec(&self, interval: Value) -> Result<Value> {
        let checks: Result<Vec<Value>> = self.health_check.iter().map(|text| health_check(text)).collect();
        let waits = self.wait || !self.health_check.is_empty();
        Ok(Spec::default()
            .put("interval", Some(interval))
            .put("path", Some(self.path.as_str()))
            .put("prune", Some(self.prune))
            .put("sourceRef", Some(reference(&self.source, "GitRepository")?))
            .flag("wait", self.wait)
            .list("healthChecks", checks?)
            .put("timeout", waits.then(|| duration(self.health_check_timeout)))
            .list("dependsOn", dependencies(&self.depends_on))
            .put("serviceAccountName", self.service_account.clone())
            .put("decryption.provider", self.decryption_provider.clone())
            .put("decryption.secretRef.name", self.decryption_secret.clone())
            .put("targetNamespace", self.target_namespace.clone())
            .put("kubeConfig.secretRef.name", self.kubeconfig_secret_ref.clone())
            .put("retryInterval", self.retry_interval.map(duration))
            .done())
    }
}

fn health_check(text: &str) -> Result<Value> {
    let (kind, rest) = text.split_once('/').with_context(|| wrong_check(text))?;
    let (name, namespace) = rest.split_once('.').with_context(|| wrong_check(text))?;
    let version = match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" => "apps/v1",
        "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
        _ => bail!(
            "invalid health check kind '{kind}', can be HelmRelease, Deployment, DaemonSet or StatefulSet"
        ),
    };
    Ok(json!({"apiVersion": version, "kind": kind, "name": name, "namespace": namespace}))
}

fn wrong_check(text: &str) -> String {
    format!("invalid health check '{text}', must be in the format 'kind/name.namespace'")
}

/// Options of `ferrite create helmrelease`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HelmRelease {
    /// Its name.
    pub(super) name: String,
    /// Name of the Helm release.
    #[arg(long)]
    release_name: Option<String>,
    /// Where the chart is from: [Kind/]name[.namespace], a HelmRepository unless said.
    #[arg(long, requires = "chart", required_unless_present = "chart_ref")]
    source: Option<String>,
    /// Name or path of the chart.
    #[arg(long, requires = "source")]
    chart: Option<String>,
    /// Chart of an object: Kind/name[.namespace], with OCIRepository, HelmChart or ExternalArtifact.
    #[arg(long, conflicts_with = "chart")]
    chart_ref: Option<String>,
    /// Version or range of the chart.
    #[arg(long)]
    chart_version: Option<String>,
    /// How often to look for new versions of the chart.
    #[arg(long)]
    chart_interval: Option<Wait>,
    /// HelmReleases that must be ready before: [namespace/]name[@expression].
    #[arg(long, value_delimiter = ',')]
    depends_on: Vec<String>,
    /// Namespace to install into.
    #[arg(long)]
    target_namespace: Option<String>,
    /// Namespace of the release's records.
    #[arg(long)]
    storage_namespace: Option<String>,
    /// Make the target namespace.
    #[arg(long)]
    create_target_namespace: bool,
    /// Account to impersonate.
    #[arg(long)]
    service_account: Option<String>,
    /// When the chart counts as new.
    #[arg(long, default_value = "ChartVersion", value_parser = ["ChartVersion", "Revision"])]
    reconcile_strategy: String,
    /// Files with values.
    #[arg(long, value_delimiter = ',')]
    values: Vec<PathBuf>,
    /// ConfigMaps and Secrets with values: Kind/name.
    #[arg(long, value_delimiter = ',')]
    values_from: Vec<String>,
    /// What is done with the definitions of the chart in upgrades.
    #[arg(long, value_parser = ["Skip", "Create", "CreateReplace"])]
    crds: Option<String>,
    /// Secret with the kubeconfig of another cluster.
    #[arg(long)]
    kubeconfig_secret_ref: Option<String>,
}

impl HelmRelease {
    pub(super) fn spec(&self, interval: Value) -> Result<Value> {
        let mut spec = Spec::default()
            .put("interval", Some(interval))
            .put("releaseName", self.release_name.clone())
            .list("dependsOn", dependencies(&self.depends_on))
            .put("targetNamespace", self.target_namespace.clone())
            .put("storageNamespace", self.storage_namespace.clone())
            .flag("install.createNamespace", self.create_target_namespace)
            .put("install.crds", self.crds.as_ref().map(|_| "Create"))
            .put("upgrade.crds", self.crds.clone())
            .put("serviceAccountName", self.service_account.clone())
            .put("kubeConfig.secretRef.name", self.kubeconfig_secret_ref.clone());
        if let (Some(source), Some(chart)) = (&self.source, &self.chart) {
            spec = spec
                .put("chart.spec.chart", Some(chart.as_str()))
                .put("chart.spec.version", self.chart_version.clone())
                .put("chart.spec.sourceRef", Some(reference(source, "HelmRepository")?))
                .put("chart.spec.reconcileStrategy", Some(self.reconcile_strategy.as_str()))
                .put("chart.spec.interval", self.chart_interval.map(duration));
        }
        if let Some(chart) = &self.chart_ref {
            spec = spec.put("chartRef", Some(reference(chart, "OCIRepository")?));
        }
        let from: Result<Vec<Value>> = self.values_from.iter().map(|text| values_from(text)).collect();
        Ok(spec.put("values", self.values()?).list("valuesFrom", from?).done())
    }

    /// The values files, later ones over earlier ones.
    fn values(&self) -> Result<Option<Map<String, Value>>> {
        let mut values = Map::new();
        for file in &self.values {
            let text = fs_err::read_to_string(file)?;
            let read = ferrite_helm::decode_values(&text);
            let read = read.with_context(|| format!("{} holds no values", file.display()))?;
            ferrite_helm::merge_values(&mut values, read);
        }
        Ok((!self.values.is_empty()).then_some(values))
    }
}

fn values_from(text: &str) -> Result<Value> {
    match text.split_once('/') {
        Some((kind @ ("Secret" | "ConfigMap"), name)) => Ok(json!({"kind": kind, "name": name})),
        _ => bail!("invalid values reference '{text}', must be Secret/name or ConfigMap/name"),
    }
}
