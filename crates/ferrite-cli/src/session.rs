//! The flags every command has, and the connection they describe.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferrite_runtime::flags::GoDuration;
use kube::api::{Api, DynamicObject};
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::kinds::Kind;
use crate::throttle::Throttle;

/// Where the components are installed unless said otherwise.
pub(crate) const NAMESPACE: &str = "flux-system";

/// Flags of every command, named as in `flux` and `kubectl`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Namespace of the request. Default: flux-system.
    #[arg(short, long, global = true, env = "FLUX_SYSTEM_NAMESPACE", hide_env = true)]
    pub(crate) namespace: Option<String>,
    /// Use the namespace of the kubeconfig's context when --namespace is not given.
    #[arg(long, global = true, env = "FLUX_NS_FOLLOWS_KUBE_CONTEXT", hide_env = true)]
    ns_follows_kube_context: bool,
    /// How long to wait for anything, as in 30s or 5m.
    #[arg(long, global = true, default_value = "5m")]
    pub(crate) timeout: Wait,
    /// Say what is done in more detail.
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    /// Path of the kubeconfig file. Default: $KUBECONFIG, or ~/.kube/config.
    #[arg(long, global = true)]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use.
    #[arg(long, global = true)]
    context: Option<String>,
    /// Cluster of the kubeconfig to use.
    #[arg(long, global = true, hide_short_help = true)]
    cluster: Option<String>,
    /// User of the kubeconfig to use.
    #[arg(long, global = true, hide_short_help = true)]
    user: Option<String>,
    /// Address of the API server.
    #[arg(long, global = true, hide_short_help = true)]
    server: Option<String>,
    /// Bearer token to present.
    #[arg(long, global = true, hide_short_help = true)]
    token: Option<String>,
    /// User to impersonate.
    #[arg(long = "as", global = true, hide_short_help = true)]
    impersonate: Option<String>,
    /// Group to impersonate; may be repeated.
    #[arg(long, global = true, hide_short_help = true)]
    as_group: Vec<String>,
    /// UID to impersonate.
    #[arg(long, global = true, hide_short_help = true)]
    as_uid: Option<String>,
    /// Extra field to impersonate, as key=value; may be repeated.
    #[arg(long, global = true, hide_short_help = true)]
    as_user_extra: Vec<String>,
    /// File with the certificate authority of the API server.
    #[arg(long, global = true, hide_short_help = true)]
    certificate_authority: Option<PathBuf>,
    /// File with the client certificate.
    #[arg(long, global = true, hide_short_help = true)]
    client_certificate: Option<String>,
    /// File with the key of the client certificate.
    #[arg(long, global = true, hide_short_help = true)]
    client_key: Option<String>,
    /// Do not verify the API server's certificate.
    #[arg(long, global = true, hide_short_help = true)]
    insecure_skip_tls_verify: bool,
    /// Name to verify the API server's certificate for.
    #[arg(long, global = true, hide_short_help = true)]
    tls_server_name: Option<String>,
    /// Do not ask for compressed answers.
    #[arg(long, global = true, hide_short_help = true)]
    disable_compression: bool,
    /// Accepted for scripts written for flux; nothing is cached on disk.
    #[arg(long, global = true, hide = true)]
    cache_dir: Option<PathBuf>,
    /// Requests a second to the API server, on average.
    #[arg(long, global = true, default_value = "50", hide_short_help = true)]
    kube_api_qps: Rate,
    /// Requests that may be sent at once before the average holds.
    #[arg(long, global = true, default_value_t = 300, hide_short_help = true)]
    kube_api_burst: u32,
}

/// Requests a second; zero or less is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Rate(f64);

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(rate) if rate.is_finite() => Ok(Self(rate)),
            _ => Err("expected a number of requests a second".to_owned()),
        }
    }
}

/// A duration in Go's notation; five minutes unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl Default for Wait {
    fn default() -> Self {
        Self(Duration::from_secs(300))
    }
}

impl std::str::FromStr for Wait {
    type Err = ferrite_runtime::flags::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<GoDuration>()?.0))
    }
}

impl Global {
    /// Connects as the flags say; nothing is asked of the API server yet.
    ///
    /// # Errors
    ///
    /// When there is no kubeconfig, or it does not fit the flags.
    pub(crate) async fn session(&self) -> Result<Session> {
        let config = self.config().await.context("Kubernetes client initialization failed")?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None if self.ns_follows_kube_context => config.default_namespace.clone(),
            None => NAMESPACE.to_owned(),
        };
        let throttle = Throttle::new(self.kube_api_qps.0, self.kube_api_burst);
        let client = ClientBuilder::try_from(config)
            .context("Kubernetes client initialization failed")?
            .with_layer(&throttle)
            .build();
        Ok(Session { client, namespace, timeout: self.timeout.0 })
    }

    async fn config(&self) -> Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        let mut config = match &self.kubeconfig {
            Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
            None => match Config::from_kubeconfig(&options).await {
                Ok(config) => config,
                // As kubectl: a pod's own account is used where there is no kubeconfig.
                Err(error) => match Config::incluster() {
                    Ok(config) => config,
                    Err(_) => self.bare().ok_or(error)?,
                },
            },
        };
        self.overrule(&mut config)?;
        Ok(config)
    }

    /// A configuration made of --server alone.
    fn bare(&self) -> Option<Config> {
        self.server.as_ref()?.parse().ok().map(Config::new)
    }

    fn overrule(&self, config: &mut Config) -> Result<()> {
        if let Some(server) = &self.server {
            config.cluster_url = server.parse().with_context(|| format!("--server {server} is no URL"))?;
        }
        if let Some(file) = &self.certificate_authority {
            config.root_cert = None;
            config.root_cert_file = Some(file.clone());
        }
        config.accept_invalid_certs |= self.insecure_skip_tls_verify;
        config.disable_compression |= self.disable_compression;
        if self.tls_server_name.is_some() {
            config.tls_server_name.clone_from(&self.tls_server_name);
        }
        let auth = &mut config.auth_info;
        if let Some(token) = &self.token {
            auth.token = serde_json::from_value::<AuthInfo>(json!({"token": token}))?.token;
            auth.token_file = None;
        }
        if self.client_certificate.is_some() {
            auth.client_certificate.clone_from(&self.client_certificate);
            auth.client_certificate_data = None;
        }
        if self.client_key.is_some() {
            auth.client_key.clone_from(&self.client_key);
            auth.client_key_data = None;
        }
        if self.impersonate.is_some() {
            auth.impersonate.clone_from(&self.impersonate);
        }
        if self.as_uid.is_some() {
            auth.impersonate_uid.clone_from(&self.as_uid);
        }
        if !self.as_group.is_empty() {
            auth.impersonate_groups = Some(self.as_group.clone());
        }
        for pair in &self.as_user_extra {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("--as-user-extra {pair}: expected key=value"))?;
            let extra = auth.impersonate_user_extra.get_or_insert_default();
            extra.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(())
    }
}

/// A connection and what the flags say about its use.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The namespace that commands act in.
    pub(crate) namespace: String,
    /// The bound of every wait.
    pub(crate) timeout: Duration,
}

impl Session {
    /// The objects of a kind, of one namespace or of all.
    pub(crate) fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = kind.resource();
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Another namespace in the same cluster.
    pub(crate) fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }
}
