//! Watches: from a version, from the present state, with bookmarks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::Scope;
use super::read::{self, in_version, partial, value_in_version};
use crate::http::negotiate::{Format, View};
use crate::http::{Body, respond};
use crate::resources::Resource;
use crate::selectors::Selection;
use crate::server::Server;
use crate::status::{ApiError, Cause};
use crate::store::{Change, Event, Stored, history_line};

/// Between two bookmarks of a quiet watch.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Events are handed over in pieces of about this size.
const CHUNK: usize = 256 * 1024;

struct Watcher {
    server: Arc<Server>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    selection: Selection,
    view: View,
    include: String,
    columns_sent: bool,
    bookmarks: bool,
    cursor: u64,
    follow: Receiver<u64>,
    ends: Instant,
    next_bookmark: Instant,
    first: VecDeque<Bytes>,
    done: bool,
    faults: Receiver<u64>,
}

pub(crate) async fn watch(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, true)?;
    if accept.format == Format::Protobuf {
        return Err(ApiError::new(
            406,
            "NotAcceptable",
            "watches are served as JSON only; accept application/json too",
            None,
        ));
    }
    let selection = Selection::of(scope)?;
    let query = &scope.call.query;
    let asked = match query.text("resourceVersion") {
        None => 0,
        Some(text) => text.parse::<u64>().map_err(|_| super::list::invalid_version(scope, text))?,
    };
    let initial = query.text("sendInitialEvents").map(|flag| !matches!(flag, "false" | "0"));
    validate(scope, initial.is_some())?;
    let bookmarks = query.flag("allowWatchBookmarks");
    let seconds = query.text("timeoutSeconds").and_then(|t| t.parse::<u64>().ok()).filter(|t| *t > 0);
    // The real server draws from 30 to 60 minutes.
    let lifetime = Duration::from_secs(seconds.unwrap_or(2700));
    let follow = scope.server.store.follow_resource(&scope.resource.key);
    let mut watcher = Watcher {
        server: scope.server.clone(),
        resource: scope.resource.clone(),
        namespace: scope.within().map(str::to_owned),
        selection,
        view: accept.view,
        include: query.text("includeObject").unwrap_or("Metadata").to_owned(),
        columns_sent: false,
        bookmarks,
        cursor: asked,
        follow,
        ends: Instant::now() + lifetime,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        first: VecDeque::new(),
        done: false,
        faults: scope.server.faults.drops(),
    };
    if initial == Some(true) || (initial.is_none() && asked == 0) {
        watcher.start_from_state(initial == Some(true) && bookmarks);
    } else if initial == Some(false) && asked == 0 {
        watcher.cursor = scope.server.store.version();
    }
    // A watch that is over before it starts is answered like any other request.
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        watcher.next().await.map(|chunk| (chunk, watcher))
    });
    let mut response = Response::new(Body::Stream(Box::pin(stream)));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(http::header::CONTENT_TYPE, respond::header("application/json"));
    Ok(response)
}

fn validate(scope: &Scope<'_>, initial: bool) -> Result<(), ApiError> {
    let matching = scope.call.query.text("resourceVersionMatch");
    let mut causes = Vec::new();
    if initial {
        if matching != Some("NotOlderThan") {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden("resourceVersionMatch", why));
        }
        if let Some(other) = matching.filter(|m| *m != "NotOlderThan") {
            causes.push(Cause::unsupported("resourceVersionMatch", &other.into(), &["NotOlderThan"]));
        }
    } else if matching.is_some() {
        causes.push(Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    if causes.is_empty() { Ok(()) } else { Err(super::list::invalid_options(&causes)) }
}

impl Watcher {
    /// Queues the present objects as additions, and the mark that ends them.
    fn start_from_state(&mut self, mark: bool) {
        let listed = self.server.store.list(&self.resource.key, self.namespace.as_deref());
        self.cursor = listed.version;
        let selected: Vec<Arc<Stored>> =
            listed.objects.into_iter().filter(|o| self.selection.matches(o)).collect();
        for object in &selected {
            let line = self.encode("ADDED", object);
            self.first.push_back(line);
        }
        if mark {
            let line = self.bookmark(listed.version, true);
            self.first.push_back(line);
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(self.take_first());
        }
        loop {
            if self.done {
                return None;
            }
            // Marked as seen before looking, so that a write in between wakes the wait below.
            self.follow.borrow_and_update();
            if let Some(chunk) = self.pending() {
                return Some(chunk);
            }
            tokio::select! {
                changed = self.follow.changed() => if changed.is_err() { return None },
                _ = self.faults.changed() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    // Moves the cursor to the present, which may be far past the last change of this resource.
                    return Some(self.pending().unwrap_or_else(|| self.bookmark(self.cursor, false)));
                }
            }
        }
    }

    fn take_first(&mut self) -> Bytes {
        let mut out = Vec::new();
        while let Some(line) = self.first.pop_front() {
            out.extend_from_slice(&line);
            if out.len() > CHUNK {
                break;
            }
        }
        out.into()
    }

    /// What happened since the cursor, if any of it is to be shown.
    fn pending(&mut self) -> Option<Bytes> {
        let (events, version) = match self.server.store.events(&self.resource.key, self.cursor) {
            Ok(found) => found,
            Err(gone) => {
                self.done = true;
                let message = format!("too old resource version: {} ({})", self.cursor, gone.oldest);
                let status = ApiError::expired(message).body().to_string();
                return Some(history_line("ERROR", status.as_bytes()));
            }
        };
        let mut out: Vec<u8> = Vec::new();
        let mut single: Option<Bytes> = None;
        for event in &events {
            if let Some(line) = self.line(event) {
                match single.take() {
                    None if out.is_empty() => single = Some(line),
                    first => {
                        out.extend_from_slice(&first.unwrap_or_default());
                        out.extend_from_slice(&line);
                    }
                }
            }
        }
        // A version from the future stays: the watch waits for it.
        self.cursor = self.cursor.max(version);
        if self.resource.custom.is_some()
            && self
                .server
                .registry
                .served()
                .find(&self.resource.group, &self.resource.version, &self.resource.plural)
                .is_none()
        {
            self.done = true;
        }
        match single {
            Some(line) => Some(line),
            None if out.is_empty() => None,
            None => Some(out.into()),
        }
    }

    /// How an event looks to this watcher: a change of selection is an addition or a deletion.
    fn line(&mut self, event: &Arc<Event>) -> Option<Bytes> {
        if self.namespace.as_deref().is_some_and(|ns| *event.object.namespace != *ns) {
            return None;
        }
        if self.selection.is_everything() {
            return Some(self.plain(event));
        }
        let now = event.change != Change::Deleted && self.selection.matches(&event.object);
        let before = event
            .previous
            .as_ref()
            .is_some_and(|p| event.change != Change::Added && self.selection.matches(p));
        match (before, now) {
            (false, false) => None,
            (false, true) if event.change == Change::Added => Some(self.plain(event)),
            (false, true) => Some(self.encode("ADDED", &event.object)),
            (true, true) => Some(self.plain(event)),
            (true, false) if event.change == Change::Deleted => Some(self.plain(event)),
            (true, false) => Some(self.left(event)),
        }
    }

    /// An object that left the selection: what it was, with the version of the change.
    fn left(&mut self, event: &Event) -> Bytes {
        let Some(previous) = &event.previous else { return self.encode("DELETED", &event.object) };
        let mut value = value_in_version(&self.resource, previous);
        value["metadata"]["resourceVersion"] = event.version().to_string().into();
        self.encode_value("DELETED", value)
    }

    fn plain(&mut self, event: &Arc<Event>) -> Bytes {
        match self.view {
            View::Object
                if self.resource.version == self.resource.storage
                    && self.resource.group != "events.k8s.io" =>
            {
                event.line()
            }
            View::Metadata("meta.k8s.io/v1") if self.resource.version == self.resource.storage => {
                event.metadata_line(|| partial("meta.k8s.io/v1", event.object.value()).to_string().into())
            }
            View::Object | View::Metadata(_) | View::Table(_) => {
                self.encode(event.change.word(), &event.object)
            }
        }
    }

    fn encode(&mut self, word: &str, object: &Stored) -> Bytes {
        match self.view {
            View::Object => history_line(word, &in_version(&self.resource, object)),
            View::Metadata(_) | View::Table(_) => {
                self.encode_value(word, value_in_version(&self.resource, object))
            }
        }
    }

    fn encode_value(&mut self, word: &str, value: Value) -> Bytes {
        let value = match self.view {
            View::Object => value,
            View::Metadata(version) => partial(version, value),
            View::Table(version) => {
                let metadata = json!({"resourceVersion": value["metadata"]["resourceVersion"]});
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                crate::tables::table(&self.resource, version, &[value], &self.include, &metadata, columns)
            }
        };
        history_line(word, value.to_string().as_bytes())
    }

    fn bookmark(&self, version: u64, end_of_state: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if end_of_state {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.view {
            View::Metadata(v) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": v, "metadata": metadata})
            }
            View::Object | View::Table(_) => {
                let mut object = json!({"kind": self.resource.kind, "apiVersion": self.resource.group_version(), "metadata": metadata});
                crate::kinds::empty_parts(&self.resource, &mut object);
                object
            }
        };
        history_line("BOOKMARK", object.to_string().as_bytes())
    }
}
