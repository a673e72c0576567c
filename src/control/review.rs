//! Reading the surface again and comparing it with what the contract speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::actor::Peer;
use super::laps::Laps;
use super::meaning;
use super::status::Told;
use crate::domain::contract::{
    Direction, MessageType, ProvenanceKind, Sealed, Surface, TermSource, Tool,
};
use crate::domain::drift::{DriftEvent, DriftType, EventState};
use crate::domain::message::{Digest, Millis, Principal};
use crate::domain::policy::Caller;
use crate::live::{Switchboard, ToolState};
use crate::telemetry::HealStage;
use crate::wire::protocol::mcp::peer::{PeerError, Reading};

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
            Ok((reading, who)) => {
                self.reachable = true;
                self.absorb(reading, &who, pending.first_use, caller.as_deref(), since).await;
                self.look_at_grants().await;
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
    async fn read(&self, caller: Option<&Caller>) -> Result<(Reading, Principal), PeerError> {
        // The same bytes may say another thing of another caller.
        let known = |who| self.read_as.filter(|_| self.alike.contains(who));
        if let Some(caller) = caller {
            let (who, known) = (&caller.principal, known(&caller.principal));
            if let Ok(reading) = self.client.surface_unless(Some(caller), known).await {
                return Ok((reading, who.clone()));
            }
        }
        let ourselves = Principal::anonymous();
        let reading = self.client.surface_unless(None, known(&ourselves)).await?;
        Ok((reading, ourselves))
    }

    /// Takes a surface that was read in full.
    async fn absorb(
        &mut self,
        reading: Reading,
        who: &Principal,
        first_use: Option<Arc<Caller>>,
        caller: Option<&Caller>,
        since: Option<u64>,
    ) {
        self.read_at_micros = Some(self.shared.clock.monotonic_micros());
        self.max_age = self.settings.max_age.unwrap_or_else(|| match reading.ttl_ms {
            Some(ttl) => Millis(ttl).max(SHORTEST_AGE),
            None if reading.list_changed => AGE_WITH_NOTICE,
            None => AGE_WITHOUT_NOTICE,
        });
        match reading.surface {
            Some(surface) => self.take_surface(surface, reading.digest, who),
            None => self.reads_again(who),
        }
        self.settle_capabilities();
        let Some(before) = self.chain.head().cloned() else {
            if first_use.is_some()
                && let Err(error) = self.seal_first("first-use", ProvenanceKind::Negotiation).await
            {
                let what = format!("{}: not sealed: {error}", self.id());
                self.tell(Told::Warning { what });
            }
            return;
        };
        if self.is_another() {
            return;
        }
        self.compare(caller, since).await;
        self.promised_since(&before, who);
        self.settle_replies(caller, since).await;
        self.settle_meanings(since);
        self.renew().await;
        self.restate().await;
    }

    /// A surface that is not the one that was known, byte for byte. What it has in common with the
    /// contract in force is held once.
    fn take_surface(&mut self, mut surface: Surface, read_as: Digest, who: &Principal) {
        if self.read_as != Some(read_as) {
            self.alike.clear();
        }
        self.alike.insert(who.clone());
        self.read_as = Some(read_as);
        self.complete(&mut surface, who);
        // Read in a caller's session, it does not say its name: it is the one that it said last.
        let known = self.offer.as_ref().and_then(|offer| offer.server_name.as_ref());
        surface.server_name = surface.server_name.or_else(|| known.cloned());
        if let Some(head) = self.chain.head() {
            let spoken = Spoken::by(head);
            for tool in &mut surface.tools {
                if let Some(known) = spoken.same(tool) {
                    *tool = known.clone();
                }
            }
        }
        let digest = surface.digest();
        if self.offer_digest != Some(digest) {
            self.listings.clear();
        }
        self.offer = Some(surface);
        self.offer_digest = Some(digest);
    }

    /// Compares what is offered now with what the contract in force speaks.
    async fn compare(&mut self, caller: Option<&Caller>, since: Option<u64>) {
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        self.drop_stale(&head, &offer);
        let (spoken, offered) = (Spoken::by(&head), offer.by_name());
        let mut changed = Vec::new();
        for tool in head.promised_tools() {
            if self.unseen.contains(tool.name()) {
                continue;
            }
            if spoken.is_offered(tool.name(), &offered) {
                self.as_sealed(tool.name());
            } else {
                changed.push(tool.name().to_owned());
            }
        }
        let additions = offer.tools.iter().any(|tool| !spoken.promises(tool.name()));
        if changed.is_empty() && !additions {
            return;
        }
        // An addition alone is no reason to go back to what was said before.
        if !changed.is_empty()
            && let Some(known) = self.known(&head, &offer)
        {
            self.take_up_known(known).await;
            return;
        }
        self.heal(&head, &offer, changed, since, caller).await;
    }

    /// The tool is offered as the contract speaks it: whatever was open about it is over.
    pub(super) fn as_sealed(&mut self, tool: &str) {
        if self.is_meaning_asked(tool) {
            return;
        }
        let challenged = self.is_challenged(tool);
        let Some(life) = self.tools.get_mut(tool) else { return };
        life.judged = None;
        if life.state == ToolState::Sound && !challenged {
            return;
        }
        life.state = ToolState::Sound;
        life.revision += 1;
        let by = self.chain.head_hash().map(|hash| hash.to_string());
        for id in self.events.open_of(tool) {
            self.move_event(id, EventState::Resolved, by.clone());
        }
        self.leave_queue(tool);
    }

    /// A sealed version other than the head that speaks this whole surface and promises the same,
    /// and that nobody took back.
    fn known(&self, head: &Sealed, offer: &Surface) -> Option<Arc<Sealed>> {
        let offered = offer.by_name();
        let speaks_all = |version: &&Arc<Sealed>| {
            version.hash != head.hash
                && !self.is_withdrawn(version)
                && version.promised_tools() == head.promised_tools()
                && Spoken::by(version).is_all_offered(&offered)
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
            self.end_reports(&tool, &version);
            self.as_sealed(&tool);
        }
        // What is about the surface is over; who may call and how often, what values mean, and how a
        // tool does, is told by its replies and not by its definition.
        let of_surface = |event: &&DriftEvent| {
            event.tool.is_some()
                && event.sensor != meaning::SENSOR
                && event.drift_type != DriftType::Performance
        };
        let open: Vec<_> = self.events.open().filter(of_surface).map(|it| it.drift_id).collect();
        for id in open {
            self.move_event(id, EventState::Resolved, Some(version.clone()));
        }
    }
}

/// What a contract speaks, by name: a surface of 10,000 tools is held against it in one pass.
pub(super) struct Spoken<'c> {
    contract: &'c Sealed,
    promised: BTreeMap<&'c str, &'c Tool>,
    /// What replies are held to.
    replies: BTreeMap<&'c str, &'c MessageType>,
    /// Where the offer differs from the promise: the tool as it is offered, `None` where it is gone.
    otherwise: BTreeMap<&'c str, Option<&'c Tool>>,
}

impl<'c> Spoken<'c> {
    pub(super) fn by(contract: &'c Sealed) -> Self {
        let promised = contract.promised_tools().into_iter().map(|tool| (tool.name(), tool));
        let mut otherwise = BTreeMap::new();
        if let Some(offer) = &contract.offer {
            otherwise.extend(offer.gone.iter().map(|gone| (gone.as_str(), None)));
            otherwise.extend(offer.tools.iter().map(|tool| (tool.name(), Some(tool))));
        }
        let replies = contract.message_types.iter().filter_map(|message| {
            let reply = message.direction == Direction::Reply;
            reply.then_some((message.name.as_str(), message))
        });
        Self { contract, promised: promised.collect(), replies: replies.collect(), otherwise }
    }

    pub(super) const fn contract(&self) -> &'c Sealed {
        self.contract
    }

    /// The tools that a call of a promised one reaches.
    pub(super) fn targets(&self, promised: &str) -> Vec<String> {
        let routine = self.contract.routine.0.get(promised);
        routine.map_or_else(|| vec![promised.to_owned()], |routine| routine.targets(promised))
    }

    pub(super) fn promised(&self) -> impl Iterator<Item = &'c str> {
        self.promised.keys().copied()
    }

    pub(super) fn promises(&self, name: &str) -> bool {
        self.promised.contains_key(name)
    }

    /// As [`crate::domain::contract::Contract::offered`].
    pub(super) fn offered(&self, name: &str) -> Option<&'c Tool> {
        match self.otherwise.get(name) {
            Some(otherwise) => *otherwise,
            None => self.promised.get(name).copied(),
        }
    }

    /// What the replies of a promised tool are held to.
    pub(super) fn reply(&self, name: &str) -> Option<&'c Value> {
        self.replies.get(name).map(|message| &message.schema)
    }

    /// How many samples these rest on, where they were inferred.
    pub(super) fn inferred(&self, name: &str) -> Option<u64> {
        let message = self.replies.get(name)?;
        let inferred = message.source == TermSource::Inferred;
        inferred.then(|| message.samples.unwrap_or_default())
    }

    /// Whether another version says the same of a tool: what judges and carries it stays in force.
    pub(super) fn says_the_same(&self, other: &Spoken<'_>, name: &str) -> bool {
        let entry = |spoken: &Spoken<'_>| spoken.contract.routine.0.get(name).cloned();
        let (mine, others) = (entry(self), entry(other));
        let targets =
            mine.as_ref().map_or_else(|| vec![name.to_owned()], |routine| routine.targets(name));
        mine == others
            && self.promised.get(name) == other.promised.get(name)
            && self.reply(name) == other.reply(name)
            && targets.iter().all(|target| self.offered(target) == other.offered(target))
    }

    /// The tool of the contract that is this very one.
    fn same(&self, tool: &Tool) -> Option<&'c Tool> {
        let known = [self.offered(tool.name()), self.promised.get(tool.name()).copied()];
        known.into_iter().flatten().find(|known| *known == tool)
    }

    /// Whether a promised tool is offered as the contract speaks it: every tool that its routine can
    /// call is listed with the meaning the contract knows.
    pub(super) fn is_offered(&self, promised: &str, offered: &BTreeMap<&str, &Tool>) -> bool {
        self.targets(promised).iter().all(|target| {
            match (self.offered(target), offered.get(target.as_str())) {
                // Held once, they are one; comparing their text is for those that were read anew.
                (Some(known), Some(now)) => known == *now || known.means(now),
                _ => false,
            }
        })
    }

    /// Whether everything that is promised is offered so.
    pub(super) fn is_all_offered(&self, offered: &BTreeMap<&str, &Tool>) -> bool {
        self.promised.keys().all(|name| self.is_offered(name, offered))
    }
}
