//! How much of a peer is asked for at once: numbers that the path counts and a page reads.
//!
//! The path needs them itself (how many are in flight decides who waits), so they are plain atomics
//! that become metrics when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::labels::{Held, Shed};
use crate::domain::message::PeerId;

/// What is asked of one peer at once.
#[derive(Debug, Default)]
pub struct Load {
    /// Calls at once that the peer is trusted with; 0: no bound.
    pub limit: AtomicU64,
    /// Calls that the peer works at.
    pub in_flight: AtomicU64,
    /// Calls that wait for their turn.
    pub queued: AtomicU64,
    /// Calls that wait at an open breaker.
    pub held: AtomicU64,
    shed: [AtomicU64; Shed::ALL.len()],
    holds: [AtomicU64; Held::ALL.len()],
}

impl Load {
    /// A request was refused for want of room, rate or size.
    pub fn shed(&self, why: Shed) {
        self.shed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were refused for this reason.
    #[must_use]
    pub fn shed_for(&self, why: Shed) -> u64 {
        self.shed[why as usize].load(Ordering::Relaxed)
    }

    /// A call waited at an open breaker, or found no place to, and this came of it.
    pub fn held(&self, came: Held) {
        self.holds[came as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often this came of a call at an open breaker.
    #[must_use]
    pub fn held_for(&self, came: Held) -> u64 {
        self.holds[came as usize].load(Ordering::Relaxed)
    }
}

/// The loads of all peers, as a page shows them.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    known: Arc<Mutex<BTreeMap<String, Arc<Load>>>>,
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    queued: IntGaugeVec,
    held: IntGaugeVec,
    shed: Opts,
    holds: Opts,
}

impl Loads {
    pub(super) fn new() -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(format!("stipula_{name}"), help), &["peer"])
        };
        Ok(Self {
            known: Arc::default(),
            limit: gauges(
                "concurrency_limit",
                "Calls at once that a peer is trusted with; 0: no bound.",
            )?,
            in_flight: gauges("calls_in_flight", "Calls that a peer works at now.")?,
            queued: gauges("calls_queued", "Calls that wait for their turn now.")?,
            held: gauges("calls_held", "Calls that wait at an open breaker for its probe now.")?,
            shed: Opts::new(
                "stipula_shed_total",
                "Requests refused for want of room, rate or size, by why.",
            ),
            holds: Opts::new(
                "stipula_holds_total",
                "Calls that waited at an open breaker, or found no place to, by what came of it.",
            ),
        })
    }

    /// The load of this peer, the same one each time.
    pub(super) fn of(&self, peer: &PeerId) -> Arc<Load> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(peer.as_str().to_owned()).or_default())
    }
}

impl Collector for Loads {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.limit, &self.in_flight, &self.queued, &self.held];
        gauges.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Counters are made anew for each page, because theirs cannot be set.
        let (Ok(shed), Ok(holds)) = (
            IntCounterVec::new(self.shed.clone(), &["peer", "reason"]),
            IntCounterVec::new(self.holds.clone(), &["peer", "outcome"]),
        ) else {
            return Vec::new();
        };
        for (peer, load) in &*known {
            for (gauge, now) in [
                (&self.limit, &load.limit),
                (&self.in_flight, &load.in_flight),
                (&self.queued, &load.queued),
                (&self.held, &load.held),
            ] {
                let now = i64::try_from(now.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[peer.as_str()]).set(now);
            }
            for why in Shed::ALL {
                let labels = [peer.as_str(), why.word()];
                shed.with_label_values(&labels).inc_by(load.shed_for(*why));
            }
            for came in Held::ALL {
                let labels = [peer.as_str(), came.word()];
                holds.with_label_values(&labels).inc_by(load.held_for(*came));
            }
        }
        let gauges = [&self.limit, &self.in_flight, &self.queued, &self.held];
        let gauges = gauges.into_iter().flat_map(Collector::collect);
        gauges.chain(shed.collect()).chain(holds.collect()).collect()
    }
}
