//! Secrets with credentials, under the keys that the controllers read.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use rand::Rng as _;
use serde_json::{Map, Value, json};

use crate::install::docker_config;

/// What kind of credentials.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Command {
    /// For a Git repository.
    Git(Git),
    /// For a GitHub App.
    Githubapp(GithubApp),
    /// For a Helm repository.
    Helm(Helm),
    /// For an OCI registry.
    Oci(Oci),
    /// Certificates.
    Tls(Tls),
    /// For a proxy.
    Proxy(Proxy),
    /// Trust policy and certificates of notation.
    Notation(Notation),
    /// Token of a Receiver.
    Receiver(Receiver),
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Git {
    /// Its name.
    name: String,
    /// Address of the repository.
    #[arg(long)]
    url: String,
    /// User name.
    #[arg(short = 'u', long)]
    username: Option<String>,
    /// Password or token; with a private key, its passphrase.
    #[arg(short = 'p', long)]
    password: Option<String>,
    /// Bearer token.
    #[arg(long, conflicts_with = "username")]
    bearer_token: Option<String>,
    /// File with the certificate authority of the server.
    #[arg(long, alias = "ca-file")]
    ca_crt_file: Option<PathBuf>,
    /// File with the private SSH key.
    #[arg(long, requires = "known_hosts_file")]
    private_key_file: Option<PathBuf>,
    /// File with the public SSH key.
    #[arg(long)]
    public_key_file: Option<PathBuf>,
    /// File with the server's SSH keys, as ssh-keyscan prints them.
    #[arg(long)]
    known_hosts_file: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct GithubApp {
    /// Its name.
    name: String,
    /// Id of the App.
    #[arg(long)]
    app_id: String,
    /// Owner of the installation.
    #[arg(long, required_unless_present = "app_installation_id")]
    app_installation_owner: Option<String>,
    /// Id of the installation.
    #[arg(long)]
    app_installation_id: Option<String>,
    /// File with the private key.
    #[arg(long)]
    app_private_key: PathBuf,
    /// Address of the server's API.
    #[arg(long)]
    app_base_url: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Helm {
    /// Its name.
    name: String,
    /// User name.
    #[arg(short = 'u', long)]
    username: Option<String>,
    /// Password.
    #[arg(short = 'p', long)]
    password: Option<String>,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Oci {
    /// Its name.
    name: String,
    /// Address of the registry or repository.
    #[arg(long)]
    url: String,
    /// User name.
    #[arg(short = 'u', long)]
    username: String,
    /// Password or token.
    #[arg(short = 'p', long)]
    password: String,
}

/// Files of certificates.
#[derive(Debug, Clone, clap::Args)]
struct Files {
    /// File with a client certificate.
    #[arg(long, alias = "cert-file", requires = "tls_key_file")]
    tls_crt_file: Option<PathBuf>,
    /// File with its key.
    #[arg(long, alias = "key-file", requires = "tls_crt_file")]
    tls_key_file: Option<PathBuf>,
    /// File with the certificate authority of the server.
    #[arg(long, alias = "ca-file")]
    ca_crt_file: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Tls {
    /// Its name.
    name: String,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Proxy {
    /// Its name.
    name: String,
    /// Address of the proxy.
    #[arg(long)]
    address: String,
    /// User name.
    #[arg(short = 'u', long)]
    username: Option<String>,
    /// Password.
    #[arg(short = 'p', long)]
    password: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Notation {
    /// Its name.
    name: String,
    /// File with the trust policy (JSON).
    #[arg(long)]
    trust_policy_file: PathBuf,
    /// Files with root certificates.
    #[arg(long, value_delimiter = ',', required = true)]
    ca_cert_file: Vec<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Receiver {
    /// Its name.
    name: String,
    /// What the Receiver is; gcr also has an e-mail and an audience.
    #[arg(long = "type")]
    kind: String,
    /// Token. Default: a random one.
    #[arg(long = "webhook-token", id = "webhook_token")]
    token: Option<String>,
    /// Host that the webhook will have.
    #[arg(long)]
    hostname: String,
    /// E-mail of the account that sends (gcr).
    #[arg(long)]
    email_claim: Option<String>,
    /// Audience of its tokens (gcr).
    #[arg(long)]
    audience_claim: Option<String>,
}

impl Command {
    /// The Secret.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or too little was given.
    pub(super) fn secret(&self, namespace: &str, labels: &Map<String, Value>) -> Result<Value> {
        let opaque = |name: &str, fields: Fields| secret(name, namespace, labels, "Opaque", fields);
        Ok(match self {
            Self::Git(git) => opaque(&git.name, git.fields()?),
            Self::Githubapp(app) => opaque(
                &app.name,
                Fields::default()
                    .text("githubAppID", Some(&app.app_id))
                    .text("githubAppInstallationOwner", app.app_installation_owner.as_ref())
                    .text("githubAppInstallationID", app.app_installation_id.as_ref())
                    .file("githubAppPrivateKey", Some(&app.app_private_key))?
                    .text("githubAppBaseURL", app.app_base_url.as_ref()),
            ),
            Self::Helm(helm) => {
                let fields = Fields::default()
                    .text("username", helm.username.as_ref())
                    .text("password", helm.password.as_ref());
                opaque(&helm.name, helm.files.put(fields)?)
            }
            Self::Oci(oci) => {
                let host = oci.url.trim_start_matches("oci://").split('/').next().unwrap_or_default();
                let config = docker_config(host, &oci.username, &oci.password);
                let fields = Fields::default().text(".dockerconfigjson", Some(&config));
                secret(&oci.name, namespace, labels, "kubernetes.io/dockerconfigjson", fields)
            }
            Self::Tls(tls) => {
                let fields = tls.files.put(Fields::default())?;
                if fields.0.is_empty() {
                    bail!("at least one of --tls-crt-file, --ca-crt-file is required");
                }
                let kind = if tls.files.tls_crt_file.is_some() { "kubernetes.io/tls" } else { "Opaque" };
                secret(&tls.name, namespace, labels, kind, fields)
            }
            Self::Proxy(proxy) => opaque(
                &proxy.name,
                Fields::default()
                    .text("address", Some(&proxy.address))
                    .text("username", proxy.username.as_ref())
                    .text("password", proxy.password.as_ref()),
            ),
            Self::Notation(notation) => opaque(&notation.name, notation.fields()?),
            Self::Receiver(receiver) => receiver.secret(namespace, labels),
        })
    }
}

impl Git {
    fn fields(&self) -> Result<Fields> {
        if self.url.starts_with("ssh://") {
            if self.private_key_file.is_none() {
                bail!(
                    "an SSH repository needs --private-key-file and --known-hosts-file; keys are made by ssh-keygen and ssh-keyscan"
                );
            }
        } else if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            bail!("git URL scheme of '{}' not supported, can be: ssh, http and https", self.url);
        } else if self.username.is_none() && self.bearer_token.is_none() && self.ca_crt_file.is_none() {
            bail!("for Git over HTTP/S the username and password, or a bearer token is required");
        }
        Fields::default()
            .text("username", self.username.as_ref())
            .text("password", self.password.as_ref())
            .text("bearerToken", self.bearer_token.as_ref())
            .file("identity", self.private_key_file.as_ref())?
            .file("identity.pub", self.public_key_file.as_ref())?
            .file("known_hosts", self.known_hosts_file.as_ref())?
            .file("ca.crt", self.ca_crt_file.as_ref())
    }
}

impl Files {
    fn put(&self, fields: Fields) -> Result<Fields> {
        fields
            .file("tls.crt", self.tls_crt_file.as_ref())?
            .file("tls.key", self.tls_key_file.as_ref())?
            .file("ca.crt", self.ca_crt_file.as_ref())
    }
}

impl Notation {
    fn fields(&self) -> Result<Fields> {
        let policy = fs_err::read_to_string(&self.trust_policy_file)?;
        serde_json::from_str::<Value>(&policy)
            .with_context(|| format!("the trust policy {} is no JSON", self.trust_policy_file.display()))?;
        let mut fields = Fields::default();
        for file in &self.ca_cert_file {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if !name.ends_with(".crt") && !name.ends_with(".pem") {
                bail!("{} must end with .crt or .pem", file.display());
            }
            fields = fields.file(&name, Some(file))?;
        }
        Ok(fields.text("trustpolicy.json", Some(&policy)))
    }
}

impl Receiver {
    fn secret(&self, namespace: &str, labels: &Map<String, Value>) -> Value {
        let token = self.token.clone().unwrap_or_else(|| hex(rand::rng().random::<[u8; 32]>()));
        let path = ferrite_notification_controller::webhook_path(&token, &self.name, namespace);
        let url = format!("https://{}{path}", self.hostname);
        let mut fields = Fields::default().text("token", Some(&token));
        if self.kind == "gcr" {
            fields = fields
                .text("email", self.email_claim.as_ref())
                .text("audience", Some(self.audience_claim.as_ref().unwrap_or(&url)));
        }
        let mut made = secret(&self.name, namespace, labels, "Opaque", fields);
        made["metadata"]["annotations"] = json!({"notification.toolkit.fluxcd.io/webhook": url});
        made
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a Secret holds.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// A field, when there is a value.
    pub(super) fn text(mut self, key: &str, value: Option<&String>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.as_str().into());
        }
        self
    }

    /// A field with the text of a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read as text.
    pub(super) fn file(mut self, key: &str, path: Option<&PathBuf>) -> Result<Self> {
        if let Some(path) = path {
            self.0.insert(key.to_owned(), fs_err::read_to_string(path)?.into());
        }
        Ok(self)
    }
}

/// A Secret.
pub(super) fn secret(
    name: &str,
    namespace: &str,
    labels: &Map<String, Value>,
    kind: &str,
    fields: Fields,
) -> Value {
    let mut made = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": super::metadata(name, namespace, labels),
    });
    if kind != "Opaque" {
        made["type"] = kind.into();
    }
    made["stringData"] = Value::Object(fields.0);
    made
}
