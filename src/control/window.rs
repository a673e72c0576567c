//! The window of exchanges that the coherence score looks at: the last hour, in minutes.

use std::collections::VecDeque;

use super::events::Events;
use crate::domain::evidence::{OpenEvents, Score, Window};
use crate::domain::message::{UnixMillis, Verdict};
use crate::live::CallFact;

/// Minutes that the window holds.
const MINUTES: u64 = 60;

/// Counts of the last hour, minute by minute.
#[derive(Debug, Default)]
pub(super) struct ScoreWindow {
    minutes: VecDeque<(u64, Window)>,
}

impl ScoreWindow {
    /// Counts a call. `lawful`: it ran under a valid, unexpired contract.
    pub(super) fn count(&mut self, call: &CallFact, lawful: bool, at: UnixMillis) {
        let minute = at.0 / 60_000;
        if self.minutes.back().is_none_or(|(newest, _)| *newest != minute) {
            self.minutes.push_back((minute, Window::default()));
        }
        self.forget(minute);
        let Some((_, counts)) = self.minutes.back_mut() else { return };
        let delivered = matches!(
            call.verdict,
            Verdict::Kept | Verdict::Mended | Verdict::Waived | Verdict::Passed
        );
        let succeeded =
            delivered && !call.is_error && call.rejection.is_none() && call.fault.is_none();
        let honoured = matches!(call.verdict, Verdict::Kept | Verdict::Mended) && succeeded;
        counts.exchanges += 1;
        counts.lawful += u64::from(lawful);
        counts.succeeded += u64::from(succeeded);
        counts.honoured += u64::from(honoured);
        counts.evidenced += 1;
    }

    /// Counts an exchange whose evidence was lost.
    pub(super) fn count_lost(&mut self, lost: u64) {
        if let Some((_, counts)) = self.minutes.back_mut() {
            counts.exchanges += lost;
            counts.lawful += lost;
        }
    }

    /// Begins again.
    pub(super) fn reset(&mut self) {
        self.minutes.clear();
    }

    /// The score now.
    pub(super) fn score(&self, events: &Events) -> Score {
        let mut window = Window::default();
        for (_, counts) in &self.minutes {
            window.exchanges += counts.exchanges;
            window.lawful += counts.lawful;
            window.succeeded += counts.succeeded;
            window.honoured += counts.honoured;
            window.evidenced += counts.evidenced;
        }
        let mut open = OpenEvents::default();
        for event in events.open() {
            open.count(event.severity);
        }
        window.open = open;
        window.reopened = u64::from(events.reopened());
        Score::of(&window)
    }

    fn forget(&mut self, minute: u64) {
        while self.minutes.front().is_some_and(|(oldest, _)| oldest + MINUTES <= minute) {
            self.minutes.pop_front();
        }
    }
}
