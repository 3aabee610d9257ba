//! Downloading an artifact: retried, bounded, checked against its digest, unpacked once for everybody who wants it.

mod cache;
mod download;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ferrite_tree::MemoryTree;
use futures::{
    FutureExt as _,
    future::{BoxFuture, WeakShared},
};
use parking_lot::Mutex;
use reqwest::{StatusCode, Url};

use crate::{Digest, DigestError, Limits, UnpackError};
use cache::Cache;

/// How artifacts are downloaded.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Further tries after connection errors and 5xx (`--http-retry`).
    pub retries: u32,
    /// The wait before the first further try; it doubles.
    pub retry_wait_min: Duration,
    /// The longest wait between two tries.
    pub retry_wait_max: Duration,
    /// How long nothing may arrive before a try counts as failed.
    pub stall_timeout: Duration,
    /// Bounds of an archive.
    pub limits: Limits,
    /// Unpacked artifacts kept in memory, in bytes; 0 keeps none.
    pub cache_bytes: u64,
    /// Other hosts to ask than those in the URLs.
    pub hosts: Hosts,
}

impl Default for FetchOptions {
    /// Flux's: 9 retries, 5 to 30 s apart; 128 MiB of cache.
    fn default() -> Self {
        Self {
            retries: 9,
            retry_wait_min: Duration::from_secs(5),
            retry_wait_max: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            limits: Limits::default(),
            cache_bytes: 128 << 20,
            hosts: Hosts::default(),
        }
    }
}

/// Hosts that stand in for the advertised ones, for controllers that run outside the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// `host[:port]` for every artifact but those of source-watcher (`SOURCE_CONTROLLER_LOCALHOST`).
    pub source_controller: Option<String>,
    /// `host[:port]` for hosts that contain `source-watcher` (`SOURCE_WATCHER_LOCALHOST`).
    pub source_watcher: Option<String>,
}

/// Why an artifact could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// 404: the source-controller rebuilds it, perhaps after a restart.
    #[error("artifact not found at '{url}'; it is tried again once the source stored it")]
    NotFound {
        /// The address.
        url: String,
    },
    /// Not an HTTP address.
    #[error("cannot fetch the artifact from '{url}': {problem}")]
    Url {
        /// The address.
        url: String,
        /// What is expected.
        problem: String,
    },
    /// The status names no usable digest.
    #[error("cannot verify the artifact at '{url}'")]
    InvalidDigest {
        /// The address.
        url: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot prepare the HTTP client")]
    Client(#[source] Arc<reqwest::Error>),
    /// No connection, or it broke, after all retries.
    #[error("cannot download the artifact from '{url}' after {tries} tries")]
    Unreachable {
        /// The address.
        url: String,
        /// How often it was tried.
        tries: u32,
        /// What the connection said.
        source: Arc<reqwest::Error>,
    },
    /// Nothing arrived for too long, after all retries.
    #[error("cannot download the artifact from '{url}' after {tries} tries: nothing arrived for {stall:?}")]
    Stalled {
        /// The address.
        url: String,
        /// How often it was tried.
        tries: u32,
        /// How long was waited.
        stall: Duration,
    },
    /// Another status than 200 and 404.
    #[error("cannot download the artifact from '{url}': HTTP {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// The bytes are not those the status names: the artifact was replaced meanwhile, or somebody changed it.
    #[error("the artifact at '{url}' has the digest '{actual}', expected '{expected}'")]
    Digest {
        /// The address.
        url: String,
        /// What the status says.
        expected: String,
        /// What the bytes have.
        actual: String,
    },
    /// It is too large, or no archive that may be unpacked.
    #[error("cannot use the artifact at '{url}'")]
    Archive {
        /// The address.
        url: String,
        /// Why.
        source: UnpackError,
    },
    /// The process goes down.
    #[error("interrupted while unpacking the artifact from '{url}'")]
    Interrupted {
        /// The address.
        url: String,
    },
}

impl FetchError {
    /// Whether the artifact is not there, rather than broken or out of reach.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

type Outcome = Result<MemoryTree, FetchError>;
type Running = WeakShared<BoxFuture<'static, Outcome>>;

/// Fetches artifacts. Cheap to clone; clones share connections, downloads under way and the cache.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    options: FetchOptions,
    cache: Mutex<Cache>,
    running: Mutex<HashMap<Digest, Running>>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Prepares to fetch.
    ///
    /// # Errors
    /// [`FetchError::Client`] when the system's certificates cannot be used.
    pub fn new(options: FetchOptions) -> Result<Self, FetchError> {
        // Fails when a provider is installed already, which is just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(concat!("ferrite/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.stall_timeout)
            .redirect(reqwest::redirect::Policy::limited(3))
            // What is verified are the bytes of the archive itself.
            .no_gzip()
            .build()
            .map_err(|error| FetchError::Client(Arc::new(error)))?;
        let cache = Mutex::new(Cache::new(options.cache_bytes));
        Ok(Self(Arc::new(Inner { client, options, cache, running: Mutex::default() })))
    }

    /// The files of the artifact at `url`, whose bytes have `digest` (`<algorithm>:<hex>`, or bare SHA-256 digits).
    ///
    /// `size` in bytes, where the status tells it, ends a download that is longer. However many ask for one digest at
    /// once, it is downloaded and unpacked once; all share the memory. Dropping the last future ends the download.
    ///
    /// # Errors
    /// See [`FetchError`]; [`FetchError::NotFound`] is worth waiting for.
    pub async fn fetch(&self, url: &str, digest: &str, size: Option<u64>) -> Result<MemoryTree, FetchError> {
        let digest: Digest =
            digest.parse().map_err(|source| FetchError::InvalidDigest { url: shown(url), source })?;
        if let Some(tree) = self.0.cache.lock().get(&digest) {
            return Ok(tree);
        }
        let target = self.0.options.hosts.apply(url)?;
        let shared = {
            let mut running = self.0.running.lock();
            running.retain(|_, download| download.upgrade().is_some());
            match running.get(&digest).and_then(WeakShared::upgrade) {
                Some(shared) => shared,
                None => {
                    let inner = Arc::clone(&self.0);
                    let wanted = digest.clone();
                    let download = async move { inner.download(target, wanted, size).await };
                    let shared = download.boxed().shared();
                    if let Some(weak) = shared.downgrade() {
                        running.insert(digest.clone(), weak);
                    }
                    shared
                }
            }
        };
        let outcome = shared.await;
        self.0.running.lock().remove(&digest);
        outcome
    }
}

impl Inner {
    async fn download(&self, target: Url, digest: Digest, size: Option<u64>) -> Outcome {
        let url = target.to_string();
        let mut wait = self.options.retry_wait_min;
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.attempt(&target, &digest, size).await {
                Ok(unpacked) => {
                    self.cache.lock().insert(digest, unpacked.clone());
                    return Ok(unpacked);
                }
                Err(failure) => failure,
            };
            if tries > self.options.retries || !failure.is_transient() {
                return Err(failure.named(url, tries, self.options.stall_timeout));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.options.retry_wait_max);
        }
    }

    async fn attempt(&self, url: &Url, digest: &Digest, size: Option<u64>) -> Result<MemoryTree, Failure> {
        let stall = self.options.stall_timeout;
        let send = self.client.get(url.clone()).send();
        let response = tokio::time::timeout(stall, send).await.map_err(|_| Failure::Stalled)??;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Failure::NotFound),
            status => return Err(Failure::Status(status.as_u16())),
        }
        let limits = Limits {
            archive_bytes: size.map_or(self.options.limits.archive_bytes, |size| {
                size.min(self.options.limits.archive_bytes)
            }),
            ..self.options.limits
        };
        download::receive(response, digest, limits, stall).await
    }
}

/// Why one try failed.
#[derive(Debug)]
enum Failure {
    NotFound,
    Status(u16),
    Http(reqwest::Error),
    Stalled,
    Digest { expected: String, actual: String },
    Archive(UnpackError),
    Interrupted,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl Failure {
    fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_builder() && !error.is_redirect(),
            Self::Stalled => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::NotFound | Self::Digest { .. } | Self::Archive(_) | Self::Interrupted => false,
        }
    }

    fn named(self, url: String, tries: u32, stall: Duration) -> FetchError {
        match self {
            Self::NotFound => FetchError::NotFound { url },
            Self::Status(status) => FetchError::Status { url, status },
            Self::Http(source) => FetchError::Unreachable { url, tries, source: Arc::new(source) },
            Self::Stalled => FetchError::Stalled { url, tries, stall },
            Self::Digest { expected, actual } => FetchError::Digest { url, expected, actual },
            Self::Archive(source) => FetchError::Archive { url, source },
            Self::Interrupted => FetchError::Interrupted { url },
        }
    }
}

impl Hosts {
    /// The address to ask for `url`: only HTTP, and never with credentials.
    fn apply(&self, url: &str) -> Result<Url, FetchError> {
        let wrong = |problem: &str| FetchError::Url { url: shown(url), problem: problem.to_owned() };
        let mut target =
            Url::parse(url).map_err(|error| wrong(&format!("{error}, expected http://host/path")))?;
        if !matches!(target.scheme(), "http" | "https") {
            return Err(wrong("expected an address that starts with http:// or https://"));
        }
        if !target.username().is_empty() || target.password().is_some() {
            return Err(wrong("expected no credentials in the address"));
        }
        let of_watcher = target.host_str().is_some_and(|host| host.contains("source-watcher"));
        let instead = if of_watcher { &self.source_watcher } else { &self.source_controller };
        let Some(instead) = instead.as_deref().filter(|host| !host.is_empty()) else { return Ok(target) };
        let bad = || wrong(&format!("cannot ask '{instead}' instead, expected host[:port]"));
        let other = Url::parse(&format!("http://{instead}")).map_err(|_| bad())?;
        target.set_host(other.host_str()).map_err(|_| bad())?;
        target.set_port(other.port()).map_err(|()| bad())?;
        Ok(target)
    }
}

/// `url` without anything that could be its user part.
fn shown(url: &str) -> String {
    let rest = url.rsplit_once('@').map_or(url, |(_, host)| host);
    rest.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(256).collect()
}

#[cfg(test)]
mod tests;
