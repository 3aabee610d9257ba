//! What happened lately to the objects of one resource.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::Stored;

/// Events kept per resource; a watch that starts before the oldest gets 410 Gone.
const KEPT: usize = 8192;

/// Bytes of objects kept alive by the events of one resource.
const KEPT_BYTES: usize = 16 << 20;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change, with the object before it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Change,
    pub(crate) object: Arc<Stored>,
    pub(crate) previous: Option<Arc<Stored>>,
    line: OnceLock<Bytes>,
    metadata: OnceLock<Bytes>,
}

impl Event {
    pub(super) fn new(change: Change, object: Arc<Stored>, previous: Option<Arc<Stored>>) -> Self {
        Self { change, object, previous, line: OnceLock::new(), metadata: OnceLock::new() }
    }

    pub(crate) fn version(&self) -> u64 {
        self.object.version
    }

    /// The event as a line of a watch, encoded once however many watch.
    pub(crate) fn line(&self) -> Bytes {
        self.line.get_or_init(|| encode(self.change, &self.object.json)).clone()
    }

    /// The event with metadata only, made by `make` the first time.
    pub(crate) fn metadata_line(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.metadata.get_or_init(|| encode(self.change, &make())).clone()
    }
}

/// `{"type":...,"object":...}` and a line feed.
pub(crate) fn encode(change: Change, object: &[u8]) -> Bytes {
    line(change.word(), object)
}

/// A watch event of any type around an encoded object.
pub(crate) fn line(word: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + 32);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    out.into()
}

/// The asked version is older than what is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    /// The oldest version that can still be asked for.
    pub(crate) oldest: u64,
}

/// A bounded queue of events, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    /// All events after this version are here.
    complete_after: u64,
    bytes: usize,
}

impl History {
    pub(super) fn start_at(&mut self, version: u64) {
        self.complete_after = version;
    }

    pub(super) fn clear(&mut self, version: u64) {
        self.events.clear();
        self.bytes = 0;
        self.complete_after = version;
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.object.json.len();
        self.events.push_back(event);
        while self.events.len() > KEPT || self.bytes > KEPT_BYTES && self.events.len() > 1 {
            if let Some(dropped) = self.events.pop_front() {
                self.complete_after = dropped.version();
                self.bytes = self.bytes.saturating_sub(dropped.object.json.len());
            }
        }
    }

    pub(super) fn since(&self, version: u64) -> Result<Vec<Arc<Event>>, Gone> {
        if version < self.complete_after {
            return Err(Gone { oldest: self.complete_after });
        }
        let start = self.events.partition_point(|e| e.version() <= version);
        Ok(self.events.range(start..).cloned().collect())
    }
}
