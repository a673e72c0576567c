//! How short memory is: told by whoever reads it, asked by whoever begins something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// From this share of the limit on, no new connection is taken, in percent.
const HIGH: u64 = 85;
/// From this share on, no new exchange begins either, in percent.
const CRITICAL: u64 = 95;

/// How short memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// There is enough, or nobody told a limit.
    Ease,
    /// New connections are refused.
    High,
    /// New exchanges are refused too.
    Critical,
}

/// The last reading. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<AtomicU8>);

impl Pressure {
    /// `used` of `limit` bytes are taken.
    pub fn tell(&self, used: u64, limit: u64) {
        let share = used.saturating_mul(100) / limit.max(1);
        let level = match share {
            CRITICAL.. => Level::Critical,
            HIGH.. => Level::High,
            _ => Level::Ease,
        };
        self.0.store(level as u8, Ordering::Relaxed);
    }

    /// What the last reading came to.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.0.load(Ordering::Relaxed) {
            0 => Level::Ease,
            1 => Level::High,
            _ => Level::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_at_85_and_95_percent() {
        let pressure = Pressure::default();
        assert_eq!(pressure.level(), Level::Ease);
        for (used, limit, level) in [
            (849, 1000, Level::Ease),
            (850, 1000, Level::High),
            (949, 1000, Level::High),
            (950, 1000, Level::Critical),
            (u64::MAX, 1000, Level::Critical),
            (1, 0, Level::Critical),
            (0, 0, Level::Ease),
        ] {
            pressure.tell(used, limit);
            assert_eq!(pressure.level(), level, "{used} of {limit}");
        }
    }
}
