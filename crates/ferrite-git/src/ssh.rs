//! One remote over SSH: `git-upload-pack` on the other side, a channel to talk to it.
//!
//! ```text
//! Session ── connect, host key in known_hosts?, public key ──▶ Channel ── exec git-upload-pack '<path>' ──▶ bytes
//! ```
//!
//! **Invariants.** A host whose key `known_hosts` does not hold is never sent anything that it could use. No agent, no
//! configuration file and no variable of the environment is read.

mod algorithms;
mod keys;
mod known_hosts;

use std::sync::Arc;

use bytes::Bytes;
use russh::client::{self, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::protocol::bounded;
use crate::remote::{SshAddress, SshAlgorithms, SshAuth};
use crate::{Auth, Error, Remote};
use known_hosts::{KnownHosts, Verdict};

pub(crate) use keys::is_encrypted;

/// Bytes kept of what the server writes to its error output.
const MAX_COMPLAINT_BYTES: usize = 2048;

/// Key and trust of one remote. Connections are not kept: servers close idle ones, and a poll is one connection.
#[derive(Debug, Clone)]
pub(crate) struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SshAddress,
    auth: SshAuth,
    algorithms: SshAlgorithms,
    ready: OnceCell<Ready>,
}

/// What has been read of the credentials; deriving the key of a passphrase takes a while, so it is done once.
struct Ready {
    key: Arc<PrivateKey>,
    known_hosts: Arc<KnownHosts>,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(remote: &Remote, address: &SshAddress) -> Result<Self, Error> {
        let Auth::Ssh(auth) = &remote.auth else {
            return Err(Error::Credentials {
                what: "SSH address without a key",
                problem: "expected a private key and known_hosts".to_owned(),
            });
        };
        Ok(Self(Arc::new(Inner {
            address: address.clone(),
            auth: auth.clone(),
            algorithms: remote.ssh_algorithms.clone(),
            ready: OnceCell::new(),
        })))
    }

    /// The address for messages.
    pub(crate) fn shown(&self) -> String {
        self.0.address.to_string()
    }

    /// Connects, proves both sides and starts `git-upload-pack`.
    pub(crate) async fn open(&self) -> Result<Conversation, Error> {
        let ready = self.ready().await?;
        let handle = self.connect(ready).await?;
        let broken = |source| Error::Ssh { url: self.shown(), source: Box::new(source) };
        let channel = handle.channel_open_session().await.map_err(broken)?;
        // Servers that do not accept it speak protocol v0, which is understood as well.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(broken)?;
        let command = format!("git-upload-pack {}", quoted(&self.0.address.path));
        channel.exec(true, command).await.map_err(broken)?;
        Ok(Conversation {
            channel,
            _handle: handle,
            url: self.shown(),
            complaint: Vec::new(),
            ahead: Vec::new(),
        })
    }

    async fn ready(&self) -> Result<&Ready, Error> {
        let read = || async {
            let inner = Arc::clone(&self.0);
            let read = move || {
                let known_hosts = Arc::new(KnownHosts::parse(&inner.auth.known_hosts)?);
                let key = Arc::new(keys::read(&inner.auth.identity, inner.auth.passphrase.as_ref())?);
                Ok(Ready { key, known_hosts })
            };
            tokio::task::spawn_blocking(read).await.map_err(|_| Error::Interrupted)?
        };
        self.0.ready.get_or_try_init(read).await
    }

    async fn connect(&self, ready: &Ready) -> Result<Handle<Verifier>, Error> {
        let address = &self.0.address;
        let known = ready.known_hosts.algorithms(&address.host, address.port);
        let config = client::Config {
            preferred: algorithms::preferred(&self.0.algorithms, &known)?,
            client_id: russh::SshId::Standard(concat!("SSH-2.0-ferrite_", env!("CARGO_PKG_VERSION")).into()),
            nodelay: true,
            ..client::Config::default()
        };
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(|source| Error::Connect { url: self.shown(), source })?;
        drop(stream.set_nodelay(true)); // only an optimisation
        let verifier = Verifier { known_hosts: Arc::clone(&ready.known_hosts), address: address.clone() };
        let connected = client::connect_stream(Arc::new(config), stream, verifier).await;
        let mut handle = connected.map_err(|failure| match failure {
            Failure::Host(error) => *error,
            Failure::Protocol(source) => Error::Ssh { url: self.shown(), source: Box::new(source) },
        })?;
        self.authenticate(&mut handle, &ready.key).await?;
        Ok(handle)
    }

    async fn authenticate(&self, handle: &mut Handle<Verifier>, key: &Arc<PrivateKey>) -> Result<(), Error> {
        let broken = |source| Error::Ssh { url: self.shown(), source: Box::new(source) };
        let hashes = algorithms::signature_hashes(handle, key).await.map_err(broken)?;
        for hash in hashes {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            let user = self.0.address.user.clone();
            if handle.authenticate_publickey(user, key).await.map_err(broken)?.success() {
                return Ok(());
            }
            if handle.is_closed() {
                break;
            }
        }
        Err(Error::SshRefused {
            url: self.shown(),
            user: self.0.address.user.clone(),
            key: key.public_key().fingerprint(russh::keys::HashAlg::Sha256).to_string(),
        })
    }
}

/// A path as one word for the shell on the other side.
fn quoted(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 2);
    out.push('\'');
    for letter in path.chars() {
        match letter {
            '\'' => out.push_str("'\\''"),
            '!' => out.push_str("'\\!'"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// Decides about the server's key.
struct Verifier {
    known_hosts: Arc<KnownHosts>,
    address: SshAddress,
}

/// Why a connection failed before there was one.
#[derive(Debug)]
enum Failure {
    Protocol(russh::Error),
    Host(Box<Error>),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl client::Handler for Verifier {
    type Error = Failure;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let PublicKeyOrCertificate::PublicKey { key, hash_alg: _ } = presented else { return Ok(false) };
        let (host, port) = (&self.address.host, self.address.port);
        let problem = match self.known_hosts.verdict(host, port, key) {
            Verdict::Known => return Ok(true),
            Verdict::Unknown => "key is unknown",
            Verdict::Mismatch => "key mismatch",
            Verdict::Revoked => "key is revoked",
        };
        Err(Failure::Host(Box::new(Error::HostKey {
            url: self.address.to_string(),
            problem,
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(russh::keys::HashAlg::Sha256).to_string(),
        })))
    }
}

/// A running `git-upload-pack`.
pub(crate) struct Conversation {
    channel: Channel<client::Msg>,
    /// The connection lives as long as this.
    _handle: Handle<Verifier>,
    url: String,
    complaint: Vec<u8>,
    /// Bytes that came with the message before.
    ahead: Vec<u8>,
}

impl Conversation {
    /// The address for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.url
    }

    pub(crate) async fn send(&self, bytes: Vec<u8>) -> Result<(), Error> {
        let sent = self.channel.data_bytes(bytes).await;
        sent.map_err(|source| Error::Ssh { url: self.url.clone(), source: Box::new(source) })
    }

    /// The next bytes; `None` when the program has ended.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead).into()));
        }
        while let Some(message) = self.channel.wait().await {
            match message {
                ChannelMsg::Data { data } if !data.is_empty() => return Ok(Some(data)),
                ChannelMsg::ExtendedData { data, ext: _ } => {
                    let room = MAX_COMPLAINT_BYTES - self.complaint.len();
                    self.complaint.extend(data.iter().take(room));
                }
                ChannelMsg::Failure => {
                    let message = "it does not run git-upload-pack for this key".to_owned();
                    return Err(Error::Refused { url: self.url.clone(), message });
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Gives bytes back that belong to the next message.
    pub(crate) fn put_back(&mut self, bytes: Vec<u8>) {
        self.ahead = bytes;
    }

    /// Why the program ended before it had said all: what it wrote to its error output, if anything.
    pub(crate) fn ended(&self) -> Error {
        let message = bounded(&self.complaint);
        let words = message.to_ascii_lowercase();
        let missing =
            ["not found", "could not be found", "does not exist", "not appear to be a git repository"];
        if missing.iter().any(|phrase| words.contains(phrase)) {
            return Error::NotFound { url: self.url.clone() };
        }
        if message.is_empty() {
            return Error::protocol(&self.url, "the connection ended early");
        }
        Error::Refused { url: self.url.clone(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        for (path, expect) in [
            ("/org/app.git", "'/org/app.git'"),
            ("/a b;id", "'/a b;id'"),
            ("/a'$(id)'", r"'/a'\''$(id)'\'''"),
            ("/!x", r"'/'\!'x'"),
        ] {
            assert_eq!(quoted(path), expect);
        }
    }
}
