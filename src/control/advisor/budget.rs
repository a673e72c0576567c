//! What advisors may cost in an hour and in a day.
//!
//! Before a request goes, the most that it can cost is set aside; afterwards what it did cost takes
//! its place. So what is asked at the same time cannot go over the budget together.

use std::collections::VecDeque;

use super::Spent;

const HOUR_MICROS: u64 = 3_600_000_000;
const DAY_MICROS: u64 = 24 * HOUR_MICROS;

/// What advisors may cost together; `None` is without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests in any hour.
    pub calls_per_hour: u64,
    /// Tokens, read and written, in any hour.
    pub tokens_per_hour: Option<u64>,
    /// Tokens in any day.
    pub tokens_per_day: Option<u64>,
    /// Millionths of the unit of the prices, in any hour.
    pub cost_micros_per_hour: Option<u64>,
    /// Millionths of the unit of the prices, in any day.
    pub cost_micros_per_day: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            calls_per_hour: 60,
            tokens_per_hour: Some(500_000),
            tokens_per_day: Some(2_000_000),
            cost_micros_per_hour: None,
            cost_micros_per_day: None,
        }
    }
}

/// Names what was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

/// What was spent, newest last. Times are microseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct Budget {
    settings: Settings,
    spent: VecDeque<(Slot, u64, Spent)>,
    next: u64,
}

impl Budget {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, spent: VecDeque::new(), next: 0 }
    }

    /// Sets the most that a request can cost aside, or says which bound it would go over.
    pub(super) fn set_aside(&mut self, now: u64, worth: Spent) -> Result<Slot, String> {
        let (hour, day) = (self.within(now, HOUR_MICROS), self.within(now, DAY_MICROS));
        let money = |spent: Spent| spent.cost_micros;
        let bounds = [
            ("calls_per_hour", Some(self.settings.calls_per_hour), hour.calls, worth.calls),
            ("tokens_per_hour", self.settings.tokens_per_hour, hour.tokens(), worth.tokens()),
            ("tokens_per_day", self.settings.tokens_per_day, day.tokens(), worth.tokens()),
            ("cost_per_hour", self.settings.cost_micros_per_hour, money(hour), money(worth)),
            ("cost_per_day", self.settings.cost_micros_per_day, money(day), money(worth)),
        ];
        for (name, bound, spent, more) in bounds {
            if more > 0 && bound.is_some_and(|bound| spent.saturating_add(more) > bound) {
                return Err(format!("`{name}` has no room for one more answer"));
            }
        }
        let slot = Slot(self.next);
        self.next += 1;
        self.spent.push_back((slot, now, worth));
        Ok(slot)
    }

    /// What a request did cost takes the place of what was set aside for it.
    pub(super) fn settle(&mut self, slot: Slot, cost: Spent) {
        if let Some((.., spent)) = self.spent.iter_mut().rev().find(|(it, ..)| *it == slot) {
            *spent = cost;
        }
    }

    /// What the last hour and the last day cost.
    pub(super) fn told(&mut self, now: u64) -> (Spent, Spent) {
        (self.within(now, HOUR_MICROS), self.within(now, DAY_MICROS))
    }

    fn within(&mut self, now: u64, span: u64) -> Spent {
        while self.spent.front().is_some_and(|(_, at, _)| now.saturating_sub(*at) >= DAY_MICROS) {
            self.spent.pop_front();
        }
        let mut sum = Spent::default();
        let recent =
            self.spent.iter().rev().take_while(|(_, at, _)| now.saturating_sub(*at) < span);
        recent.for_each(|(.., spent)| sum.add(*spent));
        sum
    }
}
