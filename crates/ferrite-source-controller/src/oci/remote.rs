//! A repository with everything that decides what it answers.

use ferrite_artifact::{Algorithm, Hasher};
use ferrite_cloud::{Caller, Identity, Kind};
use ferrite_runtime::Redacted;

use super::{Keychain, OciError, Registry, Repository};
use crate::{
    context::{Context, RemoteKey},
    download::Access,
};

/// Where a repository is, and how to get in.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) repository: Repository,
    pub(crate) keychain: Keychain,
    pub(crate) access: Access,
    /// Whether plain HTTP will do.
    pub(crate) insecure: bool,
}

impl Remote {
    /// Connects, with a fresh token where the registry wants one.
    pub(crate) async fn connect(&self) -> Result<Registry, OciError> {
        Registry::connect(&self.repository, &self.keychain, &self.access, self.insecure).await
    }

    /// Adds the login that `identity` has at the cloud `kind`, unless there is a login already.
    pub(crate) async fn log_in(
        &mut self,
        context: &Context,
        kind: Kind,
        identity: Identity,
    ) -> Result<(), ferrite_cloud::Error> {
        let proxy = crate::credentials::cloud_proxy(&self.access);
        let caller = Caller { identity, proxy };
        let place = format!("{}/{}", self.repository.host, self.repository.path);
        let login = context.identity.cloud().registry(kind, &caller, &place).await?;
        let password = Redacted::new(login.password.expose_secret().clone());
        self.keychain.insert(&self.repository, login.username, password);
        Ok(())
    }

    /// What makes the repository answer as it does, and the question `question`, without showing any of it.
    pub(crate) fn key(&self, question: &str) -> RemoteKey {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        // Lengths keep neighbours apart.
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        let Self { repository, keychain, access, insecure } = self;
        for part in [&repository.host, &repository.path, question] {
            add(part.as_bytes());
        }
        add(&[u8::from(*insecure), u8::from(access.insecure)]);
        for part in keychain.parts().flatten() {
            add(part.as_bytes());
        }
        add(access.ca.as_deref().unwrap_or_default());
        if let Some((certificate, key)) = &access.identity {
            add(certificate);
            add(key.expose_secret());
        }
        if let Some((address, username, password)) = &access.proxy {
            add(address.as_bytes());
            add(username.as_deref().unwrap_or_default().as_bytes());
            add(password.as_ref().map_or("", |password| password.expose_secret()).as_bytes());
        }
        RemoteKey(hasher.finish().hex().to_owned())
    }
}
