//! Digests of objects, by which it is known that nothing changed.

use serde_json::{Map, Value};

/// A digest of a value; equal values have equal digests whatever the order of their keys.
pub(crate) type Digest = [u8; 16];

/// Annotations that the deployment controller writes together with the status.
const ROLLOUT: &str = "deployment.kubernetes.io/";

/// The digest of what is to be applied and of the paths that are ignored on it.
pub(crate) fn of_desired(desired: &Value, ignored: &[String]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    feed(&mut hasher, desired);
    for path in ignored {
        text(&mut hasher, path);
    }
    short(&hasher)
}

/// The fingerprint of a live object, or of its metadata alone: it changes when anybody but a writer of its status
/// changes the object.
///
/// Taken from the uid, the generation, labels, annotations, owners, finalizers, the deletion, and who wrote which
/// fields when. Kinds without a generation and without a status count by their resource version.
pub(crate) fn of_live(object: &Value) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let Some(Value::Object(meta)) = object.get("metadata") else { return short(&hasher) };
    for key in
        ["uid", "generation", "labels", "annotations", "ownerReferences", "finalizers", "deletionTimestamp"]
    {
        text(&mut hasher, key);
        match meta.get(key) {
            Some(Value::Object(map)) => pairs(&mut hasher, map, |key| !key.starts_with(ROLLOUT)),
            Some(value) => feed(&mut hasher, value),
            None => pairs(&mut hasher, &Map::new(), |_| true),
        }
    }
    let mut counted_by_fields = false;
    for entry in meta.get("managedFields").and_then(Value::as_array).into_iter().flatten() {
        if entry.get("subresource").and_then(Value::as_str) == Some("status") {
            counted_by_fields = true;
        } else {
            feed(&mut hasher, entry);
        }
    }
    if meta.get("generation").is_none() && !counted_by_fields {
        feed(&mut hasher, meta.get("resourceVersion").unwrap_or(&Value::Null));
    }
    short(&hasher)
}

fn short(hasher: &blake3::Hasher) -> Digest {
    let mut digest = Digest::default();
    hasher.finalize_xof().fill(&mut digest);
    digest
}

/// Feeds a value in an unambiguous form. Objects from the API and from manifests are at most 128 deep.
fn feed(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => {
            hasher.update(b"n");
        }
        Value::Bool(value) => {
            hasher.update(if *value { b"t" } else { b"f" });
        }
        Value::Number(number) => {
            hasher.update(b"0");
            text(hasher, &number.to_string());
        }
        Value::String(string) => {
            hasher.update(b"s");
            text(hasher, string);
        }
        Value::Array(items) => {
            hasher.update(b"[").update(&items.len().to_le_bytes());
            for item in items {
                feed(hasher, item);
            }
        }
        Value::Object(map) => {
            pairs(hasher, map, |_| true);
        }
    }
}

fn pairs(hasher: &mut blake3::Hasher, map: &Map<String, Value>, counts: impl Fn(&str) -> bool) {
    let mut pairs: Vec<(&String, &Value)> = map.iter().filter(|(key, _)| counts(key)).collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    hasher.update(b"{").update(&pairs.len().to_le_bytes());
    for (key, value) in pairs {
        text(hasher, key);
        feed(hasher, value);
    }
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_digests() {
        let of = |value: Value| of_desired(&value, &[]);
        assert_eq!(of(json!({"a": 1, "b": [2]})), of(json!({"b": [2], "a": 1})));
        for (left, right) in [
            (json!({"a": 1}), json!({"a": "1"})),
            (json!(["ab", "c"]), json!(["a", "bc"])),
            (json!([[], []]), json!([[[]]])),
            (json!(null), json!(false)),
        ] {
            assert_ne!(of(left.clone()), of(right.clone()), "{left} {right}");
        }
        assert_ne!(of_desired(&json!({}), &["/a".into()]), of(json!({})));
    }

    #[test]
    fn only_writers_of_the_status_leave_the_fingerprint_alone() {
        let object = |generation: Option<u32>, version: &str, spec_time: &str, status_time: Option<&str>| {
            let mut fields = vec![json!({"manager": "a", "time": spec_time})];
            if let Some(time) = status_time {
                fields.push(json!({"manager": "b", "subresource": "status", "time": time}));
            }
            let mut meta = json!({"uid": "u", "resourceVersion": version, "managedFields": fields});
            if let Some(generation) = generation {
                meta["generation"] = json!(generation);
            }
            json!({"metadata": meta, "status": {"x": version}})
        };
        let base = of_live(&object(Some(1), "1", "t", Some("s")));
        assert_eq!(base, of_live(&object(Some(1), "2", "t", Some("s2"))), "status only");
        assert_ne!(base, of_live(&object(Some(2), "2", "t", Some("s"))), "spec");
        assert_ne!(base, of_live(&object(Some(1), "2", "t2", Some("s"))), "another field");
        let mut rollout = object(Some(1), "2", "t", Some("s2"));
        rollout["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
        assert_eq!(base, of_live(&rollout), "what the deployment controller writes");
        rollout["metadata"]["annotations"]["a"] = json!("b");
        assert_ne!(base, of_live(&rollout), "an annotation");
        let plain = of_live(&object(None, "1", "t", None));
        assert_ne!(plain, of_live(&object(None, "2", "t", None)), "a kind without a generation");
        let counted = of_live(&object(None, "1", "t", Some("s")));
        assert_eq!(counted, of_live(&object(None, "2", "t", Some("s2"))), "an autoscaler's status");
    }
}
