//! The clouds, with a cache before them.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use url::Url;

use crate::{
    AwsCredentials, CacheCounts, CacheLimits, Caller, ClusterAccess, ClusterRequest, Environment, Error,
    GitLogin, Identity, Kind, Provider, RegistryLogin, Scope, Token,
    aws::Aws,
    azure::Azure,
    cache::Cache,
    gcp::Gcp,
    provider::{Access, Kept},
    wire::{Answer, Request, Way, Wire},
};

/// A clock.
type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What providers work with.
pub(crate) struct Inner {
    pub(crate) environment: Environment,
    wire: Wire,
    now: Now,
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Sends `request` the caller's way.
    pub(crate) async fn send(&self, caller: &Caller, request: Request<'_>) -> Result<Answer, Error> {
        let way = caller.proxy.clone().map_or(Way::Default, Way::Proxy);
        self.wire.send(&way, request).await
    }

    /// Sends `request` to a service of the node.
    pub(crate) async fn send_metadata(&self, request: Request<'_>) -> Result<Answer, Error> {
        self.wire.send(&Way::Metadata, request).await
    }
}

/// Tokens of AWS, Azure and Google Cloud. Cheap to clone; clones share connections and cache.
#[derive(Clone)]
pub struct Cloud {
    inner: Arc<Inner>,
    cache: Arc<Cache<Kept>>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cloud").field("environment", &self.inner.environment).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Clouds as seen from `environment`, with the machine's clock.
    #[must_use]
    pub fn new(environment: Environment, limits: CacheLimits) -> Self {
        Self::with_clock(environment, limits, Arc::new(Timestamp::now))
    }

    /// As [`Cloud::new`] with another clock.
    #[must_use]
    pub fn with_clock(environment: Environment, limits: CacheLimits, now: Now) -> Self {
        let inner = Inner { environment, wire: Wire::default(), now };
        Self { inner: Arc::new(inner), cache: Arc::new(Cache::new(limits)) }
    }

    /// What the cache did so far.
    #[must_use]
    pub fn cache_counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// Keys of AWS for `scope`, whose region the controller's own identity may leave out (`AWS_REGION`).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn aws(&self, caller: &Caller, scope: &Scope) -> Result<AwsCredentials, Error> {
        self.access(Kind::Aws, caller, scope).await?.aws().cloned()
    }

    /// A bearer token of Azure or Google Cloud for `scope`. Google's scopes have a default, Azure's have not.
    ///
    /// # Errors
    /// See [`Error`]; AWS has no bearer tokens.
    pub async fn token(&self, kind: Kind, caller: &Caller, scope: &Scope) -> Result<Token, Error> {
        self.access(kind, caller, scope).await?.bearer().cloned()
    }

    /// A login to the registry of `repository` (`host/path` or a host): ECR and public ECR, ACR, GCR and GAR.
    ///
    /// # Errors
    /// See [`Error`]; a host that is no registry of that cloud is [`Error::Invalid`].
    pub async fn registry(
        &self,
        kind: Kind,
        caller: &Caller,
        repository: &str,
    ) -> Result<RegistryLogin, Error> {
        let provider = provider(kind);
        let scope = provider.registry_scope(&self.inner, repository)?;
        let host = crate::registry_host(repository);
        let key = format!("registry {host}\n{}", self.key(provider, caller, &scope)?);
        let make = || async {
            let access = self.access(kind, caller, &scope).await;
            let access =
                access.map_err(|error| error.context("failed to get access token for artifact registry"))?;
            let login = provider.registry(&self.inner, caller, repository, &access).await;
            let login =
                login.map_err(|error| error.context("failed to create artifact registry credentials"))?;
            Ok(Kept::Registry(login))
        };
        match self.cache.get(key, || self.inner.now(), make).await? {
            Kept::Registry(login) => Ok(login),
            Kept::Access(_) | Kept::Cluster(_) | Kept::Git(_) => Err(mixed_up()),
        }
    }

    /// How to reach an EKS, AKS or GKE cluster.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cluster(
        &self,
        kind: Kind,
        caller: &Caller,
        request: &ClusterRequest,
    ) -> Result<ClusterAccess, Error> {
        let provider = provider(kind);
        let mut scopes = provider.cluster_scopes(&self.inner, request)?;
        for scope in &mut scopes {
            scope.sts_endpoint.clone_from(&request.sts_endpoint);
        }
        let ClusterRequest { cluster, address, ca, sts_endpoint: _ } = request;
        let mut key = format!("cluster {cluster}\n{address:?} {ca:?}\n");
        for scope in &scopes {
            key.push_str(&self.key(provider, caller, scope)?);
        }
        let make = || async {
            let mut access = Vec::new();
            for scope in &scopes {
                let token = self.access(kind, caller, scope).await;
                access.push(token.map_err(|error| error.context("failed to get access token for cluster"))?);
            }
            Ok(Kept::Cluster(provider.cluster(&self.inner, caller, request, &access).await?))
        };
        match self.cache.get(key, || self.inner.now(), make).await? {
            Kept::Cluster(access) => Ok(access),
            Kept::Access(_) | Kept::Registry(_) | Kept::Git(_) => Err(mixed_up()),
        }
    }

    /// A login to CodeCommit, Azure DevOps or Google's Secure Source Manager.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn git(&self, kind: Kind, caller: &Caller, url: &Url) -> Result<GitLogin, Error> {
        let provider = provider(kind);
        let scope = provider.git_scope(url)?;
        // CodeCommit signs the address; nothing of it but host and path may be in a key.
        let place = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let key = format!("git {place}\n{}", self.key(provider, caller, &scope)?);
        let make = || async {
            let access = self.access(kind, caller, &scope).await;
            let access =
                access.map_err(|error| error.context("failed to get access token for Git repository"))?;
            let login = provider.git(url, &access, self.inner.now());
            Ok(Kept::Git(login.map_err(|error| error.context("failed to create Git credentials"))?))
        };
        match self.cache.get(key, || self.inner.now(), make).await? {
            Kept::Git(login) => Ok(login),
            Kept::Access(_) | Kept::Registry(_) | Kept::Cluster(_) => Err(mixed_up()),
        }
    }

    async fn access(&self, kind: Kind, caller: &Caller, scope: &Scope) -> Result<Access, Error> {
        let provider = provider(kind);
        let key = format!("access {}", self.key(provider, caller, scope)?);
        let make = || async {
            let access = provider.access(&self.inner, caller, scope).await;
            let access = access.map_err(|error| match &caller.identity {
                Identity::ServiceAccount(account) => error.context(format!(
                    "failed to create provider access token for service account '{}/{}'",
                    account.namespace, account.name
                )),
                Identity::Controller => {
                    error.context("failed to create provider access token for the controller")
                }
                _ => error,
            })?;
            Ok(Kept::Access(access))
        };
        match self.cache.get(key, || self.inner.now(), make).await? {
            Kept::Access(access) => Ok(access),
            Kept::Registry(_) | Kept::Cluster(_) | Kept::Git(_) => Err(mixed_up()),
        }
    }

    /// What decides a token, without anything secret.
    fn key(&self, provider: &dyn Provider, caller: &Caller, scope: &Scope) -> Result<String, Error> {
        let as_whom = match &caller.identity {
            Identity::ServiceAccount(account) => provider.as_whom(account).map_err(|error| {
                error.context(format!(
                    "failed to get provider identity from service account '{}/{}' annotations",
                    account.namespace, account.name
                ))
            })?,
            _ => String::new(),
        };
        let kind = provider.kind();
        let proxy = caller.proxy.as_ref().map(|proxy| (&proxy.address, &proxy.username));
        Ok(format!("{kind} {scope:?} {proxy:?} {}", caller.identity.key(&as_whom)))
    }
}

/// Keys name what they are of, so this does not happen.
fn mixed_up() -> Error {
    Error::invalid("the token cache mixed up two kinds of tokens")
}

fn provider(kind: Kind) -> &'static dyn Provider {
    match kind {
        Kind::Aws => &Aws,
        Kind::Azure => &Azure,
        Kind::Gcp => &Gcp,
    }
}
