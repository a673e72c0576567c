//! From the sections of a peer that say how much of it is asked for, to what the data plane goes by.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw::Peer;
use super::settings::{Named, keys};
use crate::domain::message::Principal;
use crate::domain::sharing::Bounds;
use crate::proxy;

/// How often a peer is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RateLimits {
    /// Requests of all principals.
    pub(super) peer: Rate,
    /// Requests of each principal.
    pub(super) principal: Rate,
    /// Principals whose rate is kept.
    #[schemars(range(min = 1))]
    pub(super) principals: usize,
}

/// A rate that lets bursts through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rate {
    /// Requests a second, fractions too; 0: no bound.
    #[schemars(range(min = 0.0))]
    pub(super) per_second: f64,
    /// Requests at once after a rest; 0: as many as come free in a second.
    pub(super) burst: u32,
}

/// How large a part of a request may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sizes {
    /// JSON text of `params.arguments`; absent: as the request.
    pub(super) arguments_bytes: Option<usize>,
    /// The longest single text in the arguments, a prompt for instance; absent: as the arguments.
    pub(super) text_bytes: Option<usize>,
}

/// How many calls at once, and whose turn it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sharing {
    /// Whether the limit is found by trial; else it is the most.
    pub(super) adaptive: bool,
    /// Calls at once.
    pub(super) in_flight: InFlight,
    /// Whether principals take turns; else it is first come, first served.
    pub(super) fair: bool,
    /// Calls that may wait.
    pub(super) queue: usize,
    /// Calls of one principal that may wait.
    pub(super) queue_per_principal: usize,
    /// How long a call waits for its turn.
    #[schemars(range(min = 1))]
    pub(super) wait_ms: u64,
    /// Turns in a round, by principal as records name it; 1 where one is absent.
    pub(super) weights: BTreeMap<String, NonZeroU32>,
}

/// Between what the limit of calls at once moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InFlight {
    /// The least.
    #[schemars(range(min = 1))]
    pub(super) min: u64,
    /// The most; 0: no bound, and nothing is adapted.
    pub(super) max: u64,
}

impl Default for InFlight {
    fn default() -> Self {
        let Bounds { min, max } = proxy::Sharing::default().bounds;
        Self { min, max }
    }
}

impl Default for Sharing {
    fn default() -> Self {
        let room = proxy::Sharing::default();
        Self {
            adaptive: room.adaptive,
            in_flight: InFlight::default(),
            fair: room.fair,
            queue: room.queue,
            queue_per_principal: room.queue_per_principal,
            wait_ms: u64::try_from(room.wait.as_millis()).unwrap_or(u64::MAX),
            weights: BTreeMap::new(),
        }
    }
}

impl From<&Sharing> for proxy::Sharing {
    fn from(sharing: &Sharing) -> Self {
        let weights = sharing.weights.iter();
        Self {
            adaptive: sharing.adaptive,
            bounds: Bounds { min: sharing.in_flight.min, max: sharing.in_flight.max },
            fair: sharing.fair,
            queue: sharing.queue,
            queue_per_principal: sharing.queue_per_principal,
            wait: Duration::from_millis(sharing.wait_ms),
            weights: weights.map(|(who, of)| (Principal::new(who.as_str()), *of)).collect(),
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        let principals = proxy::Rates::default().principals;
        Self { peer: Rate::default(), principal: Rate::default(), principals }
    }
}

impl Rate {
    fn build(self) -> Result<Option<proxy::Rate>, String> {
        if self.per_second == 0.0 {
            return Ok(None);
        }
        let burst = match self.burst {
            0 => self.per_second.ceil() as u32,
            burst => burst,
        };
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let rate = proxy::Rate::per_second(self.per_second, burst);
        rate.map(Some).ok_or_else(|| {
            format!("expected 0, or between one a day and 1e9 a second, got {}", self.per_second)
        })
    }
}

impl From<Sizes> for proxy::Sizes {
    fn from(sizes: Sizes) -> Self {
        Self { arguments_bytes: sizes.arguments_bytes, text_bytes: sizes.text_bytes }
    }
}

/// What holds for this peer; what is wrong is told by its keys.
pub(super) fn share(name: &str, peer: &Peer, faults: &mut Vec<Named>) -> proxy::Share {
    let mut built = |rate: Rate, path: &[&str]| {
        rate.build().unwrap_or_else(|what| {
            let path = [&["peers", name], path, &["per_second"]].concat();
            faults.push((keys(&path), what));
            None
        })
    };
    let limits = &peer.rate_limits;
    let InFlight { min, max } = peer.sharing.in_flight;
    let share = proxy::Share {
        rates: proxy::Rates {
            peer: built(limits.peer, &["rate_limits", "peer"]),
            principal: built(limits.principal, &["rate_limits", "principal"]),
            principals: limits.principals,
        },
        sizes: peer.sizes.into(),
        sharing: (&peer.sharing).into(),
        tools: peer
            .tools
            .iter()
            .map(|(tool, keys)| {
                let rate = built(keys.rate_limit, &["tools", tool, "rate_limit"]);
                (tool.clone(), proxy::ToolShare { rate, sizes: keys.sizes.into() })
            })
            .filter(|(_, share)| *share != proxy::ToolShare::default())
            .collect(),
    };
    if max != 0 && max < min {
        let what = format!("expected 0, or at least `min` ({min}), got {max}");
        faults.push((keys(&["peers", name, "sharing", "in_flight", "max"]), what));
    }
    share
}
