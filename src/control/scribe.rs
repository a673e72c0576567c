//! Writes evidence: counted exchanges in batches, decisions at once and synced.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::evidence::{Cause, Record, RecordBody, RecordId};
use crate::domain::message::{Clock, Dice, Digest, PeerId};
use crate::store::{Durability, Store, StoreError};

/// Makes records and hands them to the store, off the task that decides.
#[derive(Clone)]
pub(super) struct Scribe {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    /// Records that may wait. Filled by [`Scribe::later`], emptied by [`Scribe::flush`].
    waiting: Arc<Mutex<Vec<Record>>>,
}

impl Scribe {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { store, clock, dice, waiting: Arc::default() }
    }

    /// A record made now.
    pub(super) fn record(&self, peer: &PeerId, body: RecordBody) -> Record {
        Record {
            id: RecordId(self.dice.uuid()),
            at: self.clock.now(),
            peer: Some(peer.clone()),
            body,
        }
    }

    /// The edge that says that one record led to another.
    pub(super) fn edge(&self, peer: &PeerId, from: RecordId, to: RecordId, cause: Cause) -> Record {
        self.record(peer, RecordBody::Edge { from, to, cause })
    }

    /// Leaves a record for the next batch.
    pub(super) fn later(&self, record: Record) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Writes what waits.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let batch = self.take();
        if batch.is_empty() {
            return Ok(());
        }
        self.off_task(move |store| store.append(&batch, Durability::Batched)).await
    }

    /// Writes records at once and returns when they are on disk, with what waited before them.
    pub(super) async fn now(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let mut batch = self.take();
        batch.extend(records);
        self.off_task(move |store| store.append(&batch, Durability::Synced)).await
    }

    /// Seals, or moves a head: returns when it is on disk.
    pub(super) async fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: Vec<Record>,
    ) -> Result<(), StoreError> {
        let (peer, before) = (peer.clone(), self.take());
        // One way to the disk and back for both: a heal waits for it.
        self.off_task(move |store| {
            if !before.is_empty() {
                store.append(&before, Durability::Batched)?;
            }
            store.seal(&peer, expected_head, &records)
        })
        .await
    }

    /// The newest records.
    pub(super) async fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.flush().await?;
        self.off_task(move |store| store.tail(limit)).await
    }

    fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn off_task<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(&*store)).await {
            Ok(done) => done,
            Err(stopped) => Err(StoreError::Io {
                doing: "writing evidence to",
                path: "the ledger".to_owned(),
                source: std::io::Error::other(stopped.to_string()),
            }),
        }
    }
}
