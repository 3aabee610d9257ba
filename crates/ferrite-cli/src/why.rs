//! `ferrite why`: the causal chain from an object that is not ready down to what is wrong, in one screen.
//!
//! ```text
//! Kustomization ─▶ dependency or source that is not ready
//!               └▶ object of its inventory that is not ready ─▶ pod ─▶ container ─▶ warning events
//! ```

mod chain;
mod commit;
mod pods;

use anyhow::{Result, anyhow};
use serde_json::Value;

use crate::output::{self, Encoding};
use crate::readiness::NotReady;
use crate::resources;
use crate::session::Session;

use chain::Explorer;

/// Options of `ferrite why`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// KIND/NAME, or KIND NAME: any object of the cluster.
    #[arg(required = true, num_args = 1..=2)]
    object: Vec<String>,
    /// Do not ask the Git repository who made the commit.
    #[arg(long)]
    no_author: bool,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
}

/// Prints the chain.
///
/// # Errors
///
/// [`NotReady`] when the object is not ready, after its chain was printed; when it is not there.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    let (word, name) = match options.object.as_slice() {
        [one] => one.split_once('/').ok_or_else(|| anyhow!("name the object as KIND/NAME"))?,
        [kind, name] => (kind.as_str(), name.as_str()),
        _ => return Err(anyhow!("name one object as KIND/NAME")),
    };
    let resource = resources::resolve(session, word).await?;
    let object = resource.get(session, name).await?;
    let mut explorer = Explorer::new(session, !options.no_author);
    let link = explorer.explain(&object, 0).await;
    output::print(&match options.output {
        Some(encoding) => encoding.text(&serde_json::to_value(&link)?),
        None => link.text(),
    })?;
    if link.ready { Ok(()) } else { Err(NotReady(format!("{} is not ready", link.object)).into()) }
}

/// `Kind/namespace/name` of an object.
fn shown(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") }
}
