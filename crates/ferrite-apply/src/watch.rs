//! A list that is kept up to date by a watch, as a stream.
//!
//! ```text
//! List ─▶ (Restarted, Item…, Synced) ─▶ Open ─▶ Watch ─▶ (Changed, Deleted, Alive)…
//!   ▲                                    ▲ ended, failed │
//!   └────────── version expired ─────────┴───────────────┘
//! ```
//!
//! Nothing is requested before it is asked for: a consumer that stops after `Synced` opened no watch.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Client,
    api::{ListParams, WatchEvent, WatchParams},
    core::Request,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::error::ApiError;

/// Objects a page of a list.
const PAGE: u32 = 500;
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A watch that ends sooner than this is not opened again at once.
const SHORT_WATCH: Duration = Duration::from_secs(1);
/// A request that is not answered within this time has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A server closes a watch after its time-out; a connection silent for longer than this beyond it is dead.
const GRACE: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The path of the collection.
    pub(crate) path: String,
    /// A label selector.
    pub(crate) labels: Option<String>,
    /// A field selector.
    pub(crate) fields: Option<String>,
    /// The metadata alone.
    pub(crate) metadata: bool,
    /// After this many seconds the server ends the watch, and it is opened again.
    pub(crate) seconds: u32,
}

impl Query {
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), labels: None, fields: None, metadata: false, seconds: 290 }
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A list begins: what is not in it is gone.
    Restarted,
    /// An object of the list.
    Item(Value),
    /// The list is complete.
    Synced,
    /// An object is new or changed.
    Changed(Value),
    /// An object is gone.
    Deleted(Value),
    /// The watch works.
    Alive,
}

/// The events of a query. A failure is told, and then tried to be overcome, for as long as somebody listens.
pub(crate) fn events(client: Client, query: Query) -> BoxStream<'static, Result<Event, ApiError>> {
    let follower =
        Follower { client, query, phase: Phase::List { token: None }, ready: VecDeque::new(), failures: 0 };
    stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await;
        Some((event, follower))
    })
    .boxed()
}

enum Phase {
    List {
        token: Option<String>,
    },
    Open {
        version: String,
    },
    Watch {
        version: String,
        opened: Instant,
        events: BoxStream<'static, Result<WatchEvent<Value>, kube::Error>>,
    },
}

struct Follower {
    client: Client,
    query: Query,
    phase: Phase,
    ready: VecDeque<Event>,
    failures: u32,
}

impl Follower {
    async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let phase = std::mem::replace(&mut self.phase, Phase::List { token: None });
            match phase {
                Phase::List { token } => self.list(token).await?,
                Phase::Open { version } => self.open(version).await?,
                Phase::Watch { version, opened, events } => self.receive(version, opened, events).await?,
            }
        }
    }

    async fn list(&mut self, token: Option<String>) -> Result<(), ApiError> {
        self.pause().await;
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector.clone_from(&self.query.labels);
        params.field_selector.clone_from(&self.query.fields);
        let first = token.is_none();
        params.continue_token = token;
        let request = Request::new(self.query.path.as_str());
        let request =
            if self.query.metadata { request.list_metadata(&params) } else { request.list(&params) };
        let request = self.built(request)?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.request::<Value>(request)).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(silent())).map_err(|error| self.failed(error))?;
        let text =
            |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, token) = (text("/metadata/resourceVersion"), text("/metadata/continue"));
        if version.is_empty() {
            self.failures += 1;
            return Err(ApiError::new("", 0, format!("{} did not answer with a list", self.query.path)));
        }
        self.failures = 0;
        if first {
            self.ready.push_back(Event::Restarted);
        }
        let Value::Object(mut answer) = answer else { return Ok(()) };
        if let Some(Value::Array(items)) = answer.remove("items") {
            self.ready.extend(items.into_iter().map(Event::Item));
        }
        if token.is_empty() {
            self.ready.push_back(Event::Synced);
            self.phase = Phase::Open { version };
        } else {
            self.phase = Phase::List { token: Some(token) };
        }
        Ok(())
    }

    async fn open(&mut self, version: String) -> Result<(), ApiError> {
        self.pause().await;
        let mut params = WatchParams::default().timeout(self.query.seconds);
        params.label_selector.clone_from(&self.query.labels);
        params.field_selector.clone_from(&self.query.fields);
        let request = Request::new(self.query.path.as_str());
        let request = if self.query.metadata {
            request.watch_metadata(&params, &version)
        } else {
            request.watch(&params, &version)
        };
        let request = self.built(request)?;
        let opening = timeout(REQUEST_TIMEOUT, self.client.request_events::<Value>(request));
        match opening.await.unwrap_or_else(|_elapsed| Err(silent())) {
            Ok(events) => {
                self.ready.push_back(Event::Alive);
                self.phase = Phase::Watch { version, opened: Instant::now(), events: events.boxed() };
                Ok(())
            }
            Err(error) => {
                let error = self.failed(error);
                if !error.is_expired() {
                    self.phase = Phase::Open { version };
                    return Err(error);
                }
                Ok(())
            }
        }
    }

    async fn receive(
        &mut self,
        version: String,
        opened: Instant,
        mut events: BoxStream<'static, Result<WatchEvent<Value>, kube::Error>>,
    ) -> Result<(), ApiError> {
        let patience = Duration::from_secs(u64::from(self.query.seconds)) + GRACE;
        let event = match timeout(patience, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(None) => {
                self.failures = if opened.elapsed() < SHORT_WATCH { self.failures + 1 } else { 0 };
                self.phase = Phase::Open { version };
                return Ok(());
            }
            Ok(Some(Err(error))) => {
                let error = self.failed(error);
                if !error.is_expired() {
                    self.phase = Phase::Open { version };
                }
                return Err(error);
            }
            Err(_elapsed) => {
                self.failures += 1;
                self.phase = Phase::Open { version };
                return Err(ApiError::new("", 0, format!("the watch of {} fell silent", self.query.path)));
            }
        };
        let version = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = version_of(&object, version);
                self.ready.push_back(Event::Changed(object));
                version
            }
            WatchEvent::Deleted(object) => {
                let version = version_of(&object, version);
                self.ready.push_back(Event::Deleted(object));
                version
            }
            WatchEvent::Bookmark(bookmark) => {
                self.ready.push_back(Event::Alive);
                bookmark.metadata.resource_version
            }
            WatchEvent::Error(status) => {
                let error = self.failed(kube::Error::Api(status));
                return if error.is_expired() { Ok(()) } else { Err(error) };
            }
        };
        self.failures = 0;
        self.phase = Phase::Watch { version, opened, events };
        Ok(())
    }

    fn built(
        &mut self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<http::Request<Vec<u8>>, ApiError> {
        request.map_err(|error| self.failed(kube::Error::BuildRequest(error)))
    }

    fn failed(&mut self, error: kube::Error) -> ApiError {
        self.failures += 1;
        error.into()
    }

    /// Waits before the next try: 0.25 s doubled with each failure, ± 25 % that differ from path to path so that not
    /// all watches come back at once.
    async fn pause(&mut self) {
        if let Some(pause) = pause(&self.query.path, self.failures) {
            sleep(pause).await;
        }
    }
}

fn silent() -> kube::Error {
    kube::Error::ReadEvents(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 60 s"))
}

fn pause(path: &str, failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(1)?.min(10);
    let pause = LONGEST_PAUSE.min(Duration::from_millis(250) * 2_u32.pow(doublings));
    let mut hasher = DefaultHasher::new();
    (path, failures).hash(&mut hasher);
    let per_mille = 750 + u32::try_from(hasher.finish() % 501).unwrap_or(250);
    Some(pause * per_mille / 1000)
}

fn version_of(object: &Value, before: String) -> String {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map_or(before, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        assert_eq!(pause("/a", 0), None);
        let within = |failures: u32, low: u64, high: u64| {
            let pause = pause("/a", failures).unwrap().as_millis();
            assert!((u128::from(low)..=u128::from(high)).contains(&pause), "{failures}: {pause}");
        };
        within(1, 187, 313);
        within(3, 750, 1250);
        within(20, 22_500, 37_500);
    }
}
