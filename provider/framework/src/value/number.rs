//! Exact numbers: a decimal of any length, because Terraform's numbers have far more digits than
//! a float keeps. It never computes; it parses, compares and prints.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How long a number's text may be; longer text is refused.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The largest exponent either way that is accepted.
const EXPONENT_MAX: i64 = 1_000_000;

/// How many zeros are written out before the exponent is written instead.
const ZEROS_WRITTEN_MAX: i64 = 512;

/// No float needs more digits than this to be written exactly.
const F64_DIGITS_MAX: usize = 767;

/// An exact number: `digits × 10^exponent`, with no zero at either end of the digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// The text is not a number, or a float is infinite or not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a finite decimal number")]
pub struct InvalidNumber;

impl Number {
    /// Keeps what the float says exactly, to the last binary digit.
    pub fn from_f64_exact(value: f64) -> Result<Self, InvalidNumber> {
        if !value.is_finite() {
            return Err(InvalidNumber);
        }
        // The smallest float has 1074 fractional digits, so that this is never rounded.
        format!("{value:.1074}").parse()
    }

    /// The shortest decimal that reads back as this float: `0.1` stays `0.1`.
    pub fn from_f64_shortest(value: f64) -> Result<Self, InvalidNumber> {
        if !value.is_finite() {
            return Err(InvalidNumber);
        }
        format!("{value:e}").parse()
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The float that is this very number, where there is one.
    pub fn to_exact_f64(&self) -> Option<f64> {
        // Without its last zeros, a fraction of powers of two ends in a five, and has two digits
        // for every three places or more.
        let places = usize::try_from(self.exponent.saturating_neg()).unwrap_or_default();
        let too_few = places > 0 && self.digits.len() < places / 3 * 2;
        if too_few
            || self.digits.len() > F64_DIGITS_MAX
            || places > 0 && !self.digits.ends_with('5')
        {
            return None;
        }
        let float = self.to_f64();
        let is_exact = Self::from_f64_exact(float).as_ref() == Ok(self);
        is_exact.then_some(float)
    }

    /// Whether it has no fraction.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// The integer, where it is one and fits.
    pub fn to_i128(&self) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        if self.exponent < 0 || self.exponent > 39 || self.digits.len() > 39 {
            return None;
        }
        let power = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}", self.digits)
            .parse::<i128>()
            .ok()?
            .checked_mul(power)
    }

    fn new(negative: bool, digits: &str, exponent: i64) -> Result<Self, InvalidNumber> {
        let digits = digits.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() {
            return Ok(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let zeros = i64::try_from(digits.len() - trimmed.len()).map_err(|_| InvalidNumber)?;
        let exponent = exponent.checked_add(zeros).ok_or(InvalidNumber)?;
        if exponent.abs() > EXPONENT_MAX {
            return Err(InvalidNumber);
        }
        Ok(Self {
            negative,
            digits: trimmed.to_owned(),
            exponent,
        })
    }

    /// The exponent of the first digit, which orders magnitudes.
    fn magnitude(&self) -> i64 {
        i64::try_from(self.digits.len())
            .unwrap_or(i64::MAX)
            .saturating_add(self.exponent)
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(InvalidNumber);
        }
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (
                mantissa,
                exponent.parse::<i64>().map_err(|_| InvalidNumber)?,
            ),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !only_digits(whole) || !only_digits(fraction) {
            return Err(InvalidNumber);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| InvalidNumber)?;
        let exponent = exponent.checked_sub(places).ok_or(InvalidNumber)?;
        Self::new(negative, &format!("{whole}{fraction}"), exponent)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return formatter.write_str("0");
        }
        if self.negative {
            formatter.write_str("-")?;
        }
        let point = self.magnitude();
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        if self.exponent > ZEROS_WRITTEN_MAX || point < -ZEROS_WRITTEN_MAX {
            return write!(formatter, "{}e{}", self.digits, self.exponent);
        }
        if self.exponent >= 0 {
            let zeros = usize::try_from(self.exponent).unwrap_or_default();
            return write!(formatter, "{}{:0<zeros$}", self.digits, "");
        }
        if point > 0 && point < length {
            let (whole, fraction) = self.digits.split_at(usize::try_from(point).unwrap_or(0));
            return write!(formatter, "{whole}.{fraction}");
        }
        let zeros = usize::try_from(-point).unwrap_or_default();
        write!(formatter, "0.{:0<zeros$}{}", "", self.digits)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            // No digit string ends in a zero, so that the order of text is the order of value.
            let sizes = self
                .magnitude()
                .cmp(&other.magnitude())
                .then_with(|| self.digits.cmp(&other.digits));
            if self.negative {
                sizes.reverse()
            } else {
                sizes
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(value: $integer) -> Self {
                let text = value.to_string();
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(digits) => (true, digits),
                    None => (false, text.as_str()),
                };
                let trimmed = digits.trim_end_matches('0');
                let zeros = if trimmed.is_empty() { 0 } else { digits.len() - trimmed.len() };
                Self {
                    negative,
                    digits: trimmed.to_owned(),
                    exponent: i64::try_from(zeros).unwrap_or_default(),
                }
            }
        }
    )*};
}

from_integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, i128);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn every_digit_survives() {
        for text in [
            "0",
            "-1",
            "9007199254740993",
            "123456789012345678901234567890.123456789012345678901234567891",
            "0.1",
            "-0.000123",
            "100",
            "0.5",
        ] {
            assert_eq!(number(text).to_string(), text);
        }
    }

    #[test]
    fn one_value_has_one_form() {
        assert_eq!(number("1.50"), number("15e-1"));
        assert_eq!(number("-0"), number("0.000"));
        assert_eq!(number("1e3"), Number::from(1000_i64));
        assert_eq!(number("+7"), number("007"));
    }

    #[test]
    fn order_is_numeric() {
        let mut numbers: Vec<Number> = ["10", "9", "-10", "-9", "0", "0.5", "0.05", "9.5"]
            .map(number)
            .to_vec();
        numbers.sort();
        let text: Vec<String> = numbers.iter().map(Number::to_string).collect();
        assert_eq!(text, ["-10", "-9", "0", "0.05", "0.5", "9", "9.5", "10"]);
    }

    #[test]
    fn floats_are_kept_exactly_or_as_people_write_them() {
        assert_eq!(
            Number::from_f64_exact(0.1).unwrap(),
            number("0.1000000000000000055511151231257827021181583404541015625")
        );
        assert_eq!(Number::from_f64_shortest(0.1).unwrap(), number("0.1"));
        assert_eq!(Number::from_f64_exact(f64::NAN), Err(InvalidNumber));
        assert_eq!(Number::from_f64_shortest(f64::INFINITY), Err(InvalidNumber));
    }

    #[test]
    fn a_float_stands_for_a_number_only_where_it_is_the_very_same() {
        for (text, float) in [
            ("1.5", Some(1.5)),
            ("-0.0000152587890625", Some(-0.0000152587890625)),
            ("3", Some(3.0)),
            ("0.1", None),
            ("0.15", None),
            ("9007199254740993", None),
        ] {
            assert_eq!(number(text).to_exact_f64(), float, "{text}");
        }
        for float in [f64::MIN_POSITIVE, f64::MAX, f64::EPSILON, 5e-324] {
            let exact = Number::from_f64_exact(float).unwrap();
            assert_eq!(exact.to_exact_f64(), Some(float));
        }
    }

    #[test]
    fn integers_convert_only_where_they_fit() {
        assert_eq!(
            number("-9223372036854775808").to_i128(),
            Some(i128::from(i64::MIN))
        );
        assert_eq!(number("1.5").to_i128(), None);
        assert_eq!(number("1e60").to_i128(), None);
    }

    #[test]
    fn nonsense_and_absurd_exponents_are_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "e5",
            "1e",
            "0x10",
            "NaN",
            "1e99999999999999999999",
        ] {
            assert_eq!(text.parse::<Number>(), Err(InvalidNumber), "{text}");
        }
        assert_eq!("1e9999999".parse::<Number>(), Err(InvalidNumber));
        assert_eq!(
            "1".repeat(TEXT_BYTES_MAX + 1).parse::<Number>(),
            Err(InvalidNumber)
        );
    }
}
