//! The command line: Flux's flags, and what becomes of them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Parser;
use ferrite_runtime::flags::{CommonFlags, GoDuration};

use crate::Config;

/// The feature gates of source-controller and their defaults.
pub const FEATURE_GATES: &[(&str, bool)] =
    &[("CacheSecretsAndConfigMaps", false), ("ObjectLevelWorkloadIdentity", false)];

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
    /// The host[:port] written into artifact URLs; derived from the storage address when empty.
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
    pub helm_cache_ttl: String,
    /// How often cached indexes are dropped.
    #[arg(long, default_value = "1m")]
    pub helm_cache_purge_interval: String,
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
    /// What the controller needs of the flags and of the environment.
    #[must_use]
    pub fn into_config(self, environment: &BTreeMap<String, String>) -> Config {
        let Self {
            common: _,
            concurrent,
            storage_path,
            storage_addr,
            storage_adv_addr,
            artifact_retention_ttl,
            artifact_retention_records,
            artifact_digest_algo,
            // These kinds are not reconciled here yet; their flags parse so that a patched Deployment starts.
            helm_index_max_size: _,
            helm_chart_max_size: _,
            helm_chart_file_max_size: _,
            helm_cache_max_size: _,
            helm_cache_ttl: _,
            helm_cache_purge_interval: _,
            // SSH remotes are refused with a condition, so their algorithms decide nothing.
            ssh_kex_algos: _,
            ssh_hostkey_algos: _,
            default_service_account: _,
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
        }
    }
}

/// Flux's default of `--requeue-dependency`.
pub(crate) const REQUEUE_DEPENDENCY: Duration = Duration::from_secs(30);
