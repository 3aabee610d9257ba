//! core/v1 Events: created, and counted up when the same thing happens again.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Record, Reporter, next};
use crate::{classify::chain, reconcile::Severity};

/// Events remembered for counting, as client-go's cache holds.
const REMEMBERED: usize = 4096;
/// After this long an event is written anew: the API server has forgotten the old one by default after an hour.
const COUNTED_FOR_SECONDS: i64 = 600;

/// What makes two events the same one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Same {
    uid: Option<String>,
    warning: bool,
    reason: String,
    message: String,
    revision: Vec<(String, String)>,
}

struct Known {
    name: String,
    count: i32,
    first: Timestamp,
}

#[derive(Default)]
struct Memory {
    known: HashMap<Same, Known>,
    order: VecDeque<Same>,
}

pub(super) async fn deliver(
    client: Client,
    reporter: Reporter,
    mut records: mpsc::Receiver<Record>,
    shutdown: CancellationToken,
) {
    let mut memory = Memory::default();
    while let Some(record) = next(&mut records, &shutdown).await {
        let namespace = record.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        if let Err(error) = memory.write(&api, &reporter, &namespace, record).await {
            tracing::debug!(error = %chain(&error), "event not written");
        }
    }
}

impl Memory {
    async fn write(
        &mut self,
        api: &Api<Event>,
        reporter: &Reporter,
        namespace: &str,
        record: Record,
    ) -> Result<(), kube::Error> {
        let same = Same {
            uid: record.about.uid.clone(),
            warning: record.severity == Severity::Error,
            reason: record.reason.clone(),
            message: record.message.clone(),
            revision: record.metadata.clone().into_iter().collect(),
        };
        if let Some(known) = self.known.get_mut(&same)
            && record.at.as_second() - known.first.as_second() < COUNTED_FOR_SECONDS
        {
            known.count += 1;
            let body = json!({"count": known.count, "lastTimestamp": Time(record.at)});
            match api.patch(&known.name, &PatchParams::default(), &Patch::Merge(&body)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                result => return result.map(|_| ()),
            }
        }
        let event = event(reporter, namespace, &record);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.remember(same, Known { name, count: 1, first: record.at });
        Ok(())
    }

    fn remember(&mut self, same: Same, known: Known) {
        if self.known.insert(same.clone(), known).is_none() {
            self.order.push_back(same);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

fn event(reporter: &Reporter, namespace: &str, record: &Record) -> Event {
    // client-go's way to name events: unique, and readable beside the object.
    let about = record.about.name.clone().unwrap_or_default();
    let unique =
        u64::try_from(record.at.as_nanosecond()).unwrap_or_default() ^ u64::from(rand::random::<u16>());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{about}.{unique:x}")),
            namespace: Some(namespace.to_owned()),
            annotations: (!record.metadata.is_empty()).then(|| record.metadata.clone()),
            ..ObjectMeta::default()
        },
        involved_object: record.about.clone(),
        type_: Some(if record.severity == Severity::Error { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(record.reason.clone()),
        message: Some(shortened(&record.message)),
        count: Some(1),
        first_timestamp: Some(Time(record.at)),
        last_timestamp: Some(Time(record.at)),
        source: Some(EventSource { component: Some(reporter.controller.clone()), host: None }),
        reporting_component: Some(reporter.controller.clone()),
        reporting_instance: Some(reporter.instance.clone()),
        ..Event::default()
    }
}

/// The API server refuses a core/v1 message over 1024 bytes only for `events.k8s.io`; Flux writes whole ones, and so
/// does this, within what one object may reasonably hold.
fn shortened(message: &str) -> String {
    const LIMIT_BYTES: usize = 32_768;
    if message.len() <= LIMIT_BYTES {
        return message.to_owned();
    }
    let mut text: String = message
        .chars()
        .scan(0, |bytes, letter| {
            *bytes += letter.len_utf8();
            (*bytes <= LIMIT_BYTES - 3).then_some(letter)
        })
        .collect();
    text.push_str("...");
    text
}
