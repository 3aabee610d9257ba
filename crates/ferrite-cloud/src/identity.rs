//! Who asks: the controller itself, a ServiceAccount, or a key that a Secret holds.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::future::BoxFuture;
use ring::digest;

use crate::{AwsCredentials, Redacted};

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

impl Kind {
    /// The cloud that `spec.provider` names: `aws`, `azure` or `gcp`; `None` for anything else, `generic` included.
    #[must_use]
    pub fn parse(provider: &str) -> Option<Self> {
        match provider {
            "aws" => Some(Self::Aws),
            "azure" => Some(Self::Azure),
            "gcp" => Some(Self::Gcp),
            _ => None,
        }
    }

    /// As `spec.provider` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Makes tokens of a ServiceAccount: a TokenRequest in a cluster, anything in tests.
pub trait Minter: Send + Sync {
    /// A token of the account for `audience`, or what the API server said.
    fn mint<'a>(&'a self, audience: &'a str) -> BoxFuture<'a, Result<Redacted<String>, String>>;
}

/// A ServiceAccount whose annotations say as whom it acts in a cloud.
#[derive(Clone)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Makes its tokens; asked only when no cached token serves.
    pub minter: Arc<dyn Minter>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServiceAccount({}/{})", self.namespace, self.name)
    }
}

impl ServiceAccount {
    /// The annotation `key`, empty when it is not there.
    pub(crate) fn annotation(&self, key: &str) -> &str {
        self.annotations.get(key).map_or("", String::as_str)
    }

    /// A token for `audience`.
    pub(crate) async fn mint(&self, audience: &str) -> Result<Redacted<String>, crate::Error> {
        self.minter.mint(audience).await.map_err(|problem| crate::Error::Mint {
            account: format!("{}/{}", self.namespace, self.name),
            problem,
        })
    }
}

/// Who asks a cloud for something.
#[derive(Debug, Clone, Default)]
pub enum Identity {
    /// Whoever the process is, by its environment, its files and the metadata service of its node.
    #[default]
    Controller,
    /// A ServiceAccount.
    ServiceAccount(ServiceAccount),
    /// Keys of AWS; they are not exchanged.
    AwsKeys(AwsCredentials),
    /// A Google credentials file: `service_account`, `external_account` or `authorized_user` JSON.
    GoogleCredentials(Redacted<Vec<u8>>),
    /// An Azure application with a secret.
    AzureClientSecret {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Redacted<String>,
        /// The login service; `None` for that of the environment or the public cloud.
        authority: Option<String>,
    },
    /// An Azure application with a certificate, PEM.
    AzureClientCertificate {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Certificate and RSA private key, PEM.
        pem: Redacted<Vec<u8>>,
        /// Whether the certificate itself goes along, for authentication by subject name and issuer.
        send_chain: bool,
        /// The login service; `None` for that of the environment or the public cloud.
        authority: Option<String>,
    },
    /// A managed identity of the Azure node, by its client id.
    AzureManaged {
        /// The client id.
        client: String,
    },
}

impl Identity {
    /// What tells two identities apart, without any secret. `as_whom` is what a ServiceAccount's annotations name.
    pub(crate) fn key(&self, as_whom: &str) -> String {
        let hash = |parts: &[&[u8]]| {
            let mut context = digest::Context::new(&digest::SHA256);
            for part in parts {
                // Lengths keep neighbours apart.
                context.update(&(part.len() as u64).to_le_bytes());
                context.update(part);
            }
            hex::encode(context.finish())
        };
        match self {
            Self::Controller => "controller".to_owned(),
            Self::ServiceAccount(account) => {
                format!("account {}/{} {as_whom}", account.namespace, account.name)
            }
            Self::AwsKeys(keys) => {
                let session = keys.session_token.as_ref().map_or("", |token| token.expose_secret());
                let secret = keys.secret_access_key.expose_secret();
                hash(&[b"aws", keys.access_key_id.as_bytes(), secret.as_bytes(), session.as_bytes()])
            }
            Self::GoogleCredentials(json) => hash(&[b"google", json.expose_secret()]),
            Self::AzureClientSecret { tenant, client, secret, authority } => hash(&[
                b"secret",
                tenant.as_bytes(),
                client.as_bytes(),
                secret.expose_secret().as_bytes(),
                authority.as_deref().unwrap_or_default().as_bytes(),
            ]),
            Self::AzureClientCertificate { tenant, client, pem, send_chain, authority } => hash(&[
                b"certificate",
                tenant.as_bytes(),
                client.as_bytes(),
                pem.expose_secret(),
                &[u8::from(*send_chain)],
                authority.as_deref().unwrap_or_default().as_bytes(),
            ]),
            Self::AzureManaged { client } => format!("managed {client}"),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Controller => "controller's identity",
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::AwsKeys(_) => "pair of AWS keys",
            Self::GoogleCredentials(_) => "Google credentials file",
            Self::AzureClientSecret { .. } => "Azure client secret",
            Self::AzureClientCertificate { .. } => "Azure client certificate",
            Self::AzureManaged { .. } => "managed identity",
        }
    }
}

/// A proxy that requests for tokens take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its URL: `http`, `https` or `socks5`.
    pub address: String,
    /// A user name.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Redacted<String>>,
}

/// An identity, and the way its requests take.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Who asks.
    pub identity: Identity,
    /// The proxy, if not that of the environment. Metadata services are never asked through a proxy.
    pub proxy: Option<Proxy>,
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        Self { identity, proxy: None }
    }
}
