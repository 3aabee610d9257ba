//! `ferrite suspend` and `ferrite resume`.

use anyhow::{Result, bail};
use futures::future::join_all;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::kinds::{Kind, Rest};
use crate::objects;
use crate::of_kind::{OfKind, Verb};
use crate::readiness::{self, NotReady, ready};
use crate::reconcile::outcome;
use crate::say;
use crate::session::Session;

/// Options of `ferrite suspend`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Suspend {
    /// Names of the objects.
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All objects of the namespace.
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// Options of `ferrite resume`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Resume {
    /// Names of the objects.
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All objects of the namespace.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Wait until they are ready; with one name this is so unless --wait=false.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    wait: Option<bool>,
}

impl Verb for Suspend {
    const DOES: &'static str = "Suspend";

    fn takes(kind: &Kind) -> bool {
        kind.rest == Rest::Suspend
    }
}

impl Verb for Resume {
    const DOES: &'static str = "Resume";

    fn takes(kind: &Kind) -> bool {
        kind.rest == Rest::Suspend
    }
}

/// Suspends.
///
/// # Errors
///
/// When an object is not there, or what the API server says; the other objects are suspended all the same.
pub(crate) async fn suspend(session: &Session, verb: &OfKind<Suspend>) -> Result<()> {
    let [kind] = verb.kinds.as_slice() else { bail!("name one kind") };
    let set = set(session, kind, &verb.options.names, ("suspending", "suspended"), true).await?;
    if set.failed { bail!("not every {} was suspended", kind.human) } else { Ok(()) }
}

/// Resumes, and waits.
///
/// # Errors
///
/// As [`suspend`], and [`NotReady`] for what does not become ready.
pub(crate) async fn resume(session: &Session, verb: &OfKind<Resume>) -> Result<()> {
    let [kind] = verb.kinds.as_slice() else { bail!("name one kind") };
    let options = &verb.options;
    let set = set(session, kind, &options.names, ("resuming", "resumed"), false).await?;
    if options.wait.unwrap_or(options.names.len() == 1) {
        become_ready(session, kind, &set.names).await?;
    }
    if set.failed { bail!("not every {} was resumed", kind.human) } else { Ok(()) }
}

/// What was changed.
struct Set {
    names: Vec<String>,
    failed: bool,
}

async fn set(
    session: &Session,
    kind: &'static Kind,
    names: &[String],
    (doing, done): (&str, &str),
    suspend: bool,
) -> Result<Set> {
    let namespace = session.namespace.as_str();
    let mut wanted: Vec<String> = Vec::new();
    if names.is_empty() {
        let all = objects::list(session, kind, Some(namespace), &ListParams::default()).await?;
        wanted.extend(all.iter().map(|object| objects::name(object).to_owned()));
        if wanted.is_empty() {
            bail!("no {} objects found in {namespace} namespace", kind.kind);
        }
    }
    for name in names {
        if !wanted.contains(name) {
            wanted.push(name.clone());
        }
    }
    let patch = json!({"spec": {"suspend": suspend}});
    let mut set = Set { names: Vec::new(), failed: false };
    for name in wanted {
        if let Err(error) = objects::get(session, kind, namespace, &name).await {
            say::failure(ferrite_runtime::chain(error.as_ref()));
            set.failed = true;
            continue;
        }
        say::action(format!("{doing} {} {name} in {namespace} namespace", kind.human));
        match objects::merge(session, kind, namespace, &name, &patch).await {
            Ok(_) => {
                say::success(format!("{} {done}", kind.human));
                set.names.push(name);
            }
            Err(error) => {
                say::failure(format!("{} {name}: {}", kind.kind, ferrite_runtime::chain(error.as_ref())));
                set.failed = true;
            }
        }
    }
    Ok(set)
}

async fn become_ready(session: &Session, kind: &'static Kind, names: &[String]) -> Result<()> {
    let waits = names.iter().map(|name| async move {
        let waiting = say::waiting(format!("waiting for {} reconciliation", kind.kind));
        let key = (session.namespace.as_str(), name.as_str());
        (name, readiness::wait(session, kind, key, waiting, |object: &Value| ready(kind, object)).await)
    });
    let mut failed = 0;
    for (name, outcome_of) in join_all(waits).await {
        match outcome_of {
            Ok(object) => {
                say::success(format!("{} {name} reconciliation completed", kind.kind));
                say::success(outcome(kind, &object));
            }
            Err(error) => {
                failed += 1;
                let why = ferrite_runtime::chain(error.as_ref());
                say::failure(format!("{} {name} reconciliation failed: {why}", kind.kind));
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(NotReady(format!("reconciliation failed for {failed} {}(s)", kind.kind)).into())
}
