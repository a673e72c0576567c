//! Every number Stipula tells, and the handles through which the rooms tell them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, TextEncoder};

use super::families::Families;
use super::histogram::seconds;
use super::labels::{
    AdvisorOutcome, Approval, Dropped, HealStage, Limit, NegotiationResult, Reloaded, Retried,
    Shadow, ViolationKind, Webhook,
};
use super::load::Load;
use crate::domain::drift::{DriftType, Severity};
use crate::domain::message::{Code, Generation, PeerId, UnixMillis, Verdict};
use crate::domain::negotiation::Origin;

const VERDICTS: [Verdict; 5] =
    [Verdict::Kept, Verdict::Mended, Verdict::Waived, Verdict::Refused, Verdict::Passed];

/// All metrics of one sidecar. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh registry with every family registered and every closed label at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self(Arc::new(Families::registered()));
        metrics.open_closed_labels();
        metrics
    }

    /// The handles of one peer. Ask once, keep them: the path then touches plain atomics.
    #[must_use]
    pub fn peer(&self, peer: &PeerId) -> PeerMetrics {
        let name = peer.as_str();
        let all = &self.0;
        PeerMetrics(Arc::new(PeerFamilies {
            exchanges: VERDICTS.map(|verdict| {
                all.path.exchanges.with_label_values(&[name, "mcp", verdict.word()])
            }),
            violations: ViolationKind::ALL
                .iter()
                .map(|kind| all.path.violations.with_label_values(&[name, kind.word()]))
                .collect(),
            breaker_trips: all.path.breaker_trips.with_label_values(&[name]),
            breakers_open: all.path.breakers_open.with_label_values(&[name]),
            degrade_level: all.path.degrade_level.with_label_values(&[name]),
            retries: Retried::ALL
                .iter()
                .map(|outcome| all.path.retries.with_label_values(&[name, outcome.word()]))
                .collect(),
            stale_replies: all.path.stale_replies.with_label_values(&[name]),
            coherence: all.slow.coherence.with_label_values(&[name]),
            profile_score: all.slow.profile_score.clone(),
            expiry: all.slow.expiry.clone(),
            generation: all.slow.generation.with_label_values(&[name]),
            drift_events: all.slow.drift_events.clone(),
            name: peer.clone(),
        }))
    }

    /// What is asked of one peer at once. Ask once, keep it.
    #[must_use]
    pub fn load(&self, peer: &PeerId) -> Arc<Load> {
        self.0.loads.of(peer)
    }

    /// What Stipula alone added to one exchange, in microseconds.
    pub fn overhead(&self, micros: u64) {
        self.0.path.overhead.observe(micros);
    }

    /// What one upstream attempt took, in microseconds.
    pub fn upstream(&self, micros: u64) {
        self.0.path.upstream.observe(micros);
    }

    /// From the first sight of a drift to its open event, in microseconds.
    pub fn drift_detected(&self, micros: u64) {
        self.0.slow.drift_detect.observe(seconds(micros));
    }

    /// From the first sight of a drift to its live patch, in microseconds.
    pub fn patched(&self, approval: Approval, micros: u64) {
        self.0.slow.patch.with_label_values(&[approval.word()]).observe(seconds(micros));
    }

    /// What one stage of a heal took, in microseconds.
    pub fn heal_stage(&self, stage: HealStage, micros: u64) {
        self.0.slow.heal_stage.with_label_values(&[stage.word()]).observe(seconds(micros));
    }

    /// A negotiation ended.
    pub fn negotiation(&self, source: Origin, result: NegotiationResult) {
        self.0.slow.negotiations.with_label_values(&[source_word(source), result.word()]).inc();
    }

    /// How many rounds a negotiation took.
    pub fn negotiation_rounds(&self, rounds: u32) {
        self.0.slow.negotiation_rounds.observe(f64::from(rounds));
    }

    /// An advisor was asked.
    pub fn advisor_call(&self) {
        self.0.slow.advisor_calls.inc();
    }

    /// An advisor is configured: its series begin at zero.
    pub fn advisor_opened(&self, advisor: &str) {
        for outcome in AdvisorOutcome::ALL {
            let _ = self.0.slow.advisors.requests.with_label_values(&[advisor, outcome.word()]);
        }
        self.advisor_spent(advisor, 0, 0, 0);
        self.advisor_breaker(advisor, false);
    }

    /// It was an advisor's turn.
    pub fn advisor_asked(&self, advisor: &str, outcome: AdvisorOutcome) {
        self.0.slow.advisors.requests.with_label_values(&[advisor, outcome.word()]).inc();
    }

    /// What an answer of an advisor cost: tokens, and millionths of the unit of its prices.
    pub fn advisor_spent(&self, advisor: &str, input: u64, output: u64, cost_micros: u64) {
        let tokens = &self.0.slow.advisors.tokens;
        tokens.with_label_values(&[advisor, "input"]).inc_by(input);
        tokens.with_label_values(&[advisor, "output"]).inc_by(output);
        self.0.slow.advisors.cost.with_label_values(&[advisor]).inc_by(seconds(cost_micros));
    }

    /// Whether an advisor is left alone.
    pub fn advisor_breaker(&self, advisor: &str, open: bool) {
        self.0.slow.advisors.breaker.with_label_values(&[advisor]).set(i64::from(open));
    }

    /// From the start to the first call that was answered, in microseconds. Later ones are ignored.
    pub fn first_call(&self, micros: u64) {
        if self.0.path.first_call.get() == 0.0 {
            self.0.path.first_call.set(seconds(micros.max(1)));
        }
    }

    /// An exchange came before there was a contract, and had to wait for one.
    pub fn waited_for_contract(&self) {
        self.0.path.waited_for_contract.fetch_add(1, Ordering::Relaxed);
    }

    /// An observation found no room.
    pub fn observations_dropped(&self, reason: Dropped) {
        self.0.house.observations_dropped.with_label_values(&[reason.word()]).inc();
    }

    /// Stipula refused, with this code.
    pub fn refusal(&self, code: Code) {
        self.0.path.refusals.with_label_values(&[code.stable()]).inc();
    }

    /// An exchange, recorded so many times over, was run through a routine in shadow.
    pub fn shadow_exchanges(&self, outcome: Shadow, times: u32) {
        let counter = self.0.slow.shadow_exchanges.with_label_values(&[outcome.word()]);
        counter.inc_by(u64::from(times));
    }

    /// What became of a notice.
    pub fn webhook(&self, outcome: Webhook) {
        self.0.slow.webhooks.with_label_values(&[outcome.word()]).inc();
    }

    /// A limit bit.
    pub fn limit(&self, limit: Limit) {
        self.0.house.limits.with_label_values(&[limit.word()]).inc();
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        self.0.house.connections.inc();
        self.0.house.connections_open.inc();
    }

    /// A connection ended.
    pub fn connection_closed(&self) {
        self.0.house.connections_open.dec();
    }

    /// The configuration was read again.
    pub fn config_reloaded(&self, result: Reloaded) {
        self.0.house.config_reloads.with_label_values(&[result.word()]).inc();
    }

    /// Whether what is in force is what the file says, as far as it was read at this time.
    pub fn config_in_force(&self, current: bool, now: UnixMillis) {
        self.0.house.config_current.set(i64::from(current));
        if current {
            self.0.house.config_since.set(seconds(now.0.saturating_mul(1000)));
        }
    }

    /// The Prometheus text exposition, format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.settle_ratios();
        TextEncoder::new().encode_to_string(&self.0.registry.gather()).unwrap_or_default()
    }

    /// Ratios are computed when they are asked for, so that the path pays for none.
    fn settle_ratios(&self) {
        let all = &self.0;
        let families = all.path.exchanges.collect();
        let series = || families.iter().flat_map(|family| family.get_metric());
        let passed = Verdict::Passed.word();
        let under = |metric: &&prometheus::proto::Metric| {
            metric.get_label().iter().all(|label| label.value() != passed)
        };
        let count = |metric: &prometheus::proto::Metric| metric.get_counter().get_value() as u64;
        let exchanges: u64 = series().map(count).sum();
        let under: u64 = series().filter(under).map(count).sum();
        let waited = all.path.waited_for_contract.load(Ordering::Relaxed);
        all.path.cache_hit_ratio.set(ratio(under.saturating_sub(waited), under));
        all.slow
            .repeat_call_llm_ratio
            .set(ratio(all.slow.advisor_calls.get(), exchanges.saturating_sub(1)));
    }

    /// A series that appears only with its first event hides that event from `rate()`.
    fn open_closed_labels(&self) {
        let all = &self.0;
        for approval in Approval::ALL {
            let _ = all.slow.patch.with_label_values(&[approval.word()]);
        }
        for stage in HealStage::ALL {
            let _ = all.slow.heal_stage.with_label_values(&[stage.word()]);
        }
        for source in [Origin::Matcher, Origin::Advisor] {
            for result in NegotiationResult::ALL {
                let _ =
                    all.slow.negotiations.with_label_values(&[source_word(source), result.word()]);
            }
        }
        for reason in Dropped::ALL {
            let _ = all.house.observations_dropped.with_label_values(&[reason.word()]);
        }
        for outcome in Shadow::ALL {
            let _ = all.slow.shadow_exchanges.with_label_values(&[outcome.word()]);
        }
        for outcome in Webhook::ALL {
            let _ = all.slow.webhooks.with_label_values(&[outcome.word()]);
        }
        for limit in Limit::ALL {
            let _ = all.house.limits.with_label_values(&[limit.word()]);
        }
        for result in Reloaded::ALL {
            let _ = all.house.config_reloads.with_label_values(&[result.word()]);
        }
        for code in Code::ALL {
            let _ = all.path.refusals.with_label_values(&[code.stable()]);
        }
    }
}

/// The handles of one peer. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct PeerMetrics(Arc<PeerFamilies>);

#[derive(Debug)]
struct PeerFamilies {
    name: PeerId,
    exchanges: [IntCounter; VERDICTS.len()],
    violations: Vec<IntCounter>,
    breaker_trips: IntCounter,
    breakers_open: IntGauge,
    degrade_level: IntGauge,
    retries: Vec<IntCounter>,
    stale_replies: IntCounter,
    coherence: Gauge,
    /// Without a series until there is something to tell: 0 would be the worst of all scores.
    profile_score: GaugeVec,
    /// The same: 0 would be a contract that has long expired.
    expiry: GaugeVec,
    generation: IntGauge,
    drift_events: IntCounterVec,
}

impl PeerMetrics {
    /// An exchange ended.
    pub fn exchange(&self, verdict: Verdict) {
        self.0.exchanges[verdict as usize].inc();
    }

    /// A reply broke its contract in this way.
    pub fn violation(&self, kind: ViolationKind) {
        self.0.violations[kind as usize].inc();
    }

    /// The breaker opened.
    pub fn breaker_trip(&self) {
        self.0.breaker_trips.inc();
    }

    /// How many breakers are open, and how far down the ladder the worst tool is, 0 to 3.
    pub fn degraded(&self, breakers: usize, level: u8) {
        self.0.breakers_open.set(i64::try_from(breakers).unwrap_or(i64::MAX));
        self.0.degrade_level.set(i64::from(level));
    }

    /// A call was tried again, or not for want of a budget.
    pub fn retried(&self, outcome: Retried) {
        self.0.retries[outcome as usize].inc();
    }

    /// A last known good reply was delivered.
    pub fn stale_reply(&self) {
        self.0.stale_replies.inc();
    }

    /// The coherence score, 0 to 100.
    pub fn coherence(&self, score: f64) {
        self.0.coherence.set(score);
    }

    /// The lowest profile score among the peer's tools, 0 to 100.
    pub fn profile_score(&self, score: f64) {
        self.0.profile_score.with_label_values(&[self.0.name.as_str()]).set(score);
    }

    /// When the contract in force expires.
    pub fn expiry(&self, at: UnixMillis) {
        let expiry = self.0.expiry.with_label_values(&[self.0.name.as_str()]);
        expiry.set(seconds(at.0.saturating_mul(1000)));
    }

    /// The generation in force.
    pub fn generation(&self, generation: Generation) {
        self.0.generation.set(i64::try_from(generation.0).unwrap_or(i64::MAX));
    }

    /// A drift event was opened.
    pub fn drift_event(&self, drift: DriftType, severity: Severity) {
        let labels = [self.0.name.as_str(), drift.word(), severity.word()];
        self.0.drift_events.with_label_values(&labels).inc();
    }
}

const fn source_word(source: Origin) -> &'static str {
    match source {
        Origin::Matcher => "matcher",
        Origin::Advisor => "advisor",
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
