//! Writing status: the smallest merge patch, and what happens when somebody else wrote meanwhile.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    conditions,
    reconcile::{Object, facts},
};

/// Tries at a conflict before the write counts as failed.
const CONFLICT_TRIES: u32 = 5;
/// How long a write is tried while the API server is away; what was done must reach status.
const AWAY_BUDGET: Duration = Duration::from_mins(2);

/// What became of a status write.
#[derive(Debug)]
pub(crate) enum Written<K> {
    /// The object as the server has it now.
    Changed(K),
    /// There was nothing to write.
    Unchanged,
    /// The object is gone.
    Gone,
}

/// The JSON merge patch that turns `old` into `new` (RFC 7396); `None` when they are equal.
pub(crate) fn merge_patch(old: &Map<String, Value>, new: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(have) if have == value => {}
            Some(Value::Object(have)) if value.is_object() => {
                if let Some(inner) = value.as_object().and_then(|value| merge_patch(have, value)) {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(patch)
}

/// Writes the difference between `object`'s status and `wanted`.
///
/// A patch that touches conditions carries the resource version; on a conflict the object is read again and the
/// conditions are merged: ours win for the types we have or had, others keep theirs. With `patient_until` an API
/// server that is away is waited for, until that token is cancelled.
///
/// # Errors
///
/// The API server's refusal, or its absence for longer than two minutes.
pub(crate) async fn write<K: Object>(
    api: &Api<K>,
    field_manager: &str,
    object: &K,
    wanted: &Map<String, Value>,
    patient_until: Option<&CancellationToken>,
) -> Result<Written<K>, kube::Error> {
    let name = object.name_any();
    let params = PatchParams { field_manager: Some(field_manager.to_owned()), ..PatchParams::default() };
    let base = facts::status(object);
    let mut wanted = wanted.clone();
    let mut have = base.clone();
    let mut version = object.resource_version();
    let mut conflicts = 0;
    let mut away = Away::new(patient_until);
    loop {
        let Some(patch) = merge_patch(&have, &wanted) else { return Ok(Written::Unchanged) };
        let mut body = json!({});
        if patch.contains_key("conditions") {
            body["metadata"] = json!({"resourceVersion": version});
        }
        body["status"] = Value::Object(patch);
        match api.patch_status(&name, &params, &Patch::Merge(&body)).await {
            Ok(written) => return Ok(Written::Changed(written)),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Written::Gone),
            Err(kube::Error::Api(status)) if status.is_conflict() && conflicts < CONFLICT_TRIES => {
                conflicts += 1
            }
            Err(error) if away.may_retry(&error) => {
                away.pause().await;
                continue;
            }
            Err(error) => return Err(error),
        }
        let Some(fresh) = api.get_opt(&name).await? else { return Ok(Written::Gone) };
        if fresh.meta().uid != object.meta().uid {
            return Ok(Written::Gone);
        }
        have = facts::status(&fresh);
        version = fresh.resource_version();
        let merged = conditions::merge(&list(&base), &list(&wanted), list(&have));
        wanted = rebase(&base, &have, wanted);
        wanted.insert("conditions".to_owned(), json!(merged));
    }
}

/// Our wishes on top of what others wrote: a field we did not change keeps their value.
fn rebase(
    base: &Map<String, Value>,
    theirs: &Map<String, Value>,
    wanted: Map<String, Value>,
) -> Map<String, Value> {
    let mut next = theirs.clone();
    for key in base.keys().filter(|key| !wanted.contains_key(*key)) {
        next.remove(key);
    }
    for (key, value) in wanted {
        if base.get(&key) != Some(&value) {
            next.insert(key, value);
        }
    }
    next
}

fn list(status: &Map<String, Value>) -> Vec<Condition> {
    status.get("conditions").and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default()
}

/// The patience with an API server that does not answer.
struct Away<'a> {
    delay: Duration,
    left: Duration,
    until: Option<&'a CancellationToken>,
}

impl<'a> Away<'a> {
    const fn new(until: Option<&'a CancellationToken>) -> Self {
        Self { delay: Duration::from_millis(250), left: AWAY_BUDGET, until }
    }

    fn may_retry(&self, error: &kube::Error) -> bool {
        let transient = match error {
            kube::Error::Api(status) => status.code >= 500 || status.code == 429,
            kube::Error::HyperError(_) | kube::Error::Service(_) => true,
            _ => false,
        };
        transient && !self.left.is_zero() && self.until.is_some_and(|until| !until.is_cancelled())
    }

    async fn pause(&mut self) {
        if let Some(until) = self.until {
            tokio::select! {
                () = until.cancelled() => {}
                () = tokio::time::sleep(self.delay) => {}
            }
        }
        self.left = self.left.saturating_sub(self.delay);
        self.delay = (self.delay * 2).min(Duration::from_secs(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &Value, new: &Value, expect: Option<&Value>) {
        let patch = merge_patch(old.as_object().unwrap(), new.as_object().unwrap());
        assert_eq!(patch.map(Value::Object).as_ref(), expect);
    }

    #[test]
    fn equal_states_need_no_patch() {
        check(&json!({"a": 1, "b": {"c": [1]}}), &json!({"b": {"c": [1]}, "a": 1}), None);
    }

    #[test]
    fn the_patch_is_the_smallest_one() {
        check(
            &json!({"gone": 1, "same": 2, "deep": {"keep": 1, "drop": 2}, "list": [1, 2]}),
            &json!({"same": 2, "deep": {"keep": 1, "add": 3}, "list": [2], "new": "x"}),
            Some(&json!({"deep": {"add": 3, "drop": null}, "list": [2], "new": "x", "gone": null})),
        );
    }

    #[test]
    fn others_fields_survive_a_conflict() {
        let base = json!({"ours": 1, "gone": 1, "foreign": 1});
        let theirs = json!({"ours": 1, "gone": 1, "foreign": 2, "more": 3});
        let wanted = json!({"ours": 2, "foreign": 1});
        let next = rebase(
            base.as_object().unwrap(),
            theirs.as_object().unwrap(),
            wanted.as_object().unwrap().clone(),
        );
        assert_eq!(Value::Object(next), json!({"ours": 2, "foreign": 2, "more": 3}));
    }
}
