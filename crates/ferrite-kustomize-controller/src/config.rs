//! What a kustomize-controller is told at its start.

use std::time::Duration;

use ferrite_cloud::{CacheLimits, Environment};

use crate::args::REQUEUE_DEPENDENCY;

/// Settings of a kustomize-controller; the default is Flux's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many Kustomizations are worked on at once; those that wait for health do not count.
    pub concurrent: usize,
    /// How many objects of one Kustomization are applied at once.
    pub concurrent_ssa: usize,
    /// When a Kustomization is looked at again whose dependency or artifact is not ready.
    pub requeue_dependency: Duration,
    /// Further tries at downloading an artifact.
    pub http_retry: u32,
    /// The service account to act as when a Kustomization names none.
    pub default_service_account: Option<String>,
    /// Further field managers whose fields are taken over.
    pub override_managers: Vec<String>,
    /// Kinds with an apply stage of their own, as `group/Kind,…`.
    pub custom_apply_stage_kinds: String,
    /// Whether sources in other namespaces are refused.
    pub no_cross_namespace_refs: bool,
    /// Whether remote bases of kustomizations are refused.
    pub no_remote_bases: bool,
    /// Whether kubeconfigs may skip the verification of the server's certificate.
    pub insecure_kubeconfig_tls: bool,
    /// Whether a variable without value and default is an error.
    pub strict_substitutions: bool,
    /// Whether `readyExpr` is asked beside the built-in check, not instead of it.
    pub additive_cel_dependency_check: bool,
    /// Whether a wait for health ends as soon as one object has failed.
    pub fail_fast: bool,
    /// Whether sources of the kind ExternalArtifact are allowed.
    pub external_artifact: bool,
    /// The label selector of ConfigMaps and Secrets whose changes reach the Kustomizations that refer to them; `None`
    /// watches none.
    pub watch_configs: Option<String>,
    /// The Secret, in the controller's namespace, whose age keys are used where a Kustomization names no Secret.
    pub sops_age_secret: Option<String>,
    /// The ConfigMap, in the controller's namespace, that says which Vault servers take logins of service accounts.
    pub sops_vault_config_map: Option<String>,
    /// The service account to decrypt as when a Kustomization names none.
    pub default_decryption_service_account: Option<String>,
    /// The service account to reach other clusters as when their ConfigMap names none.
    pub default_kubeconfig_service_account: Option<String>,
    /// What the process was started with, for access to clouds.
    pub environment: Environment,
    /// Bounds of the cache of tokens of clouds.
    pub token_cache: CacheLimits,
    /// The namespace that the controller runs in.
    pub runtime_namespace: String,
    /// Whether objects may name service accounts for access to clouds.
    pub object_level_workload_identity: bool,
    /// `host[:port]` to fetch artifacts from instead of the advertised one.
    pub source_controller_host: Option<String>,
    /// As `source_controller_host`, for artifacts of source-watcher.
    pub source_watcher_host: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent: 4,
            concurrent_ssa: 4,
            requeue_dependency: REQUEUE_DEPENDENCY,
            http_retry: 9,
            default_service_account: None,
            override_managers: Vec::new(),
            custom_apply_stage_kinds: String::new(),
            no_cross_namespace_refs: false,
            no_remote_bases: false,
            insecure_kubeconfig_tls: false,
            strict_substitutions: true,
            additive_cel_dependency_check: false,
            fail_fast: true,
            external_artifact: false,
            watch_configs: Some("reconcile.fluxcd.io/watch=Enabled".to_owned()),
            sops_age_secret: None,
            sops_vault_config_map: None,
            default_decryption_service_account: None,
            default_kubeconfig_service_account: None,
            environment: Environment::default(),
            token_cache: CacheLimits::default(),
            runtime_namespace: "flux-system".to_owned(),
            object_level_workload_identity: false,
            source_controller_host: None,
            source_watcher_host: None,
        }
    }
}
