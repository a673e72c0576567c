//! How often may it ask, and how much at once? Rates and sizes, held before anything is sent.
//!
//! Whoever asks too often is told so without taking from the others: a principal's own rate is asked
//! first, then the tool's, then the peer's.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use governor::clock::{self, Clock as _};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Allowance, RateLimiter};
use http::{HeaderMap, Method as HttpMethod};
use quick_cache::sync::Cache;

use super::admit::{Arrival, Exchange};
use super::gateway::Lane;
use super::mend::read;
use super::principal::principal;
use super::report;
use super::share::{Rate, Share, Sizes};
use crate::domain::json::{Item, Kind, Limits};
use crate::domain::message::{Clock, Executed, Principal, Verdict};
use crate::telemetry::{Limit, Shed};
use crate::wire::protocol::mcp::{Envelope, Method, Refusal, Refused, Shape};

/// The clock of the process, as rates read it.
#[derive(Clone, Debug)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.monotonic_micros())
    }
}

/// A rate at work: one atomic word.
#[derive(Debug)]
struct Limiter {
    cells: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    burst: u32,
    ticks: Ticks,
}

/// The rates and sizes of one peer.
#[derive(Debug)]
pub(super) struct Quota {
    share: Share,
    ticks: Ticks,
    peer: Option<Limiter>,
    principal: Option<(Rate, Cache<Principal, Arc<Limiter>>)>,
    tools: BTreeMap<String, ToolQuota>,
    sizes: Sizes,
}

#[derive(Debug)]
struct ToolQuota {
    rate: Option<Limiter>,
    sizes: Sizes,
}

/// A bound that bit, and when to try again.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    shed: Shed,
    wait: Duration,
}

impl Quota {
    pub(super) fn new(share: Share, clock: &Arc<dyn Clock>) -> Self {
        let ticks = Ticks(Arc::clone(clock));
        let tools = share.tools.iter().map(|(name, tool)| {
            let rate = tool.rate.map(|rate| Limiter::new(rate, &ticks));
            let sizes = Sizes {
                arguments_bytes: tool.sizes.arguments_bytes.or(share.sizes.arguments_bytes),
                text_bytes: tool.sizes.text_bytes.or(share.sizes.text_bytes),
            };
            (name.clone(), ToolQuota { rate, sizes })
        });
        Self {
            peer: share.rates.peer.map(|rate| Limiter::new(rate, &ticks)),
            principal: share
                .rates
                .principal
                .map(|rate| (rate, Cache::new(share.rates.principals.max(1)))),
            tools: tools.collect(),
            sizes: share.sizes,
            ticks,
            share,
        }
    }

    /// What it was made of.
    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// Whether anything is bounded: most peers have no rates and no sizes of their own.
    fn bounds(&self) -> bool {
        self.peer.is_some()
            || self.principal.is_some()
            || !self.tools.is_empty()
            || self.sizes != Sizes::default()
    }

    /// Takes `count` requests from every rate that they fall under, or tells the first that has none.
    fn take(&self, count: u32, tool: Option<&str>, headers: &HeaderMap) -> Result<(), Over> {
        if let Some((rate, known)) = &self.principal {
            let fresh = || Ok::<_, Infallible>(Arc::new(Limiter::new(*rate, &self.ticks)));
            let own = known.get_or_insert_with(&principal(headers), fresh);
            own.unwrap_or_else(|never| match never {}).take(count, Shed::PrincipalRate)?;
        }
        let own = tool.and_then(|tool| self.tools.get(tool)?.rate.as_ref());
        own.map_or(Ok(()), |own| own.take(count, Shed::ToolRate))?;
        self.peer.as_ref().map_or(Ok(()), |peer| peer.take(count, Shed::PeerRate))
    }

    /// What in these arguments is too large, in the words of the refusal.
    fn oversized(&self, tool: Option<&str>, arguments: &Bytes, limits: Limits) -> Option<Refusal> {
        let own = tool.and_then(|tool| self.tools.get(tool));
        let sizes = own.map_or(self.sizes, |own| own.sizes);
        if let Some(limit) = sizes.arguments_bytes.filter(|limit| arguments.len() > *limit) {
            let what = "arguments, as JSON text in bytes,";
            return Some(Refusal::PartTooLarge { what, limit, came: arguments.len() });
        }
        let limit = sizes.text_bytes?;
        let came = read(arguments, limits, |arguments| arguments.map_or(0, longest_text));
        let what = "each text in the arguments, in bytes,";
        (came > limit).then_some(Refusal::PartTooLarge { what, limit, came })
    }
}

impl Limiter {
    fn new(rate: Rate, ticks: &Ticks) -> Self {
        // A span of zero is none that a rate can have.
        let spaced = Allowance::with_period(rate.every);
        let allowance = spaced.unwrap_or(Allowance::per_second(NonZeroU32::MAX));
        let allowance = allowance.allow_burst(rate.burst);
        Self {
            cells: RateLimiter::direct_with_clock(allowance, ticks.clone()),
            burst: rate.burst.get(),
            ticks: ticks.clone(),
        }
    }

    /// What is more than a burst counts as one: it could never pass.
    fn take(&self, count: u32, shed: Shed) -> Result<(), Over> {
        let Some(count) = NonZeroU32::new(count.min(self.burst)) else { return Ok(()) };
        match self.cells.check_n(count) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => Err(Over { shed, wait: until.wait_time_from(self.ticks.now()) }),
        }
    }
}

/// The longest single text, in bytes as it is written; keys count as texts.
fn longest_text(item: Item<'_>) -> usize {
    match item.kind() {
        Kind::String => item.raw().len() - 2,
        Kind::Array => item.items().map(longest_text).max().unwrap_or(0),
        Kind::Object => item
            .members()
            .map(|(key, value)| longest_text(key).max(longest_text(value)))
            .max()
            .unwrap_or(0),
        Kind::Null | Kind::Bool | Kind::Number => 0,
    }
}

/// Why a request that was read may not be asked. Answers, notifications and `DELETE` are never in excess:
/// a peer waits for the first two, and the last one sets it free.
pub(super) fn excess(exchange: &Exchange, envelope: &Envelope) -> Option<Refused> {
    let quota = exchange.lane.quota();
    if !quota.bounds() || envelope.shape != Shape::Request {
        return None;
    }
    let called = (envelope.method == Method::ToolsCall).then_some(envelope.name.as_deref());
    let (lane, tool) = (&exchange.lane, called.flatten());
    let document = lane.settings().document;
    let large = envelope.arguments().and_then(|it| quota.oversized(tool, &it, document));
    let refused = match large {
        Some(why) => {
            told(lane, Shed::Size, Limit::RequestBytes);
            report::refused(lane, why, Executed::No)
        }
        None => quota.take(1, tool, &exchange.parts.headers).err()?.told(lane),
    };
    if called.is_some() {
        lane.gate().metrics.exchange(Verdict::Refused);
    }
    Some(refused)
}

/// As [`excess`], for the requests of a batch.
pub(super) fn batch_excess(exchange: &Exchange, all: &[Envelope]) -> Option<Refused> {
    let quota = exchange.lane.quota();
    if !quota.bounds() {
        return None;
    }
    let asks = all.iter().filter(|envelope| envelope.shape == Shape::Request).count();
    let count = u32::try_from(asks).unwrap_or(u32::MAX);
    let over = quota.take(count, None, &exchange.parts.headers).err()?;
    Some(over.told(&exchange.lane))
}

/// As [`excess`], for a request whose body is not read.
pub(super) fn unread_excess(arrival: &Arrival) -> Option<Refused> {
    let quota = arrival.lane.quota();
    if !quota.bounds() || arrival.parts.method == HttpMethod::DELETE {
        return None;
    }
    let over = quota.take(1, None, &arrival.parts.headers).err()?;
    Some(over.told(&arrival.lane))
}

fn told(lane: &Lane, shed: Shed, limit: Limit) {
    lane.gate().load.shed(shed);
    lane.doors().metrics.limit(limit);
}

impl Over {
    fn told(self, lane: &Lane) -> Refused {
        told(lane, self.shed, Limit::Rate);
        let whose = match self.shed {
            Shed::PrincipalRate => "this caller asks",
            Shed::ToolRate => "this tool is asked",
            _ => "this peer is asked",
        };
        let retry_after_ms = u64::try_from(self.wait.as_micros().div_ceil(1000));
        let retry_after_ms = retry_after_ms.unwrap_or(u64::MAX).max(1);
        let why = format!("{whose} more often than is allowed; try again in {retry_after_ms} ms");
        report::refused(lane, Refusal::RateLimited(why), Executed::No).after(retry_after_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use http::header::AUTHORIZATION;

    use super::super::share::{Rates, ToolShare};
    use super::*;
    use crate::domain::message::UnixMillis;

    /// A clock that stands still until it is told.
    #[derive(Debug, Default)]
    struct Still(AtomicU64);

    impl Clock for Still {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.monotonic_micros() / 1000)
        }

        fn monotonic_micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn as_somebody(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, name.parse().unwrap())])
    }

    fn rate(count: f64, burst: u32) -> Option<Rate> {
        Rate::per_second(count, NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn each_rate_bites_at_its_own_bound_and_tells_when_the_next_comes_free() {
        let clock = Arc::new(Still::default());
        let tool = ToolShare { rate: rate(1.0, 1), ..ToolShare::default() };
        let share = Share {
            rates: Rates { peer: rate(10.0, 4), principal: rate(2.0, 2), principals: 8 },
            tools: BTreeMap::from([("book".to_owned(), tool)]),
            ..Share::default()
        };
        let quota = Quota::new(share, &(clock.clone() as Arc<dyn Clock>));
        let (ann, bob) = (as_somebody("Bearer ann"), as_somebody("Bearer bob"));
        let over = |shed, ms| Err(Over { shed, wait: Duration::from_millis(ms) });
        // When, who, how many, which tool, what comes of it.
        for (at_ms, who, count, tool, expected) in [
            (0, &ann, 1, Some("book"), Ok(())),
            (0, &ann, 1, Some("book"), over(Shed::ToolRate, 1000)),
            (0, &ann, 1, None, over(Shed::PrincipalRate, 500)),
            (0, &bob, 2, None, Ok(())),
            (500, &ann, 1, None, Ok(())),
            (500, &bob, 1, Some("read"), Ok(())),
            (1000, &bob, 9, None, over(Shed::PrincipalRate, 500)),
            (1500, &bob, 9, None, Ok(())),
            // More than a burst counts as one, of the peer's too.
            (1500, &ann, 1, Some("book"), over(Shed::PeerRate, 100)),
            (1500, &HeaderMap::new(), 2, None, over(Shed::PeerRate, 200)),
            (1700, &ann, 1, Some("read"), Ok(())),
        ] {
            clock.0.store(at_ms * 1000, Ordering::Relaxed);
            assert_eq!(quota.take(count, tool, who), expected, "at {at_ms} for {tool:?}");
        }
    }

    #[test]
    fn whose_rates_are_kept_is_bounded() {
        let clock: Arc<dyn Clock> = Arc::new(Still::default());
        let rates = Rates { peer: None, principal: rate(1.0, 1), principals: 64 };
        let quota = Quota::new(Share { rates, ..Share::default() }, &clock);
        for at in 0..10_000 {
            let headers =
                HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {at}").parse().unwrap())]);
            assert_eq!(quota.take(1, None, &headers), Ok(()));
        }
        assert!(quota.principal.unwrap().1.len() <= 64);
    }

    #[test]
    fn the_tools_bound_stands_before_the_peers_and_texts_count_as_they_are_written() {
        let clock: Arc<dyn Clock> = Arc::new(Still::default());
        let own = Sizes { arguments_bytes: Some(40), text_bytes: None };
        let tool = ToolShare { rate: None, sizes: own };
        let share = Share {
            sizes: Sizes { arguments_bytes: Some(20), text_bytes: Some(6) },
            tools: BTreeMap::from([("book".to_owned(), tool)]),
            ..Share::default()
        };
        let quota = Quota::new(share, &clock);
        for (tool, arguments, limit, came) in [
            (None, r#"{"a":"123456"}"#, 0, 0),
            (None, r#"{"a":"1234567"}"#, 6, 7),
            (None, r#"{"a":["\u00e9z"]}"#, 6, 7),
            (None, r#"{"longkey":1}"#, 6, 7),
            (None, r#"{"a":[1,2,3,4,5,6,7]}"#, 20, 21),
            (Some("book"), r#"{"a":[1,2,3,4,5,6,7]}"#, 0, 0),
            (Some("book"), r#"{"a":"1234567"}"#, 6, 7),
            (Some("read"), r#"{"a":"1234567"}"#, 6, 7),
        ] {
            let found = quota.oversized(tool, &Bytes::from(arguments), Limits::default());
            let expected = (limit > 0).then_some((limit, came));
            let found = found.map(|found| match found {
                Refusal::PartTooLarge { limit, came, .. } => (limit, came),
                other => panic!("{other}"),
            });
            assert_eq!(found, expected, "{tool:?} {arguments}");
        }
    }
}
