//! Resource quantities: `100m`, `1.5Gi`, `2`.

/// A quantity in billionths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Quantity(pub(crate) i128);

const NANO: i128 = 1_000_000_000;

impl Quantity {
    pub(crate) fn count(n: usize) -> Self {
        Self(n as i128 * NANO)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || whole.len() > 24 || fraction.contains('.') {
            return None;
        }
        let mut value: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        value = value.checked_mul(NANO)?;
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        value += digits.parse::<i128>().ok()?;
        let value = scale(value, suffix)?;
        Some(Self(if negative { -value } else { value }))
    }

    /// Reads a JSON number or text.
    pub(crate) fn of(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

fn scale(value: i128, suffix: &str) -> Option<i128> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|s| *s == suffix);
    if let Some(power) = binary {
        return value.checked_mul(1i128 << (10 * (power + 1)));
    }
    let exponent: i32 = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|e: &i32| e.abs() <= 18)?,
    };
    let factor = 10i128.pow(exponent.unsigned_abs());
    if exponent >= 0 {
        value.checked_mul(factor)
    } else {
        Some(value / factor + i128::from(value % factor != 0))
    }
}

/// How sums of a resource are written: `binary` for memory, thousandths allowed for the rest.
pub(crate) fn format(quantity: Quantity, binary: bool) -> String {
    let (sign, value) = if quantity.0 < 0 { ("-", -quantity.0) } else { ("", quantity.0) };
    if value % NANO != 0 {
        for (unit, suffix) in [(NANO / 1000, "m"), (1000, "u"), (1, "n")] {
            if value % unit == 0 {
                return format!("{sign}{}{suffix}", value / unit);
            }
        }
    }
    let mut whole = value / NANO;
    let (base, suffixes): (i128, &[&str]) = if binary {
        (1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
    } else {
        (1000, &["", "k", "M", "G", "T", "P", "E"])
    };
    let mut step = 0;
    while whole != 0 && whole % base == 0 && step + 1 < suffixes.len() {
        whole /= base;
        step += 1;
    }
    format!("{sign}{whole}{}", suffixes.get(step).copied().unwrap_or_default())
}

/// A sum in the form of `like`: `1Gi` keeps its powers of two.
pub(crate) fn format_like(quantity: Quantity, like: &str) -> String {
    format(quantity, like.ends_with('i'))
}

/// The canonical text of a quantity, or `None` when it is none or written with an exponent.
pub(crate) fn canonical(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let exponent = text.contains(['e', 'E']) && !text.ends_with('E') && !text.ends_with("Ei");
    if exponent {
        return value.is_number().then_some(text);
    }
    Quantity::parse(&text).map(|q| format_like(q, &text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Quantity, canonical};

    #[test]
    fn canonical_forms() {
        for (given, wanted) in [
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            ("2000", "2k"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100Mi", "100Mi"),
            ("0", "0"),
            ("1024", "1024"),
            ("-1", "-1"),
            ("1M", "1M"),
            ("10n", "10n"),
        ] {
            assert_eq!(canonical(&json!(given)).as_deref(), Some(wanted), "{given}");
        }
        assert_eq!(canonical(&json!(2)).as_deref(), Some("2"));
        assert_eq!(canonical(&json!("nope")), None);
    }

    #[test]
    fn order() {
        let parse = |t: &str| Quantity::parse(t).expect("a quantity");
        assert!(parse("1Gi") > parse("1G"));
        assert_eq!(parse("1e3"), parse("1k"));
        assert_eq!(Quantity::parse("1.2.3"), None);
        assert_eq!(Quantity::parse("9999999999999999999999999999"), None);
    }
}
