//! A challenger's trial: exchanges that are run beside the routine in force, before a patch takes its
//! place.

/// How one exchange went that was run beside the routine in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// It was carried over, and nothing differed.
    Carried,
    /// It was not, or something differed: the first place, in words.
    Missed(String),
    /// It cannot be told: nothing could be compared.
    Untold,
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// So many exchanges are to be carried yet.
    Awaits(u32),
    /// Enough were carried and none missed.
    Passed,
    /// One missed: a person decides.
    Missed,
}

/// A trial under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    needed: u32,
    carried: u32,
    untold: u32,
    missed: Option<String>,
}

impl Trial {
    /// Begins one that `needed` exchanges must pass.
    #[must_use]
    pub const fn new(needed: u32) -> Self {
        Self { needed, carried: 0, untold: 0, missed: None }
    }

    /// Counts an exchange that was recorded `times` over. After a miss nothing counts any more: one
    /// difference is enough, however many agree.
    pub fn note(&mut self, beside: Beside, times: u32) -> Stand {
        if self.missed.is_none() {
            match beside {
                Beside::Carried => self.carried = self.carried.saturating_add(times),
                Beside::Untold => self.untold = self.untold.saturating_add(times),
                Beside::Missed(why) => self.missed = Some(why),
            }
        }
        self.stand()
    }

    /// Where it stands.
    #[must_use]
    pub const fn stand(&self) -> Stand {
        if self.missed.is_some() {
            Stand::Missed
        } else if self.carried >= self.needed {
            Stand::Passed
        } else {
            Stand::Awaits(self.needed - self.carried)
        }
    }

    /// Whether it is worth to run more: not where far more could not be compared than were asked for.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        let most = self.needed.saturating_mul(4).saturating_add(16);
        matches!(self.stand(), Stand::Awaits(_)) && self.untold < most
    }

    /// Exchanges that must be carried.
    #[must_use]
    pub const fn needed(&self) -> u32 {
        self.needed
    }

    /// Exchanges that were.
    #[must_use]
    pub const fn carried(&self) -> u32 {
        self.carried
    }

    /// Exchanges of which it cannot be told.
    #[must_use]
    pub const fn untold(&self) -> u32 {
        self.untold
    }

    /// The first difference, in words.
    #[must_use]
    pub fn missed(&self) -> Option<&str> {
        self.missed.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_pass_and_one_miss_is_one_too_many() {
        let mut trial = Trial::new(3);
        assert_eq!(trial.note(Beside::Carried, 2), Stand::Awaits(1));
        assert_eq!(trial.note(Beside::Untold, 5), Stand::Awaits(1));
        assert_eq!(trial.clone().note(Beside::Carried, 1), Stand::Passed);
        assert_eq!(trial.note(Beside::Missed("/price".to_owned()), 1), Stand::Missed);
        assert_eq!(trial.note(Beside::Carried, 99), Stand::Missed);
        assert_eq!((trial.carried(), trial.missed()), (2, Some("/price")));
        assert!(!trial.goes_on());
    }

    #[test]
    fn what_cannot_be_compared_is_not_run_for_ever() {
        let mut trial = Trial::new(1);
        let runs = (0..1_000).take_while(|_| {
            trial.note(Beside::Untold, 1);
            trial.goes_on()
        });
        assert_eq!(runs.count(), 19);
        assert_eq!(trial.stand(), Stand::Awaits(1));
    }
}
