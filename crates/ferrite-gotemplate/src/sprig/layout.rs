//! Go's reference-time layouts: `Mon Jan 2 15:04:05 MST 2006`.

use super::time::{Civil, Time, Zone, days};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// An element of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Std {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    Abbreviation,
    /// `z` for `Z` forms, digits after the hours, colons.
    Offset {
        z: bool,
        minutes: bool,
        seconds: bool,
        colon: bool,
    },
    /// Digits, `9` trims trailing zeros; the separator is part of it.
    Fraction {
        digits: usize,
        trim: bool,
    },
}

fn offset(z: bool, minutes: bool, seconds: bool, colon: bool) -> Std {
    Std::Offset { z, minutes, seconds, colon }
}

/// The elements that begin with what `rest` begins with, longest first where that matters.
fn element(rest: &str) -> Option<(Std, usize)> {
    let tables: [(&str, Std); 34] = [
        ("January", Std::LongMonth),
        ("Jan", Std::Month),
        ("Monday", Std::LongWeekday),
        ("Mon", Std::Weekday),
        ("MST", Std::Abbreviation),
        ("002", Std::ZeroYearDay),
        ("01", Std::ZeroMonth),
        ("02", Std::ZeroDay),
        ("03", Std::ZeroHour12),
        ("04", Std::ZeroMinute),
        ("05", Std::ZeroSecond),
        ("06", Std::Year),
        ("15", Std::Hour),
        ("1", Std::NumMonth),
        ("2006", Std::LongYear),
        ("2", Std::Day),
        ("__2", Std::UnderYearDay),
        ("_2", Std::UnderDay),
        ("3", Std::Hour12),
        ("4", Std::Minute),
        ("5", Std::Second),
        ("PM", Std::UpperPm),
        ("pm", Std::LowerPm),
        ("-070000", offset(false, true, true, false)),
        ("-07:00:00", offset(false, true, true, true)),
        ("-0700", offset(false, true, false, false)),
        ("-07:00", offset(false, true, false, true)),
        ("-07", offset(false, false, false, false)),
        ("Z070000", offset(true, true, true, false)),
        ("Z07:00:00", offset(true, true, true, true)),
        ("Z0700", offset(true, true, false, false)),
        ("Z07:00", offset(true, true, false, true)),
        ("Z07", offset(true, false, false, false)),
        ("_2006", Std::LongYear),
    ];
    for (text, std) in tables {
        let Some(after) = rest.strip_prefix(text) else { continue };
        let lower_follows = after.starts_with(|c: char| c.is_ascii_lowercase());
        match std {
            Std::Month | Std::Weekday if lower_follows => continue,
            // `_2006` is an underscore and a year.
            Std::UnderDay if after.starts_with("006") => continue,
            Std::LongYear if text.starts_with('_') => continue,
            _ => return Some((std, text.len())),
        }
    }
    fraction(rest)
}

fn fraction(rest: &str) -> Option<(Std, usize)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let mark = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == mark).count();
    if digits.chars().nth(count).is_some_and(|c| c.is_ascii_digit()) {
        return None;
    }
    Some((Std::Fraction { digits: count, trim: mark == '9' }, count + 1))
}

/// Splits a layout into the text before its first element, the element with its text, and the rest.
fn next(layout: &str) -> (&str, Option<(Std, &str)>, &str) {
    for (at, _) in layout.char_indices() {
        let (head, rest) = layout.split_at(at);
        if let Some((std, length)) = element(rest)
            && let Some((text, tail)) = rest.split_at_checked(length)
        {
            return (head, Some((std, text)), tail);
        }
    }
    (layout, None, "")
}

/// `Time.Format`.
pub(super) fn format(time: &Time, layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    loop {
        let (head, found, tail) = next(rest);
        out.push_str(head);
        let Some((std, text)) = found else { return out };
        write(&mut out, time, &civil, std, text);
        rest = tail;
    }
}

fn name(names: &[&'static str], index: u32) -> &'static str {
    names.get(index as usize).copied().unwrap_or_default()
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn write(out: &mut String, time: &Time, civil: &Civil, std: Std, text: &str) {
    let hour12 = if civil.hour.is_multiple_of(12) { 12 } else { civil.hour % 12 };
    let written = match std {
        Std::LongMonth => name(&MONTHS, civil.month - 1).to_owned(),
        Std::Month => short(name(&MONTHS, civil.month - 1)).to_owned(),
        Std::LongWeekday => name(&WEEKDAYS, civil.weekday).to_owned(),
        Std::Weekday => short(name(&WEEKDAYS, civil.weekday)).to_owned(),
        Std::NumMonth => civil.month.to_string(),
        Std::ZeroMonth => format!("{:02}", civil.month),
        Std::Day => civil.day.to_string(),
        Std::UnderDay => format!("{:2}", civil.day),
        Std::ZeroDay => format!("{:02}", civil.day),
        Std::UnderYearDay => format!("{:3}", civil.year_day),
        Std::ZeroYearDay => format!("{:03}", civil.year_day),
        Std::Hour => format!("{:02}", civil.hour),
        Std::Hour12 => hour12.to_string(),
        Std::ZeroHour12 => format!("{hour12:02}"),
        Std::Minute => civil.minute.to_string(),
        Std::ZeroMinute => format!("{:02}", civil.minute),
        Std::Second => civil.second.to_string(),
        Std::ZeroSecond => format!("{:02}", civil.second),
        Std::LongYear if civil.year < 0 => format!("-{:04}", -civil.year),
        Std::LongYear => format!("{:04}", civil.year),
        Std::Year => format!("{:02}", civil.year.rem_euclid(100)),
        Std::UpperPm => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Std::LowerPm => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        Std::Abbreviation => {
            let (seconds, abbreviation) = time.offset();
            if abbreviation.is_empty() {
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                let tail = if minutes % 60 == 0 { String::new() } else { format!("{:02}", minutes % 60) };
                format!("{sign}{:02}{tail}", minutes / 60)
            } else {
                abbreviation
            }
        }
        Std::Offset { z, minutes, seconds, colon } => {
            zone_offset(time.offset().0, z, minutes, seconds, colon)
        }
        Std::Fraction { digits, trim } => fraction_text(time.nanos, digits, trim, text),
    };
    out.push_str(&written);
}

fn zone_offset(offset: i32, z: bool, minutes: bool, seconds: bool, colon: bool) -> String {
    if z && offset == 0 {
        return "Z".into();
    }
    let total = offset.abs();
    let mut out = format!("{}{:02}", if offset < 0 { '-' } else { '+' }, total / 3600);
    for (wanted, part) in [(minutes, total / 60 % 60), (seconds, total % 60)] {
        if wanted {
            if colon {
                out.push(':');
            }
            out.push_str(&format!("{part:02}"));
        }
    }
    out
}

fn fraction_text(nanos: u32, digits: usize, trim: bool, text: &str) -> String {
    let all = format!("{nanos:09}");
    let shown: String = all.chars().chain(std::iter::repeat('0')).take(digits).collect();
    let shown = if trim { shown.trim_end_matches('0') } else { &shown };
    if trim && shown.is_empty() {
        return String::new();
    }
    format!("{}{shown}", text.chars().next().unwrap_or('.'))
}

/// What a text being parsed says.
struct Parsed {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    pm: Option<bool>,
    offset: Option<i32>,
    zone: Option<String>,
}

struct Mismatch {
    /// The layout element, or a message of its own.
    element: String,
    value: String,
    message: Option<&'static str>,
}

/// `time.Parse`.
///
/// # Errors
///
/// Go's message.
pub(super) fn parse(layout: &str, value: &str) -> Result<Time, String> {
    let describe = |m: Mismatch| match m.message {
        Some(message) => format!("parsing time {}{message}", quoted(value)),
        None => format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(value),
            quoted(layout),
            quoted(&m.value),
            quoted(&m.element)
        ),
    };
    let mut parsed = Parsed {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        pm: None,
        offset: None,
        zone: None,
    };
    let (mut rest, mut input) = (layout, value);
    loop {
        let (head, found, tail) = next(rest);
        input = skip(input, head).map_err(|at| {
            describe(Mismatch { element: head.to_owned(), value: at.to_owned(), message: None })
        })?;
        let Some((std, text)) = found else {
            if !input.is_empty() {
                return Err(format!("parsing time {}: extra text: {}", quoted(value), quoted(input)));
            }
            return finish(parsed).map_err(|message| format!("parsing time {}{message}", quoted(value)));
        };
        let held = input;
        input = read(&mut parsed, std, text, input, tail).map_err(|message| {
            describe(Mismatch { element: text.to_owned(), value: held.to_owned(), message })
        })?;
        rest = tail;
    }
}

/// The time package's own quoting: everything beyond printable ASCII as `\x` bytes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for b in text.bytes() {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(b));
            }
            b' '..=0x7f => out.push(char::from(b)),
            b => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out.push('"');
    out
}

/// The input after a literal part of the layout; a space matches any number of them.
fn skip<'v>(mut value: &'v str, prefix: &str) -> Result<&'v str, &'v str> {
    let mut wanted = prefix.chars().peekable();
    while let Some(c) = wanted.next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            while wanted.peek() == Some(&' ') {
                wanted.next();
            }
            value = value.trim_start_matches(' ');
        } else {
            value = value.strip_prefix(c).ok_or(value)?;
        }
    }
    Ok(value)
}

type Read<'v> = Result<&'v str, Option<&'static str>>;

/// One or two digits (two when `fixed`).
fn two(value: &str, fixed: bool) -> Result<(u32, &str), Option<&'static str>> {
    let digits = value.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits == 0 || fixed && digits < 2 {
        return Err(None);
    }
    let (number, rest) = value.split_at_checked(digits).ok_or(None)?;
    Ok((number.parse().map_err(|_| None)?, rest))
}

fn ranged(number: u32, low: u32, high: u32, message: &'static str) -> Result<u32, Option<&'static str>> {
    if (low..=high).contains(&number) { Ok(number) } else { Err(Some(message)) }
}

fn lookup<'v>(
    names: &[&str],
    value: &'v str,
    abbreviated: bool,
) -> Result<(u32, &'v str), Option<&'static str>> {
    for (i, name) in names.iter().enumerate() {
        let name = if abbreviated { short(name) } else { name };
        if value.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            return Ok((i as u32, value.get(name.len()..).unwrap_or_default()));
        }
    }
    Err(None)
}

fn read<'v>(p: &mut Parsed, std: Std, text: &str, value: &'v str, tail: &str) -> Read<'v> {
    let rest;
    match std {
        Std::Year => {
            let (year, after) = two(value, true)?;
            p.year = i64::from(if year >= 69 { year + 1900 } else { year + 2000 });
            rest = after;
        }
        Std::LongYear => {
            let (digits, after) = value.split_at_checked(4).ok_or(None)?;
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(None);
            }
            p.year = digits.parse().map_err(|_| None)?;
            rest = after;
        }
        Std::Month | Std::LongMonth => {
            let (month, after) = lookup(&MONTHS, value, std == Std::Month)?;
            p.month = Some(month + 1);
            rest = after;
        }
        Std::NumMonth | Std::ZeroMonth => {
            let (month, after) = two(value, std == Std::ZeroMonth)?;
            p.month = Some(ranged(month, 1, 12, ": month out of range")?);
            rest = after;
        }
        Std::Weekday | Std::LongWeekday => rest = lookup(&WEEKDAYS, value, std == Std::Weekday)?.1,
        Std::Day | Std::UnderDay | Std::ZeroDay => {
            let value = if std == Std::UnderDay { value.strip_prefix(' ').unwrap_or(value) } else { value };
            let (day, after) = two(value, std == Std::ZeroDay)?;
            p.day = Some(day);
            rest = after;
        }
        Std::UnderYearDay | Std::ZeroYearDay => {
            let trimmed = if std == Std::UnderYearDay { value.trim_start_matches(' ') } else { value };
            let digits = trimmed.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let (number, after) =
                trimmed.split_at_checked(digits).filter(|(n, _)| !n.is_empty()).ok_or(None)?;
            p.year_day = Some(number.parse().map_err(|_| None)?);
            rest = after;
        }
        Std::Hour => {
            let (hour, after) = two(value, false)?;
            p.hour = ranged(hour, 0, 23, ": hour out of range")?;
            rest = after;
        }
        Std::Hour12 | Std::ZeroHour12 => {
            let (hour, after) = two(value, std == Std::ZeroHour12)?;
            p.hour = ranged(hour, 0, 12, ": hour out of range")?;
            rest = after;
        }
        Std::Minute | Std::ZeroMinute => {
            let (minute, after) = two(value, std == Std::ZeroMinute)?;
            p.minute = ranged(minute, 0, 59, ": minute out of range")?;
            rest = after;
        }
        Std::Second | Std::ZeroSecond => {
            let (second, after) = two(value, std == Std::ZeroSecond)?;
            p.second = ranged(second, 0, 59, ": second out of range")?;
            rest = implied_fraction(p, after, tail);
        }
        Std::UpperPm | Std::LowerPm => {
            let (pm, am) = if std == Std::UpperPm { ("PM", "AM") } else { ("pm", "am") };
            let after = value.strip_prefix(pm).map(|after| (true, after));
            let (is_pm, after) =
                after.or_else(|| value.strip_prefix(am).map(|after| (false, after))).ok_or(None)?;
            p.pm = Some(is_pm);
            rest = after;
        }
        Std::Offset { z, .. } => rest = read_offset(p, z, text, value)?,
        Std::Abbreviation => rest = read_abbreviation(p, value)?,
        Std::Fraction { digits, trim } => rest = read_fraction(p, digits, trim, value)?,
    }
    Ok(rest)
}

/// A fraction after the seconds is read even when the layout has none.
fn implied_fraction<'v>(p: &mut Parsed, value: &'v str, tail: &str) -> &'v str {
    let follows = matches!(next(tail), ("", Some((Std::Fraction { .. }, _)), _));
    let digits =
        value.strip_prefix(['.', ',']).map_or(0, |d| d.bytes().take_while(u8::is_ascii_digit).count());
    if follows || digits == 0 {
        return value;
    }
    read_fraction(p, digits, false, value).unwrap_or(value)
}

fn read_fraction<'v>(p: &mut Parsed, digits: usize, trim: bool, value: &'v str) -> Read<'v> {
    let Some(after) = value.strip_prefix(['.', ',']) else {
        return if trim { Ok(value) } else { Err(None) };
    };
    let present = after.bytes().take_while(u8::is_ascii_digit).count();
    let count = if trim { present } else { digits };
    let (number, rest) = after.split_at_checked(count).ok_or(None)?;
    if present < count || count == 0 {
        return if trim { Ok(value) } else { Err(None) };
    }
    let padded: String = number.chars().chain(std::iter::repeat('0')).take(9).collect();
    p.nanos = padded.parse().map_err(|_| None)?;
    Ok(rest)
}

fn read_offset<'v>(p: &mut Parsed, z: bool, text: &str, value: &'v str) -> Read<'v> {
    if z && let Some(rest) = value.strip_prefix('Z') {
        p.offset = Some(0);
        p.zone = Some("UTC".into());
        return Ok(rest);
    }
    let (written, rest) = value.split_at_checked(text.len()).ok_or(None)?;
    let mut numbers = [0i32; 3];
    let sign = match written.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return Err(None),
    };
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    let colons = written.chars().filter(|c| *c == ':').count();
    if digits.len() + colons + 1 != text.len() || colons != text.chars().filter(|c| *c == ':').count() {
        return Err(None);
    }
    for (i, slot) in numbers.iter_mut().enumerate() {
        if let Some(part) = digits.get(2 * i..2 * i + 2) {
            *slot = part.parse().map_err(|_| None)?;
        }
    }
    if numbers[0] > 24 || numbers[1] >= 60 || numbers[2] >= 60 {
        return Err(Some(": time zone offset hour out of range"));
    }
    p.offset = Some(sign * (numbers[0] * 3600 + numbers[1] * 60 + numbers[2]));
    Ok(rest)
}

fn read_abbreviation<'v>(p: &mut Parsed, value: &'v str) -> Read<'v> {
    if let Some(rest) = value.strip_prefix("UTC") {
        p.offset = Some(0);
        p.zone = Some("UTC".into());
        return Ok(rest);
    }
    let letters = value.bytes().take_while(u8::is_ascii_uppercase).count();
    if !(3..=5).contains(&letters) {
        return Err(None);
    }
    let (zone, rest) = value.split_at_checked(letters).ok_or(None)?;
    p.zone = Some(zone.to_owned());
    Ok(rest)
}

fn finish(p: Parsed) -> Result<Time, &'static str> {
    let leap = p.year.rem_euclid(4) == 0 && (p.year.rem_euclid(100) != 0 || p.year.rem_euclid(400) == 0);
    let (mut month, mut day) = (p.month.unwrap_or(1), p.day.unwrap_or(1));
    if let Some(year_day) = p.year_day {
        if year_day == 0 || year_day > 365 + u32::from(leap) {
            return Err(": day-of-year out of range");
        }
        let date = Time::utc((days(p.year, 1, 1) + i64::from(year_day) - 1) * 86_400, 0).civil();
        (month, day) = (date.month, date.day);
    }
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 31,
    };
    if day == 0 || day > last {
        return Err(": day out of range");
    }
    let hour = match p.pm {
        Some(true) if p.hour < 12 => p.hour + 12,
        Some(false) if p.hour == 12 => 0,
        _ => p.hour,
    };
    let offset = p.offset.unwrap_or(0);
    let seconds = i64::from(hour * 3600 + p.minute * 60 + p.second);
    let unix = days(p.year, month, day) * 86_400 + seconds - i64::from(offset);
    let zone = match (p.zone, p.offset) {
        (Some(zone), _) if zone == "UTC" => Zone::Utc,
        (None, None) => Zone::Utc,
        // Local is UTC: an offset of zero is local time.
        (None, Some(0)) => Zone::Utc,
        (zone, offset) => Zone::Fixed(zone.unwrap_or_default(), offset.unwrap_or(0)),
    };
    Ok(Time { unix, nanos: p.nanos, zone })
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use crate::sprig::time::Time;

    #[test]
    fn formats_every_element() {
        let time = Time::utc(1_582_934_400 + 3 * 3600 + 4 * 60 + 5, 120_000_000);
        for (layout, expect) in [
            ("2006-01-02T15:04:05Z07:00", "2020-02-29T03:04:05Z"),
            ("Mon Jan _2 15:04:05 MST 2006", "Sat Feb 29 03:04:05 UTC 2020"),
            ("Monday, January 2 06 3:4:5 PM pm", "Saturday, February 29 20 3:4:5 AM am"),
            ("002 __2 -0700 -07:00 -07", "060  60 +0000 +00:00 +00"),
            ("05.000 05.999 05,00", "05.120 05.12 05,12"),
            ("Januaryx Junk 2006_2006", "Februaryx Junk 2020_2020"),
        ] {
            assert_eq!(format(&time, layout), expect, "{layout}");
        }
    }

    #[test]
    fn zones_shift_what_is_shown() {
        let time = Time::utc(1_582_934_400, 0);
        assert_eq!(
            format(&time.within("America/New_York"), "2006-01-02 15:04 MST -07:00"),
            "2020-02-28 19:00 EST -05:00"
        );
        assert_eq!(format(&time.within("nowhere"), "15:04 MST"), "00:00 UTC");
    }

    #[test]
    fn parses_and_tells_what_is_wrong() {
        let shown = |layout: &str, value: &str| {
            parse(layout, value).map(|t| format(&t, "2006-01-02 15:04:05.999 -0700 MST"))
        };
        assert_eq!(shown("2006-01-02", "2020-02-29").as_deref(), Ok("2020-02-29 00:00:00 +0000 UTC"));
        assert_eq!(
            shown("2006-01-02T15:04:05Z07:00", "2020-02-29T01:02:03.5+02:00").as_deref(),
            Ok("2020-02-29 01:02:03.5 +0200 +02")
        );
        assert_eq!(
            shown("2006-01-02", "bad").unwrap_err(),
            r#"parsing time "bad" as "2006-01-02": cannot parse "bad" as "2006""#
        );
        assert_eq!(
            shown("2006-01-02", "2021-02-29").unwrap_err(),
            r#"parsing time "2021-02-29": day out of range"#
        );
        assert_eq!(shown("2006", "2021x").unwrap_err(), r#"parsing time "2021x": extra text: "x""#);
    }
}
