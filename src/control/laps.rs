//! Where the time of a heal goes: from the first sighting to the swap, stage by stage.

use crate::telemetry::HealStage;

/// The laps of one review. Every microsecond since the sighting belongs to one stage.
#[derive(Debug, Default)]
pub(super) struct Laps {
    /// Where the last lap ended; `None` where nothing was sighted.
    last: Option<u64>,
    spent: [u64; HealStage::ALL.len()],
}

impl Laps {
    /// Begins with the moment of the first sighting, where there is one.
    pub(super) fn since(sighted: Option<u64>) -> Self {
        Self { last: sighted, ..Self::default() }
    }

    /// Ends a lap: what passed since the last one was spent on this stage.
    pub(super) fn lap(&mut self, stage: HealStage, now: u64) {
        if let Some(last) = &mut self.last {
            self.spent[stage as usize] += now.saturating_sub(*last);
            *last = now;
        }
    }

    /// What was spent on each stage; nothing where nothing was sighted.
    pub(super) fn spent(&self) -> impl Iterator<Item = (HealStage, u64)> + '_ {
        let sighted = self.last.is_some();
        HealStage::ALL.iter().filter(move |_| sighted).map(|s| (*s, self.spent[*s as usize]))
    }
}
