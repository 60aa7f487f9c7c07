//! Exact decimal numbers for sprig's `addf`, `mulf`, `divf`: 0.1 + 0.2 is 0.3.

use num_bigint::BigInt;
use num_bigint::Sign;

use super::Failure;
use crate::template::strconv;

/// Decimals of a quotient.
const DIVISION_DECIMALS: i64 = 16;

/// A whole number times a power of ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i64,
}

impl Decimal {
    /// The number that the shortest text of a float says.
    pub(super) fn from_float(number: f64) -> Result<Decimal, Failure> {
        if !number.is_finite() {
            let name = strconv::format_float(number, 'g', None);
            return Err(Failure::new(format!("Cannot create a Decimal from {name}")));
        }
        // Rust prints `-1.5e-7`, with the fewest digits as Go does.
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i64);
        let digits = mantissa.replace('.', "").parse().unwrap_or_default();
        Ok(Decimal { digits, exponent: exponent.parse::<i64>().unwrap_or(0) - decimals })
    }

    /// The nearest float.
    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    pub(super) fn add(&self, other: &Decimal) -> Result<Decimal, Failure> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Decimal { digits: self.scaled(exponent) + other.scaled(exponent), exponent })
    }

    pub(super) fn sub(&self, other: &Decimal) -> Result<Decimal, Failure> {
        let exponent = self.exponent.min(other.exponent);
        Ok(Decimal { digits: self.scaled(exponent) - other.scaled(exponent), exponent })
    }

    pub(super) fn mul(&self, other: &Decimal) -> Result<Decimal, Failure> {
        Ok(Decimal { digits: &self.digits * &other.digits, exponent: self.exponent + other.exponent })
    }

    /// The quotient with 16 decimals, halves rounded away from 0.
    pub(super) fn div(&self, other: &Decimal) -> Result<Decimal, Failure> {
        if other.digits.sign() == Sign::NoSign {
            return Err(Failure::new("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + DIVISION_DECIMALS;
        let mut dividend = self.digits.clone();
        let mut divisor = other.digits.clone();
        if shift >= 0 {
            dividend *= power_of_ten(shift);
        } else {
            divisor *= power_of_ten(-shift);
        }
        let (mut quotient, rest) = (&dividend / &divisor, &dividend % &divisor);
        let twice: BigInt = rest * 2;
        if twice.magnitude() >= divisor.magnitude() {
            let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
            quotient += if negative { -1 } else { 1 };
        }
        Ok(Decimal { digits: quotient, exponent: -DIVISION_DECIMALS })
    }

    fn scaled(&self, exponent: i64) -> BigInt {
        &self.digits * power_of_ten(self.exponent - exponent)
    }
}

fn power_of_ten(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}
