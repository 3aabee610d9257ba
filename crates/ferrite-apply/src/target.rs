//! Where an object is applied, and as whom: one client for each identity, kept between reconciles.

use std::{collections::HashMap, sync::Arc};

use ferrite_api::{KubeConfigReference, helm::HelmRelease, kustomize::Kustomization};
use ferrite_resource::Owner;
use ferrite_runtime::ObjectKey;
use http::{HeaderValue, Request, Response};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api, Client,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    tracker::{DriftSink, TrackerOptions},
};

/// Clients that are kept; the one that was not used for longest goes first.
const MAX_KEPT: usize = 512;

/// Why a target cannot be reached; holds nothing of a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not the name of a service account. Nobody falls back to the controller's own identity.
    #[error("`{0}` is not the name of a service account")]
    ServiceAccount(String),
    /// The Secret with the kubeconfig cannot be read.
    #[error("unable to read KubeConfig secret '{secret}'")]
    Secret {
        /// The Secret.
        secret: ObjectKey,
        /// What the API server said.
        source: kube::Error,
    },
    /// The Secret has no kubeconfig.
    #[error("KubeConfig secret '{secret}' does not contain a '{key}' key with data")]
    Key {
        /// The Secret.
        secret: ObjectKey,
        /// The key that was looked for.
        key: String,
    },
    /// The kubeconfig is not one, or asks for what is refused.
    #[error("cannot use the kubeconfig in secret '{secret}': {problem}")]
    KubeConfig {
        /// The Secret.
        secret: ObjectKey,
        /// What is wrong with it.
        problem: String,
    },
    /// `configMapRef` asks for cloud credentials.
    #[error("spec.kubeConfig.configMapRef is not supported by this version yet, use secretRef")]
    ConfigMap,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The digest of a kubeconfig; `None` for the local cluster.
    server: Option<[u8; 32]>,
    /// Whom to impersonate.
    user: Option<String>,
}

/// Where an object says its work goes, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The object's namespace; whatever it refers to is in it.
    pub namespace: &'a str,
    /// `spec.serviceAccountName`.
    pub service_account: Option<&'a str>,
    /// `spec.kubeConfig`.
    pub kube_config: Option<&'a KubeConfigReference>,
}

impl<'a> From<&'a Kustomization> for Destination<'a> {
    fn from(object: &'a Kustomization) -> Self {
        Self {
            namespace: object.metadata.namespace.as_deref().unwrap_or_default(),
            service_account: object.spec.service_account_name.as_deref(),
            kube_config: object.spec.kube_config.as_ref(),
        }
    }
}

impl<'a> From<&'a HelmRelease> for Destination<'a> {
    fn from(object: &'a HelmRelease) -> Self {
        Self {
            namespace: object.metadata.namespace.as_deref().unwrap_or_default(),
            service_account: object.spec.service_account_name.as_deref(),
            kube_config: object.spec.kube_config.as_ref(),
        }
    }
}

/// What decides about all targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetOptions {
    /// The service account to act as when an object names none.
    pub default_service_account: Option<String>,
    /// Whether kubeconfigs may skip the verification of the server's certificate.
    pub insecure_tls: bool,
}

/// The clusters that objects are applied to, one for each server and identity.
pub struct Targets {
    client: Client,
    local: Cluster,
    drift: Option<(TrackerOptions, DriftSink)>,
    kept: Mutex<HashMap<Key, (Cluster, Instant)>>,
    options: TargetOptions,
}

impl std::fmt::Debug for Targets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Targets").field("kept", &self.kept.lock().len()).finish_non_exhaustive()
    }
}

impl Targets {
    /// Targets as the controller itself, impersonated ones and remote ones; with a watch for drift where a sink is given.
    #[must_use]
    pub fn new(client: Client, options: TargetOptions, drift: Option<(TrackerOptions, DriftSink)>) -> Self {
        let local = cluster(client.clone(), drift.as_ref());
        Self { client, local, drift, kept: Mutex::default(), options }
    }

    /// The service account that an object acts as.
    pub fn service_account<'a>(&'a self, destination: impl Into<Destination<'a>>) -> Option<&'a str> {
        let own = destination.into().service_account.filter(|name| !name.is_empty());
        own.or(self.options.default_service_account.as_deref())
    }

    /// Whether the service account that an object acts as is gone.
    ///
    /// # Errors
    ///
    /// The API server's answer when that cannot be told.
    pub async fn lost_identity(&self, destination: impl Into<Destination<'_>>) -> Result<bool, kube::Error> {
        let destination = destination.into();
        let Some(name) = self.service_account(destination) else { return Ok(false) };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), destination.namespace);
        Ok(api.get_metadata_opt(name).await?.is_none())
    }

    /// The cluster that an object is applied to, as who it acts as.
    ///
    /// # Errors
    ///
    /// [`TargetError`]; the controller's own identity is never used instead.
    pub async fn of(&self, destination: impl Into<Destination<'_>>) -> Result<Cluster, TargetError> {
        let destination = destination.into();
        let user = match self.service_account(destination) {
            Some(name) => Some(user_of(destination.namespace, name)?),
            None => None,
        };
        let (server, whole) = match destination.kube_config {
            Some(reference) => self.remote(destination.namespace, reference).await?,
            None => (None, self.local.clone()),
        };
        let Some(user) = user else { return Ok(whole) };
        let identity = identity_of(&user);
        let header = HeaderValue::from_str(&user).map_err(|_| TargetError::ServiceAccount(user.clone()))?;
        Ok(self.keep(Key { server, user: Some(user) }, || {
            let client = impersonating(whole.client().clone(), header);
            whole.as_identity(client, identity)
        }))
    }

    /// Stops watching the objects of an owner, wherever they are.
    pub fn forget(&self, owner: &Owner) {
        self.local.forget(owner);
        for (cluster, _) in self.kept.lock().values() {
            cluster.forget(owner);
        }
    }

    async fn remote(
        &self,
        namespace: &str,
        reference: &KubeConfigReference,
    ) -> Result<(Option<[u8; 32]>, Cluster), TargetError> {
        let Some(wanted) = &reference.secret_ref else { return Err(TargetError::ConfigMap) };
        let secret = ObjectKey::new(namespace, &wanted.name);
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get(&wanted.name).await;
        let data = found
            .map_err(|source| TargetError::Secret { secret: secret.clone(), source })?
            .data
            .unwrap_or_default();
        let named = wanted.key.as_deref().filter(|key| !key.is_empty());
        let keys = named.map_or_else(|| vec!["value", "value.yaml"], |key| vec![key]);
        let bytes = keys.iter().find_map(|key| data.get(*key)).filter(|bytes| !bytes.0.is_empty());
        let Some(bytes) = bytes else {
            return Err(TargetError::Key {
                secret,
                key: keys.first().copied().unwrap_or_default().to_owned(),
            });
        };
        let digest: [u8; 32] = Sha256::digest(&bytes.0).into();
        let key = Key { server: Some(digest), user: None };
        if let Some(cluster) = self.kept(&key) {
            return Ok((Some(digest), cluster));
        }
        let refuse = |problem: String| TargetError::KubeConfig { secret: secret.clone(), problem };
        let text = std::str::from_utf8(&bytes.0).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
        let client = remote_client(text, self.options.insecure_tls).await.map_err(refuse)?;
        let cluster = self.keep(key, || cluster(client, self.drift.as_ref()));
        Ok((Some(digest), cluster))
    }

    fn kept(&self, key: &Key) -> Option<Cluster> {
        let mut kept = self.kept.lock();
        let (cluster, used) = kept.get_mut(key)?;
        *used = Instant::now();
        Some(cluster.clone())
    }

    fn keep(&self, key: Key, make: impl FnOnce() -> Cluster) -> Cluster {
        if let Some(cluster) = self.kept(&key) {
            return cluster;
        }
        let cluster = make();
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.map(|oldest| kept.remove(&oldest));
        }
        kept.insert(key, (cluster.clone(), Instant::now()));
        cluster
    }
}

fn cluster(client: Client, drift: Option<&(TrackerOptions, DriftSink)>) -> Cluster {
    match drift {
        Some((options, sink)) => Cluster::with_tracker(client, options.clone(), Arc::clone(sink)),
        None => Cluster::new(client),
    }
}

/// A client that does everything as somebody else, over the connections of `client`.
fn impersonating(client: Client, user: HeaderValue) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let client = client.clone();
        request.headers_mut().insert("impersonate-user", user.clone());
        async move {
            let response: Result<Response<Body>, kube::Error> = client.send(request).await;
            response
        }
    });
    Client::new(service, namespace)
}

/// A client from a kubeconfig that runs no program, reads no file and verifies the server.
async fn remote_client(text: &str, insecure_tls: bool) -> Result<Client, String> {
    let config = Kubeconfig::from_yaml(text).map_err(|_| "it is not a kubeconfig".to_owned())?;
    check(&config, insecure_tls)?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .map_err(|error| format!("{error}"))?;
    Client::try_from(config).map_err(|_| "its certificates or keys cannot be used".to_owned())
}

fn check(config: &Kubeconfig, insecure_tls: bool) -> Result<(), String> {
    for user in &config.auth_infos {
        let Some(info) = &user.auth_info else { continue };
        let name = &user.name;
        if info.exec.is_some() || info.auth_provider.is_some() {
            return Err(format!("user '{name}' runs a program to log in, which is refused"));
        }
        if info.token_file.is_some() || info.client_certificate.is_some() || info.client_key.is_some() {
            return Err(format!(
                "user '{name}' names a file of the controller; put its content into the kubeconfig"
            ));
        }
    }
    for cluster in &config.clusters {
        let Some(info) = &cluster.cluster else { continue };
        let name = &cluster.name;
        if info.certificate_authority.is_some() {
            return Err(format!(
                "cluster '{name}' names a file of the controller; put its content into the kubeconfig"
            ));
        }
        if info.insecure_skip_tls_verify == Some(true) && !insecure_tls {
            return Err(format!(
                "cluster '{name}' skips the verification of its certificate, which is refused"
            ));
        }
    }
    Ok(())
}

/// The user name of a service account.
fn user_of(namespace: &str, name: &str) -> Result<String, TargetError> {
    let dns = |text: &str, dots: bool| {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
        !text.is_empty() && text.len() <= 253 && text.chars().all(allowed)
    };
    if dns(namespace, false) && dns(name, true) {
        return Ok(format!("system:serviceaccount:{namespace}:{name}"));
    }
    Err(TargetError::ServiceAccount(name.chars().take(253).collect()))
}

/// A number that tells identities on one server apart; 0 is the controller's own.
fn identity_of(user: &str) -> u64 {
    let digest = Sha256::digest(user.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    number.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_service_accounts_are_impersonated() {
        assert_eq!(user_of("shop", "deployer.v1").unwrap(), "system:serviceaccount:shop:deployer.v1");
        for name in ["", "a:b", "a/b", "B", "a b", "a\nb"] {
            assert!(user_of("shop", name).is_err(), "{name}");
        }
    }

    #[test]
    fn kubeconfigs_that_run_or_read_something_are_refused() {
        let config = |user: &str, cluster: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
                 clusters: [{{name: k, cluster: {{server: 'https://k', {cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
            );
            check(&Kubeconfig::from_yaml(&text).unwrap(), false)
        };
        assert_eq!(config("token: t", ""), Ok(()));
        for (user, cluster, part) in [
            ("exec: {command: id, apiVersion: client.authentication.k8s.io/v1}", "", "runs a program"),
            ("auth-provider: {name: gcp, config: {}}", "", "runs a program"),
            ("tokenFile: /var/run/secrets/token", "", "names a file"),
            ("client-certificate: /etc/x", "", "names a file"),
            ("token: t", "certificate-authority: /etc/x", "names a file"),
            ("token: t", "insecure-skip-tls-verify: true", "skips the verification"),
        ] {
            assert!(config(user, cluster).unwrap_err().contains(part), "{user} {cluster}");
        }
    }
}
