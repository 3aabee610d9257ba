//! What a reconcile may touch; no globals.

use std::{sync::Arc, time::Duration};

use ferrite_api::kustomize::Kustomization;
use ferrite_apply::{DriftSink, Sources, TargetOptions, Targets, TrackerOptions};
use ferrite_artifact::{FetchOptions, Fetcher, Hosts};
use ferrite_cloud::Cloud;
use ferrite_resource::{Managers, StageKinds};
use ferrite_runtime::{Clock, Handle, ObjectKey, Runtime, workload_identity::WorkloadIdentity};
use kube::Client;

use crate::{
    Config, Error,
    builds::Builds,
    decrypt::{Shared, VaultLogin},
};

/// What a reconcile of a Kustomization may touch.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) handle: Handle<Kustomization>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) fetcher: Fetcher,
    pub(crate) targets: Targets,
    pub(crate) builds: Builds,
    pub(crate) decryption: Shared,
    pub(crate) settings: Settings,
}

/// The part of the configuration that decides about a single Kustomization.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) no_remote_bases: bool,
    pub(crate) external_artifact: bool,
    pub(crate) strict_substitutions: bool,
    pub(crate) additive_cel_dependency_check: bool,
    pub(crate) fail_fast: bool,
    pub(crate) concurrent_ssa: usize,
    pub(crate) managers: Managers,
    pub(crate) stage_kinds: StageKinds,
    pub(crate) sops_age_secret: Option<ObjectKey>,
    pub(crate) object_level_workload_identity: bool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn new(
        runtime: &Runtime,
        config: &Config,
        handle: Handle<Kustomization>,
        sources: Arc<Sources>,
        drift: (TrackerOptions, DriftSink),
    ) -> Result<Self, Error> {
        let fetcher = Fetcher::new(FetchOptions {
            retries: config.http_retry,
            hosts: Hosts {
                source_controller: config.source_controller_host.clone(),
                source_watcher: config.source_watcher_host.clone(),
            },
            ..FetchOptions::default()
        })?;
        let cloud = Cloud::new(config.environment.clone(), config.token_cache);
        let identity = |account: &Option<String>| {
            let enabled = config.object_level_workload_identity;
            WorkloadIdentity::new(runtime.client.clone(), cloud.clone(), enabled, account.clone())
        };
        let vaults = config.sops_vault_config_map.as_ref().map(|name| VaultLogin {
            client: runtime.client.clone(),
            config_map: ObjectKey::new(&config.runtime_namespace, name),
        });
        let decryption = identity(&config.default_decryption_service_account);
        let decryption = Shared::new(decryption, config.environment.clone(), vaults).map_err(Error::Http)?;
        let targets = TargetOptions {
            default_service_account: config.default_service_account.clone(),
            insecure_tls: config.insecure_kubeconfig_tls,
        };
        let mut managers = Managers::default();
        managers.overrides.extend(config.override_managers.iter().cloned());
        Ok(Self {
            client: runtime.client.clone(),
            clock: runtime.clock.clone(),
            handle,
            sources,
            fetcher,
            builds: Builds::default(),
            targets: Targets::new(runtime.client.clone(), targets, Some(drift)),
            decryption,
            settings: Settings {
                requeue_dependency: config.requeue_dependency,
                no_cross_namespace_refs: config.no_cross_namespace_refs,
                no_remote_bases: config.no_remote_bases,
                external_artifact: config.external_artifact,
                strict_substitutions: config.strict_substitutions,
                additive_cel_dependency_check: config.additive_cel_dependency_check,
                fail_fast: config.fail_fast,
                concurrent_ssa: config.concurrent_ssa,
                managers,
                stage_kinds: StageKinds::parse(&config.custom_apply_stage_kinds),
                sops_age_secret: config
                    .sops_age_secret
                    .as_ref()
                    .map(|name| ObjectKey::new(&config.runtime_namespace, name)),
                object_level_workload_identity: config.object_level_workload_identity,
            },
        })
    }
}
