//! What the values of a tool's replies are like, field by field, and whether they still are: the same
//! shape with another meaning.
//!
//! ```text
//!   reply ──► walk ──► figures of each field ──► charts (reference | ring of new batches)
//!                                                     │ every batch
//!                                                     ▼
//!                                             look ──► score 0 to 100, findings
//! ```
//!
//! A figure is compared as a control chart does it: the mean of the newest batches against a reference
//! that follows slowly, by the measure of how far batches strayed before. What grows, comes in waves,
//! or hangs together within a session widens that measure by itself. The chance of every figure is
//! corrected for their number and for the windows that are tried.
//!
//! Never here: a text of a payload (digests of short ones are kept, to tell choices apart); memory
//! that grows with traffic; a reference that learns from what it was alarmed by.

mod chart;
mod feature;
mod field;
mod memory;
mod tail;
mod walk;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use chart::{CHANCES, WINDOWS};
use feature::Trait;
use field::Field;
use memory::{Memory, hash};
use walk::{Walk, given};

use crate::domain::message::UnixMillis;

/// Findings of one look that are told.
const TOLD: usize = 8;
/// The chance of a false alarm in one look that a drop of 10 points stands for, as a power of ten:
/// with a look every ten calls, one in a hundred thousand calls as long as the model holds.
const DECADES: f64 = 4.0;
/// Looks without a drop, one after another, after which the values are taken to be back.
const CALM: u32 = 5;

/// What a profile is held by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileSettings {
    /// Calls of a batch.
    pub every_calls: u32,
    /// Replies that the first reference is made of.
    pub least: u32,
    /// Points that the score must drop by, and more.
    pub drop: u32,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self { every_calls: 10, least: 100, drop: 10 }
    }
}

/// A figure that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The field, as a pointer with `*` for items; or two neighbours whose order is meant.
    pub pointer: String,
    /// The figure.
    pub kind: &'static str,
    /// The figure in the reference: a share, or a logarithm to the base of 2.
    pub was: f64,
    /// The same in the newest batches.
    pub is: f64,
    /// Its chance if nothing had changed, as a power of ten, corrected for all that was compared.
    pub chance: f64,
    /// In words.
    pub message: String,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// 100: as it always was. Each 2.5 points less: ten times as rare, after correction.
    pub score: f64,
    /// What moved, the rarest first; empty unless the score dropped far enough.
    pub findings: Vec<Finding>,
    /// Comparisons that the chance was corrected for.
    pub comparisons: usize,
    /// The values dropped out of their profile before and are back for long enough.
    pub recovered: bool,
}

/// The profile of one tool's replies.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    settings: ProfileSettings,
    fields: BTreeMap<String, Field>,
    memory: Memory,
    /// Replies in the batch that is being filled, and in all.
    filled: u32,
    taken: u64,
    batch: u32,
    disturbed: bool,
    calm: u32,
}

impl Profile {
    /// An empty profile.
    #[must_use]
    pub fn new(settings: ProfileSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Goes by these settings from now on. Batches of another size cannot be compared with those before,
    /// so it is made anew; not while the values are outside of it, for it would learn from them.
    pub fn go_by(&mut self, settings: ProfileSettings) {
        let made = |of: &ProfileSettings| (of.every_calls, of.least);
        if made(&self.settings) == made(&settings) {
            self.settings = settings;
        } else if !self.disturbed {
            *self = Self::new(settings);
        }
    }

    /// Whether no reply was taken since the last batch ended.
    #[must_use]
    pub const fn is_batch_empty(&self) -> bool {
        self.filled == 0
    }

    /// Replies that were taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether a reference stands that replies are compared with.
    #[must_use]
    pub fn is_learnt(&self) -> bool {
        self.taken >= u64::from(self.settings.least)
    }

    /// Whether the newest replies are outside of their profile.
    #[must_use]
    pub const fn is_disturbed(&self) -> bool {
        self.disturbed
    }

    /// Takes one reply, its text as it came and the call's arguments. True where a batch is full.
    pub fn take(&mut self, text: &[u8], reply: &Value, arguments: &Value, at: UnixMillis) -> bool {
        self.taken += 1;
        self.filled += 1;
        let of = hash(&[arguments.to_string().as_bytes()]);
        let digest = hash(&[text]);
        let known =
            self.memory.note(of ^ 0x5bd1, self.batch, (digest >> 16) as u32, self.disturbed);
        let still = known.map(|known| known.newest == (digest >> 16) as u32);
        if let Some(still) = still {
            let root = self.fields.entry(String::new()).or_default();
            root.add(Trait::Still, f64::from(u8::from(still)));
        }
        if still == Some(true) {
            // The same answer to the same question is no news of its fields.
            if let Some(root) = self.fields.get_mut("") {
                root.end_call();
            }
        } else {
            let mut words = Vec::new();
            given(arguments, &mut words);
            let mut walk = Walk {
                fields: &mut self.fields,
                memory: &mut self.memory,
                given: words,
                at,
                batch: self.batch,
                frozen: self.disturbed,
                values: 0,
            };
            walk.value(reply, &mut String::new(), Some(of), 0);
            walk.end();
        }
        self.filled >= self.settings.every_calls
    }

    /// Ends the batch and compares. `None` for an empty batch, and while the reference is being made.
    pub fn look(&mut self) -> Option<Look> {
        if self.filled == 0 {
            return None;
        }
        let learning = self.batch < self.settings.least.div_ceil(self.settings.every_calls.max(1));
        self.filled = 0;
        self.batch += 1;
        self.fields.values_mut().for_each(|field| field.close(learning, self.disturbed));
        if learning {
            return None;
        }
        let mut look = self.compare();
        let drops = 100.0 - look.score > f64::from(self.settings.drop);
        self.calm = if drops { 0 } else { self.calm.saturating_add(1) };
        if drops {
            self.disturbed = true;
        } else {
            look.findings.clear();
            look.recovered = self.disturbed && self.calm >= CALM;
            self.disturbed &= !look.recovered;
        }
        Some(look)
    }

    fn compare(&self) -> Look {
        let mut comparisons = 0;
        let mut findings = Vec::new();
        for (at, field) in &self.fields {
            for (figure, moved) in field.look() {
                comparisons += WINDOWS.len() * CHANCES;
                findings.extend(moved.filter(|it| it.chance < 0.0).map(|it| (at, figure, it)));
            }
        }
        findings.sort_by(|one, other| one.2.chance.total_cmp(&other.2.chance));
        let correction = (comparisons.max(1) as f64).log10();
        let power = |chance: f64| (chance / std::f64::consts::LN_10 + correction).min(0.0);
        let rarest = findings.first().map_or(0.0, |(.., moved)| power(moved.chance));
        let told = findings.into_iter().take(TOLD).map(|(at, figure, moved)| Finding {
            pointer: at.clone(),
            kind: figure.word(),
            was: rounded(moved.was),
            is: rounded(moved.is),
            chance: rounded(power(moved.chance)),
            message: figure.told(moved.was, moved.is),
        });
        Look {
            score: (100.0 + rarest * 10.0 / DECADES).max(0.0),
            findings: told.filter(|finding| finding.chance <= -1.0).collect(),
            comparisons,
            recovered: false,
        }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}
