//! Dates and durations.

use super::{
    Answer,
    clock::now,
    int, layout,
    time::{Time, parse_duration},
    utf8,
};
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::Value,
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("now", &[], None, |_| Ok(now().value())),
        ("date", &[Ty::Str, Ty::Any], None, |a| Ok(in_zone(&utf8(a, 0), &a[1], "Local"))),
        ("htmlDate", &[Ty::Any], None, |a| Ok(in_zone("2006-01-02", &a[0], "Local"))),
        ("htmlDateInZone", &[Ty::Any, Ty::Str], None, |a| Ok(in_zone("2006-01-02", &a[0], &utf8(a, 1)))),
        ("toDate", &[Ty::Str, Ty::Str], None, |a| {
            Ok(layout::parse(&utf8(a, 0), &utf8(a, 1)).unwrap_or_else(|_| Time::zero()).value())
        }),
        ("mustToDate", &[Ty::Str, Ty::Str], None, |a| {
            layout::parse(&utf8(a, 0), &utf8(a, 1)).map(Time::value).map_err(Error::plain)
        }),
        ("unixEpoch", &[Ty::Time], None, |a| Ok(time(&a[0]).map_or(0, |t| t.unix).to_string().into())),
        ("ago", &[Ty::Any], None, |a| {
            let then = moment(&a[0]).unwrap_or_else(now);
            Ok(duration_text(super::time::round(now().since(&then), 1_000_000_000)).into())
        }),
        ("duration", &[Ty::Any], None, |a| {
            let seconds = match &a[0] {
                Value::Str(text) => crate::strconv::nearest_int(&text.to_text()),
                Value::Int64(seconds) => *seconds,
                _ => 0,
            };
            Ok(duration_text(seconds.wrapping_mul(1_000_000_000)).into())
        }),
        ("durationRound", &[Ty::Any], None, |a| Ok(coarse(&a[0]).into())),
    ]);
    for name in ["dateInZone", "date_in_zone"] {
        functions.add(&[(name, &[Ty::Str, Ty::Any, Ty::Str], None, |a| {
            Ok(in_zone(&utf8(a, 0), &a[1], &utf8(a, 2)))
        })]);
    }
    for name in ["dateModify", "date_modify"] {
        functions
            .add(&[(name, &[Ty::Str, Ty::Time], None, |a| Ok(modify(a).unwrap_or_else(|_| a[1].clone())))]);
    }
    for name in ["mustDateModify", "must_date_modify"] {
        functions.add(&[(name, &[Ty::Str, Ty::Time], None, modify)]);
    }
}

fn time(value: &Value) -> Option<Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Time>().cloned(),
        _ => None,
    }
}

/// A moment given as a time or as Unix seconds.
fn moment(value: &Value) -> Option<Time> {
    match value {
        Value::Int(seconds) | Value::Int64(seconds) => Some(Time::utc(*seconds, 0)),
        other => time(other),
    }
}

fn in_zone(layout: &str, value: &Value, zone: &str) -> Value {
    let moment = moment(value).unwrap_or_else(now);
    // `Local` is the zone of the process; controllers run in UTC.
    layout::format(&moment.within(zone), layout).into()
}

fn modify(args: &[Value]) -> Answer {
    let nanos = parse_duration(&utf8(args, 0))?;
    Ok(time(&args[1]).unwrap_or_else(now).plus(nanos).value())
}

/// `time.Duration.String()`.
#[must_use]
pub fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let fraction = |value: u64, digits: usize| {
        let text = format!("{value:0digits$}");
        let text = text.trim_end_matches('0');
        if text.is_empty() { String::new() } else { format!(".{text}") }
    };
    match magnitude {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}{}µs", magnitude / 1000, fraction(magnitude % 1000, 3)),
        1_000_000..1_000_000_000 => {
            format!("{sign}{}{}ms", magnitude / 1_000_000, fraction(magnitude % 1_000_000, 6))
        }
        _ => {
            let seconds = magnitude / 1_000_000_000;
            let tail = format!("{}{}s", seconds % 60, fraction(magnitude % 1_000_000_000, 9));
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{tail}"),
                (0, minutes) => format!("{sign}{minutes}m{tail}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{tail}"),
            }
        }
    }
}

/// sprig's `durationRound`: the largest unit only.
fn coarse(value: &Value) -> String {
    let nanos = match value {
        Value::Str(_) => parse_duration(&utf8(std::slice::from_ref(value), 0)).unwrap_or(0),
        Value::Int64(_) => int(std::slice::from_ref(value), 0),
        other => time(other).map_or(0, |then| now().since(&then)),
    };
    const HOUR: u64 = 3_600_000_000_000;
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
    ];
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    match units.iter().find(|(unit, _)| magnitude > *unit) {
        Some((unit, name)) => format!("{sign}{}{name}", magnitude / unit),
        None => format!("{sign}0s"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration_text;
    use crate::sprig::time::parse_duration;

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, expect) in [
            ("1h2m3.5s", "1h2m3.5s"),
            ("90m", "1h30m0s"),
            ("-1.5s", "-1.5s"),
            ("1500us", "1.5ms"),
            ("0", "0s"),
            ("2540400h", "2540400h0m0s"),
        ] {
            assert_eq!(parse_duration(text).map(duration_text).ok().as_deref(), Some(expect), "{text}");
        }
        for (text, expect) in [
            ("bad", r#"time: invalid duration "bad""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("5x", r#"time: unknown unit "x" in duration "5x""#),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().text(), expect);
        }
    }
}
