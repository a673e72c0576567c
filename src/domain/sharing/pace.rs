//! How many calls at once? Fewer, where fewer get as much done.
//!
//! A peer that works at as many calls as it can gets no more done when it is given more of them: they
//! wait inside it, where nobody's turn is kept. So the limit is found by trial: for one window of time
//! a fifth less is in flight, or more, and what got done in it is held against what got done before.
//!
//! ```text
//!   share of the calls in flight that turned into throughput:
//!     0  the peer is full: what is in flight beyond that only waits  ─► keep less
//!     1  each call is work of its own                                 ─► give back, leave it alone
//! ```
//!
//! Latency itself is not looked at: a tool that takes a minute is not a tool that is overloaded. Trials
//! that change nothing grow rare. Where too little gets done to tell, the limit gives way.

/// Calls that must be done before a window tells anything.
const DONE: u64 = 128;
/// How often all that is in flight must have been done anew.
const TURNOVER: f64 = 4.0;
/// A window is at least this long, in microseconds.
const SPAN: u64 = 100_000;
/// A window that took longer than this tells nothing, in microseconds.
const THIN: u64 = 2_000_000;
/// One in this many is tried more or less.
const STEP: u64 = 5;
/// Up to this share of what is taken away may be lost for it to have been of no use.
const USELESS: f64 = 0.3;
/// From this share on, what was given more was of use.
const USEFUL: f64 = 0.5;
/// Throughput is never given away beyond this share, whatever the number of steps.
const KEPT: f64 = 0.97;
/// Latency that changed by this factor is a new situation.
const CHANGED: f64 = 1.5;
/// Most windows between two trials of fewer: each costs a peer that is not full.
const RARE: u32 = 512;
/// Most windows between two trials of more, while calls wait.
const SELDOM: u32 = 32;

/// Between what the limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least, at least 1.
    pub min: u64,
    /// The most, and where it begins.
    pub max: u64,
}

/// What was seen since the last window ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Calls that were done.
    pub done: u64,
    /// The sum of how many were in flight when each of them was done.
    pub in_flight_sum: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Some call had to wait for the limit.
    pub waited: bool,
}

/// The limit of one peer, and what is known about it.
#[derive(Clone, Debug)]
pub struct Pace {
    bounds: Bounds,
    limit: u64,
    trial: Option<Trial>,
    fewer: Patience,
    more: Patience,
    /// Latency when a trial failed last, in microseconds.
    known: Option<f64>,
    /// Calls done in a second, by the last window.
    rate: Option<f64>,
}

/// What a window came to.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Calls in flight, on average.
    in_flight: f64,
    /// Calls done in a microsecond.
    rate: f64,
}

/// A limit that is tried for a window.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// The limit to go back to.
    from: u64,
    /// The window before.
    before: Measure,
    /// What all windows of this descent got done, on average, and how many they are.
    kept: (f64, f64),
}

/// How many windows pass before the next trial.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    left: u32,
    next: u32,
}

impl Patience {
    fn fail(&mut self, most: u32) {
        self.next = (self.next * 2).clamp(1, most);
        self.left = self.next;
    }

    /// A window passed.
    fn over(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

impl Pace {
    /// Begins with the most.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            limit: bounds.max,
            trial: None,
            fewer: Patience::default(),
            more: Patience::default(),
            known: None,
            rate: None,
        }
    }

    /// One that came down to this limit.
    #[cfg(test)]
    pub(super) fn come_down_to(bounds: Bounds, limit: u64) -> Self {
        Self { limit, ..Self::new(bounds) }
    }

    /// How many calls at once.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Calls done in a second when last there were enough to tell.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Looks at what was seen; true where it has been counted and a new window begins.
    pub fn look(&mut self, seen: Seen) -> bool {
        if seen.micros > THIN {
            self.give_way(seen.waited);
            return true;
        }
        let in_flight = seen.in_flight_sum as f64 / seen.done.max(1) as f64;
        let enough = seen.done >= DONE && seen.done as f64 >= TURNOVER * in_flight;
        if !enough || seen.micros < SPAN {
            return false;
        }
        let now = Measure { in_flight, rate: seen.done as f64 / seen.micros as f64 };
        self.rate = Some(now.rate * 1e6);
        match self.trial.take() {
            Some(trial) if trial.from > self.limit => self.judge_fewer(trial, now),
            Some(trial) => self.judge_more(trial, now, seen.waited),
            None => self.settled(now, seen.waited),
        }
        true
    }

    /// Too little gets done to tell anything. Those who wait are let through, more of them each time.
    fn give_way(&mut self, waited: bool) {
        if let Some(trial) = self.trial.take() {
            self.limit = self.limit.max(trial.from);
        }
        if waited {
            self.limit = (self.limit + step(self.limit)).min(self.bounds.max);
        }
    }

    fn settled(&mut self, now: Measure, waited: bool) {
        let latency = now.in_flight / now.rate;
        if self.known.is_some_and(|known| !(1.0 / CHANGED..CHANGED).contains(&(latency / known))) {
            (self.fewer, self.more) = Default::default();
            self.known = None;
        }
        let (fewer, more) = (self.fewer.over(), self.more.over());
        if waited && more && self.limit < self.bounds.max {
            self.try_more(now);
        } else if fewer {
            self.try_fewer(now, (now.rate, 1.0));
        }
    }

    /// Tries a fifth less than is in flight, where that is not too few.
    fn try_fewer(&mut self, before: Measure, kept: (f64, f64)) {
        let from = self.limit;
        let now = from.min(before.in_flight.ceil() as u64);
        let target = now.saturating_sub(step(now)).max(self.bounds.min);
        if target < now {
            self.limit = target;
            self.trial = Some(Trial { from, before, kept });
        }
    }

    fn try_more(&mut self, before: Measure) {
        let from = self.limit;
        self.limit = (from + step(from)).min(self.bounds.max);
        self.trial = Some(Trial { from, before, kept: (before.rate, 1.0) });
    }

    fn judge_fewer(&mut self, trial: Trial, now: Measure) {
        let (rate, windows) = trial.kept;
        let lost = now.rate < KEPT * rate;
        match share(trial.before, now) {
            Some(share) if share <= USELESS && !lost => {
                self.fewer = Patience::default();
                self.known = None;
                let kept = ((rate * windows + now.rate) / (windows + 1.0), windows + 1.0);
                self.try_fewer(now, kept);
            }
            told => {
                self.limit = trial.from;
                if told.is_some() {
                    self.fewer.fail(RARE);
                    self.known = Some(trial.before.in_flight / trial.before.rate);
                }
            }
        }
    }

    fn judge_more(&mut self, trial: Trial, now: Measure, waited: bool) {
        match share(trial.before, now) {
            Some(share) if share >= USEFUL => {
                self.more = Patience::default();
                self.fewer = Patience::default();
                if waited && self.limit < self.bounds.max {
                    self.try_more(now);
                }
            }
            _ => {
                self.limit = trial.from;
                self.more.fail(SELDOM);
                self.known = Some(trial.before.in_flight / trial.before.rate);
            }
        }
    }
}

fn step(of: u64) -> u64 {
    (of / STEP).max(1)
}

/// Which share of what more or less was in flight turned into throughput; `None` where about as many
/// were in flight as before.
fn share(before: Measure, now: Measure) -> Option<f64> {
    let more = (now.in_flight / before.in_flight).ln();
    (more.abs() > 0.04).then(|| (now.rate / before.rate).ln() / more)
}
