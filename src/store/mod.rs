//! What must not be lost: the ledger as the one record of truth, content-addressed files beside it.
//!
//! ```text
//!   Record ──► append (one fdatasync a group) ──► ledger/ ──► replay ──► State
//!                          └── checkpoint ──► checkpoints/     └──► contracts/, routines/ (written after)
//! ```
//!
//! Never here: an acknowledgement before the bytes are durable; anything read back from disk that
//! is believed without its hash. Calls block; the control plane makes them off its own task.

use crate::domain::contract::Contract;
use crate::domain::drift::DriftEvent;
use crate::domain::evidence::{Record, RecordId};
use crate::domain::message::{Digest, PeerId};
use crate::domain::negotiation::Proposal;

/// How sure an append must be before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk, with a checkpoint: seals, moves of a head, decisions.
    Synced,
    /// In the page cache; synced with the next group.
    Batched,
}

/// What a replay of the ledger says is true now.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Every sealed contract, oldest first, with its peer.
    pub contracts: Vec<(PeerId, Contract)>,
    /// The head of each peer's chain.
    pub heads: Vec<(PeerId, Digest)>,
    /// Tools whose declared terms were kept once, by contract.
    pub kept: Vec<(PeerId, Digest, String)>,
    /// Newest state of every drift event, oldest first.
    pub events: Vec<(PeerId, DriftEvent)>,
    /// Proposals by hash, with the event they answer, and the newest decision on each.
    pub proposals: Vec<PendingProposal>,
}

/// A proposal as the ledger knows it.
#[derive(Clone, Debug)]
pub struct PendingProposal {
    /// The peer it is about.
    pub peer: PeerId,
    /// The hash that a decision is bound to.
    pub hash: Digest,
    /// The drift event it answers.
    pub drift_id: uuid::Uuid,
    /// The proposal.
    pub proposal: Proposal,
    /// When it was made.
    pub at: crate::domain::message::UnixMillis,
    /// The newest decision, where there is one: `approved`, `denied`, `expired`, `auto`, `withdrawn`.
    pub decision: Option<String>,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The head is another one than the caller believed; nothing was written.
    #[error("the head of {peer} is {actual:?}, expected {expected:?}; re-read it and decide again")]
    Conflict {
        /// Whose chain.
        peer: PeerId,
        /// What the caller believed.
        expected: Option<Digest>,
        /// What is true.
        actual: Option<Digest>,
    },
    /// Another process owns the directory.
    #[error("{dir} is in use by another process; stop it, or choose another --state directory")]
    Locked {
        /// The state directory.
        dir: String,
    },
    /// The ledger is damaged where it had been acknowledged.
    #[error("{file}: {what}; run `stipula ledger verify`, and restore the directory from a copy")]
    Damaged {
        /// Which file, with the record's number where it is known.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The system refused.
    #[error("{doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Where evidence is kept. One trait, held by one suite of tests for every store.
pub trait Store: Send + Sync {
    /// Appends records in order and returns when they are as sure as asked.
    ///
    /// # Errors
    /// Nothing of the batch counts as written unless `Ok` came back.
    fn append(&self, records: &[Record], durability: Durability) -> Result<(), StoreError>;

    /// Seals: appends the `Sealed` record, the `HeadMoved` record and `also`, in one synced group,
    /// if the head of `peer` still is `expected_head`; then writes the contract's and routine's files.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the head is another one; nothing is written then.
    fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        sealed: SealGroup<'_>,
    ) -> Result<(), StoreError>;

    /// What the ledger says now, as a replay.
    ///
    /// # Errors
    /// Where the ledger cannot be read or is damaged.
    fn state(&self) -> Result<State, StoreError>;

    /// One record by its name, for `why`.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError>;

    /// The newest records, newest last, at most `limit`.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError>;
}

/// The records of one seal or one move of a head, in the order they are appended. The compare-and-
/// swap is over the `HeadMoved` record among them.
#[derive(Clone, Copy, Debug)]
pub struct SealGroup<'a> {
    /// `Sealed` (absent when an earlier contract is taken up again), `HeadMoved`, and what explains them.
    pub records: &'a [Record],
}
