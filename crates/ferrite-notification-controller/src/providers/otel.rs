//! Events as spans: OTLP over HTTP, in protobuf. Events about the same revision share a trace.

use std::collections::BTreeMap;

use ferrite_api::notification::Alert;
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

const SCOPE: &str = "flux:notification-controller";
/// A span of work within a program.
const INTERNAL: u64 = 1;
/// The conventions that name the resource's attributes.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.34.0";
/// Sampled; the parent is known to be of another process.
const REMOTE_PARENT: u32 = 0x301;
const OK: u64 = 1;
const ERROR: u64 = 2;

/// The request with the span of `event`; none for kinds that have no part in a delivery.
///
/// # Errors
///
/// [`ProviderError`] when the address is no URL.
pub(crate) fn plan(
    target: &Target,
    event: &Event,
    alert: &Alert,
    now: jiff::Timestamp,
) -> Result<Option<Outgoing>, ProviderError> {
    target.url()?;
    if event.involved_object.kind == "HelmRepository" {
        return Ok(None);
    }
    let mut request = Outgoing::json(target.address.expose_secret(), &serde_json::Value::Null);
    request.content_type = "application/x-protobuf";
    request.body = message(event, alert, now);
    for (name, value) in target.headers.expose_secret() {
        request = request.with_header(name, value);
    }
    Ok(Some(match target.token() {
        Some(token) => request.bearer(Some(token)),
        None => request.basic_or_bearer(target),
    }))
}

/// An `ExportTraceServiceRequest`; the numbers are those of the fields in opentelemetry-proto 1.
fn message(event: &Event, alert: &Alert, now: jiff::Timestamp) -> Vec<u8> {
    let (namespace, name) = (alert.namespace().unwrap_or_default(), alert.name_any());
    let service = format!("{namespace}/{name}");
    let uid = alert.uid().unwrap_or_default();
    let mut resource = Message::default();
    for (key, value) in
        [("service.name", &service), ("service.namespace", &namespace), ("service.instance.id", &uid)]
    {
        resource.bytes(1, &attribute(key, value));
    }
    let mut scope = Message::default();
    scope.bytes(1, SCOPE.as_bytes());
    let mut scope_spans = Message::default();
    scope_spans.bytes(1, &scope.0);
    scope_spans.bytes(2, &span(event, &uid, now));
    let mut resource_spans = Message::default();
    resource_spans.bytes(1, &resource.0);
    resource_spans.bytes(2, &scope_spans.0);
    resource_spans.bytes(3, SCHEMA.as_bytes());
    let mut request = Message::default();
    request.bytes(1, &resource_spans.0);
    request.0
}

fn span(event: &Event, alert_uid: &str, now: jiff::Timestamp) -> Vec<u8> {
    let object = &event.involved_object;
    let trace = Sha256::digest(format!("{alert_uid}:{}", revision(&event.metadata)));
    // An event that is sent again is the same span.
    let id = Sha256::digest(serde_json::to_vec(event).unwrap_or_default());
    let start = event.timestamp.parse().unwrap_or(now);
    let mut span = Message::default();
    span.bytes(1, trace.get(..16).unwrap_or_default());
    span.bytes(2, id.get(..8).unwrap_or_default());
    span.bytes(5, format!("{}: {}/{}", object.kind, object.namespace, object.name).as_bytes());
    span.number(6, INTERNAL);
    span.time(7, start);
    span.time(8, now.max(start));
    let own = [
        ("object.uid", &object.uid),
        ("object.kind", &object.kind),
        ("object.name", &object.name),
        ("object.namespace", &object.namespace),
    ];
    let metadata = event.metadata.iter().map(|(key, value)| (key.as_str(), value));
    for (key, value) in own.into_iter().chain(metadata) {
        span.bytes(9, &attribute(key, value));
    }
    let mut status = Message::default();
    if event.is_error() {
        status.bytes(2, event.message.as_bytes());
    }
    status.number(3, if event.is_error() { ERROR } else { OK });
    span.bytes(15, &status.0);
    span.fixed32(16, REMOTE_PARENT);
    span.0
}

/// What the events of one delivery have in common.
fn revision(metadata: &BTreeMap<String, String>) -> String {
    match (metadata.get("app-version"), metadata.get("oci-digest")) {
        (Some(version), Some(digest)) => format!("{version}@{digest}"),
        _ => metadata.get("revision").cloned().unwrap_or_else(|| "unknown".to_owned()),
    }
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut text = Message::default();
    text.bytes(1, value.as_bytes());
    let mut attribute = Message::default();
    attribute.bytes(1, key.as_bytes());
    attribute.bytes(2, &text.0);
    attribute.0
}

/// A protobuf message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn fixed32(&mut self, field: u64, value: u32) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Text, bytes or a message.
    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Nanoseconds since 1970, as eight bytes; times before that are 1970.
    fn time(&mut self, field: u64, value: jiff::Timestamp) {
        self.varint(field << 3 | 1);
        let nanoseconds = u64::try_from(value.as_nanosecond()).unwrap_or_default();
        self.0.extend_from_slice(&nanoseconds.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use ferrite_runtime::Redacted;
    use serde_json::json;

    use super::*;
    use crate::providers::tests::event;

    /// The fields of a message: number, and bytes or the number they are.
    fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(from: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let (byte, rest) = from.split_first().unwrap();
                *from = rest;
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        }
        let mut found = Vec::new();
        while !message.is_empty() {
            let key = varint(&mut message);
            let length = match key & 7 {
                0 => {
                    let value = varint(&mut message);
                    found.push((key >> 3, value.to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                _ => usize::try_from(varint(&mut message)).unwrap(),
            };
            let (value, rest) = message.split_at(length);
            found.push((key >> 3, value.to_vec()));
            message = rest;
        }
        found
    }

    fn only(message: &[u8], field: u64) -> Vec<u8> {
        let mut all = fields(message).into_iter().filter(|(number, _)| *number == field);
        let (_, value) = all.next().unwrap();
        assert!(all.next().is_none(), "field {field} is there once");
        value
    }

    fn attributes(message: &[u8], field: u64) -> Vec<String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let pair = |value: &[u8]| format!("{}={}", text(only(value, 1)), text(only(&only(value, 2), 1)));
        fields(message).iter().filter(|(number, _)| *number == field).map(|(_, value)| pair(value)).collect()
    }

    fn alert() -> Alert {
        serde_json::from_value(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
            "metadata": {"name": "traces", "namespace": "flux-system", "uid": "a-uid"},
            "spec": {"providerRef": {"name": "otel"}, "eventSources": []},
        }))
        .unwrap()
    }

    fn target() -> Target {
        Target {
            kind: "otel".into(),
            address: Redacted::new("https://otel.example/v1/traces".to_owned()),
            token: Some(Redacted::new("t0ken".to_owned())),
            ..Target::default()
        }
    }

    fn sent(event: &Event) -> Outgoing {
        let now = "2026-01-02T03:04:06Z".parse().unwrap();
        plan(&target(), event, &alert(), now).unwrap().unwrap()
    }

    fn span_of(request: &Outgoing) -> Vec<u8> {
        only(&only(&only(&request.body, 1), 2), 2)
    }

    #[test]
    fn an_event_is_a_span_of_the_revisions_trace() {
        let request = sent(&event("error"));
        assert_eq!(request.content_type, "application/x-protobuf");
        let headers = request.headers.expose_secret();
        assert_eq!(headers, &[("Authorization".to_owned(), "Bearer t0ken".to_owned())]);
        let spans = only(&request.body, 1);
        let service =
            ["service.name=flux-system/traces", "service.namespace=flux-system", "service.instance.id=a-uid"];
        assert_eq!(attributes(&only(&spans, 1), 1), service);
        assert_eq!(only(&only(&only(&spans, 2), 1), 1), SCOPE.as_bytes());
        let span = span_of(&request);
        // printf a-uid:main@sha1:abc | sha256sum
        assert_eq!(hex::encode(only(&span, 1)), "b7b336a9129aea02dfd1cb5683c01ec7");
        assert_eq!(only(&span, 2).len(), 8);
        assert_eq!(only(&span, 5), b"Kustomization: flux-system/apps");
        let nanoseconds = |field: u64| u64::from_le_bytes(only(&span, field).try_into().unwrap());
        assert_eq!((nanoseconds(6), nanoseconds(7)), (1, 1_767_323_045_000_000_000));
        assert_eq!(nanoseconds(8) - nanoseconds(7), 1_000_000_000);
        let expect = [
            "object.uid=0c9c2e41-7b8a-4b5e-9f0a-1d2c3b4a5f6e",
            "object.kind=Kustomization",
            "object.name=apps",
            "object.namespace=flux-system",
            "revision=main@sha1:abc",
        ];
        assert_eq!(attributes(&span, 9), expect);
        let status = fields(&only(&span, 15));
        assert_eq!(status[0], (2, event("error").message.into_bytes()));
        assert_eq!(status[1], (3, 2_u64.to_le_bytes().to_vec()));
    }

    #[test]
    fn success_drops_the_message_and_charts_have_a_trace_of_their_own() {
        let mut release = event("info");
        assert_eq!(fields(&only(&span_of(&sent(&release)), 15)), [(3, 1_u64.to_le_bytes().to_vec())]);
        let before = only(&span_of(&sent(&release)), 1);
        release.metadata.insert("app-version".into(), "1.2.3".into());
        assert_eq!(only(&span_of(&sent(&release)), 1), before, "both are needed");
        release.metadata.insert("oci-digest".into(), "sha256:01".into());
        assert_eq!(revision(&release.metadata), "1.2.3@sha256:01");
        assert_ne!(only(&span_of(&sent(&release)), 1), before);
        assert_eq!(revision(&BTreeMap::new()), "unknown");
        release.involved_object.kind = "HelmRepository".into();
        assert!(plan(&target(), &release, &alert(), jiff::Timestamp::UNIX_EPOCH).unwrap().is_none());
    }
}
