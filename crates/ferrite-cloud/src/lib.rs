//! Who we are in a cloud, and what that opens: tokens of AWS, Azure and Google Cloud.
//!
//! ```text
//!  Identity ── the controller (environment, files, metadata service) ┐
//!              a ServiceAccount (annotations + a token made for it)  ├─▶ access token ─┬▶ registry login (ECR, ACR, GAR)
//!              keys of a Secret                                      ┘    (cached)     ├▶ cluster (EKS, AKS, GKE)
//!                                                                                      ├▶ Git login (CodeCommit, DevOps)
//!                                                                                      └▶ sigv4::sign, Authorization: Bearer
//! ```
//!
//! For who talks to a cloud's services without its SDK: sources and registries, key management, clusters, queues.
//!
//! ```no_run
//! use ferrite_cloud::{CacheLimits, Caller, Cloud, Environment, Identity, Kind, Scope};
//! # async fn example(variables: std::collections::BTreeMap<String, String>) -> Result<(), ferrite_cloud::Error> {
//! let cloud = Cloud::new(Environment::new(variables), CacheLimits::default());
//! let me = Caller::from(Identity::Controller);
//! let login = cloud.registry(Kind::Aws, &me, "012345678901.dkr.ecr.eu-west-1.amazonaws.com/apps").await?;
//! let storage = cloud.token(Kind::Azure, &me, &Scope::oauth("https://storage.azure.com/.default")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** No `Debug`, `Display` or error shows a secret. Every answer is bounded, no redirect is followed, and
//! metadata services are never asked through a proxy. A token is used until 80 % of its life is over.
//! It deliberately opens no connection to Kubernetes: who has a cluster makes tokens of ServiceAccounts and passes
//! them in through [`Minter`]. It reads no profile files of the vendors' command lines.

mod aws;
mod azure;
mod cache;
mod cloud;
mod environment;
mod error;
mod gcp;
pub mod github;
mod identity;
mod key;
mod provider;
mod redacted;
mod wire;

pub use aws::sigv4;
pub use cache::{CacheCounts, CacheLimits};
pub use cloud::Cloud;
pub use environment::{Environment, Service};
pub use error::Error;
pub use identity::{Caller, Identity, Kind, Minter, Proxy, ServiceAccount};
use provider::Provider;
pub use provider::{AwsCredentials, ClusterAccess, ClusterRequest, GitLogin, RegistryLogin, Scope, Token};
pub use redacted::Redacted;

/// Whether `text` matches `pattern`, one of this crate's constants.
fn matches(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

/// The groups of `pattern`, one of this crate's constants, in `text`; the whole match is the first.
fn captures(pattern: &str, text: &str) -> Option<Vec<String>> {
    let captures = regex::Regex::new(pattern).ok()?.captures(text)?;
    Some(captures.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect())
}

/// The registry of `host/path`.
fn registry_host(repository: &str) -> &str {
    let repository = repository.trim_start_matches("oci://");
    repository.split_once('/').map_or(repository, |(host, _)| host)
}

#[cfg(test)]
mod fixture;
