//! Answers in protobuf, for clients that read nothing else.

use base64::Engine as _;
use serde_json::Value;

use super::{DEPTH, Field, Kind, MAGIC, META, message, name_of};

/// The object as a protobuf body; `None` when its kind has no protobuf form here.
pub(crate) fn encode(value: &Value) -> Option<Vec<u8>> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let name = match kind {
        "Status" | "PartialObjectMetadata" | "PartialObjectMetadataList" => format!("{META}.{kind}"),
        _ => name_of(version, kind)?,
    };
    let raw = write(&name, value, 0)?;
    let mut meta = Vec::new();
    bytes(&mut meta, 1, version.as_bytes());
    bytes(&mut meta, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    bytes(&mut out, 1, &meta);
    bytes(&mut out, 2, &raw);
    bytes(&mut out, 3, &[]);
    bytes(&mut out, 4, &[]);
    Some(out)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn integer(out: &mut Vec<u8>, number: u64, value: i64) {
    varint(out, number << 3);
    varint(out, value.cast_unsigned());
}

fn write(name: &str, value: &Value, depth: usize) -> Option<Vec<u8>> {
    if depth > DEPTH {
        return None;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    match last {
        "Time" | "MicroTime" if name.starts_with(META) => return time(value),
        "Quantity" | "IntOrString" | "FieldsV1" | "RawExtension" => return special(last, value),
        _ => {}
    }
    let mut out = Vec::new();
    // Types that are a list in JSON.
    let wrapped = serde_json::json!({"items": value});
    let value = if matches!(last, "Verbs" | "ExtraValue") { &wrapped } else { value };
    for field in message(name)? {
        if field.inlined {
            let Kind::Message(inner) = field.kind else { return None };
            let inner = write(inner, value, depth + 1)?;
            if !inner.is_empty() {
                bytes(&mut out, field.number, &inner);
            }
            continue;
        }
        match value.get(field.name) {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) if field.list => {
                items.iter().try_for_each(|item| one(&mut out, &field, field.number, item, depth))?;
            }
            Some(Value::Object(map)) if field.map => {
                for (key, item) in map {
                    let mut entry = Vec::new();
                    bytes(&mut entry, 1, key.as_bytes());
                    one(&mut entry, &field, 2, item, depth)?;
                    bytes(&mut out, field.number, &entry);
                }
            }
            Some(item) => one(&mut out, &field, field.number, item, depth)?,
        }
    }
    Some(out)
}

fn one(out: &mut Vec<u8>, field: &Field, number: u64, value: &Value, depth: usize) -> Option<()> {
    match field.kind {
        Kind::Text => bytes(out, number, value.as_str()?.as_bytes()),
        Kind::Bytes => {
            bytes(out, number, &base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?)
        }
        Kind::Bool => integer(out, number, i64::from(value.as_bool()?)),
        Kind::Int => integer(out, number, value.as_i64()?),
        Kind::Double => {
            varint(out, number << 3 | 1);
            out.extend_from_slice(&value.as_f64()?.to_le_bytes());
        }
        Kind::Message(name) => bytes(out, number, &write(name, value, depth + 1)?),
    }
    Some(())
}

fn time(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if let Some(text) = value.as_str() {
        let at: jiff::Timestamp = text.parse().ok()?;
        integer(&mut out, 1, at.as_second());
        integer(&mut out, 2, i64::from(at.subsec_nanosecond()));
    }
    Some(out)
}

fn special(name: &str, value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match (name, value) {
        ("Quantity", Value::String(text)) => bytes(&mut out, 1, text.as_bytes()),
        ("Quantity", other) => bytes(&mut out, 1, other.to_string().as_bytes()),
        ("IntOrString", Value::String(text)) => {
            integer(&mut out, 1, 1);
            integer(&mut out, 2, 0);
            bytes(&mut out, 3, text.as_bytes());
        }
        ("IntOrString", other) => {
            integer(&mut out, 1, 0);
            integer(&mut out, 2, other.as_i64()?);
            bytes(&mut out, 3, &[]);
        }
        (_, other) => bytes(&mut out, 1, other.to_string().as_bytes()),
    }
    Some(out)
}
