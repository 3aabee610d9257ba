//! Follows the Flux objects of the cluster and their events, reduced to what the view shows.

use std::collections::BTreeMap;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};

use super::view::{Condition, Row};

/// The kinds shown, in the order of the table.
const KINDS: &[(&str, &str, &str)] = &[
    ("source.toolkit.fluxcd.io", "v1", "GitRepository"),
    ("source.toolkit.fluxcd.io", "v1", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "v1", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "v1", "HelmChart"),
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "v2", "HelmRelease"),
    ("notification.toolkit.fluxcd.io", "v1", "Receiver"),
];

/// What happened in the cluster.
#[derive(Debug)]
pub(crate) enum Change {
    /// An object appeared or its shown part changed.
    Row(Row),
    /// An object went away.
    Gone(String),
    /// A controller reported something about an object.
    Told { object: String, message: String, warning: bool },
}

/// All changes from now on; ends only on an error that a retry does not help.
pub(crate) fn changes(client: &Client) -> impl futures::Stream<Item = Result<Change>> + Send + use<> {
    let objects = KINDS.iter().map(|(group, version, kind)| {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        watcher(api, watcher::Config::default())
            .default_backoff()
            .try_filter_map(|event| async move { Ok(object_change(event)) })
            .map_err(anyhow::Error::from)
            .boxed()
    });
    let events: Api<Event> = Api::all(client.clone());
    let events = watcher(events, watcher::Config::default())
        .default_backoff()
        .try_filter_map(|event| async move { Ok(event_change(event)) })
        .map_err(anyhow::Error::from)
        .boxed();
    stream::select_all(objects.chain([events]))
}

fn object_change(event: watcher::Event<DynamicObject>) -> Option<Change> {
    match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => Some(Change::Row(row(&object))),
        watcher::Event::Delete(object) => Some(Change::Gone(key(&object))),
        watcher::Event::Init | watcher::Event::InitDone => None,
    }
}

fn event_change(event: watcher::Event<Event>) -> Option<Change> {
    let watcher::Event::Apply(event) = event else { return None };
    let about = event.involved_object;
    let name = about.name.unwrap_or_default();
    let namespace = about.namespace.unwrap_or_default();
    let kind = about.kind.unwrap_or_default();
    KINDS.iter().any(|(_, _, known)| *known == kind).then(|| Change::Told {
        object: format!("{kind}/{namespace}/{name}"),
        message: event.message.unwrap_or_default(),
        warning: event.type_.as_deref() == Some("Warning"),
    })
}

fn key(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
    format!("{kind}/{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

fn row(object: &DynamicObject) -> Row {
    let text = |value: &serde_json::Value, field: &str| {
        value.get(field).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let ready = object
        .data
        .pointer("/status/conditions")
        .and_then(serde_json::Value::as_array)
        .and_then(|all| {
            all.iter().find(|c| c.get("type").and_then(serde_json::Value::as_str) == Some("Ready"))
        })
        .map(|condition| Condition {
            status: text(condition, "status"),
            reason: text(condition, "reason"),
            message: text(condition, "message"),
            since: text(condition, "lastTransitionTime").parse::<Timestamp>().ok(),
        });
    Row {
        kind: object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default(),
        object: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
        ready,
        suspended: object.data.pointer("/spec/suspend") == Some(&serde_json::Value::Bool(true)),
    }
}

/// The rows seen so far, in table order.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<(usize, String), Row>);

impl Rows {
    /// Takes a row in; false when it looks as before.
    pub(crate) fn put(&mut self, row: &Row) -> bool {
        let key = (order(&row.kind), row.object.clone());
        self.0.insert(key, row.clone()).as_ref() != Some(row)
    }

    /// Forgets `Kind/namespace/name`.
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|_, row| format!("{}/{}", row.kind, row.object) != key);
    }

    /// The rows in the order of the table.
    pub(crate) fn list(&self) -> Vec<Row> {
        self.0.values().cloned().collect()
    }
}

fn order(kind: &str) -> usize {
    KINDS.iter().position(|(_, _, known)| *known == kind).unwrap_or(KINDS.len())
}
