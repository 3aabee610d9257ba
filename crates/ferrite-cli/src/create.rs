//! `ferrite create`: objects from flags, applied or printed.

mod appliers;
mod images;
mod notifications;
mod secrets;
mod sources;
mod spec;
mod tenant;

pub(crate) use spec::duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use crate::export::document;
use crate::kinds::{
    ALERT, BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_RELEASE, HELM_REPOSITORY, IMAGE_POLICY, IMAGE_REPOSITORY,
    IMAGE_UPDATE, KUSTOMIZATION, Kind, OCI_REPOSITORY, PROVIDER, RECEIVER,
};
use crate::objects::{self, plain};
use crate::output;
use crate::readiness::{self, ready};
use crate::reconcile::outcome;
use crate::say;
use crate::session::{Global, NAMESPACE, Session, Wait};

/// Flags of every `create`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// How often it is reconciled.
    #[arg(long, global = true, default_value = "1m")]
    interval: Wait,
    /// Print it instead of applying it.
    #[arg(long, global = true)]
    export: bool,
    /// Labels, as key=value.
    #[arg(long, global = true, value_delimiter = ',')]
    label: Vec<String>,
}

/// Options of `ferrite create`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// A Kustomization.
    #[command(visible_alias = "ks")]
    Kustomization(appliers::Kustomization),
    /// A HelmRelease.
    #[command(visible_alias = "hr")]
    Helmrelease(Box<appliers::HelmRelease>),
    /// A source.
    Source {
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// An Alert.
    Alert(notifications::Alert),
    /// A Provider of alerts.
    AlertProvider(notifications::Provider),
    /// A Receiver of webhooks.
    Receiver(notifications::Receiver),
    /// An object of image automation.
    Image {
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// A Secret with credentials.
    Secret {
        #[command(subcommand)]
        command: secrets::Command,
    },
    /// Namespaces, accounts and role bindings of a tenant.
    Tenant(tenant::Tenant),
}

#[derive(Debug, Clone, Subcommand)]
enum SourceCommand {
    /// A GitRepository.
    Git(Box<sources::Git>),
    /// An OCIRepository.
    Oci(Box<sources::Oci>),
    /// A HelmRepository.
    Helm(sources::Helm),
    /// A Bucket.
    Bucket(sources::Bucket),
    /// A HelmChart.
    Chart(sources::Chart),
}

#[derive(Debug, Clone, Subcommand)]
enum ImageCommand {
    /// An ImageRepository.
    Repository(images::Repository),
    /// An ImagePolicy.
    Policy(images::Policy),
    /// An ImageUpdateAutomation.
    Update(Box<images::Update>),
}

/// An object to make: its kind, name and spec, and the Secret that goes with it.
#[derive(Debug)]
struct Made {
    kind: &'static Kind,
    name: String,
    spec: Value,
    secret: Option<Value>,
}

impl Made {
    fn new(kind: &'static Kind, name: &str, spec: Value) -> Self {
        Self { kind, name: name.to_owned(), spec, secret: None }
    }
}

/// Makes the object and applies or prints it.
///
/// # Errors
///
/// When flags contradict each other, the API server refuses it, or it does not become ready.
pub(crate) async fn run(global: &Global, options: &Options) -> Result<()> {
    let common = &options.common;
    let labels = labels(&common.label)?;
    let namespace = match (common.export, &global.namespace) {
        (true, Some(namespace)) => namespace.clone(),
        (true, None) => NAMESPACE.to_owned(),
        // The connection knows.
        (false, _) => global.session().await?.namespace,
    };
    let (objects, made) = match &options.command {
        Command::Tenant(tenant) => (tenant.objects(&labels)?, None),
        Command::Secret { command } => (vec![command.secret(&namespace, &labels)?], None),
        command => {
            let made = made(command, common, &namespace)?;
            let secret = made.secret.clone().into_iter();
            let object = json!({
                "apiVersion": made.kind.api_version(), "kind": made.kind.kind,
                "metadata": metadata(&made.name, &namespace, &labels), "spec": made.spec,
            });
            (secret.chain([object]).collect(), Some(made))
        }
    };
    if common.export {
        return output::print(&objects.iter().map(document).collect::<String>());
    }
    let session = global.session().await?;
    for object in &objects {
        apply(&session, object).await?;
    }
    match made {
        Some(made) => wait(&session, &made).await,
        None if matches!(options.command, Command::Tenant(_)) => {
            say::success("tenant setup completed");
            Ok(())
        }
        None => Ok(()),
    }
}

fn made(command: &Command, common: &Common, namespace: &str) -> Result<Made> {
    let interval = spec::duration(common.interval);
    Ok(match command {
        Command::Kustomization(flags) => Made::new(&KUSTOMIZATION, &flags.name, flags.spec(interval)?),
        Command::Helmrelease(flags) => Made::new(&HELM_RELEASE, &flags.name, flags.spec(interval)?),
        Command::Alert(flags) => Made::new(&ALERT, &flags.name, flags.spec()?),
        Command::AlertProvider(flags) => Made::new(&PROVIDER, &flags.name, flags.spec()),
        Command::Receiver(flags) => Made::new(&RECEIVER, &flags.name, flags.spec()?),
        Command::Image { command } => match command {
            ImageCommand::Repository(flags) => {
                Made::new(&IMAGE_REPOSITORY, &flags.name, flags.spec(interval))
            }
            ImageCommand::Policy(flags) => Made::new(&IMAGE_POLICY, &flags.name, flags.spec()?),
            ImageCommand::Update(flags) => Made::new(&IMAGE_UPDATE, &flags.name, flags.spec(interval)),
        },
        Command::Source { command } => match command {
            SourceCommand::Git(flags) => {
                let mut made = Made::new(&GIT_REPOSITORY, &flags.name, flags.spec(interval)?);
                made.secret = flags.secret(namespace)?;
                made
            }
            SourceCommand::Oci(flags) => Made::new(&OCI_REPOSITORY, &flags.name, flags.spec(interval)?),
            SourceCommand::Helm(flags) => {
                let mut made = Made::new(&HELM_REPOSITORY, &flags.name, flags.spec(interval));
                made.secret = flags.secret(namespace)?;
                made
            }
            SourceCommand::Bucket(flags) => {
                let mut made = Made::new(&BUCKET, &flags.name, flags.spec(interval));
                made.secret = flags.secret(namespace);
                made
            }
            SourceCommand::Chart(flags) => Made::new(&HELM_CHART, &flags.name, flags.spec(interval)?),
        },
        Command::Secret { .. } | Command::Tenant(_) => bail!("nothing to make"),
    })
}

fn labels(pairs: &[String]) -> Result<Map<String, Value>> {
    let mut labels = Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            bail!("invalid label '{pair}', must be key=value")
        };
        labels.insert(key.trim().to_owned(), value.trim().into());
    }
    Ok(labels)
}

fn metadata(name: &str, namespace: &str, labels: &Map<String, Value>) -> Value {
    let mut metadata = json!({"name": name});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    if !labels.is_empty() {
        metadata["labels"] = labels.clone().into();
    }
    metadata
}

/// Applies an object for the command line; what others set beside stays.
///
/// # Errors
///
/// What the API server says.
pub(crate) async fn apply(session: &Session, object: &Value) -> Result<()> {
    let kind = objects::text(object, "/kind");
    say::action(format!("applying {kind}"));
    let resource = crate::resources::of_kind(session, objects::text(object, "/apiVersion"), kind).await?;
    let namespace = objects::namespace(object);
    let session = if namespace.is_empty() { session.clone() } else { session.within(namespace) };
    let api = resource.api(&session);
    let name = objects::name(object);
    let there = api.get_opt(name).await.map_err(plain)?.is_some();
    let params = PatchParams::apply("flux").force();
    api.patch(name, &params, &Patch::Apply(object)).await.map_err(plain)?;
    say::success(format!("{kind} {}", if there { "updated" } else { "created" }));
    Ok(())
}

async fn wait(session: &Session, made: &Made) -> Result<()> {
    let kind = made.kind;
    let waiting = say::waiting(format!("waiting for {} reconciliation", kind.kind));
    let key = (session.namespace.as_str(), made.name.as_str());
    let oci = made.spec.get("type").and_then(Value::as_str) == Some("oci");
    let object = if oci {
        // Nobody reconciles it: it is ready when it is there.
        objects::get(session, kind, key.0, key.1).await?
    } else {
        readiness::wait(session, kind, key, waiting, |object| ready(kind, object)).await?
    };
    say::success(format!("{} {} is ready", kind.kind, made.name));
    if !kind.is_static() && !oci {
        say::success(outcome(kind, &object));
    }
    Ok(())
}
