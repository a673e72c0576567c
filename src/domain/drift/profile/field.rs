//! What is known of one field of a tool's replies.

use std::collections::BTreeMap;

use super::chart::{Chart, Moved, Sort};
use super::feature::{Among, CHOICES, Trait};

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
    seen: [bool; 3],
    /// The choices that were seen, as digests.
    choices: Vec<u64>,
    /// The value before.
    pub(super) last: Option<u32>,
    /// The thing that the value before was of.
    pub(super) last_of: Option<u64>,
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
            seen: [false; 3],
            choices: Vec::new(),
            last: None,
            last_of: None,
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
    /// Adds a value of this reply to a figure.
    pub(super) fn add(&mut self, figure: Trait, value: f64) {
        let mean = self.call.entry(figure).or_default();
        mean.total += value;
        mean.count += 1.0;
    }

    /// A value of this sort was there.
    pub(super) fn saw(&mut self, among: Among) {
        if let Some(at) = base(among) {
            self.seen[at] = true;
        }
    }

    /// A choice was made: of those that are told apart, or none of them.
    pub(super) fn choose(&mut self, choice: u64) {
        let known = self.choices.iter().position(|known| *known == choice);
        if known.is_none() && self.choices.len() < CHOICES {
            self.choices.push(choice);
        }
        let known = known.or_else(|| self.choices.iter().position(|known| *known == choice));
        for at in 0..self.choices.len() {
            self.add(Trait::Choice(at as u8), f64::from(u8::from(known == Some(at))));
        }
        self.add(Trait::Novel, f64::from(u8::from(known.is_none())));
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
                Some(mean) => chart.take(mean.total / mean.count.max(1.0)),
                None if base(figure.among()).is_some_and(|at| seen[at]) => chart.take(0.0),
                None => {}
            }
        }
        for (base, seen) in self.bases.iter_mut().zip(seen) {
            if seen {
                base.take(0.0);
            }
        }
        self.there = 0;
    }

    /// A batch has ended.
    pub(super) fn close(&mut self, learning: bool, disturbed: bool) {
        self.charts
            .values_mut()
            .chain(&mut self.bases)
            .for_each(|it| it.close(learning, disturbed));
    }

    /// Whether the field is a choice among few.
    fn is_choice(&self) -> bool {
        self.charts.get(&Trait::Novel).is_some_and(|novel| novel.level() < 0.2)
    }

    /// Figures that are judged now, with what moved in them.
    pub(super) fn look(&self) -> impl Iterator<Item = (Trait, Option<Moved>)> {
        let choice = self.is_choice();
        self.charts.iter().filter_map(move |(figure, chart)| {
            let of_choice = matches!(figure, Trait::Choice(_) | Trait::Novel);
            (chart.is_judged() && (choice || !of_choice)).then(|| (*figure, chart.look()))
        })
    }
}
