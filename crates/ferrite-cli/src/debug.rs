//! `ferrite debug`: the final variables, values, status and history of an object.

use anyhow::{Context as _, Result, bail};
use ferrite_api::helm::HelmRelease;
use ferrite_api::kustomize::Kustomization;
use serde_json::Value;

use crate::kinds::{HELM_RELEASE, KUSTOMIZATION};
use crate::objects;
use crate::output;
use crate::session::Session;

/// What can be looked into.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// A Kustomization.
    #[command(visible_alias = "ks")]
    Kustomization(Ks),
    /// A HelmRelease.
    #[command(visible_alias = "hr")]
    Helmrelease(Hr),
}

/// Options of `ferrite debug kustomization`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("shown").required(true)))]
pub(crate) struct Ks {
    /// Name of the Kustomization.
    name: String,
    /// Its status.
    #[arg(id = "ks_status", group = "shown", long = "show-status")]
    status: bool,
    /// The variables of its post-build substitution, with those of ConfigMaps and Secrets, as NAME=value.
    #[arg(id = "vars", group = "shown", long = "show-vars")]
    vars: bool,
    /// Its history.
    #[arg(id = "ks_history", group = "shown", long = "show-history")]
    history: bool,
}

/// Options of `ferrite debug helmrelease`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("shown").required(true)))]
pub(crate) struct Hr {
    /// Name of the HelmRelease.
    name: String,
    /// Its status.
    #[arg(id = "hr_status", group = "shown", long = "show-status")]
    status: bool,
    /// The values it is rendered with, with those of ConfigMaps and Secrets.
    #[arg(id = "values", group = "shown", long = "show-values")]
    values: bool,
    /// Its history.
    #[arg(id = "hr_history", group = "shown", long = "show-history")]
    history: bool,
}

/// Prints what is asked for. Values of Secrets are shown as they are: that is what this command is for.
///
/// # Errors
///
/// When the object is not there, or what it refers to.
pub(crate) async fn run(session: &Session, command: &Command) -> Result<()> {
    let namespace = session.namespace.as_str();
    match command {
        Command::Kustomization(options) => {
            let object = objects::get(session, &KUSTOMIZATION, namespace, &options.name).await?;
            if !options.vars {
                return part(&object, options.status);
            }
            let parsed: Kustomization =
                serde_json::from_value(object).context("the Kustomization is not valid")?;
            let post_build = parsed.spec.post_build.as_ref();
            let variables =
                ferrite_kustomize_controller::preview::variables(&session.client, namespace, post_build)
                    .await?;
            output::print(
                &variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>(),
            )
        }
        Command::Helmrelease(options) => {
            let object = objects::get(session, &HELM_RELEASE, namespace, &options.name).await?;
            if !options.values {
                return part(&object, options.status);
            }
            let parsed: HelmRelease =
                serde_json::from_value(object).context("the HelmRelease is not valid")?;
            let values = ferrite_helm_controller::preview::values(&session.client, &parsed).await?;
            output::print(&ferrite_yaml::write(&Value::Object(values)))
        }
    }
}

fn part(object: &Value, status: bool) -> Result<()> {
    let pointer = if status { "/status" } else { "/status/history" };
    match object.pointer(pointer) {
        Some(found) => output::print(&ferrite_yaml::write(found)),
        None => bail!("{} has no {} yet", objects::name(object), if status { "status" } else { "history" }),
    }
}
