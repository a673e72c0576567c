//! What earlier replies show.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flat::{Earlier, Flat, Scalar};
use crate::domain::negotiation::{Derivation, DerivedRelation};

/// Different values that a field must have had: what hardly changes follows from everything.
const DIFFERENT_MIN: usize = 3;
/// Letters of the constant text that a form must have, so that it tells something.
const TELLING: usize = 3;

/// What the earlier replies of one tool show of fields that follow from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Relations {
    /// Over how many replies.
    pub replies: usize,
    /// Fields that are a part of another.
    pub(super) derived: Vec<Derived>,
    /// How texts are made of constants and other fields, by place.
    pub(super) forms: BTreeMap<String, Form>,
}

/// A field that is a part of one other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Derived {
    pub(super) at: String,
    pub(super) from: String,
    /// The pattern whose first group it is.
    pub(super) pattern: String,
    pub(super) integer: bool,
}

/// A text cut up at its marks: constant words, and fields of the reply or arguments of its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Form {
    pub(super) pieces: Vec<Piece>,
    /// Other fields whose earlier values had this form too: none of them can stand for it.
    pub(super) alike: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piece {
    Text(String),
    Field { at: String, integer: bool },
    Argument(String),
}

impl Relations {
    /// What these replies show, all of them and without exception.
    #[must_use]
    pub fn shown_by(earlier: &Earlier) -> Self {
        let replies: Vec<&Flat> = earlier.replies.iter().map(|(reply, _)| reply).collect();
        let Some(first) = replies.first() else { return Self::default() };
        let everywhere: Vec<&String> =
            first.keys().filter(|at| replies.iter().all(|it| it.contains_key(*at))).collect();
        let column = |at: &str| -> Vec<&Scalar> {
            replies.iter().filter_map(|reply| reply.get(at)).collect()
        };
        let varying: Vec<(&String, Vec<&Scalar>)> = everywhere
            .into_iter()
            .map(|at| (at, column(at)))
            .filter(|(_, values)| different(values) >= DIFFERENT_MIN.min(replies.len()))
            .collect();
        let mut derived = Vec::new();
        for (at, values) in &varying {
            for (from, sources) in varying.iter().filter(|(from, _)| from != at) {
                derived.extend(follows(at, values, from, sources));
            }
        }
        let arguments: Vec<&Flat> = earlier.replies.iter().map(|(_, asked)| asked).collect();
        let mut forms: BTreeMap<String, Form> = varying
            .iter()
            .filter_map(|(at, values)| {
                Some(((*at).clone(), form(at, values, &varying, &arguments)?))
            })
            .collect();
        for (at, form) in &mut forms {
            let alike = replies.iter().flat_map(|reply| reply.iter()).filter(|(other, value)| {
                *other != at && matches!(value, Scalar::Text(text) if form.may_be(text))
            });
            form.alike = alike.map(|(other, _)| other.clone()).collect();
        }
        Self { replies: replies.len(), derived, forms }
    }

    /// Whether nothing follows from anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.derived.is_empty() && self.forms.is_empty()
    }
}

fn different(values: &[&Scalar]) -> usize {
    values.iter().map(|value| value.words()).collect::<BTreeSet<_>>().len()
}

/// Whether a column is a part of another at the same distance from its end. Two columns that are the
/// same show nothing: a thing that is new has one time for created and updated, and a bill without
/// taxes one sum for both, until the day that they differ.
fn follows(at: &str, values: &[&Scalar], from: &str, sources: &[&Scalar]) -> Option<Derived> {
    let integer = values.iter().all(|value| value.is_integer());
    let texts: Option<Vec<&str>> = sources
        .iter()
        .map(|source| match source {
            Scalar::Text(text) => Some(text.as_str()),
            Scalar::Integer(_) => None,
        })
        .collect();
    let cut: Vec<Vec<&str>> = texts?.into_iter().map(pieces).collect();
    let shortest = cut.iter().map(Vec::len).min()?;
    let back = (1..=shortest).find(|back| {
        cut.iter().zip(values).all(|(cut, value)| cut[cut.len() - back] == value.words())
    })?;
    let pattern = pattern(&cut, back, integer)?;
    Some(Derived { at: at.to_owned(), from: from.to_owned(), pattern, integer })
}

/// The pattern of the piece that stands so far from the end: what is before it as far as it is
/// constant, and all that follows.
fn pattern(cut: &[Vec<&str>], back: usize, integer: bool) -> Option<String> {
    let piece = |back: usize| -> Option<&str> {
        let all: Option<Vec<&str>> =
            cut.iter().map(|cut| cut.len().checked_sub(back).map(|at| cut[at])).collect();
        let all = all?;
        all.iter().all(|it| *it == all[0]).then_some(all[0])
    };
    let mut before = Vec::new();
    for step in back + 1..=back + 2 {
        match piece(step) {
            Some(text) => before.push(text),
            None => break,
        }
    }
    if before.is_empty() {
        return None;
    }
    // The mark before the last constant word belongs to it.
    if before.len() == 2
        && let Some(mark) = piece(back + 3).filter(|text| is_mark(text))
    {
        before.push(mark);
    }
    before.reverse();
    let mut text: String = before.iter().map(|text| escaped(text)).collect();
    text.push_str(if integer { "([0-9]+)" } else { "([^/?&=#: ]+)" });
    for step in (1..back).rev() {
        match piece(step) {
            Some(constant) => text.push_str(&escaped(constant)),
            None => text.push_str("[^/?&=#: ]+"),
        }
    }
    text.push('$');
    Some(text)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// How a column of texts is made; `None` where some of it is neither constant nor another field.
fn form(
    at: &str,
    values: &[&Scalar],
    varying: &[(&String, Vec<&Scalar>)],
    arguments: &[&Flat],
) -> Option<Form> {
    let texts: Option<Vec<&str>> = values
        .iter()
        .map(|value| match value {
            Scalar::Text(text) => Some(text.as_str()),
            Scalar::Integer(_) => None,
        })
        .collect();
    let cut: Vec<Vec<&str>> = texts?.into_iter().map(pieces).collect();
    let length = cut.first()?.len();
    if length < 2 || cut.iter().any(|it| it.len() != length) {
        return None;
    }
    let mut made = Vec::new();
    for place in 0..length {
        let here: Vec<&str> = cut.iter().map(|cut| cut[place]).collect();
        if here.iter().all(|it| *it == here[0]) {
            match made.last_mut() {
                Some(Piece::Text(text)) => text.push_str(here[0]),
                _ => made.push(Piece::Text(here[0].to_owned())),
            }
            continue;
        }
        let same = |values: &[&Scalar]| {
            here.iter().zip(values).all(|(here, value)| *here == value.words())
        };
        let field = varying.iter().find(|(other, values)| *other != at && same(values));
        let piece = match field {
            Some((other, values)) => Piece::Field {
                at: (*other).clone(),
                integer: values.iter().all(|value| value.is_integer()),
            },
            None => Piece::Argument(argument(&here, arguments)?),
        };
        made.push(piece);
    }
    let letters = made.iter().map(|piece| match piece {
        Piece::Text(text) => text.chars().filter(|letter| letter.is_alphabetic()).count(),
        _ => 0,
    });
    (letters.sum::<usize>() >= TELLING).then(|| Form { pieces: made, alike: BTreeSet::new() })
}

/// The argument that says the same in every call.
fn argument(here: &[&str], arguments: &[&Flat]) -> Option<String> {
    let said = |at: &String| {
        here.iter()
            .zip(arguments)
            .all(|(here, asked)| asked.get(at).is_some_and(|value| value.words() == *here))
    };
    arguments.first()?.keys().find(|at| said(at)).cloned()
}

impl Form {
    /// Whether a text could have this form, whatever its fields and arguments are.
    pub(super) fn may_be(&self, text: &str) -> bool {
        self.fits(text, &|_, _| true)
    }

    /// Whether a text has this form; `holds` is asked about what stands in the place of each field and
    /// argument.
    pub(super) fn fits(&self, text: &str, holds: &dyn Fn(&Piece, &str) -> bool) -> bool {
        let mut cut = pieces(text).into_iter();
        for piece in &self.pieces {
            let fits = match piece {
                Piece::Text(constant) => {
                    pieces(constant).into_iter().all(|part| cut.next() == Some(part))
                }
                Piece::Field { integer, .. } => cut.next().is_some_and(|part| {
                    let digits = part.bytes().all(|byte| byte.is_ascii_digit());
                    !is_mark(part) && (digits || !integer) && holds(piece, part)
                }),
                Piece::Argument(_) => {
                    cut.next().is_some_and(|part| !is_mark(part) && holds(piece, part))
                }
            };
            if !fits {
                return false;
            }
        }
        cut.next().is_none()
    }

    /// The text of a `template` operation, where it is made of nothing but fields of the reply.
    pub(super) fn template(&self) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(constant) => {
                    text.push_str(&constant.replace('{', "{{").replace('}', "}}"));
                }
                Piece::Field { at, .. } => text.push_str(&format!("{{{at}}}")),
                Piece::Argument(_) => return None,
            }
        }
        Some(text)
    }
}

fn is_mark(text: &str) -> bool {
    text.len() == 1 && text.starts_with(['/', '?', '&', '=', '#', ':', ' '])
}

/// A text cut at its marks, which are pieces of their own.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut cut = Vec::new();
    let mut rest = text;
    while let Some(mark) = rest.find(['/', '?', '&', '=', '#', ':', ' ']) {
        if mark > 0 {
            cut.push(&rest[..mark]);
        }
        cut.push(&rest[mark..=mark]);
        rest = &rest[mark + 1..];
    }
    if !rest.is_empty() {
        cut.push(rest);
    }
    cut
}

/// A relation as the gate reads it.
pub(super) fn relation(at: &str, from: Derivation, replies: usize) -> DerivedRelation {
    DerivedRelation { at: at.to_owned(), from, replies }
}
