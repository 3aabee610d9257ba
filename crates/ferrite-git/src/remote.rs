//! Where a repository is and how to get in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::{Error, Redacted, ssh};

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
    /// A proxy for this remote only; without one the usual environment variables count. SSH uses none.
    pub proxy: Option<Proxy>,
    /// The SSH algorithms to offer.
    pub ssh_algorithms: SshAlgorithms,
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
    /// SSH.
    Ssh(SshAddress),
    /// A repository on this machine, bare or with a work tree.
    Local(PathBuf),
}

/// Where a repository is on an SSH server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAddress {
    /// Whom to log in as.
    pub user: String,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The port, 22 unless the address names one.
    pub port: u16,
    /// The path as the server sees it; with a leading `/`, unless it begins where the user's home is.
    pub path: String,
}

/// Shows the address without the user.
impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user: _, host, port, path } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let path = path.trim_start_matches('/');
        if *port == DEFAULT_SSH_PORT {
            write!(f, "ssh://{host}/{path}")
        } else {
            write!(f, "ssh://{host}:{port}/{path}")
        }
    }
}

const DEFAULT_SSH_PORT: u16 = 22;

/// A key for SSH, and which hosts may be talked to.
#[derive(Debug, Clone)]
pub struct SshAuth {
    /// The private key: OpenSSH, PKCS#1, PKCS#8 or SEC1, in PEM form.
    pub identity: Redacted<Vec<u8>>,
    /// The key's passphrase.
    pub passphrase: Option<Redacted<String>>,
    /// The text of a `known_hosts` file; a host it does not hold is refused.
    pub known_hosts: Vec<u8>,
}

impl SshAuth {
    /// Whether the key needs a passphrase and none is given.
    #[must_use]
    pub fn lacks_passphrase(&self) -> bool {
        let given = self.passphrase.as_ref().is_some_and(|passphrase| !passphrase.expose().is_empty());
        !given && ssh::is_encrypted(self.identity.expose())
    }
}

/// SSH algorithms to offer instead of the defaults, by their names in the protocol; names nobody knows are skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshAlgorithms {
    /// Key exchanges, most preferred first; the defaults when empty.
    pub kex: Vec<String>,
    /// Host keys, most preferred first; the types in `known_hosts` when empty.
    pub host_key: Vec<String>,
}

/// What to present to the server.
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
    /// A key, for SSH.
    Ssh(SshAuth),
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
    /// A remote over HTTP, HTTPS or SSH. The user part of an HTTP address becomes [`Auth::Basic`] and leaves the
    /// address; without one the SSH user is `git`. An SSH remote needs [`Auth::Ssh`] before it can be asked.
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
            "ssh" => {}
            _ => return Err(wrong("expected a scheme of https, http or ssh")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("expected no `?` and no `#` in it"));
        }
        if url.scheme() == "ssh" {
            return Ok(Self::at(Location::Ssh(ssh_address(&url).map_err(wrong)?)));
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

    /// As [`Remote::parse`], and `user@host:path` as well, which Git takes for SSH.
    ///
    /// # Errors
    /// As [`Remote::parse`].
    pub fn parse_any(address: &str) -> Result<Self, Error> {
        let wrong = |problem: &str| Error::Url { url: redact(address), problem: problem.to_owned() };
        if address.contains("://") {
            return Self::parse(address);
        }
        let (host, path) = address.split_once(':').ok_or_else(|| wrong("expected https:// or ssh://"))?;
        if address.len() > 4096 || host.contains('/') || path.starts_with(':') {
            return Err(wrong("expected https://, ssh:// or user@host:path"));
        }
        let url = Url::parse(&format!("ssh://{host}/")).map_err(|_| wrong("expected user@host:path"))?;
        if url.port().is_some() || url.password().is_some() {
            return Err(wrong("expected user@host:path"));
        }
        let path_is_plain = !path.is_empty()
            && !path.starts_with('-')
            && !path.chars().any(|c| c.is_control() || c == '\\' || c == ' ');
        if !path_is_plain {
            return Err(wrong("its path is empty or holds a character that none may hold"));
        }
        let mut with_path = url;
        with_path.set_path("/x");
        let found = ssh_address(&with_path).map_err(wrong)?;
        Ok(Self::at(Location::Ssh(SshAddress { path: path.to_owned(), ..found })))
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
            ssh_algorithms: SshAlgorithms::default(),
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
            Location::Ssh(address) => address.to_string(),
            Location::Local(path) => path.display().to_string(),
        }
    }
}

/// Takes an `ssh://` URL apart. A password in it is ignored: keys are the only way in.
fn ssh_address(url: &Url) -> Result<SshAddress, &'static str> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return Err("expected the name or address of a host");
    }
    let user = match decode(url.username()) {
        user if user.is_empty() => DEFAULT_SSH_USER.to_owned(),
        user => user,
    };
    let path = decode(url.path());
    if user.starts_with('-') || [&user, &path].iter().any(|text| text.chars().any(char::is_control)) {
        return Err("its user or its path holds a character that none may hold");
    }
    if path.trim_matches('/').is_empty() {
        return Err("expected ssh://user@host/path");
    }
    Ok(SshAddress { user, host, port: url.port().unwrap_or(DEFAULT_SSH_PORT), path })
}

/// The user that Git hosts expect.
const DEFAULT_SSH_USER: &str = "git";

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
            "ssh://git@host",
            "ssh://-oProxyCommand=id/app",
            "ssh://git@host:22:33/app",
            "ssh://git@ho$st/app",
            "ssh://git@host/a%0ab",
            "ssh://-x@host/app",
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
        for address in ["ssh://me:s3cret@/x", "https://me:s3cret@host/a b", "me:s3cret@host:x"] {
            assert!(!Remote::parse(address).unwrap_err().to_string().contains("s3cret"));
        }
    }

    #[test]
    fn ssh_addresses_are_taken_apart() {
        for (address, user, host, port, path, shown) in [
            ("ssh://git@host/org/app.git", "git", "host", 22, "/org/app.git", "ssh://host/org/app.git"),
            ("ssh://host/app", "git", "host", 22, "/app", "ssh://host/app"),
            (
                "ssh://me:pw@Host.Example:2222/a%20b",
                "me",
                "Host.Example",
                2222,
                "/a b",
                "ssh://Host.Example:2222/a b",
            ),
            ("ssh://[::1]:7/~me/app", "git", "::1", 7, "/~me/app", "ssh://[::1]:7/~me/app"),
        ] {
            let remote = Remote::parse(address).unwrap();
            let expect = SshAddress { user: user.into(), host: host.into(), port, path: path.into() };
            assert_eq!(remote.location, Location::Ssh(expect));
            assert_eq!(remote.shown(), shown);
        }
    }

    #[test]
    fn the_short_form_of_ssh_addresses_is_read_where_git_reads_it() {
        let remote = Remote::parse_any("git@github.com:org/app.git").unwrap();
        let Location::Ssh(address) = &remote.location else { panic!("expected SSH") };
        assert_eq!((address.host.as_str(), address.path.as_str()), ("github.com", "org/app.git"));
        assert_eq!(remote.shown(), "ssh://github.com/org/app.git");
        for address in
            ["/tmp/x", "host", "-x:y", "ext::sh -c id", "git@host:", "git@host:-x", "a/b:c", "c:\\x"]
        {
            assert!(Remote::parse_any(address).is_err(), "`{address}` must be refused");
        }
    }
}
