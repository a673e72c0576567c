//! What an operator may set on the path of an exchange.

use std::collections::BTreeMap;

use super::failing::Failure;
use super::hold::HoldRules;
use super::share::Share;
use super::stale::StaleRules;
use crate::domain::health::{BreakerRules, RetryRules};
use crate::domain::json::Limits;
use crate::domain::message::PeerId;

/// How peers are told apart by path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// A single peer keeps its own paths; several are reached under `/NAME/…`.
    #[default]
    Automatic,
    /// Every peer is reached under `/NAME/…`, a single one too.
    ByName,
}

/// What is done where a peer fails; the default is what ships.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resilience {
    /// How often a call is tried again.
    pub retry: RetryRules,
    /// When a peer or a tool is left alone.
    pub breaker: BreakerRules,
    /// Who waits where one is.
    pub hold: HoldRules,
    /// Last known good replies.
    pub stale: StaleRules,
}

/// The data plane's settings; the default is what ships.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How peers are told apart.
    pub routing: Routing,
    /// How long a call is held for a heal, in milliseconds.
    pub heal_wait_ms: u64,
    /// How long a first listing or call waits for the seal, in milliseconds.
    pub seal_wait_ms: u64,
    /// Longest request that is read, in bytes.
    pub request_bytes: usize,
    /// Longest reply or event that is judged, in bytes.
    pub reply_bytes: usize,
    /// All bodies that are held at once, in bytes.
    pub held_bytes: usize,
    /// Depth and nodes of a document.
    pub document: Limits,
    /// Replies longer than this are judged off the thread that reads sockets, in bytes.
    pub offload_bytes: usize,
    /// Exchanges at once; more are refused with 503.
    pub exchanges: usize,
    /// Legacy sessions that are remembered for replaying their handshake.
    pub sessions: usize,
    /// How long a legacy session is remembered after its last use, in milliseconds.
    pub session_ttl_ms: u64,
    /// What is done where a peer fails.
    pub resilience: Resilience,
    /// How much of each peer is asked for; the default where one is absent.
    pub shares: BTreeMap<PeerId, Share>,
    /// What becomes of a reply that cannot be judged or recorded.
    pub failure: Failure,
}

impl Settings {
    /// How much of this peer is asked for.
    pub(super) fn share(&self, peer: &PeerId) -> Share {
        self.shares.get(peer).cloned().unwrap_or_default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            routing: Routing::Automatic,
            heal_wait_ms: 2000,
            seal_wait_ms: 1000,
            request_bytes: 4 << 20,
            reply_bytes: 32 << 20,
            held_bytes: 256 << 20,
            document: Limits::default(),
            offload_bytes: 128 << 10,
            exchanges: 100_000,
            sessions: 10_000,
            session_ttl_ms: 3_600_000,
            shares: BTreeMap::new(),
            resilience: Resilience::default(),
            failure: Failure::default(),
        }
    }
}
