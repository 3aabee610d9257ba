//! Conversions to numbers as the cast library does them: what is no number is zero.

use crate::{strconv, value::Value};

/// `cast.ToInt64`.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Byte(b) => i64::from(*b),
        Value::Uint64(u) => *u as i64,
        Value::Bool(b) => i64::from(*b),
        Value::Float(f) => truncated(*f),
        Value::Str(text) => {
            let text = text.to_text();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let whole = if fraction.bytes().all(|b| b == b'0') { whole } else { &text };
            strconv::parse_int(whole, 0).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Go's conversion of a float: out of range it is the smallest integer, as on amd64.
pub(super) fn truncated(f: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) { f as i64 } else { i64::MIN }
}

/// `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Float(f) => *f,
        Value::Int(i) | Value::Int64(i) => *i as f64,
        Value::Byte(b) => f64::from(*b),
        Value::Uint64(u) => *u as f64,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Str(text) => strconv::parse_float(&text.to_text()).unwrap_or(0.0),
        _ => 0.0,
    }
}
