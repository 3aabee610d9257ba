//! `ferrite check`: whether a cluster can run the components, and whether they run.

use anyhow::{Result, bail};
use ferrite_resource::Status;
use ferrite_resource::health::{Context, health};
use ferrite_semver::{Constraint, Version};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::Value;

use crate::installed::{self, PART_OF, installation};
use crate::objects;
use crate::say;
use crate::session::Session;

/// The Kubernetes versions that Flux 2.9 supports, prereleases included.
const KUBERNETES: &str = ">=1.33.0-0";

/// Options of `ferrite check`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Check what must be so before an installation, only.
    #[arg(long)]
    pre: bool,
    /// Components that must be there; those found are checked in any case.
    #[arg(long, value_delimiter = ',')]
    components: Vec<String>,
    /// More components that must be there.
    #[arg(long, value_delimiter = ',')]
    components_extra: Vec<String>,
    /// Accepted for scripts written for flux; a watch tells.
    #[arg(long, hide = true)]
    poll_interval: Option<String>,
}

/// Checks and tells.
///
/// # Errors
///
/// When a check failed.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    say::action("checking prerequisites");
    let mut good = kubernetes(session).await?;
    if options.pre {
        if !good {
            bail!("check failed");
        }
        say::success("prerequisites checks passed");
        return Ok(());
    }
    say::action("checking version in cluster");
    good &= version(session).await;
    say::action("checking controllers");
    good &= controllers(session, options).await?;
    say::action("checking crds");
    good &= definitions(session).await?;
    if !good {
        bail!("check failed");
    }
    say::success("all checks passed");
    Ok(())
}

async fn kubernetes(session: &Session) -> Result<bool> {
    let info = match session.client.apiserver_version().await {
        Ok(info) => info,
        Err(error) => {
            say::failure(format!(
                "Kubernetes API call failed: {}",
                ferrite_runtime::chain(objects::plain(error).as_ref())
            ));
            return Ok(false);
        }
    };
    let Ok(version) = Version::parse(&info.git_version) else {
        say::failure("Kubernetes version can't be determined");
        return Ok(false);
    };
    let supported = Constraint::parse(KUBERNETES)?;
    let shown = info.git_version.trim_start_matches('v');
    if supported.matches(&version) {
        say::success(format!("Kubernetes {shown} {KUBERNETES}"));
        return Ok(true);
    }
    say::failure(format!("Kubernetes version {} does not match {KUBERNETES}", info.git_version));
    Ok(false)
}

async fn version(session: &Session) -> bool {
    match installation(session).await {
        Ok(Some(found)) => {
            if !found.distribution.is_empty() {
                say::success(format!("distribution: {}", found.distribution));
            }
            say::success(format!("bootstrapped: {}", found.bootstrapped));
            true
        }
        Ok(None) => {
            say::failure(
                "checking failed: there is no GitRepository definition; install with ferrite install",
            );
            false
        }
        Err(error) => {
            say::failure(format!("checking failed: {}", ferrite_runtime::chain(error.as_ref())));
            false
        }
    }
}

async fn controllers(session: &Session, options: &Options) -> Result<bool> {
    let found = installed::deployments(session).await?;
    if found.is_empty() {
        say::failure(format!(
            "no controllers found in the '{}' namespace with the label selector '{PART_OF}'",
            session.namespace
        ));
        return Ok(false);
    }
    let mut good = true;
    for deployment in &found {
        let name = deployment.name_any();
        let context = Context { now: jiff::Timestamp::now(), pods: &[] };
        let told = health(&installed::value(deployment)?, context);
        if told.status == Status::Current {
            say::success(format!("{name}: deployment ready"));
        } else {
            say::failure(format!("{name}: deployment not ready: {}", told.message));
            good = false;
        }
        for image in installed::images(deployment) {
            say::action(image);
        }
    }
    for wanted in options.components.iter().chain(&options.components_extra) {
        if !found.iter().any(|deployment| deployment.name_any() == *wanted) {
            say::failure(format!("{wanted}: deployment not found"));
            good = false;
        }
    }
    Ok(good)
}

async fn definitions(session: &Session) -> Result<bool> {
    let params = ListParams::default().labels(PART_OF);
    let found = installed::definitions(session).list(&params).await.map_err(objects::plain)?;
    if found.items.is_empty() {
        say::failure(format!("no crds found with the label selector '{PART_OF}'"));
        return Ok(false);
    }
    let mut good = true;
    for definition in found {
        let name = definition.name_any();
        let stored = definition.data.pointer("/status/storedVersions").and_then(Value::as_array);
        match stored.and_then(|versions| versions.last()).and_then(Value::as_str) {
            Some(version) => say::success(format!("{name}/{version}")),
            None => {
                say::failure(format!("no stored versions for {name}"));
                good = false;
            }
        }
    }
    Ok(good)
}
