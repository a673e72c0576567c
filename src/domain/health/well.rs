//! Pace, errors and breaker together: when trouble began, when it lasted too long, when it is over.

use super::errors::{Errors, Share};
use super::level::Level;
use super::objective::{Objective, Punctual, Rules};
use super::pace::{Pace, PaceRules, PaceTurn};
use super::retry::Adjustment;
use crate::domain::message::Millis;

/// When a tool counts as slow or failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerformanceRules {
    /// Slow: above this many times the p95 baseline,
    pub factor: f64,
    /// and above it by this,
    pub least: Millis,
    /// so many calls in a row. As many good ones in a row end it.
    pub in_row: u32,
    /// Failing: above this share of the calls,
    pub error_rate: f64,
    /// in a window of this length,
    pub window: Millis,
    /// of at least so many calls.
    pub least_calls: u64,
    /// Trouble that lasts longer than this is sustained; where the contract states an objective, a breach
    /// of it that does.
    pub sustained: Millis,
    /// What the contract states beside all that.
    pub objective: Objective,
}

impl Default for PerformanceRules {
    fn default() -> Self {
        Self {
            factor: 2.0,
            least: Millis(50),
            in_row: 5,
            error_rate: 0.1,
            window: Millis(300_000),
            least_calls: 50,
            sustained: Millis(900_000),
            objective: Objective::default(),
        }
    }
}

impl PerformanceRules {
    fn pace(&self) -> PaceRules {
        PaceRules {
            factor: self.factor,
            least: micros(self.least),
            in_row: self.in_row.max(1),
            window: micros(self.window),
        }
    }

    fn punctual(&self) -> Rules {
        let in_row = self.in_row.max(1);
        Rules { window: micros(self.window), least_calls: self.least_calls, in_row }
    }

    /// The share above which calls fail: the stricter one where the contract states one too.
    #[must_use]
    pub fn failing_above(&self) -> f64 {
        self.objective.error_rate.map_or(self.error_rate, |stated| stated.min(self.error_rate))
    }
}

/// A call that ended, as far as health is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What its last attempt took, in microseconds; none where it tells nothing of the pace.
    pub micros: Option<u64>,
    /// It failed.
    pub failed: bool,
    /// Attempts before the last one, all of which failed.
    pub retried: u32,
}

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Calls take far longer than they did.
    Slow,
    /// Too many calls take longer than the contract states.
    Late,
    /// Too many calls fail.
    Failing,
    /// The breaker is open.
    Down,
}

impl Trouble {
    /// The word in events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Late => "late",
            Self::Failing => "failing",
            Self::Down => "breaker_open",
        }
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This began.
    Began(Trouble),
    /// Trouble of whatever kind has lasted too long. Told once.
    Sustained,
    /// All is well again.
    Recovered,
}

/// The health of one promised tool, or of a peer.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pace: Pace,
    errors: Errors,
    failing: bool,
    punctual: Punctual,
    /// More fail than the contract states.
    unreliable: bool,
    /// What the contract stated at the last call.
    objective: Objective,
    down: bool,
    /// Trouble from before a restart: good calls in a row end it.
    left_open: bool,
    /// What it had brought about by then.
    left_adjusted: Adjustment,
    /// Calls in a row that did not fail.
    good: u32,
    /// When the trouble began.
    since: Option<u64>,
    /// Since when the objective is broken; where none is stated any trouble is a breach.
    broken: Option<u64>,
    sustained: bool,
}

impl Health {
    /// Nothing is known yet, but that there was trouble before a restart, and what it brought about.
    #[must_use]
    pub fn left_in_trouble(now: u64, adjusted: Adjustment) -> Self {
        Self {
            left_open: true,
            left_adjusted: adjusted,
            since: Some(now),
            broken: Some(now),
            ..Self::default()
        }
    }

    /// A call ended.
    pub fn call(&mut self, now: u64, seen: Seen, rules: &PerformanceRules) -> Vec<Turn> {
        let was = self.since.is_some();
        let mut turns = Vec::new();
        let window = micros(rules.window);
        for _ in 0..seen.retried {
            self.errors.count(now, true, window);
        }
        self.errors.count(now, seen.failed, window);
        self.good = if seen.failed { 0 } else { self.good.saturating_add(1) };
        if let Some(micros) = seen.micros.filter(|_| !seen.failed)
            && self.pace.take(now, micros, &rules.pace()) == Some(PaceTurn::Slowed)
        {
            turns.push(Turn::Began(Trouble::Slow));
        }
        self.objective = rules.objective;
        match (rules.objective.p95, seen.micros.filter(|_| !seen.failed)) {
            // Stated no longer: what was counted against it is void.
            (None, _) if self.punctual.is_late() => self.punctual = Punctual::default(),
            (Some(p95), Some(micros)) => {
                if self.punctual.take(now, micros, p95, rules.punctual()) {
                    turns.push(Turn::Began(Trouble::Late));
                }
            }
            (None, _) | (Some(_), None) => {}
        }
        let share = self.errors.share(now, window);
        let above = share.is_above(rules.failing_above(), rules.least_calls);
        if above && !self.failing {
            turns.push(Turn::Began(Trouble::Failing));
        }
        let enough = self.good >= rules.in_row.max(1);
        // What failed long ago does not end by being forgotten: calls must succeed too.
        self.failing = above || (self.failing && !enough);
        let stated = rules.objective.error_rate;
        let over = stated.is_some_and(|stated| share.is_above(stated, rules.least_calls));
        self.unreliable = over || (self.unreliable && stated.is_some() && !enough);
        self.left_open &= !enough;
        turns.extend(self.settle(now, was));
        turns
    }

    /// The breaker opened, or closed again.
    pub fn breaker(&mut self, now: u64, open: bool) -> Vec<Turn> {
        let was = self.since.is_some();
        let mut turns = Vec::new();
        if open && !self.down {
            turns.push(Turn::Began(Trouble::Down));
        }
        self.down = open;
        turns.extend(self.settle(now, was));
        turns
    }

    /// Time passed.
    pub fn tick(&mut self, now: u64, rules: &PerformanceRules) -> Option<Turn> {
        let lasted = now.saturating_sub(self.broken?);
        if self.sustained || lasted <= micros(rules.sustained) {
            return None;
        }
        self.sustained = true;
        Some(Turn::Sustained)
    }

    /// A person takes the pace of now as it is: it is learnt anew, and the trouble is over.
    pub fn accept(&mut self, now: u64) -> Option<Turn> {
        let was = self.since.is_some();
        self.pace.forget();
        (self.errors, self.punctual) = (Errors::new(), Punctual::default());
        (self.failing, self.unreliable, self.down, self.left_open) = (false, false, false, false);
        self.settle(now, was)
    }

    /// How far down the ladder it is by itself.
    #[must_use]
    pub const fn level(&self) -> Level {
        if self.down {
            Level::L3
        } else if self.since.is_some() {
            Level::L1
        } else {
            Level::L0
        }
    }

    /// Whether the breaker alone is what is the matter.
    #[must_use]
    pub const fn is_only_down(&self) -> bool {
        self.down && !self.failing && !self.left_open && !self.is_slow()
    }

    /// How retries differ from what is configured because of it.
    #[must_use]
    pub const fn adjustment(&self) -> Adjustment {
        if self.is_slow() {
            Adjustment::Off
        } else if self.failing {
            Adjustment::Slower
        } else if self.left_open {
            self.left_adjusted
        } else {
            Adjustment::None
        }
    }

    /// Calls that take longer than the contract states, of those in the window, for evidence.
    pub fn late_share(&mut self, now: u64, rules: &PerformanceRules) -> Share {
        self.punctual.share(now, micros(rules.window))
    }

    /// Whether the trouble has lasted too long.
    #[must_use]
    pub const fn is_sustained(&self) -> bool {
        self.sustained
    }

    /// The pace, for evidence.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// What failed of how many in the window, for evidence.
    pub fn share(&mut self, now: u64, rules: &PerformanceRules) -> Share {
        self.errors.share(now, micros(rules.window))
    }

    fn settle(&mut self, now: u64, was: bool) -> Option<Turn> {
        let is = self.failing || self.down || self.left_open || self.is_slow();
        if !self.is_breach() {
            self.broken = None;
        } else if self.broken.is_none() {
            self.broken = Some(now);
        }
        if is {
            self.since.get_or_insert(now);
            return None;
        }
        self.since = None;
        self.sustained = false;
        was.then_some(Turn::Recovered)
    }

    /// Whether calls take longer than they did, or than the contract states.
    #[must_use]
    pub const fn is_slow(&self) -> bool {
        self.pace.is_slow() || self.punctual.is_late()
    }

    /// Whether the objective is broken: what the contract states of it, and for what it does not state
    /// the relative bounds.
    const fn is_breach(&self) -> bool {
        let slow = if self.objective.p95.is_some() {
            self.punctual.is_late()
        } else {
            self.pace.is_slow()
        };
        let failing =
            if self.objective.error_rate.is_some() { self.unreliable } else { self.failing };
        slow || failing || self.down || self.left_open
    }
}

const fn micros(span: Millis) -> u64 {
    span.0.saturating_mul(1_000)
}
