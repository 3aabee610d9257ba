//! Secrets are never shown: not in a diff, not in an error.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What stands for a value that is not shown.
pub const MASK: &str = "***";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Texts shorter than this are not searched for in messages: they would be found everywhere.
const SHORTEST: usize = 4;

/// Whether the object is a Secret, whose `data` and `stringData` are confidential.
#[must_use]
pub fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str).is_none_or(|version| !version.contains('/'))
}

/// Replaces every value of a Secret by [`MASK`], keeping the keys, and what `kubectl apply` noted of it in an
/// annotation. Other objects are left as they are.
pub fn mask(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    for place in ["data", "stringData"] {
        match object.get_mut(place) {
            Some(Value::Object(map)) => map.values_mut().for_each(|value| *value = MASK.into()),
            Some(other) => *other = MASK.into(),
            None => {}
        }
    }
    if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations")
        && let Some(noted) = annotations.get_mut(LAST_APPLIED)
    {
        *noted = MASK.into();
    }
}

/// Masks both sides of a comparison so that it still shows *that* a value differs: `*** (before)`, `*** (after)`.
pub fn mask_pair(before: &mut Value, after: &mut Value) {
    let mut differ = Vec::new();
    if is_secret(before) || is_secret(after) {
        for place in ["data", "stringData"] {
            for (key, value) in after.get(place).and_then(Value::as_object).into_iter().flatten() {
                if before.get(place).and_then(|map| map.get(key)).is_some_and(|old| old != value) {
                    differ.push((place, key.clone()));
                }
            }
        }
    }
    mask(before);
    mask(after);
    for (place, key) in differ {
        for (side, word) in [(&mut *before, "*** (before)"), (&mut *after, "*** (after)")] {
            if let Some(value) = side.get_mut(place).and_then(|map| map.get_mut(&key)) {
                *value = word.into();
            }
        }
    }
}

/// Takes the values of a Secret out of a message, e.g. of an API server that quotes what it refuses.
///
/// Both the encoded and the decoded spelling are replaced, longest first. Values of fewer than four bytes are left.
#[must_use]
pub fn scrub(message: &str, object: &Value) -> String {
    if !is_secret(object) {
        return message.to_owned();
    }
    let mut values: Vec<String> = Vec::new();
    for place in ["data", "stringData"] {
        for value in object.get(place).and_then(Value::as_object).into_iter().flat_map(|map| map.values()) {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    other.to_string()
                }
            };
            if let Ok(decoded) = STANDARD.decode(&text)
                && let Ok(decoded) = String::from_utf8(decoded)
            {
                values.push(decoded);
            }
            values.push(text);
        }
    }
    values.retain(|value| value.trim().len() >= SHORTEST);
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(message.to_owned(), |text, value| {
        let quoted = value.escape_debug().to_string();
        text.replace(quoted.as_str(), MASK).replace(value.as_str(), MASK).replace(value.trim(), MASK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_show_their_keys_only() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"annotations": {LAST_APPLIED: "{\"data\":{\"a\":\"cGFzcw==\"}}", "x": "y"}},
            "data": {"a": "cGFzcw=="}, "stringData": {"b": "pass"}});
        mask(&mut secret);
        assert_eq!(
            secret,
            json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"annotations": {LAST_APPLIED: "***", "x": "y"}},
                "data": {"a": "***"}, "stringData": {"b": "***"}})
        );
    }

    #[test]
    fn a_comparison_shows_that_a_value_differs() {
        let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "data": data});
        let (mut before, mut after) =
            (secret(json!({"a": "1", "b": "2", "c": "3"})), secret(json!({"a": "1", "b": "9", "d": "4"})));
        mask_pair(&mut before, &mut after);
        assert_eq!(before["data"], json!({"a": "***", "b": "*** (before)", "c": "***"}));
        assert_eq!(after["data"], json!({"a": "***", "b": "*** (after)", "d": "***"}));
    }

    #[test]
    fn messages_lose_what_they_quote() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter2-plain", "n": 123_456, "s": "x"}});
        assert_eq!(
            scrub(r#"invalid "aHVudGVyMg==" and hunter2, hunter2-plain, 123456"#, &secret),
            r#"invalid "***" and ***, ***, ***"#
        );
        assert_eq!(scrub("hunter2", &json!({"kind": "ConfigMap"})), "hunter2");
    }
}
