//! The one door from control to proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Binding;
use crate::domain::message::{Generation, PeerId};

/// Everything that is in force at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows by one with each publication.
    pub generation: Generation,
    /// One binding a peer.
    pub peers: BTreeMap<PeerId, Arc<Binding>>,
}

/// Holds the snapshot; whoever waits for a newer one waits here.
#[derive(Debug)]
pub struct Switchboard {
    current: ArcSwap<Snapshot>,
    generation: watch::Sender<Generation>,
    publishing: std::sync::Mutex<()>,
}

impl Switchboard {
    /// A switchboard with these bindings in force as generation 1.
    #[must_use]
    pub fn new(peers: BTreeMap<PeerId, Arc<Binding>>) -> Self {
        let generation = Generation(1);
        Self {
            current: ArcSwap::from_pointee(Snapshot { generation, peers }),
            generation: watch::Sender::new(generation),
            publishing: std::sync::Mutex::new(()),
        }
    }

    /// What is in force now. Load it once for each attempt.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts a binding in force, lets `told` hear its generation, then wakes whoever waits. Writers
    /// are few and take turns.
    pub fn publish(&self, peer: PeerId, binding: Binding, told: impl FnOnce(Generation)) {
        let _turn = self.publishing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = self.current.load();
        let generation = Generation(before.generation.0 + 1);
        let mut peers = before.peers.clone();
        peers.insert(peer, Arc::new(binding));
        self.current.store(Arc::new(Snapshot { generation, peers }));
        told(generation);
        self.generation.send_replace(generation);
    }

    /// Waits until a snapshot newer than `seen` is in force, and returns it. Bound it with a timeout.
    pub async fn newer_than(&self, seen: Generation) -> Arc<Snapshot> {
        let mut changes = self.generation.subscribe();
        // The sender lives in `self`, so waiting cannot fail while we borrow it.
        let _ = changes.wait_for(|now| *now > seen).await;
        self.load()
    }
}
