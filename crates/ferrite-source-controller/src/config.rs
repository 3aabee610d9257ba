//! What a source-controller is told at its start.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ferrite_cloud::{CacheLimits, Environment};
use ferrite_git::SshAlgorithms;

use crate::args::REQUEUE_DEPENDENCY;

/// Settings of a source-controller; [`Config::new`] has Flux's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many objects of a kind are worked on at once.
    pub concurrent: usize,
    /// The directory artifacts are kept in; it must exist.
    pub storage_path: PathBuf,
    /// Where artifacts are served, in Go's notation (`:9090`); port 0 takes a free one.
    pub storage_addr: String,
    /// The host in artifact URLs, perhaps with port and scheme; derived from `storage_addr` when `None`.
    pub storage_adv_addr: Option<String>,
    /// The host name that stands for `0.0.0.0` in artifact URLs.
    pub hostname: Option<String>,
    /// How long a replaced artifact stays downloadable at least.
    pub retention_ttl: Duration,
    /// How many artifacts of one object are kept at most.
    pub retention_records: usize,
    /// `sha1`, `sha256`, `sha384`, `sha512` or `blake3`.
    pub digest_algorithm: String,
    /// When an object is looked at again whose dependency is not ready.
    pub requeue_dependency: Duration,
    /// Bounds on what Helm repositories may send.
    pub helm: HelmLimits,
    /// What is offered to SSH servers instead of the defaults.
    pub ssh_algorithms: SshAlgorithms,
    /// A server that stands in for Google Cloud Storage, `host:port`; asked without credentials.
    pub storage_emulator: Option<String>,
    /// Parsed indexes that are kept in memory.
    pub index_cache: IndexCacheLimits,
    /// As whom clouds are asked.
    pub cloud: CloudConfig,
}

/// As whom clouds are asked, by the controller and by objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudConfig {
    /// The environment of the process, where clouds leave identities.
    pub environment: Environment,
    /// Whether objects may name a ServiceAccount (gate `ObjectLevelWorkloadIdentity`).
    pub object_level: bool,
    /// The ServiceAccount of objects that name none; it needs the gate.
    pub default_service_account: Option<String>,
    /// Tokens that are kept.
    pub token_cache: CacheLimits,
}

/// Parsed indexes of Helm repositories that are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexCacheLimits {
    /// The most indexes; 0 keeps none.
    pub indexes: usize,
    /// How long an index is kept after its last use.
    pub ttl: Duration,
    /// How often the old ones are looked for; zero never looks, and they go when their place is needed.
    pub purge_interval: Duration,
}

impl Default for IndexCacheLimits {
    /// Flux's: none; 15 minutes and 1 minute for those who want some.
    fn default() -> Self {
        Self { indexes: 0, ttl: Duration::from_mins(15), purge_interval: Duration::from_mins(1) }
    }
}

/// Bounds on what Helm repositories may send, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelmLimits {
    /// An index.
    pub index_bytes: u64,
    /// A chart's archive.
    pub chart_bytes: u64,
    /// One file of a chart.
    pub chart_file_bytes: u64,
}

impl Default for HelmLimits {
    /// Flux's: 50 MiB, 10 MiB, 5 MiB.
    fn default() -> Self {
        Self { index_bytes: 50 << 20, chart_bytes: 10 << 20, chart_file_bytes: 5 << 20 }
    }
}

impl Config {
    /// Flux's defaults over a storage directory.
    #[must_use]
    pub fn new(storage_path: impl Into<PathBuf>) -> Self {
        Self {
            concurrent: 2,
            storage_path: storage_path.into(),
            storage_addr: ":9090".to_owned(),
            storage_adv_addr: None,
            hostname: None,
            retention_ttl: Duration::from_mins(1),
            retention_records: 2,
            digest_algorithm: "sha256".to_owned(),
            requeue_dependency: REQUEUE_DEPENDENCY,
            helm: HelmLimits::default(),
            ssh_algorithms: SshAlgorithms::default(),
            storage_emulator: None,
            index_cache: IndexCacheLimits::default(),
            cloud: CloudConfig::default(),
        }
    }

    /// The beginning of artifact URLs, `http://host[:port]`, once the listener is bound.
    #[must_use]
    pub fn advertised(&self, bound: SocketAddr) -> String {
        if let Some(address) = &self.storage_adv_addr {
            let address = address.trim_end_matches('/');
            let has_scheme = address.starts_with("http://") || address.starts_with("https://");
            return if has_scheme { address.to_owned() } else { format!("http://{address}") };
        }
        let host = self.storage_addr.rsplit_once(':').map_or(self.storage_addr.as_str(), |(host, _)| host);
        let host = match host {
            "" => "localhost",
            "0.0.0.0" | "[::]" => self.hostname.as_deref().unwrap_or("localhost"),
            host => host,
        };
        format!("http://{host}:{}", bound.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(storage_addr: &str, advertised: Option<&str>, expect: &str) {
        let config = Config {
            storage_addr: storage_addr.to_owned(),
            storage_adv_addr: advertised.map(str::to_owned),
            hostname: Some("source-controller-0".to_owned()),
            ..Config::new("/data")
        };
        assert_eq!(config.advertised(SocketAddr::from(([0, 0, 0, 0], 9090))), expect);
    }

    #[test]
    fn the_advertised_address_follows_the_listener() {
        check(":9090", None, "http://localhost:9090");
        check("0.0.0.0:9090", None, "http://source-controller-0:9090");
        check("127.0.0.1:0", None, "http://127.0.0.1:9090");
    }

    #[test]
    fn an_advertised_address_is_taken_as_it_is() {
        let service = "source-controller.flux-system.svc.cluster.local.";
        check(":9090", Some(service), "http://source-controller.flux-system.svc.cluster.local.");
        check(":9090", Some("https://artifacts.example.org/"), "https://artifacts.example.org");
    }
}
