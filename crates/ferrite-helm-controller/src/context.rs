//! What a reconcile may touch; no globals.

use std::{sync::Arc, time::Duration};

use ferrite_api::helm::HelmRelease;
use ferrite_apply::{Sources, TargetOptions, Targets};
use ferrite_artifact::{FetchError, FetchOptions, Fetcher, Hosts};
use ferrite_helm::next_step::DriftMode;
use ferrite_resource::Managers;
use ferrite_runtime::{Clock, Handle, Runtime};
use kube::Client;

use crate::{Algorithm, Config, NAME};

/// What a reconcile of a HelmRelease may touch.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) handle: Handle<HelmRelease>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) fetcher: Fetcher,
    pub(crate) targets: Targets,
    pub(crate) settings: Settings,
}

/// The part of the configuration that decides about a single HelmRelease.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) external_artifact: bool,
    pub(crate) additive_cel_dependency_check: bool,
    pub(crate) digest_tracking: bool,
    pub(crate) default_to_retry: bool,
    pub(crate) helm3_defaults: bool,
    pub(crate) managers: Managers,
    pub(crate) cancel_on_new: bool,
    pub(crate) allow_dns: bool,
    pub(crate) drift: DriftMode,
    pub(crate) algorithm: Algorithm,
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
        handle: Handle<HelmRelease>,
        sources: Arc<Sources>,
    ) -> Result<Self, FetchError> {
        let fetcher = Fetcher::new(FetchOptions {
            retries: config.http_retry,
            hosts: Hosts {
                source_controller: config.source_controller_host.clone(),
                source_watcher: config.source_watcher_host.clone(),
            },
            ..FetchOptions::default()
        })?;
        let targets = TargetOptions {
            default_service_account: config.default_service_account.clone(),
            insecure_tls: config.insecure_kubeconfig_tls,
        };
        Ok(Self {
            client: runtime.client.clone(),
            clock: runtime.clock.clone(),
            handle,
            sources,
            fetcher,
            targets: Targets::new(runtime.client.clone(), targets, None),
            settings: Settings {
                requeue_dependency: config.requeue_dependency,
                no_cross_namespace_refs: config.no_cross_namespace_refs,
                external_artifact: config.external_artifact,
                additive_cel_dependency_check: config.additive_cel_dependency_check,
                digest_tracking: !config.disable_chart_digest_tracking,
                default_to_retry: config.default_to_retry_on_failure,
                helm3_defaults: config.helm3_defaults,
                managers: Managers {
                    own: NAME.to_owned(),
                    overrides: config.override_managers.clone(),
                    kubectl: false,
                },
                cancel_on_new: config.cancel_on_new_revision,
                allow_dns: config.allow_dns_lookups,
                drift: config.default_drift,
                algorithm: config.snapshot_digest,
            },
        })
    }
}
