//! What a helm-controller is told at its start.

use std::time::Duration;

use ferrite_helm::next_step::DriftMode;

use crate::digest::Algorithm;

/// Settings of a helm-controller; the default is Flux's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many HelmReleases are worked on at once; those that wait for health do not count.
    pub concurrent: usize,
    /// When a HelmRelease is looked at again whose dependency or chart is not ready.
    pub requeue_dependency: Duration,
    /// How long a running action may go on after the process is asked to end.
    pub graceful_shutdown_timeout: Duration,
    /// Further tries at downloading a chart.
    pub http_retry: u32,
    /// The service account to act as when a HelmRelease names none.
    pub default_service_account: Option<String>,
    /// Further field managers whose fields are taken over.
    pub override_managers: Vec<String>,
    /// Whether charts in other namespaces are refused.
    pub no_cross_namespace_refs: bool,
    /// Whether kubeconfigs may skip the verification of the server's certificate.
    pub insecure_kubeconfig_tls: bool,
    /// Whether `readyExpr` is asked beside the built-in check, not instead of it.
    pub additive_cel_dependency_check: bool,
    /// Whether charts of the kind ExternalArtifact are allowed.
    pub external_artifact: bool,
    /// Whether a chart's version stays as it is when it comes from an OCI artifact.
    pub disable_chart_digest_tracking: bool,
    /// Whether a failed action is tried again from where it stands when the spec does not say.
    pub default_to_retry_on_failure: bool,
    /// Whether hooks are left out of post-rendering when the spec does not say, as in Helm 3.
    pub helm3_defaults: bool,
    /// Whether the wait of an action ends when something newer arrives.
    pub cancel_on_new_revision: bool,
    /// Whether templates may look up the addresses of hosts.
    pub allow_dns_lookups: bool,
    /// What is done about drift when the spec does not say.
    pub default_drift: DriftMode,
    /// How digests in status are computed.
    pub snapshot_digest: Algorithm,
    /// The label selector of ConfigMaps and Secrets whose changes reach the HelmReleases that refer to them; `None`
    /// watches none.
    pub watch_configs: Option<String>,
    /// `host[:port]` to fetch artifacts from instead of the advertised one.
    pub source_controller_host: Option<String>,
    /// As `source_controller_host`, for artifacts of source-watcher.
    pub source_watcher_host: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent: 4,
            requeue_dependency: Duration::from_secs(30),
            graceful_shutdown_timeout: Duration::from_secs(600),
            http_retry: 9,
            default_service_account: None,
            override_managers: Vec::new(),
            no_cross_namespace_refs: false,
            insecure_kubeconfig_tls: false,
            additive_cel_dependency_check: false,
            external_artifact: false,
            disable_chart_digest_tracking: false,
            default_to_retry_on_failure: false,
            helm3_defaults: false,
            cancel_on_new_revision: false,
            allow_dns_lookups: false,
            default_drift: DriftMode::Disabled,
            snapshot_digest: Algorithm::Sha256,
            watch_configs: Some("reconcile.fluxcd.io/watch=Enabled".to_owned()),
            source_controller_host: None,
            source_watcher_host: None,
        }
    }
}
