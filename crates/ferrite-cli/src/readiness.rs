//! Waiting for objects to become ready: the decision is pure, the wait follows a watch.

use std::time::Duration;

use anyhow::{Result, bail};
use ferrite_resource::health::{Context, health};
use ferrite_resource::{Health, Status};
use futures::TryStreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;

use crate::kinds::Kind;
use crate::objects::{condition, text, value};
use crate::say::Waiting;
use crate::session::Session;

/// Something is not as asked for; the process ends with code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotReady(pub(crate) String);

/// What the look at an object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As asked for.
    Done,
    /// Not yet.
    Wait,
    /// It will not get there by itself.
    Failed(String),
}

/// Whether an object is ready in the generation it has, as `flux` decides it.
pub(crate) fn ready(kind: &Kind, object: &Value) -> Verdict {
    if !kind.is_static() {
        let number = |at: Option<&Value>| at.and_then(Value::as_i64).unwrap_or(0);
        let observed = number(object.pointer("/status/observedGeneration"));
        let generation = number(object.pointer("/metadata/generation"));
        let Some(ready) = condition(object, "Ready") else { return Verdict::Wait };
        let told = number(ready.get("observedGeneration"));
        if observed < 1 || generation != if told == 0 { observed } else { told } {
            return Verdict::Wait;
        }
    }
    by_health(object)
}

/// Whether the request `asked` was carried out; `before` is the one that had been when it was made.
pub(crate) fn handled(object: &Value, before: &str) -> Verdict {
    if text(object, "/status/lastHandledReconcileAt") == before {
        return Verdict::Wait;
    }
    // The attempt is over. A failure that is retried for the same reason is told at once instead of when the time is
    // up; what only waits for something else may still come.
    if let (Some(ready), Some(reconciling)) = (condition(object, "Ready"), condition(object, "Reconciling")) {
        let waits = ["DependencyNotReady", "SourceNotReady", "NoSourceArtifact"];
        if text(ready, "/status") == "False"
            && text(reconciling, "/reason") == "ProgressingWithRetry"
            && !waits.contains(&text(ready, "/reason"))
        {
            return Verdict::Done;
        }
    }
    by_health(object)
}

fn by_health(object: &Value) -> Verdict {
    let Health { status, message, recheck: _ } =
        health(object, Context { now: jiff::Timestamp::now(), pods: &[] });
    match status {
        Status::Current => Verdict::Done,
        Status::InProgress | Status::Unknown => Verdict::Wait,
        Status::Failed | Status::Terminating | Status::NotFound => Verdict::Failed(message),
    }
}

/// Follows an object until `decide` is done with it, and returns it as it then is.
///
/// # Errors
///
/// [`NotReady`] when it failed, is gone, or the time is up; else what the API server says.
pub(crate) async fn wait(
    session: &Session,
    kind: &'static Kind,
    (namespace, name): (&str, &str),
    mut waiting: Waiting,
    decide: impl Fn(&Value) -> Verdict,
) -> Result<Value> {
    let api = session.api(kind, Some(namespace));
    let mut last = String::new();
    let follow = async {
        let objects = watcher::watch_object(api, name).default_backoff();
        let mut objects = std::pin::pin!(objects);
        loop {
            let object = match objects.try_next().await {
                Ok(Some(object)) => object,
                Ok(None) => break,
                Err(error) => {
                    unless_transient(error)?;
                    continue;
                }
            };
            let Some(object) = object else {
                return Err(NotReady(format!("{} {name} is gone", kind.kind)).into());
            };
            let object = value(object, kind)?;
            if let Some(ready) = condition(&object, "Ready") {
                text(ready, "/message").clone_into(&mut last);
            }
            match decide(&object) {
                Verdict::Done => return Ok(object),
                Verdict::Failed(message) => return Err(NotReady(message).into()),
                Verdict::Wait => waiting.now(&last),
            }
        }
        Err(NotReady(format!("the watch of {} {name} ended", kind.kind)).into())
    };
    let outcome = tokio::time::timeout(session.timeout, follow).await;
    outcome.unwrap_or_else(|_| Err(NotReady(late(kind, name, session.timeout, &last)).into()))
}

/// The watch starts again by itself, unless the server will say the same again.
fn unless_transient(error: watcher::Error) -> Result<()> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if matches!(status.code, 401 | 403 | 404) =>
        {
            bail!("{}", status.message)
        }
        _ => Ok(()),
    }
}

fn late(kind: &Kind, name: &str, timeout: Duration, last: &str) -> String {
    let mut text = format!("timed out after {}s waiting for {} {name}", timeout.as_secs(), kind.kind);
    if !last.is_empty() {
        text.push_str(": ");
        text.push_str(last);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{ALERT, KUSTOMIZATION};
    use serde_json::json;

    fn object(generation: i64, status: &Value) -> Value {
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "app", "generation": generation}, "status": status,
        })
    }

    #[test]
    fn ready_is_said_of_the_generation_at_hand() {
        let status = |observed: i64, status: &str| {
            json!({
                "observedGeneration": observed,
                "conditions": [{"type": "Ready", "status": status, "message": "m", "observedGeneration": observed}],
            })
        };
        assert_eq!(ready(&KUSTOMIZATION, &object(2, &status(2, "True"))), Verdict::Done);
        assert_eq!(ready(&KUSTOMIZATION, &object(2, &status(1, "True"))), Verdict::Wait);
        assert_eq!(ready(&KUSTOMIZATION, &object(2, &json!({}))), Verdict::Wait);
        assert_eq!(ready(&ALERT, &object(1, &json!({}))), Verdict::Done);
    }

    #[test]
    fn an_attempt_that_failed_ends_the_wait() {
        let status = |reason: &str| {
            json!({
                "lastHandledReconcileAt": "t2", "observedGeneration": 1,
                "conditions": [
                    {"type": "Ready", "status": "False", "reason": reason, "message": "m"},
                    {"type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry"},
                ],
            })
        };
        assert_eq!(handled(&object(1, &status("BuildFailed")), "t1"), Verdict::Done);
        assert_eq!(handled(&object(1, &status("BuildFailed")), "t2"), Verdict::Wait, "nothing happened yet");
        assert_eq!(handled(&object(1, &status("DependencyNotReady")), "t1"), Verdict::Wait);
    }
}
