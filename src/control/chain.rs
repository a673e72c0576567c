//! The versions of one peer's contract: which is the head, which are known.

use std::sync::Arc;

use crate::domain::contract::Sealed;
use crate::domain::message::Digest;

/// The chain of one peer, a replay of the ledger.
#[derive(Debug, Default)]
pub(super) struct Chain {
    versions: Vec<Arc<Sealed>>,
    head: Option<Digest>,
}

impl Chain {
    /// Takes up what the ledger says.
    pub(super) fn new(versions: Vec<Arc<Sealed>>, head: Option<Digest>) -> Self {
        Self { versions, head }
    }

    /// The contract in force.
    pub(super) fn head(&self) -> Option<&Arc<Sealed>> {
        self.version(self.head?)
    }

    /// The head's hash, for compare-and-swap.
    pub(super) fn head_hash(&self) -> Option<Digest> {
        self.head
    }

    /// The version with this hash.
    pub(super) fn version(&self, hash: Digest) -> Option<&Arc<Sealed>> {
        self.versions.iter().find(|sealed| sealed.hash == hash)
    }

    /// Every version, newest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        self.versions.iter().rev()
    }

    /// The newest version with this number, or the one before the head.
    pub(super) fn target(&self, version: Option<&semver::Version>) -> Option<&Arc<Sealed>> {
        match version {
            Some(number) => self.versions.iter().rev().find(|sealed| sealed.version == *number),
            None => self.version(self.head()?.rollback.rollback_to?),
        }
    }

    /// The highest version number that was ever sealed.
    pub(super) fn highest(&self) -> Option<&Arc<Sealed>> {
        self.versions.iter().max_by(|a, b| a.version.cmp(&b.version))
    }

    /// Moves the head to a version, which joins the chain if it is new.
    pub(super) fn move_head(&mut self, to: Arc<Sealed>) {
        self.head = Some(to.hash);
        if self.version(to.hash).is_none() {
            self.versions.push(to);
        }
    }
}
