//! The command line: Flux's flags, and what becomes of them.

use std::{collections::BTreeMap, time::Duration};

use clap::{ArgAction, Parser};
use ferrite_cloud::{CacheLimits, Environment};
use ferrite_runtime::flags::{CommonFlags, FeatureGates, GoDuration, go_bool};

use crate::Config;

/// The feature gates of kustomize-controller and their defaults.
pub const FEATURE_GATES: &[(&str, bool)] = &[
    ("AdditiveCELDependencyCheck", false),
    ("CacheSecretsAndConfigMaps", false),
    ("CancelHealthCheckOnNewRevision", false),
    ("DirectSourceFetch", false),
    ("DisableConfigWatchers", false),
    ("DisableFailFastBehavior", false),
    ("DisableStatusPollerCache", true),
    ("ExternalArtifact", false),
    ("GroupChangeLog", false),
    ("MigrateAPIVersion", false),
    ("ObjectLevelWorkloadIdentity", false),
    ("StrictPostBuildSubstitutions", true),
];

/// Flags of `kustomize-controller`; names and defaults are Flux's.
#[derive(Debug, Parser)]
#[command(name = "kustomize-controller", version, about = "Builds and applies what sources hold")]
pub struct Args {
    /// Flags of every controller.
    #[command(flatten)]
    pub common: CommonFlags,
    /// How many Kustomizations are worked on at once; those that wait for health do not count.
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// How many objects of one Kustomization are applied at once.
    #[arg(long, default_value_t = 4)]
    pub concurrent_ssa: usize,
    /// When a Kustomization is looked at again whose dependency or artifact is not ready.
    #[arg(long, default_value = "30s")]
    pub requeue_dependency: GoDuration,
    /// Refuse remote bases in kustomization files.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub no_remote_bases: bool,
    /// Further tries at downloading an artifact.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// The service account to act as when a Kustomization names none.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// The service account to decrypt as when a Kustomization names none.
    #[arg(long, default_value = "")]
    pub default_decryption_service_account: String,
    /// The service account to reach other clusters as when their ConfigMap names none.
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// The Secret, in the controller's namespace, with age keys for Kustomizations that name no Secret.
    #[arg(long, default_value = "")]
    pub sops_age_secret: String,
    /// The ConfigMap, in the controller's namespace, that says which Vault servers take logins of service accounts.
    #[arg(long, default_value = "")]
    pub sops_vault_configmap: String,
    /// Further field managers whose fields are taken over.
    #[arg(long, value_delimiter = ',')]
    pub override_manager: Vec<String>,
    /// Kinds with an apply stage of their own, as group/Kind,…
    #[arg(long, default_value = "")]
    pub custom_apply_stage_kinds: String,
    /// Refuse sources in other namespaces.
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
        let Self {
            common,
            concurrent,
            concurrent_ssa,
            requeue_dependency,
            no_remote_bases,
            // Kubeconfigs that run programs are refused whatever the flag says.
            insecure_kubeconfig_exec: _,
            http_retry,
            default_service_account,
            default_decryption_service_account,
            default_kubeconfig_service_account,
            sops_age_secret,
            sops_vault_configmap,
            override_manager,
            custom_apply_stage_kinds,
            no_cross_namespace_refs,
            insecure_kubeconfig_tls,
        } = self;
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let text = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        Config {
            concurrent,
            concurrent_ssa,
            requeue_dependency: requeue_dependency.0,
            http_retry,
            default_service_account: named(default_service_account),
            override_managers: override_manager.into_iter().filter(|name| !name.is_empty()).collect(),
            custom_apply_stage_kinds,
            no_cross_namespace_refs,
            no_remote_bases,
            insecure_kubeconfig_tls,
            strict_substitutions: gates.enabled("StrictPostBuildSubstitutions"),
            additive_cel_dependency_check: gates.enabled("AdditiveCELDependencyCheck"),
            fail_fast: !gates.enabled("DisableFailFastBehavior"),
            external_artifact: gates.enabled("ExternalArtifact"),
            watch_configs: (!gates.enabled("DisableConfigWatchers"))
                .then_some(common.watch_configs_label_selector),
            sops_age_secret: named(sops_age_secret),
            sops_vault_config_map: named(sops_vault_configmap),
            default_decryption_service_account: named(default_decryption_service_account),
            default_kubeconfig_service_account: named(default_kubeconfig_service_account),
            environment: Environment::new(environment.clone()),
            token_cache: CacheLimits {
                tokens: common.token_cache_max_size,
                duration: common.token_cache_max_duration.0,
            },
            runtime_namespace: text("RUNTIME_NAMESPACE").unwrap_or_else(|| "flux-system".to_owned()),
            object_level_workload_identity: gates.enabled("ObjectLevelWorkloadIdentity"),
            source_controller_host: text("SOURCE_CONTROLLER_LOCALHOST"),
            source_watcher_host: text("SOURCE_WATCHER_LOCALHOST"),
        }
    }
}

/// Flux's default of `--requeue-dependency`.
pub(crate) const REQUEUE_DEPENDENCY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Config {
        let all = std::iter::once("kustomize-controller").chain(arguments.iter().copied());
        let args: Args = ferrite_runtime::flags::parse(all.map(OsString::from)).unwrap();
        let gates = FeatureGates::parse(&args.common.feature_gates, FEATURE_GATES).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        args.into_config(&gates, &environment.collect())
    }

    #[test]
    fn without_flags_everything_is_as_in_flux() {
        assert_eq!(config(&[], &[]), Config::default());
    }

    #[test]
    fn the_arguments_of_an_installation_are_understood() {
        let arguments = [
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--concurrent=20",
            "--concurrent-ssa=8",
            "--requeue-dependency=5s",
            "--no-remote-bases=true",
            "--no-cross-namespace-refs=true",
            "--default-service-account=default",
            "--override-manager=argocd",
            "--override-manager=helm",
            "--custom-apply-stage-kinds=example.com/Tenant",
            "--feature-gates=DisableStatusPollerCache=true,StrictPostBuildSubstitutions=false,DisableConfigWatchers=true",
            "--sops-age-secret=age",
        ];
        let environment = ("SOURCE_CONTROLLER_LOCALHOST".to_owned(), "localhost:9090".to_owned());
        let expect = Config {
            concurrent: 20,
            concurrent_ssa: 8,
            requeue_dependency: Duration::from_secs(5),
            no_cross_namespace_refs: true,
            no_remote_bases: true,
            default_service_account: Some("default".to_owned()),
            override_managers: vec!["argocd".to_owned(), "helm".to_owned()],
            custom_apply_stage_kinds: "example.com/Tenant".to_owned(),
            strict_substitutions: false,
            watch_configs: None,
            sops_age_secret: Some("age".to_owned()),
            environment: Environment::new(std::iter::once(environment).collect()),
            source_controller_host: Some("localhost:9090".to_owned()),
            ..Config::default()
        };
        assert_eq!(config(&arguments, &[("SOURCE_CONTROLLER_LOCALHOST", "localhost:9090")]), expect);
    }
}
