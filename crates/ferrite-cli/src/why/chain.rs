//! Finding the links of the chain.

use std::collections::HashSet;

use ferrite_resource::health::{Context, health};
use ferrite_resource::{Entry, Health, ObjectId, Status};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde::Serialize;
use serde_json::Value;

use super::{commit, pods, shown};
use crate::age::since;
use crate::events::time;
use crate::inventory;
use crate::kinds::{GIT_REPOSITORY, HELM_CHART, HELM_RELEASE, KUSTOMIZATION, Kind, find};
use crate::objects::{condition, get, reference, suspended, text};
use crate::session::Session;

/// The chain is not followed deeper.
const DEPTH: usize = 8;
/// Causes of one link, and events of one object, that are shown.
const SHOWN: usize = 5;
/// Objects of an inventory that are read at the same time.
const PARALLEL: usize = 16;

/// One object of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    /// `Kind/namespace/name`.
    pub(crate) object: String,
    pub(crate) ready: bool,
    /// `suspended`, the status in kstatus' words, or `True`/`False` of the condition Ready.
    pub(crate) state: String,
    /// How long it has been so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    /// The revision it is at or tries, and who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// What else is known: containers, warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) facts: Vec<String>,
    /// Why it is so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<Self>,
}

impl Link {
    fn new(object: String, ready: bool, state: impl Into<String>) -> Self {
        Self {
            object,
            ready,
            state: state.into(),
            since: None,
            reason: String::new(),
            message: String::new(),
            revision: None,
            facts: Vec::new(),
            causes: Vec::new(),
        }
    }

    /// The chain as a tree of lines.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.lines(&mut out, "", "");
        out
    }

    fn lines(&self, out: &mut String, first: &str, rest: &str) {
        let mark = if self.ready { "✔" } else { "✗" };
        let since = self.since.as_ref().map(|since| format!(" for {since}")).unwrap_or_default();
        out.push_str(&format!("{first}{mark} {} {}{since}\n", self.object, self.state));
        let mut detail = |text: &str| {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                out.push_str(&format!("{rest}  {line}\n"));
            }
        };
        match (self.reason.is_empty(), self.message.is_empty()) {
            (false, false) => detail(&format!("{}: {}", self.reason, self.message)),
            _ => detail(&format!("{}{}", self.reason, self.message)),
        }
        if let Some(revision) = &self.revision {
            detail(&format!("revision {revision}"));
        }
        self.facts.iter().for_each(|fact| detail(fact));
        for (index, cause) in self.causes.iter().enumerate() {
            let last = index + 1 == self.causes.len();
            let (branch, below) = if last { ("└─", "  ") } else { ("├─", "│ ") };
            cause.lines(out, &format!("{rest}{branch}"), &format!("{rest}{below}"));
        }
    }
}

/// Reads the cluster along the chain; no object twice.
pub(crate) struct Explorer<'a> {
    session: &'a Session,
    authors: bool,
    seen: HashSet<String>,
    now: Timestamp,
}

impl<'a> Explorer<'a> {
    /// An explorer; `authors` also asks Git repositories who made a commit.
    pub(crate) fn new(session: &'a Session, authors: bool) -> Self {
        Self { session, authors, seen: HashSet::new(), now: Timestamp::now() }
    }

    /// The link of an object and the links it follows from. What cannot be read becomes a fact.
    pub(crate) fn explain<'b>(&'b mut self, object: &'b Value, depth: usize) -> BoxFuture<'b, Link> {
        async move {
            self.seen.insert(shown(object));
            let ours = find(text(object, "/kind"))
                .filter(|kind| text(object, "/apiVersion").starts_with(kind.group));
            match ours {
                Some(kind) => self.reconciled(kind, object, depth).await,
                None => self.plain(object, depth).await,
            }
        }
        .boxed()
    }

    /// An object that one of the controllers reconciles.
    async fn reconciled(&mut self, kind: &'static Kind, object: &Value, depth: usize) -> Link {
        let (status, message) = crate::columns::ready(kind, object);
        let ready = status == "True";
        let words = if ready { "is ready" } else { "is not ready" };
        let mut link = Link::new(shown(object), ready, words);
        if let Some(condition) = condition(object, "Ready").filter(|_| !kind.is_static()) {
            text(condition, "/reason").clone_into(&mut link.reason);
            link.since = self.age(text(condition, "/lastTransitionTime"));
        }
        link.message = message;
        if suspended(object) {
            link.state = format!("{words} and suspended");
            link.facts.push("nothing happens until it is resumed".to_owned());
        }
        if let Some(stalled) =
            condition(object, "Stalled").filter(|stalled| text(stalled, "/status") == "True")
        {
            link.facts.push(format!("stalled ({}): only a change of it helps", text(stalled, "/reason")));
        }
        link.revision = self.revision(kind, object).await;
        if ready || depth >= DEPTH {
            return link;
        }
        self.upstream(kind, object, depth, &mut link).await;
        if link.causes.is_empty() {
            self.downstream(kind, object, depth, &mut link).await;
        }
        if link.causes.is_empty() {
            link.facts.extend(self.warnings(object).await);
        }
        link
    }

    /// What it waits for: dependencies, sources.
    async fn upstream(&mut self, kind: &'static Kind, object: &Value, depth: usize, link: &mut Link) {
        let mut waits: Vec<(String, String, String)> = Vec::new();
        let dependencies = object.pointer("/spec/dependsOn").and_then(Value::as_array);
        for index in 0..dependencies.map_or(0, Vec::len) {
            if let Some((_, namespace, name)) = reference(object, &format!("/spec/dependsOn/{index}")) {
                waits.push((kind.kind.to_owned(), namespace, name));
            }
        }
        waits.extend(sources(kind, object));
        for (kind, namespace, name) in waits {
            let Some(kind) = find(&kind) else { continue };
            match get(self.session, kind, &namespace, &name).await {
                Ok(found) if crate::columns::ready(kind, &found).0 == "True" => {}
                Ok(found) => {
                    if !self.seen.contains(&shown(&found)) {
                        let cause = self.explain(&found, depth + 1).await;
                        link.causes.push(cause);
                    }
                }
                Err(error) => {
                    let object = format!("{}/{namespace}/{name}", kind.kind);
                    let mut missing = Link::new(object, false, "cannot be read");
                    missing.message = ferrite_runtime::chain(error.as_ref());
                    link.causes.push(missing);
                }
            }
        }
    }

    /// What it brought and that is not as it should be.
    async fn downstream(&mut self, kind: &'static Kind, object: &Value, depth: usize, link: &mut Link) {
        let ids = match kind {
            kind if *kind == KUSTOMIZATION => inventory::of_kustomization(object),
            kind if *kind == HELM_RELEASE => {
                inventory::of_release(self.session, object).await.unwrap_or_default()
            }
            _ => return,
        };
        if object.pointer("/spec/kubeConfig").is_some_and(|config| !config.is_null()) {
            link.facts.push("its objects are in another cluster, which is not asked".to_owned());
            return;
        }
        let mut unhealthy = self.unhealthy(ids).await;
        let more = unhealthy.len().saturating_sub(SHOWN);
        unhealthy.truncate(SHOWN);
        for (id, found) in unhealthy {
            let cause = match found {
                Some(object) if self.seen.contains(&shown(&object)) => continue,
                Some(object) => self.explain(&object, depth + 1).await,
                None => Link::new(inventory::label(&id), false, "is not there"),
            };
            link.causes.push(cause);
        }
        if more > 0 {
            link.facts.push(format!("{more} more objects are not ready"));
        }
    }

    /// The objects that are not Current, failed ones first; `None` for those that are gone.
    async fn unhealthy(&self, ids: Vec<ObjectId>) -> Vec<(ObjectId, Option<Value>)> {
        let mapper = ferrite_apply::Mapper::new(self.session.client.clone());
        let mapper = &mapper;
        let looks = stream::iter(ids).map(|id| async move {
            let entry = Entry { id: id.clone(), version: String::new() };
            let found = self.live(mapper, &entry).await;
            (id, found)
        });
        let all: Vec<_> = looks.buffered(PARALLEL).collect().await;
        let mut bad: Vec<(u8, ObjectId, Option<Value>)> = Vec::new();
        for (id, found) in all {
            let Ok(found) = found else { continue };
            let weight = match &found {
                None => 0,
                Some(object) => match self.health(object).status {
                    Status::Current => continue,
                    Status::Failed => 1,
                    Status::NotFound | Status::Terminating => 2,
                    Status::InProgress | Status::Unknown => 3,
                },
            };
            bad.push((weight, id, found));
        }
        bad.sort_by_key(|(weight, ..)| *weight);
        bad.into_iter().map(|(_, id, found)| (id, found)).collect()
    }

    async fn live(&self, mapper: &ferrite_apply::Mapper, entry: &Entry) -> Result<Option<Value>, ()> {
        // The version is not in the id: any that is served shows the same object.
        let mapping = mapper.resolve_any(entry).await.map_err(drop)?.ok_or(())?;
        let path = format!("{}/{}", mapping.collection(&entry.id.namespace), entry.id.name);
        let request = http::Request::get(path).body(Vec::new()).map_err(drop)?;
        match self.session.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(_) => Err(()),
        }
    }

    fn health(&self, object: &Value) -> Health {
        health(object, Context { now: self.now, pods: &[] })
    }

    /// An object of Kubernetes or of somebody else.
    async fn plain(&mut self, object: &Value, depth: usize) -> Link {
        let health = self.health(object);
        let ready = health.status == Status::Current;
        let mut link = Link::new(shown(object), ready, format!("is {}", health.status));
        link.message = health.message;
        if ready || depth >= DEPTH {
            return link;
        }
        if text(object, "/kind") == "Pod" {
            link.facts.extend(pods::containers(object));
        } else {
            for pod in pods::unready(self.session, object).await.into_iter().take(SHOWN) {
                let cause = self.explain(&pod, depth + 1).await;
                link.causes.push(cause);
            }
        }
        link.facts.extend(self.warnings(object).await);
        link
    }

    /// The latest warnings about an object.
    async fn warnings(&self, object: &Value) -> Vec<String> {
        let namespace = text(object, "/metadata/namespace");
        let api: Api<Event> = if namespace.is_empty() {
            Api::all(self.session.client.clone())
        } else {
            Api::namespaced(self.session.client.clone(), namespace)
        };
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let fields = format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning");
        let Ok(found) = api.list(&ListParams::default().fields(&fields).limit(500)).await else {
            return Vec::new();
        };
        let mut events = found.items;
        events.sort_by_key(|event| std::cmp::Reverse(time(event)));
        // What the condition says already is not said again.
        let said =
            condition(object, "Ready").map(|ready| text(ready, "/message").to_owned()).unwrap_or_default();
        let told = events.iter().filter(|event| event.message.as_deref() != Some(said.as_str()));
        told.take(SHOWN)
            .map(|event| {
                let age = time(event).map(|at| since(at, self.now)).unwrap_or_default();
                let count = event
                    .count
                    .filter(|count| *count > 1)
                    .map(|count| format!(" (x{count})"))
                    .unwrap_or_default();
                let reason = event.reason.as_deref().unwrap_or_default();
                format!("{age} ago{count} {reason}: {}", event.message.as_deref().unwrap_or_default())
            })
            .collect()
    }

    /// The revision, and for a Git commit its author and subject.
    async fn revision(&self, kind: &Kind, object: &Value) -> Option<String> {
        let pointers =
            ["/status/lastAttemptedRevision", "/status/lastAppliedRevision", "/status/artifact/revision"];
        let revision =
            pointers.iter().map(|pointer| text(object, pointer)).find(|revision| !revision.is_empty())?;
        let applied = text(object, "/status/lastAppliedRevision");
        let mut told = crate::table::shorten(revision);
        if self.authors
            && let Some(commit) = self.commit(kind, object, revision).await
        {
            told.push_str(&format!(" {commit}"));
        }
        if !applied.is_empty() && applied != revision {
            told.push_str(&format!("; applied is {}", crate::table::shorten(applied)));
        }
        Some(told)
    }

    async fn commit(&self, kind: &Kind, object: &Value, revision: &str) -> Option<String> {
        let source = match kind {
            kind if *kind == GIT_REPOSITORY => object.clone(),
            kind if *kind == KUSTOMIZATION => {
                let (source, namespace, name) = reference(object, "/spec/sourceRef")?;
                if source != GIT_REPOSITORY.kind {
                    return None;
                }
                get(self.session, &GIT_REPOSITORY, &namespace, &name).await.ok()?
            }
            _ => return None,
        };
        commit::describe(self.session, &source, revision, self.now).await
    }

    fn age(&self, at: &str) -> Option<String> {
        Some(since(at.parse().ok()?, self.now))
    }
}

/// What an object is made from: kind, namespace, name.
fn sources(kind: &Kind, object: &Value) -> Vec<(String, String, String)> {
    match kind {
        kind if *kind == KUSTOMIZATION || *kind == HELM_CHART => {
            reference(object, "/spec/sourceRef").into_iter().collect()
        }
        kind if *kind == HELM_RELEASE => {
            let chart = text(object, "/status/helmChart").split_once('/');
            let chart = chart
                .map(|(namespace, name)| ("HelmChart".to_owned(), namespace.to_owned(), name.to_owned()));
            chart.or_else(|| reference(object, "/spec/chartRef")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_reads_from_top_to_bottom() {
        let mut pod = Link::new("Pod/demo/web-1".to_owned(), false, "is InProgress");
        pod.facts.push("container web waits: ImagePullBackOff: no such image".to_owned());
        let mut deployment = Link::new("Deployment/demo/web".to_owned(), false, "is InProgress");
        deployment.message = "Available: 0/1".to_owned();
        deployment.causes.push(pod);
        let mut root = Link::new("Kustomization/demo/apps".to_owned(), false, "is not ready");
        root.since = Some("2m".to_owned());
        root.reason = "HealthCheckFailed".to_owned();
        root.message = "timeout waiting".to_owned();
        root.revision = Some("main@sha1:01234567 by Ada".to_owned());
        root.causes.push(deployment);
        assert_eq!(
            root.text(),
            "✗ Kustomization/demo/apps is not ready for 2m\n  HealthCheckFailed: timeout waiting\n  revision main@sha1:01234567 by Ada\n└─✗ Deployment/demo/web is InProgress\n    Available: 0/1\n  └─✗ Pod/demo/web-1 is InProgress\n      container web waits: ImagePullBackOff: no such image\n"
        );
    }
}
