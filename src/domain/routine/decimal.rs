//! Exact decimal arithmetic on the text of JSON numbers: `1e400` survives, `0.1` stays `0.1`.

use std::cmp::Ordering;

/// More digits than this are not reckoned with.
const DIGITS_MAX: usize = 1024;
/// Exponents beyond this are not reckoned with.
const EXPONENT_MAX: i64 = 100_000;
/// Up to how many digits before the point a number is written without an exponent.
const PLAIN_MAX: i64 = 40;

/// `digits * 10^exponent`, normalised, so that equal values are equal structures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Most significant first, neither leading nor trailing zeros; empty is zero.
    digits: Vec<u8>,
    exponent: i64,
}

/// Whether a text is a number by the grammar of RFC 8259.
pub(super) fn is_number(text: &str) -> bool {
    parts(text).is_some()
}

/// Sign, whole digits, fraction digits, exponent text.
fn parts(text: &str) -> Option<(bool, &str, &str, &str)> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, "0"),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let leading = whole.len() > 1 && whole.starts_with('0');
    let sound = !whole.is_empty()
        && !leading
        && digits(whole)
        && digits(fraction)
        && !unsigned.is_empty()
        && digits(unsigned);
    sound.then_some((negative, whole, fraction, exponent))
}

impl Decimal {
    /// Reads a JSON number; `None` for other text and beyond the limits of this module.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, whole, fraction, exponent) = parts(text)?;
        let exponent: i64 = exponent.parse().ok()?;
        if exponent.abs() > EXPONENT_MAX || whole.len() + fraction.len() > DIGITS_MAX {
            return None;
        }
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let fraction = i64::try_from(fraction.len()).ok()?;
        Some(Self { negative, digits, exponent: exponent - fraction }.normalised())
    }

    fn normalised(mut self) -> Self {
        let leading = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..leading);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            self = Self { negative: false, digits: Vec::new(), exponent: 0 };
        }
        self
    }

    /// Whether it is zero.
    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The product; `None` beyond the limits.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let (short, long) = if self.digits.len() < other.digits.len() {
            (&self.digits, &other.digits)
        } else {
            (&other.digits, &self.digits)
        };
        let mut sums = vec![0_u32; short.len() + long.len()];
        for (i, a) in short.iter().enumerate() {
            for (j, b) in long.iter().enumerate() {
                // At most 1,024 products of 81 meet in one place.
                sums[i + j + 1] += u32::from(*a) * u32::from(*b);
            }
        }
        let mut carry = 0;
        for sum in sums.iter_mut().rev() {
            *sum += carry;
            carry = *sum / 10;
            *sum %= 10;
        }
        let digits = sums.into_iter().filter_map(|digit| u8::try_from(digit).ok()).collect();
        let negative = self.negative != other.negative;
        Self { negative, digits, exponent: self.exponent + other.exponent }.normalised().bounded()
    }

    /// The sum; `None` beyond the limits.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        if self.is_zero() || other.is_zero() {
            return Some(if self.is_zero() { other.clone() } else { self.clone() });
        }
        let exponent = self.exponent.min(other.exponent);
        let (mine, theirs) = (self.aligned(exponent)?, other.aligned(exponent)?);
        let width = mine.len().max(theirs.len()) + 1;
        let (mine, theirs) = (padded(mine, width), padded(theirs, width));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, added(&mine, &theirs))
        } else if mine >= theirs {
            (self.negative, taken(&mine, &theirs))
        } else {
            (other.negative, taken(&theirs, &mine))
        };
        Self { negative, digits, exponent }.normalised().bounded()
    }

    /// Which is larger.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        if self.is_zero() || other.is_zero() {
            return self.digits.len().cmp(&other.digits.len());
        }
        // With equal places before the point, the digits decide from the left.
        self.point().cmp(&other.point()).then_with(|| self.digits.cmp(&other.digits))
    }

    /// Digits before the decimal point; negative for zeros after it.
    fn point(&self) -> i64 {
        self.exponent + i64::try_from(self.digits.len()).unwrap_or(i64::MAX)
    }

    fn aligned(&self, exponent: i64) -> Option<Vec<u8>> {
        let zeros = usize::try_from(self.exponent - exponent).ok()?;
        let mut digits = self.digits.clone();
        (digits.len() + zeros <= 4 * DIGITS_MAX).then(|| digits.resize(digits.len() + zeros, 0))?;
        Some(digits)
    }

    fn bounded(self) -> Option<Self> {
        let small = self.digits.len() <= DIGITS_MAX && self.exponent.abs() <= EXPONENT_MAX;
        small.then_some(self)
    }

    /// An integer without point or exponent; `None` for a fraction or beyond the limits.
    pub(super) fn integer_text(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok()?;
        if self.is_zero() || self.digits.len() + zeros > DIGITS_MAX {
            return self.is_zero().then(|| "0".to_owned());
        }
        Some(format!("{}{}{}", self.sign(), text_of(&self.digits), "0".repeat(zeros)))
    }

    /// As a JSON number.
    pub(super) fn text(&self) -> String {
        let (sign, digits, point) = (self.sign(), text_of(&self.digits), self.point());
        if self.is_zero() {
            return "0".to_owned();
        }
        if !(-6..=PLAIN_MAX).contains(&point) {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            return format!("{sign}{first}{dot}{rest}e{}", point - 1);
        }
        let whole = usize::try_from(point).unwrap_or(0);
        match (whole, digits.len() > whole) {
            (0, _) => {
                let zeros = usize::try_from(-point).unwrap_or(0);
                format!("{sign}0.{}{digits}", "0".repeat(zeros))
            }
            (_, true) => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
            (_, false) => format!("{sign}{digits}{}", "0".repeat(whole - digits.len())),
        }
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }
}

fn text_of(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}

fn padded(digits: Vec<u8>, width: usize) -> Vec<u8> {
    let mut out = vec![0; width - digits.len()];
    out.extend(digits);
    out
}

fn added(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut out: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let sum = a + b + carry;
            carry = sum / 10;
            sum % 10
        })
        .collect();
    out.reverse();
    out
}

/// `a - b`, where `a` is not the smaller.
fn taken(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let (take, next) = (b + borrow, u8::from(*a < b + borrow));
            borrow = next;
            a + 10 * next - take
        })
        .collect();
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_read_by_the_grammar_of_json_alone() {
        for good in ["0", "-0", "10", "1.50", "-1.5e+10", "1E400", "0.001"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", " 1", "1 ", "1.e1"]
        {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        for (a, b, product, sum) in [
            ("1.5", "1000", "1500", "1001.5"),
            ("0.1", "0.2", "0.02", "0.3"),
            ("1e400", "1000", "1e403", ""),
            ("-12", "0.5", "-6", "-11.5"),
            ("99999999999999999999", "1", "99999999999999999999", "100000000000000000000"),
            ("12", "-12", "-144", "0"),
            ("0", "7", "0", "7"),
            ("0.00000001", "1", "1e-8", "1.00000001"),
        ] {
            assert_eq!(decimal(a).times(&decimal(b)).unwrap().text(), product, "{a} * {b}");
            if !sum.is_empty() {
                assert_eq!(decimal(a).plus(&decimal(b)).unwrap().text(), sum, "{a} + {b}");
            }
        }
    }

    #[test]
    fn values_compare_whatever_their_spelling() {
        assert_eq!(decimal("1.0"), decimal("1"));
        assert_eq!(decimal("100"), decimal("1E2"));
        assert_eq!(decimal("-0"), decimal("0.00"));
        for (a, b, order) in [
            ("9", "10", Ordering::Less),
            ("-9", "-10", Ordering::Greater),
            ("0.5", "0.49", Ordering::Greater),
            ("0", "0.1", Ordering::Less),
            ("0", "-0.1", Ordering::Greater),
            ("1e3", "1000", Ordering::Equal),
        ] {
            assert_eq!(decimal(a).compare(&decimal(b)), order, "{a} {b}");
        }
    }

    #[test]
    fn integers_are_written_plainly() {
        assert_eq!(decimal("1E2").integer_text().unwrap(), "100");
        assert_eq!(decimal("-5.0").integer_text().unwrap(), "-5");
        assert_eq!(decimal("5.5").integer_text(), None);
        assert_eq!(decimal("1e5000").integer_text(), None);
    }
}
