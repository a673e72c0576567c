//! A call that may run twice waits a moment at an open breaker: for its probe, never in vain.
//!
//! ```text
//!   a probe is under way                 ─► waits for what comes of it
//!   the rest ends within the wait        ─► waits, and is the probe itself, or waits for it
//!   the rest ends later                  ─► refused at once, and told when to come back
//!      closed ─► goes, in the crowd's turns │ open again, or the wait is over ─► refused
//! ```
//!
//! How many wait is bounded, of each peer and of all. A caller that leaves gives its place back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::call::Call;
use super::resilience::{Open, admitted};
use crate::domain::message::{Clock, Millis};
use crate::live::Circuit;
use crate::telemetry::{Held, Load};

/// Who may wait at an open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRules {
    /// How long at most; 0: nobody waits.
    pub wait: Millis,
    /// Calls of one peer that may wait at once.
    pub queue: u64,
    /// Calls of all peers that may wait at once.
    pub queue_all: u64,
}

impl Default for HoldRules {
    /// As long as for a heal: agents wait that long already. A rest of 30 s is longer, so it is its end,
    /// or the probe, that is waited for.
    fn default() -> Self {
        Self { wait: Millis(2_000), queue: 64, queue_all: 256 }
    }
}

/// How many wait, of all peers.
#[derive(Debug, Default)]
pub(super) struct Bench(AtomicU64);

/// Somebody who waits; his place is free when this is dropped.
struct Waiting<'a> {
    all: &'a AtomicU64,
    load: &'a Load,
    came: Held,
}

impl<'a> Waiting<'a> {
    /// A place; `None` where as many wait as may.
    fn new(bench: &'a Bench, load: &'a Load, rules: &HoldRules) -> Option<Self> {
        if !took(&load.held, rules.queue) {
            return None;
        }
        if !took(&bench.0, rules.queue_all) {
            load.held.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self { all: &bench.0, load, came: Held::Left })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.load.held.fetch_sub(1, Ordering::Relaxed);
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.load.held(self.came);
    }
}

fn took(count: &AtomicU64, most: u64) -> bool {
    let one_more = |now| (now < most).then_some(now + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
}

/// Waits at this open breaker where that is of use, until both let the call through.
pub(super) async fn wait(call: &mut Call, open: Open) -> Result<(), Open> {
    let rules = call.lane.settings().resilience.hold;
    if rules.wait.0 == 0 || !call.bond.tool.idempotent {
        return Err(open);
    }
    let began = call.lane.micros();
    let limit = began.saturating_add(rules.wait.0.saturating_mul(1_000));
    let limit = call.until.map_or(limit, |until| limit.min(until));
    if in_vain(&open, limit.saturating_sub(began)) {
        return Err(open);
    }
    let lane = call.lane.clone();
    let load = &lane.gate().load;
    let Some(mut waiting) = Waiting::new(&lane.gateway().bench, load, &rules) else {
        load.held(Held::Full);
        return Err(open);
    };
    let (tool, peer) = (Arc::clone(&call.bond.tool.health), Arc::clone(&call.bond.binding.health));
    let circuits = [&tool.circuit, &peer.circuit];
    let came = until(lane.doors().clock.as_ref(), circuits, limit, || admitted(call)).await;
    waiting.came = if came.is_ok() { Held::Released } else { Held::Refused };
    drop(waiting);
    call.times.others += lane.micros().saturating_sub(began);
    came
}

/// Whether nothing can change within so many microseconds.
fn in_vain(open: &Open, left: u64) -> bool {
    left == 0 || (!open.refusing.probing && open.refusing.after > left)
}

/// Asks again whenever one of the circuits may answer otherwise, until it lets go or waiting is in vain.
async fn until(
    clock: &dyn Clock,
    circuits: [&Circuit; 2],
    limit: u64,
    mut ask: impl FnMut() -> Result<(), Open>,
) -> Result<(), Open> {
    loop {
        let (mut tool, mut peer) = (pin!(circuits[0].changed()), pin!(circuits[1].changed()));
        // Listened to before it is asked, so that no change is missed between the two.
        tool.as_mut().enable();
        peer.as_mut().enable();
        let Err(open) = ask() else { return Ok(()) };
        let left = limit.saturating_sub(clock.monotonic_micros());
        if in_vain(&open, left) {
            return Err(open);
        }
        tokio::select! {
            () = tool => {}
            () = peer => {}
            () = tokio::time::sleep(Duration::from_micros(open.refusing.after.min(left))) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::domain::health::{BreakerRules, BreakerState, Pass};
    use crate::domain::message::UnixMillis;

    #[derive(Debug)]
    struct Ticking(Instant);

    impl Clock for Ticking {
        fn now(&self) -> UnixMillis {
            UnixMillis(0)
        }

        fn monotonic_micros(&self) -> u64 {
            u64::try_from(self.0.elapsed().as_micros()).unwrap()
        }
    }

    /// A breaker that opened now, for 30 s.
    struct Stage {
        clock: Ticking,
        tool: Circuit,
        peer: Circuit,
        rules: BreakerRules,
    }

    impl Stage {
        fn open() -> Arc<Self> {
            let rules = BreakerRules { failures: 1, ..BreakerRules::default() };
            let (tool, peer) = (Circuit::default(), Circuit::default());
            let pass = tool.admit(0, &rules).unwrap();
            tool.bad(pass, 0, &rules);
            Arc::new(Self { clock: Ticking(Instant::now()), tool, peer, rules })
        }

        fn now(&self) -> u64 {
            self.clock.monotonic_micros()
        }

        fn ask(&self) -> Result<Pass, Open> {
            let asked = self.tool.admit(self.now(), &self.rules);
            asked.map_err(|refusing| Open { refusing, peer: false })
        }

        /// Waits 2 s at most: what it was let through with, or how long it is told to rest; and when, in
        /// milliseconds.
        async fn wait(self: Arc<Self>) -> (Result<Pass, u64>, u64) {
            let (mut pass, limit) = (None, self.now() + 2_000_000);
            let ask = || self.ask().map(|let_through| pass = Some(let_through));
            let came = until(&self.clock, [&self.tool, &self.peer], limit, ask).await;
            let told = came.map(|()| pass.unwrap()).map_err(|open| open.refusing.after / 1_000);
            (told, self.now() / 1_000)
        }
    }

    /// Lets whoever waits come as far as it can.
    async fn settle() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_outlasts_the_wait_is_told_at_once() {
        let stage = Stage::open();
        advance(Duration::from_millis(27_999)).await;
        assert_eq!(Arc::clone(&stage).wait().await, (Err(2_001), 27_999));
        advance(Duration::from_millis(1)).await;
        // From here on the rest ends within the wait: it is the probe.
        assert_eq!(stage.wait().await, (Ok(Pass::Probe(1)), 30_000));
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_those_who_wait_probes_and_the_others_go_when_it_comes_back() {
        let stage = Stage::open();
        advance(Duration::from_millis(29_000)).await;
        let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(Arc::clone(&stage).wait())).collect();
        settle().await;
        advance(Duration::from_millis(1_001)).await;
        settle().await;
        assert_eq!(waiting.iter().filter(|one| one.is_finished()).count(), 1, "one probe");
        advance(Duration::from_millis(499)).await;
        settle().await;
        assert_eq!(waiting.iter().filter(|one| one.is_finished()).count(), 1, "the others wait");
        stage.tool.good(Pass::Probe(1), stage.now(), &stage.rules);
        let mut came = Vec::new();
        for one in waiting {
            came.push(one.await.unwrap());
        }
        came.sort_by_key(|(_, at)| *at);
        assert_eq!(came[0].0, Ok(Pass::Probe(1)));
        assert!(came[1..].iter().all(|one| *one == (Ok(Pass::Flow(1)), 30_500)), "{came:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_sends_away_those_who_wait_and_one_that_hangs_their_time() {
        for (fails, expected) in [(true, (Err(60_000), 30_200)), (false, (Err(28_000), 32_000))] {
            let stage = Stage::open();
            advance(Duration::from_millis(30_000)).await;
            assert!(stage.ask().is_ok(), "the probe");
            let waiting = tokio::spawn(Arc::clone(&stage).wait());
            settle().await;
            advance(Duration::from_millis(200)).await;
            if fails {
                stage.tool.bad(Pass::Probe(1), stage.now(), &stage.rules);
            }
            assert_eq!(waiting.await.unwrap(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_caller_leaves_passes_on_to_the_next_who_waits() {
        let stage = Stage::open();
        advance(Duration::from_millis(30_000)).await;
        let probe = stage.ask().unwrap();
        let waiting = tokio::spawn(Arc::clone(&stage).wait());
        settle().await;
        advance(Duration::from_millis(700)).await;
        stage.tool.dropped(probe);
        assert_eq!(waiting.await.unwrap(), (Ok(Pass::Probe(2)), 30_700));
        assert_eq!(stage.tool.state(stage.now()), BreakerState::HalfOpen);
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let (bench, one, other) = (Bench::default(), Load::default(), Load::default());
        let rules = HoldRules { wait: Millis(1), queue: 2, queue_all: 3 };
        let take = |load| Waiting::new(&bench, load, &rules);
        let mut here: Vec<_> =
            [take(&one), take(&one), take(&other)].into_iter().flatten().collect();
        assert_eq!(here.len(), 3);
        assert!(take(&one).is_none() && take(&other).is_none(), "of the peer, and of all");
        here.pop();
        assert!(take(&one).is_none(), "of the peer");
        assert!(take(&other).is_some());
        drop(here);
        let held = |load: &Load| load.held.load(Ordering::Relaxed);
        assert_eq!((held(&one), held(&other), bench.0.load(Ordering::Relaxed)), (0, 0, 0));
        assert_eq!((one.held_for(Held::Left), other.held_for(Held::Left)), (2, 2));
    }
}
