//! What every cloud offers, and what it gives.

use std::fmt;

use futures::future::BoxFuture;
use jiff::Timestamp;
use url::Url;

use crate::{Caller, Error, Kind, Redacted, ServiceAccount, cache::Expires, cloud::Inner};

/// A cloud that turns identities into tokens. [`crate::Cloud`] is the way to use one.
pub(crate) trait Provider: fmt::Debug + Send + Sync {
    /// Which cloud.
    fn kind(&self) -> Kind;
    /// As whom `account` acts, by its annotations; part of the cache's key.
    fn as_whom(&self, account: &ServiceAccount) -> Result<String, Error>;
    /// The audience of the account's tokens.
    fn audience<'a>(
        &'a self,
        cloud: &'a Inner,
        account: &'a ServiceAccount,
    ) -> BoxFuture<'a, Result<String, Error>>;
    /// The caller's credentials for `scope`.
    fn access<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Access, Error>>;
    /// The scope that a login to the registry of `repository` takes.
    fn registry_scope(&self, cloud: &Inner, repository: &str) -> Result<Scope, Error>;
    /// A login to the registry of `repository`.
    fn registry<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        repository: &'a str,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<RegistryLogin, Error>>;
    /// The scopes that access to a cluster takes.
    fn cluster_scopes(&self, cloud: &Inner, request: &ClusterRequest) -> Result<Vec<Scope>, Error>;
    /// Access to a cluster, with one entry of `access` for each scope.
    fn cluster<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        request: &'a ClusterRequest,
        access: &'a [Access],
    ) -> BoxFuture<'a, Result<ClusterAccess, Error>>;
    /// The scope that a login to the Git server of `url` takes.
    fn git_scope(&self, url: &Url) -> Result<Scope, Error>;
    /// A login to the Git server of `url`.
    fn git(&self, url: &Url, access: &Access, now: Timestamp) -> Result<GitLogin, Error>;
}

/// For what credentials are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// AWS: the region.
    pub region: Option<String>,
    /// AWS: another endpoint of STS, which must be one of AWS's own.
    pub sts_endpoint: Option<String>,
    /// Azure and Google Cloud: OAuth scopes, separated by spaces.
    pub oauth: Option<String>,
}

impl Scope {
    /// OAuth scopes.
    #[must_use]
    pub fn oauth(scopes: impl Into<String>) -> Self {
        Self { oauth: Some(scopes.into()), ..Self::default() }
    }

    /// A region of AWS.
    #[must_use]
    pub fn region(region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..Self::default() }
    }
}

/// Keys of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Redacted<String>,
    /// What goes with temporary keys.
    pub session_token: Option<Redacted<String>>,
    /// When they end; `None` for keys that do not.
    pub expires: Option<Timestamp>,
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub token: Redacted<String>,
    /// When it ends.
    pub expires: Timestamp,
}

/// A login to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Redacted<String>,
    /// When it ends.
    pub expires: Timestamp,
}

/// A login to a Git server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitLogin {
    /// `Authorization: Bearer`.
    Bearer(Token),
    /// User name (which holds a session token) and password.
    Basic {
        /// The user.
        username: Redacted<String>,
        /// The password.
        password: Redacted<String>,
        /// When it ends.
        expires: Timestamp,
    },
}

/// Which cluster, and what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClusterRequest {
    /// The cluster's ARN (AWS), resource id (Azure) or resource name (Google Cloud).
    pub cluster: String,
    /// Its address, if it is given; it chooses among several, too.
    pub address: Option<String>,
    /// Its certificate authority, PEM, if it is given.
    pub ca: Option<Vec<u8>>,
    /// AWS: another endpoint of STS.
    pub sts_endpoint: Option<String>,
}

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// The address of the API server.
    pub server: String,
    /// Its certificate authority, PEM.
    pub ca: Vec<u8>,
    /// The bearer token.
    pub token: Redacted<String>,
    /// When it ends.
    pub expires: Timestamp,
}

/// What an identity is worth in a cloud.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Aws(AwsCredentials),
    Bearer(Token),
}

impl Access {
    pub(crate) fn aws(&self) -> Result<&AwsCredentials, Error> {
        match self {
            Self::Aws(keys) => Ok(keys),
            Self::Bearer(_) => Err(Error::invalid("a bearer token is not a pair of AWS keys")),
        }
    }

    pub(crate) fn bearer(&self) -> Result<&Token, Error> {
        match self {
            Self::Bearer(token) => Ok(token),
            Self::Aws(_) => Err(Error::invalid("AWS keys are not a bearer token")),
        }
    }
}

/// Anything that is kept until it ends.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Access(Access),
    Registry(RegistryLogin),
    Cluster(ClusterAccess),
    Git(GitLogin),
}

impl Expires for Kept {
    fn expires(&self) -> Timestamp {
        match self {
            Self::Access(Access::Aws(keys)) => keys.expires.unwrap_or(Timestamp::MAX),
            Self::Access(Access::Bearer(token)) => token.expires,
            Self::Registry(login) => login.expires,
            Self::Cluster(access) => access.expires,
            Self::Git(GitLogin::Bearer(token)) => token.expires,
            Self::Git(GitLogin::Basic { expires, .. }) => *expires,
        }
    }
}
