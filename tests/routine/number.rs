//! Numbers as `digits * 10^exponent`, reckoned with the slow and plain way.

use std::cell::Cell;
use std::cmp::Ordering;

thread_local! {
    static BEYOND: Cell<bool> = const { Cell::new(false) };
}

/// Whether a number was read, since this was asked last, that is too large to be reckoned with here.
pub(crate) fn beyond() -> bool {
    BEYOND.take()
}

/// A number without trailing zeros in its digits; zero is `0 * 10^0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    digits: i128,
    exponent: i64,
}

impl Number {
    /// Reads JSON; `None` for other text. What is too large stands as zero, and [`beyond`] says so.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let json: &serde_json::value::RawValue = serde_json::from_str(text).ok()?;
        if json.get() != text
            || !text.starts_with(|char: char| char == '-' || char.is_ascii_digit())
        {
            return None;
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().ok();
        let exponent = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() < 500);
        let (Some(digits), Some(exponent)) = (digits, exponent) else {
            BEYOND.set(true);
            return Some(Self { digits: 0, exponent: 0 });
        };
        Some(Self { digits, exponent: exponent - fraction.len() as i64 }.plain())
    }

    fn plain(mut self) -> Self {
        while self.digits != 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.exponent += 1;
        }
        if self.digits == 0 { Self { digits: 0, exponent: 0 } } else { self }
    }

    /// Both with one exponent; `None` where an `i128` does not hold that.
    fn aligned(self, other: Self) -> Option<(i128, i128, i64)> {
        let exponent = self.exponent.min(other.exponent);
        let digits = |number: Self| {
            let zeros = u32::try_from(number.exponent - exponent).ok()?;
            number.digits.checked_mul(10_i128.checked_pow(zeros)?)
        };
        Some((digits(self)?, digits(other)?, exponent))
    }

    /// `self * factor + offset`; `None` where an `i128` does not hold that.
    pub(crate) fn scaled(self, factor: Self, offset: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(factor.digits)?;
        let product = Self { digits, exponent: self.exponent + factor.exponent }.plain();
        if product.digits == 0 || offset.digits == 0 {
            return Some(if product.digits == 0 { offset } else { product });
        }
        let (one, two, exponent) = product.aligned(offset)?;
        Some(Self { digits: one.checked_add(two)?, exponent }.plain())
    }

    /// Which is larger.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        if let Some((mine, theirs, _)) = self.aligned(other) {
            return mine.cmp(&theirs);
        }
        // So far apart that the one with the larger exponent decides by its sign.
        let beyond =
            |number: Self| if number.digits > 0 { Ordering::Greater } else { Ordering::Less };
        match self.exponent > other.exponent {
            true => beyond(self),
            false => beyond(other).reverse(),
        }
    }

    /// An integer as it is written without point or exponent; `None` for a fraction.
    pub(crate) fn integer(self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok()?;
        Some(format!("{}{}", self.digits, "0".repeat(zeros)))
    }

    /// As it is written: plainly, save where more than 40 digits would stand before the point or six
    /// zeros and more after it.
    pub(crate) fn text(self) -> String {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let point = digits.len() as i64 + self.exponent;
        if self.digits == 0 {
            return "0".to_owned();
        }
        if !(-6..=40).contains(&point) {
            let dot = if digits.len() > 1 { "." } else { "" };
            return format!("{sign}{}{dot}{}e{}", &digits[..1], &digits[1..], point - 1);
        }
        match self.exponent {
            0.. => format!("{sign}{digits}{}", "0".repeat(self.exponent as usize)),
            _ if point > 0 => {
                let (whole, fraction) = digits.split_at(point as usize);
                format!("{sign}{whole}.{fraction}")
            }
            _ => format!("{sign}0.{}{digits}", "0".repeat(-point as usize)),
        }
    }
}
