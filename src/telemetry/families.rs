//! The families of metrics: name, help, labels. `docs/metrics.md` is their list.

use std::sync::atomic::AtomicU64;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use super::histogram::PathHistogram;
use super::load::Loads;

/// Bounds of the slow loop's histograms, in seconds.
const LOOP_BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 300.0];

/// Bounds of the stages of a heal, in seconds: most end within a millisecond.
const STAGE_BOUNDS: [f64; 12] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 5.0, 60.0];

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) path: PathFamilies,
    pub(super) slow: SlowFamilies,
    pub(super) house: HouseFamilies,
    pub(super) loads: Loads,
}

/// What the data plane tells.
#[derive(Debug)]
pub(super) struct PathFamilies {
    pub(super) exchanges: IntCounterVec,
    pub(super) violations: IntCounterVec,
    pub(super) breaker_trips: IntCounterVec,
    pub(super) breakers_open: IntGaugeVec,
    pub(super) degrade_level: IntGaugeVec,
    pub(super) retries: IntCounterVec,
    pub(super) stale_replies: IntCounterVec,
    pub(super) refusals: IntCounterVec,
    pub(super) overhead: PathHistogram,
    pub(super) upstream: PathHistogram,
    pub(super) first_call: Gauge,
    pub(super) cache_hit_ratio: Gauge,
    /// Behind `cache_hit_ratio`, which is computed when it is asked for.
    pub(super) waited_for_contract: AtomicU64,
}

/// What the control plane tells.
#[derive(Debug)]
pub(super) struct SlowFamilies {
    pub(super) drift_events: IntCounterVec,
    pub(super) drift_detect: Histogram,
    pub(super) patch: HistogramVec,
    pub(super) heal_stage: HistogramVec,
    pub(super) negotiations: IntCounterVec,
    pub(super) negotiation_rounds: Histogram,
    pub(super) advisor_calls: IntCounter,
    pub(super) shadow_exchanges: IntCounterVec,
    pub(super) webhooks: IntCounterVec,
    pub(super) advisors: AdvisorFamilies,
    pub(super) repeat_call_llm_ratio: Gauge,
    pub(super) coherence: GaugeVec,
    pub(super) profile_score: GaugeVec,
    pub(super) expiry: GaugeVec,
    pub(super) generation: IntGaugeVec,
}

/// What is told about each advisor.
#[derive(Debug)]
pub(super) struct AdvisorFamilies {
    pub(super) requests: IntCounterVec,
    pub(super) tokens: IntCounterVec,
    pub(super) cost: CounterVec,
    pub(super) breaker: IntGaugeVec,
}

/// What the process tells about itself.
#[derive(Debug)]
pub(super) struct HouseFamilies {
    pub(super) observations_dropped: IntCounterVec,
    pub(super) limits: IntCounterVec,
    pub(super) connections: IntCounter,
    pub(super) connections_open: IntGauge,
    pub(super) config_reloads: IntCounterVec,
    pub(super) config_current: IntGauge,
    pub(super) config_since: Gauge,
}

impl Families {
    pub(super) fn registered() -> Self {
        let registry = Registry::new();
        let own = Own(&registry);
        let build = own.put(IntGaugeVec::new(
            Opts::new("stipula_build_info", "Always 1; its labels say what runs."),
            &["version"],
        ));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let (path, slow, house) = (own.path(), own.slow(), own.house());
        let loads = own.put(Loads::new());
        Self { registry, path, slow, house, loads }
    }
}

/// Registers families under the prefix.
struct Own<'a>(&'a Registry);

impl Own<'_> {
    fn path(&self) -> PathFamilies {
        PathFamilies {
            exchanges: self.counters(
                "exchanges_total",
                "Exchanges that ended, by verdict.",
                &["peer", "protocol", "verdict"],
            ),
            violations: self.counters(
                "violations_total",
                "Ways in which replies broke their contract.",
                &["peer", "kind"],
            ),
            breaker_trips: self.counters(
                "circuit_breaker_trips_total",
                "Times a breaker opened.",
                &["peer"],
            ),
            breakers_open: self.levels(
                "circuit_breakers_open",
                "Breakers that are open or half-open: the peer's own and those of its tools.",
            ),
            degrade_level: self.levels(
                "degrade_level",
                "How far down the ladder the worst tool is: 0 well, 1 slow or failing, 2 peer unreachable, 3 breaker open.",
            ),
            retries: self.counters(
                "retries_total",
                "Calls that were tried again, by what came of it.",
                &["peer", "outcome"],
            ),
            stale_replies: self.counters(
                "stale_replies_total",
                "Last known good replies that were delivered because the peer gave none.",
                &["peer"],
            ),
            refusals: self.counters("refusals_total", "Refusals, by stable code.", &["code"]),
            overhead: self.put(PathHistogram::new(
                "stipula_overhead_duration_seconds",
                "What Stipula alone added to an exchange.",
            )),
            upstream: self.put(PathHistogram::new(
                "stipula_upstream_duration_seconds",
                "What one upstream attempt took.",
            )),
            first_call: self.gauge(
                "time_to_first_call_seconds",
                "From the start to the first call that was answered; 0 before it.",
            ),
            cache_hit_ratio: self.gauge(
                "contract_cache_hit_ratio",
                "Share of exchanges under contract that found it compiled.",
            ),
            waited_for_contract: AtomicU64::new(0),
        }
    }

    fn slow(&self) -> SlowFamilies {
        SlowFamilies {
            drift_events: self.counters(
                "drift_events_total",
                "Drift events opened.",
                &["peer", "type", "severity"],
            ),
            drift_detect: self.put(Histogram::with_opts(
                HistogramOpts::new(
                    "stipula_drift_detect_duration_seconds",
                    "From the first sight of a drift to its open event.",
                )
                .buckets(LOOP_BOUNDS.to_vec()),
            )),
            patch: self.put(HistogramVec::new(
                HistogramOpts::new(
                    "stipula_patch_duration_seconds",
                    "From the first sight of a drift to its live patch, by who let it through.",
                )
                .buckets(LOOP_BOUNDS.to_vec()),
                &["approval"],
            )),
            heal_stage: self.put(HistogramVec::new(
                HistogramOpts::new(
                    "stipula_heal_stage_duration_seconds",
                    "What one stage of a heal took.",
                )
                .buckets(STAGE_BOUNDS.to_vec()),
                &["stage"],
            )),
            negotiations: self.counters(
                "negotiations_total",
                "Negotiations that ended.",
                &["source", "result"],
            ),
            negotiation_rounds: self.put(Histogram::with_opts(
                HistogramOpts::new("stipula_negotiation_rounds", "Rounds a negotiation took.")
                    .buckets(vec![0.0, 1.0, 2.0, 3.0]),
            )),
            advisor_calls: self.counter("advisor_calls_total", "Times an advisor was asked."),
            shadow_exchanges: self.counters(
                "shadow_exchanges_total",
                "Exchanges that were run through a routine in shadow, by how they went.",
                &["outcome"],
            ),
            webhooks: self.counters(
                "webhooks_total",
                "Notices of approvals and incidents, by what became of them.",
                &["outcome"],
            ),
            advisors: self.advisors(),
            repeat_call_llm_ratio: self
                .gauge("repeat_call_llm_ratio", "Advisor calls per exchange after the first."),
            coherence: self.gauges("coherence_score", "Coherence score, 0 to 100."),
            profile_score: self.gauges(
                "profile_score",
                "Lowest profile score among the peer's tools: what replies mean, 0 to 100.",
            ),
            expiry: self.gauges(
                "contract_expiry_timestamp_seconds",
                "When the contract in force expires, in seconds since 1970.",
            ),
            generation: self.put(IntGaugeVec::new(
                Opts::new("stipula_live_generation", "Generation of the snapshot in force."),
                &["peer"],
            )),
        }
    }

    fn advisors(&self) -> AdvisorFamilies {
        AdvisorFamilies {
            requests: self.counters(
                "advisor_requests_total",
                "Turns of one advisor to be asked, by what came of them.",
                &["advisor", "outcome"],
            ),
            tokens: self.counters(
                "advisor_tokens_total",
                "Tokens that an advisor read (input) and wrote (output), where unknown the most.",
                &["advisor", "direction"],
            ),
            cost: self.put(CounterVec::new(
                Opts::new(
                    "stipula_advisor_cost_total",
                    "What an advisor cost, in the unit of its prices.",
                ),
                &["advisor"],
            )),
            breaker: self.put(IntGaugeVec::new(
                Opts::new(
                    "stipula_advisor_breaker_open",
                    "1 where an advisor is left alone because it fails, else 0.",
                ),
                &["advisor"],
            )),
        }
    }

    fn house(&self) -> HouseFamilies {
        HouseFamilies {
            observations_dropped: self.counters(
                "observations_dropped_total",
                "Observations that found no room.",
                &["reason"],
            ),
            limits: self.counters("limits_total", "Times a limit bit.", &["limit"]),
            connections: self.counter("connections_total", "Connections accepted."),
            connections_open: self
                .put(IntGauge::new("stipula_connections_open", "Connections open now.")),
            config_reloads: self.counters(
                "config_reloads_total",
                "Times the configuration was read again, by what came of it.",
                &["result"],
            ),
            config_current: self.put(IntGauge::new(
                "stipula_config_current",
                "1 where what is in force is what the file said when it was last read, else 0.",
            )),
            config_since: self.gauge(
                "config_last_success_timestamp_seconds",
                "When the configuration was last read and found good, in seconds since 1970.",
            ),
        }
    }

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

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.put(IntCounter::new(format!("stipula_{name}"), help))
    }

    fn gauges(&self, name: &str, help: &str) -> GaugeVec {
        self.put(GaugeVec::new(Opts::new(format!("stipula_{name}"), help), &["peer"]))
    }

    fn levels(&self, name: &str, help: &str) -> IntGaugeVec {
        self.put(IntGaugeVec::new(Opts::new(format!("stipula_{name}"), help), &["peer"]))
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.put(Gauge::new(format!("stipula_{name}"), help))
    }
}
