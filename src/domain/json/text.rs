//! The content of strings that are kept escaped (RFC 8259 section 7).

/// The code points of an escaped content; a lone surrogate comes as itself.
///
/// The content has passed the scan: what could not stand there is not expected here.
pub(super) fn code_points(content: &[u8]) -> CodePoints<'_> {
    CodePoints { rest: content }
}

/// See [`code_points`].
#[derive(Clone, Debug)]
pub(super) struct CodePoints<'t> {
    rest: &'t [u8],
}

impl CodePoints<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The rest of a UTF-8 sequence of `length` bytes whose first byte held `lead`.
    fn sequence(&mut self, lead: u8, length: usize) -> u32 {
        (1..length).fold(u32::from(lead), |point, _| {
            point << 6 | u32::from(self.byte().unwrap_or_default() & 0x3f)
        })
    }

    fn escape(&mut self) -> Option<u32> {
        Some(match self.byte()? {
            b'b' => 0x08,
            b't' => 0x09,
            b'n' => 0x0a,
            b'f' => 0x0c,
            b'r' => 0x0d,
            b'u' => self.unicode()?,
            other => u32::from(other),
        })
    }

    fn unicode(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let unit = hex4(digits)?;
        if !is_high(unit) {
            return Some(unit);
        }
        let [b'\\', b'u', after @ ..] = self.rest else { return Some(unit) };
        let Some(low) = after.get(..4).and_then(hex4).filter(|&low| is_low(low)) else {
            return Some(unit);
        };
        self.rest = &after[4..];
        Some(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
    }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(match self.byte()? {
            b'\\' => self.escape()?,
            byte @ 0xf0.. => self.sequence(byte & 0x07, 4),
            byte @ 0xe0.. => self.sequence(byte & 0x0f, 3),
            byte @ 0xc0.. => self.sequence(byte & 0x1f, 2),
            byte => u32::from(byte),
        })
    }
}

/// Resolves an escaped content; a lone surrogate becomes U+FFFD.
pub(super) fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let mut points = code_points(&rest.as_bytes()[at..]);
        let point = points.next().unwrap_or_default();
        out.push(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[rest.len() - points.rest.len()..];
    }
    out.push_str(rest);
    out
}

/// Four hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// The first half of a surrogate pair.
pub(super) fn is_high(unit: u32) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

/// The second half of a surrogate pair.
pub(super) fn is_low(unit: u32) -> bool {
    (0xdc00..0xe000).contains(&unit)
}
