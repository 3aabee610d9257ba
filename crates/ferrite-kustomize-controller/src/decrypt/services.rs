//! Keys that a service keeps: AWS KMS, Google Cloud KMS, Azure Key Vault, and the transit engine of Vault or OpenBao.
//!
//! A service is asked only for a key that a file names, as the Kustomization's own identity, and is told nothing but the
//! encrypted data key. Addresses that a file gives get no token of a cloud unless they are that cloud's.

use std::{sync::LazyLock, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ferrite_cloud::{Caller, Environment, Identity, Kind, Redacted, Scope};
use ferrite_runtime::{chain, workload_identity::WorkloadIdentity};
use ferrite_sops::{KeyError, MasterKey, MasterKeyKind};
use regex::Regex;
use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::{aws, vault::VaultLogin};

/// How long a service may take for one key.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// Domains of Key Vault and Managed HSM; the token for a vault is for its domain.
const AZURE_DOMAINS: [&str; 6] = [
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.azure.net",
    "managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net",
];

static GCP_KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^projects/[^/?#]+/locations/[^/?#]+/keyRings/[^/?#]+/cryptoKeys/[^/?#]+$").ok()
});

/// Where services are, and what all Kustomizations share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) http: Client,
    pub(crate) identity: WorkloadIdentity,
    pub(crate) environment: Environment,
    /// How to log in to which Vault.
    pub(crate) vaults: Option<VaultLogin>,
    gcp: String,
    /// Instead of the address of a Key Vault, in tests.
    azure: Option<String>,
}

impl Shared {
    /// Services as the environment says; `None` when there can be no HTTP client.
    pub(crate) fn new(
        identity: WorkloadIdentity,
        environment: Environment,
        vaults: Option<VaultLogin>,
    ) -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which is just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = Client::builder().redirect(Policy::none()).timeout(PATIENCE).build()?;
        let gcp = "https://cloudkms.googleapis.com".to_owned();
        Ok(Self { http, identity, environment, vaults, gcp, azure: None })
    }

    /// The same with the services of Google and Microsoft elsewhere.
    #[cfg(test)]
    pub(crate) fn at(mut self, address: &str) -> Self {
        self.gcp = address.to_owned();
        self.azure = Some(address.to_owned());
        self
    }
}

/// What a Secret holds for services, instead of a workload identity.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) vault_token: Option<Redacted<String>>,
    pub(crate) aws: Option<Identity>,
    pub(crate) azure: Option<Identity>,
    pub(crate) gcp: Option<Identity>,
}

/// The services, as one Kustomization may use them.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) shared: Shared,
    pub(crate) stored: Stored,
    pub(crate) namespace: String,
    /// `spec.decryption.serviceAccountName`.
    pub(crate) account: Option<String>,
}

impl Services {
    /// Opens a data key; bounded in time.
    pub(crate) async fn open(&self, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let opened = match &key.kind {
            MasterKeyKind::AwsKms { arn, role, context } => {
                let caller = self.caller(self.stored.aws.as_ref()).await?;
                aws::decrypt(self, &caller, arn, role, context, &key.encrypted).await
            }
            MasterKeyKind::GcpKms { resource_id } => self.gcp(resource_id, &key.encrypted).await,
            MasterKeyKind::AzureKeyVault { vault_url, name, version } => {
                self.azure(vault_url, name, version, &key.encrypted).await
            }
            MasterKeyKind::Vault { address, engine_path, key_name } => {
                self.vault(address, engine_path, key_name, &key.encrypted).await
            }
            MasterKeyKind::Age { .. } | MasterKeyKind::Pgp { .. } | MasterKeyKind::Other { .. } => {
                Err(KeyError::NotHere("this service is not supported".to_owned()))
            }
        };
        opened.map(Zeroizing::new)
    }

    /// What the Secret holds, else the service account, else the controller.
    async fn caller(&self, stored: Option<&Identity>) -> Result<Caller, KeyError> {
        if let Some(identity) = stored {
            return Ok(Caller::from(identity.clone()));
        }
        let field = "spec.decryption.serviceAccountName";
        let identity = self.shared.identity.identity(&self.namespace, self.account.as_deref(), field).await;
        identity.map(Caller::from).map_err(|error| KeyError::NotHere(chain(&error)))
    }

    async fn token(
        &self,
        kind: Kind,
        stored: Option<&Identity>,
        scope: &Scope,
    ) -> Result<Redacted<String>, KeyError> {
        let caller = self.caller(stored).await?;
        let token = self.shared.identity.cloud().token(kind, &caller, scope).await;
        token.map(|token| token.token).map_err(|error| KeyError::Service(chain(&error)))
    }

    async fn gcp(&self, resource_id: &str, encrypted: &str) -> Result<Vec<u8>, KeyError> {
        if !GCP_KEY.as_ref().is_some_and(|pattern| pattern.is_match(resource_id)) {
            return Err(KeyError::Malformed("its resource id is none of Google Cloud KMS".to_owned()));
        }
        STANDARD
            .decode(encrypted)
            .map_err(|_| KeyError::Malformed("the encrypted data key is no base64".to_owned()))?;
        let scope = Scope::oauth("https://www.googleapis.com/auth/cloudkms");
        let token = self.token(Kind::Gcp, self.stored.gcp.as_ref(), &scope).await?;
        let url = url(&format!("{}/v1/{resource_id}:decrypt", self.shared.gcp))?;
        let request = self.shared.http.post(url).bearer_auth(token.expose_secret());
        let answer = send(request.json(&json!({"ciphertext": encrypted})), "Google Cloud KMS").await?;
        decoded(answer.pointer("/plaintext"), "Google Cloud KMS")
    }

    async fn azure(
        &self,
        vault: &str,
        name: &str,
        version: &str,
        encrypted: &str,
    ) -> Result<Vec<u8>, KeyError> {
        let vault = url(vault)?;
        let host = vault.host_str().unwrap_or_default().to_owned();
        let domain = AZURE_DOMAINS.into_iter().find(|domain| {
            host.strip_suffix(domain)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty())
        });
        let Some(domain) = domain.filter(|_| vault.scheme() == "https" && vault.port().is_none()) else {
            return Err(KeyError::Malformed("its address is none of Azure Key Vault".to_owned()));
        };
        let token = self
            .token(
                Kind::Azure,
                self.stored.azure.as_ref(),
                &Scope::oauth(format!("https://{domain}/.default")),
            )
            .await?;
        let base = self.shared.azure.clone().unwrap_or_else(|| format!("https://{host}"));
        let mut address = url(&base)?;
        if let Ok(mut path) = address.path_segments_mut() {
            path.clear().extend(["keys", name, version, "decrypt"]);
        }
        address.set_query(Some("api-version=7.4"));
        let request = self.shared.http.post(address).bearer_auth(token.expose_secret());
        let body = json!({"alg": "RSA-OAEP-256", "value": encrypted});
        let answer = send(request.json(&body), "Azure Key Vault").await?;
        let plain = answer
            .pointer("/value")
            .and_then(Value::as_str)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        plain.ok_or_else(|| KeyError::Service("Azure Key Vault answered no plain data key".to_owned()))
    }

    async fn vault(
        &self,
        address: &str,
        engine: &str,
        key: &str,
        encrypted: &str,
    ) -> Result<Vec<u8>, KeyError> {
        let mut place = url(address)?;
        let token = match (&self.stored.vault_token, &self.shared.vaults) {
            (Some(token), _) => token.clone(),
            (None, Some(login)) => login.token(self, address).await?,
            (None, None) => {
                return Err(KeyError::NotHere("no Vault token is configured (sops.vault-token)".to_owned()));
            }
        };
        if let Ok(mut path) = place.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(engine.split('/').filter(|part| !part.is_empty()));
            path.extend(["decrypt", key]);
        }
        let request = self.shared.http.put(place).header("x-vault-token", token.expose_secret());
        let answer = send(request.json(&json!({"ciphertext": encrypted})), "Vault").await?;
        decoded(answer.pointer("/data/plaintext"), "Vault")
    }
}

pub(super) fn url(text: &str) -> Result<Url, KeyError> {
    let url =
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| KeyError::Malformed("its address is no URL".to_owned()))
}

/// The data key in an answer.
pub(super) fn decoded(plain: Option<&Value>, service: &str) -> Result<Vec<u8>, KeyError> {
    let plain = plain.and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    plain.ok_or_else(|| KeyError::Service(format!("{service} answered no plain data key")))
}

/// Sends a request; an answer that is no success is told by its status and, where it has one, its own short message.
pub(super) async fn send(request: reqwest::RequestBuilder, service: &str) -> Result<Value, KeyError> {
    let (status, body) = exchange(request, service).await?;
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    if !(200..300).contains(&status) {
        let message = answer.as_ref().and_then(|answer| {
            ["/message", "/Message", "/error/message", "/errors/0"]
                .into_iter()
                .find_map(|place| answer.pointer(place)?.as_str())
        });
        let detail: String =
            message.map(|text| format!(": {text}")).unwrap_or_default().chars().take(300).collect();
        return Err(KeyError::Service(format!("{service} answered {status}{detail}")));
    }
    answer.ok_or_else(|| KeyError::Service(format!("{service} answered no JSON")))
}

pub(super) async fn exchange(
    request: reqwest::RequestBuilder,
    service: &str,
) -> Result<(u16, Vec<u8>), KeyError> {
    let away = |error: &reqwest::Error| {
        let why = if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" };
        KeyError::Service(format!("{service}: {why}"))
    };
    let mut response = request.send().await.map_err(|error| away(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(KeyError::Service(format!("{service} answered more than 1 MiB")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

#[cfg(test)]
mod tests;
