//! Sources, and the Secrets that their credentials go to.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use super::secrets::{Fields, secret};
use super::spec::{Spec, reference};

/// Options of `ferrite create source git`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Git {
    /// Its name.
    pub(super) name: String,
    /// Address of the repository.
    #[arg(long)]
    url: String,
    /// Branch to follow.
    #[arg(long)]
    branch: Option<String>,
    /// Tag to stay on.
    #[arg(long)]
    tag: Option<String>,
    /// Range of tags to follow.
    #[arg(long)]
    tag_semver: Option<String>,
    /// Full name of a ref to follow.
    #[arg(long)]
    ref_name: Option<String>,
    /// Commit to stay on.
    #[arg(long)]
    commit: Option<String>,
    /// User name; with --password a Secret is made.
    #[arg(short = 'u', long)]
    username: Option<String>,
    /// Password or token.
    #[arg(short = 'p', long, requires = "username")]
    password: Option<String>,
    /// File with the certificate authority of the server.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Secret with credentials that exists.
    #[arg(long, conflicts_with = "username")]
    secret_ref: Option<String>,
    /// Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// Whose credentials are used.
    #[arg(long, value_parser = ["generic", "azure", "github"])]
    provider: Option<String>,
    /// With submodules.
    #[arg(long)]
    recurse_submodules: bool,
    /// Accepted for scripts written for flux: nothing is asked.
    #[arg(short, long, hide = true)]
    silent: bool,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    /// Directories to take.
    #[arg(long, value_delimiter = ',')]
    sparse_checkout_paths: Vec<String>,
}

impl Git {
    pub(super) fn spec(&self, interval: Value) -> Result<Value> {
        let choices = [&self.branch, &self.tag, &self.tag_semver, &self.ref_name, &self.commit];
        if choices.iter().all(|choice| choice.is_none()) {
            bail!(
                "a Git ref is required, use one of the following: --branch, --tag, --commit, --ref-name or --tag-semver"
            );
        }
        if self.url.starts_with("ssh://") && self.secret_ref.is_none() {
            bail!(
                "an SSH repository needs a Secret with its key: make one with ferrite create secret git, and name it with --secret-ref"
            );
        }
        Ok(Spec::default()
            .put("interval", Some(interval))
            .put("url", Some(self.url.as_str()))
            .put("ref.branch", self.branch.clone())
            .put("ref.tag", self.tag.clone())
            .put("ref.semver", self.tag_semver.clone())
            .put("ref.name", self.ref_name.clone())
            .put("ref.commit", self.commit.clone())
            .put(
                "secretRef.name",
                self.secret_ref.clone().or_else(|| self.makes_secret().then(|| self.name.clone())),
            )
            .put("proxySecretRef.name", self.proxy_secret_ref.clone())
            .put("provider", self.provider.clone())
            .flag("recurseSubmodules", self.recurse_submodules)
            .ignore(&self.ignore_paths)
            .list(
                "sparseCheckout",
                self.sparse_checkout_paths.iter().map(|path| path.as_str().into()).collect(),
            )
            .done())
    }

    fn makes_secret(&self) -> bool {
        self.secret_ref.is_none() && (self.username.is_some() || self.ca_file.is_some())
    }

    pub(super) fn secret(&self, namespace: &str) -> Result<Option<Value>> {
        if !self.makes_secret() {
            return Ok(None);
        }
        let fields = Fields::default()
            .text("username", self.username.as_ref())
            .text("password", self.password.as_ref())
            .file("ca.crt", self.ca_file.as_ref())?;
        Ok(Some(secret(&self.name, namespace, &Map::new(), "Opaque", fields)))
    }
}

/// How signatures are verified.
#[derive(Debug, Clone, clap::Args)]
struct Verify {
    /// How signatures are verified.
    #[arg(long, value_parser = ["cosign", "notation"])]
    verify_provider: Option<String>,
    /// Secret with the public keys.
    #[arg(long, requires = "verify_provider")]
    verify_secret_ref: Option<String>,
    /// Pattern of the identity that signed.
    #[arg(long, requires_all = ["verify_provider", "verify_issuer"])]
    verify_subject: Option<String>,
    /// Pattern of who vouches for the identity.
    #[arg(long, requires_all = ["verify_provider", "verify_subject"])]
    verify_issuer: Option<String>,
}

impl Verify {
    fn put(&self, spec: Spec) -> Spec {
        let identity = self.verify_issuer.as_ref().zip(self.verify_subject.as_ref());
        let identity = identity.map(|(issuer, subject)| json!([{"issuer": issuer, "subject": subject}]));
        spec.put("verify.provider", self.verify_provider.clone())
            .put("verify.secretRef.name", self.verify_secret_ref.clone())
            .put("verify.matchOIDCIdentity", identity)
    }
}

/// Options of `ferrite create source oci`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Oci {
    /// Its name.
    pub(super) name: String,
    /// Address of the repository, oci://….
    #[arg(long)]
    url: String,
    /// Tag to follow.
    #[arg(long)]
    tag: Option<String>,
    /// Range of tags to follow.
    #[arg(long)]
    tag_semver: Option<String>,
    /// Digest to stay on.
    #[arg(long)]
    digest: Option<String>,
    /// Whose credentials are used.
    #[arg(long, default_value = "generic", value_parser = ["generic", "aws", "azure", "gcp"])]
    provider: String,
    /// Secret for pulling.
    #[arg(long)]
    secret_ref: Option<String>,
    /// Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// Account whose Secrets are used for pulling.
    #[arg(long)]
    service_account: Option<String>,
    /// Secret with certificates.
    #[arg(long)]
    cert_ref: Option<String>,
    #[command(flatten)]
    verify: Verify,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    /// Without TLS.
    #[arg(long)]
    insecure: bool,
    /// Layer to take, as media-type:operation.
    #[arg(long)]
    layer_selector: Option<String>,
}

impl Oci {
    pub(super) fn spec(&self, interval: Value) -> Result<Value> {
        if self.tag.is_none() && self.tag_semver.is_none() && self.digest.is_none() {
            bail!("--tag, --tag-semver or --digest is required");
        }
        let layer = self.layer_selector.as_ref().map(|text| match text.rsplit_once(':') {
            Some((media, operation @ ("extract" | "copy"))) => {
                json!({"mediaType": media, "operation": operation})
            }
            _ => json!({"mediaType": text}),
        });
        let spec = Spec::default()
            .put("interval", Some(interval))
            .put("url", Some(self.url.as_str()))
            .put("provider", Some(self.provider.as_str()))
            .put("ref.tag", self.tag.clone())
            .put("ref.semver", self.tag_semver.clone())
            .put("ref.digest", self.digest.clone())
            .put("secretRef.name", self.secret_ref.clone())
            .put("proxySecretRef.name", self.proxy_secret_ref.clone())
            .put("serviceAccountName", self.service_account.clone())
            .put("certSecretRef.name", self.cert_ref.clone())
            .flag("insecure", self.insecure)
            .put("layerSelector", layer)
            .ignore(&self.ignore_paths);
        Ok(self.verify.put(spec).done())
    }
}

/// Options of `ferrite create source helm`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Helm {
    /// Its name.
    pub(super) name: String,
    /// Address of the repository, http(s):// or oci://.
    #[arg(long)]
    url: String,
    /// User name; with --password a Secret is made.
    #[arg(short = 'u', long)]
    username: Option<String>,
    /// Password.
    #[arg(short = 'p', long, requires = "username")]
    password: Option<String>,
    /// File with a client certificate.
    #[arg(long, requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// File with its key.
    #[arg(long, requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// File with the certificate authority of the server.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Secret with credentials that exists.
    #[arg(long)]
    secret_ref: Option<String>,
    /// Whose credentials are used for OCI.
    #[arg(long, value_parser = ["generic", "aws", "azure", "gcp"])]
    oci_provider: Option<String>,
    /// Present the credentials to other hosts too.
    #[arg(long)]
    pass_credentials: bool,
}

impl Helm {
    pub(super) fn spec(&self, interval: Value) -> Value {
        let secret = self.secret_ref.clone().or_else(|| self.makes_secret().then(|| self.name.clone()));
        let tls = self.secret_ref.is_none() && (self.cert_file.is_some() || self.ca_file.is_some());
        Spec::default()
            .put("interval", Some(interval))
            .put("url", Some(self.url.as_str()))
            .put("type", self.url.starts_with("oci://").then_some("oci"))
            .put("secretRef.name", secret.filter(|_| self.secret_ref.is_some() || self.username.is_some()))
            .put("certSecretRef.name", tls.then(|| self.name.clone()))
            .put("provider", self.oci_provider.clone())
            .flag("passCredentials", self.pass_credentials)
            .done()
    }

    fn makes_secret(&self) -> bool {
        self.secret_ref.is_none()
            && (self.username.is_some() || self.cert_file.is_some() || self.ca_file.is_some())
    }

    pub(super) fn secret(&self, namespace: &str) -> Result<Option<Value>> {
        if !self.makes_secret() {
            return Ok(None);
        }
        let fields = Fields::default()
            .text("username", self.username.as_ref())
            .text("password", self.password.as_ref())
            .file("tls.crt", self.cert_file.as_ref())?
            .file("tls.key", self.key_file.as_ref())?
            .file("ca.crt", self.ca_file.as_ref())?;
        Ok(Some(secret(&self.name, namespace, &Map::new(), "Opaque", fields)))
    }
}

/// Options of `ferrite create source bucket`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Bucket {
    /// Its name.
    pub(super) name: String,
    /// Who serves it.
    #[arg(long, default_value = "generic", value_parser = ["generic", "aws", "azure", "gcp"])]
    provider: String,
    /// Name of the bucket.
    #[arg(long)]
    bucket_name: String,
    /// Address of the server.
    #[arg(long)]
    endpoint: String,
    /// Access key; with --secret-key a Secret is made.
    #[arg(long, requires = "secret_key")]
    access_key: Option<String>,
    /// Secret key.
    #[arg(long, requires = "access_key")]
    secret_key: Option<String>,
    /// Region.
    #[arg(long)]
    region: Option<String>,
    /// Without TLS.
    #[arg(long)]
    insecure: bool,
    /// Secret with credentials that exists.
    #[arg(long, conflicts_with = "access_key")]
    secret_ref: Option<String>,
    /// Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
}

impl Bucket {
    pub(super) fn spec(&self, interval: Value) -> Value {
        let made = self.access_key.as_ref().map(|_| self.name.clone());
        Spec::default()
            .put("interval", Some(interval))
            .put("bucketName", Some(self.bucket_name.as_str()))
            .put("endpoint", Some(self.endpoint.as_str()))
            .put("provider", Some(self.provider.as_str()))
            .put("region", self.region.clone())
            .flag("insecure", self.insecure)
            .put("secretRef.name", self.secret_ref.clone().or(made))
            .put("proxySecretRef.name", self.proxy_secret_ref.clone())
            .ignore(&self.ignore_paths)
            .done()
    }

    pub(super) fn secret(&self, namespace: &str) -> Option<Value> {
        let (access, key) = self.access_key.as_ref().zip(self.secret_key.as_ref())?;
        let fields = Fields::default().text("accesskey", Some(access)).text("secretkey", Some(key));
        Some(secret(&self.name, namespace, &Map::new(), "Opaque", fields))
    }
}

/// Options of `ferrite create source chart`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Chart {
    /// Its name.
    pub(super) name: String,
    /// Name or path of the chart.
    #[arg(long)]
    chart: String,
    /// Version or range.
    #[arg(long)]
    chart_version: Option<String>,
    /// Where it is from: [Kind/]name, a HelmRepository unless said.
    #[arg(long)]
    source: String,
    /// When it counts as new.
    #[arg(long, default_value = "ChartVersion", value_parser = ["ChartVersion", "Revision"])]
    reconcile_strategy: String,
    #[command(flatten)]
    verify: Verify,
}

impl Chart {
    pub(super) fn spec(&self, interval: Value) -> Result<Value> {
        let spec = Spec::default()
            .put("interval", Some(interval))
            .put("chart", Some(self.chart.as_str()))
            .put("version", self.chart_version.clone())
            .put("sourceRef", Some(reference(&self.source, "HelmRepository")?))
            .put("reconcileStrategy", Some(self.reconcile_strategy.as_str()));
        Ok(self.verify.put(spec).done())
    }
}
