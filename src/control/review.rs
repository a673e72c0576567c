//! Reading the surface again and comparing it with what the contract speaks.

use std::sync::Arc;

use super::actor::Peer;
use super::laps::Laps;
use super::status::Told;
use crate::domain::contract::{ProvenanceKind, Sealed, Surface};
use crate::domain::drift::EventState;
use crate::domain::message::Millis;
use crate::domain::policy::Caller;
use crate::live::{Switchboard, ToolState};
use crate::telemetry::HealStage;
use crate::wire::protocol::mcp::peer::{Listing, PeerError};

/// The shortest time a surface is believed, whatever the peer says of it.
const SHORTEST_AGE: Millis = Millis(1_000);
/// How long a surface is believed where the peer tells its changes.
const AGE_WITH_NOTICE: Millis = Millis(300_000);
/// How long it is believed where the peer cannot tell.
const AGE_WITHOUT_NOTICE: Millis = Millis(30_000);

impl Peer {
    /// One review: everything that waited when it began is covered by it.
    pub(super) async fn review(&mut self, switchboard: &Switchboard) {
        let mut pending = std::mem::take(&mut self.pending);
        // The ticket stays the highest that was taken, so that a later review covers it too; broken
        // replies wait for what the surface says.
        self.pending.ticket = pending.ticket;
        self.pending.broken = std::mem::take(&mut pending.broken);
        if pending.refused {
            self.slot_at_micros = Some(self.shared.clock.monotonic_micros());
        }
        let caller = pending.first_use.clone().or(pending.caller);
        let since = pending.since_micros;
        self.laps = Laps::since(since);
        self.lap(HealStage::Notice);
        let read = self.read(caller.as_deref()).await;
        self.lap(HealStage::Read);
        match read {
            Ok(listing) => {
                self.reachable = true;
                self.absorb(listing, pending.first_use, caller.as_deref(), since).await;
            }
            Err(error) => {
                if self.reachable {
                    let what = format!("{}: its tools cannot be read: {error}", self.id());
                    self.tell(Told::Warning { what });
                }
                self.reachable = false;
                self.read_at_micros = Some(self.shared.clock.monotonic_micros());
            }
        }
        self.reviewed_to = self.reviewed_to.max(pending.ticket);
        self.publish(switchboard);
    }

    /// Reads the surface as the caller where there is one; as ourselves where that does not work.
    async fn read(&self, caller: Option<&Caller>) -> Result<Listing, PeerError> {
        if let Some(caller) = caller
            && let Ok(listing) = self.client.surface(Some(caller)).await
        {
            return Ok(listing);
        }
        self.client.surface(None).await
    }

    /// Takes a surface that was read in full.
    async fn absorb(
        &mut self,
        listing: Listing,
        first_use: Option<Arc<Caller>>,
        caller: Option<&Caller>,
        since: Option<u64>,
    ) {
        self.read_at_micros = Some(self.shared.clock.monotonic_micros());
        self.max_age = self.settings.max_age.unwrap_or_else(|| match listing.ttl_ms {
            Some(ttl) => Millis(ttl).max(SHORTEST_AGE),
            None if listing.list_changed => AGE_WITH_NOTICE,
            None => AGE_WITHOUT_NOTICE,
        });
        let digest = listing.surface.digest();
        if self.offer_digest != Some(digest) {
            self.listings.clear();
        }
        self.offer = Some(listing.surface);
        self.offer_digest = Some(digest);
        if self.chain.head().is_none() {
            if first_use.is_some()
                && let Err(error) = self.seal_first("first-use", ProvenanceKind::Negotiation).await
            {
                let what = format!("{}: not sealed: {error}", self.id());
                self.tell(Told::Warning { what });
            }
            return;
        }
        self.compare(caller, since).await;
        self.settle_replies(since);
        self.renew().await;
    }

    /// Compares what is offered now with what the contract in force speaks.
    async fn compare(&mut self, caller: Option<&Caller>, since: Option<u64>) {
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        let changed: Vec<String> = head
            .promised_tools()
            .iter()
            .map(|tool| tool.name())
            .filter(|name| !speaks(&head, name, &offer))
            .map(str::to_owned)
            .collect();
        for tool in head.promised_tools() {
            if !changed.iter().any(|name| name == tool.name()) {
                self.as_sealed(tool.name());
            }
        }
        let additions = offer.tools.iter().any(|tool| head.promised(tool.name()).is_none());
        if changed.is_empty() && !additions {
            return;
        }
        if let Some(known) = self.known(&head, &offer) {
            self.take_up_known(known).await;
            return;
        }
        self.heal(&head, &offer, changed, since, caller).await;
    }

    /// The tool is offered as the contract speaks it: whatever was open about it is over.
    pub(super) fn as_sealed(&mut self, tool: &str) {
        let Some(life) = self.tools.get_mut(tool) else { return };
        life.judged = None;
        if life.state == ToolState::Sound {
            return;
        }
        life.state = ToolState::Sound;
        life.revision += 1;
        let by = self.chain.head_hash().map(|hash| hash.to_string());
        for id in self.events.open_of(tool) {
            self.move_event(id, EventState::Resolved, by.clone());
        }
        self.waiting.retain(|_, waiting| waiting.proposal.tool != tool);
    }

    /// A sealed version other than the head that speaks this whole surface and promises the same,
    /// and that nobody took back.
    fn known(&self, head: &Sealed, offer: &Surface) -> Option<Arc<Sealed>> {
        let speaks_all = |version: &&Arc<Sealed>| {
            version.hash != head.hash
                && !self.is_withdrawn(version)
                && version.promised_tools() == head.promised_tools()
                && head.promised_tools().iter().all(|tool| speaks(version, tool.name(), offer))
        };
        self.chain.versions().find(speaks_all).cloned()
    }

    /// A surface that was sealed before is back: its version is taken up again, without a new seal.
    async fn take_up_known(&mut self, known: Arc<Sealed>) {
        let version = known.version.to_string();
        if let Err(error) = self.move_to(known, "known-surface", None, Vec::new()).await {
            let what = format!("{}: v{version} is not taken up: {error}", self.id());
            self.tell(Told::Warning { what });
            return;
        }
        let tools: Vec<String> = self.tools.keys().map(ToString::to_string).collect();
        for tool in tools {
            self.as_sealed(&tool);
        }
        for id in self.events.open().map(|event| event.drift_id).collect::<Vec<_>>() {
            self.move_event(id, EventState::Resolved, Some(version.clone()));
        }
    }
}

/// Whether a contract speaks a promised tool as it is offered on this surface: every tool that its
/// routine can call is listed with the meaning the contract knows.
pub(super) fn speaks(contract: &Sealed, promised: &str, offer: &Surface) -> bool {
    let targets = contract
        .routine
        .0
        .get(promised)
        .map_or_else(|| vec![promised.to_owned()], |routine| routine.targets(promised));
    targets.iter().all(|target| match (contract.offered(target), offer.tool(target)) {
        (Some(known), Some(now)) => {
            known.definition() == now.definition() || known.meaning() == now.meaning()
        }
        _ => false,
    })
}
