//! Files over HTTP: into a temporary file, bounded, hashed, with the credentials an object's Secrets hold.

use std::{
    io::{self, Seek as _, Write as _},
    sync::Arc,
    time::Duration,
};

use ferrite_artifact::{Algorithm, Digest, Hasher};
use ferrite_runtime::Redacted;
use reqwest::{
    Certificate, Url,
    header::{ETAG, IF_NONE_MATCH},
    redirect::Policy,
};

/// Whom a server is told to be talking to, and whom to trust.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// User name and password.
    pub(crate) basic: Option<(String, Redacted<String>)>,
    /// Further authorities, PEM.
    pub(crate) ca: Option<Vec<u8>>,
    /// A client certificate and its key, PEM.
    pub(crate) identity: Option<(Vec<u8>, Redacted<Vec<u8>>)>,
    /// Credentials go to this host only, unless `None`.
    pub(crate) only_for: Option<Url>,
    /// A proxy's address, and its user name and password.
    pub(crate) proxy: Option<(String, Option<String>, Option<Redacted<String>>)>,
    /// Whether any certificate will do.
    pub(crate) insecure: bool,
    /// The deadline of one download.
    pub(crate) timeout: Duration,
}

/// A file that was downloaded; it goes with the value.
#[derive(Debug)]
pub struct Downloaded {
    pub(crate) file: std::fs::File,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What a server answers to who has a file already.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is still the same.
    Same,
    /// The file, and what to name it by next time.
    New(Downloaded, Option<String>),
}

/// Why a download failed. No address holds credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DownloadError {
    /// A certificate, key or setting cannot be used.
    #[error("cannot use the {what}: expected PEM, or http://, https:// or socks5://host:port for a proxy")]
    Setting {
        /// Which.
        what: &'static str,
    },
    /// No connection, or it broke.
    #[error("failed to fetch {url}")]
    Connection {
        /// The address.
        url: String,
        /// What the connection said.
        source: Arc<reqwest::Error>,
    },
    /// Not 200.
    #[error("failed to fetch {url} : {status}")]
    Status {
        /// The address.
        url: String,
        /// The status with its words.
        status: reqwest::StatusCode,
    },
    /// The deadline passed.
    #[error(
        "failed to fetch {url}: nothing whole arrived within {timeout:?}; raise spec.timeout if it is large"
    )]
    Timeout {
        /// The address.
        url: String,
        /// The deadline.
        timeout: Duration,
    },
    /// More bytes than allowed.
    #[error("failed to fetch {url}: it is larger than {limit} bytes, the most that is allowed")]
    TooLarge {
        /// The address.
        url: String,
        /// The bound.
        limit: u64,
    },
    /// The temporary directory refused.
    #[error("cannot keep {url} in the temporary directory")]
    Disk {
        /// The address.
        url: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl DownloadError {
    /// Whether the server asks for other credentials.
    pub(crate) fn is_authentication(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status.as_u16(), 401 | 403))
    }
}

impl Access {
    pub(crate) const fn anonymous(timeout: Duration) -> Self {
        Self { basic: None, ca: None, identity: None, only_for: None, proxy: None, insecure: false, timeout }
    }

    /// An HTTP client that trusts and presents what this says; credentials come with each request.
    pub(crate) fn client(&self) -> Result<reqwest::Client, DownloadError> {
        self.builder()?.build().map_err(|_| DownloadError::Setting { what: "TLS settings" })
    }

    /// As [`Access::client`], for further settings.
    pub(crate) fn builder(&self) -> Result<reqwest::ClientBuilder, DownloadError> {
        // Fails when a provider is installed already, which is just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .user_agent("flux/v2")
            .redirect(Policy::limited(10))
            // What is hashed and bounded are the bytes as they are stored; Helm asks for no compression either.
            .no_gzip()
            .connect_timeout(self.timeout);
        if let Some(ca) = &self.ca {
            let certificates = Certificate::from_pem_bundle(ca).unwrap_or_default();
            if certificates.is_empty() {
                return Err(DownloadError::Setting { what: "CA certificate" });
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &self.identity {
            let pem = [key.expose_secret().as_slice(), b"\n", certificate].concat();
            let identity = reqwest::Identity::from_pem(&pem);
            builder = builder
                .identity(identity.map_err(|_| DownloadError::Setting { what: "client certificate" })?);
        }
        if let Some((address, user, password)) = &self.proxy {
            let proxy = reqwest::Proxy::all(address);
            let mut proxy = proxy.map_err(|_| DownloadError::Setting { what: "proxy address" })?;
            if let Some(user) = user {
                proxy =
                    proxy.basic_auth(user, password.as_ref().map_or("", |password| password.expose_secret()));
            }
            builder = builder.proxy(proxy);
        }
        if self.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(builder)
    }

    fn may_know(&self, url: &Url) -> bool {
        let same = |one: &Url| {
            (one.scheme(), one.host_str(), one.port_or_known_default())
                == (url.scheme(), url.host_str(), url.port_or_known_default())
        };
        self.only_for.as_ref().is_none_or(same)
    }

    /// Downloads `url`, at most `limit` bytes of it.
    pub(crate) async fn download(&self, url: &Url, limit: u64) -> Result<Downloaded, DownloadError> {
        match self.download_unless(url, limit, None).await? {
            Answer::New(downloaded, _) => Ok(downloaded),
            // Nobody asked whether it is the same.
            Answer::Same => {
                Err(DownloadError::Status { url: shown(url), status: reqwest::StatusCode::NOT_MODIFIED })
            }
        }
    }

    /// As [`Access::download`], unless the file is still the one that `etag` names.
    pub(crate) async fn download_unless(
        &self,
        url: &Url,
        limit: u64,
        etag: Option<&str>,
    ) -> Result<Answer, DownloadError> {
        let timeout = self.timeout;
        let work = self.download_inner(url, limit, etag);
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| Err(DownloadError::Timeout { url: shown(url), timeout }))
    }

    async fn download_inner(
        &self,
        url: &Url,
        limit: u64,
        etag: Option<&str>,
    ) -> Result<Answer, DownloadError> {
        let disk = |source| DownloadError::Disk { url: shown(url), source: Arc::new(source) };
        let broken = |error: reqwest::Error| DownloadError::Connection {
            url: shown(url),
            source: Arc::new(error.without_url()),
        };
        let too_large = || DownloadError::TooLarge { url: shown(url), limit };
        let mut request = self.client()?.get(url.clone());
        if let Some((user, password)) = self.basic.as_ref().filter(|_| self.may_know(url)) {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(broken)?;
        if etag.is_some() && response.status() == reqwest::StatusCode::NOT_MODIFIED {
            return Ok(Answer::Same);
        }
        if response.status() != reqwest::StatusCode::OK {
            return Err(DownloadError::Status { url: shown(url), status: response.status() });
        }
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut file = tempfile::tempfile().map_err(disk)?;
        let (mut hasher, mut size) = (Hasher::new(Algorithm::Sha256), 0_u64);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            size += chunk.len() as u64;
            if size > limit {
                return Err(too_large());
            }
            hasher.update(&chunk);
            // A page cache write: short, and no larger than what arrived at once.
            file.write_all(&chunk).map_err(disk)?;
        }
        file.rewind().map_err(disk)?;
        Ok(Answer::New(Downloaded { file, digest: hasher.finish(), size }, etag))
    }
}

/// `url` without its user part.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Addresses that cannot have a user part have none to hide.
    let _cannot_have_one = shown.set_username("").is_err() | shown.set_password(None).is_err();
    shown.to_string()
}
