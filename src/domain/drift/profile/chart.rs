//! One figure of one field followed over batches of calls: what it used to be, how far batches stray
//! from that by themselves, and how rare the newest batches are.

use super::tail;

/// Newest batches that are not part of the reference yet: a change must be found before it is learnt.
pub(super) const RING: usize = 5;
/// Chances that a window is asked for at most.
pub(super) const CHANCES: usize = 2;
/// Windows that are looked at, in batches.
pub(super) const WINDOWS: [usize; 2] = [3, 4];
/// Batches that a figure must have been in before it is judged.
const BATCHES: u32 = 8;
/// Share of the reference that a new batch makes up at least: the reference follows slowly.
const FOLLOW: f64 = 0.05;
/// The same for how far batches stray; it remembers longer.
const REMEMBER: f64 = 0.02;
/// Values of one batch are never taken for independent: this many count as one, at least.
const ALIKE: f64 = 2.0;
/// A share must move by this much, whatever its chance is.
const MOVED: f64 = 0.3;
/// Shares between these vary by themselves, and are compared as levels are, too.
const VARIES: std::ops::Range<f64> = 0.03..0.97;
/// How far such a share strays between batches at least.
const SHARE_STRAYS: f64 = 0.04;
/// A value is followed to this many times the usual distance, so that a single one moves nothing.
const CLIP: f64 = 40.0;

/// What sort of figure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sort {
    /// Any number; it strays at least this far between batches.
    Level(f64),
    /// Between 0 and 1.
    Share,
    /// Between 0 and 1; only growth is a change, by this much, and only where it was rare.
    Growth(f64),
}

/// A sum over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    total: f64,
    squares: f64,
    calls: f64,
}

/// The course of one figure.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    sort: Sort,
    filling: Sum,
    /// Oldest first.
    ring: [Sum; RING],
    kept: usize,
    /// The reference.
    level: f64,
    /// Calls that the reference stands for.
    calls: f64,
    /// Calls of a usual batch.
    size: f64,
    /// Mean square of what batches strayed from the level.
    spread: f64,
    /// Mean product of that in one batch and in the one before.
    lagged: f64,
    last: f64,
    /// The farthest that a batch strayed; fades slowly.
    peak: f64,
    /// Usual distance of a single call from the level.
    wide: f64,
    batches: u32,
}

/// A figure that moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moved {
    pub(super) was: f64,
    pub(super) is: f64,
    /// Natural logarithm of the chance, not corrected.
    pub(super) chance: f64,
}

impl Chart {
    pub(super) const fn new(sort: Sort) -> Self {
        let none = Sum { total: 0.0, squares: 0.0, calls: 0.0 };
        Self {
            sort,
            filling: none,
            ring: [none; RING],
            kept: 0,
            level: 0.0,
            calls: 0.0,
            size: 0.0,
            spread: 0.0,
            lagged: 0.0,
            last: 0.0,
            peak: 0.0,
            wide: 0.0,
            batches: 0,
        }
    }

    /// As one that was 0 in every call that this one has seen.
    pub(super) fn zeroed(&self, sort: Sort) -> Self {
        let mut zeroed = self.clone();
        zeroed.sort = sort;
        for sum in zeroed.ring.iter_mut().chain([&mut zeroed.filling]) {
            *sum = Sum { calls: sum.calls, ..Sum::default() };
        }
        Self { level: 0.0, spread: 0.0, lagged: 0.0, last: 0.0, peak: 0.0, wide: 0.0, ..zeroed }
    }

    /// Takes the figure of one call.
    pub(super) fn take(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut value = value;
        if matches!(self.sort, Sort::Level(_)) && self.batches >= BATCHES / 2 {
            let reach = CLIP * self.wide.max(self.floor());
            value = value.clamp(self.level - reach, self.level + reach);
        }
        self.filling.total += value;
        self.filling.squares += value * value;
        self.filling.calls += 1.0;
        if self.kept == 0 {
            let share = 1.0 / (self.calls + self.filling.calls).min(200.0);
            self.wide += share * ((value - self.level).abs() - self.wide);
        }
    }

    /// A batch has ended. `learning`: it is the reference at once; `disturbed`: what leaves the ring
    /// is no part of the reference.
    pub(super) fn close(&mut self, learning: bool, disturbed: bool) {
        let batch = std::mem::take(&mut self.filling);
        if learning {
            self.absorb(batch);
            return;
        }
        if self.kept == RING {
            let oldest = self.ring[0];
            self.ring.rotate_left(1);
            self.kept -= 1;
            if !disturbed {
                self.absorb(oldest);
            }
        }
        self.ring[self.kept] = batch;
        self.kept += 1;
    }

    fn absorb(&mut self, batch: Sum) {
        if batch.calls < 0.5 {
            return;
        }
        let mean = batch.total / batch.calls;
        let count = f64::from(self.batches.min(1_000)) + 1.0;
        let follow = (1.0 / count).max(FOLLOW);
        if self.batches == 0 {
            self.level = mean;
        } else {
            let stray = mean - self.level;
            let remember = (1.0 / (count - 1.0)).max(REMEMBER);
            self.spread += remember * (stray * stray - self.spread);
            self.lagged += remember * (stray * self.last - self.lagged);
            self.peak = (self.peak * 0.998).max(stray.abs());
            self.wide += FOLLOW * (stray.abs().max(self.wide * 0.8) - self.wide);
            self.last = stray;
            self.level += follow * stray;
        }
        let faded = if follow > FOLLOW { 1.0 } else { 1.0 - FOLLOW };
        self.calls = self.calls * faded + batch.calls;
        self.size += follow * (batch.calls - self.size);
        self.batches = self.batches.saturating_add(1);
    }

    /// Whether it is judged at all.
    pub(super) fn is_judged(&self) -> bool {
        let rare = !matches!(self.sort, Sort::Growth(_)) || self.level < 0.5;
        self.batches >= BATCHES && rare
    }

    /// The reference.
    pub(super) const fn level(&self) -> f64 {
        self.level
    }

    fn floor(&self) -> f64 {
        match self.sort {
            Sort::Level(floor) => floor,
            Sort::Share | Sort::Growth(_) => 0.0,
        }
    }

    /// How rare the newest batches are, in the window where they are rarest.
    pub(super) fn look(&self) -> Option<Moved> {
        if !self.is_judged() {
            return None;
        }
        WINDOWS
            .into_iter()
            .filter_map(|window| self.window(window))
            .min_by(|one, other| one.chance.total_cmp(&other.chance))
    }

    fn window(&self, length: usize) -> Option<Moved> {
        let newest = self.ring.get(self.kept.checked_sub(length)?..self.kept)?;
        let calls: f64 = newest.iter().map(|sum| sum.calls).sum();
        if newest.iter().any(|sum| sum.calls < 0.5) {
            return None;
        }
        let is = newest.iter().map(|sum| sum.total).sum::<f64>() / calls;
        let off = is - self.level;
        // It must last: a single batch, however far off, is no change.
        let least = newest
            .iter()
            .map(|sum| (sum.total / sum.calls - self.level) * off.signum())
            .fold(f64::INFINITY, f64::min);
        let off = off.abs().min(2.0 * least.max(0.0)) * off.signum();
        let chance = match self.sort {
            Sort::Level(floor) => {
                // Values that are all new and differ among themselves differ from the level, too.
                let squares = newest.iter().map(|sum| sum.squares).sum::<f64>() / calls;
                let own = (squares - is * is).max(0.0) * length as f64 / calls;
                self.level_chance(off, floor.max(own.sqrt()), length, calls)
            }
            Sort::Share => self.share_chance(off, MOVED, length, calls),
            Sort::Growth(least) if off > 0.0 => self.share_chance(off, least, length, calls),
            Sort::Growth(_) => 0.0,
        };
        Some(Moved { was: self.level, is, chance })
    }

    /// By how much the mean of so many batches strays more than that of independent ones would.
    fn together(&self, length: usize, remembered: f64) -> f64 {
        let alike = if self.spread > 0.0 { (self.lagged / self.spread).max(0.0) } else { 0.0 };
        1.0 + (length as f64 - 1.0) * (alike + 1.0 / remembered.sqrt()).min(1.0)
    }

    fn level_chance(&self, off: f64, floor: f64, length: usize, calls: f64) -> f64 {
        let remembered = f64::from(self.batches).min(1.0 / REMEMBER);
        let usual = self.spread.sqrt().max(self.peak / 3.5).max(floor);
        let small = (self.size * length as f64 / calls).max(1.0);
        let level = 1.0 / f64::from(self.batches).min(1.0 / FOLLOW);
        let variance = (self.together(length, remembered) / length as f64 + level) * small;
        tail::student(off.abs() / (usual * variance.sqrt()), remembered - 1.0)
    }

    fn share_chance(&self, off: f64, least: f64, length: usize, calls: f64) -> f64 {
        if off.abs() < least.max(1.3 * self.peak) {
            return 0.0;
        }
        let counted = self.counted_chance(off, length, calls);
        if VARIES.contains(&self.level) {
            return counted.min(self.level_chance(off, SHARE_STRAYS, length, calls));
        }
        counted
    }

    fn counted_chance(&self, off: f64, length: usize, calls: f64) -> f64 {
        let remembered = f64::from(self.batches).min(1.0 / REMEMBER);
        let level = self.level.clamp(0.0, 1.0);
        let alone = level * (1.0 - level) / self.size.max(1.0);
        let alike = if alone > 1e-6 { self.spread / alone } else { 1.0 };
        let alike = alike.clamp(ALIKE, self.size.max(ALIKE));
        let known = self.calls / alike;
        let doubt = 2.0 * (level * (1.0 - level) / known).sqrt() + 2.0 / known;
        let expected = (level + doubt.copysign(off)).clamp(0.0, 1.0);
        let seen = (level + off).clamp(0.0, 1.0);
        if (seen - expected) * off <= 0.0 {
            return 0.0;
        }
        tail::share(seen, expected, calls / alike / self.together(length, remembered))
    }
}
