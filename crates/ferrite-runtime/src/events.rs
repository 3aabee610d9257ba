//! Events: a core/v1 Event in the cluster and a POST to notification-controller, neither in the reconcile's way.
//!
//! ```text
//! emit ──▶ bounded queue ──▶ core/v1 Event (same event again: its count is bumped)
//!     └──▶ bounded queue ──▶ POST --events-addr, 4 retries (never for Trace)
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource, ResourceExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    metrics::Metrics,
    reconcile::{Event, Severity},
};

mod cluster;
mod post;

/// Events that wait to be delivered; more are dropped and counted.
const QUEUE_LENGTH: usize = 4096;
/// Annotations with this prefix on an object are copied into every event about it.
const ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// Bytes of a message, by the schema of the receiver.
const MESSAGE_LIMIT_BYTES: usize = 39_000;

/// An event with what it is about.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) about: ObjectReference,
    pub(crate) severity: Severity,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) at: Timestamp,
}

/// Who reports.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) controller: String,
    pub(crate) instance: String,
}

/// Takes events and delivers them in the background; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: mpsc::Sender<Record>,
    post: Option<mpsc::Sender<Record>>,
    clock: Clock,
    metrics: Metrics,
}

impl Recorder {
    /// Starts delivering as `controller`; `post_to` is `--events-addr`. Needs a Tokio runtime.
    ///
    /// After `shutdown` what is queued is delivered for up to two seconds.
    #[must_use]
    pub fn start(
        controller: &str,
        client: Client,
        post_to: Option<String>,
        clock: Clock,
        metrics: &Metrics,
        shutdown: CancellationToken,
    ) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: instance() };
        let (cluster, receiver) = mpsc::channel(QUEUE_LENGTH);
        tokio::spawn(cluster::deliver(client, reporter.clone(), receiver, shutdown.clone()));
        let post = post_to.map(|address| {
            let (post, receiver) = mpsc::channel(QUEUE_LENGTH);
            tokio::spawn(post::deliver(address, reporter, receiver, shutdown));
            post
        });
        Self(Arc::new(Inner { cluster, post, clock, metrics: metrics.clone() }))
    }

    /// Queues an event about `object`; never waits and never fails.
    pub fn emit<K: Resource<DynamicType = ()>>(&self, object: &K, event: Event) {
        let Event { severity, reason, message, mut metadata } = event;
        let own = object.annotations().iter().filter(|(key, _)| key.starts_with(ANNOTATION_PREFIX));
        metadata.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        let record = Record {
            about: reference(object),
            severity,
            reason,
            message: bounded(message),
            metadata,
            at: self.0.clock.now(),
        };
        if let Some(post) = self.0.post.as_ref().filter(|_| severity != Severity::Trace) {
            self.hand_over(post, record.clone(), "post");
        }
        self.hand_over(&self.0.cluster, record, "cluster");
    }

    fn hand_over(&self, to: &mpsc::Sender<Record>, record: Record, sink: &str) {
        if to.try_send(record).is_err() {
            let help = "Events dropped because too many waited for delivery";
            self.0.metrics.count("ferrite_events_dropped_total", help, &[("sink", sink)], 1.0);
        }
    }
}

fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: object.meta().name.clone(),
        namespace: object.meta().namespace.clone(),
        uid: object.meta().uid.clone(),
        resource_version: object.meta().resource_version.clone(),
        field_path: None,
    }
}

/// The host's name, which is the pod's name in a cluster.
pub(crate) fn instance() -> String {
    fs_err::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT_BYTES {
        let mut end = MESSAGE_LIMIT_BYTES - 3;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str("...");
    }
    message
}

/// Receives until the channel closes, or until two seconds after `shutdown`.
async fn next(receiver: &mut mpsc::Receiver<Record>, shutdown: &CancellationToken) -> Option<Record> {
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    tokio::select! {
        biased;
        record = receiver.recv() => record,
        () = late => None,
    }
}
