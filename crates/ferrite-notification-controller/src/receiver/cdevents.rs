//! CDEvents 0.4: whether a document is one.
//!
//! What a document must hold is a table ([`TYPES`]), taken from the JSON schemas of <https://cdevents.dev>, 0.4.1.
//! Members that the schemas do not know are ignored, as the SDK does that Flux decodes with.

mod types;

use serde_json::{Map, Value};

use types::TYPES;

/// Types that somebody defines for his own tool start with this.
const CUSTOM: &str = "dev.cdeventsx.";
const STANDARD: &str = "dev.cdevents.";

/// What a member has to be.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A string.
    Text,
    /// A string that is not empty.
    Named,
    /// A list of strings.
    Texts,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An object with these members.
    Fields(&'static [Field]),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

/// A member that has to be there.
const fn need(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

/// A member that may be left out.
const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const REFERENCE: &[Field] = &[need("id", Shape::Named), may("source", Shape::Text)];
const URI: &[Field] = &[need("uri", Shape::Named)];
const SUBJECT: &[Field] = &[need("id", Shape::Named), may("source", Shape::Text)];
const CONTEXT: &[Field] = &[
    need("version", Shape::Named),
    need("id", Shape::Named),
    need("source", Shape::Named),
    need("type", Shape::Named),
    need("timestamp", Shape::Named),
    may("schemaUri", Shape::Text),
    may("chainId", Shape::Text),
];

/// Whether `document` is a CDEvent of a type that 0.4 knows, or a custom one.
pub(super) fn is_valid(document: &Value) -> bool {
    let (Some(context), Some(subject)) = (object(document, "context"), object(document, "subject")) else {
        return false;
    };
    let text = |name: &str| context.get(name).and_then(Value::as_str).unwrap_or_default();
    if !holds(context, CONTEXT) || !holds(subject, SUBJECT) {
        return false;
    }
    let uris = [text("source"), subject.get("source").and_then(Value::as_str).unwrap_or_default()];
    if text("timestamp").parse::<jiff::Timestamp>().is_err() || !uris.into_iter().all(is_uri_reference) {
        return false;
    }
    let kind = subject.get("type").and_then(Value::as_str).unwrap_or_default();
    let empty = Map::new();
    let content = match subject.get("content") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(content)) => content,
        Some(_) => return false,
    };
    if let Some(custom) = text("type").strip_prefix(CUSTOM) {
        return is_custom(custom, kind);
    }
    let Some(name) = text("type").strip_prefix(STANDARD) else { return false };
    TYPES
        .iter()
        .find(|(known, _, _)| *known == name)
        .is_some_and(|(_, subject, fields)| (kind.is_empty() || kind == *subject) && holds(content, fields))
}

fn object<'a>(value: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    value.get(name)?.as_object()
}

/// A reference to a URI is nearly any text, but for control letters and broken escapes.
fn is_uri_reference(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    let broken = |rest: &str| !rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count().eq(&2);
    !text.chars().any(char::is_control) && !escapes.into_iter().any(broken)
}

/// `<tool>-<subject>.<predicate>.<version>`, with the subject's type before the first dot.
fn is_custom(name: &str, kind: &str) -> bool {
    let mut parts = name.splitn(3, '.');
    let (subject, predicate) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let version = parts.next().unwrap_or_default();
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let tool = |text: &str| text.split_once('-').is_some_and(|(tool, subject)| word(tool) && word(subject));
    let numbers = version.split('.').filter(|part| part.len() == 1 && word(part)).count() == 3;
    tool(subject) && word(predicate) && numbers && tool(kind)
}

/// Whether the members of `object` are as `fields` say; a missing string counts as an empty one.
fn holds(object: &Map<String, Value>, fields: &[Field]) -> bool {
    fields.iter().all(|field| {
        let value = object.get(field.name).filter(|value| !value.is_null());
        match (value, field.shape) {
            (None, Shape::Text | Shape::Texts) => true,
            (None, Shape::Named | Shape::OneOf(_) | Shape::Fields(_)) => !field.required,
            (Some(value), Shape::Fields(inner)) => value.as_object().is_some_and(|value| holds(value, inner)),
            (Some(value), Shape::Texts) => {
                value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
            }
            (Some(value), Shape::Text | Shape::Named | Shape::OneOf(_)) => {
                value.as_str().is_some_and(|text| is_text(field, text))
            }
        }
    })
}

fn is_text(field: &Field, text: &str) -> bool {
    let packaged = || text.strip_prefix("pkg:").is_some_and(|rest| rest.trim_matches('/').contains('/'));
    match field.shape {
        _ if text.is_empty() && !field.required => true,
        Shape::OneOf(allowed) => allowed.contains(&text),
        Shape::Named => !text.is_empty() && (field.name != "artifactId" || packaged()),
        Shape::Text | Shape::Texts | Shape::Fields(_) => field.name != "artifactId" || packaged(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "context": {
                "version": "0.4.1", "id": "1", "source": "/ci", "type": "dev.cdevents.change.merged.0.2.0",
                "timestamp": "2026-01-02T03:04:05Z",
            },
            "subject": {"id": "c1", "type": "change", "content": {"repository": {"id": "fleet"}}},
        })
    }

    fn with(pointer: &str, key: &str, value: Value) -> bool {
        let mut event = event();
        event.pointer_mut(pointer).unwrap()[key] = value;
        is_valid(&event)
    }

    /// Each answer is what notification-controller v1.9.3 says to the same document.
    #[test]
    fn documents_are_judged_as_the_schemas_do() {
        assert!(is_valid(&event()));
        let context = |key: &str, value: &str| with("/context", key, json!(value));
        for (key, value, expect) in [
            ("version", "9.9.9", true),
            ("version", "", false),
            ("id", "", false),
            ("source", "", false),
            ("source", "not a uri %%", false),
            ("timestamp", "x", false),
            ("type", "dev.cdevents.change.merged.0.1.2", false),
            ("type", "dev.cdevents.change.merged.9.0.0", false),
            ("type", "dev.cdevents.nosuch.merged.0.2.0", false),
            ("type", "x", false),
        ] {
            assert_eq!(context(key, value), expect, "{key}={value}");
        }
        assert!(with("/subject", "content", Value::Null) && with("/subject", "content", json!({})));
        assert!(with("", "extra", json!(1)) && with("/subject/content", "extra", json!(1)));
        assert!(!with("/subject", "type", json!("build")));
        assert!(!with("/subject/content", "repository", json!("fleet")));
        assert!(!is_valid(&json!({})) && !is_valid(&json!([])) && !is_valid(&Value::Null));
    }

    #[test]
    fn content_is_judged_by_type() {
        let of = |kind: &str, subject: &str, content: Value| {
            let mut event = event();
            event["context"]["type"] = json!(format!("dev.cdevents.{kind}"));
            event["subject"] = json!({"id": "x", "type": subject, "content": content});
            is_valid(&event)
        };
        let deployed = json!({"environment": {"id": "t"}, "artifactId": "pkg:oci/x@sha256%3A0b"});
        assert!(of("service.deployed.0.2.0", "service", deployed));
        assert!(!of("service.deployed.0.2.0", "service", json!({"environment": {"id": "t"}})));
        assert!(of("pipelinerun.finished.0.2.0", "pipelineRun", json!({"outcome": "success"})));
        assert!(!of("testsuiterun.finished.0.2.0", "testSuiteRun", json!({})));
        assert!(of("build.finished.0.2.0", "build", json!({"artifactId": "pkg:oci/x"})));
        assert!(!of("build.finished.0.2.0", "build", json!({"artifactId": "nopurl"})));
    }

    #[test]
    fn custom_types_name_a_tool() {
        let of = |kind: &str, subject: &str| {
            let mut event = event();
            event["context"]["type"] = json!(kind);
            event["subject"]["type"] = json!(subject);
            is_valid(&event)
        };
        assert!(of("dev.cdeventsx.mytool-resource.created.0.1.0", "mytool-resource"));
        assert!(!of("dev.cdeventsx.resource.created.0.1.0", "mytool-resource"));
        assert!(!of("dev.cdeventsx.mytool-resource.created.1", "mytool-resource"));
    }
}
