//! The loop that watches objects until they are where they should be.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    time::Duration,
};

use ferrite_resource::{
    Entry, Health, Status, apply_order,
    health::{Context, PodQuery, evidence, health},
};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, FuturesUnordered},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Unready, UnreadyObject, WaitError, WaitOptions, WaitTarget};
use crate::{
    cluster::Cluster,
    error::ApiError,
    fetch,
    watch::{Event, Query, events},
};

/// Up to this many objects of one collection are watched by name; more are watched together.
const BY_NAME: usize = 3;
/// So many first lists run at once.
const FIRST_LISTS: usize = 8;
/// How often an object is read that may not be watched, or whose kind is not served yet.
const POLL: Duration = Duration::from_secs(5);
/// Pods of one workload that are looked at.
const MAX_PODS: usize = 500;
/// Workloads for which pods are read when the wait failed, and how long that may take.
const MAX_EXPLAINED: usize = 5;
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Current,
    Gone,
}

/// An object that is waited for.
struct Target {
    wanted: WaitTarget,
    health: Option<Health>,
    /// Why it could not be read.
    error: Option<String>,
    /// A workload that is not ready, reduced to what decides its health.
    reduced: Option<Value>,
    /// Its pods by name, reduced likewise, while they are watched.
    pods: Option<HashMap<String, Value>>,
    recheck: Option<Instant>,
}

/// Where events come from.
enum Source {
    /// Objects of one collection, by name.
    Objects { targets: HashMap<String, usize>, listed: HashSet<String>, synced: bool },
    /// The pods of one target.
    Pods { target: usize },
}

type Events = BoxStream<'static, Result<Event, ApiError>>;
type Next = BoxFuture<'static, (usize, Option<Result<Event, ApiError>>, Events)>;

struct Engine<'a> {
    cluster: &'a Cluster,
    options: &'a WaitOptions<'a>,
    goal: Goal,
    targets: Vec<Target>,
    sources: Vec<Source>,
    queued: VecDeque<(usize, Events)>,
    running: FuturesUnordered<Next>,
}

pub(super) async fn run(
    cluster: &Cluster,
    wanted: Vec<WaitTarget>,
    options: &WaitOptions<'_>,
    goal: Goal,
    cancel: impl Future<Output = ()>,
) -> Result<(), WaitError> {
    let started = Instant::now();
    let target =
        |wanted| Target { wanted, health: None, error: None, reduced: None, pods: None, recheck: None };
    let mut engine = Engine {
        cluster,
        options,
        goal,
        targets: wanted.into_iter().map(target).collect(),
        sources: Vec::new(),
        queued: VecDeque::new(),
        running: FuturesUnordered::new(),
    };
    let outcome = {
        let deadline = started.checked_add(options.timeout);
        let expiry = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            outcome = engine.watch() => outcome,
            () = expiry => Outcome::Timeout,
            () = cancel => Outcome::Cancelled,
        }
    };
    match outcome {
        Outcome::There => Ok(()),
        Outcome::Failed => Err(WaitError::Failed(engine.unready(true, started).await)),
        Outcome::Timeout => Err(WaitError::Timeout(engine.unready(false, started).await)),
        Outcome::Cancelled => Err(WaitError::Cancelled),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    There,
    Failed,
    Timeout,
    Cancelled,
}

impl Engine<'_> {
    async fn watch(&mut self) -> Outcome {
        self.start().await;
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            while self.unsynced() < FIRST_LISTS
                && let Some((source, stream)) = self.queued.pop_front()
            {
                self.running.push(next(source, stream));
            }
            let recheck = self.targets.iter().filter_map(|target| target.recheck).min();
            let due = async {
                match recheck {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((source, event, stream)) = self.running.next() => {
                    let Some(event) = event else { continue };
                    self.take(source, event);
                    if self.wanted(source) {
                        self.running.push(next(source, stream));
                    }
                }
                () = due => self.reread().await,
                () = std::future::pending(), if self.running.is_empty() && recheck.is_none() => {}
            }
        }
    }

    /// Groups the targets into as few watches as their number makes sensible.
    async fn start(&mut self) {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        for target in 0..self.targets.len() {
            let Some(entry) = self.targets.get(target).map(|target| target.wanted.entry.clone()) else {
                continue;
            };
            if self.goal == Goal::Current && self.known_current(&entry) {
                self.found(target, Health::new(Status::Current, ""));
                continue;
            }
            match self.cluster.locate(&entry).await {
                Ok((_, collection)) => {
                    let group = *index.entry(collection.clone()).or_insert_with(|| {
                        groups.push((collection, Vec::new()));
                        groups.len() - 1
                    });
                    if let Some((_, targets)) = groups.get_mut(group) {
                        targets.push(target);
                    }
                }
                Err(error) if self.goal == Goal::Gone && error.is_no_match() => self.gone(target),
                Err(error) => {
                    self.unreadable(target, &error);
                    self.poll(target);
                }
            }
        }
        for (collection, targets) in groups {
            if targets.len() <= BY_NAME {
                for target in targets {
                    self.watch_objects(&collection, &[target]);
                }
            } else {
                self.watch_objects(&collection, &targets);
            }
        }
    }

    /// Whether it is known without asking that an object is Current by the rules of its kind, which no expression
    /// replaces.
    fn known_current(&self, entry: &Entry) -> bool {
        let kind = || json!({"apiVersion": entry.api_version(), "kind": entry.id.kind});
        self.cluster.ledger().is_current(&entry.id, self.cluster.identity)
            && self.options.custom.is_none_or(|custom| custom(&kind()).is_none())
    }

    fn found(&mut self, target: usize, health: Health) {
        if let Some(target) = self.targets.get_mut(target) {
            target.health = Some(health);
        }
    }

    fn watch_objects(&mut self, collection: &str, targets: &[usize]) {
        let names: HashMap<String, usize> =
            targets.iter().map(|target| (self.name(*target), *target)).collect();
        let mut query = Query::new(collection);
        query.metadata = self.goal == Goal::Gone;
        if let [target] = targets {
            query.fields = Some(format!("metadata.name={}", self.name(*target)));
        } else {
            query.labels = self.options.owner.map(ferrite_resource::Owner::selector);
        }
        self.queued.push_back((self.sources.len(), events(self.cluster.client.clone(), query)));
        self.sources.push(Source::Objects { targets: names, listed: HashSet::new(), synced: false });
    }

    /// Reads a target now and then, instead of watching it.
    fn poll(&mut self, target: usize) {
        let Some(wanted) = self.targets.get(target) else { return };
        let stream = polled(self.cluster.clone(), wanted.wanted.entry.clone());
        self.queued.push_back((self.sources.len(), stream));
        let targets = HashMap::from([(self.name(target), target)]);
        self.sources.push(Source::Objects { targets, listed: HashSet::new(), synced: false });
    }

    fn name(&self, target: usize) -> String {
        self.targets.get(target).map(|target| target.wanted.entry.id.name.clone()).unwrap_or_default()
    }

    fn unsynced(&self) -> usize {
        let waiting =
            self.sources.iter().filter(|source| matches!(source, Source::Objects { synced: false, .. }));
        waiting.count().saturating_sub(self.queued.len())
    }

    /// Whether more events of a source can change the outcome.
    fn wanted(&self, source: usize) -> bool {
        let open = |target: &usize| self.targets.get(*target).is_some_and(|target| !self.there(target));
        match self.sources.get(source) {
            Some(Source::Objects { targets, synced, .. }) => !synced || targets.values().any(open),
            Some(Source::Pods { target }) => open(target),
            None => false,
        }
    }

    fn there(&self, target: &Target) -> bool {
        let status = target.health.as_ref().map(|health| health.status);
        match self.goal {
            Goal::Current => status == Some(Status::Current),
            Goal::Gone => status == Some(Status::NotFound),
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        if self.targets.iter().all(|target| self.there(target)) {
            return Some(Outcome::There);
        }
        let failed =
            |target: &Target| target.health.as_ref().is_some_and(|health| health.status == Status::Failed);
        let any_failed = self.goal == Goal::Current && self.targets.iter().any(failed);
        let ended =
            self.options.fail_fast || self.targets.iter().all(|target| failed(target) || self.there(target));
        (any_failed && ended).then_some(Outcome::Failed)
    }

    fn take(&mut self, source: usize, event: Result<Event, ApiError>) {
        match self.sources.get(source) {
            Some(Source::Pods { target }) => {
                let target = *target;
                self.take_pod(target, event);
            }
            Some(Source::Objects { .. }) => match event {
                Ok(event) => self.take_object(source, event),
                Err(error) => self.take_failure(source, &error),
            },
            None => {}
        }
    }

    fn take_object(&mut self, source: usize, event: Event) {
        let Some(Source::Objects { targets, listed, synced }) = self.sources.get_mut(source) else { return };
        let (object, item, gone) = match event {
            Event::Restarted => {
                listed.clear();
                return;
            }
            Event::Alive => return,
            Event::Synced => {
                *synced = true;
                let missing: Vec<usize> = targets
                    .iter()
                    .filter(|(name, _)| !listed.contains(*name))
                    .map(|(_, target)| *target)
                    .collect();
                for target in missing {
                    self.gone(target);
                }
                return;
            }
            Event::Item(object) => (object, true, false),
            Event::Changed(object) => (object, false, false),
            Event::Deleted(object) => (object, false, true),
        };
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let Some(target) = targets.get(name).copied() else { return };
        if item {
            listed.insert(name.to_owned());
        }
        if gone { self.gone(target) } else { self.judge(target, object) }
    }

    /// A source that may not be watched is read instead; any other failure is overcome by the source itself.
    fn take_failure(&mut self, source: usize, error: &ApiError) {
        let Some(Source::Objects { targets, synced, .. }) = self.sources.get_mut(source) else { return };
        let affected: Vec<usize> = targets.values().copied().collect();
        *synced = true;
        if self.goal == Goal::Gone && error.is_not_found() {
            // The resource is not served any more, and none of its objects is left.
            for target in affected {
                self.gone(target);
            }
            return;
        }
        if error.is_forbidden() {
            targets.clear();
            for target in affected {
                self.poll(target);
            }
            return;
        }
        for target in affected {
            self.unreadable(target, error);
        }
    }

    fn unreadable(&mut self, target: usize, error: &ApiError) {
        if let Some(target) = self.targets.get_mut(target) {
            target.error = Some(error.to_string());
            target.health = Some(Health::new(Status::Unknown, error.to_string()));
        }
    }

    fn gone(&mut self, target: usize) {
        let Some(target) = self.targets.get_mut(target) else { return };
        let finished = target.wanted.finished_when_gone && self.goal == Goal::Current;
        target.health = Some(Health::not_found(finished));
        target.error = None;
        target.reduced = None;
        target.recheck = None;
    }

    fn judge(&mut self, target: usize, mut object: Value) {
        let Some(state) = self.targets.get_mut(target) else { return };
        let entry = &state.wanted.entry;
        if self.goal == Goal::Gone {
            let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
            if state.wanted.uid.is_some() && state.wanted.uid.as_deref() != uid {
                return self.gone(target);
            }
            state.health = Some(Health::new(Status::Terminating, "Resource scheduled for deletion"));
            return;
        }
        if let Value::Object(map) = &mut object {
            // Items of lists do not say their kind.
            map.insert("apiVersion".to_owned(), entry.api_version().into());
            map.insert("kind".to_owned(), entry.id.kind.clone().into());
        }
        let custom = self.options.custom.and_then(|custom| custom(&object));
        let replaced = custom.is_some();
        let found = match custom {
            Some(health) => health,
            None => {
                let pods: Vec<Value> = state.pods.iter().flat_map(HashMap::values).cloned().collect();
                health(&object, Context { now: jiff::Timestamp::now(), pods: &pods })
            }
        };
        state.error = (found.status == Status::Unknown).then(|| found.message.clone());
        state.recheck = found.recheck.and_then(|after| Instant::now().checked_add(after));
        let open = found.status != Status::Current;
        if !replaced {
            self.cluster.ledger().judged(&entry.id, self.cluster.identity, &object, !open);
        }
        state.health = Some(found);
        let query = PodQuery::of(&object).filter(|_| open);
        state.reduced = query.is_some().then(|| reduced(object));
        if let Some(query) = query.filter(|query| query.decides)
            && state.pods.is_none()
        {
            state.pods = Some(HashMap::new());
            let mut watched =
                Query::new(format!("/api/v1/namespaces/{}/pods", crate::mapper::segment(&query.namespace)));
            watched.labels = Some(query.selector);
            self.queued.push_back((self.sources.len(), events(self.cluster.client.clone(), watched)));
            self.sources.push(Source::Pods { target });
        }
    }

    fn take_pod(&mut self, target: usize, event: Result<Event, ApiError>) {
        let Some(state) = self.targets.get_mut(target) else { return };
        let Some(pods) = &mut state.pods else { return };
        let name = |pod: &Value| {
            pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match event {
            Ok(Event::Restarted) => pods.clear(),
            Ok(Event::Item(pod) | Event::Changed(pod)) => {
                if pods.len() < MAX_PODS || pods.contains_key(&name(&pod)) {
                    pods.insert(name(&pod), reduced(pod));
                }
            }
            Ok(Event::Deleted(pod)) => {
                pods.remove(&name(&pod));
            }
            // An identity that may not read pods does without.
            Ok(Event::Synced | Event::Alive) | Err(_) => return,
        }
        if let Some(object) = state.reduced.take() {
            self.judge(target, object);
        }
    }

    /// Reads the objects whose status may have changed by the time alone.
    async fn reread(&mut self) {
        let now = Instant::now();
        for target in 0..self.targets.len() {
            let Some(state) = self.targets.get_mut(target) else { continue };
            if state.recheck.is_none_or(|at| at > now) {
                continue;
            }
            state.recheck = None;
            let entry = state.wanted.entry.clone();
            let Ok((_, collection)) = self.cluster.locate(&entry).await else { continue };
            match fetch::get(&self.cluster.client, &collection, &entry.id.name).await {
                Ok(Some(object)) => self.judge(target, object),
                Ok(None) => self.gone(target),
                Err(error) => self.unreadable(target, &error),
            }
        }
    }

    /// Takes the engine, whose streams may be sent to another thread but not shared with one.
    async fn unready(self, failed_only: bool, started: Instant) -> Unready {
        let elapsed = started.elapsed();
        let mut targets: Vec<&Target> = self
            .targets
            .iter()
            .filter(|target| !self.there(target))
            .filter(|target| {
                !failed_only || target.health.as_ref().is_some_and(|health| health.status == Status::Failed)
            })
            .collect();
        targets.sort_by(|left, right| apply_order(&left.wanted.entry.id, &right.wanted.entry.id));
        let mut objects = Vec::with_capacity(targets.len());
        let mut explained = 0;
        for target in targets {
            let explain = explained < MAX_EXPLAINED && target.reduced.is_some();
            explained += usize::from(explain);
            let evidence = if explain { evidence_of(self.cluster, target).await } else { None };
            let message = target.health.as_ref().map(|health| health.message.clone());
            objects.push(UnreadyObject {
                id: target.wanted.entry.id.clone(),
                status: target.health.as_ref().map(|health| health.status),
                error: target.error.clone(),
                evidence: evidence.or_else(|| message.filter(|message| !message.is_empty())),
            });
        }
        Unready { objects, elapsed }
    }
}

async fn evidence_of(cluster: &Cluster, target: &Target) -> Option<String> {
    let object = target.reduced.as_ref()?;
    let query = PodQuery::of(object)?;
    let collection = format!("/api/v1/namespaces/{}/pods", crate::mapper::segment(&query.namespace));
    let pods = fetch::list(&cluster.client, &collection, &query.selector, 50);
    let pods = timeout(EXPLAIN_TIMEOUT, pods).await.ok().and_then(Result::ok).unwrap_or_default();
    evidence(object, &pods)
}

fn next(source: usize, mut stream: Events) -> Next {
    async move {
        let event = stream.next().await;
        (source, event, stream)
    }
    .boxed()
}

/// An object that is read every 5 s, as events.
fn polled(cluster: Cluster, entry: Entry) -> Events {
    stream::unfold((cluster, entry, true), |(cluster, entry, first)| async move {
        if !first {
            sleep(POLL).await;
        }
        let read = async {
            let (_, collection) = cluster.locate(&entry).await?;
            fetch::get(&cluster.client, &collection, &entry.id.name).await
        };
        let events = match read.await {
            Ok(Some(object)) => vec![Ok(Event::Restarted), Ok(Event::Item(object)), Ok(Event::Synced)],
            Ok(None) => vec![Ok(Event::Restarted), Ok(Event::Synced)],
            // Reading is the last resort: a refusal is told, not answered with another way.
            Err(error) => vec![Err(ApiError { code: 0, ..error })],
        };
        Some((stream::iter(events), (cluster, entry, false)))
    })
    .flatten()
    .boxed()
}

/// An object without what its health does not depend on.
fn reduced(mut object: Value) -> Value {
    let kept = |meta: &Map<String, Value>, keys: &[&str]| {
        keys.iter()
            .filter_map(|key| Some(((*key).to_owned(), meta.get(*key)?.clone())))
            .collect::<Map<_, _>>()
    };
    if let Value::Object(map) = &mut object {
        if let Some(Value::Object(meta)) = map.get_mut("metadata") {
            *meta =
                kept(meta, &["name", "namespace", "generation", "deletionTimestamp", "creationTimestamp"]);
        }
        if let Some(Value::Object(spec)) = map.get_mut("spec") {
            *spec =
                kept(spec, &["replicas", "selector", "updateStrategy", "progressDeadlineSeconds", "suspend"]);
        }
    }
    object
}
