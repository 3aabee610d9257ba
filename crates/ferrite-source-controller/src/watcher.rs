//! source-watcher: the process that runs ArtifactGenerators, with a storage and an artifact server of its own.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use clap::{ArgAction, Parser};
use ferrite_artifact::{FetchOptions, Fetcher, Hosts};
use ferrite_runtime::{
    Controller, Handle, Runtime,
    flags::{CommonFlags, GoDuration, go_bool},
};

use crate::{
    Config, Error,
    artifact_generator::{self, Generators, Settings},
    open,
};

/// The process's name on the wire: reporting component, field manager, lease.
pub const NAME: &str = "source-watcher";

/// The feature gates of source-watcher and their defaults.
///
/// Sources are read from the API server in any case, which is what the gate asks for.
pub const FEATURE_GATES: &[(&str, bool)] = &[("DirectSourceFetch", false)];

/// Flags of `source-watcher`; names and defaults are Flux's.
#[derive(Debug, Parser)]
#[command(name = "source-watcher", version, about = "Puts artifacts together from those of several sources")]
pub struct Args {
    /// Flags of every controller.
    #[command(flatten)]
    pub common: CommonFlags,
    /// How many objects are worked on at once.
    #[arg(long, default_value_t = 10)]
    pub concurrent: usize,
    /// Further tries at downloading an artifact.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// The deadline of one reconcile.
    #[arg(long, default_value = "10m")]
    pub reconciliation_timeout: GoDuration,
    /// When an object is looked at again whose sources are not ready.
    #[arg(long, default_value = "5s")]
    pub requeue_dependency: GoDuration,
    /// Refuse sources in other namespaces.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub no_cross_namespace_refs: bool,
    /// The directory artifacts are kept in; it must exist.
    #[arg(long, default_value = "/data", env = "STORAGE_PATH")]
    pub storage_path: PathBuf,
    /// The address artifacts are served at.
    #[arg(long, default_value = ":9090", env = "STORAGE_ADDRESS")]
    pub storage_addr: String,
    /// The host, perhaps with a port, written into artifact URLs; derived from the storage address when empty.
    #[arg(long, default_value = "", env = "STORAGE_ADV_ADDR")]
    pub storage_adv_addr: String,
    /// How long an artifact that was replaced stays downloadable at least.
    #[arg(long, default_value = "60s")]
    pub artifact_retention_ttl: GoDuration,
    /// How many artifacts of one object are kept at most.
    #[arg(long, default_value_t = 2)]
    pub artifact_retention_records: usize,
    /// The digest of artifacts: sha1, sha256, sha384, sha512 or blake3.
    #[arg(long, default_value = "sha256")]
    pub artifact_digest_algo: String,
}

impl AsRef<CommonFlags> for Args {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

impl Args {
    /// What the process needs of the flags and of the environment.
    #[must_use]
    pub fn into_config(self, environment: &BTreeMap<String, String>) -> WatcherConfig {
        let host = |name: &str| environment.get(name).filter(|host| !host.is_empty()).cloned();
        let storage = Config {
            concurrent: self.concurrent,
            storage_addr: self.storage_addr,
            storage_adv_addr: Some(self.storage_adv_addr).filter(|address| !address.is_empty()),
            hostname: environment.get("HOSTNAME").cloned(),
            retention_ttl: self.artifact_retention_ttl.0,
            retention_records: self.artifact_retention_records,
            digest_algorithm: self.artifact_digest_algo,
            requeue_dependency: self.requeue_dependency.0,
            ..Config::new(self.storage_path)
        };
        WatcherConfig {
            storage,
            no_cross_namespace_refs: self.no_cross_namespace_refs,
            http_retry: self.http_retry,
            reconciliation_timeout: self.reconciliation_timeout.0,
            hosts: Hosts {
                source_controller: host("SOURCE_CONTROLLER_LOCALHOST"),
                source_watcher: host("SOURCE_WATCHER_LOCALHOST"),
            },
        }
    }
}

/// Settings of a source-watcher; [`WatcherConfig::new`] has Flux's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatcherConfig {
    /// The storage, its server, and how many objects are worked on at once. What is for sources decides nothing.
    pub storage: Config,
    /// Whether sources in other namespaces are refused.
    pub no_cross_namespace_refs: bool,
    /// Further tries at downloading an artifact.
    pub http_retry: u32,
    /// The deadline of one reconcile.
    pub reconciliation_timeout: Duration,
    /// Other hosts to ask than those in the URLs.
    pub hosts: Hosts,
}

impl WatcherConfig {
    /// Flux's defaults over a storage directory.
    #[must_use]
    pub fn new(storage_path: impl Into<PathBuf>) -> Self {
        let again = Duration::from_secs(5);
        Self {
            storage: Config { concurrent: 10, requeue_dependency: again, ..Config::new(storage_path) },
            no_cross_namespace_refs: false,
            http_retry: 9,
            reconciliation_timeout: Duration::from_mins(10),
            hosts: Hosts::default(),
        }
    }
}

/// Reconciles ArtifactGenerators and serves what they make until `runtime.shutdown` is cancelled.
///
/// # Errors
/// See [`Error`]: only what is wrong at the start. Later failures are conditions on objects.
pub async fn run(runtime: Runtime, config: WatcherConfig) -> Result<(), Error> {
    let WatcherConfig { storage, no_cross_namespace_refs, http_retry, reconciliation_timeout, hosts } =
        config;
    let options = FetchOptions { retries: http_retry, hosts, ..FetchOptions::default() };
    let fetcher = Fetcher::new(options).map_err(Error::Fetcher)?;
    let (context, server) = open(&runtime, &storage).await?;
    let settings = Settings {
        no_cross_namespace: no_cross_namespace_refs,
        requeue_dependency: storage.requeue_dependency,
        timeout: reconciliation_timeout,
    };
    let generators = Generators::new(Arc::new(context), fetcher, settings);
    let mut controller = Controller::new(&runtime, Handle::new(&runtime), generators);
    artifact_generator::watch(&mut controller, &runtime);
    controller.concurrent(storage.concurrent).run().await;
    server.await.map_err(|_| Error::Interrupted)
}

#[cfg(test)]
mod tests {
    use ferrite_runtime::flags;

    use super::*;

    fn config(arguments: &[&str]) -> WatcherConfig {
        let all = std::iter::once("source-watcher").chain(arguments.iter().copied()).map(Into::into);
        flags::parse::<Args>(all).unwrap().into_config(&BTreeMap::new())
    }

    #[test]
    fn flags_and_defaults_are_those_of_flux() {
        assert_eq!(config(&[]), WatcherConfig::new("/data"));
        let parsed = config(&[
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/data",
            "--storage-adv-addr=source-watcher.flux-system.svc.cluster.local.",
            "--no-cross-namespace-refs=true",
            "--http-retry=1",
            "--requeue-dependency=7s",
            "--feature-gates=DirectSourceFetch=true",
        ]);
        assert!(parsed.no_cross_namespace_refs);
        assert_eq!((parsed.http_retry, parsed.storage.requeue_dependency), (1, Duration::from_secs(7)));
    }
}
