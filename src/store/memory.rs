//! A store that forgets everything when the process ends: for tests and for a sidecar that is told
//! to leave nothing behind.

use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::evidence::Record;
use crate::domain::message::{Digest, PeerId};

use super::{Durability, State, Store, StoreError};

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Record>,
    state: State,
}

impl Inner {
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.state.admits(records)?;
        records.iter().for_each(|record| self.state.apply(record));
        self.records.extend_from_slice(records);
        Ok(())
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // A panic elsewhere cannot leave the two fields apart: both change after the last check.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&self, records: &[Record], _durability: Durability) -> Result<(), StoreError> {
        self.lock().append(records)
    }

    fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: &[Record],
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.state.admits_seal(peer, expected_head, records)?;
        inner.append(records)
    }

    fn state(&self) -> Result<State, StoreError> {
        Ok(self.lock().state.clone())
    }

    fn visit(&self, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), StoreError> {
        let _ = self.lock().records.iter().cloned().try_for_each(visit);
        Ok(())
    }

    fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        let records = &self.lock().records;
        Ok(records[records.len().saturating_sub(limit)..].to_vec())
    }
}
