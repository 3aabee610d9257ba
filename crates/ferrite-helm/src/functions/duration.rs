//! Durations, new in Helm 4.3.

use ferrite_gotemplate as go;
use go::{Duration, Error, Function, Functions, Ty, Value};

const SECOND: i64 = 1_000_000_000;

type Plain = fn(&[Value]) -> Result<Value, Error>;

pub(super) fn register(functions: &mut Functions) {
    let rows: [(&str, &'static [Ty], Plain); 11] = [
        ("mustToDuration", &[Ty::Any], |a| read(&a[0]).map(|nanos| Duration(nanos).value())),
        ("durationSeconds", &[Ty::Any], |a| Ok(Value::Float(in_units(&a[0], SECOND)))),
        ("durationMinutes", &[Ty::Any], |a| Ok(Value::Float(in_units(&a[0], 60 * SECOND)))),
        ("durationHours", &[Ty::Any], |a| Ok(Value::Float(hours(&a[0])))),
        ("durationDays", &[Ty::Any], |a| Ok(Value::Float(hours(&a[0]) / 24.0))),
        ("durationWeeks", &[Ty::Any], |a| Ok(Value::Float(hours(&a[0]) / 24.0 / 7.0))),
        ("durationMilliseconds", &[Ty::Any], |a| Ok(whole(&a[0], 1_000_000))),
        ("durationMicroseconds", &[Ty::Any], |a| Ok(whole(&a[0], 1000))),
        ("durationNanoseconds", &[Ty::Any], |a| Ok(whole(&a[0], 1))),
        ("durationRoundTo", &[Ty::Any, Ty::Any], |a| Ok(to_unit(a, go::round_duration))),
        ("durationTruncateTo", &[Ty::Any, Ty::Any], |a| Ok(to_unit(a, go::truncate_duration))),
    ];
    for (name, params, f) in rows {
        functions.insert(name, Function::plain(params, None, f));
    }
}

/// A duration given as text, as a number of seconds or as a duration.
fn read(value: &Value) -> Result<i64, Error> {
    let seconds = |f: f64| {
        let nanos = f * SECOND as f64;
        if nanos.is_finite() && nanos.abs() < i64::MAX as f64 { Some(nanos as i64) } else { None }
    };
    let found = match value {
        Value::Str(text) => {
            let text = text.to_text();
            let trimmed = text.trim();
            go::parse_duration(trimmed).ok().or_else(|| trimmed.parse::<f64>().ok().and_then(seconds))
        }
        Value::Int(n) | Value::Int64(n) => n.checked_mul(SECOND),
        Value::Uint64(n) => i64::try_from(*n).ok().and_then(|n| n.checked_mul(SECOND)),
        Value::Float(f) => seconds(*f),
        Value::Object(object) => object.number(),
        _ => None,
    };
    found.ok_or_else(|| {
        Error::plain(match value {
            Value::Nil => "invalid duration".to_owned(),
            Value::Str(text) if text.to_text().trim().is_empty() => "empty duration".to_owned(),
            Value::Str(text) => match text.to_text().trim().parse::<f64>() {
                Ok(seconds) => {
                    format!("duration seconds overflow: {}", go::format_float(seconds, b'g', None))
                }
                Err(_) => format!("could not parse duration {}", go::quote(text)),
            },
            Value::Int(_) | Value::Int64(_) | Value::Uint64(_) | Value::Float(_) => {
                format!("duration seconds overflow: {}", go::to_text(value))
            }
            other => format!("unsupported duration type {}", other.type_name()),
        })
    })
}

fn in_units(value: &Value, unit: i64) -> f64 {
    let nanos = read(value).unwrap_or(0);
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}

fn hours(value: &Value) -> f64 {
    in_units(value, 3600 * SECOND)
}

fn whole(value: &Value, unit: i64) -> Value {
    Value::Int64(read(value).unwrap_or(0) / unit)
}

fn to_unit(args: &[Value], step: fn(i64, i64) -> i64) -> Value {
    let (nanos, unit) = (read(&args[0]).unwrap_or(0), read(&args[1]).unwrap_or(0));
    Duration(step(nanos, unit)).value()
}
