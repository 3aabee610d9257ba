//! Where a repository is and how to get in.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::{Error, Redacted};

/// Where a repository is and how to get in.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The place.
    pub location: Location,
    /// What to present to the server.
    pub auth: Auth,
    /// Further certificate authorities (PEM), trusted beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// A client certificate.
    pub identity: Option<Identity>,
    /// A proxy for this remote only; without one the usual environment variables count.
    pub proxy: Option<Proxy>,
    /// The deadline of each operation.
    pub timeout: Duration,
    /// Bounds on what the server may send.
    pub limits: Limits,
}

/// The place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Smart HTTP or HTTPS; without user part.
    Http(Url),
    /// A repository on this machine, bare or with a work tree.
    Local(PathBuf),
}

/// What to present to the server. More kinds follow (SSH keys).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// A user name and a password or token.
    Basic {
        /// The user.
        username: String,
        /// The password or token.
        password: Redacted<String>,
    },
    /// A bearer token.
    Bearer(Redacted<String>),
}

/// A client certificate with its key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate chain.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Redacted<Vec<u8>>,
}

/// An HTTP, HTTPS or SOCKS5 proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its address.
    pub address: String,
    /// The user, where the proxy wants one.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Redacted<String>>,
}

/// Bounds on what a server may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a list of refs.
    pub advertisement_bytes: u64,
    /// Bytes of a pack as sent.
    pub pack_bytes: u64,
    /// Objects in a pack.
    pub objects: u64,
    /// Bytes of one object, unpacked.
    pub object_bytes: usize,
    /// Bytes of all files of a snapshot together.
    pub tree_bytes: u64,
    /// Entries of a snapshot.
    pub entries: u64,
    /// Directories within each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            advertisement_bytes: 64 << 20,
            pack_bytes: 4 << 30,
            objects: 10_000_000,
            object_bytes: 256 << 20,
            tree_bytes: 8 << 30,
            entries: 2_000_000,
            depth: 256,
        }
    }
}

impl Remote {
    /// A remote over HTTP or HTTPS. A user part of the address becomes [`Auth::Basic`] and leaves the address.
    ///
    /// # Errors
    /// [`Error::Url`] for any other scheme and for addresses that clients read in different ways.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let wrong = |problem: &str| Error::Url { url: redact(address), problem: problem.to_owned() };
        if address.len() > 4096 || address.chars().any(|c| c.is_control() || c == '\\' || c == ' ') {
            return Err(wrong("it holds a space, a backslash or a control character, or is too long"));
        }
        let mut url = Url::parse(address).map_err(|e| Error::Url {
            url: redact(address),
            problem: format!("{e}; expected https://host/path"),
        })?;
        match url.scheme() {
            "http" | "https" => {}
            "ssh" => return Err(wrong("ssh is not supported yet, use https")),
            _ => return Err(wrong("expected a scheme of http or https")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("expected no `?` and no `#` in it"));
        }
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let auth = match (decode(url.username()), url.password().map(decode)) {
            (user, None) if user.is_empty() => Auth::None,
            (username, password) => {
                Auth::Basic { username, password: Redacted::new(password.unwrap_or_default()) }
            }
        };
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| wrong("its user part cannot be read"))?;
        Ok(Self { auth, ..Self::at(Location::Http(url)) })
    }

    /// A repository on this machine. Never call this with an address from a tenant.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::Local(path.into()))
    }

    fn at(location: Location) -> Self {
        Self {
            location,
            auth: Auth::None,
            ca: None,
            identity: None,
            proxy: None,
            timeout: Duration::from_secs(60),
            limits: Limits::default(),
        }
    }

    /// Presents `auth`, overriding what the address held.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Bounds each operation by `timeout`.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The address as it may be shown to anyone.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.location {
            Location::Http(url) => url.to_string(),
            Location::Local(path) => path.display().to_string(),
        }
    }
}

/// `address` without anything that could be its user part, for addresses that do not parse.
fn redact(address: &str) -> String {
    let shown = match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => address.to_owned(),
    };
    shown.chars().map(|c| if c.is_control() { '?' } else { c }).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_run_or_read_something_else_are_refused() {
        for address in [
            "ext::sh -c id",
            "file:///etc",
            "git@host:app.git",
            "ssh://git@host/app",
            "--upload-pack=x",
            "/tmp/repo",
            "http://a\\@b/c",
            "https://host/a\nb",
            "https://host/a b",
            "https://host/a?x=y",
            "ftp://host/a",
            "",
        ] {
            assert!(Remote::parse(address).is_err(), "`{address}` must be refused");
        }
    }

    #[test]
    fn the_user_part_becomes_a_credential_and_is_never_shown() {
        let remote = Remote::parse("https://me:s3cr%40t@host/app.git").unwrap();
        assert_eq!(remote.shown(), "https://host/app.git");
        let Auth::Basic { username, password } = &remote.auth else { panic!("expected basic") };
        assert_eq!((username.as_str(), password.expose().as_str()), ("me", "s3cr@t"));
        assert!(!format!("{remote:?}").contains("s3cr"));
        for address in ["ssh://me:s3cret@host/x", "https://me:s3cret@host/a b", "me:s3cret@host:x"] {
            assert!(!Remote::parse(address).unwrap_err().to_string().contains("s3cret"));
        }
    }
}
