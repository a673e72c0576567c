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
    /// Why the last write failed; `None` where it did not.
    fault: Arc<Mutex<Option<String>>>,
}

/// Records that wait for a store that cannot be written; more are lost, and that was told.
const MOST_WAITING: usize = 10_000;

impl Scribe {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { store, clock, dice, waiting: Arc::default(), fault: Arc::default() }
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
        self.written(batch, |store, batch| store.append(batch, Durability::Batched)).await
    }

    /// Writes records at once and returns when they are on disk, with what waited before them.
    pub(super) async fn now(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.written(self.take(), move |store, before| {
            let mut batch = before.to_vec();
            batch.extend(records);
            store.append(&batch, Durability::Synced)
        })
        .await
    }

    /// Seals, or moves a head: returns when it is on disk.
    pub(super) async fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: Vec<Record>,
    ) -> Result<(), StoreError> {
        let peer = peer.clone();
        // One way to the disk and back for both: a heal waits for it.
        self.written(self.take(), move |store, before| {
            if !before.is_empty() {
                store.append(before, Durability::Batched)?;
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

    /// Why the last write failed.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes, with what waited before it; that waits on where the system refused.
    async fn written(
        &self,
        before: Vec<Record>,
        write: impl FnOnce(&dyn Store, &[Record]) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let done = self
            .off_task(move |store| {
                let done = write(store, &before);
                Ok((done, before))
            })
            .await;
        let (done, before) = done?;
        let refused = match &done {
            Err(error @ StoreError::Io { source, .. }) => Some(format!("{error}: {source}")),
            Ok(()) | Err(_) => None,
        };
        if refused.is_some() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let since = std::mem::replace(&mut *waiting, before);
            waiting.extend(since);
            waiting.truncate(MOST_WAITING);
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        done
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
