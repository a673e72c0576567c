//! The table over all cases, and how long they took.

use serde::Serialize;

use super::case::Judged;
use super::score::CaseScore;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Those that count.
    pub count: usize,
    /// All.
    pub of: usize,
}

impl Share {
    pub(super) fn count<T>(all: impl Iterator<Item = T>, counts: impl Fn(&T) -> bool) -> Self {
        all.fold(Self::default(), |share, one| Self {
            count: share.count + usize::from(counts(&one)),
            of: share.of + 1,
        })
    }

    /// In percent, to one decimal; 100 of nothing.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.of == 0 {
            return 100.0;
        }
        // Counts of cases are far smaller than 2^52.
        #[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
        let percent = self.count as f64 * 100.0 / self.of as f64;
        (percent * 10.0).round() / 10.0
    }
}

/// What an evaluation comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Judged cases.
    pub cases: usize,
    /// Proposals that go by themselves and should not, or that map otherwise than judged.
    pub wrong_heals: usize,
    /// Of the cases judged `auto`: calls carried over as judged, without a person.
    pub auto_healed: Share,
    /// The same among those where arguments have to be mapped.
    pub auto_mapped: Share,
    /// Of the healable cases judged `review`: a correct proposal waits.
    pub review_proposed: Share,
    /// Cases where one of the tool's changes has the judged type.
    pub type_agrees: Share,
    /// Cases where the gravest of the tool's changes is as grave as judged.
    pub severity_agrees: Share,
    /// Breaks judged hard that are called compatible.
    pub hard_called_compatible: usize,
}

impl Table {
    /// Adds the cases up.
    #[must_use]
    pub fn of(scores: &[CaseScore]) -> Self {
        let all = || scores.iter();
        let auto = || all().filter(|score| score.judged == Judged::Auto);
        let review = || all().filter(|score| score.judged == Judged::Review && score.healable);
        Self {
            cases: scores.len(),
            wrong_heals: all().filter(|score| !score.wrong.is_empty()).count(),
            auto_healed: Share::count(auto(), |score| score.healed()),
            auto_mapped: Share::count(auto().filter(|score| score.needs_routine), |score| {
                score.healed()
            }),
            review_proposed: Share::count(review(), |score| score.waits()),
            type_agrees: Share::count(all(), |score| score.type_agrees),
            severity_agrees: Share::count(all(), |score| score.severity_agrees),
            hard_called_compatible: all().filter(|score| score.hard_called_compatible).count(),
        }
    }

    /// Whether nothing went that should not have, and no hard break was missed.
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        self.wrong_heals == 0 && self.hard_called_compatible == 0
    }
}

/// How long the parts of an evaluation took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half took no longer.
    pub median_us: u64,
    /// 99 in 100 took no longer.
    pub p99_us: u64,
    /// The longest.
    pub slowest_us: u64,
}

impl Spread {
    /// The spread of measured times.
    #[must_use]
    pub fn of(mut times_us: Vec<u64>) -> Self {
        times_us.sort_unstable();
        let at = |percent: usize| {
            let rank = (times_us.len() * percent).div_ceil(100);
            times_us.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { median_us: at(50), p99_us: at(99), slowest_us: at(100) }
    }
}
