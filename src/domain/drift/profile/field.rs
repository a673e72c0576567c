//! What is known of one field of a tool's replies.

use std::collections::BTreeMap;

use super::chart::{Chart, Moved, Sort};
use super::feature::{Among, CHOICES, Trait};
use crate::domain::drift::words::words;

/// The logarithmic distance of moments that belong to the call: within about three hours.
const RECENT: f64 = 3.7;
/// Share of values that are the one before, from which on a field lasts: a counter, a version, a state.
/// Its next value is nothing but news.
const LASTS: f64 = 0.9;
/// Batches for which a choice that was never seen before is news.
const NEWS: u32 = 12;
/// Words of fields that say what others are measured in: these are told apart however long they last.
const MEASURES: [&str; 7] = ["unit", "currency", "scale", "uom", "timezone", "zone", "encoding"];
/// Calls after which the usual size of a field's numbers is known.
const SIZED: u32 = 10;

/// A mean over the values of one reply.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    total: f64,
    count: f64,
}

/// One field, by its pointer.
#[derive(Clone, Debug)]
pub(super) struct Field {
    charts: BTreeMap<Trait, Chart>,
    /// Calls with a text, with a number, with any value: what a figure is a share of.
    bases: [Chart; 3],
    call: BTreeMap<Trait, Mean>,
    /// How many of those there were in this call.
    seen: [u32; 3],
    /// The choices that were seen, as digests, with the batch that a later one came in.
    choices: Vec<(u64, Option<u32>)>,
    /// Batches since the reference was made, while nothing was out of it.
    batches: Option<u32>,
    /// By its name it says what others are measured in.
    measures: bool,
    /// The value before.
    pub(super) last: Option<u32>,
    /// The thing that the value before was of.
    pub(super) last_of: Option<u64>,
    /// How the value of a known thing changed last.
    pub(super) change: f64,
    /// The offset of its moments, in minutes.
    pub(super) zone: Option<i64>,
    /// How often it was there in this call.
    pub(super) there: u32,
    numbers: u32,
    magnitudes: f64,
    whole: bool,
}

impl Default for Field {
    fn default() -> Self {
        Self {
            charts: BTreeMap::new(),
            bases: std::array::from_fn(|_| Chart::new(Sort::Share)),
            call: BTreeMap::new(),
            seen: [0; 3],
            choices: Vec::new(),
            batches: None,
            measures: false,
            last: None,
            last_of: None,
            change: 0.0,
            zone: None,
            there: 0,
            numbers: 0,
            magnitudes: 0.0,
            whole: true,
        }
    }
}

const fn base(among: Among) -> Option<usize> {
    match among {
        Among::Texts => Some(0),
        Among::Numbers => Some(1),
        Among::Values => Some(2),
        Among::Told => None,
    }
}

impl Field {
    /// The field at a pointer.
    pub(super) fn at(pointer: &str) -> Self {
        let name = pointer.rsplit('/').find(|name| *name != "*").unwrap_or_default();
        let measures = words(name).iter().any(|word| MEASURES.contains(&word.as_str()));
        Self { measures, ..Self::default() }
    }

    /// Adds a value of this reply to a figure.
    pub(super) fn add(&mut self, figure: Trait, value: f64) {
        let mean = self.call.entry(figure).or_default();
        mean.total += value;
        mean.count += 1.0;
    }

    /// A value of this sort was there.
    pub(super) fn saw(&mut self, among: Among) {
        if let Some(at) = base(among) {
            self.seen[at] += 1;
        }
    }

    /// A choice was made: of those that are told apart, or none of them; `None` for what is none.
    pub(super) fn choose(&mut self, choice: Option<u64>) {
        let place = |field: &Self| field.choices.iter().position(|it| Some(it.0) == choice);
        if let Some(choice) = choice.filter(|_| place(self).is_none())
            && self.choices.len() < CHOICES
        {
            self.choices.push((choice, self.batches));
        }
        let known = place(self);
        for at in 0..self.choices.len() {
            self.add(Trait::Choice(at as u8), f64::from(u8::from(known == Some(at))));
        }
        // One that came lately is new still: the share of all that are new together is what tells.
        let born = known.map(|at| self.choices[at].1);
        let old = born.is_some_and(|born| {
            born.is_none_or(|born| self.batches.is_some_and(|now| now - born >= NEWS))
        });
        self.add(Trait::Novel, f64::from(u8::from(!old)));
    }

    /// The magnitude of a number on a logarithmic scale; `None` until the usual size is known.
    pub(super) fn magnitude(&mut self, number: f64) -> Option<f64> {
        if self.numbers < SIZED {
            self.numbers += 1;
            self.magnitudes += number.abs() / f64::from(SIZED);
            self.whole &= number.fract() == 0.0;
            return None;
        }
        // Small counts step by one, and what is about nothing has any magnitude.
        let least = if self.whole { 4.0 } else { (self.magnitudes * 0.05).max(1e-9) };
        Some((number.abs() + least).log2())
    }

    /// The reply has ended: its means go to the charts.
    pub(super) fn end_call(&mut self) {
        let call = std::mem::take(&mut self.call);
        for figure in call.keys() {
            if !self.charts.contains_key(figure) {
                let base = match figure {
                    // It was not chosen in any of the calls before.
                    Trait::Choice(_) => self.charts.get(&Trait::Novel),
                    figure => base(figure.among()).map(|at| &self.bases[at]),
                };
                let sort = figure.sort();
                let chart = base.map_or_else(|| Chart::new(sort), |base| base.zeroed(sort));
                self.charts.insert(*figure, chart);
            }
        }
        let seen = std::mem::take(&mut self.seen);
        for (figure, chart) in &mut self.charts {
            match call.get(figure) {
                Some(mean) => {
                    let among = base(figure.among()).map_or(mean.count, |at| f64::from(seen[at]));
                    chart.take(mean.total / among.max(1.0));
                }
                None if base(figure.among()).is_some_and(|at| seen[at] > 0) => chart.take(0.0),
                None => {}
            }
        }
        for (base, seen) in self.bases.iter_mut().zip(seen) {
            if seen > 0 {
                base.take(0.0);
            }
        }
        self.there = 0;
    }

    /// A batch has ended.
    pub(super) fn close(&mut self, learning: bool, disturbed: bool) {
        if !learning && !disturbed {
            self.batches = Some(self.batches.map_or(0, |batches| batches + 1));
        }
        self.charts
            .values_mut()
            .chain(&mut self.bases)
            .for_each(|it| it.close(learning, disturbed));
    }

    /// Whether its values differ enough among themselves for another one to be more than news.
    fn differs(&self) -> bool {
        let lasts = self.charts.get(&Trait::Repeat).is_some_and(|it| it.level() > LASTS);
        self.measures || !lasts
    }

    /// Whether the field is a choice among few.
    fn is_choice(&self) -> bool {
        self.charts.get(&Trait::Novel).is_some_and(|novel| novel.level() < 0.2)
    }

    /// Figures that are judged now, with what moved in them.
    pub(super) fn look(&self) -> impl Iterator<Item = (Trait, Option<Moved>)> {
        let (choice, differs) = (self.is_choice(), self.differs());
        self.charts.iter().filter_map(move |(figure, chart)| {
            let is_fit = match figure {
                Trait::Choice(_) | Trait::Novel => choice && differs,
                Trait::Mapped => differs,
                // Codes have no size.
                Trait::Level | Trait::Ratio => !choice,
                // What happened long ago may be renewed at any time.
                Trait::Lag => chart.level().abs() < RECENT,
                _ => true,
            };
            (chart.is_judged() && is_fit).then(|| (*figure, chart.look()))
        })
    }
}
