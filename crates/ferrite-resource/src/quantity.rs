//! Resource quantities: `100m`, `1Gi`, `0.5` (apimachinery `resource.Quantity`).

/// A quantity as an exact number: `mantissa × 10^exponent`, without trailing zeros in the mantissa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
}

/// The finest step Kubernetes keeps: a nano unit. Finer amounts are rounded up, away from zero.
const FINEST: i32 = -9;

impl Quantity {
    /// Reads a quantity. `None` when the text is not one, or has more digits than can be compared exactly.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let (factor, exponent) = scale(suffix)?;
        mantissa = mantissa.checked_mul(factor)?;
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        Some(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent }.normal())
    }

    fn normal(mut self) -> Self {
        let mut rest = false;
        while self.exponent < FINEST && self.mantissa != 0 {
            rest |= self.mantissa % 10 != 0;
            self.mantissa /= 10;
            self.exponent += 1;
            if self.mantissa == 0 {
                break;
            }
        }
        if rest {
            self.mantissa += if self.mantissa < 0 { -1 } else { 1 };
            self.exponent = self.exponent.max(FINEST);
        }
        while self.mantissa != 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        if self.mantissa == 0 {
            self.exponent = 0;
        }
        self
    }
}

/// The factor and the power of ten of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            (1, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 100)?)
        }
    })
}

/// Whether two texts are the same amount. Texts that are no quantities are the same when they are equal.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    left == right || matches!((Quantity::parse(left), Quantity::parse(right)), (Some(l), Some(r)) if l == r)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn amounts_are_compared_not_spellings() {
        for (left, right, expect) in [
            ("1", "1000m", true),
            ("0.5", "500m", true),
            ("1Gi", "1024Mi", true),
            ("1G", "1Gi", false),
            ("1e3", "1k", true),
            ("1E3", "1000", true),
            ("1E", "1000P", true),
            ("-1", "-1000m", true),
            ("-1", "1", false),
            ("+1.50", "1500m", true),
            ("0", "0Gi", true),
            ("0.0000000001", "1n", true),
            ("1.0000000001", "1000000001n", true),
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("1.2.3", "1.2", false),
            ("", "0", false),
            (".5", "500m", true),
            ("1e999999", "1e999998", false),
            ("99999999999999999999999999999999999999999", "99999999999999999999999999999999999999998", false),
        ] {
            assert_eq!(same(left, right), expect, "{left} and {right}");
        }
    }
}
