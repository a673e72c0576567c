//! Numbers that stay text: read exactly, whatever their size.

use std::cmp::Ordering;

/// The decimal of a JSON number: `digits` without leading and trailing zeros, the point standing
/// `point` digits after their start. Zero has no digits.
#[derive(Clone, Debug)]
pub(super) struct Decimal<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    /// Digits before the point once the exponent is applied. Exponents beyond 64 bits count as
    /// the largest there is.
    point: i64,
}

impl<'t> Decimal<'t> {
    /// Reads the text of a number that has passed the scan.
    pub(super) fn read(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', bytes) {
            Some(at) => (&bytes[..at], exponent(&bytes[at + 1..])),
            None => (bytes, 0),
        };
        let (mut whole, mut fraction) = match memchr::memchr(b'.', mantissa) {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        while let [rest @ .., b'0'] = fraction {
            fraction = rest;
        }
        while let [b'0', rest @ ..] = whole {
            whole = rest;
        }
        let mut point = exponent.saturating_add(i64::try_from(whole.len()).unwrap_or(i64::MAX));
        if whole.is_empty() {
            while let [b'0', rest @ ..] = fraction {
                fraction = rest;
                point = point.saturating_sub(1);
            }
        }
        if fraction.is_empty() {
            while let [rest @ .., b'0'] = whole {
                whole = rest;
            }
        }
        Self { negative, whole, fraction, point }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn is_zero(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing stands after the point.
    pub(super) fn is_integer(&self) -> bool {
        self.is_zero() || i64::try_from(self.len()).is_ok_and(|digits| digits <= self.point)
    }

    /// The integer it is, where 128 bits hold it.
    pub(super) fn integer(&self) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        // 39 digits are the most that 128 bits hold.
        if !self.is_integer() || self.point > 39 {
            return None;
        }
        let zeros = usize::try_from(self.point).ok()?.checked_sub(self.len())?;
        let digits = self.digits().chain(std::iter::repeat_n(b'0', zeros));
        let sign = if self.negative { -1 } else { 1 };
        digits
            .map(|digit| i128::from(digit - b'0') * sign)
            .try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
    }

    /// Exact order of two numbers.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign.is_ne() || self.is_zero() {
            return by_sign;
        }
        let by_size = self.point.cmp(&other.point).then_with(|| self.digits().cmp(other.digits()));
        if self.negative { by_size.reverse() } else { by_size }
    }
}

fn exponent(digits: &[u8]) -> i64 {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, digits),
    };
    let size = digits
        .iter()
        .fold(0_i64, |size, digit| size.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -size } else { size }
}
