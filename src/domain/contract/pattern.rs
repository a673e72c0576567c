//! `pattern`, by the linear engine; patterns that are a row of byte classes, as most are, by their
//! bytes.

use jsonschema::{Keyword, ValidationError};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use serde_json::Value;

use crate::domain::json::{InPlace, Judged};

/// A pattern's compiled size, in bytes.
const SIZE: usize = 1 << 20;

/// A compiled pattern (ECMA-262, searched for anywhere in a string). A string with half of a
/// surrogate pair matches none.
pub(super) struct Pattern {
    text: String,
    way: Way,
}

enum Way {
    Bytes(Row),
    Engine(Regex),
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// Where it is no pattern, or needs more than the linear engine has.
    pub(super) fn compile(source: &Value) -> Result<Self, ValidationError<'static>> {
        let faulty =
            || ValidationError::custom(format!("{source} is no pattern that is supported"));
        let text = source.as_str().ok_or_else(faulty)?;
        let translated = jsonschema_regex::to_rust_regex(text).map_err(|()| faulty())?;
        let hir = regex_syntax::parse(&translated).map_err(|_| faulty())?;
        let way = match Row::of(&hir) {
            Some(row) => Way::Bytes(row),
            None => {
                let engine = RegexBuilder::new(&translated).size_limit(SIZE).build();
                Way::Engine(engine.map_err(|_| faulty())?)
            }
        };
        Ok(Self { text: text.to_owned(), way })
    }

    fn matches(&self, text: &str) -> bool {
        match &self.way {
            Way::Bytes(row) => row.matches(text.as_bytes()),
            Way::Engine(engine) => engine.is_match(text),
        }
    }
}

impl<'i> Keyword<'i, InPlace> for Pattern {
    fn validate(&self, judged: Judged<'i>) -> Result<(), ValidationError<'i>> {
        if self.is_valid(judged) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("the value does not match {:?}", self.text)))
    }

    fn is_valid(&self, judged: Judged<'i>) -> bool {
        match jsonschema::json::Node::as_string(&judged) {
            Some(text) => self.matches(&text),
            None => !judged.is_torn_string(),
        }
    }
}

/// ASCII classes one after another from the start of the text, none of which can take a byte that
/// the next ones need: one walk decides, without going back.
struct Row {
    steps: Vec<Step>,
    /// Nothing may stand after them.
    whole: bool,
}

/// Between `min` and `max` bytes of a class.
#[derive(Clone, Copy)]
struct Step {
    /// A bit for each ASCII byte.
    class: u128,
    min: u32,
    max: u32,
}

impl Row {
    /// The row that a pattern is; `None` where it is none.
    fn of(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let [first, middle @ .., last] = &parts[..] else { return None };
        if !is(first, Look::Start) {
            return None;
        }
        let whole = is(last, Look::End);
        let middle = if whole { middle } else { &parts[1..] };
        let mut steps = Vec::new();
        for part in middle {
            match part.kind() {
                HirKind::Literal(literal) => {
                    for byte in &literal.0 {
                        steps.push(Step {
                            class: 1_u128.checked_shl(u32::from(*byte))?,
                            min: 1,
                            max: 1,
                        });
                    }
                }
                HirKind::Class(class) => steps.push(Step { class: ascii(class)?, min: 1, max: 1 }),
                HirKind::Repetition(repeated) => {
                    let class = match repeated.sub.kind() {
                        HirKind::Class(class) => ascii(class)?,
                        HirKind::Literal(literal) => match literal.0[..] {
                            [byte] => 1_u128.checked_shl(u32::from(byte))?,
                            _ => return None,
                        },
                        _ => return None,
                    };
                    let max = repeated.max.unwrap_or(u32::MAX);
                    steps.push(Step { class, min: repeated.min, max });
                }
                _ => return None,
            }
        }
        let row = Self { steps, whole };
        row.decides().then_some(row)
    }

    /// Whether no step of a varying length can take what belongs to a later one.
    fn decides(&self) -> bool {
        self.steps.iter().enumerate().all(|(at, step)| {
            let mut after = self.steps[at + 1..].iter();
            step.min == step.max
                || loop {
                    match after.next() {
                        None => break true,
                        Some(next) if next.class & step.class != 0 => break false,
                        Some(next) if next.min > 0 => break true,
                        Some(_) => {}
                    }
                }
        })
    }

    fn matches(&self, text: &[u8]) -> bool {
        let mut rest = text;
        for step in &self.steps {
            let most = rest.len().min(step.max as usize);
            let taken = rest[..most].iter().take_while(|byte| step.takes(**byte)).count();
            if taken < step.min as usize {
                return false;
            }
            rest = &rest[taken..];
        }
        rest.is_empty() || !self.whole
    }
}

impl Step {
    fn takes(&self, byte: u8) -> bool {
        byte < 128 && self.class >> byte & 1 == 1
    }
}

fn is(part: &Hir, look: Look) -> bool {
    matches!(part.kind(), HirKind::Look(found) if *found == look)
}

/// The class as bits; `None` where it holds more than ASCII.
fn ascii(class: &Class) -> Option<u128> {
    let Class::Unicode(class) = class else { return None };
    let mut bits = 0;
    for range in class.iter() {
        for char in range.start()..=range.end() {
            bits |= 1_u128.checked_shl(u32::from(char))?;
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 24] = [
        "",
        "A",
        "ABC",
        "ABCD",
        "AB-1",
        "AB-12",
        "AB-",
        "abc",
        "a1",
        "1",
        "12",
        "a-b",
        "a b",
        "é",
        "aé",
        "Aéb",
        "\n",
        "ABC\n",
        "a.b",
        "a..b",
        "1.5",
        "2026-11-21",
        "x-y-z",
        "ééé",
    ];

    #[test]
    fn a_row_of_classes_says_what_the_engine_says() {
        let rows = [
            ("^[A-Z]{3}$", true),
            ("^[A-Z]{2}-[0-9]+$", true),
            ("^\\d{4}-\\d{2}-\\d{2}$", true),
            ("^[a-z][a-z0-9]*$", true),
            ("^a", true),
            ("^[A-Z]+", true),
            ("^-?\\d+$", true),
            ("^[a-z]+\\.?[a-z]$", false),
            ("^[a-z]*-?[a-z]+$", false),
            ("[A-Z]{3}", false),
            ("^[^a]$", false),
            ("^.{3}$", false),
            ("^(a|b)+$", false),
            ("^\\S+$", false),
        ];
        for (text, bytes) in rows {
            let pattern = Pattern::compile(&Value::from(text)).unwrap();
            assert_eq!(matches!(pattern.way, Way::Bytes(_)), bytes, "{text}");
            let engine = Regex::new(&jsonschema_regex::to_rust_regex(text).unwrap()).unwrap();
            for subject in TEXTS {
                assert_eq!(
                    pattern.matches(subject),
                    engine.is_match(subject),
                    "{text} on {subject:?}"
                );
            }
        }
    }

    #[test]
    fn what_the_linear_engine_lacks_is_no_pattern() {
        for text in ["(a", "(?=a)b", "(a)\\1"] {
            assert!(Pattern::compile(&Value::from(text)).is_err(), "{text}");
        }
    }
}
