//! How the path and the control plane share what they know of a tool's health, and of its peer's.
//!
//! While all is well the path reads one atomic. A lock is taken only where something failed, and never
//! across an await.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sampler;
use crate::domain::health::{
    Breaker, BreakerRules, BreakerState, Budget, Level, Pass, Refusing, RetryRules, Shift,
};

/// A breaker that all threads use.
#[derive(Debug, Default)]
pub struct Circuit {
    /// The flow of an untroubled breaker, doubled; the lowest bit says that it is troubled.
    mark: AtomicU64,
    breaker: Mutex<Breaker>,
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
        let done = act(&mut breaker);
        let troubled = u64::from(!breaker.is_untroubled());
        self.mark.store(u64::from(breaker.flow()) << 1 | troubled, Ordering::Release);
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
