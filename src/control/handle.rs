//! How the admin listener and the demo ask the control plane and tell it what a person decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

use super::advisor::Panel;
use super::configure::Anew;
use super::lag::Lag;
use super::notify::{Ambient, Notifier, Webhook};
use super::scribe::Scribe;
use super::status::{
    ApprovalShown, ApprovalStatus, BundleShown, BundleStatus, PeerStatus, Status, Why,
};
use crate::domain::drift::DriftEvent;
use crate::domain::evidence::{Graph, Record};
use crate::domain::message::{Digest, PeerId};
use crate::live::Mode;
use crate::store::StoreError;

/// What a person decided, on its way to the actor of its peer.
pub(super) enum Command {
    Approve { hash: Digest, reason: String, answer: Answer },
    Deny { hash: Digest, reason: String, answer: Answer },
    Rollback { to: Option<semver::Version>, answer: Answer },
    SetMode { mode: Mode, tool: Option<String>, answer: Answer },
    Configure { anew: Box<Anew>, answer: Answer },
    Seal { answer: Answer },
    OpenWindow { answer: Answer },
    Review { answer: Answer },
}

/// Where the actor answers: a sentence, or why not.
pub(super) type Answer = oneshot::Sender<Result<String, HandleError>>;

/// Why the control plane did not do it.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// No such peer.
    #[error("no peer named {0}; `stipula status` lists them")]
    NoPeer(String),
    /// No such proposal, or it no longer waits.
    #[error(
        "no proposal {0} is waiting, as it is or any more; `stipula approvals list` tells what waits"
    )]
    NoProposal(String),
    /// There is nowhere to go back to.
    #[error("{0}")]
    Refused(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control plane has stopped.
    #[error("the control plane has stopped")]
    Stopped,
}

/// One peer as the handle sees it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) commands: mpsc::Sender<Command>,
    /// Written by the actor whenever something changes; read by whoever asks.
    pub(super) view: Arc<ArcSwapOption<PeerView>>,
}

/// What an actor shows of itself.
#[derive(Debug)]
pub(super) struct PeerView {
    pub(super) status: PeerStatus,
    pub(super) events: Vec<DriftEvent>,
}

/// Asks and tells the control plane; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) lines: Arc<BTreeMap<PeerId, Line>>,
    pub(super) scribe: Scribe,
    pub(super) lag: Lag,
    pub(super) advisors: Option<Arc<Panel>>,
    pub(super) telling: Telling,
}

/// Who is told of approvals and incidents, and where those tasks run.
#[derive(Clone)]
pub(super) struct Telling {
    notifier: Notifier,
    ambient: Ambient,
    runtime: tokio::runtime::Handle,
}

impl Telling {
    /// On the runtime that this is called on.
    pub(super) fn here(notifier: Notifier, ambient: Ambient) -> Self {
        Self { notifier, ambient, runtime: tokio::runtime::Handle::current() }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("peers", &self.lines.keys()).finish_non_exhaustive()
    }
}

impl Handle {
    /// How every peer stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let peers = self.views().map(|view| view.status.clone()).collect();
        Status { peers, advisors: self.advisors.as_ref().map(|panel| panel.status()) }
    }

    /// Every drift event, oldest first, with its peer.
    #[must_use]
    pub fn drift(&self) -> Vec<(PeerId, DriftEvent)> {
        self.views()
            .flat_map(|view| {
                let peer = view.status.peer.clone();
                view.events.clone().into_iter().map(move |event| (peer.clone(), event))
            })
            .collect()
    }

    /// Why evidence cannot be written, as the last write showed.
    #[must_use]
    pub fn ledger_fault(&self) -> Option<String> {
        self.scribe.fault()
    }

    /// What waits for a person.
    #[must_use]
    pub fn approvals(&self) -> Vec<ApprovalStatus> {
        self.views().flat_map(|view| view.status.waiting.clone()).collect()
    }

    /// What waits as one: everything that waits for a peer, where that is more than one proposal.
    #[must_use]
    pub fn bundles(&self) -> Vec<BundleStatus> {
        self.views().filter_map(|view| view.status.bundle.clone()).collect()
    }

    /// One proposal that waits, with all that is needed to decide.
    #[must_use]
    pub fn approval(&self, id: Digest) -> Option<ApprovalShown> {
        self.approvals().into_iter().find(|waiting| waiting.id == id).map(ApprovalShown::of)
    }

    /// One bundle that waits, with all that is needed to decide.
    #[must_use]
    pub fn bundle(&self, id: Digest) -> Option<BundleShown> {
        let status = self.bundles().into_iter().find(|bundle| bundle.id == id)?;
        let inside = self.approvals().into_iter().filter(|waiting| waiting.bundle == Some(id));
        Some(BundleShown { shown: inside.map(ApprovalShown::of).collect(), status })
    }

    /// Why something is as it is: the records that led to the newest one about `name` (the id of a
    /// record, an event or a contract, or the hash of a contract or a proposal), first cause first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn why(&self, name: &str) -> Result<Why, HandleError> {
        let records = self.scribe.tail(usize::MAX).await?;
        let graph = Graph::of(&records);
        let reasons = graph.about(name).map(|id| graph.why(id)).unwrap_or_default();
        let records = reasons.iter().rev().map(|reason| reason.record.clone()).collect();
        let mut events = self.drift().into_iter().map(|(_, event)| event);
        Ok(Why { event: events.find(|event| event.drift_id.to_string() == name), records })
    }

    /// The newest records of the ledger, newest last.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn ledger_tail(&self, limit: usize) -> Result<Vec<Record>, HandleError> {
        Ok(self.scribe.tail(limit).await?)
    }

    /// Approves a proposal by its hash, or a bundle by its id, which is sealed as one version; what has
    /// changed has another hash and needs a new approval.
    ///
    /// # Errors
    /// Where nothing of that id waits, it changed meanwhile, or the store refuses.
    pub async fn approve(&self, id: Digest, reason: String) -> Result<String, HandleError> {
        let peer = self.peer_of(id)?;
        self.ask(&peer, |answer| Command::Approve { hash: id, reason, answer }).await
    }

    /// Denies a proposal, or each in a bundle: its hash is barred and its event dismissed.
    ///
    /// # Errors
    /// Where nothing of that id waits.
    pub async fn deny(&self, id: Digest, reason: String) -> Result<String, HandleError> {
        let peer = self.peer_of(id)?;
        self.ask(&peer, |answer| Command::Deny { hash: id, reason, answer }).await
    }

    /// Goes back to an earlier version: the one before the head where none is named.
    ///
    /// # Errors
    /// Where there is no such version.
    pub async fn rollback(
        &self,
        peer: &PeerId,
        to: Option<semver::Version>,
    ) -> Result<String, HandleError> {
        self.ask(peer, |answer| Command::Rollback { to, answer }).await
    }

    /// Sets the mode of a peer, or of one of its tools, until the next start.
    ///
    /// # Errors
    /// Where there is no such peer.
    pub async fn set_mode(
        &self,
        peer: &PeerId,
        mode: Mode,
        tool: Option<String>,
    ) -> Result<String, HandleError> {
        self.ask(peer, |answer| Command::SetMode { mode, tool, answer }).await
    }

    /// Goes by other settings of a peer from now on. What is under way ends as it began.
    ///
    /// # Errors
    /// Where there is no such peer.
    pub async fn configure(&self, anew: Anew) -> Result<String, HandleError> {
        let (peer, anew) = (anew.settings.id.clone(), Box::new(anew));
        self.ask(&peer, |answer| Command::Configure { anew, answer }).await
    }

    /// Another receiver is told of approvals and incidents from now on, or nobody. What waits for the one
    /// before is sent there still.
    pub fn tell_to(&self, webhook: Option<Webhook>) {
        let Telling { notifier, ambient, runtime } = &self.telling;
        if let Some(sending) = notifier.turn_to(webhook, ambient) {
            runtime.spawn(sending.run());
        }
    }

    /// Seals a peer's surface now.
    ///
    /// # Errors
    /// Where the peer cannot be read or the store refuses.
    pub async fn seal(&self, peer: &PeerId) -> Result<String, HandleError> {
        self.ask(peer, |answer| Command::Seal { answer }).await
    }

    /// Begins a new window of the coherence score.
    ///
    /// # Errors
    /// Where there is no such peer.
    pub async fn open_window(&self, peer: &PeerId) -> Result<String, HandleError> {
        self.ask(peer, |answer| Command::OpenWindow { answer }).await
    }

    /// Reads a peer's surface now and acts on it.
    ///
    /// # Errors
    /// Where the peer cannot be read.
    pub async fn review(&self, peer: &PeerId) -> Result<String, HandleError> {
        self.ask(peer, |answer| Command::Review { answer }).await
    }

    fn views(&self) -> impl Iterator<Item = Arc<PeerView>> + '_ {
        self.lines.values().filter_map(|line| line.view.load_full())
    }

    fn peer_of(&self, id: Digest) -> Result<PeerId, HandleError> {
        let one = self.views().find(|view| {
            let bundle = view.status.bundle.as_ref();
            bundle.is_some_and(|bundle| bundle.id == id)
                || view.status.waiting.iter().any(|waiting| waiting.id == id)
                || view.status.open_events.iter().any(|event| event.decision == Some(id))
        });
        let one = one.ok_or_else(|| HandleError::NoProposal(id.to_string()))?;
        Ok(one.status.peer.clone())
    }

    async fn ask(
        &self,
        peer: &PeerId,
        command: impl FnOnce(Answer) -> Command,
    ) -> Result<String, HandleError> {
        let line = self.lines.get(peer).ok_or_else(|| HandleError::NoPeer(peer.to_string()))?;
        self.lag.catch_up().await;
        let (answer, answered) = oneshot::channel();
        line.commands.send(command(answer)).await.map_err(|_| HandleError::Stopped)?;
        answered.await.map_err(|_| HandleError::Stopped)?
    }
}
