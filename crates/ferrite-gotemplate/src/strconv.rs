//! Numbers from and to text, as Go's `strconv` does it.

/// Why an integer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntError {
    /// Not a number.
    Syntax,
    /// Too large; the nearest representable value.
    Range,
}

/// `strconv.ParseUint(text, base, 64)`; base 0 reads the prefix and allows `_`.
pub(crate) fn parse_uint(text: &str, base: u32) -> Result<u64, IntError> {
    if text.is_empty() {
        return Err(IntError::Syntax);
    }
    let (base, digits, prefixed) = if base == 0 { split_base(text) } else { (base, text, false) };
    if digits.is_empty() {
        return Err(IntError::Syntax);
    }
    let mut value: u64 = 0;
    let mut overflow = false;
    let mut underscores = false;
    for c in digits.chars() {
        if c == '_' && prefixed {
            underscores = true;
            continue;
        }
        let digit = c.to_digit(base).ok_or(IntError::Syntax)?;
        match value.checked_mul(u64::from(base)).and_then(|v| v.checked_add(u64::from(digit))) {
            Some(v) => value = v,
            None => overflow = true,
        }
    }
    if underscores && !underscores_ok(text) {
        return Err(IntError::Syntax);
    }
    if overflow { Err(IntError::Range) } else { Ok(value) }
}

fn split_base(text: &str) -> (u32, &str, bool) {
    let bytes = text.as_bytes();
    if bytes[0] == b'0' {
        for (marks, base) in [("bB", 2), ("oO", 8), ("xX", 16)] {
            if bytes.len() >= 3 && marks.as_bytes().contains(&bytes[1]) {
                return (base, text.get(2..).unwrap_or_default(), true);
            }
        }
        if bytes.len() > 1 {
            return (8, text.get(1..).unwrap_or_default(), true);
        }
    }
    (10, text, true)
}

/// Underscores may only stand between digits, or between the base prefix and a digit.
fn underscores_ok(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    let bytes = text.as_bytes();
    let mut previous = b'^';
    let mut rest = bytes;
    let mut hex = false;
    if bytes.len() >= 2 && bytes[0] == b'0' && b"bBoOxX".contains(&bytes[1]) {
        previous = b'0';
        hex = matches!(bytes[1], b'x' | b'X');
        rest = &bytes[2..];
    }
    for c in rest {
        if c.is_ascii_digit() || hex && c.is_ascii_hexdigit() {
            previous = b'0';
        } else if *c == b'_' {
            if previous != b'0' {
                return false;
            }
            previous = b'_';
        } else {
            if previous == b'_' {
                return false;
            }
            previous = b'!';
        }
    }
    previous != b'_'
}

/// `strconv.ParseInt(text, base, 64)`.
pub(crate) fn parse_int(text: &str, base: u32) -> Result<i64, IntError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(_) => (false, text),
        None => return Err(IntError::Syntax),
    };
    let value = parse_uint(digits, base)?;
    if negative {
        if value > 1 << 63 { Err(IntError::Range) } else { Ok((value as i64).wrapping_neg()) }
    } else {
        i64::try_from(value).map_err(|_| IntError::Range)
    }
}

/// What `n, _ := strconv.ParseInt(text, 10, 64)` leaves in `n`: the nearest number, or 0 for what is none.
pub(crate) fn nearest_int(text: &str) -> i64 {
    match parse_int(text, 10) {
        Ok(int) => int,
        Err(IntError::Range) if text.starts_with('-') => i64::MIN,
        Err(IntError::Range) => i64::MAX,
        Err(IntError::Syntax) => 0,
    }
}

/// `strconv.ParseFloat(text, 64)`: decimal, hexadecimal, infinities; overflow is not a number.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let clean;
    let mut text = text;
    if text.contains('_') {
        if !underscores_ok(text) {
            return None;
        }
        clean = text.replace('_', "");
        text = &clean;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let value = parse_hex(hex)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if !unsigned.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let shift = exponent - 4 * i32::try_from(fraction.len()).ok()?;
    let value = value * 2f64.powi(shift);
    value.is_finite().then_some(value)
}

/// Decimal digits and the position of the point: `0.digits * 10^point`.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

fn decimal(text: &str) -> Digits {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits == b"0" {
        return Digits { digits: Vec::new(), point: 0 };
    }
    Digits { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 }
}

/// `strconv.FormatFloat(f, verb, precision, 64)` for the verbs `e E f g G x X b`; no precision means shortest.
#[must_use]
pub fn format_float(f: f64, verb: u8, precision: Option<usize>) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let magnitude = f.abs();
    let mut out = String::new();
    if f.is_sign_negative() {
        out.push('-');
    }
    match verb {
        b'e' | b'E' => {
            let precision = precision.map(|p| p.min(1000));
            let d = match precision {
                Some(p) => decimal(&format!("{magnitude:.p$e}")),
                None => decimal(&format!("{magnitude:e}")),
            };
            let p = precision.unwrap_or(d.digits.len().max(1) - 1);
            write_e(&mut out, &d, p, verb);
        }
        b'f' | b'F' => match precision {
            Some(p) => out.push_str(&format!("{magnitude:.p$}", p = p.min(1000))),
            None => out.push_str(&format!("{magnitude}")),
        },
        b'g' | b'G' => write_g(&mut out, magnitude, verb, precision),
        b'x' | b'X' => write_hex(&mut out, magnitude, verb, precision),
        _ => {
            let bits = magnitude.to_bits();
            let (exponent, mantissa) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
            let (exponent, mantissa) =
                if exponent == 0 { (1, mantissa) } else { (exponent, mantissa | 1 << 52) };
            let power = exponent - 1023 - 52;
            out.push_str(&format!("{mantissa}p{power:+}"));
        }
    }
    out
}

fn write_g(out: &mut String, magnitude: f64, verb: u8, precision: Option<usize>) {
    let (d, mut eprec, mut precision, shortest) = match precision {
        None => {
            let d = decimal(&format!("{magnitude:e}"));
            (d, 6, 6, true)
        }
        Some(p) => {
            let p = p.clamp(1, 1000);
            (decimal(&format!("{magnitude:.q$e}", q = p - 1)), p as i32, p, false)
        }
    };
    let count = d.digits.len() as i32;
    if !shortest && eprec > count && count >= d.point {
        eprec = count;
    }
    let exponent = d.point - 1;
    if exponent < -4 || exponent >= eprec {
        if shortest || precision > d.digits.len() {
            precision = d.digits.len();
        }
        write_e(out, &d, precision.max(1) - 1, if verb == b'g' { b'e' } else { b'E' });
        return;
    }
    let fraction = (count - d.point).max(0) as usize;
    write_f(out, &d, fraction);
}

fn write_e(out: &mut String, d: &Digits, precision: usize, verb: u8) {
    out.push(char::from(d.digits.first().copied().unwrap_or(b'0')));
    if precision > 0 {
        out.push('.');
        for i in 1..=precision {
            out.push(char::from(d.digits.get(i).copied().unwrap_or(b'0')));
        }
    }
    out.push(char::from(verb));
    let exponent = if d.digits.is_empty() { 0 } else { d.point - 1 };
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
}

fn write_f(out: &mut String, d: &Digits, fraction: usize) {
    if d.point > 0 {
        for i in 0..d.point as usize {
            out.push(char::from(d.digits.get(i).copied().unwrap_or(b'0')));
        }
    } else {
        out.push('0');
    }
    if fraction > 0 {
        out.push('.');
        for i in 0..fraction {
            let at = d.point + i as i32;
            let digit = usize::try_from(at).ok().and_then(|at| d.digits.get(at)).copied().unwrap_or(b'0');
            out.push(char::from(digit));
        }
    }
}

fn write_hex(out: &mut String, magnitude: f64, verb: u8, precision: Option<usize>) {
    let mut start = out.len();
    let bits = magnitude.to_bits();
    let mut exponent = (bits >> 52) as i32;
    let mut mantissa = bits & ((1 << 52) - 1);
    if exponent == 0 {
        exponent = 1;
    } else {
        mantissa |= 1 << 52;
    }
    exponent -= 1023;
    if mantissa == 0 {
        exponent = 0;
    } else {
        while mantissa & 1 << 52 == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
    }
    mantissa <<= 8;
    if let Some(p) = precision
        && p < 13
    {
        let shift = 60 - p * 4;
        let extra = mantissa & ((1 << shift) - 1);
        mantissa >>= shift;
        let half = 1u64 << (shift - 1);
        if extra > half || extra == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    out.push_str("0x");
    out.push(if mantissa >> 60 & 1 == 1 { '1' } else { '0' });
    let mut fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(p) => {
            fraction.truncate(p);
            while fraction.len() < p {
                fraction.push('0');
            }
        }
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(&fraction);
    }
    out.push_str(&format!("p{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
    if verb == b'X' {
        let upper = out.split_off(start).to_ascii_uppercase();
        out.push_str(&upper);
        start = 0;
    }
    let _: usize = start;
}
