//! The clusters a controller talks to: its own, as itself and as tenants, and remote ones.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use ferrite_resource::Owner;
use kube::{Client, Config};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    error::ApiError,
    tracker::{DriftSink, TrackerOptions},
};

/// Remote clusters and identities that are kept; the one that was not used for longest goes first.
const MAX_KEPT: usize = 512;
/// One that was not used for this long is dropped, with its watches.
const IDLE: Duration = Duration::from_secs(2 * 3600);

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClustersError {
    /// Not the name of a service account. Nobody falls back to the controller's own identity.
    #[error("`{namespace}/{name}` is not a service account: both parts must be DNS names")]
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The configuration does not make a client.
    #[error("cannot make a client")]
    Client(#[source] ApiError),
}

/// Clients for one identity each, with what is known of their API servers. Kept between reconciles, so that no
/// reconcile pays for a new connection or for discovery.
pub struct Clusters {
    config: Config,
    local: Cluster,
    tracker: Option<(TrackerOptions, DriftSink)>,
    kept: Mutex<HashMap<Key, Kept>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The digest of a kubeconfig; `None` for the local cluster.
    server: Option<[u8; 32]>,
    /// Whom to impersonate.
    user: Option<String>,
}

struct Kept {
    cluster: Cluster,
    used: Instant,
}

impl std::fmt::Debug for Clusters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clusters").field("kept", &self.kept.lock().len()).finish_non_exhaustive()
    }
}

impl Clusters {
    /// The clusters of a controller that runs in the cluster of `config`. With a sink, drift is watched for on each.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ClustersError::Client`] when the configuration does not make a client.
    pub fn new(config: Config, drift: Option<(TrackerOptions, DriftSink)>) -> Result<Self, ClustersError> {
        let local = server(client(config.clone(), None)?, drift.as_ref());
        Ok(Self { config, local, tracker: drift, kept: Mutex::default() })
    }

    /// The controller's own cluster, as the controller.
    #[must_use]
    pub fn local(&self) -> &Cluster {
        &self.local
    }

    /// The controller's own cluster, as a service account of a namespace.
    ///
    /// # Errors
    ///
    /// [`ClustersError`]; never the controller's own identity.
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Result<Cluster, ClustersError> {
        let user = service_account(namespace, name)?;
        self.keep(Key { server: None, user: Some(user.clone()) }, || {
            let client = client(self.config.clone(), Some(&user))?;
            Ok(self.local.as_identity(client, identity(&user)))
        })
    }

    /// A remote cluster, as the user of its configuration or as a service account (namespace and name) there.
    ///
    /// `digest` stands for the configuration: with another digest another client is made. Make `config` only when asked
    /// to: reading a kubeconfig can be costly.
    ///
    /// # Errors
    ///
    /// [`ClustersError`].
    pub fn remote(
        &self,
        digest: [u8; 32],
        impersonate: Option<(&str, &str)>,
        config: impl FnOnce() -> Result<Config, ClustersError>,
    ) -> Result<Cluster, ClustersError> {
        let user = impersonate.map(|(namespace, name)| service_account(namespace, name)).transpose()?;
        let key = Key { server: Some(digest), user: None };
        let Some(user) = user else {
            return self.keep(key, || Ok(server(client(config()?, None)?, self.tracker.as_ref())));
        };
        let known = self.kept(&Key { user: Some(user.clone()), ..key.clone() });
        if let Some(cluster) = known {
            return Ok(cluster);
        }
        let config = config()?;
        let whole =
            self.keep(key.clone(), || Ok(server(client(config.clone(), None)?, self.tracker.as_ref())))?;
        self.keep(Key { user: Some(user.clone()), ..key }, || {
            Ok(whole.as_identity(client(config, Some(&user))?, identity(&user)))
        })
    }

    /// Stops watching the objects of an owner, wherever they are.
    pub fn forget(&self, owner: &Owner) {
        self.local.forget(owner);
        for kept in self.kept.lock().values() {
            kept.cluster.forget(owner);
        }
    }

    fn kept(&self, key: &Key) -> Option<Cluster> {
        let mut kept = self.kept.lock();
        let found = kept.get_mut(key)?;
        found.used = Instant::now();
        Some(found.cluster.clone())
    }

    fn keep(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Cluster, ClustersError>,
    ) -> Result<Cluster, ClustersError> {
        if let Some(cluster) = self.kept(&key) {
            return Ok(cluster);
        }
        let cluster = make()?;
        let mut kept = self.kept.lock();
        kept.retain(|_, kept| kept.used.elapsed() < IDLE);
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
            oldest.map(|oldest| kept.remove(&oldest));
        }
        kept.insert(key, Kept { cluster: cluster.clone(), used: Instant::now() });
        Ok(cluster)
    }
}

fn server(client: Client, tracker: Option<&(TrackerOptions, DriftSink)>) -> Cluster {
    match tracker {
        Some((options, sink)) => Cluster::with_tracker(client, options.clone(), Arc::clone(sink)),
        None => Cluster::new(client),
    }
}

fn client(mut config: Config, impersonate: Option<&str>) -> Result<Client, ClustersError> {
    if let Some(user) = impersonate {
        config.auth_info.impersonate = Some(user.to_owned());
    }
    Client::try_from(config).map_err(|error| ClustersError::Client(error.into()))
}

/// The user name of a service account.
fn service_account(namespace: &str, name: &str) -> Result<String, ClustersError> {
    let dns = |text: &str, dots: bool| {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
        !text.is_empty() && text.len() <= 253 && text.chars().all(allowed)
    };
    if dns(namespace, false) && dns(name, true) {
        return Ok(format!("system:serviceaccount:{namespace}:{name}"));
    }
    Err(ClustersError::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn identity(user: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    // 0 is who made the cluster.
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_service_accounts_are_impersonated() {
        assert_eq!(service_account("shop", "deployer.v1").unwrap(), "system:serviceaccount:shop:deployer.v1");
        for (namespace, name) in
            [("", "a"), ("a", ""), ("a", "b:c"), ("a", "b/c"), ("a:b", "c"), ("a", "B"), ("a.b", "c")]
        {
            assert!(service_account(namespace, name).is_err(), "{namespace} {name}");
        }
    }
}
