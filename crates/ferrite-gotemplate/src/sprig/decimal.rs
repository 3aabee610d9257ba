//! Exact decimal arithmetic for `addf` and its siblings, as shopspring/decimal does it.

use num_bigint::{BigInt, Sign};

use crate::{error::Error, strconv::format_float};

/// Digits after the point that a division keeps.
const PRECISION: i64 = 16;

/// `digits * 10^exponent`.
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i64,
}

impl Decimal {
    /// The shortest decimal that reads back as `f`.
    pub(super) fn new(f: f64) -> Result<Self, Error> {
        if !f.is_finite() {
            return Err(Error::plain(format!(
                "Cannot create a Decimal from {}",
                format_float(f, b'g', None)
            )));
        }
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or_default();
        Ok(Self { digits, exponent: exponent.parse::<i64>().unwrap_or(0) - fraction.len() as i64 })
    }

    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// Both numbers' digits at one exponent.
    fn aligned(&self, other: &Self) -> (BigInt, BigInt, i64) {
        let exponent = self.exponent.min(other.exponent);
        let scale = |d: &Self| &d.digits * power(d.exponent - exponent);
        (scale(self), scale(other), exponent)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { digits: a + b, exponent }
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { digits: a - b, exponent }
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        Self { digits: &self.digits * &other.digits, exponent: self.exponent + other.exponent }
    }

    /// Rounds half away from zero at 16 digits after the point.
    pub(super) fn div(&self, other: &Self) -> Result<Self, Error> {
        if other.digits.sign() == Sign::NoSign {
            return Err(Error::plain("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + PRECISION;
        let (a, b) = if shift >= 0 {
            (&self.digits * power(shift), other.digits.clone())
        } else {
            (self.digits.clone(), &other.digits * power(-shift))
        };
        let quotient = &a / &b;
        let rest = &a - &quotient * &b;
        let up = (rest.magnitude() * 2u32) >= *b.magnitude();
        let step = if a.sign() == b.sign() { 1 } else { -1 };
        let digits = if up { quotient + step } else { quotient };
        Ok(Self { digits, exponent: -PRECISION })
    }
}

fn power(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}
