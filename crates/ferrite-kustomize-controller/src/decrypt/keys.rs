//! The keys that a Kustomization decrypts with: those of its Secret, or the controller's for all.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use ferrite_api::kustomize::Kustomization;
use ferrite_cloud::{AwsCredentials, Identity, Redacted};
use ferrite_runtime::ObjectKey;
use ferrite_sops::{ImportError, KeyError, KeyService, Keyring, MasterKey, MasterKeyKind};
use ferrite_yaml::{Dialect, Limits};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::services::{Services, Shared, Stored};

/// How long all key services together may take for one build, however many keys its files name.
const PATIENCE: Duration = Duration::from_secs(60);

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
        problem: String,
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
    services: Option<(Services, tokio::runtime::Handle)>,
    /// When the services were asked first.
    asked: OnceLock<Instant>,
    /// Differs whenever the keys do.
    pub(crate) fingerprint: [u8; 32],
}

impl KeyService for Keys {
    /// Must not be called by a worker of the runtime: a service is waited for, for at most some seconds.
    fn open(&self, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match (&key.kind, &self.services) {
            (MasterKeyKind::Age { .. } | MasterKeyKind::Pgp { .. }, _) | (_, None) => self.keyring.open(key),
            (_, Some((services, runtime))) => {
                let deadline = *self.asked.get_or_init(Instant::now) + PATIENCE;
                let opening = async { tokio::time::timeout_at(deadline, services.open(key)).await };
                runtime.block_on(opening).unwrap_or_else(|_| {
                    Err(KeyError::Service("key services take too long, no more of them are asked".to_owned()))
                })
            }
        }
    }
}

/// The keys that `spec.decryption` asks for; `None` when it asks for nothing.
///
/// The Secret is read as the controller, in the namespace of the Kustomization only.
pub(crate) async fn load(
    client: &Client,
    object: &Kustomization,
    fallback: Fallback<'_>,
    shared: &Shared,
) -> Result<Option<Keys>, KeysError> {
    let Some(decryption) = &object.spec.decryption else { return Ok(None) };
    let (mut keys, mut stored) = (Keys::default(), Stored::default());
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    match (&decryption.secret_ref, fallback) {
        (Some(reference), _) => {
            let secret = ObjectKey::new(namespace, &reference.name);
            let data = read(client, &secret, false).await?;
            import(&mut keys, &mut stored, &secret, &data, false)?;
        }
        (None, Some(secret)) => {
            let data = read(client, secret, true).await?;
            import(&mut keys, &mut stored, secret, &data, true)?;
        }
        (None, None) => {}
    }
    let services = Services {
        shared: shared.clone(),
        stored,
        namespace: namespace.to_owned(),
        account: decryption.service_account_name.clone(),
    };
    keys.services = Some((services, tokio::runtime::Handle::current()));
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
    stored: &mut Stored,
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
        let problem = |error: ImportError| error.to_string();
        let imported = match (key.as_str(), extension(key)) {
            (_, "agekey") => std::str::from_utf8(&value.0)
                .map_err(|_| ImportError::Age(1))
                .and_then(|text| keys.keyring.import_age(text))
                .map_err(problem),
            _ if only_age => Ok(()),
            (_, "asc") => keys.keyring.import_pgp(&value.0).map_err(problem),
            ("sops.vault-token", _) => text_of(value).map(|text| {
                stored.vault_token = Some(Redacted::new(text.trim().to_owned()));
            }),
            ("sops.aws-kms", _) => aws_keys(value).map(|identity| stored.aws = Some(identity)),
            ("sops.azure-kv", _) => azure(value).map(|identity| stored.azure = Some(identity)),
            ("sops.gcp-kms", _) => {
                stored.gcp = Some(Identity::GoogleCredentials(Redacted::new(value.0.clone())));
                Ok(())
            }
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

fn text_of(value: &ByteString) -> Result<&str, String> {
    std::str::from_utf8(&value.0).map_err(|_| "it is not UTF-8".to_owned())
}

/// The fields of a YAML mapping; an error tells nothing of it.
fn fields(value: &ByteString) -> Result<impl Fn(&str) -> Option<String>, String> {
    let refused = |_| "it is no YAML mapping".to_owned();
    let text = ferrite_yaml::decode_text(&value.0).map_err(refused)?;
    let node = ferrite_yaml::parse(&text, &Limits::default()).map_err(refused)?;
    let fields =
        node.map(|node| node.to_json(Dialect::Yaml11)).transpose().map_err(refused)?.unwrap_or_default();
    Ok(move |name: &str| {
        fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    })
}

fn aws_keys(value: &ByteString) -> Result<Identity, String> {
    let field = fields(value)?;
    let need = |name: &str| field(name).ok_or_else(|| format!("invalid data: requires a '{name}' field"));
    Ok(Identity::AwsKeys(AwsCredentials {
        access_key_id: need("aws_access_key_id")?,
        secret_access_key: Redacted::new(need("aws_secret_access_key")?),
        session_token: field("aws_session_token").map(Redacted::new),
        expires: None,
    }))
}

fn azure(value: &ByteString) -> Result<Identity, String> {
    let field = fields(value)?;
    let authority = field("authorityHost");
    match (field("tenantId"), field("clientId"), field("clientSecret"), field("clientCertificate")) {
        (Some(tenant), Some(client), Some(secret), _) => {
            return Ok(Identity::AzureClientSecret {
                tenant,
                client,
                secret: Redacted::new(secret),
                authority,
            });
        }
        (Some(tenant), Some(client), None, Some(pem)) => {
            if field("clientCertificatePassword").is_some() {
                return Err("clientCertificate with a password is not supported; store the key without one"
                    .to_owned());
            }
            let send_chain = field("clientCertificateSendChain").is_some();
            let pem = Redacted::new(pem.into_bytes());
            return Ok(Identity::AzureClientCertificate { tenant, client, pem, send_chain, authority });
        }
        _ => {}
    }
    match (field("tenant"), field("appId"), field("password"), field("clientId")) {
        (Some(tenant), Some(client), Some(secret), _) => {
            Ok(Identity::AzureClientSecret { tenant, client, secret: Redacted::new(secret), authority })
        }
        (_, _, _, Some(client)) => Ok(Identity::AzureManaged { client }),
        _ => Err("invalid data: requires a 'clientId' field, a combination of 'tenantId', 'clientId' and 'clientSecret', \
                  or 'tenantId', 'clientId' and 'clientCertificate'"
            .to_owned()),
    }
}
