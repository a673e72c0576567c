//! The degrade ladder.

/// How far a tool has come down the ladder. Higher is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Normal.
    #[default]
    L0,
    /// Slow or failing: what is not essential is skipped.
    L1,
    /// The peer cannot be reached: last known good replies for calls that only read.
    L2,
    /// A breaker is open: refused at once.
    L3,
}

impl Level {
    /// 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::L0 => 0,
            Self::L1 => 1,
            Self::L2 => 2,
            Self::L3 => 3,
        }
    }

    /// As status and records write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }
}
