//! The loop that watches objects until they are where they should be.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    time::Duration,
};

use ferrite_resource::{
    Entry, Health, Status,
    health::{Context, PodQuery, health},
};
use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    WaitError, WaitOptions, WaitTarget,
    sources::{Events, Next, Source, next, polled},
    target::{Goal, Target, reduced, unready},
};
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
/// When a status that changes by the time alone could not be read, it is read again after this time.
const RECHECK_PAUSE: Duration = Duration::from_secs(1);
/// Pods of one workload that are looked at.
const MAX_PODS: usize = 500;

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
    let mut engine = Engine {
        cluster,
        options,
        goal,
        targets: wanted.into_iter().map(Target::new).collect(),
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
        Outcome::Failed => {
            Err(WaitError::Failed(unready(cluster, &engine.into_targets(), goal, true, started).await))
        }
        Outcome::Timeout => {
            Err(WaitError::Timeout(unready(cluster, &engine.into_targets(), goal, false, started).await))
        }
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
        let open =
            |target: &usize| self.targets.get(*target).is_some_and(|target| !target.is_there(self.goal));
        match self.sources.get(source) {
            Some(Source::Objects { targets, synced, .. }) => !synced || targets.values().any(open),
            Some(Source::Pods { target }) => open(target),
            None => false,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        if self.targets.iter().all(|target| target.is_there(self.goal)) {
            return Some(Outcome::There);
        }
        let any_failed = self.goal == Goal::Current && self.targets.iter().any(Target::has_failed);
        let ended = self.options.fail_fast
            || self.targets.iter().all(|target| target.has_failed() || target.is_there(self.goal));
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

    /// An object could not be read. What was read before still holds: a watch misses nothing when it goes on.
    fn unreadable(&mut self, target: usize, error: &ApiError) {
        let Some(target) = self.targets.get_mut(target) else { return };
        if target.health.as_ref().is_none_or(|health| health.status == Status::Unknown) {
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

    /// Ends all watches, which cannot be shared between threads.
    fn into_targets(self) -> Vec<Target> {
        self.targets
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
            let Ok((_, collection)) = self.cluster.locate(&entry).await else {
                self.recheck_soon(target);
                continue;
            };
            match fetch::get(&self.cluster.client, &collection, &entry.id.name).await {
                Ok(Some(object)) => self.judge(target, object),
                Ok(None) => self.gone(target),
                Err(_) => self.recheck_soon(target),
            }
        }
    }

    fn recheck_soon(&mut self, target: usize) {
        if let Some(target) = self.targets.get_mut(target) {
            target.recheck = Instant::now().checked_add(RECHECK_PAUSE);
        }
    }
}
