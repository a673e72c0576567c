//! The state directory of one sidecar.
//!
//! ```text
//!   append ──► ledger/NNNNNNNN.jsonl ──► fdatasync ──► checkpoints/ ──► acknowledged
//!                 one write a batch   one for all who wait   │ written
//!   trail  ◄─────────────────────────────────────────────────┘
//!      └──► checkpoints/ synced; contracts/, routines/ written from the record, each whole
//!   open   ──► every line, checkpoint and copy is checked ──► State
//! ```
//!
//! Never here: a second sync on a descriptor that failed one; a file that has its name before it is
//! whole; a byte that was acknowledged and is cut or mended; an acknowledgement that waits for a
//! copy.

mod commit;
mod disk;
mod load;
mod read;
mod scan;
mod trail;

pub(super) use disk::{io, names};
pub(super) use scan::{
    Checkpoint, Layout, Met, Vouchers, copies, segments, walk_checkpoints, walk_ledger,
};

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};

use crate::domain::evidence::{Record, RecordBody, RecordId};
use crate::domain::message::{Clock, Dice, Digest, PeerId};

use super::{Durability, Settings, State, Store, StoreError};
use commit::Book;
use trail::Trail;

/// A state directory that this process owns.
#[derive(Debug)]
pub struct FileStore {
    layout: Layout,
    segment_bytes: u64,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    book: Mutex<Book>,
    synced: Condvar,
    trail: Trail,
    // Held for its lock; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl FileStore {
    /// Takes the directory, checks all that is in it, cuts a torn tail and says so in a record.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process owns it, [`StoreError::Damaged`] where something
    /// that had been acknowledged is not what was written.
    pub fn open(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Result<Self, StoreError> {
        let layout = Layout::of(&settings.dir);
        disk::make_dir(&layout.root)?;
        let lock = disk::lock(&layout.root)?;
        let (book, lost) = load::load(&layout)?;
        let trail = Trail::start(layout.clone())?;
        let store = Self {
            layout,
            segment_bytes: settings.segment_bytes,
            clock,
            dice,
            book: Mutex::new(book),
            synced: Condvar::new(),
            trail,
            _lock: lock,
        };
        if lost > 0 {
            store.append(&[store.recovered(lost)], Durability::Synced)?;
        }
        // Whatever is believed from here on is vouched for.
        let book = store.lock_book();
        let newest = book.head.seq;
        store.settle(book, newest)?;
        Ok(store)
    }

    /// The record that names what an interrupted write left behind.
    fn recovered(&self, lost: u64) -> Record {
        Record {
            id: RecordId(self.dice.uuid()),
            at: self.clock.now(),
            peer: None,
            body: RecordBody::Lifecycle {
                event: "recovered".to_owned(),
                detail: format!("{lost} bytes that had not been acknowledged were cut"),
            },
        }
    }
}

impl Store for FileStore {
    fn append(&self, records: &[Record], durability: Durability) -> Result<(), StoreError> {
        self.write(records, durability, None)
    }

    fn seal(
        &self,
        peer: &PeerId,
        expected_head: Option<Digest>,
        records: &[Record],
    ) -> Result<(), StoreError> {
        self.write(records, Durability::Synced, Some((peer, expected_head)))
    }

    fn state(&self) -> Result<State, StoreError> {
        Ok(self.lock_book().state.clone())
    }

    fn visit(&self, visit: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), StoreError> {
        let durable = self.lock_book().durable;
        read::visit(&self.layout, &durable, visit)
    }

    fn tail(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        read::tail(&self.layout, limit)
    }
}
