//! What `/readyz` says: whether exchanges may come, and what is not as it should be.

use std::collections::BTreeMap;

use serde::Serialize;

use super::life::Life;
use crate::control::{Handle, PeerStatus};
use crate::domain::message::PeerId;
use crate::live::Snapshot;

/// The answer to `/readyz`: 200 where it is ready, else 503.
#[derive(Serialize)]
pub(super) struct Readiness {
    /// Every contract is in force, evidence can be written, and it is not about to end.
    pub(super) ready: bool,
    draining: bool,
    ledger: Ledger,
    peers: BTreeMap<PeerId, Peer>,
}

#[derive(Serialize)]
struct Ledger {
    /// What the last write came to.
    writable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct Peer {
    /// `ready`; `degraded` where it cannot be reached, which takes nothing from the other peers;
    /// `missing` where what is known of it is not in force.
    state: &'static str,
    /// The version in force.
    contract: Option<String>,
    reachable: bool,
}

impl Readiness {
    pub(super) fn of(control: &Handle, snapshot: &Snapshot, life: &Life) -> Self {
        let why = control.ledger_fault();
        let peer = |status: PeerStatus| {
            let state = match (snapshot.peers.contains_key(&status.peer), status.reachable) {
                (false, _) => "missing",
                (true, false) => "degraded",
                (true, true) => "ready",
            };
            let PeerStatus { peer, version, reachable, .. } = status;
            (peer, Peer { state, contract: version, reachable })
        };
        let peers: BTreeMap<_, _> = control.status().peers.into_iter().map(peer).collect();
        let draining = life.is_leaving();
        let in_force = peers.values().all(|peer| peer.state != "missing");
        Self {
            ready: in_force && !draining && why.is_none(),
            draining,
            ledger: Ledger { writable: why.is_none(), why },
            peers,
        }
    }
}
