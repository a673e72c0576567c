//! What strings have in common: a format, or a closed list of constants.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use formats::FORMATS;

/// Constants that are remembered of one place.
const CONSTANTS: usize = 6;
/// Bytes of a constant.
const CONSTANT: usize = 32;
/// How often each constant of a closed list was seen at least.
const TIMES_EACH: u32 = 3;
/// How many values of a closed list there were for each of its constants at least.
const TIMES_ALL: u64 = 5;

/// Names whose values are classes: without one, a list of few values is taken for chance.
const CLASSES: [&str; 19] = [
    "category",
    "class",
    "direction",
    "kind",
    "level",
    "method",
    "mode",
    "phase",
    "priority",
    "reason",
    "role",
    "severity",
    "stage",
    "state",
    "status",
    "tier",
    "type",
    "unit",
    "visibility",
];

/// The strings of one place.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    pub(super) seen: u64,
    /// One bit for each format that all of them have.
    formats: u8,
    /// How often each was seen; `None` once there were too many, or one that is no constant.
    constants: Option<BTreeMap<String, u32>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { seen: 0, formats: u8::MAX, constants: Some(BTreeMap::new()) }
    }
}

impl Texts {
    pub(super) fn take(&mut self, text: &str) {
        self.seen += 1;
        for (bit, (_, fits)) in FORMATS.iter().enumerate() {
            if self.formats & (1 << bit) != 0 && !fits(text) {
                self.formats &= !(1 << bit);
            }
        }
        let Some(constants) = &mut self.constants else { return };
        if is_constant(text) {
            *constants.entry(text.to_owned()).or_default() += 1;
        }
        if !is_constant(text) || constants.len() > CONSTANTS {
            self.constants = None;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        self.formats &= other.formats;
        self.constants = match (self.constants.take(), other.constants) {
            (Some(mut mine), Some(others)) => {
                others.into_iter().for_each(|(text, times)| {
                    *mine.entry(text).or_default() += times;
                });
                (mine.len() <= CONSTANTS).then_some(mine)
            }
            _ => None,
        };
    }

    /// The format that all of them have.
    pub(super) fn format(&self) -> Option<&'static str> {
        let fits = FORMATS.iter().enumerate().find(|(bit, _)| self.formats & (1 << bit) != 0);
        fits.filter(|_| self.seen > 0).map(|(_, (name, _))| *name)
    }

    /// The list of constants, where it is clearly closed: the name says a class, every constant came
    /// again and again, and there are few of them.
    pub(super) fn closed(&self, name: Option<&str>) -> Option<Vec<Value>> {
        let constants = self.constants.as_ref().filter(|found| found.len() >= 2)?;
        let words = last_word(name?);
        let class = CLASSES.contains(&words.as_str());
        let often = constants.values().all(|times| *times >= TIMES_EACH);
        let many = self.seen >= TIMES_ALL * constants.len() as u64;
        (class && often && many).then(|| constants.keys().map(|text| json!(text)).collect())
    }
}

/// Whether a text can be a constant of a list: one word.
fn is_constant(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    text.len() <= CONSTANT
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(word)
}

/// The last word of a name, in small letters: `issue_state`, `issueState`, `State`.
fn last_word(name: &str) -> String {
    let mut words = vec![String::new()];
    let mut small = false;
    for letter in name.chars() {
        let new = !letter.is_alphanumeric() || (letter.is_uppercase() && small);
        if new && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        small = letter.is_lowercase();
    }
    words.pop().unwrap_or_default()
}

/// Formats that are told apart; a text has at most one of them.
mod formats {
    /// Whether a text has a format.
    type Fits = fn(&str) -> bool;

    /// Name and test.
    pub(super) const FORMATS: [(&str, Fits); 5] =
        [("date-time", date_time), ("date", date), ("uuid", uuid), ("email", email), ("uri", uri)];

    fn digits(text: &str, count: usize) -> bool {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn date(text: &str) -> bool {
        let mut parts = text.splitn(3, '-');
        let mut next = |count| parts.next().is_some_and(|part| digits(part, count));
        next(4) && next(2) && next(2)
    }

    fn date_time(text: &str) -> bool {
        text.is_ascii()
            && text.len() >= 20
            && date(&text[..10])
            && matches!(text.as_bytes()[10], b'T' | b't')
            && text.as_bytes()[13] == b':'
            && (text.ends_with(['Z', 'z'])
                || text.as_bytes()[text.len() - 6..].first().is_some_and(|b| b"+-".contains(b)))
    }

    fn uuid(text: &str) -> bool {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    }

    fn email(text: &str) -> bool {
        let fits = |text: &str| !text.is_empty() && !text.contains(['@', ' ', '/']);
        text.split_once('@').is_some_and(|(name, host)| {
            fits(name) && fits(host) && host.contains('.') && !host.ends_with('.')
        })
    }

    fn uri(text: &str) -> bool {
        let Some((scheme, rest)) = text.split_once("://") else { return false };
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !rest.is_empty()
            && !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    }
}
