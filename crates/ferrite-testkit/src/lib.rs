//! What tests need around the code under test: real servers on port 0, bounded waits, golden files.
//!
//! ```text
//! GitServer ── repositories one can commit to ──▶ http://127.0.0.1:…/app (also TLS, SSH, with a password)
//! HelmRepositoryServer ── files, perhaps with a password ──▶ put(..), asked()
//! S3Server, GcsServer, AzureServer ── buckets, with each protocol's own signatures ──▶ put(..), asked()
//! RegistryServer ── an OCI registry, perhaps with tokens ──▶ push(..), asked()
//! ScriptedServer ── answers by a function of the request ──▶ received(), lines()
//! SmtpSink ── keeps every mail, perhaps with TLS and a password ──▶ taken(), wait_for(..)
//! WebhookReceiver ── keeps every request ──▶ received(), wait_for(..)
//! wait_for(what, patience, probe) ── asks until there is an answer or patience ends
//! golden::check(file, actual) ── compares, or rewrites with UPDATE_GOLDEN=1
//! ```
//!
//! Use it from `[dev-dependencies]` and from the tools; the product itself never depends on it.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let git = ferrite_testkit::GitServer::start().await?;
//! let app = git.repository("app", &[("deploy/app.yaml", "kind: ConfigMap\n")])?;
//! let sha = app.commit("raise", &[("deploy/app.yaml", "kind: Secret\n")])?;
//! assert_eq!(app.head()?, sha);
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** Every server listens on the loopback address at a free port and ends with its value. Nothing sleeps
//! for a fixed time. It deliberately holds no mocks: a fake is a server.

mod git;
pub mod golden;
mod helm_repository;
mod object_store;
mod registry;
mod scripted;
mod smtp;
mod ssh;
mod tls;
mod wait;
mod webhook;

pub use git::{GitServer, TestRepository};
pub use helm_repository::HelmRepositoryServer;
pub use object_store::{AzureServer, GcsServer, S3Server};
pub use registry::RegistryServer;
pub use scripted::{ScriptedServer, answer};
pub use smtp::{Mail, SmtpOptions, SmtpSink};
pub use ssh::{SshKey, new_rsa_key, new_ssh_key, ssh_signature};
pub use tls::{ClientIdentity, ServerCertificate};
pub use wait::wait_for;
pub use webhook::{Delivery, WebhookReceiver};
