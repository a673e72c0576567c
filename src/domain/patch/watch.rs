//! The watch after a swap: a routine that misses early is taken back by itself.

use serde::{Deserialize, Serialize};

/// How long a swap is watched, and how many misses it survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Exchanges that are watched.
    pub exchanges: u32,
    /// This many misses roll back.
    pub failure_threshold: u32,
}

impl Default for Watch {
    fn default() -> Self {
        Self { exchanges: 20, failure_threshold: 2 }
    }
}

/// How one watched exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply kept its promise, as it came or mended.
    Good,
    /// The routine could not mend the reply, or the peer rejected arguments that the routine wrote.
    Miss,
    /// A tool's own error, a fault of the network: it says nothing about the routine.
    Unrelated,
}

/// What to do after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on watching.
    Continue,
    /// The watch is over, and the routine stays.
    Passed,
    /// Move the head back.
    RollBack,
}

/// A watch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    rule: Watch,
    seen: u32,
    misses: u32,
}

impl Watching {
    /// Begins to watch.
    #[must_use]
    pub const fn new(rule: Watch) -> Self {
        Self { rule, seen: 0, misses: 0 }
    }

    /// Counts one exchange. Unrelated ends use the watch up but count for neither side; after the end
    /// every call answers [`Step::Passed`], or [`Step::RollBack`] where it had failed.
    pub fn note(&mut self, outcome: Outcome) -> Step {
        if self.misses >= self.rule.failure_threshold.max(1) {
            return Step::RollBack;
        }
        if self.seen >= self.rule.exchanges {
            return Step::Passed;
        }
        self.seen += 1;
        self.misses += u32::from(outcome == Outcome::Miss);
        if self.misses >= self.rule.failure_threshold.max(1) {
            Step::RollBack
        } else if self.seen >= self.rule.exchanges {
            Step::Passed
        } else {
            Step::Continue
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_misses_roll_back_and_one_does_not() {
        let mut watching = Watching::new(Watch::default());
        assert_eq!(watching.note(Outcome::Miss), Step::Continue);
        assert_eq!(watching.note(Outcome::Good), Step::Continue);
        assert_eq!(watching.note(Outcome::Miss), Step::RollBack);
        assert_eq!(watching.note(Outcome::Good), Step::RollBack, "a failed watch stays failed");
    }

    #[test]
    fn errors_of_the_tool_itself_never_roll_back() {
        let mut watching = Watching::new(Watch { exchanges: 3, failure_threshold: 1 });
        assert_eq!(watching.note(Outcome::Unrelated), Step::Continue);
        assert_eq!(watching.note(Outcome::Unrelated), Step::Continue);
        assert_eq!(watching.note(Outcome::Unrelated), Step::Passed);
        assert_eq!(watching.note(Outcome::Miss), Step::Passed, "the watch is over");
    }
}
