//! The command line: Flux's flags, and what becomes of them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Parser;
use ferrite_cloud::{CacheLimits, Environment};
use ferrite_git::SshAlgorithms;
use ferrite_runtime::{
    flags::{CommonFlags, FeatureGates, GoDuration},
    workload_identity::OBJECT_LEVEL_WORKLOAD_IDENTITY,
};

use crate::{CloudConfig, Config, HelmLimits, IndexCacheLimits};

/// The feature gates of source-controller and their defaults.
pub const FEATURE_GATES: &[(&str, bool)] =
    &[("CacheSecretsAndConfigMaps", false), (OBJECT_LEVEL_WORKLOAD_IDENTITY, false)];

/// Flags of `source-controller`; names and defaults are Flux's.
#[derive(Debug, Parser)]
#[command(name = "source-controller", version, about = "Fetches sources and serves them as artifacts")]
pub struct Args {
    /// Flags of every controller.
    #[command(flatten)]
    pub common: CommonFlags,
    /// How many objects of a kind are worked on at once.
    #[arg(long, default_value_t = 2)]
    pub concurrent: usize,
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
    /// Largest Helm repository index in bytes.
    #[arg(long, default_value_t = 50 << 20)]
    pub helm_index_max_size: u64,
    /// Largest Helm chart in bytes.
    #[arg(long, default_value_t = 10 << 20)]
    pub helm_chart_max_size: u64,
    /// Largest file of a Helm chart in bytes.
    #[arg(long, default_value_t = 5 << 20)]
    pub helm_chart_file_max_size: u64,
    /// When an object is looked at again whose dependency is not ready.
    #[arg(long, default_value = "30s")]
    pub requeue_dependency: GoDuration,
    /// Helm repository indexes kept in memory; 0 keeps none.
    #[arg(long, default_value_t = 0)]
    pub helm_cache_max_size: usize,
    /// How long a cached index is used.
    #[arg(long, default_value = "15m")]
    pub helm_cache_ttl: GoDuration,
    /// How often cached indexes are dropped.
    #[arg(long, default_value = "1m")]
    pub helm_cache_purge_interval: GoDuration,
    /// SSH key exchange algorithms; the defaults when empty.
    #[arg(long, value_delimiter = ',')]
    pub ssh_kex_algos: Vec<String>,
    /// SSH host key algorithms; the defaults when empty.
    #[arg(long, value_delimiter = ',')]
    pub ssh_hostkey_algos: Vec<String>,
    /// The service account of objects that name none, for workload identity.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
}

impl AsRef<CommonFlags> for Args {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

impl Args {
    /// What the controller needs of the flags, of the feature gates and of the environment.
    #[must_use]
    pub fn into_config(self, environment: &BTreeMap<String, String>, gates: &FeatureGates) -> Config {
        let Self {
            common,
            concurrent,
            storage_path,
            storage_addr,
            storage_adv_addr,
            artifact_retention_ttl,
            artifact_retention_records,
            artifact_digest_algo,
            helm_index_max_size,
            helm_chart_max_size,
            helm_chart_file_max_size,
            helm_cache_max_size,
            helm_cache_ttl,
            helm_cache_purge_interval,
            ssh_kex_algos,
            ssh_hostkey_algos,
            default_service_account,
            requeue_dependency,
        } = self;
        Config {
            concurrent,
            storage_path,
            storage_addr,
            storage_adv_addr: Some(storage_adv_addr).filter(|address| !address.is_empty()),
            hostname: environment.get("HOSTNAME").cloned(),
            retention_ttl: artifact_retention_ttl.0,
            retention_records: artifact_retention_records,
            digest_algorithm: artifact_digest_algo,
            requeue_dependency: requeue_dependency.0,
            helm: HelmLimits {
                index_bytes: helm_index_max_size,
                chart_bytes: helm_chart_max_size,
                chart_file_bytes: helm_chart_file_max_size,
            },
            ssh_algorithms: SshAlgorithms { kex: ssh_kex_algos, host_key: ssh_hostkey_algos },
            storage_emulator: environment.get("STORAGE_EMULATOR_HOST").cloned(),
            index_cache: IndexCacheLimits {
                indexes: helm_cache_max_size,
                ttl: helm_cache_ttl.0,
                purge_interval: helm_cache_purge_interval.0,
            },
            cloud: CloudConfig {
                environment: Environment::new(environment.clone()),
                object_level: gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY),
                default_service_account: Some(default_service_account).filter(|name| !name.is_empty()),
                token_cache: CacheLimits {
                    tokens: common.token_cache_max_size,
                    duration: common.token_cache_max_duration.0,
                },
            },
        }
    }
}

/// Flux's default of `--requeue-dependency`.
pub(crate) const REQUEUE_DEPENDENCY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use ferrite_runtime::flags;

    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let all = std::iter::once("source-controller").chain(arguments.iter().copied()).map(Into::into);
        let environment = BTreeMap::from([("HOSTNAME".to_owned(), "pod-0".to_owned())]);
        let args = flags::parse::<Args>(all).unwrap();
        let gates = FeatureGates::parse(&args.common.feature_gates, FEATURE_GATES).unwrap();
        args.into_config(&environment, &gates)
    }

    #[test]
    fn without_flags_the_defaults_are_flux_defaults() {
        let environment = BTreeMap::from([("HOSTNAME".to_owned(), "pod-0".to_owned())]);
        let cloud = CloudConfig { environment: Environment::new(environment), ..CloudConfig::default() };
        let expect = Config { hostname: Some("pod-0".to_owned()), cloud, ..Config::new("/data") };
        assert_eq!(config(&[]), expect);
    }

    /// Every flag of source-controller 1.9, so that no patched Deployment fails to start.
    #[test]
    fn every_flag_of_flux_parses() {
        let parsed = config(&[
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/artifacts",
            "--storage-adv-addr=source-controller.flux-system.svc.cluster.local.",
            "--storage-addr=:9091",
            "--concurrent=8",
            "--artifact-retention-ttl=2m",
            "--artifact-retention-records=5",
            "--artifact-digest-algo=blake3",
            "--helm-index-max-size=1",
            "--helm-chart-max-size=1",
            "--helm-chart-file-max-size=1",
            "--helm-cache-max-size=10",
            "--helm-cache-ttl=60m",
            "--helm-cache-purge-interval=5m",
            "--requeue-dependency=5s",
            "--ssh-kex-algos=curve25519-sha256,ecdh-sha2-nistp256",
            "--ssh-hostkey-algos=ssh-ed25519",
            "--default-service-account=default",
            "--feature-gates=ObjectLevelWorkloadIdentity=false,CacheSecretsAndConfigMaps=false",
            "--token-cache-max-size=0",
            "--interval-jitter-percentage=0",
            "--min-retry-delay=1s",
            "--max-retry-delay=1m",
            "--watch-label-selector=sharding.fluxcd.io/key=shard1",
        ]);
        assert_eq!((parsed.concurrent, parsed.retention_records), (8, 5));
        let cached = IndexCacheLimits {
            indexes: 10,
            ttl: Duration::from_hours(1),
            purge_interval: Duration::from_mins(5),
        };
        assert_eq!((parsed.index_cache, parsed.cloud.token_cache.tokens), (cached, 0));
        assert_eq!(parsed.cloud.default_service_account.as_deref(), Some("default"));
        assert_eq!(
            (parsed.retention_ttl, parsed.requeue_dependency),
            (Duration::from_mins(2), Duration::from_secs(5))
        );
        assert_eq!(parsed.digest_algorithm, "blake3");
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let algorithms = SshAlgorithms {
            kex: own(&["curve25519-sha256", "ecdh-sha2-nistp256"]),
            host_key: own(&["ssh-ed25519"]),
        };
        assert_eq!(parsed.ssh_algorithms, algorithms);
        assert_eq!(parsed.storage_path, PathBuf::from("/artifacts"));
        let advertised = Some("source-controller.flux-system.svc.cluster.local.".to_owned());
        assert_eq!((parsed.storage_addr.as_str(), parsed.storage_adv_addr), (":9091", advertised));
    }
}
