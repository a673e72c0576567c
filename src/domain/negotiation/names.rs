//! How alike two names or two descriptions are, and what a likeness rests on.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::domain::drift::words::{is_verb, words};

/// Words that many fields carry: a match that rests on them alone says nothing.
const GENERIC: &[&str] = &[
    "body",
    "code",
    "content",
    "count",
    "cursor",
    "data",
    "description",
    "entity",
    "field",
    "file",
    "filter",
    "format",
    "hash",
    "id",
    "index",
    "information",
    "input",
    "item",
    "key",
    "kind",
    "label",
    "limit",
    "link",
    "list",
    "method",
    "mode",
    "name",
    "new",
    "number",
    "object",
    "offset",
    "old",
    "option",
    "output",
    "page",
    "parameter",
    "path",
    "position",
    "property",
    "record",
    "reference",
    "resource",
    "response",
    "result",
    "sha",
    "size",
    "slug",
    "start",
    "state",
    "status",
    "string",
    "text",
    "title",
    "token",
    "type",
    "url",
    "value",
];

/// Words that change nothing about what a field is.
const FILLERS: &[&str] = &["a", "an", "at", "the", "is", "has", "should", "of"];

static IS_GENERIC: LazyLock<BTreeSet<&str>> = LazyLock::new(|| GENERIC.iter().copied().collect());

/// What two names share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// The same words in any order, fillers aside.
    pub same: bool,
    /// Words of both that tell the field from others.
    pub distinguishing: Vec<String>,
    /// All words of both.
    pub shared: usize,
    /// Words that stand on one side only.
    pub apart: usize,
}

/// Compares two identifiers word by word.
#[must_use]
pub fn likeness(one: &str, other: &str) -> Likeness {
    let (one, other) = (telling(one), telling(other));
    let (mut left, mut right) = (one.clone(), other.clone());
    left.sort();
    right.sort();
    let (one, other): (BTreeSet<_>, BTreeSet<_>) =
        (one.into_iter().collect(), other.into_iter().collect());
    let both: Vec<&String> = one.intersection(&other).collect();
    Likeness {
        same: !left.is_empty() && left == right,
        distinguishing: both
            .iter()
            .filter(|w| is_distinguishing(w))
            .map(|w| (*w).clone())
            .collect(),
        shared: both.len(),
        apart: one.symmetric_difference(&other).count(),
    }
}

/// The words of an identifier without fillers; with them where there is nothing else.
fn telling(identifier: &str) -> Vec<String> {
    let all = words(identifier);
    let telling: Vec<String> =
        all.iter().filter(|word| !FILLERS.contains(&word.as_str())).cloned().collect();
    if telling.is_empty() { all } else { telling }
}

/// Whether a word tells one field from others.
#[must_use]
pub fn is_distinguishing(word: &str) -> bool {
    word.len() > 1
        && !IS_GENERIC.contains(word)
        && !FILLERS.contains(&word)
        && !word.chars().all(char::is_numeric)
}

/// The words of a tool's name that say what it is about: no verbs, no fillers.
#[must_use]
pub fn subject(identifier: &str) -> Vec<String> {
    telling(identifier).into_iter().filter(|word| !is_verb(word)).collect()
}

/// Words that say nothing in a description.
const PROSE: &[&str] = &[
    "a", "an", "the", "of", "to", "for", "in", "on", "at", "by", "with", "from", "and", "or", "is",
    "are", "be", "this", "that", "it", "its", "as", "if", "you", "your", "can", "will", "which",
    "optional", "required", "default", "eg", "e", "g", "use", "used",
];

static IS_PROSE: LazyLock<BTreeSet<&str>> = LazyLock::new(|| PROSE.iter().copied().collect());

/// The telling words of a description.
#[must_use]
pub fn said(text: &str) -> BTreeSet<String> {
    words(text).into_iter().filter(|word| !IS_PROSE.contains(word.as_str())).collect()
}

/// How alike two descriptions are, from 0 to 1: the share of telling words that both have (Dice).
/// Zero where either says nothing.
#[must_use]
pub fn text_similarity(one: &str, other: &str) -> f64 {
    shared_words(&said(one), &said(other))
}

/// As [`text_similarity`], of telling words that were read before.
#[must_use]
pub fn shared_words(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    if one.is_empty() || other.is_empty() {
        return 0.0;
    }
    // Sets of words are far smaller than 2^52.
    #[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
    let share = 2.0 * one.intersection(other).count() as f64 / (one.len() + other.len()) as f64;
    share
}

/// Whether a text says that a string holds JSON. No keyword of a plain schema says it otherwise.
#[must_use]
pub fn says_json(text: &str) -> bool {
    words(text).windows(2).any(|two| {
        two[0] == "json" && matches!(two[1].as_str(), "string" | "object" | "text" | "encoded")
    })
}

/// Whether a text says that a string holds several values with commas between them.
#[must_use]
pub fn says_comma_separated(text: &str) -> bool {
    words(text)
        .windows(2)
        .any(|two| two[0] == "comma" && matches!(two[1].as_str(), "separated" | "delimited"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_order_number_and_abbreviation_do_not_part_names() {
        for (one, other) in [
            ("issueNumber", "issue_number"),
            ("q", "query"),
            ("write_label", "label_write"),
            ("is_draft", "draft"),
            ("repo", "repository"),
        ] {
            assert!(likeness(one, other).same, "{one} {other}");
        }
    }

    #[test]
    fn a_match_on_a_generic_word_is_no_match() {
        for (one, other) in
            [("user_id", "order_id"), ("file_name", "name"), ("run_id", "resource_id")]
        {
            assert!(likeness(one, other).distinguishing.is_empty(), "{one} {other}");
        }
        assert_eq!(likeness("provider", "document_provider").distinguishing, ["provider"]);
    }

    #[test]
    fn descriptions_are_compared_by_their_telling_words() {
        assert!(text_similarity("The city to look up", "City to look up.") > 0.9);
        assert!(text_similarity("The city", "") < 0.1);
    }
}
