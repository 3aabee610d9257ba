//! What a plain scalar means.
//!
//! Two dialects, because Kubernetes' tools read a file twice: go-yaml v3 first (mostly YAML 1.2), then YAML 1.1 as
//! `sigs.k8s.io/yaml` has it, where `yes` and `on` are booleans.

/// Whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-yaml v3 decoding into untyped values.
    Yaml12,
    /// go-yaml v2, as in `sigs.k8s.io/yaml`.
    Yaml11,
}

/// The meaning of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// An integer that fits 64 bits only without a sign.
    Uint(u64),
    /// A floating point number, infinities and NaN included.
    Float(f64),
    /// A date or time, as RFC 3339 text.
    Timestamp(String),
    /// A string.
    Str,
}

/// Resolves the text of a plain scalar.
#[must_use]
pub fn resolve(text: &str, dialect: Dialect) -> Resolved {
    let Some(first) = text.bytes().next() else { return Resolved::Null };
    match first {
        b'0'..=b'9' | b'+' | b'-' => number(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Resolved::Float(f64::INFINITY),
            _ => float(text).map_or(Resolved::Str, Resolved::Float),
        },
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' => match text {
            "~" | "null" | "Null" | "NULL" => Resolved::Null,
            "true" | "True" | "TRUE" => Resolved::Bool(true),
            "false" | "False" | "FALSE" => Resolved::Bool(false),
            "n" | "N" | "no" | "No" | "NO" if dialect == Dialect::Yaml11 => Resolved::Bool(false),
            _ => Resolved::Str,
        },
        b'y' | b'Y' | b'o' | b'O' if dialect == Dialect::Yaml11 => match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Resolved::Bool(true),
            "off" | "Off" | "OFF" => Resolved::Bool(false),
            _ => Resolved::Str,
        },
        _ => Resolved::Str,
    }
}

fn number(text: &str) -> Resolved {
    match text {
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        _ => {}
    }
    if let Some(time) = timestamp(text) {
        return Resolved::Timestamp(time);
    }
    // Most scalars that start with a digit are no numbers (versions, durations): leave early.
    if !text
        .bytes()
        .all(|b| b.is_ascii_hexdigit() || matches!(b, b'_' | b'+' | b'-' | b'.' | b'x' | b'X' | b'o' | b'O'))
    {
        return Resolved::Str;
    }
    let stripped;
    let digits = if text.contains('_') {
        stripped = text.replace('_', "");
        stripped.as_str()
    } else {
        text
    };
    integer(digits).or_else(|| float(digits).map(Resolved::Float)).unwrap_or(Resolved::Str)
}

/// Go's `strconv.ParseInt(s, 0, 64)`, then `ParseUint`.
fn integer(text: &str) -> Option<Resolved> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return (magnitude <= 1 << 63).then(|| Resolved::Int((magnitude as i64).wrapping_neg()));
    }
    match i64::try_from(magnitude) {
        Ok(int) => Some(Resolved::Int(int)),
        Err(_) if signed => None,
        Err(_) => Some(Resolved::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$` and in range.
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if exponent.is_some_and(|exponent| exponent.is_empty() || !digits(exponent)) {
        return None;
    }
    let well_formed = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    if !well_formed {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// The formats go-yaml accepts: `2006-1-2`, with a time after `T`, `t` (zone needed) or a space (no zone).
fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes.get(4) != Some(&b'-') || !bytes.iter().take(4).all(u8::is_ascii_digit) {
        return None;
    }
    let year: u32 = text.get(..4)?.parse().ok()?;
    let mut cursor = Cursor { rest: text.get(5..)? };
    let month = cursor.number(1, 2)?;
    cursor.expect('-')?;
    let day = cursor.number(1, 2)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let zoned = match cursor.rest.chars().next() {
        None => return Some(format!("{date}T00:00:00Z")),
        Some('T' | 't') => true,
        Some(' ') => false,
        Some(_) => return None,
    };
    cursor.rest = cursor.rest.get(1..)?;
    let time = clock(&mut cursor)?;
    let zone = if zoned { zone(&mut cursor)? } else { "Z".to_owned() };
    cursor.rest.is_empty().then(|| format!("{date}T{time}{zone}"))
}

fn clock(cursor: &mut Cursor<'_>) -> Option<String> {
    let hour = cursor.number(1, 2)?;
    cursor.expect(':')?;
    let minute = cursor.number(1, 2)?;
    cursor.expect(':')?;
    let second = cursor.number(1, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if let Some(rest) = cursor.rest.strip_prefix(['.', ',']) {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..end)?;
        if digits.is_empty() {
            return None;
        }
        cursor.rest = rest.get(end..)?;
        let kept = digits.get(..9.min(digits.len()))?.trim_end_matches('0');
        if !kept.is_empty() {
            time.push('.');
            time.push_str(kept);
        }
    }
    Some(time)
}

fn zone(cursor: &mut Cursor<'_>) -> Option<String> {
    if let Some(rest) = cursor.rest.strip_prefix('Z') {
        cursor.rest = rest;
        return Some("Z".to_owned());
    }
    let sign = cursor.rest.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    cursor.rest = cursor.rest.get(1..)?;
    let hour = cursor.number(2, 2)?;
    cursor.expect(':')?;
    let minute = cursor.number(2, 2)?;
    if hour > 24 || minute > 60 {
        return None;
    }
    Some(if hour == 0 && minute == 0 { "Z".to_owned() } else { format!("{sign}{hour:02}:{minute:02}") })
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let length = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if length < least {
            return None;
        }
        let number = self.rest.get(..length)?.parse().ok()?;
        self.rest = self.rest.get(length..)?;
        Some(number)
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Resolved, resolve};

    #[track_caller]
    fn check(text: &str, yaml12: &str, yaml11: &str) {
        let show = |dialect| match resolve(text, dialect) {
            Resolved::Null => "null".to_owned(),
            Resolved::Bool(value) => value.to_string(),
            Resolved::Int(value) => format!("int {value}"),
            Resolved::Uint(value) => format!("uint {value}"),
            Resolved::Float(value) => format!("float {value}"),
            Resolved::Timestamp(value) => format!("time {value}"),
            Resolved::Str => "str".to_owned(),
        };
        assert_eq!(
            (show(Dialect::Yaml12).as_str(), show(Dialect::Yaml11).as_str()),
            (yaml12, yaml11),
            "{text:?}"
        );
    }

    #[test]
    fn words() {
        check("", "null", "null");
        check("~", "null", "null");
        check("yes", "str", "true");
        check("Off", "str", "false");
        check("n", "str", "false");
        check("TRUE", "true", "true");
        check("tRue", "str", "str");
        check("nope", "str", "str");
    }

    #[test]
    fn numbers() {
        for (text, expect) in [
            ("0777", "int 511"),
            ("0o777", "int 511"),
            ("00012", "int 10"),
            ("089", "float 89"),
            ("0b101", "int 5"),
            ("1_000", "int 1000"),
            ("+12", "int 12"),
            ("0x1F", "int 31"),
            ("-0x1F", "int -31"),
            ("0x", "str"),
            ("18446744073709551615", "uint 18446744073709551615"),
            ("18446744073709551616", "float 18446744073709552000"),
            ("1.10", "float 1.1"),
            ("1e3", "float 1000"),
            ("1e", "str"),
            ("1e400", "str"),
            (".5", "float 0.5"),
            (".", "str"),
            ("1.2.3", "str"),
            ("-", "str"),
            ("190:20:30", "str"),
            ("10m", "str"),
            ("-9223372036854775808", "int -9223372036854775808"),
        ] {
            check(text, expect, expect);
        }
    }

    #[test]
    fn times() {
        for (text, expect) in [
            ("2001-01-01", "time 2001-01-01T00:00:00Z"),
            ("2001-1-1 10:00:00.500", "time 2001-01-01T10:00:00.5Z"),
            ("2001-12-14t21:59:43.10-05:00", "time 2001-12-14T21:59:43.1-05:00"),
            ("2001-02-30", "str"),
            ("2001-01-01T10:00:00", "str"),
        ] {
            check(text, expect, expect);
        }
    }
}
