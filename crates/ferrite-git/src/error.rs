//! Why a Git operation failed, and what a person can do about it.

use std::time::Duration;

/// Why a Git operation failed. No variant holds a credential; URLs are shown without their user part.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be used; only an edit helps.
    #[error("cannot use the Git address '{url}': {problem}")]
    Url {
        /// The address without credentials.
        url: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A credential, certificate or proxy setting cannot be used; only an edit helps.
    #[error("cannot use the {what}: {problem}")]
    Credentials {
        /// Which setting.
        what: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// No connection; DNS, network policy or a server that is down.
    #[error("cannot reach '{url}'; check the host name, the network policies and that the server is up")]
    Unreachable {
        /// The address without credentials.
        url: String,
        /// What the connection said.
        source: reqwest::Error,
    },
    /// The server's certificate is not trusted.
    #[error(
        "cannot trust the TLS certificate of '{url}'; give the CA that signed it as `ca.crt` in the secret"
    )]
    Tls {
        /// The address without credentials.
        url: String,
        /// What the handshake said.
        source: reqwest::Error,
    },
    /// No connection to an SSH server.
    #[error(
        "cannot reach '{url}'; check the host name, the port, the network policies and that the server is up"
    )]
    Connect {
        /// The address without the user.
        url: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// An SSH server is not the one that `known_hosts` describes.
    #[error(
        "ssh: handshake failed: knownhosts: {problem}: '{url}' presents the {algorithm} key {fingerprint}; check it and correct 'known_hosts' in the secret"
    )]
    HostKey {
        /// The address without the user.
        url: String,
        /// `key is unknown`, `key mismatch` or `key is revoked`.
        problem: &'static str,
        /// The type of the key.
        algorithm: String,
        /// The SHA-256 fingerprint of the key.
        fingerprint: String,
    },
    /// An SSH server does not let the key in.
    #[error(
        "ssh: handshake failed: ssh: unable to authenticate as '{user}' to '{url}' with the key {key}; give the key read access, or correct 'identity' in the secret"
    )]
    SshRefused {
        /// The address without the user.
        url: String,
        /// Whom it tried to log in as.
        user: String,
        /// The SHA-256 fingerprint of the key.
        key: String,
    },
    /// A private key for SSH cannot be used.
    #[error("unable to use the SSH private key 'identity': {problem}")]
    SshKey {
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A text of known hosts cannot be used.
    #[error("'known_hosts' cannot be used: line {line}: {problem}")]
    KnownHosts {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// An SSH connection failed.
    #[error("the SSH connection to '{url}' failed; it is tried again")]
    Ssh {
        /// The address without the user.
        url: String,
        /// What the connection said.
        source: Box<russh::Error>,
    },
    /// 401 or 403.
    #[error(
        "authentication refused by '{url}' (HTTP {status}); check the user name, password or token in the secret and what it may read"
    )]
    AuthenticationRefused {
        /// The address without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// 401 and no credentials were given.
    #[error("authentication required by '{url}' (HTTP {status}); name a secret with credentials")]
    AuthenticationRequired {
        /// The address without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// 404.
    #[error("repository not found at '{url}'; check the address, and the credentials if it is private")]
    NotFound {
        /// The address without credentials.
        url: String,
    },
    /// Any other HTTP status.
    #[error("'{url}' answered HTTP {status}; the server may be failing, it is tried again")]
    Status {
        /// The address without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The connection broke during an answer.
    #[error("the connection to '{url}' broke while reading the answer; it is tried again")]
    Broken {
        /// The address without credentials.
        url: String,
        /// What the connection said.
        source: reqwest::Error,
    },
    /// The deadline passed.
    #[error("timed out after {timeout:?} talking to '{url}'; raise the timeout if the repository is large")]
    Timeout {
        /// The address without credentials.
        url: String,
        /// The deadline.
        timeout: Duration,
    },
    /// The repository has no commit.
    #[error("git repository is empty")]
    Empty,
    /// The branch, tag, name or commit does not exist.
    #[error("{kind} '{name}' not found in '{url}'; check the reference")]
    UnknownReference {
        /// `branch`, `tag`, `reference` or `commit`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The address without credentials.
        url: String,
    },
    /// No tag lies in the range.
    #[error("no tag of '{url}' matches the version range '{range}'")]
    NoMatchingTag {
        /// The range asked for.
        range: String,
        /// The address without credentials.
        url: String,
    },
    /// The reference is not well-formed; only an edit helps.
    #[error("invalid {kind} '{name}': {problem}")]
    InvalidReference {
        /// `branch`, `semver`, `commit`, …
        kind: &'static str,
        /// The text given.
        name: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// The peer does not speak the Git protocol.
    #[error(
        "'{url}' does not speak the Git protocol: {problem}; check that the address is that of a repository"
    )]
    Protocol {
        /// The address without credentials.
        url: String,
        /// What was wrong.
        problem: String,
    },
    /// The server reported an error of its own.
    #[error("'{url}' refused: {message}")]
    Refused {
        /// The address without credentials.
        url: String,
        /// The server's words, bounded.
        message: String,
    },
    /// A bound was exceeded.
    #[error("'{url}' exceeds a limit: {what}, at most {limit} allowed")]
    Limit {
        /// The address or path.
        url: String,
        /// What is too large.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A directory asked for by sparse checkout is not in the commit.
    #[error("failed to sparse checkout directories: '{directory}' does not exist in commit {commit}")]
    NoSuchDirectory {
        /// The directory.
        directory: String,
        /// The commit.
        commit: String,
    },
    /// An object holds something that must not be written anywhere.
    #[error("refused the entry '{path}' of commit {commit}: {problem}")]
    UnsafeEntry {
        /// The path of the entry.
        path: String,
        /// The commit.
        commit: String,
        /// Why.
        problem: &'static str,
    },
    /// A submodule's address cannot or must not be followed.
    #[error("cannot use the submodule '{path}': {problem}")]
    Submodule {
        /// Its path in the repository that names it.
        path: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// An object is missing or damaged.
    #[error("cannot {action}")]
    Objects {
        /// What was tried.
        action: String,
        /// What gix said.
        source: gix::Error,
    },
    /// A repository on this machine cannot be used.
    #[error("cannot open the repository at '{path}'; is it a Git repository?")]
    Open {
        /// Its path.
        path: String,
        /// What gix said.
        source: gix::Error,
    },
    /// The disk refused.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The blocking task was cancelled.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub(crate) fn protocol(url: &str, problem: impl Into<String>) -> Self {
        Self::Protocol { url: url.to_owned(), problem: problem.into() }
    }

    pub(crate) fn objects(action: impl Into<String>, source: gix::Error) -> Self {
        Self::Objects { action: action.into(), source }
    }
}
