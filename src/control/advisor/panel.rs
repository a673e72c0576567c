//! All advisors in the operator's order, with what they may cost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::budget::{self, Budget};
use super::{Advisor, AdvisorError, Answered, Round, Spent};
use crate::domain::health::{Breaker, BreakerRules, BreakerState, Pass, Shift};
use crate::domain::message::{Clock, Millis};
use crate::telemetry::{AdvisorOutcome, Metrics};
use crate::wire::protocol::advisor::Failure;

/// How a negotiation with advisors goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rounds at most: 1 to 3.
    pub rounds: u32,
    /// How long a round may take.
    pub round: Millis,
    /// How long all rounds may take together.
    pub total: Millis,
    /// Whether advisors are shown the peer's descriptions.
    pub descriptions: bool,
    /// What they may cost together.
    pub budget: budget::Settings,
    /// When one is left alone.
    pub breaker: BreakerRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rounds: 3,
            round: Millis(30_000),
            total: Millis(60_000),
            descriptions: false,
            budget: budget::Settings::default(),
            breaker: BreakerRules { failures: 3, open: Millis(60_000), longest: Millis(60_000) },
        }
    }
}

/// One advisor in its place.
struct Seat {
    advisor: Arc<dyn Advisor>,
    rest: Mutex<Rest>,
    spent: Mutex<Spent>,
}

/// Whether an advisor is left alone, and why.
#[derive(Debug, Default)]
struct Rest {
    breaker: Breaker,
    /// The last failure; told while the breaker is not closed.
    why: String,
}

impl Rest {
    fn admit(&mut self, now: u64, rules: &BreakerRules) -> Result<Pass, String> {
        self.breaker.admit(now, rules).map_err(|_| self.why.clone())
    }

    /// What was let through has ended; a failure that says nothing of the provider is none.
    fn ended(&mut self, pass: Pass, now: u64, failure: Option<&Failure>, rules: &BreakerRules) {
        let Some(failure) = failure.filter(|failure| !is_alive(failure)) else {
            self.breaker.good(pass, now, rules);
            return;
        };
        let shift = match failure {
            // Asking again does not mend a key, a right or a name.
            Failure::Status { status: 401 | 403 | 404, .. } => {
                self.breaker.rest(pass, now, rules.open)
            }
            Failure::Status { retry_after_ms: Some(asked), .. } => {
                self.breaker.rest(pass, now, Millis(*asked))
            }
            _ => self.breaker.bad(pass, now, rules),
        };
        if shift == Shift::Opened || matches!(pass, Pass::Probe(_)) {
            self.why = failure.to_string();
        }
    }
}

/// Asks advisors in order. Shared by all peers.
pub struct Panel {
    settings: Settings,
    seats: Vec<Seat>,
    budget: Mutex<Budget>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl std::fmt::Debug for Panel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.seats.iter().map(|seat| seat.advisor.name()).collect();
        f.debug_struct("Panel").field("advisors", &names).finish_non_exhaustive()
    }
}

/// How the advisors stand, for `stipula status`.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisorsStatus {
    /// In the order in which they are asked.
    pub order: Vec<AdvisorStatus>,
    /// What they cost in the last hour, set aside included.
    pub last_hour: SpentStatus,
    /// What they cost in the last day.
    pub last_day: SpentStatus,
}

/// How one advisor stands.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisorStatus {
    /// The operator's name for it.
    pub name: String,
    /// Provider and model.
    pub kind: String,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Why it is not closed.
    pub why: Option<String>,
    /// What it cost since the start.
    pub spent: SpentStatus,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SpentStatus {
    /// Requests.
    pub calls: u64,
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// Money, in the unit of the prices.
    pub cost: f64,
}

impl From<Spent> for SpentStatus {
    fn from(spent: Spent) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "money stays far below 2^53 millionths")]
        let cost = spent.cost_micros as f64 / 1_000_000.0;
        let Spent { calls, input_tokens, output_tokens, .. } = spent;
        Self { calls, input_tokens, output_tokens, cost }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Panel {
    /// A panel of these advisors, in this order.
    #[must_use]
    pub fn new(
        settings: Settings,
        advisors: Vec<Arc<dyn Advisor>>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let seat = |advisor: Arc<dyn Advisor>| {
            metrics.advisor_opened(advisor.name());
            Seat { advisor, rest: Mutex::default(), spent: Mutex::default() }
        };
        let seats = advisors.into_iter().map(seat).collect();
        Self { settings, seats, budget: Mutex::new(Budget::new(settings.budget)), clock, metrics }
    }

    /// How a negotiation goes.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks one after another until one answers or the span is over. Who gave the answer stands
    /// beside it; without an answer it is who was asked last, and its reason.
    pub async fn ask(&self, round: &Round<'_>, within: Duration) -> (String, Answered) {
        let started = self.clock.monotonic_micros();
        let within = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        let mut spent = Spent::default();
        let mut last = (String::new(), AdvisorError::NoTime);
        for (at, seat) in self.seats.iter().enumerate() {
            let gone = self.clock.monotonic_micros().saturating_sub(started);
            let left = within.saturating_sub(gone);
            // One that hangs must leave time for those behind it.
            let share = left / (self.seats.len() - at) as u64;
            if share == 0 {
                break;
            }
            let answered = self.ask_one(seat, round, Duration::from_micros(share)).await;
            spent.add(answered.spent);
            let name = seat.advisor.name().to_owned();
            match answered.outcome {
                Ok(answer) => return (name, Answered { spent, outcome: Ok(answer) }),
                Err(error) => last = (name, error),
            }
        }
        (last.0, Answered { spent, outcome: Err(last.1) })
    }

    async fn ask_one(&self, seat: &Seat, round: &Round<'_>, within: Duration) -> Answered {
        let name = seat.advisor.name();
        let failed = |error| Answered { spent: Spent::default(), outcome: Err(error) };
        let now = self.clock.monotonic_micros();
        let rules = &self.settings.breaker;
        // Bound first: a lock that a `match` names is held as long as its arms.
        let admitted = locked(&seat.rest).admit(now, rules);
        let pass = match admitted {
            Ok(pass) => pass,
            Err(why) => {
                self.metrics.advisor_asked(name, AdvisorOutcome::Resting);
                return failed(AdvisorError::Resting(why));
            }
        };
        let slot = match locked(&self.budget).set_aside(now, seat.advisor.worth(round)) {
            Ok(slot) => slot,
            Err(why) => {
                locked(&seat.rest).breaker.dropped(pass);
                self.metrics.advisor_asked(name, AdvisorOutcome::Spent);
                return failed(AdvisorError::Spent(why));
            }
        };
        let answered = seat.advisor.propose(round, within).await;
        locked(&self.budget).settle(slot, answered.spent);
        locked(&seat.spent).add(answered.spent);
        let now = self.clock.monotonic_micros();
        let failure = match &answered.outcome {
            Err(AdvisorError::Provider(failure)) => Some(failure),
            _ => None,
        };
        let mut rest = locked(&seat.rest);
        rest.ended(pass, now, failure, rules);
        let state = rest.breaker.state(now);
        drop(rest);
        self.metrics.advisor_breaker(name, state != BreakerState::Closed);
        self.metrics.advisor_asked(name, outcome_of(&answered.outcome));
        let Spent { input_tokens, output_tokens, cost_micros, .. } = answered.spent;
        self.metrics.advisor_spent(name, input_tokens, output_tokens, cost_micros);
        answered
    }

    /// How the advisors stand.
    #[must_use]
    pub fn status(&self) -> AdvisorsStatus {
        let now = self.clock.monotonic_micros();
        let (hour, day) = locked(&self.budget).told(now);
        let order = self.seats.iter().map(|seat| {
            let rest = locked(&seat.rest);
            let state = rest.breaker.state(now);
            AdvisorStatus {
                name: seat.advisor.name().to_owned(),
                kind: seat.advisor.kind(),
                breaker: state.word(),
                why: (state != BreakerState::Closed).then(|| rest.why.clone()),
                spent: (*locked(&seat.spent)).into(),
            }
        });
        AdvisorsStatus { order: order.collect(), last_hour: hour.into(), last_day: day.into() }
    }
}

/// Whether the provider works, whatever the model made of the question.
const fn is_alive(failure: &Failure) -> bool {
    matches!(failure, Failure::CutOff | Failure::Declined | Failure::NotJson(_))
}

const fn outcome_of<T>(outcome: &Result<T, AdvisorError>) -> AdvisorOutcome {
    match outcome {
        Ok(_) => AdvisorOutcome::Answered,
        Err(AdvisorError::Provider(failure)) => match failure {
            Failure::Slow(_) => AdvisorOutcome::Slow,
            Failure::Status { status: 429, .. } => AdvisorOutcome::Limited,
            Failure::CutOff | Failure::Declined | Failure::NotJson(_) => AdvisorOutcome::NoRoutine,
            Failure::TooLong(_) | Failure::Malformed(_) => AdvisorOutcome::Malformed,
            Failure::Unreachable(_) | Failure::Status { .. } => AdvisorOutcome::Failed,
        },
        Err(_) => AdvisorOutcome::NoRoutine,
    }
}
