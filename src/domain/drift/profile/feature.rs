//! What is followed of a field.

use super::chart::Sort;
use super::words::Class;

/// Values that a field is told apart by, at most; a field with more is no choice.
pub(super) const CHOICES: usize = 8;

/// One figure of a field. The value of a call is the mean over the field's values in that reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trait {
    /// Not there, though the object around it is.
    Absent,
    /// Null.
    Null,
    /// A text, list or object without content.
    Empty,
    /// Logarithm of a number's magnitude.
    Level,
    /// A number below zero.
    Negative,
    /// A number with a fraction.
    Fraction,
    /// How many decimals a number has, in eighths.
    Decimals,
    /// Logarithm of a text's length.
    Length,
    /// Capital letters in a text.
    Upper,
    /// Digits in a text.
    Digits,
    /// Prose with letters beyond ASCII.
    Foreign,
    /// Prose that ends with a mark of punctuation.
    Ended,
    /// Prose with common English words.
    English,
    /// A text of this class.
    Class(Class),
    /// A moment between midnight and six, as it is written.
    Night,
    /// How far a moment is from the call, on a logarithmic scale.
    Lag,
    /// The choice of this place among those that were seen.
    Choice(u8),
    /// A choice that was not among them.
    Novel,
    /// The same value as in the reply before.
    Repeat,
    /// Another value than the same thing had some time ago, changed as the values of other things are.
    Mapped,
    /// A moment in a time zone far from the usual one.
    Zone,
    /// Logarithm of a number by what the same thing had some time ago.
    Ratio,
    /// The first of two numbers or moments is the smaller one.
    Ordered,
    /// The same reply as before to the same arguments.
    Still,
}

/// In which calls a figure that was not found counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// In all with a text.
    Texts,
    /// In all with a number.
    Numbers,
    /// In all with any value.
    Values,
    /// In none: it is told or it is not.
    Told,
}

impl Trait {
    pub(super) const fn sort(self) -> Sort {
        match self {
            Self::Absent | Self::Null | Self::Empty | Self::Repeat | Self::Still | Self::Zone => {
                Sort::Growth(0.3)
            }
            Self::Mapped => Sort::Growth(0.5),
            Self::Novel => Sort::Growth(0.25),
            Self::Level | Self::Length => Sort::Level(0.12),
            Self::Ratio => Sort::Level(0.08),
            Self::Lag => Sort::Level(0.3),
            _ => Sort::Share,
        }
    }

    pub(super) const fn among(self) -> Among {
        match self {
            Self::Negative | Self::Fraction | Self::Decimals => Among::Numbers,
            Self::Class(_) => Among::Texts,
            Self::Null | Self::Empty => Among::Values,
            _ => Among::Told,
        }
    }

    /// Its word in evidence.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Null => "null",
            Self::Empty => "empty",
            Self::Level => "magnitude",
            Self::Negative => "negative",
            Self::Fraction => "fraction",
            Self::Decimals => "decimals",
            Self::Length => "length",
            Self::Upper => "capitals",
            Self::Digits => "digits",
            Self::Foreign => "letters",
            Self::Ended => "ending",
            Self::English => "language",
            Self::Class(_) => "format",
            Self::Night => "hour",
            Self::Lag => "distance",
            Self::Choice(_) => "choice",
            Self::Novel => "novel",
            Self::Repeat => "repeat",
            Self::Mapped => "mapped",
            Self::Zone => "zone",
            Self::Ratio => "ratio",
            Self::Ordered => "order",
            Self::Still => "still",
        }
    }

    /// What moved, in words.
    pub(super) fn told(self, was: f64, is: f64) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let shares = |what: &str| format!("{what}: {} were, {} are", percent(was), percent(is));
        let factor = (is - was).exp2();
        match self {
            Self::Level => format!("numbers are about {factor:.3} times as large as they were"),
            Self::Ratio => format!("numbers of known things are about {factor:.3} times as large"),
            Self::Length => format!("texts are about {factor:.3} times as long as they were"),
            Self::Lag => format!(
                "moments were about {:.2} h from the call and are about {:.2} h",
                hours(was),
                hours(is)
            ),
            Self::Decimals => {
                format!("numbers had {:.1} decimals and have {:.1}", was * 8.0, is * 8.0)
            }
            Self::Class(class) => shares(class.word()),
            Self::Absent => shares("absent"),
            Self::Null => shares("null"),
            Self::Empty => shares("empty"),
            Self::Negative => shares("negative numbers"),
            Self::Fraction => shares("numbers with a fraction"),
            Self::Upper => shares("capital letters"),
            Self::Digits => shares("digits in texts"),
            Self::Foreign => shares("texts with letters beyond ASCII"),
            Self::Ended => shares("texts that end with punctuation"),
            Self::English => shares("texts with common English words"),
            Self::Night => shares("moments between midnight and six"),
            Self::Choice(at) => shares(&format!("choice {}", at + 1)),
            Self::Novel => shares("choices that were never seen"),
            Self::Repeat => shares("the same value as before"),
            Self::Mapped => shares("known things changed all alike"),
            Self::Zone => shares("moments in another time zone"),
            Self::Ordered => shares("the first is the smaller one"),
            Self::Still => shares("the same reply to the same call"),
        }
    }
}

/// The logarithmic scale of distances between moments.
pub(super) fn lag(millis: f64) -> f64 {
    let hours = millis / 3_600_000.0;
    (1.0 + 4.0 * hours.abs()).log2().copysign(hours)
}

fn hours(lag: f64) -> f64 {
    ((lag.abs().exp2() - 1.0) / 4.0).copysign(lag)
}
