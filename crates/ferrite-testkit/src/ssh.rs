//! An SSH server that runs nothing but `git-upload-pack`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use ferrite_git::serve::Repositories;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A type of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshKey {
    /// Ed25519.
    Ed25519,
    /// ECDSA over P-256.
    Ecdsa,
    /// RSA.
    Rsa,
}

/// A new private key, in OpenSSH form, and its public half as `authorized_keys` and `known_hosts` hold it.
///
/// # Errors
/// When the key cannot be made.
pub fn new_ssh_key(kind: SshKey, passphrase: Option<&str>) -> Result<(String, String)> {
    let key = generate(kind)?;
    let public = key.public_key().to_openssh()?;
    Ok((written(&key, passphrase)?, public))
}

/// A new RSA private key of 2048 bits, in PKCS #8 form, as GitHub Apps have them.
///
/// # Errors
/// When the key cannot be made.
pub fn new_rsa_key() -> Result<String> {
    let key = russh::keys::ssh_key::private::RsaKeypair::random(&mut safe_rng(), 2048)?;
    let mut pem = Vec::new();
    russh::keys::encode_pkcs8_pem(&PrivateKey::from(key), &mut pem)?;
    Ok(String::from_utf8(pem)?)
}

/// Signs as `git commit -S` does with an SSH key; `key` is one of [`new_ssh_key`] without a passphrase.
///
/// # Errors
/// When the key cannot be read or cannot sign.
pub fn ssh_signature(key: &str, payload: &[u8]) -> Result<String> {
    let key = PrivateKey::from_openssh(key)?;
    let signature = key.sign("git", russh::keys::HashAlg::Sha512, payload)?;
    Ok(signature.to_pem(LineEnding::LF)?)
}

fn generate(kind: SshKey) -> Result<PrivateKey> {
    let algorithm = match kind {
        SshKey::Ed25519 => Algorithm::Ed25519,
        SshKey::Ecdsa => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        SshKey::Rsa => Algorithm::Rsa { hash: None },
    };
    PrivateKey::random(&mut safe_rng(), algorithm).context("cannot make an SSH key")
}

fn written(key: &PrivateKey, passphrase: Option<&str>) -> Result<String> {
    let text = match passphrase {
        Some(passphrase) => key.encrypt(&mut safe_rng(), passphrase)?.to_openssh(LineEnding::LF)?,
        None => key.to_openssh(LineEnding::LF)?,
    };
    Ok(text.to_string())
}

/// The keys of a server and of those it lets in.
#[derive(Debug, Clone)]
pub(crate) struct SshSide {
    host_key: PrivateKey,
    known_hosts: String,
    admitted: Arc<RwLock<Vec<PublicKey>>>,
}

impl SshSide {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        let host_key = generate(SshKey::Ed25519)?;
        let public = host_key.public_key().to_openssh()?;
        let known_hosts = format!("[{}]:{} {public}\n", address.ip(), address.port());
        Ok(Self { host_key, known_hosts, admitted: Arc::default() })
    }

    pub(crate) fn known_hosts(&self) -> &str {
        &self.known_hosts
    }

    pub(crate) fn admit(&self, kind: SshKey, passphrase: Option<&str>) -> Result<String> {
        let key = generate(kind)?;
        let mut admitted = self.admitted.write().unwrap_or_else(PoisonError::into_inner);
        admitted.push(key.public_key().clone());
        written(&key, passphrase)
    }
}

/// Accepts connections until the future is dropped.
pub(crate) async fn serve(repositories: Repositories, listener: TcpListener, side: SshSide, version_2: bool) {
    let config = Arc::new(server::Config {
        keys: vec![side.host_key.clone()],
        // Nobody guesses here, so a refusal need not take its time.
        auth_rejection_time: Duration::ZERO,
        nodelay: true,
        ..server::Config::default()
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                drop(stream.set_nodelay(true)); // only an optimisation
                let admitted = Arc::clone(&side.admitted);
                let repositories = repositories.clone();
                let guest = Guest { repositories, admitted, accepts_version_2: version_2, channels: HashMap::new() };
                let config = Arc::clone(&config);
                connections.spawn(async move {
                    // A handshake that fails is the client's to report.
                    if let Ok(session) = server::run_stream(config, stream, guest).await {
                        drop(session.await);
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection.
struct Guest {
    repositories: Repositories,
    admitted: Arc<RwLock<Vec<PublicKey>>>,
    accepts_version_2: bool,
    /// Open channels, and whether each asked for protocol v2.
    channels: HashMap<ChannelId, (Channel<Msg>, bool)>,
}

impl server::Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let admitted = self.admitted.read().unwrap_or_else(PoisonError::into_inner);
        let known = admitted.iter().any(|known| known.key_data() == key.public_key.key_data());
        Ok(if user == "git" && known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), (channel, false));
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if let Some((_, version_2)) = self.channels.get_mut(&id) {
            *version_2 |= self.accepts_version_2 && name == "GIT_PROTOCOL" && value == "version=2";
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        let name = command.strip_prefix("git-upload-pack '").and_then(|rest| rest.strip_suffix('\''));
        let (Some(name), Some((channel, version_2))) = (name.map(str::to_owned), self.channels.remove(&id))
        else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let (handle, repositories) = (session.handle(), self.repositories.clone());
        tokio::spawn(async move {
            let mut stream = channel.into_stream();
            let found = repositories.upload_pack(&name, version_2, &mut stream).await;
            let complaint = format!("fatal: '{name}' does not appear to be a git repository\n");
            // Whoever does not wait for the end has gone.
            end(&handle, id, (!found).then_some(complaint)).await.unwrap_or_default();
        });
        Ok(())
    }
}

/// The end of a program, with what it complained about.
async fn end(handle: &server::Handle, id: ChannelId, complaint: Option<String>) -> Result<(), ()> {
    let status = if complaint.is_some() { 128 } else { 0 };
    if let Some(complaint) = complaint {
        handle.extended_data(id, 1, complaint.into_bytes()).await.map_err(|_| ())?;
    }
    handle.exit_status_request(id, status).await?;
    handle.eof(id).await?;
    handle.close(id).await
}
