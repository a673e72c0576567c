//! What a text looks like: its class, its marks, the number or the moment in it. No text is kept.

use super::feature::Trait;

/// Characters of a text that are looked at.
const LOOKED_AT: usize = 512;

/// The classes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A moment that ends in `Z`.
    Utc,
    /// A moment with an offset.
    Offset,
    /// A moment without either.
    Local,
    /// `2026-11-21`.
    Day,
    /// `21.11.2026`.
    Dotted,
    /// `11/21/2026`.
    Slashed,
    /// Digits alone.
    Whole,
    /// A number with a point before its last digits.
    Point,
    /// A number with a comma before its last digits.
    Comma,
    /// A number with something before or after it.
    Measure,
    /// A URL.
    Url,
    /// A name of hexadecimal digits, or of letters and digits.
    Code,
    /// One word.
    Word,
    /// Several words.
    Prose,
}

impl Class {
    /// Its name.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Utc => "moments in UTC",
            Self::Offset => "moments with an offset",
            Self::Local => "moments without an offset",
            Self::Day => "ISO dates",
            Self::Dotted => "dates with points",
            Self::Slashed => "dates with slashes",
            Self::Whole => "digits",
            Self::Point => "numbers with a decimal point",
            Self::Comma => "numbers with a decimal comma",
            Self::Measure => "numbers with a unit or currency",
            Self::Url => "URLs",
            Self::Code => "codes",
            Self::Word => "single words",
            Self::Prose => "several words",
        }
    }
}

/// What a text is.
pub(super) struct Read {
    pub(super) class: Class,
    /// The number in it.
    pub(super) number: Option<f64>,
    /// Milliseconds since 1970 of the moment that it is; one without an offset is read as UTC.
    pub(super) moment: Option<f64>,
    /// The hour that it says.
    pub(super) hour: Option<u32>,
    /// Minutes that its clock is ahead of UTC, where it says so.
    pub(super) offset: Option<i64>,
}

pub(super) fn read(text: &str) -> Read {
    let text = text.trim();
    let plain = |class| Read { class, number: None, moment: None, hour: None, offset: None };
    if let Some(moment) = moment(text) {
        return moment;
    }
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && bytes.len() <= 40 {
        if let Some(class) = day_of_parts(bytes) {
            return plain(class);
        }
        if let Some(numeral) = numeral(text) {
            return numeral;
        }
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return plain(Class::Url);
    }
    if text.contains(char::is_whitespace) {
        return plain(Class::Prose);
    }
    plain(if digits > 0 { Class::Code } else { Class::Word })
}

/// The decimal at these places, where there are only digits.
fn decimal(bytes: &[u8], from: usize, to: usize) -> Option<i64> {
    let digits = bytes.get(from..to)?;
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

fn moment(text: &str) -> Option<Read> {
    let bytes = text.as_bytes();
    let (year, month, day) = (decimal(bytes, 0, 4)?, decimal(bytes, 5, 7)?, decimal(bytes, 8, 10)?);
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let days = days(year, month, day);
    if bytes.len() == 10 {
        let moment = Some(days * 86_400_000.0);
        return Some(Read { class: Class::Day, number: None, moment, hour: None, offset: None });
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') || bytes.get(13) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (decimal(bytes, 11, 13)?, decimal(bytes, 14, 16)?);
    let second = decimal(bytes, 17, 19).unwrap_or(0);
    let rest = text.get(16..)?;
    let sign = rest.rfind(['+', '-']);
    let (class, offset) = match sign {
        _ if rest.ends_with(['Z', 'z']) => (Class::Utc, 0),
        Some(at) => {
            let told = rest.as_bytes().get(at + 1..)?;
            let hours = decimal(told, 0, 2).unwrap_or(0);
            let minutes = decimal(told, told.len().saturating_sub(2), told.len()).unwrap_or(0);
            let minutes = hours * 60 + if told.len() > 2 { minutes } else { 0 };
            (Class::Offset, if rest.as_bytes()[at] == b'-' { -minutes } else { minutes })
        }
        None => (Class::Local, 0),
    };
    let seconds = (hour * 60 + minute - offset) * 60 + second;
    let moment = Some(days * 86_400_000.0 + seconds as f64 * 1_000.0);
    let told = (class != Class::Local).then_some(offset);
    Some(Read { class, number: None, moment, hour: u32::try_from(hour).ok(), offset: told })
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> f64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) as f64
}

fn day_of_parts(bytes: &[u8]) -> Option<Class> {
    let ends = |mark: u8| {
        let mut parts = bytes.split(|byte| *byte == mark);
        let (one, two, year) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |part: &[u8], most| {
            !part.is_empty() && part.len() <= most && part.iter().all(u8::is_ascii_digit)
        };
        let year = year.split(|byte| *byte == b' ').next()?;
        (number(one, 2) && number(two, 2) && year.len() == 4 && number(year, 4)).then_some(())
    };
    ends(b'.').map(|()| Class::Dotted).or_else(|| ends(b'/').map(|()| Class::Slashed))
}

/// A number, alone or with a unit or a currency beside it.
fn numeral(text: &str) -> Option<Read> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '\u{a0}');
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let signed = text[..start].ends_with(['-', '\u{2212}']);
    let end = text[start..].find(|c| !is_part(c)).map_or(text.len(), |end| start + end);
    let core = text[start..end].trim_end_matches(['.', ',']);
    let before = text[..start].trim_end_matches(['-', '\u{2212}', '+']).trim();
    let after = text[start + core.len()..].trim();
    // Something beside it may be a word or a sign, never a sentence or a code.
    let beside = |text: &str| text.len() <= 8 && !text.contains(|c: char| c.is_ascii_digit());
    if !beside(before) || !beside(after) || (!before.is_empty() && !after.is_empty()) {
        return None;
    }
    let mark = core.rfind(['.', ',']).filter(|at| core.len() - at - 1 != 3 || core.len() > 8);
    let whole: String =
        core[..mark.unwrap_or(core.len())].chars().filter(char::is_ascii_digit).collect();
    let part = mark.map_or("", |at| &core[at + 1..]);
    let number: f64 = format!("{whole}.{part}0").parse().ok()?;
    let class = match mark.map(|at| core.as_bytes()[at]) {
        _ if !before.is_empty() || !after.is_empty() => Class::Measure,
        Some(b',') => Class::Comma,
        Some(_) => Class::Point,
        None if core.len() == whole.len() => Class::Whole,
        None => Class::Point,
    };
    if before.is_empty()
        && !after.is_empty()
        && text.as_bytes().get(end).is_some_and(|next| next.is_ascii_alphabetic())
        && whole.len() < 2
    {
        return None;
    }
    let number = Some(if signed { -number } else { number });
    Some(Read { class, number, moment: None, hour: None, offset: None })
}

/// Words that stand in nearly every English text.
const COMMON: [&str; 12] =
    ["the", "of", "and", "to", "in", "is", "for", "on", "with", "a", "not", "after"];

/// Adds the marks of a text: length, letters, digits, how it ends.
pub(super) fn marks(text: &str, class: Class, add: &mut dyn FnMut(Trait, f64)) {
    let looked: Vec<char> = text.chars().take(LOOKED_AT).collect();
    let count = looked.len().max(1) as f64;
    let share = |is: fn(&char) -> bool| looked.iter().filter(|c| is(c)).count() as f64 / count;
    add(Trait::Length, (text.len() as f64 + 4.0).log2());
    add(Trait::Upper, share(|c| c.is_uppercase()));
    add(Trait::Digits, share(char::is_ascii_digit));
    if class != Class::Prose {
        return;
    }
    let foreign = looked.iter().any(|c| c.is_alphabetic() && !c.is_ascii());
    add(Trait::Foreign, f64::from(u8::from(foreign)));
    let ended = looked.last().is_some_and(|c| c.is_ascii_punctuation() && *c != '\u{2026}');
    let cut = text.ends_with("...") || text.ends_with('\u{2026}');
    if text.len() <= LOOKED_AT {
        add(Trait::Ended, f64::from(u8::from(ended && !cut)));
    }
    let english = text
        .split_whitespace()
        .take(40)
        .any(|word| COMMON.iter().any(|common| word.eq_ignore_ascii_case(common)));
    add(Trait::English, f64::from(u8::from(english)));
}
