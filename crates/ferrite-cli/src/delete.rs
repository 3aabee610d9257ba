//! `ferrite delete`: an object, after asking.

use anyhow::{Result, bail};
use kube::api::DeleteParams;

use crate::kinds::{ARTIFACT_GENERATOR, EXTERNAL_ARTIFACT, Kind};
use crate::objects;
use crate::of_kind::{OfKind, Verb};
use crate::say;
use crate::session::Session;
use crate::uninstall::confirm;

/// Options of `ferrite delete`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Name of the object.
    name: String,
    /// Do not ask.
    #[arg(short, long)]
    silent: bool,
}

impl Verb for Options {
    const DOES: &'static str = "Delete";

    fn takes(kind: &Kind) -> bool {
        *kind != EXTERNAL_ARTIFACT && *kind != ARTIFACT_GENERATOR
    }
}

/// Deletes.
///
/// # Errors
///
/// When it is not there, or was not confirmed.
pub(crate) async fn run(session: &Session, verb: &OfKind<Options>) -> Result<()> {
    let [kind] = verb.kinds.as_slice() else { bail!("name one kind") };
    let (name, namespace) = (verb.options.name.as_str(), session.namespace.as_str());
    let object = objects::get(session, kind, namespace, name).await?;
    if !verb.options.silent {
        let prunes =
            object.pointer("/spec/prune").is_some_and(|prune| prune == true) && !objects::suspended(&object);
        let what = if prunes || kind.kind == "HelmRelease" { " and everything it has applied" } else { "" };
        if !confirm(&format!("Are you sure you want to delete this {}{what}", kind.human))? {
            bail!("aborting");
        }
    }
    say::action(format!("deleting {} {name} in {namespace} namespace", kind.human));
    session
        .api(kind, Some(namespace))
        .delete(name, &DeleteParams::default())
        .await
        .map_err(objects::plain)?;
    say::success(format!("{} deleted", kind.human));
    Ok(())
}
