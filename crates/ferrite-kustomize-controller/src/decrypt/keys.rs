//! The keys that a Kustomization decrypts with: those of its Secret, or the controller's for all.

use ferrite_api::kustomize::Kustomization;
use ferrite_runtime::ObjectKey;
use ferrite_sops::{ImportError, KeyError, KeyService, Keyring, MasterKey};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Why keys cannot be had; holds nothing of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The Secret does not exist.
    #[error("secrets \"{}\" not found", .0.name)]
    NotFound(ObjectKey),
    /// The Secret cannot be read.
    #[error("cannot get {which}")]
    Read {
        /// Whose Secret, and its name.
        which: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// What the Secret holds is no key.
    #[error("failed to import '{key}' data from {which}: {problem}")]
    Import {
        /// Whose Secret, and its name.
        which: String,
        /// Its key.
        key: String,
        /// What is wrong with it.
        problem: ImportError,
    },
}

/// A Secret with keys, in the words of Flux.
fn which(secret: &ObjectKey, of_controller: bool) -> String {
    let whose = if of_controller { "SOPS age " } else { "" };
    format!("sops {whose}decryption Secret '{secret}'")
}

/// Whose age keys are used where a Kustomization names no Secret.
pub(crate) type Fallback<'a> = Option<&'a ObjectKey>;

/// The keys of one Kustomization.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keyring: Keyring,
    /// Differs whenever the keys do.
    pub(crate) fingerprint: [u8; 32],
}

impl KeyService for Keys {
    fn open(&self, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.keyring.open(key)
    }
}

/// The keys that `spec.decryption` asks for; `None` when it asks for nothing.
///
/// The Secret is read as the controller, in the namespace of the Kustomization only.
pub(crate) async fn load(
    client: &Client,
    object: &Kustomization,
    fallback: Fallback<'_>,
) -> Result<Option<Keys>, KeysError> {
    let Some(decryption) = &object.spec.decryption else { return Ok(None) };
    let mut keys = Keys::default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    match (&decryption.secret_ref, fallback) {
        (Some(reference), _) => {
            let secret = ObjectKey::new(namespace, &reference.name);
            let data = read(client, &secret, false).await?;
            import(&mut keys, &secret, &data, false)?;
        }
        (None, Some(secret)) => {
            let data = read(client, secret, true).await?;
            import(&mut keys, secret, &data, true)?;
        }
        (None, None) => {}
    }
    Ok(Some(keys))
}

async fn read(
    client: &Client,
    secret: &ObjectKey,
    of_controller: bool,
) -> Result<BTreeMap<String, ByteString>, KeysError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace);
    match api.get_opt(&secret.name).await {
        Ok(Some(found)) => Ok(found.data.unwrap_or_default()),
        Ok(None) => Err(KeysError::NotFound(secret.clone())),
        Err(source) => Err(KeysError::Read { which: which(secret, of_controller), source }),
    }
}

/// Takes the keys of a Secret in; of the controller's own only those of age, so that nobody gets more by it.
fn import(
    keys: &mut Keys,
    secret: &ObjectKey,
    data: &BTreeMap<String, ByteString>,
    only_age: bool,
) -> Result<(), KeysError> {
    let mut hasher = Sha256::new();
    for (key, value) in data {
        for part in [key.as_bytes(), value.0.as_slice()] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let imported = match extension(key) {
            "agekey" => std::str::from_utf8(&value.0)
                .map_err(|_| ImportError::Age(1))
                .and_then(|text| keys.keyring.import_age(text)),
            "asc" if !only_age => keys.keyring.import_pgp(&value.0),
            _ => Ok(()),
        };
        imported.map_err(|problem| KeysError::Import {
            which: which(secret, only_age),
            key: key.clone(),
            problem,
        })?;
    }
    keys.fingerprint = hasher.finalize().into();
    Ok(())
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}
