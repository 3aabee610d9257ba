//! `ferrite install`: the components into a cluster, by server-side apply.

mod embedded;
pub(crate) mod manifests;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use ferrite_apply::{Applier, ApplyOptions, Cluster, Done, WaitOptions, WaitTarget};
use ferrite_resource::{Action, Entry, Managers};
use serde_json::{Value, json};

use crate::installed::installation;
use crate::inventory::label;
use crate::output;
use crate::say;
use crate::session::{Global, NAMESPACE, Session};

use manifests::Shape;

/// Whom the objects of the installation belong to, as in `flux`.
pub(crate) const MANAGER: &str = "flux";

/// Options of `ferrite install`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    shape: Shape,
    /// Print the manifests instead.
    #[arg(long)]
    export: bool,
    /// Override an installation that another tool manages.
    #[arg(long)]
    force: bool,
}

/// Installs or prints.
///
/// # Errors
///
/// When the cluster is managed otherwise, the API server refuses an object, or a component does not become ready.
pub(crate) async fn run(global: &Global, options: &Options) -> Result<()> {
    let shape = &options.shape;
    if options.export {
        // No cluster is needed for this.
        let namespace = global.namespace.as_deref().unwrap_or(NAMESPACE);
        return output::print(&manifests::text(shape, namespace)?);
    }
    say::action("generating manifests");
    let session = global.session().await?;
    let objects = manifests::objects(shape, &session.namespace)?;
    say::success("manifests build completed");
    refuse_others(&session, options.force).await?;
    say::action(format!("installing components in {} namespace", session.namespace));
    apply(&session, objects).await?;
    if let Some(secret) = pull_secret(shape, &session.namespace)? {
        say::action(format!(
            "generating image pull secret {}",
            shape.image_pull_secret.as_deref().unwrap_or("")
        ));
        apply(&session, vec![secret]).await?;
    }
    say::success("installation completed");
    healthy(&session, &shape.components()?).await?;
    say::success("install finished");
    Ok(())
}

/// Refuses to change what Git or another tool manages.
///
/// # Errors
///
/// When it does, saying what to do.
async fn refuse_others(session: &Session, force: bool) -> Result<()> {
    let Some(found) = installation(session).await? else { return Ok(()) };
    if found.bootstrapped {
        bail!(
            "this cluster has already been bootstrapped with {}! Please use 'ferrite bootstrap' to upgrade",
            found.distribution
        );
    }
    if !force && !matches!(found.managed_by.as_str(), "" | "flux") {
        bail!(
            "{} has been installed on this cluster with {}; override it with --force",
            found.distribution,
            found.managed_by
        );
    }
    Ok(())
}

/// Applies objects as the field manager of installations and tells what changed.
///
/// # Errors
///
/// With every object that was refused.
pub(crate) async fn apply(session: &Session, objects: Vec<Value>) -> Result<()> {
    let cluster = Cluster::new(session.client.clone());
    let managers = Managers { own: MANAGER.to_owned(), ..Managers::default() };
    let options = ApplyOptions { managers, stage_timeout: session.timeout, ..ApplyOptions::default() };
    let mut done = Done::default();
    let outcome = Applier::new(&cluster, options).apply(objects, &mut done).await;
    for change in done.changes.0 {
        let what = match change.action {
            Action::Created => "created",
            Action::Configured => "configured",
            _ => continue,
        };
        say::success(format!("{} {what}", label(&change.entry.id)));
    }
    outcome.map_err(|error| anyhow!("install failed: {}", ferrite_runtime::chain(&error)))
}

/// Waits until the Deployments of the components are ready.
///
/// # Errors
///
/// [`crate::readiness::NotReady`] with those that are not, and why.
pub(crate) async fn healthy(session: &Session, components: &[&str]) -> Result<()> {
    say::action("verifying installation");
    let cluster = Cluster::new(session.client.clone());
    let waiting = say::waiting(format!("waiting for {}", components.join(", ")));
    let targets = components.iter().map(|name| WaitTarget::from(deployment(name, &session.namespace)));
    let options = WaitOptions { timeout: session.timeout, ..WaitOptions::default() };
    let outcome = ferrite_apply::wait(&cluster, targets.collect(), &options, std::future::pending()).await;
    drop(waiting);
    match outcome {
        Ok(_) => {
            components.iter().for_each(|name| say::success(format!("{name}: deployment ready")));
            Ok(())
        }
        Err(error) => {
            let why = error
                .unready()
                .map_or_else(|| ferrite_runtime::chain(&error), |unready| format!("{unready:#}"));
            Err(crate::readiness::NotReady(format!("components are not ready: {why}")).into())
        }
    }
}

fn deployment(name: &str, namespace: &str) -> Entry {
    let id = ferrite_resource::ObjectId::new("apps", "Deployment", namespace, name);
    Entry { id, version: "v1".to_owned() }
}

/// The Secret for pulling images, when credentials were given.
pub(crate) fn pull_secret(shape: &Shape, namespace: &str) -> Result<Option<Value>> {
    let (Some(name), Some(credentials)) = (&shape.image_pull_secret, &shape.registry_creds) else {
        return Ok(None);
    };
    let (user, password) =
        credentials.split_once(':').context("--registry-creds must be in the form user:password")?;
    let host = shape.registry.split('/').next().unwrap_or_default();
    Ok(Some(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {".dockerconfigjson": docker_config(host, user, password)},
    })))
}

/// The text of a Docker configuration that logs in to one registry.
pub(crate) fn docker_config(host: &str, user: &str, password: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut login = json!({"auth": auth});
    login["password"] = password.into();
    login["username"] = user.into();
    json!({"auths": {host: login}}).to_string()
}
