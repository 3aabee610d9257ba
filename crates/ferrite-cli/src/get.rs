//! `ferrite get`: objects and how they are.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{ListParams, WatchEvent, WatchParams};
use serde_json::Value;

use crate::columns::{self, Wanted};
use crate::kinds::Kind;
use crate::objects::{self, Absent, text};
use crate::of_kind::{OfKind, Verb};
use crate::output::{self, Format};
use crate::say;
use crate::session::Session;
use crate::table::table;

/// Options of `ferrite get`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Name of the object; all of them without.
    pub(crate) name: Option<String>,
    /// Objects of all namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Show changes as they come.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Objects with these labels only, as in app=web,tier!=db.
    #[arg(short = 'l', long)]
    pub(crate) label_selector: Option<String>,
    /// Objects with this condition only, as in ready=false or ready!=true.
    #[arg(long)]
    pub(crate) status_selector: Option<String>,
    /// Leave out the titles.
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Show what Kustomizations and HelmReleases are made from.
    #[arg(long)]
    pub(crate) show_source: bool,
    /// How to print.
    #[arg(short, long, default_value = "table")]
    pub(crate) output: Format,
}

impl Verb for Options {
    const PLURAL: bool = true;
    const ALL: bool = true;
    const DOES: &'static str = "List";

    fn takes(_: &Kind) -> bool {
        true
    }
}

/// Lists or watches.
///
/// # Errors
///
/// When nothing is found, or what the API server says.
pub(crate) async fn run(session: &Session, verb: &OfKind<Options>) -> Result<()> {
    let options = &verb.options;
    let selector = options.status_selector.as_deref().map(StatusSelector::parse).transpose()?;
    if options.watch {
        let [kind] = verb.kinds.as_slice() else { bail!("expected a single resource type, but found all") };
        return watch(session, kind, options, selector.as_ref()).await;
    }
    let mut found = Vec::new();
    let mut refused = BTreeSet::new();
    for kind in &verb.kinds {
        match list(session, kind, options, selector.as_ref(), verb.all).await {
            Ok(objects) => found.push((*kind, objects)),
            Err(error) if verb.all && error.is::<Absent>() => {}
            Err(error) if verb.all => {
                let message = ferrite_runtime::chain(error.as_ref());
                // The same trouble (no connection, no permission) is told once.
                if refused.insert(message.clone()) {
                    say::failure(&message);
                }
            }
            Err(error) => return Err(error),
        }
    }
    print(&found, options, verb.all)?;
    if refused.is_empty() { Ok(()) } else { bail!("not everything could be listed") }
}

async fn list(
    session: &Session,
    kind: &'static Kind,
    options: &Options,
    selector: Option<&StatusSelector>,
    all: bool,
) -> Result<Vec<Value>> {
    let namespace = (!options.all_namespaces).then_some(session.namespace.as_str());
    let mut objects = objects::list(session, kind, namespace, &params(options)).await?;
    if objects.is_empty() && !all {
        let place = namespace.map_or("any".to_owned(), |namespace| format!("{namespace:?}"));
        return Err(match &options.name {
            Some(name) => anyhow!("{} object '{name}' not found in {place} namespace", kind.kind),
            None => anyhow!("no {} objects found in {place} namespace", kind.kind),
        });
    }
    objects.retain(|object| selector.is_none_or(|selector| selector.matches(kind, object)));
    Ok(objects)
}

fn params(options: &Options) -> ListParams {
    let mut params = ListParams::default();
    if let Some(labels) = &options.label_selector {
        params = params.labels(labels);
    }
    if let Some(name) = &options.name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    params
}

fn print(found: &[(&'static Kind, Vec<Value>)], options: &Options, all: bool) -> Result<()> {
    let every = || found.iter().flat_map(|(_, objects)| objects.iter().cloned());
    match options.output {
        Format::Json => output::print(&format!("{:#}\n", output::list(every().collect()))),
        Format::Yaml => output::print(&ferrite_yaml::write(&output::list(every().collect()))),
        Format::Name => {
            let names = found.iter().flat_map(|(kind, objects)| {
                objects.iter().map(|object| {
                    format!("{}.{}/{}\n", kind.kind.to_lowercase(), kind.group, objects::name(object))
                })
            });
            output::print(&names.collect::<String>())
        }
        Format::Table => {
            let tables = found.iter().filter(|(_, objects)| !all || !objects.is_empty());
            let tables = tables.map(|(kind, objects)| {
                let text = render(kind, objects, options, all, !options.no_header);
                if all { text + "\n" } else { text }
            });
            output::print(&tables.collect::<String>())
        }
    }
}

fn render(kind: &Kind, objects: &[Value], options: &Options, all: bool, titles: bool) -> String {
    let wanted = Wanted { namespace: options.all_namespaces, kind: all, source: options.show_source };
    let header = if titles { columns::header(kind, wanted) } else { Vec::new() };
    let rows: Vec<_> = objects.iter().map(|object| columns::row(kind, object, wanted)).collect();
    table(&header, &rows)
}

/// Prints the objects and then each change, until the timeout, as `flux get --watch`.
async fn watch(
    session: &Session,
    kind: &'static Kind,
    options: &Options,
    selector: Option<&StatusSelector>,
) -> Result<()> {
    let namespace = (!options.all_namespaces).then_some(session.namespace.as_str());
    let api = session.api(kind, namespace);
    let mut params = WatchParams::default().timeout(u32::try_from(session.timeout.as_secs().clamp(1, 294))?);
    if let Some(labels) = &options.label_selector {
        params = params.labels(labels);
    }
    if let Some(name) = &options.name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    // Version 0: what exists comes first, as additions.
    let changes = api.watch(&params, "0").await.map_err(|error| objects::explain(error, kind))?;
    let mut changes = changes.boxed();
    let mut titles = !options.no_header;
    let end = tokio::time::sleep(session.timeout);
    tokio::pin!(end);
    loop {
        let change = tokio::select! {
            change = changes.try_next() => change.map_err(|error| objects::explain(error, kind))?,
            () = &mut end => None,
        };
        let object = match change {
            None => return Ok(()),
            Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => objects::value(object, kind)?,
            Some(WatchEvent::Error(status)) => bail!("{}", status.message),
            Some(WatchEvent::Deleted(_) | WatchEvent::Bookmark(_)) => continue,
        };
        if selector.is_some_and(|selector| !selector.matches(kind, &object)) {
            continue;
        }
        match options.output {
            Format::Table => {
                output::print(&render(kind, std::slice::from_ref(&object), options, false, titles))?;
                titles = false;
            }
            Format::Json => output::print(&format!("{object}\n"))?,
            Format::Yaml => output::print(&format!("---\n{}", ferrite_yaml::write(&object)))?,
            Format::Name => print(&[(kind, vec![object])], options, false)?,
        }
    }
}

/// `--status-selector`: `type=status` or `type!=status`, in any case.
#[derive(Debug, PartialEq, Eq)]
struct StatusSelector {
    condition: String,
    status: String,
    wanted: bool,
}

impl StatusSelector {
    fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once("!=").map(|parts| (parts, false));
        let Some(((condition, status), wanted)) =
            parts.or_else(|| text.split_once('=').map(|parts| (parts, true)))
        else {
            bail!("expected status selector in type=status or type!=status format, but found: {text}");
        };
        Ok(Self { condition: condition.to_owned(), status: status.to_owned(), wanted })
    }

    fn matches(&self, kind: &Kind, object: &Value) -> bool {
        let has = if kind.is_static() {
            self.condition.eq_ignore_ascii_case("Ready") && self.status.eq_ignore_ascii_case("True")
        } else {
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            conditions.into_iter().flatten().any(|condition| {
                text(condition, "/type").eq_ignore_ascii_case(&self.condition)
                    && text(condition, "/status").eq_ignore_ascii_case(&self.status)
            })
        };
        has == self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{ALERT, KUSTOMIZATION};
    use serde_json::json;

    #[test]
    fn status_selectors_match_or_exclude() {
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let check = |text: &str, kind: &Kind, object: &Value| {
            StatusSelector::parse(text).unwrap().matches(kind, object)
        };
        assert!(check("ready=true", &KUSTOMIZATION, &ready));
        assert!(!check("ready!=true", &KUSTOMIZATION, &ready));
        assert!(check("ready!=true", &KUSTOMIZATION, &json!({})), "nothing is known, so it is not ready");
        assert!(check("Ready=True", &ALERT, &json!({})));
        assert!(StatusSelector::parse("ready").is_err());
    }
}
