//! Objects of image automation.

use anyhow::{Result, bail};
use serde_json::Value;

use super::spec::{Spec, duration};
use crate::session::Wait;

/// Options of `ferrite create image repository`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Repository {
    /// Its name.
    pub(super) name: String,
    /// Image without a tag.
    #[arg(long)]
    image: String,
    /// Secret for pulling.
    #[arg(long)]
    secret_ref: Option<String>,
    /// Secret with certificates.
    #[arg(long)]
    cert_ref: Option<String>,
    /// How long a scan may take.
    #[arg(long)]
    scan_timeout: Option<Wait>,
}

impl Repository {
    pub(super) fn spec(&self, interval: Value) -> Value {
        Spec::default()
            .put("image", Some(self.image.as_str()))
            .put("interval", Some(interval))
            .put("secretRef.name", self.secret_ref.clone())
            .put("certSecretRef.name", self.cert_ref.clone())
            .put("timeout", self.scan_timeout.map(duration))
            .done()
    }
}

/// Options of `ferrite create image policy`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Policy {
    /// Its name.
    pub(super) name: String,
    /// ImageRepository it chooses from.
    #[arg(long)]
    image_ref: String,
    /// Choose the highest version of a range.
    #[arg(long, group = "selection")]
    select_semver: Option<String>,
    /// Choose by letters.
    #[arg(long, group = "selection", value_parser = ["asc", "desc"])]
    select_alpha: Option<String>,
    /// Choose by number.
    #[arg(long, group = "selection", value_parser = ["asc", "desc"])]
    select_numeric: Option<String>,
    /// Pattern of the tags that count.
    #[arg(long)]
    filter_regex: Option<String>,
    /// What of a tag is compared.
    #[arg(long, requires = "filter_regex")]
    filter_extract: Option<String>,
    /// When the digest is followed too.
    #[arg(long, value_parser = ["Never", "IfNotPresent", "Always"])]
    reflect_digest: Option<String>,
}

impl Policy {
    pub(super) fn spec(&self) -> Result<Value> {
        if self.select_semver.is_none() && self.select_alpha.is_none() && self.select_numeric.is_none() {
            bail!(
                "a policy must be provided with either --select-semver or --select-alpha or --select-numeric"
            );
        }
        Ok(Spec::default()
            .put("imageRepositoryRef.name", Some(self.image_ref.as_str()))
            .put("policy.semver.range", self.select_semver.clone())
            .put("policy.alphabetical.order", self.select_alpha.clone())
            .put("policy.numerical.order", self.select_numeric.clone())
            .put("filterTags.pattern", self.filter_regex.clone())
            .put("filterTags.extract", self.filter_extract.clone())
            .put("digestReflectionPolicy", self.reflect_digest.clone())
            .done())
    }
}

/// Options of `ferrite create image update`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Update {
    /// Its name.
    pub(super) name: String,
    /// GitRepository that is changed.
    #[arg(long)]
    git_repo_ref: String,
    /// Namespace of the GitRepository.
    #[arg(long)]
    git_repo_namespace: Option<String>,
    /// Directory that is changed.
    #[arg(long)]
    git_repo_path: Option<String>,
    /// Branch to read.
    #[arg(long)]
    checkout_branch: Option<String>,
    /// Branch to push.
    #[arg(long)]
    push_branch: Option<String>,
    /// Name of the author.
    #[arg(long)]
    author_name: String,
    /// Address of the author.
    #[arg(long)]
    author_email: String,
    /// Template of the message.
    #[arg(long)]
    commit_template: Option<String>,
}

impl Update {
    pub(super) fn spec(&self, interval: Value) -> Value {
        Spec::default()
            .put("interval", Some(interval))
            .put("sourceRef.kind", Some("GitRepository"))
            .put("sourceRef.name", Some(self.git_repo_ref.as_str()))
            .put("sourceRef.namespace", self.git_repo_namespace.clone())
            .put("git.checkout.ref.branch", self.checkout_branch.clone())
            .put("git.commit.author.name", Some(self.author_name.as_str()))
            .put("git.commit.author.email", Some(self.author_email.as_str()))
            .put("git.commit.messageTemplate", self.commit_template.clone())
            .put("git.push.branch", self.push_branch.clone())
            .put("update.path", self.git_repo_path.clone())
            .put("update.strategy", Some("Setters"))
            .done()
    }
}
