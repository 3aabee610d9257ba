//! Kubernetes' protobuf form: bodies that `kubectl create` sends for built-in kinds, and answers for clients that insist.
//!
//! The field numbers are in `data/protobuf.txt`. A body is turned into the JSON form that everything else here reads.

mod encode;

use std::collections::HashMap;
use std::sync::OnceLock;

use base64::Engine as _;
use serde_json::{Map, Value};

pub(crate) use encode::encode;

/// What every body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting of messages that is read.
const DEPTH: usize = 64;
const META: &str = "apimachinery.pkg.apis.meta.v1";

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Bool,
    Int,
    Double,
    Bytes,
    Message(&'static str),
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    number: u64,
    kind: Kind,
    list: bool,
    map: bool,
    inlined: bool,
}

/// A message's line, its fields still unread.
fn message(name: &str) -> Option<Vec<Field>> {
    static LINES: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        include_str!("../data/protobuf.txt").lines().filter_map(|l| l.split_once('\t')).collect()
    });
    lines.get(name).map(|line| line.split(' ').filter_map(field).collect())
}

fn field(text: &'static str) -> Option<Field> {
    let mut parts = text.splitn(3, ':');
    let (name, number, kind) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let (inlined, kind) = kind.strip_prefix('>').map_or((false, kind), |k| (true, k));
    let (list, kind) = kind.strip_prefix('*').map_or((false, kind), |k| (true, k));
    let (map, kind) = kind.strip_prefix('{').map_or((false, kind), |k| (true, k));
    let kind = match kind {
        "s" => Kind::Text,
        "b" => Kind::Bool,
        "i" => Kind::Int,
        "f" => Kind::Double,
        "y" => Kind::Bytes,
        message => Kind::Message(message),
    };
    Some(Field { name, number, kind, list, map, inlined })
}

/// One field on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// The next field; `Some(None)` at the end, `None` when the bytes are no message.
    fn next(&mut self) -> Option<Option<(u64, Wire<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = self.varint()?;
        let little = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed(little(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(little(self.take(4)?)),
            _ => return None,
        };
        Some(Some((key >> 3, wire)))
    }
}

/// The object in a protobuf body, as JSON; `None` when it is none, or of a kind that has no protobuf form here.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    let mut reader = Reader(body.strip_prefix(MAGIC)?);
    let (mut api_version, mut kind, mut raw, mut json) = (String::new(), String::new(), &[] as &[u8], false);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut meta = Reader(bytes);
                while let Some((number, wire)) = meta.next()? {
                    match (number, wire) {
                        (1, Wire::Bytes(b)) => api_version = text(b)?.to_owned(),
                        (2, Wire::Bytes(b)) => kind = text(b)?.to_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (4, Wire::Bytes(bytes)) => json = text(bytes)? == "application/json",
            _ => {}
        }
    }
    let mut value =
        if json { serde_json::from_slice(raw).ok()? } else { read(&name_of(&api_version, &kind)?, raw, 0)? };
    if value.is_object() {
        value["apiVersion"] = api_version.into();
        value["kind"] = kind.into();
    }
    Some(value)
}

/// `api.core.v1.Secret`
fn name_of(api_version: &str, kind: &str) -> Option<String> {
    if kind == "DeleteOptions" {
        return Some(format!("{META}.DeleteOptions"));
    }
    let ty = ferrite_schema::Schemas::builtin().for_api_version(api_version, kind)?;
    ty.name.strip_prefix("io.k8s.").map(str::to_owned)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn read(name: &str, bytes: &[u8], depth: usize) -> Option<Value> {
    if depth > DEPTH {
        return None;
    }
    if let Some(special) = special(name, bytes) {
        return special;
    }
    let fields = message(name)?;
    let mut out = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        let Some(field) = fields.iter().find(|f| f.number == number) else { continue };
        if field.map {
            let Wire::Bytes(entry) = wire else { return None };
            let (key, value) = entry_of(field, entry, depth)?;
            let map = out.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            map.as_object_mut()?.insert(key, value);
            continue;
        }
        let value = value_of(field.kind, wire, depth)?;
        if field.list {
            out.entry(field.name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?.push(value);
        } else if field.inlined {
            if let Value::Object(inner) = value {
                out.extend(inner);
            }
        } else {
            out.insert(field.name.to_owned(), value);
        }
    }
    // Types that are a list in JSON.
    if matches!(name.rsplit('.').next(), Some("Verbs" | "ExtraValue")) {
        return Some(out.shift_remove("items").unwrap_or_else(|| Value::Array(Vec::new())));
    }
    Some(Value::Object(out))
}

fn entry_of(field: &Field, bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let mut key = String::new();
    let mut value = match field.kind {
        Kind::Text | Kind::Bytes => Value::from(""),
        _ => Value::Null,
    };
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(b)) => key = text(b)?.to_owned(),
            (2, wire) => value = value_of(field.kind, wire, depth)?,
            _ => {}
        }
    }
    Some((key, value))
}

fn value_of(kind: Kind, wire: Wire<'_>, depth: usize) -> Option<Value> {
    Some(match (kind, wire) {
        (Kind::Text, Wire::Bytes(b)) => text(b)?.into(),
        (Kind::Bytes, Wire::Bytes(b)) => base64::engine::general_purpose::STANDARD.encode(b).into(),
        (Kind::Bool, Wire::Varint(v)) => (v != 0).into(),
        (Kind::Int, Wire::Varint(v)) => v.cast_signed().into(),
        (Kind::Double, Wire::Fixed(v)) => f64::from_bits(v).into(),
        (Kind::Message(name), Wire::Bytes(b)) => read(name, b, depth + 1)?,
        _ => return None,
    })
}

/// Types whose JSON form is not the message's; the outer `None` says that the type is an ordinary one.
fn special(name: &str, bytes: &[u8]) -> Option<Option<Value>> {
    match name.rsplit('.').next().unwrap_or_default() {
        "Time" | "MicroTime" if name.starts_with(META) => Some(time(bytes, name.ends_with("MicroTime"))),
        "Quantity" => Some(strings(bytes, 1).map(|s| if s.is_empty() { "0".into() } else { s.into() })),
        "IntOrString" => Some(int_or_string(bytes)),
        "FieldsV1" | "RawExtension" => Some(json(bytes)),
        _ => None,
    }
}

fn strings(bytes: &[u8], wanted: u64) -> Option<String> {
    let mut out = String::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        if let (true, Wire::Bytes(b)) = (number == wanted, wire) {
            out = text(b)?.to_owned();
        }
    }
    Some(out)
}

fn json(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader(bytes);
    let mut out = Value::Null;
    while let Some((number, wire)) = reader.next()? {
        if let (1, Wire::Bytes(b)) = (number, wire) {
            out = serde_json::from_slice(b).ok()?;
        }
    }
    Some(out)
}

fn time(bytes: &[u8], micro: bool) -> Option<Value> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Varint(v)) => seconds = v.cast_signed(),
            (2, Wire::Varint(v)) => nanos = v.cast_signed(),
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Some(Value::Null);
    }
    let at = jiff::Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
    let text =
        if micro { at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string() } else { crate::clock::seconds(at) };
    Some(text.into())
}

fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let (mut kind, mut number) = (0u64, 0i64);
    let mut reader = Reader(bytes);
    while let Some((field, wire)) = reader.next()? {
        match (field, wire) {
            (1, Wire::Varint(v)) => kind = v,
            (2, Wire::Varint(v)) => number = v.cast_signed(),
            _ => {}
        }
    }
    if kind == 0 { Some(number.into()) } else { strings(bytes, 3).map(Into::into) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::encode::bytes as put;
    use super::{decode, encode};

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let (mut meta, mut out) = (Vec::new(), b"k8s\0".to_vec());
        put(&mut meta, 1, api_version.as_bytes());
        put(&mut meta, 2, kind.as_bytes());
        put(&mut out, 1, &meta);
        put(&mut out, 2, raw);
        out
    }

    #[test]
    fn reads_maps_bytes_and_inlined_structs() {
        let (mut entry, mut metadata, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        put(&mut entry, 1, b"k");
        put(&mut entry, 2, b"v");
        put(&mut metadata, 1, b"a");
        put(&mut metadata, 8, &[]);
        put(&mut raw, 1, &metadata);
        put(&mut raw, 2, &entry);
        let secret = decode(&body("v1", "Secret", &raw)).expect("a Secret");
        assert_eq!(
            secret,
            json!({"metadata": {"name": "a", "creationTimestamp": null}, "data": {"k": "dg=="}, "apiVersion": "v1", "kind": "Secret"})
        );
        // spec.volumes[0]: the source is inlined.
        let (mut map, mut source, mut reference, mut volume, mut spec, mut pod) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        put(&mut reference, 1, b"settings");
        put(&mut map, 1, &reference);
        put(&mut source, 19, &map);
        put(&mut volume, 1, b"v");
        put(&mut volume, 2, &source);
        put(&mut spec, 1, &volume);
        put(&mut pod, 2, &spec);
        let pod = decode(&body("v1", "Pod", &pod)).expect("a Pod");
        assert_eq!(pod["spec"], json!({"volumes": [{"name": "v", "configMap": {"name": "settings"}}]}));
    }

    #[test]
    fn damaged_bodies_are_refused() {
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(decode(&body("v1", "Nope", &[])), None);
        assert_eq!(decode(&body("v1", "Secret", &[7])), None);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for value in [
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {"l": "1"},
                "creationTimestamp": "2026-01-02T03:04:05Z"}, "data": {"k": "dg=="}, "type": "Opaque"}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "generation": 3}, "spec": {"replicas": 2,
                "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}, "template": {"spec": {"containers": [
                    {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}, "livenessProbe": {"httpGet": {"port": 80}}}]}}}}),
            json!({"apiVersion": "v1", "kind": "Status", "message": "no", "code": 406}),
        ] {
            let written = encode(&value).expect("a known kind");
            assert!(written.starts_with(b"k8s\0"));
            if value["kind"] != "Status" {
                assert_eq!(decode(&written), Some(value));
            }
        }
        assert_eq!(encode(&json!({"apiVersion": "example.com/v1", "kind": "Widget"})), None);
    }
}
