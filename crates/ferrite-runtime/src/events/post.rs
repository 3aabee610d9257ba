//! Events to notification-controller, over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Record, Reporter, next};
use crate::reconcile::Severity;

const TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES: u32 = 4;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

pub(super) async fn deliver(
    address: String,
    reporter: Reporter,
    mut records: mpsc::Receiver<Record>,
    shutdown: CancellationToken,
) {
    let client = match reqwest::Client::builder().timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "events are not posted: no HTTP client");
            return;
        }
    };
    while let Some(record) = next(&mut records, &shutdown).await {
        let body = body(&reporter, &record);
        for attempt in 0..=RETRIES {
            match post(&client, &address, &body).await {
                Ok(()) => break,
                Err(error) if attempt == RETRIES => tracing::warn!(%error, "event not posted"),
                Err(_) => {
                    let delay = FIRST_RETRY.saturating_mul(1 << attempt).min(LAST_RETRY);
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }
}

/// `Err` for what may pass: no connection, or a server's error. Any other answer is final; 429 says that the receiver
/// had this event already.
async fn post(client: &reqwest::Client, address: &str, body: &Value) -> Result<(), String> {
    let answer =
        client.post(address).json(body).send().await.map_err(|error| error.without_url().to_string())?;
    let status = answer.status();
    if status.is_server_error() {
        return Err(format!("the receiver answered {status}"));
    }
    if !status.is_success() && status != reqwest::StatusCode::TOO_MANY_REQUESTS {
        tracing::warn!(%status, "the receiver refused an event");
    }
    Ok(())
}

fn body(reporter: &Reporter, record: &Record) -> Value {
    let about = &record.about;
    json!({
        "involvedObject": {
            "kind": about.kind, "namespace": about.namespace, "name": about.name, "uid": about.uid,
            "apiVersion": about.api_version, "resourceVersion": about.resource_version,
        },
        "severity": match record.severity { Severity::Error => "error", Severity::Info | Severity::Trace => "info" },
        "timestamp": jiff::fmt::temporal::DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&record.at),
        "message": record.message,
        "reason": record.reason,
        "metadata": record.metadata,
        "reportingController": reporter.controller,
        "reportingInstance": reporter.instance,
    })
}
