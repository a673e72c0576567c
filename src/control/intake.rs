//! Starts the room: replays the ledger, puts what it says in force, starts one actor a peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::actor::{Peer, Shared};
use super::advisor::Panel;
use super::bindings::RoutineCache;
use super::chain::Chain;
use super::events::Events;
use super::handle::{Command, Handle, Line, Telling};
use super::lag::{Behind, Lag};
use super::notify::{Ambient, Notifier, Sending, Webhook};
use super::scribe::Scribe;
use super::settings::{PeerSettings, Settings};
use super::status::Told;
use crate::domain::contract::Sealed;
use crate::domain::message::{Clock, Dice, PeerId};
use crate::domain::negotiation::Relations;
use crate::domain::policy::Audience;
use crate::live::{Binding, Observation, Switchboard};
use crate::store::{State, Store, StoreError};
use crate::telemetry::{Dropped, Metrics};
use crate::wire::protocol::mcp::peer::PeerClient;

/// Observations that wait for an actor; more are dropped and counted.
const INBOX: usize = 8_192;
/// Ordinary observations that are taken at once.
const BATCH: usize = 1_024;
/// How long the ordinary lane is left alone after a batch.
const REST: Duration = Duration::from_millis(10);

/// What the room is built from.
pub struct Parts {
    /// What it is told by configuration.
    pub settings: Settings,
    /// Where evidence is kept.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where names come from.
    pub dice: Arc<dyn Dice>,
    /// The metrics.
    pub metrics: Metrics,
    /// Who is asked where the matcher cannot decide.
    pub advisors: Option<Arc<Panel>>,
    /// Who is told of approvals and incidents.
    pub webhook: Option<Webhook>,
    /// How many observations were dropped on their way here.
    pub dropped: Arc<AtomicU64>,
    /// Where a person at the terminal is told.
    pub told: mpsc::UnboundedSender<Told>,
}

/// What is built for one peer.
pub struct PeerParts {
    /// Its settings.
    pub settings: PeerSettings,
    /// How it is asked.
    pub client: PeerClient,
}

/// The room before it runs: what the ledger says is already known.
pub struct Control {
    parts: Parts,
    peers: Vec<Peer>,
    lines: BTreeMap<PeerId, Line>,
    commands: Vec<mpsc::Receiver<Command>>,
    sending: Option<Sending>,
    notifier: Notifier,
    ambient: Ambient,
    scribe: Scribe,
}

impl Control {
    /// Replays the ledger. The bindings it gives are to be in force before the first exchange.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn load(
        mut parts: Parts,
        peers: Vec<PeerParts>,
    ) -> Result<(Self, BTreeMap<PeerId, Arc<Binding>>), StoreError> {
        let state = parts.store.state()?;
        let scribe = Scribe::new(
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
            Arc::clone(&parts.dice),
        );
        let routines = Arc::new(RoutineCache::new(parts.settings.cached_routines));
        let ambient = Ambient {
            clock: Arc::clone(&parts.clock),
            dice: Arc::clone(&parts.dice),
            metrics: parts.metrics.clone(),
        };
        let notifier = Notifier::default();
        let sending = notifier.turn_to(parts.webhook.take(), &ambient);
        let (mut bindings, mut lines) = (BTreeMap::new(), BTreeMap::new());
        let (mut actors, mut inlets) = (Vec::new(), Vec::new());
        for peer in peers {
            let shared = Shared {
                scribe: scribe.clone(),
                clock: Arc::clone(&parts.clock),
                dice: Arc::clone(&parts.dice),
                metrics: parts.metrics.clone(),
                peer_metrics: parts.metrics.peer(&peer.settings.id),
                advisors: parts.advisors.clone(),
                signer: parts.settings.signer.clone(),
                routines: Arc::clone(&routines),
                notifier: notifier.clone(),
                dropped: Arc::clone(&parts.dropped),
                told: parts.told.clone(),
            };
            let view = Arc::new(ArcSwapOption::empty());
            let (to_actor, commands) = mpsc::channel(16);
            let id = peer.settings.id.clone();
            lines.insert(id.clone(), Line { commands: to_actor, view: Arc::clone(&view) });
            let mut actor = Peer::new(peer.settings, peer.client, shared, view);
            actor.take_up(recovered(&state, &id, &parts.told));
            bindings.insert(id, Arc::new(actor.binding()));
            actors.push(actor);
            inlets.push(commands);
        }
        let commands = inlets;
        let control =
            Self { parts, peers: actors, lines, commands, sending, notifier, ambient, scribe };
        Ok((control, bindings))
    }

    /// Starts the actors on the current runtime. They end, and write what they know, when the lanes
    /// have ended or [`Running::finish`] is asked.
    pub fn run(
        self,
        switchboard: &Arc<Switchboard>,
        ordinary: mpsc::Receiver<Observation>,
        reserved: mpsc::Receiver<Observation>,
    ) -> (Handle, Running) {
        let mut inboxes = BTreeMap::new();
        let mut actors = JoinSet::new();
        for (peer, commands) in self.peers.into_iter().zip(self.commands) {
            let (to_actor, inbox) = mpsc::channel(INBOX);
            inboxes.insert(peer.id().clone(), to_actor);
            let every = self.parts.settings.evidence_every;
            actors.spawn(peer.run(Arc::clone(switchboard), inbox, commands, every));
        }
        if let Some(sending) = self.sending {
            tokio::spawn(sending.run());
        }
        let metrics = self.parts.metrics;
        let (lag, behind) = Lag::new();
        let intake = tokio::spawn(hand_on(inboxes, ordinary, reserved, behind, metrics));
        let handle = Handle {
            lines: Arc::new(self.lines),
            scribe: self.scribe,
            lag: lag.clone(),
            advisors: self.parts.advisors,
            telling: Telling::here(self.notifier, self.ambient),
        };
        (handle, Running { intake, actors, lag })
    }
}

/// The actors at work.
pub struct Running {
    intake: JoinHandle<()>,
    actors: JoinSet<()>,
    lag: Lag,
}

impl Running {
    /// Ends the actors: they take what waits, write it down and stop.
    pub async fn finish(mut self) {
        self.lag.catch_up().await;
        // Without the intake the inboxes end, and with them the actors.
        self.intake.abort();
        while self.actors.join_next().await.is_some() {}
    }
}

/// What the ledger says about one peer.
pub(super) struct Recovered {
    pub(super) chain: Chain,
    pub(super) events: Events,
    pub(super) kept: Vec<String>,
    pub(super) relations: Vec<(String, Relations)>,
    pub(super) proposals: Vec<crate::store::PendingProposal>,
    pub(super) audience: Audience,
}

fn recovered(state: &State, peer: &PeerId, told: &mpsc::UnboundedSender<Told>) -> Recovered {
    let mut versions = Vec::new();
    for (_, contract) in state.contracts.iter().filter(|(owner, _)| owner == peer) {
        match Sealed::open(Arc::clone(contract)) {
            Ok(sealed) => versions.push(Arc::new(sealed)),
            Err(faults) => {
                // The store checked its files; a seal that does not open is said, never used.
                let what = format!("{peer}: contract v{} is not sound: {faults}", contract.version);
                let _ = told.send(Told::Warning { what });
            }
        }
    }
    let head = state.heads.iter().find(|(owner, _)| owner == peer).map(|(_, head)| *head);
    let mine = |owner: &PeerId| owner == peer;
    Recovered {
        chain: Chain::new(versions, head),
        events: Events::new(
            state.events.iter().filter(|(owner, _)| mine(owner)).map(|(_, event)| event.clone()),
        ),
        kept: state
            .kept
            .iter()
            .filter(|(owner, ..)| mine(owner))
            .map(|(_, _, tool)| tool.clone())
            .collect(),
        relations: state
            .relations
            .iter()
            .filter(|(owner, ..)| mine(owner))
            .map(|(_, tool, relations)| (tool.clone(), relations.clone()))
            .collect(),
        proposals: state.proposals.iter().filter(|p| mine(&p.peer)).cloned().collect(),
        audience: Audience::recovered(
            state
                .listed
                .iter()
                .filter(|(owner, ..)| mine(owner))
                .map(|(_, who, lacks)| (who.clone(), lacks.iter().cloned().collect())),
        ),
    }
}

/// Hands observations on to their peer's actor: the reserved lane at once, the ordinary one in
/// batches. While it rests nobody listens on the ordinary lane, so a call that ends wakes no thread;
/// who asks or stops the control plane has it caught up first.
async fn hand_on(
    inboxes: BTreeMap<PeerId, mpsc::Sender<Observation>>,
    mut ordinary: mpsc::Receiver<Observation>,
    mut reserved: mpsc::Receiver<Observation>,
    mut behind: Behind,
    metrics: Metrics,
) {
    let mut batch = Vec::new();
    let mut rested = Instant::now();
    loop {
        let listened = async {
            tokio::time::sleep_until(rested).await;
            ordinary.recv_many(&mut batch, BATCH).await
        };
        let took = tokio::select! {
            biased;
            Some(observation) = reserved.recv() => {
                surely(&inboxes, observation).await;
                continue;
            }
            Some(caught_up) = behind.recv() => {
                while let Ok(observation) = ordinary.try_recv() {
                    surely(&inboxes, observation).await;
                }
                // Who asked may have gone; the facts are where they belong.
                let _ = caught_up.send(());
                continue;
            }
            took = listened => took,
        };
        if took == 0 {
            break;
        }
        for observation in batch.drain(..) {
            if let Some(inbox) = inboxes.get(&observation.peer)
                && inbox.try_send(observation).is_err()
            {
                metrics.observations_dropped(Dropped::Ordinary);
            }
        }
        if took < BATCH {
            rested = Instant::now() + REST;
        }
        // More waits after a full batch, but the actors take theirs first.
        tokio::task::yield_now().await;
    }
    while let Some(observation) = reserved.recv().await {
        surely(&inboxes, observation).await;
    }
}

/// Waits for room: what a record must name was bounded when it came in.
async fn surely(inboxes: &BTreeMap<PeerId, mpsc::Sender<Observation>>, observation: Observation) {
    if let Some(inbox) = inboxes.get(&observation.peer) {
        // An actor that is gone takes nothing any more.
        let _ = inbox.send(observation).await;
    }
}
