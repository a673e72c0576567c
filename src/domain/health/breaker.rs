//! Leaves a peer or a tool alone that fails, and tries with one call whether it is back.
//!
//! ```text
//!   closed ──(so many failures in a row)──► open ──(after its rest)──► half-open: one probe
//!     ▲                                       ▲                            │
//!     │                                       └──── the probe failed ──────┤ the rest doubles
//!     └──────────────────────── the probe came back ───────────────────────┘
//! ```

use crate::domain::message::Millis;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// How long it stays open before a probe.
    pub open: Millis,
    /// How long at most, where probe after probe fails.
    pub longest: Millis,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { failures: 5, open: Millis(30_000), longest: Millis(300_000) }
    }
}

/// What an attempt was let through with; its end is told with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It was closed; the number says how often it had closed before.
    Flow(u32),
    /// It was half-open: the one probe, by its number.
    Probe(u32),
}

/// Why an attempt is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// When to try again, in microseconds from now.
    pub after: u64,
    /// A probe is under way: what comes of it may change the answer sooner.
    pub probing: bool,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go.
    #[default]
    Closed,
    /// Calls are refused.
    Open,
    /// A probe is under way, or the next call is one.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open` or `half_open`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What the end of an attempt did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Nothing that anybody has to be told.
    Stayed,
    /// It opened.
    Opened,
    /// It closed again.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: u64,
    },
    /// A probe is under way. One that takes longer than the breaker's rest gives way to another.
    Probing {
        until: u64,
    },
}

/// The breaker of one tool, or of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Failures in a row while closed.
    failed: u32,
    /// Openings in a row without a recovery: the rest doubles with each.
    openings: u32,
    /// Counts how often it closed: an attempt from before says nothing.
    flow: u32,
    /// The newest probe, and the first one since it opened.
    probe: u32,
    first_probe: u32,
    /// It stays open whatever probes say, until it is released.
    held: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Closed,
            failed: 0,
            openings: 0,
            flow: 0,
            probe: 0,
            first_probe: 1,
            held: false,
        }
    }

    /// May an attempt go now?
    ///
    /// # Errors
    /// Where it is open, or its probe is under way: when to try again.
    pub fn admit(&mut self, now: u64, rules: &BreakerRules) -> Result<Pass, Refusing> {
        if let Some(refusing) = self.refusing(now) {
            return Err(refusing);
        }
        match self.state {
            State::Closed => Ok(Pass::Flow(self.flow)),
            State::Open { .. } | State::Probing { .. } => {
                self.probe = self.probe.wrapping_add(1);
                self.state = State::Probing { until: now.saturating_add(micros(rules.open)) };
                Ok(Pass::Probe(self.probe))
            }
        }
    }

    /// Why an attempt would not be let through now; `None` where it would.
    #[must_use]
    pub fn refusing(&self, now: u64) -> Option<Refusing> {
        match self.state {
            State::Open { until } | State::Probing { until } if now < until => {
                Some(Refusing { after: until - now, probing: self.is_probing() })
            }
            _ => None,
        }
    }

    /// The peer answered: a reply, an error of the tool, a malformed reply, whatever is no failure of
    /// the kinds that count.
    pub fn good(&mut self, pass: Pass, now: u64, rules: &BreakerRules) -> Shift {
        match (pass, self.state) {
            (Pass::Flow(flow), State::Closed) if flow == self.flow => {
                self.failed = 0;
                Shift::Stayed
            }
            (Pass::Probe(probe), State::Open { .. } | State::Probing { .. })
                if probe >= self.first_probe =>
            {
                if self.held {
                    self.state = State::Open { until: now.saturating_add(micros(rules.open)) };
                    return Shift::Stayed;
                }
                self.close();
                Shift::Closed
            }
            // A straggler from before it opened, or from before it closed.
            _ => Shift::Stayed,
        }
    }

    /// The attempt failed in a way that counts.
    pub fn bad(&mut self, pass: Pass, now: u64, rules: &BreakerRules) -> Shift {
        match (pass, self.state) {
            (Pass::Flow(flow), State::Closed) if flow == self.flow => {
                self.failed = self.failed.saturating_add(1);
                if self.failed < rules.failures.max(1) {
                    return Shift::Stayed;
                }
                self.open(now, rules);
                Shift::Opened
            }
            (Pass::Probe(probe), State::Probing { .. }) if probe == self.probe => {
                self.open(now, rules);
                Shift::Stayed
            }
            _ => Shift::Stayed,
        }
    }

    /// The peer asked to be left alone for so long, or cannot mend what is wrong by being asked again: it
    /// opens at once, for that span.
    pub fn rest(&mut self, pass: Pass, now: u64, span: Millis) -> Shift {
        let until = now.saturating_add(micros(span));
        match (pass, self.state) {
            (Pass::Flow(flow), State::Closed) if flow == self.flow => {
                self.open_until(until);
                Shift::Opened
            }
            (Pass::Probe(probe), State::Probing { .. }) if probe == self.probe => {
                self.open_until(until);
                Shift::Stayed
            }
            _ => Shift::Stayed,
        }
    }

    /// The attempt was given up by its caller: it says nothing, and a probe's place is free.
    pub fn dropped(&mut self, pass: Pass) {
        if matches!(self.state, State::Probing { .. }) && pass == Pass::Probe(self.probe) {
            self.state = State::Open { until: 0 };
        }
    }

    /// Opens it and holds it open; probes still go, one after each rest.
    pub fn hold(&mut self, now: u64, rules: &BreakerRules) -> Shift {
        self.held = true;
        if self.state != State::Closed {
            return Shift::Stayed;
        }
        self.open(now, rules);
        Shift::Opened
    }

    /// What held it open is over: it closes. One that was not held stays as it is.
    pub fn release(&mut self) -> Shift {
        if !std::mem::take(&mut self.held) {
            return Shift::Stayed;
        }
        self.close();
        Shift::Closed
    }

    /// How it stands.
    #[must_use]
    pub const fn state(&self, now: u64) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether calls go.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether a probe is under way.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        matches!(self.state, State::Probing { .. })
    }

    /// Whether it is held open.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// Closed, and the last attempt did not fail.
    #[must_use]
    pub const fn is_untroubled(&self) -> bool {
        matches!(self.state, State::Closed) && self.failed == 0
    }

    /// What a pass of this moment is while it is closed.
    #[must_use]
    pub const fn flow(&self) -> u32 {
        self.flow
    }

    fn open(&mut self, now: u64, rules: &BreakerRules) {
        let rest = micros(rules.open).saturating_mul(1 << self.openings.min(20));
        let rest = rest.min(micros(rules.longest).max(micros(rules.open)));
        self.open_until(now.saturating_add(rest));
    }

    fn open_until(&mut self, until: u64) {
        if self.state == State::Closed {
            self.first_probe = self.probe.wrapping_add(1);
        }
        self.openings = self.openings.saturating_add(1);
        self.failed = 0;
        self.state = State::Open { until };
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.failed = 0;
        self.openings = 0;
        self.flow = self.flow.wrapping_add(1);
    }
}

const fn micros(span: Millis) -> u64 {
    span.0.saturating_mul(1_000)
}
