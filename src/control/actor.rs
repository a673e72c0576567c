//! The actor of one peer: everything that happens to it happens here, one thing after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::advisor::Panel;
use super::approvals::Waiting;
use super::bindings::{RoutineCache, Shown};
use super::callers::Callers;
use super::capability::Capabilities;
use super::chain::Chain;
use super::events::Events;
use super::handle::{Answer, Command, PeerView};
use super::intake::Recovered;
use super::laps::Laps;
use super::learn::Learning;
use super::meaning::Meaning;
use super::negotiate::{RoundEnded, Talk};
use super::notify::Notifier;
use super::performance::Performance;
use super::policy::Standings;
use super::reshape::BrokenReply;
use super::samples::Samples;
use super::scribe::Scribe;
use super::settings::PeerSettings;
use super::shadow::Shadow;
use super::status::Told;
use super::window::ScoreWindow;
use crate::domain::contract::{Sealed, Signer, Surface};
use crate::domain::evidence::RecordBody;
use crate::domain::message::{
    Clock, Dice, Digest, Generation, Millis, PeerId, Principal, ToolName,
};
use crate::domain::patch::{self, Watch};
use crate::domain::policy::{Audience, Caller};
use crate::domain::routine::RoutineDoc;
use crate::live::{
    Binding, Mode, Observation, PeerHealth, Reported, Switchboard, ToolBinding, ToolHealth,
    ToolState,
};
use crate::telemetry::{Approval, HealStage, Metrics, PeerMetrics};
use crate::wire::protocol::mcp::peer::PeerClient;

/// How often an actor looks at the time: ages, expiries, waiting refusals.
const TICK: Duration = Duration::from_millis(100);

/// What all actors share.
pub(super) struct Shared {
    pub(super) scribe: Scribe,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dice: Arc<dyn Dice>,
    pub(super) metrics: Metrics,
    pub(super) peer_metrics: PeerMetrics,
    pub(super) advisors: Option<Arc<Panel>>,
    pub(super) signer: Option<Arc<Signer>>,
    pub(super) routines: Arc<RoutineCache>,
    pub(super) notifier: Notifier,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) told: mpsc::UnboundedSender<Told>,
}

/// What an actor knows about one promised tool.
#[derive(Debug)]
pub(super) struct ToolLife {
    pub(super) state: ToolState,
    /// Counts changes of routine or state.
    pub(super) revision: u64,
    /// A conforming reply was seen once.
    pub(super) kept: bool,
    /// The patch in force, under watch while it is young.
    pub(super) live: Option<patch::Live>,
    /// Calls that failed since the newest event of this tool was opened.
    pub(super) failed: u64,
    /// The offered meaning that was last judged, where it could not be healed.
    pub(super) judged: Option<Digest>,
    /// What is in force, to be taken over while nothing changed.
    pub(super) binding: Option<Arc<ToolBinding>>,
    /// What sampled replies taught.
    pub(super) learning: Learning,
    /// What an open event says of replies that changed under an unchanged definition.
    pub(super) reported: Option<Reported>,
    /// Replies that kept the promise again since, one after another.
    pub(super) recovered: u32,
    /// How often they ended such an event.
    pub(super) recoveries: u32,
    /// What its replies mean.
    pub(super) meaning: Meaning,
    /// How it does; nothing is held of tools that nobody called.
    pub(super) performance: Option<Box<Performance>>,
    /// What the path sees of that.
    pub(super) health: Arc<ToolHealth>,
    /// Who called of late, as far as calls are told with their caller.
    pub(super) callers: Callers,
}

impl Default for ToolLife {
    fn default() -> Self {
        Self {
            state: ToolState::Sound,
            revision: 0,
            kept: false,
            live: None,
            failed: 0,
            judged: None,
            binding: None,
            learning: Learning::default(),
            reported: None,
            recovered: 0,
            recoveries: 0,
            meaning: Meaning::default(),
            performance: None,
            health: Arc::default(),
            callers: Callers::default(),
        }
    }
}

/// What waits for the next review.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The highest ticket of a held exchange that was taken.
    pub(super) ticket: u64,
    /// A refusal asks for a re-read, in the next slot.
    pub(super) refused: bool,
    /// Something else asks for a re-read, now.
    pub(super) asked: bool,
    /// As whom the re-read travels.
    pub(super) caller: Option<Arc<Caller>>,
    /// An agent listed or called before anything was sealed.
    pub(super) first_use: Option<Arc<Caller>>,
    /// Replies that broke a kept promise, by tool: classified after the surface was read again.
    pub(super) broken: BTreeMap<String, BrokenReply>,
    /// A watched patch missed too often: go back.
    pub(super) roll_back: Option<String>,
    /// When the signal that led here was seen, on the monotonic clock.
    pub(super) since_micros: Option<u64>,
}

/// One peer and all that is known about it.
pub(super) struct Peer {
    pub(super) settings: PeerSettings,
    pub(super) client: Arc<PeerClient>,
    pub(super) shared: Shared,
    pub(super) view: Arc<ArcSwapOption<PeerView>>,
    pub(super) chain: Chain,
    /// The surface as it was last read in full.
    pub(super) offer: Option<Surface>,
    pub(super) offer_digest: Option<Digest>,
    /// Digest of the bytes that the offer was read from.
    pub(super) read_as: Option<Digest>,
    /// What agents are shown of head and offer, while both stay.
    pub(super) shown: Option<Shown>,
    pub(super) max_age: Millis,
    pub(super) tools: BTreeMap<ToolName, ToolLife>,
    pub(super) modes: BTreeMap<String, Mode>,
    pub(super) mode: Option<Mode>,
    pub(super) events: Events,
    /// What is known of the callers' access, and of who the peer is.
    pub(super) standings: Standings,
    /// What it declares and does not do.
    pub(super) capabilities: Capabilities,
    /// Events that a person was called for, and how.
    pub(super) escalated: BTreeSet<(uuid::Uuid, String)>,
    pub(super) samples: Samples,
    /// Tools with enough samples for terms that are not sealed yet.
    pub(super) ripe: BTreeSet<String>,
    pub(super) window: ScoreWindow,
    pub(super) pending: Pending,
    pub(super) waiting: BTreeMap<Digest, Waiting>,
    /// Routines that run beside those in force.
    pub(super) shadow: Shadow,
    /// Proposals that were denied or withdrawn: never automatic again.
    pub(super) barred: BTreeSet<Digest>,
    /// Those of them that a person denied: they are not asked about again.
    pub(super) denied: BTreeSet<Digest>,
    /// What proposals that were put in force once carry over, by their hash.
    pub(super) carried: BTreeMap<Digest, RoutineDoc>,
    /// Listings of agents that were read in full, with whose they were.
    pub(super) listings: BTreeMap<Digest, Principal>,
    /// Who is listed what.
    pub(super) audience: Audience,
    /// Who was listed what was read last, byte for byte.
    pub(super) alike: BTreeSet<Principal>,
    /// Promised tools that the last listing lacked and that are not held to be gone for that.
    pub(super) unseen: BTreeSet<String>,
    /// Tools that a principal's first listing shows and that nobody was listed before.
    pub(super) newcomers: BTreeSet<String>,
    /// Definitions that no version can hold, as far as it was told.
    pub(super) left_out: BTreeSet<Digest>,
    pub(super) reviewed_to: u64,
    pub(super) read_at_micros: Option<u64>,
    pub(super) slot_at_micros: Option<u64>,
    /// When the contract's age was last looked at.
    pub(super) aged_at_micros: Option<u64>,
    pub(super) reachable: bool,
    /// Whether calls reach it, and what the path sees of that.
    pub(super) reach: Performance,
    pub(super) health: Arc<PeerHealth>,
    /// Tools that are slow, failing or left alone.
    pub(super) troubled: BTreeSet<ToolName>,
    pub(super) advisor_calls: u64,
    pub(super) counts: BTreeMap<(String, &'static str), u64>,
    pub(super) digests: Vec<Digest>,
    pub(super) generation: Generation,
    /// Patches whose contract is sealed and that the next publication puts in force: tool, patch, who
    /// approved, when the signal was seen.
    pub(super) going_live: Vec<(String, patch::Sealed, String, Option<u64>)>,
    /// Where the time of the review under way goes.
    pub(super) laps: Laps,
    dropped_before: u64,
    /// Something was noted that whoever asks has not been shown.
    pub(super) unshown: bool,
    /// Negotiations with advisors that are under way, by promised tool.
    pub(super) talks: BTreeMap<String, Talk>,
    /// Who asked for a review and waits until no negotiation runs.
    pub(super) awaiting_talks: Vec<Answer>,
    pub(super) round_ends: mpsc::Sender<RoundEnded>,
    rounds_ended: mpsc::Receiver<RoundEnded>,
    changed: mpsc::Receiver<()>,
    changes: mpsc::Sender<()>,
}

impl Peer {
    pub(super) fn new(
        settings: PeerSettings,
        client: PeerClient,
        shared: Shared,
        view: Arc<ArcSwapOption<PeerView>>,
    ) -> Self {
        let (changes, changed) = mpsc::channel(1);
        let (round_ends, rounds_ended) = mpsc::channel(16);
        Self {
            max_age: settings.max_age.unwrap_or(Millis(30_000)),
            mode: settings.mode,
            modes: settings.tools.clone(),
            settings,
            client: Arc::new(client),
            shared,
            view,
            chain: Chain::default(),
            offer: None,
            offer_digest: None,
            read_as: None,
            shown: None,
            tools: BTreeMap::new(),
            events: Events::default(),
            standings: Standings::default(),
            capabilities: Capabilities::default(),
            escalated: BTreeSet::new(),
            samples: Samples::default(),
            ripe: BTreeSet::new(),
            window: ScoreWindow::default(),
            pending: Pending::default(),
            waiting: BTreeMap::new(),
            shadow: Shadow::default(),
            barred: BTreeSet::new(),
            denied: BTreeSet::new(),
            carried: BTreeMap::new(),
            listings: BTreeMap::new(),
            audience: Audience::default(),
            alike: BTreeSet::new(),
            unseen: BTreeSet::new(),
            newcomers: BTreeSet::new(),
            left_out: BTreeSet::new(),
            reviewed_to: 0,
            read_at_micros: None,
            slot_at_micros: None,
            aged_at_micros: None,
            reachable: false,
            reach: Performance::default(),
            health: Arc::default(),
            troubled: BTreeSet::new(),
            advisor_calls: 0,
            counts: BTreeMap::new(),
            digests: Vec::new(),
            generation: Generation::default(),
            going_live: Vec::new(),
            laps: Laps::default(),
            dropped_before: 0,
            unshown: false,
            talks: BTreeMap::new(),
            awaiting_talks: Vec::new(),
            round_ends,
            rounds_ended,
            changed,
            changes,
        }
    }

    pub(super) fn id(&self) -> &PeerId {
        &self.settings.id
    }

    /// Takes up what the ledger says, before anything runs.
    pub(super) fn take_up(&mut self, recovered: Recovered) {
        self.chain = recovered.chain;
        self.events = recovered.events;
        for tool in recovered.kept {
            self.tools.entry(ToolName::from(tool.as_str())).or_default().kept = true;
        }
        for (tool, relations) in recovered.relations {
            let life = self.tools.entry(ToolName::from(tool.as_str())).or_default();
            life.learning.relations = Some(Arc::new(relations));
        }
        self.take_up_proposals(recovered.proposals);
        self.take_up_audience(recovered.audience);
        self.take_up_reports();
        self.end_unasked_meanings();
        self.take_up_performance();
        self.take_up_standings();
        self.take_up_capabilities();
        if let Some(head) = self.chain.head().cloned() {
            self.shared.peer_metrics.expiry(head.expiry);
            self.look_at_the_key(&head);
        }
    }

    /// Whoever began to sign should go on with that key.
    fn look_at_the_key(&self, head: &Sealed) {
        let ours = self.shared.signer.as_deref().map(Signer::public_key);
        let signed_by = head.signing.public_key.as_deref();
        if signed_by.is_some() && signed_by != ours.as_deref() {
            let (peer, version) = (self.id(), &head.version);
            let next = if ours.is_some() { "signed with another" } else { "not signed" };
            let what = format!(
                "{peer}: v{version} is signed with a key that is not the one of \
                 `seal.signing_key`; the next version will be {next}"
            );
            self.tell(Told::Warning { what });
        }
    }

    /// The mode of tools that have none of their own.
    pub(super) fn mode_now(&self, sealed: bool) -> Mode {
        self.mode.unwrap_or_else(|| self.settings.mode_now(sealed))
    }

    /// The mode of one tool.
    pub(super) fn mode_of(&self, tool: &str, sealed: bool) -> Mode {
        self.modes.get(tool).copied().unwrap_or_else(|| self.mode_now(sealed))
    }

    /// Runs until the sidecar stops.
    pub(super) async fn run(
        mut self,
        switchboard: Arc<Switchboard>,
        mut inbox: mpsc::Receiver<Observation>,
        mut commands: mpsc::Receiver<Command>,
        evidence_every: Millis,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut evidence = interval(Duration::from_millis(evidence_every.0.max(1)));
        evidence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.pending.asked = true;
        self.publish(&switchboard);
        let listening = tokio::spawn(listen(Arc::clone(&self.client), self.changes.clone()));
        loop {
            tokio::select! {
                biased;
                observation = inbox.recv() => match observation {
                    Some(observation) => self.note(observation),
                    None => break,
                },
                Some(command) = commands.recv() => self.obey(command, &switchboard).await,
                Some(()) = self.changed.recv() => self.pending.asked = true,
                Some(ended) = self.rounds_ended.recv() => {
                    self.round_ended(ended, &switchboard).await;
                }
                _ = tick.tick() => {
                    self.look_at_the_time();
                    if std::mem::take(&mut self.unshown) {
                        self.show();
                    }
                }
                _ = evidence.tick() => self.write_counts().await,
            }
            while let Ok(observation) = inbox.try_recv() {
                self.note(observation);
            }
            self.look_into_refusals().await;
            if self.look_into_capabilities().await {
                self.publish(&switchboard);
            }
            if self.look_into_challengers().await {
                self.publish(&switchboard);
            }
            if let Some(tool) = self.pending.roll_back.take() {
                self.roll_back_patch(&tool, &switchboard).await;
            }
            if self.review_is_due() {
                self.review(&switchboard).await;
                self.promote_challengers(&switchboard).await;
            }
            if self.has_ripe() {
                self.seal_inferred(&switchboard).await;
            }
        }
        listening.abort();
        self.write_counts().await;
        if let Err(error) = self.shared.scribe.flush().await {
            self.tell(Told::Warning { what: error.to_string() });
        }
    }

    /// Whether the surface is to be read now. Refusals share one slot; everything else asks at once.
    fn review_is_due(&self) -> bool {
        if self.pending.first_use.is_some() || self.pending.asked {
            return true;
        }
        let now = self.shared.clock.monotonic_micros();
        let slot = self.settings.reread_slot.0 * 1_000;
        self.pending.refused
            && self.slot_at_micros.is_none_or(|last| now.saturating_sub(last) >= slot)
    }

    /// What the passing of time asks for: a surface that has grown old, proposals that lapsed.
    fn look_at_the_time(&mut self) {
        let now = self.shared.clock.monotonic_micros();
        let age = self.read_at_micros.map(|read| now.saturating_sub(read) / 1_000);
        if self.chain.head().is_some() && age.is_some_and(|age| age >= self.max_age.0) {
            self.pending.asked = true;
        }
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        self.window.count_lost(dropped.saturating_sub(self.dropped_before));
        self.dropped_before = dropped;
        self.lapse_proposals();
        self.look_at_performance(now);
        self.forget_refused();
        self.look_at_the_expiry(now);
        self.look_at_profiles(now);
    }

    /// Puts what is known in force.
    pub(super) fn publish(&mut self, switchboard: &Switchboard) {
        let binding: Binding = self.binding();
        // Who is woken by it and asks finds it told already.
        switchboard.publish(self.settings.id.clone(), binding, |generation| {
            self.generation = generation;
            self.show();
        });
        self.shared.peer_metrics.generation(self.generation);
        self.went_live();
    }

    /// What passed since the last lap was spent on this stage of a heal.
    pub(super) fn lap(&mut self, stage: HealStage) {
        self.laps.lap(stage, self.shared.clock.monotonic_micros());
    }

    /// Patches that the publication put in force are under watch from now on.
    fn went_live(&mut self) {
        self.lap(HealStage::Swap);
        let laps = std::mem::take(&mut self.laps);
        if !self.going_live.is_empty() {
            laps.spent().for_each(|(stage, micros)| self.shared.metrics.heal_stage(stage, micros));
        }
        let now = self.shared.clock.monotonic_micros();
        let version = self.chain.head().map(|head| head.version.to_string()).unwrap_or_default();
        for (tool, sealed, by, since) in std::mem::take(&mut self.going_live) {
            let rule = Watch {
                exchanges: self.settings.watch_exchanges,
                failure_threshold: self.settings.failure_threshold,
            };
            let approval = if by == "gate" { Approval::Auto } else { Approval::Person };
            let micros = since.map_or(0, |since| now.saturating_sub(since));
            self.shared.metrics.patched(approval, micros);
            let (mut failed, mut gone) = (0, Vec::new());
            if let Some(life) = self.tools.get_mut(tool.as_str()) {
                let live = sealed.go_live(self.generation, rule);
                let routine = live.proposal().routine.0.get(&tool);
                gone = routine.map(|routine| routine.gone.clone()).unwrap_or_default();
                life.live = Some(live);
                failed = std::mem::take(&mut life.failed);
            }
            let peer = self.settings.id.clone();
            self.tell(Told::Healed { peer, tool, version: version.clone(), micros, failed, gone });
        }
    }

    /// Tells a person at the terminal.
    pub(super) fn tell(&self, told: Told) {
        // Nobody listens where the sidecar runs without a terminal's listener; that is no fault.
        let _ = self.shared.told.send(told);
    }

    /// Writes the exchanges counted since the last time, as one record.
    async fn write_counts(&mut self) {
        if !self.counts.is_empty() {
            let mut counts = serde_json::Map::new();
            for ((tool, verdict), count) in std::mem::take(&mut self.counts) {
                let tool = counts.entry(tool).or_insert_with(|| json!({}));
                if let Some(tool) = tool.as_object_mut() {
                    tool.insert(verdict.to_owned(), json!(count));
                }
            }
            let digests = std::mem::take(&mut self.digests);
            let body = RecordBody::Exchanges { counts: counts.into(), digests };
            let record = self.shared.scribe.record(&self.settings.id, body);
            self.shared.scribe.later(record);
        }
        if let Err(error) = self.shared.scribe.flush().await {
            self.tell(Told::Warning { what: format!("evidence is not written: {error}") });
        }
    }
}

/// Listens for changes that the peer tells by itself; comes back after a pause when the stream ends.
async fn listen(client: Arc<PeerClient>, changes: mpsc::Sender<()>) {
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = client.watch(changes.clone()).await;
        if changes.is_closed() {
            return;
        }
        pause = match ended {
            crate::wire::protocol::mcp::peer::PeerError::NoStream => LONGEST_PAUSE,
            crate::wire::protocol::mcp::peer::PeerError::StreamEnded => FIRST_PAUSE,
            _ => (pause * 2).min(LONGEST_PAUSE),
        };
        tokio::time::sleep(pause).await;
    }
}
