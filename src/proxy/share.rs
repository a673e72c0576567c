//! What an operator may set on how much of a peer is asked for, and by whom.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::message::Principal;
use crate::domain::sharing::Bounds;

/// How much of one peer is asked for; the default is what ships.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How often it is asked.
    pub rates: Rates,
    /// How large a part of a request may be.
    pub sizes: Sizes,
    /// How many calls at once, and whose turn it is.
    pub sharing: Sharing,
    /// What holds for single tools, by promised name.
    pub tools: BTreeMap<String, ToolShare>,
}

/// What holds for a single tool, beside what holds for its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolShare {
    /// Calls of all principals; `None`: no rate of its own.
    pub rate: Option<Rate>,
    /// Where a bound is `None` the peer's holds.
    pub sizes: Sizes,
}

/// How many calls at once, and whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The limit is found by trial between the bounds; else it is the most.
    pub adaptive: bool,
    /// Calls at once; a most of 0 is no bound.
    pub bounds: Bounds,
    /// Principals take turns; else it is first come, first served.
    pub fair: bool,
    /// Calls that may wait.
    pub queue: usize,
    /// Calls of one principal that may wait.
    pub queue_per_principal: usize,
    /// How long a call waits for its turn.
    pub wait: Duration,
    /// Turns in a round, by principal as records name it; 1 where one is absent.
    pub weights: BTreeMap<Principal, NonZeroU32>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            adaptive: true,
            bounds: Bounds { min: 4, max: 1_000 },
            fair: true,
            queue: 1_000,
            queue_per_principal: 250,
            wait: Duration::from_secs(3),
            weights: BTreeMap::new(),
        }
    }
}

/// How often a peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Requests of all principals; `None`: no bound.
    pub peer: Option<Rate>,
    /// Requests of one principal; `None`: no bound.
    pub principal: Option<Rate>,
    /// Principals whose rate is kept; of more, those that asked least lately start afresh.
    pub principals: usize,
}

/// A rate that lets bursts through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// One request comes free each time this has passed; never zero.
    pub every: Duration,
    /// Requests at once after a rest.
    pub burst: NonZeroU32,
}

/// How large a part of a request may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// JSON text of `params.arguments`, in bytes; `None`: as the request.
    pub arguments_bytes: Option<usize>,
    /// The longest single text in the arguments, a prompt for instance, in bytes as it is written;
    /// `None`: as the arguments.
    pub text_bytes: Option<usize>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { peer: None, principal: None, principals: 10_000 }
    }
}

impl Rate {
    /// A burst is cut to what comes free in this time.
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);

    /// This many a second, `burst` of them at once. `None` where that is no rate: none a second, or
    /// fewer than one a day.
    #[must_use]
    pub fn per_second(count: f64, burst: NonZeroU32) -> Option<Self> {
        let every = Duration::try_from_secs_f64(count.recip()).ok()?;
        let fits = count > 0.0 && every <= Duration::from_secs(86_400);
        // Faster than one a nanosecond is no bound at all.
        let most = Self::LONGEST.as_nanos() / every.as_nanos().max(1);
        let burst = burst.min(NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX))?);
        (fits && !every.is_zero()).then_some(Self { every, burst })
    }
}
