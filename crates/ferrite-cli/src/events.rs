//! `ferrite events`: what the controllers told about the objects, oldest first.

use anyhow::{Result, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde_json::Value;

use crate::age::since;
use crate::kinds::{
    ALERT, EXTERNAL_ARTIFACT, HELM_CHART, HELM_RELEASE, IMAGE_POLICY, KUSTOMIZATION, Kind, find,
};
use crate::objects::{self, plain, reference};
use crate::output::{self, Format};
use crate::say;
use crate::session::Session;
use crate::table::table;

/// Events are read in pages of this many.
const PAGE: u32 = 500;

/// Options of `ferrite events`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Events of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Show events as they come.
    #[arg(short, long)]
    watch: bool,
    /// Of this object, Kind/name, and what it is made from; or of a kind.
    #[arg(long = "for")]
    of: Option<String>,
    /// Of these types only: Normal, Warning.
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// How to print.
    #[arg(short, long, default_value = "table")]
    output: Format,
}

/// Where events are looked for: a namespace, and what their object must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Query {
    namespace: Option<String>,
    fields: String,
}

/// Lists or watches.
///
/// # Errors
///
/// For an unknown kind or type, and what the API server says.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    for wanted in &options.types {
        if !["normal", "warning"].contains(&wanted.to_lowercase().as_str()) {
            bail!("type '{wanted}' not supported. Supported types are Normal, Warning");
        }
    }
    let queries = queries(session, options).await?;
    let own = queries.first().and_then(|query| query.namespace.clone());
    let namespaces = own.is_none() || queries.iter().any(|query| query.namespace != own);
    if options.watch {
        return watch(session, &queries, options, namespaces).await;
    }
    let mut events = Vec::new();
    for query in &queries {
        events.extend(list(session, query).await?);
    }
    events.retain(|event| shown(event, options));
    events.sort_by_key(time);
    if events.is_empty() && options.output == Format::Table {
        say::failure(match own {
            Some(namespace) => format!("No events found in {namespace} namespace."),
            None => "No events found.".to_owned(),
        });
        return Ok(());
    }
    print(&events, options.output, namespaces, true)
}

async fn queries(session: &Session, options: &Options) -> Result<Vec<Query>> {
    let namespace = (!options.all_namespaces).then(|| session.namespace.clone());
    let Some(of) = &options.of else { return Ok(vec![Query { namespace, fields: String::new() }]) };
    let (word, name) = of.split_once('/').unwrap_or((of, ""));
    if word.is_empty() {
        bail!("--for selector must be of format <kind>[/<name>]");
    }
    let kind = find(word)
        .filter(|kind| kind.kind != EXTERNAL_ARTIFACT.kind)
        .ok_or_else(|| anyhow!("'{word}' is not a recognized Flux kind"))?;
    let mut queries = vec![Query { namespace, fields: fields(kind.kind, name) }];
    if !name.is_empty() {
        let object = objects::get(session, kind, &session.namespace, name).await?;
        queries.extend(related(kind, &object).into_iter().map(|(kind, namespace, name)| Query {
            namespace: Some(namespace),
            fields: fields(&kind, &name),
        }));
    }
    Ok(queries)
}

fn fields(kind: &str, name: &str) -> String {
    if name.is_empty() {
        return format!("involvedObject.kind={kind}");
    }
    format!("involvedObject.kind={kind},involvedObject.name={name}")
}

/// What an object is made from: kind, namespace, name.
fn related(kind: &Kind, object: &Value) -> Vec<(String, String, String)> {
    let one = |found: Option<(String, String, String)>, fixed: &str| -> Vec<_> {
        let found = found.filter(|(_, _, name)| !name.is_empty());
        found
            .map(|(kind, namespace, name)| {
                (if fixed.is_empty() { kind } else { fixed.to_owned() }, namespace, name)
            })
            .into_iter()
            .collect()
    };
    match kind {
        kind if *kind == KUSTOMIZATION || *kind == HELM_CHART => {
            one(reference(object, "/spec/sourceRef"), "")
        }
        kind if *kind == ALERT => {
            let mut found = one(reference(object, "/spec/providerRef"), "Provider");
            found.iter_mut().for_each(|found| objects::namespace(object).clone_into(&mut found.1));
            found
        }
        kind if *kind == IMAGE_POLICY => {
            one(reference(object, "/spec/imageRepositoryRef"), "ImageRepository")
        }
        kind if *kind == HELM_RELEASE => {
            let mut found = one(reference(object, "/spec/chartRef"), "");
            found.extend(one(reference(object, "/spec/chart/spec/sourceRef"), ""));
            if let Some((_, namespace, _)) = reference(object, "/spec/chart/spec/sourceRef") {
                let chart = format!("{}-{}", objects::namespace(object), objects::name(object));
                found.push(("HelmChart".to_owned(), namespace, chart));
            }
            found
        }
        _ => Vec::new(),
    }
}

fn api(session: &Session, query: &Query) -> Api<Event> {
    match &query.namespace {
        Some(namespace) => Api::namespaced(session.client.clone(), namespace),
        None => Api::all(session.client.clone()),
    }
}

async fn list(session: &Session, query: &Query) -> Result<Vec<Event>> {
    let mut params = ListParams::default().fields(&query.fields).limit(PAGE);
    let mut all = Vec::new();
    loop {
        let page = api(session, query).list(&params).await.map_err(plain)?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

async fn watch(session: &Session, queries: &[Query], options: &Options, namespaces: bool) -> Result<()> {
    let seconds = u32::try_from(session.timeout.as_secs().clamp(1, 294))?;
    let mut streams = Vec::new();
    for query in queries {
        let params = WatchParams::default().fields(&query.fields).timeout(seconds);
        streams.push(api(session, query).watch(&params, "0").await.map_err(plain)?.boxed());
    }
    let mut changes = stream::select_all(streams);
    let mut titles = true;
    let end = tokio::time::sleep(session.timeout);
    tokio::pin!(end);
    loop {
        let change = tokio::select! {
            change = changes.try_next() => change.map_err(plain)?,
            () = &mut end => None,
        };
        match change {
            None => return Ok(()),
            Some(WatchEvent::Added(event) | WatchEvent::Modified(event)) if shown(&event, options) => {
                print(&[event], options.output, namespaces, titles)?;
                titles = false;
            }
            Some(WatchEvent::Error(status)) => bail!("{}", status.message),
            Some(_) => {}
        }
    }
}

fn shown(event: &Event, options: &Options) -> bool {
    let kind = event.involved_object.kind.as_deref().unwrap_or_default();
    let known = find(kind).is_some_and(|found| found.kind.eq_ignore_ascii_case(kind));
    let of_type = event.type_.as_deref().unwrap_or_default();
    known
        && (options.types.is_empty()
            || options.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(of_type)))
}

/// When it was seen last.
pub(crate) fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    series
        .map(|time| time.0)
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn last_seen(event: &Event, now: Timestamp) -> String {
    let told = |time: Option<Timestamp>| time.map_or("<unknown>".to_owned(), |time| since(time, now));
    let first = event
        .event_time
        .as_ref()
        .map(|time| time.0)
        .or_else(|| event.first_timestamp.as_ref().map(|time| time.0));
    if let Some(series) = &event.series {
        let last = series.last_observed_time.as_ref().map(|time| time.0);
        return format!("{} (x{} over {})", told(last), series.count.unwrap_or(0), told(first));
    }
    match event.count {
        Some(count) if count > 1 => {
            format!(
                "{} (x{count} over {})",
                told(event.last_timestamp.as_ref().map(|time| time.0)),
                told(first)
            )
        }
        _ => told(first),
    }
}

fn print(events: &[Event], format: Format, namespaces: bool, titles: bool) -> Result<()> {
    match format {
        Format::Table => {
            let mut header = vec!["Last seen", "Type", "Reason", "Object", "Message"];
            if namespaces {
                header.insert(0, "Namespace");
            }
            let now = Timestamp::now();
            let rows: Vec<_> = events.iter().map(|event| row(event, namespaces, now)).collect();
            output::print(&table(if titles { &header } else { &[] }, &rows))
        }
        Format::Name => {
            let names = events
                .iter()
                .map(|event| format!("event/{}\n", event.metadata.name.as_deref().unwrap_or("")));
            output::print(&names.collect::<String>())
        }
        Format::Json | Format::Yaml => {
            let values: Result<Vec<Value>, _> = events.iter().map(serde_json::to_value).collect();
            let list = output::list(values?);
            output::print(&if format == Format::Json {
                format!("{list:#}\n")
            } else {
                ferrite_yaml::write(&list)
            })
        }
    }
}

fn row(event: &Event, namespaces: bool, now: Timestamp) -> Vec<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let object = &event.involved_object;
    let mut cells = vec![
        last_seen(event, now),
        text(&event.type_),
        text(&event.reason),
        format!("{}/{}", text(&object.kind), text(&object.name)),
        text(&event.message),
    ];
    if namespaces {
        cells.insert(0, text(&event.metadata.namespace));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_release_brings_its_chart_and_its_source() {
        let release = json!({
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "s"}}}},
        });
        let names: Vec<String> = related(&HELM_RELEASE, &release)
            .into_iter()
            .map(|(kind, namespace, name)| format!("{kind}/{namespace}/{name}"))
            .collect();
        assert_eq!(names, ["HelmRepository/s/r", "HelmChart/s/apps-web"]);
    }

    #[test]
    fn repetitions_are_counted() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let event = |value: Value| serde_json::from_value::<Event>(value).unwrap();
        let base = json!({
            "metadata": {}, "involvedObject": {}, "firstTimestamp": "2026-01-01T00:30:00Z",
            "lastTimestamp": "2026-01-01T00:59:00Z", "count": 3,
        });
        assert_eq!(last_seen(&event(base), now), "60s (x3 over 30m)");
        assert_eq!(last_seen(&event(json!({"metadata": {}, "involvedObject": {}})), now), "<unknown>");
    }
}
