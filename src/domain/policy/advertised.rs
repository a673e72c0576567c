//! What a peer says of how often it may be asked.

use serde::{Deserialize, Serialize};

/// An advertised limit: so many requests in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertised {
    /// Requests.
    pub quota: u32,
    /// In so many seconds; 0 where it is not said.
    pub window_s: u32,
}

impl Advertised {
    /// Whether this allows less than before by more than so many per cent. Where one of them names no
    /// window, the bare numbers are compared.
    #[must_use]
    pub const fn fell_by(self, percent: u32, before: Self) -> bool {
        let (now, then) = (self.quota as u128, before.quota as u128);
        let left = 100_u32.saturating_sub(percent) as u128;
        if self.window_s == 0 || before.window_s == 0 {
            return now * 100 < then * left;
        }
        now * before.window_s as u128 * 100 < then * self.window_s as u128 * left
    }

    /// Whether this is the tighter one of two that hold at once.
    #[must_use]
    pub const fn is_tighter_than(self, other: Self) -> bool {
        match (self.window_s, other.window_s) {
            (0, 0) => self.quota < other.quota,
            (0, _) => false,
            (_, 0) => true,
            (mine, its) => {
                (self.quota as u128) * (its as u128) < (other.quota as u128) * (mine as u128)
            }
        }
    }
}

impl std::fmt::Display for Advertised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.window_s {
            0 => write!(f, "{} requests", self.quota),
            window => write!(f, "{} requests in {window} s", self.quota),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(quota: u32, window_s: u32) -> Advertised {
        Advertised { quota, window_s }
    }

    #[test]
    fn half_is_not_less_than_half() {
        assert!(!of(50, 60).fell_by(50, of(100, 60)));
        assert!(of(49, 60).fell_by(50, of(100, 60)));
        // The same rate over another window is no change.
        assert!(!of(6_000, 3_600).fell_by(50, of(100, 60)));
        assert!(of(100, 3_600).fell_by(50, of(100, 60)));
        assert!(of(10, 0).fell_by(50, of(100, 60)));
    }

    #[test]
    fn the_tightest_of_several_is_the_one_that_bites() {
        assert!(of(100, 3_600).is_tighter_than(of(10, 1)));
        assert!(!of(10, 1).is_tighter_than(of(100, 3_600)));
        assert!(of(10, 1).is_tighter_than(of(1, 0)));
    }
}
