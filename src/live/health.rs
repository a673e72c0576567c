//! How the path and the control plane share what they know of a tool's health, and of its peer's.
//!
//! While all is well the path reads one atomic. A lock is taken only where something failed, and never
//! across an await.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Sampler;
use crate::domain::health::{
    Adjustment, Breaker, BreakerRules, BreakerState, Budget, Level, Pass, Refusing, RetryRules,
    Shift,
};

/// A breaker that all threads use.
#[derive(Debug, Default)]
pub struct Circuit {
    /// The flow of an untroubled breaker, doubled; the lowest bit says that it is troubled.
    mark: AtomicU64,
    breaker: Mutex<Breaker>,
    /// Told when a probe has ended, and when it closes.
    changed: Notify,
}

impl Circuit {
    /// May an attempt go now?
    ///
    /// # Errors
    /// Where it is open: when to try again.
    pub fn admit(&self, now: u64, rules: &BreakerRules) -> Result<Pass, Refusing> {
        let mark = self.mark.load(Ordering::Acquire);
        if mark & 1 == 0 {
            return Ok(Pass::Flow((mark >> 1) as u32));
        }
        self.with(|breaker| breaker.admit(now, rules))
    }

    /// Why an attempt would not be let through now; asking takes nobody's place.
    #[must_use]
    pub fn refusing(&self, now: u64) -> Option<Refusing> {
        if self.mark.load(Ordering::Acquire) & 1 == 0 {
            return None;
        }
        self.locked().refusing(now)
    }

    /// The peer answered.
    pub fn good(&self, pass: Pass, now: u64, rules: &BreakerRules) -> Shift {
        let mark = self.mark.load(Ordering::Acquire);
        if mark & 1 == 0 {
            return Shift::Stayed;
        }
        self.with(|breaker| breaker.good(pass, now, rules))
    }

    /// The attempt failed.
    pub fn bad(&self, pass: Pass, now: u64, rules: &BreakerRules) -> Shift {
        self.with(|breaker| breaker.bad(pass, now, rules))
    }

    /// The attempt was given up.
    pub fn dropped(&self, pass: Pass) {
        if matches!(pass, Pass::Probe(_)) {
            self.with(|breaker| breaker.dropped(pass));
        }
    }

    /// Opens it and holds it open.
    pub fn hold(&self, now: u64, rules: &BreakerRules) -> Shift {
        self.with(|breaker| breaker.hold(now, rules))
    }

    /// Closes it where it is held open.
    pub fn release_held(&self) -> Shift {
        self.with(Breaker::release)
    }

    /// Comes when a probe has ended, or it closed, from the moment on that this is listened to.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self, now: u64) -> BreakerState {
        if self.mark.load(Ordering::Acquire) & 1 == 0 {
            return BreakerState::Closed;
        }
        self.locked().state(now)
    }

    /// Whether its last attempt failed, or it is not closed.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.mark.load(Ordering::Relaxed) & 1 == 1
    }

    fn with<R>(&self, act: impl FnOnce(&mut Breaker) -> R) -> R {
        let mut breaker = self.locked();
        let (was_probing, was_closed) = (breaker.is_probing(), breaker.is_closed());
        let done = act(&mut breaker);
        let troubled = u64::from(!breaker.is_untroubled());
        self.mark.store(u64::from(breaker.flow()) << 1 | troubled, Ordering::Release);
        let changed =
            (was_probing && !breaker.is_probing()) || (!was_closed && breaker.is_closed());
        drop(breaker);
        if changed {
            self.changed.notify_waiters();
        }
        done
    }

    fn locked(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The health of one promised tool, as both planes see it. It outlives the bindings.
#[derive(Debug, Default)]
pub struct ToolHealth {
    /// Its breaker.
    pub circuit: Circuit,
    /// Which replies are kept as last known good ones.
    pub keeper: Sampler,
    /// Slow or failing, as the control plane sees it.
    degraded: AtomicBool,
    /// How its retries differ from what is configured because of that; read where an attempt failed.
    adjusted: Mutex<Adjustment>,
    /// The drift event that says so.
    drift: Mutex<Option<Arc<str>>>,
}

impl ToolHealth {
    /// Whether what is not essential is skipped.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// Says whether what is not essential is skipped.
    pub fn degrade(&self, degraded: bool) {
        self.degraded.store(degraded, Ordering::Relaxed);
    }

    /// How its retries differ from what is configured.
    #[must_use]
    pub fn adjusted(&self) -> Adjustment {
        *self.adjusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how its retries differ from what is configured; how they did before.
    pub fn adjust(&self, to: Adjustment) -> Adjustment {
        std::mem::replace(&mut *self.adjusted.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// The drift event about its performance.
    #[must_use]
    pub fn drift(&self) -> Option<Arc<str>> {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which drift event is about its performance.
    pub fn tell(&self, drift: Option<Arc<str>>) {
        *self.drift.lock().unwrap_or_else(PoisonError::into_inner) = drift;
    }

    /// How far down the ladder calls of this tool are.
    #[must_use]
    pub fn level(&self, peer: &PeerHealth, now: u64) -> Level {
        let open = |circuit: &Circuit| circuit.state(now) != BreakerState::Closed;
        if open(&self.circuit) || open(&peer.circuit) {
            Level::L3
        } else if peer.circuit.is_troubled() {
            Level::L2
        } else if self.is_degraded() {
            Level::L1
        } else {
            Level::L0
        }
    }
}

/// The health of one peer, as both planes see it.
#[derive(Debug, Default)]
pub struct PeerHealth {
    /// Counts attempts that did not reach it.
    pub circuit: Circuit,
    /// Calls of its tools so far.
    calls: AtomicU64,
    budget: Mutex<Budget>,
    /// The drift event about its reach.
    drift: Mutex<Option<Arc<str>>>,
}

impl PeerHealth {
    /// A call of one of its tools begins.
    pub fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a retry out of the peer's budget, where there is one.
    pub fn may_retry(&self, now: u64, rules: &RetryRules) -> bool {
        let calls = self.calls.load(Ordering::Relaxed);
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(now, calls, rules)
    }

    /// The drift event about its reach.
    #[must_use]
    pub fn drift(&self) -> Option<Arc<str>> {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which drift event is about its reach.
    pub fn tell(&self, drift: Option<Arc<str>>) {
        *self.drift.lock().unwrap_or_else(PoisonError::into_inner) = drift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to one tool of a peer at one moment.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// An attempt that is let through ends well.
        Good,
        /// One of this tool fails.
        Failed,
        /// One does not reach the peer.
        Unreached,
        /// An attempt is refused.
        Refused,
        /// The control plane finds it slow, or well again.
        Slow(bool),
    }

    #[test]
    fn a_tool_goes_down_the_ladder_and_up_again() {
        use Event::{Failed, Good, Refused, Slow, Unreached};
        use Level::{L0, L1, L2, L3};
        let rows = [
            (0, Good, L0),
            (1, Slow(true), L1),
            (2, Failed, L1),
            (3, Slow(false), L0),
            // Nothing reaches the peer: from the first time on, whoever only reads is answered from memory.
            (4, Unreached, L2),
            (5, Unreached, L2),
            (6, Good, L0),
            (7, Unreached, L2),
            (8, Unreached, L2),
            (9, Unreached, L2),
            (10, Unreached, L2),
            (11, Unreached, L3),
            (12, Refused, L3),
            (40, Refused, L3),
            (41, Unreached, L3),
            (42, Refused, L3),
            (101, Good, L0),
            // The tool alone fails: the peer is reached, so nothing is answered from memory.
            (102, Failed, L0),
            (103, Failed, L0),
            (104, Failed, L0),
            (105, Failed, L0),
            (106, Failed, L3),
            (107, Refused, L3),
            (108, Slow(true), L3),
            (136, Good, L1),
            (137, Slow(false), L0),
        ];
        let (tool, peer, rules) =
            (ToolHealth::default(), PeerHealth::default(), BreakerRules::default());
        for (second, event, expected) in rows {
            let now = second * 1_000_000;
            let told = format!("{event:?} at {second} s");
            let asked = (tool.circuit.admit(now, &rules), peer.circuit.admit(now, &rules));
            match (event, asked) {
                (Slow(slow), _) => tool.degrade(slow),
                (Refused, asked) => {
                    assert!(asked.0.is_err() || asked.1.is_err(), "{told}");
                    asked.0.into_iter().for_each(|pass| tool.circuit.dropped(pass));
                    asked.1.into_iter().for_each(|pass| peer.circuit.dropped(pass));
                }
                (_, (Ok(of_tool), Ok(of_peer))) => {
                    if matches!(event, Unreached) {
                        tool.circuit.dropped(of_tool);
                        peer.circuit.bad(of_peer, now, &rules);
                    } else {
                        peer.circuit.good(of_peer, now, &rules);
                        match event {
                            Failed => tool.circuit.bad(of_tool, now, &rules),
                            _ => tool.circuit.good(of_tool, now, &rules),
                        };
                    }
                }
                _ => panic!("{told}: refused"),
            }
            assert_eq!(tool.level(&peer, now), expected, "{told}");
        }
    }

    #[test]
    fn many_threads_open_it_once_and_one_of_them_probes() {
        let (circuit, rules) = (Circuit::default(), BreakerRules::default());
        let count = |act: &(dyn Fn() -> bool + Sync)| {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| (0..200).filter(|_| act()).count())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        };
        let opened = count(&|| {
            let pass = circuit.admit(0, &rules);
            pass.is_ok_and(|pass| circuit.bad(pass, 0, &rules) == Shift::Opened)
        });
        assert_eq!(opened, 1);
        assert_eq!(count(&|| circuit.admit(29_999_999, &rules).is_ok()), 0);
        assert_eq!(count(&|| circuit.admit(30_000_000, &rules).is_ok()), 1);
        let closed = count(&|| circuit.good(Pass::Probe(1), 30_000_001, &rules) == Shift::Closed);
        assert_eq!(closed, 1);
        assert_eq!(count(&|| circuit.admit(30_000_002, &rules) == Ok(Pass::Flow(1))), 1_600);
        assert!(!circuit.is_troubled());
    }
}
