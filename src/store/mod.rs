//! What must not be lost: the ledger as the one record of truth, content-addressed files beside it.
//!
//! ```text
//!   Record ──► append (one fdatasync a group) ──► ledger/ ──► acknowledged ──► replay ──► State
//!                                                    └──► checkpoints/, contracts/, routines/ (follow)
//! ```
//!
//! Never here: an acknowledgement before the bytes are durable; anything read back from disk that
//! is believed without its hash. Calls block; the control plane makes them off its own task.

mod files;
mod memory;
mod replay;
mod verify;

pub use files::FileStore;
pub use memory::MemoryStore;
pub use replay::{PendingProposal, State};
pub use verify::{Fault, Report, lines, verify};

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::domain::evidence::{Record, RecordId};
use crate::domain::message::{Digest, PeerId};

/// Where the state directory is and how it is cut up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The state directory; made with mode 0700 where it does not exist.
    pub dir: PathBuf,
    /// Bytes after which a new ledger segment is begun.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { dir: PathBuf::from("./stipula-state"), segment_bytes: 64 * 1024 * 1024 }
    }
}

/// How sure an append must be before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk, and a checkpoint follows: seals, moves of a head, decisions.
    Synced,
    /// In the page cache; synced with the next group.
    Batched,
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
    /// The records do not fit what the ledger says; nothing was written.
    #[error("record {record} cannot be kept: {what}")]
    Unfit {
        /// The record's id.
        record: String,
        /// What is wrong with it, and what would be accepted.
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
///
/// Calls block, up to one sync of the disk: call them off the threads that carry exchanges.
pub trait Store: Send + Sync {
    /// Appends records in order and returns when they are as sure as asked. Concurrent callers
    /// share a sync.
    ///
    /// # Errors
    /// Nothing of the batch counts as written unless `Ok` came back. A `HeadMoved` record whose
    /// `from` is not the head is a [`StoreError::Conflict`], and nothing is written.
    fn append(&self, records: &[Record], durability: Durability) -> Result<(), StoreError>;

    /// Seals: appends `records` in one synced group if the head of `peer` still is `expected_head`.
    /// The contract's and the routine's files are written from them afterwards. Among the records is a `HeadMoved`, and
    /// before it a `Sealed` unless an earlier contract is taken up again; the rest explains them.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the head is another one, [`StoreError::Unfit`] where the
    /// group does not move it or its contract is not what its hash says; nothing is written then.
    fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: &[Record],
    ) -> Result<(), StoreError>;

    /// What the ledger says now, as a replay.
    ///
    /// # Errors
    /// Where the ledger cannot be read or is damaged.
    fn state(&self) -> Result<State, StoreError>;

    /// Hands every record to `visit`, oldest first, until it breaks off. Records of a kind that
    /// this version does not know are passed over.
    ///
    /// # Errors
    /// Where the ledger cannot be read or is damaged.
    fn visit(&self, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// One record by its name.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut found = None;
        self.visit(&mut |record| {
            if record.id != id {
                return ControlFlow::Continue(());
            }
            found = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The newest records, newest last, at most `limit`.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError>;
}
