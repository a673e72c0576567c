//! Every number Stipula tells, and the handles through which the rooms tell them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::histogram::{PathHistogram, seconds};
use super::labels::{Approval, Dropped, Limit, NegotiationResult, ViolationKind};
use crate::domain::drift::{DriftType, Severity};
use crate::domain::message::{Code, Generation, PeerId, UnixMillis, Verdict};
use crate::domain::negotiation::Origin;

const VERDICTS: [Verdict; 5] =
    [Verdict::Kept, Verdict::Mended, Verdict::Waived, Verdict::Refused, Verdict::Passed];

/// All metrics of one sidecar. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Registry,
    exchanges: IntCounterVec,
    violations: IntCounterVec,
    breaker_trips: IntCounterVec,
    drift_events: IntCounterVec,
    coherence: GaugeVec,
    expiry: GaugeVec,
    generation: IntGaugeVec,
    overhead: PathHistogram,
    upstream: PathHistogram,
    drift_detect: Histogram,
    patch: HistogramVec,
    negotiations: IntCounterVec,
    negotiation_rounds: Histogram,
    first_call: Gauge,
    advisor_calls: IntCounter,
    repeat_call_llm_ratio: Gauge,
    cache_hit_ratio: Gauge,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    observations_dropped: IntCounterVec,
    refusals: IntCounterVec,
    limits: IntCounterVec,
    connections: IntCounter,
    connections_open: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh registry with every family registered and every closed label at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self(Arc::new(Families::registered(registry)));
        metrics.open_closed_labels();
        metrics
    }

    /// The handles of one peer. Ask once, keep them: the path then touches plain atomics.
    #[must_use]
    pub fn peer(&self, peer: &PeerId) -> PeerMetrics {
        let name = peer.as_str();
        let all = &self.0;
        PeerMetrics(Arc::new(PeerFamilies {
            exchanges: VERDICTS
                .map(|verdict| all.exchanges.with_label_values(&[name, "mcp", verdict.word()])),
            violations: ViolationKind::ALL
                .iter()
                .map(|kind| all.violations.with_label_values(&[name, kind.word()]))
                .collect(),
            breaker_trips: all.breaker_trips.with_label_values(&[name]),
            coherence: all.coherence.with_label_values(&[name]),
            expiry: all.expiry.with_label_values(&[name]),
            generation: all.generation.with_label_values(&[name]),
            drift_events: all.drift_events.clone(),
            name: peer.clone(),
        }))
    }

    /// What Stipula alone added to one exchange, in microseconds.
    pub fn overhead(&self, micros: u64) {
        self.0.overhead.observe(micros);
    }

    /// What one upstream attempt took, in microseconds.
    pub fn upstream(&self, micros: u64) {
        self.0.upstream.observe(micros);
    }

    /// From the first sight of a drift to its open event, in microseconds.
    pub fn drift_detected(&self, micros: u64) {
        self.0.drift_detect.observe(seconds(micros));
    }

    /// From an open event to its live patch, in microseconds.
    pub fn patched(&self, approval: Approval, micros: u64) {
        self.0.patch.with_label_values(&[approval.word()]).observe(seconds(micros));
    }

    /// A negotiation ended.
    pub fn negotiation(&self, source: Origin, result: NegotiationResult) {
        self.0.negotiations.with_label_values(&[source_word(source), result.word()]).inc();
    }

    /// How many rounds a negotiation took.
    pub fn negotiation_rounds(&self, rounds: u32) {
        self.0.negotiation_rounds.observe(f64::from(rounds));
    }

    /// An advisor was asked.
    pub fn advisor_call(&self) {
        self.0.advisor_calls.inc();
    }

    /// From the start to the first call that was answered, in microseconds. Later ones are ignored.
    pub fn first_call(&self, micros: u64) {
        if self.0.first_call.get() == 0.0 {
            self.0.first_call.set(seconds(micros.max(1)));
        }
    }

    /// Whether an exchange found its contract compiled (`hit`) or had to wait for one.
    pub fn cache(&self, hit: bool) {
        let cell = if hit { &self.0.cache_hits } else { &self.0.cache_misses };
        cell.fetch_add(1, Ordering::Relaxed);
    }

    /// An observation found no room.
    pub fn observations_dropped(&self, reason: Dropped) {
        self.0.observations_dropped.with_label_values(&[reason.word()]).inc();
    }

    /// Stipula refused, with this code.
    pub fn refusal(&self, code: Code) {
        self.0.refusals.with_label_values(&[code.stable()]).inc();
    }

    /// A limit bit.
    pub fn limit(&self, limit: Limit) {
        self.0.limits.with_label_values(&[limit.word()]).inc();
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        self.0.connections.inc();
        self.0.connections_open.inc();
    }

    /// A connection ended.
    pub fn connection_closed(&self) {
        self.0.connections_open.dec();
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
        let hits = all.cache_hits.load(Ordering::Relaxed);
        let misses = all.cache_misses.load(Ordering::Relaxed);
        all.cache_hit_ratio.set(ratio(hits, hits + misses));
        let exchanges: u64 = all
            .exchanges
            .collect()
            .iter()
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_counter().get_value())
            .sum::<f64>() as u64;
        all.repeat_call_llm_ratio.set(ratio(all.advisor_calls.get(), exchanges.saturating_sub(1)));
    }

    /// A series that appears only with its first event hides that event from `rate()`.
    fn open_closed_labels(&self) {
        let all = &self.0;
        for approval in Approval::ALL {
            let _ = all.patch.with_label_values(&[approval.word()]);
        }
        for source in [Origin::Matcher, Origin::Advisor] {
            for result in NegotiationResult::ALL {
                let _ = all.negotiations.with_label_values(&[source_word(source), result.word()]);
            }
        }
        for reason in Dropped::ALL {
            let _ = all.observations_dropped.with_label_values(&[reason.word()]);
        }
        for limit in Limit::ALL {
            let _ = all.limits.with_label_values(&[limit.word()]);
        }
        for code in Code::ALL {
            let _ = all.refusals.with_label_values(&[code.stable()]);
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
    coherence: Gauge,
    expiry: Gauge,
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

    /// The coherence score, 0 to 100.
    pub fn coherence(&self, score: f64) {
        self.0.coherence.set(score);
    }

    /// When the contract in force expires.
    pub fn expiry(&self, at: UnixMillis) {
        self.0.expiry.set(seconds(at.0.saturating_mul(1000)));
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

impl Families {
    fn registered(registry: Registry) -> Self {
        let own = Own(&registry);
        let build = own.put(IntGaugeVec::new(
            Opts::new("stipula_build_info", "Always 1; its labels say what runs."),
            &["version"],
        ));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            exchanges: own.counters(
                "exchanges_total",
                "Exchanges that ended, by verdict.",
                &["peer", "protocol", "verdict"],
            ),
            violations: own.counters(
                "violations_total",
                "Ways in which replies broke their contract.",
                &["peer", "kind"],
            ),
            breaker_trips: own.counters(
                "circuit_breaker_trips_total",
                "Times a breaker opened.",
                &["peer"],
            ),
            drift_events: own.counters(
                "drift_events_total",
                "Drift events opened.",
                &["peer", "type", "severity"],
            ),
            coherence: own.gauges("coherence_score", "Coherence score, 0 to 100."),
            expiry: own.gauges(
                "contract_expiry_timestamp_seconds",
                "When the contract in force expires, in seconds since 1970.",
            ),
            generation: own.put(IntGaugeVec::new(
                Opts::new("stipula_live_generation", "Generation of the snapshot in force."),
                &["peer"],
            )),
            overhead: own.put(PathHistogram::new(
                "stipula_overhead_duration_seconds",
                "What Stipula alone added to an exchange.",
            )),
            upstream: own.put(PathHistogram::new(
                "stipula_upstream_duration_seconds",
                "What one upstream attempt took.",
            )),
            drift_detect: own.put(Histogram::with_opts(
                HistogramOpts::new(
                    "stipula_drift_detect_duration_seconds",
                    "From the first sight of a drift to its open event.",
                )
                .buckets(LOOP_BUCKETS.to_vec()),
            )),
            patch: own.put(HistogramVec::new(
                HistogramOpts::new(
                    "stipula_patch_duration_seconds",
                    "From an open event to its live patch, by who let it through.",
                )
                .buckets(LOOP_BUCKETS.to_vec()),
                &["approval"],
            )),
            negotiations: own.counters(
                "negotiations_total",
                "Negotiations that ended.",
                &["source", "result"],
            ),
            negotiation_rounds: own.put(Histogram::with_opts(
                HistogramOpts::new("stipula_negotiation_rounds", "Rounds a negotiation took.")
                    .buckets(vec![0.0, 1.0, 2.0, 3.0]),
            )),
            first_call: own.gauge(
                "time_to_first_call_seconds",
                "From the start to the first call that was answered; 0 before it.",
            ),
            advisor_calls: own
                .put(IntCounter::new("stipula_advisor_calls_total", "Times an advisor was asked.")),
            repeat_call_llm_ratio: own
                .gauge("repeat_call_llm_ratio", "Advisor calls per exchange after the first."),
            cache_hit_ratio: own.gauge(
                "contract_cache_hit_ratio",
                "Share of exchanges that found their contract compiled.",
            ),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            observations_dropped: own.counters(
                "observations_dropped_total",
                "Observations that found no room.",
                &["reason"],
            ),
            refusals: own.counters("refusals_total", "Refusals, by stable code.", &["code"]),
            limits: own.counters("limits_total", "Times a limit bit.", &["limit"]),
            connections: own
                .put(IntCounter::new("stipula_connections_total", "Connections accepted.")),
            connections_open: own
                .put(IntGauge::new("stipula_connections_open", "Connections open now.")),
            registry,
        }
    }
}

/// Bounds of the slow loop's histograms, in seconds.
const LOOP_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 300.0];

/// Registers families under the prefix.
struct Own<'a>(&'a Registry);

impl Own<'_> {
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants; the test that renders them would fail first"
    )]
    fn put<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("a valid metric");
        self.0.register(Box::new(family.clone())).expect("a metric of its own name");
        family
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.put(IntCounterVec::new(Opts::new(format!("stipula_{name}"), help), labels))
    }

    fn gauges(&self, name: &str, help: &str) -> GaugeVec {
        self.put(GaugeVec::new(Opts::new(format!("stipula_{name}"), help), &["peer"]))
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.put(Gauge::new(format!("stipula_{name}"), help))
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
