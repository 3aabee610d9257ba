//! The command line: Flux's flags, and what becomes of them.

use std::collections::BTreeMap;

use clap::{ArgAction, Parser};
use ferrite_helm::next_step::DriftMode;
use ferrite_runtime::flags::{CommonFlags, FeatureGates, GoDuration, go_bool};

use crate::{Algorithm, Config};

/// The feature gates of helm-controller and their defaults.
pub const FEATURE_GATES: &[(&str, bool)] = &[
    ("AdditiveCELDependencyCheck", false),
    ("AdoptLegacyReleases", false),
    ("AllowDNSLookups", false),
    ("CacheSecretsAndConfigMaps", false),
    ("CancelHealthCheckOnNewRevision", false),
    ("CorrectDrift", false),
    ("DefaultToRetryOnFailure", false),
    ("DetectDrift", false),
    ("DirectSourceFetch", false),
    ("DisableChartDigestTracking", false),
    ("DisableConfigWatchers", false),
    ("ExternalArtifact", false),
    ("OOMWatch", false),
    ("ObjectLevelWorkloadIdentity", false),
    ("UseHelm3Defaults", false),
];

/// Flags of `helm-controller`; names and defaults are Flux's.
#[derive(Debug, Parser)]
#[command(name = "helm-controller", version, about = "Releases Helm charts and keeps them as they are")]
pub struct Args {
    /// Flags of every controller.
    #[command(flatten)]
    pub common: CommonFlags,
    /// How many HelmReleases are worked on at once; those that wait for health do not count.
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// When a HelmRelease is looked at again whose dependency or chart is not ready.
    #[arg(long, default_value = "30s")]
    pub requeue_dependency: GoDuration,
    /// How long running actions may go on after the process is asked to end.
    #[arg(long, default_value = "600s")]
    pub graceful_shutdown_timeout: GoDuration,
    /// Further tries at downloading a chart.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// Accepted for Flux: a download that stalls is given up after 30 s.
    #[arg(long, default_value = "30s")]
    pub http_timeout: GoDuration,
    /// The service account to act as when a HelmRelease names none.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// Accepted for Flux: the service account for access to other clusters.
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// How digests of releases and values are computed: sha256, sha384 or sha512.
    #[arg(long, default_value_t = Algorithm::Sha256)]
    pub snapshot_digest_algo: Algorithm,
    /// Further field managers whose fields are taken over.
    #[arg(long, value_delimiter = ',')]
    pub override_manager: Vec<String>,
    /// Accepted for Flux: share of the memory limit, in percent, at which OOMWatch ends the process.
    #[arg(long, default_value_t = 95)]
    pub oom_watch_memory_threshold: u8,
    /// Accepted for Flux: how often OOMWatch looks.
    #[arg(long, default_value = "500ms")]
    pub oom_watch_interval: GoDuration,
    /// Accepted for Flux: where OOMWatch reads the limit.
    #[arg(long, default_value = "")]
    pub oom_watch_max_memory_path: String,
    /// Accepted for Flux: where OOMWatch reads what is in use.
    #[arg(long, default_value = "")]
    pub oom_watch_current_memory_path: String,
    /// Refuse charts in other namespaces.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub no_cross_namespace_refs: bool,
    /// Allow kubeconfigs that run programs; they are always refused here.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub insecure_kubeconfig_exec: bool,
    /// Allow kubeconfigs that do not verify the server's certificate.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub insecure_kubeconfig_tls: bool,
}

impl AsRef<CommonFlags> for Args {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

impl Args {
    /// What the controller needs of the flags, the feature gates and the environment.
    #[must_use]
    pub fn into_config(self, gates: &FeatureGates, environment: &BTreeMap<String, String>) -> Config {
        let text = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        Config {
            concurrent: self.concurrent,
            requeue_dependency: self.requeue_dependency.0,
            graceful_shutdown_timeout: self.graceful_shutdown_timeout.0,
            http_retry: self.http_retry,
            default_service_account: Some(self.default_service_account).filter(|name| !name.is_empty()),
            override_managers: self.override_manager.into_iter().filter(|name| !name.is_empty()).collect(),
            no_cross_namespace_refs: self.no_cross_namespace_refs,
            insecure_kubeconfig_tls: self.insecure_kubeconfig_tls,
            additive_cel_dependency_check: gates.enabled("AdditiveCELDependencyCheck"),
            external_artifact: gates.enabled("ExternalArtifact"),
            disable_chart_digest_tracking: gates.enabled("DisableChartDigestTracking"),
            default_to_retry_on_failure: gates.enabled("DefaultToRetryOnFailure"),
            helm3_defaults: gates.enabled("UseHelm3Defaults"),
            cancel_on_new_revision: gates.enabled("CancelHealthCheckOnNewRevision"),
            allow_dns_lookups: gates.enabled("AllowDNSLookups"),
            default_drift: match (gates.enabled("DetectDrift"), gates.enabled("CorrectDrift")) {
                (false, _) => DriftMode::Disabled,
                (true, false) => DriftMode::Warn,
                (true, true) => DriftMode::Enabled,
            },
            snapshot_digest: self.snapshot_digest_algo,
            watch_configs: (!gates.enabled("DisableConfigWatchers"))
                .then_some(self.common.watch_configs_label_selector),
            source_controller_host: text("SOURCE_CONTROLLER_LOCALHOST"),
            source_watcher_host: text("SOURCE_WATCHER_LOCALHOST"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, time::Duration};

    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let all = std::iter::once("helm-controller").chain(arguments.iter().copied());
        let args: Args = ferrite_runtime::flags::parse(all.map(OsString::from)).unwrap();
        let gates = FeatureGates::parse(&args.common.feature_gates, FEATURE_GATES).unwrap();
        args.into_config(&gates, &BTreeMap::new())
    }

    #[test]
    fn flags_are_those_of_flux() {
        assert_eq!(config(&[]), Config::default());
        let arguments = [
            "--concurrent=10",
            "--requeue-dependency=5s",
            "--graceful-shutdown-timeout=60s",
            "--oom-watch-interval=1s",
            "--snapshot-digest-algo=sha512",
            "--feature-gates=DefaultToRetryOnFailure=true,OOMWatch=true,DisableConfigWatchers=true",
        ];
        let expect = Config {
            concurrent: 10,
            requeue_dependency: Duration::from_secs(5),
            graceful_shutdown_timeout: Duration::from_secs(60),
            default_to_retry_on_failure: true,
            watch_configs: None,
            snapshot_digest: Algorithm::Sha512,
            ..Config::default()
        };
        assert_eq!(config(&arguments), expect);
    }
}
