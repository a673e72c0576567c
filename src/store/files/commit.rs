//! Writing: one write a batch, one sync for all who wait for one. The checkpoint is written behind
//! the sync and synced in turn, on the trail: what it vouches for is on the disk by then.
//!
//! ```text
//!   append A ─ write ─┐                        ┌─ A returns
//!   append B ─ write ─┼─ one waits on the disk ┼─ B returns
//!   append C ── write ┘ (C was too late:       └─ C leads the next sync
//! ```

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::domain::evidence::{Head, Record, write_line};
use crate::domain::message::{Digest, PeerId};
use crate::store::{Durability, State, StoreError};

use super::scan::{Checkpoint, Copy, Layout, copies, segments};
use super::trail::{Noted, Written};
use super::{FileStore, disk, load};

/// Where the ledger stands: what was written, and how much of it is vouched for.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) state: State,
    pub(super) head: Head,
    pub(super) segment: u64,
    pub(super) bytes: u64,
    /// The newest segment; `None` until there is one.
    pub(super) file: Option<Arc<File>>,
    pub(super) checkpoints: Arc<File>,
    pub(super) checkpoint_head: Head,
    pub(super) checkpoint_bytes: u64,
    /// How much of the checkpoints is on the disk.
    pub(super) noted: Arc<Noted>,
    /// How far the ledger is on the disk: everything up to here was acknowledged.
    pub(super) durable: Checkpoint,
    /// Somebody waits on the disk.
    pub(super) syncing: bool,
    /// Grows with every failure: what was written under an older one is lost.
    pub(super) epoch: u64,
    /// Why nothing is written until the directory was read and checked again.
    pub(super) failed: Option<String>,
}

/// A batch as it is written.
struct Batch {
    records: Vec<Record>,
    text: Vec<u8>,
    head: Head,
    copies: Vec<Copy>,
}

impl Checkpoint {
    /// Its JSON text.
    pub(super) fn text(&self) -> Vec<u8> {
        let Self { records, head, segment, bytes } = self;
        format!(
            "{{\"records\":{records},\"head\":\"{head}\",\"segment\":{segment},\"bytes\":{bytes}}}"
        )
        .into_bytes()
    }
}

impl Book {
    /// Writes the records out and reads them back: what could not be read at the next start is not
    /// written at all.
    fn batch(&self, records: &[Record]) -> Result<Batch, StoreError> {
        let mut batch =
            Batch { records: Vec::new(), text: Vec::new(), head: self.head, copies: Vec::new() };
        let mut read = Vec::new();
        for record in records {
            let unfit = |what: String| StoreError::Unfit { record: record.id.0.to_string(), what };
            let text = serde_json::to_string(record).map_err(|error| unfit(error.to_string()))?;
            read.extend(Record::read(&text).map_err(|error| unfit(error.to_string()))?);
            batch.copies.extend(copies(&text).map_err(unfit)?);
            batch.head = write_line(batch.head, text.as_bytes(), &mut batch.text);
        }
        self.state.admits(&read)?;
        // What was read back is what was handed in, and that is not held twice.
        batch.records.extend_from_slice(records);
        Ok(batch)
    }

    fn write(
        &mut self,
        layout: &Layout,
        segment_bytes: u64,
        text: &[u8],
    ) -> Result<(), StoreError> {
        let length = text.len() as u64;
        let path = layout.segment(self.segment);
        match &self.file {
            Some(file) if self.bytes + length <= segment_bytes => {
                let (mut writer, bytes) = (file.as_ref(), self.bytes);
                if let Err(error) = writer.write_all(text) {
                    // Half a batch must not stand in front of the next one.
                    if file.set_len(bytes).is_err() {
                        self.fail(&error);
                    }
                    return Err(disk::io("writing", &path)(error));
                }
                self.bytes += length;
                Ok(())
            }
            _ => self.roll(layout, text).inspect_err(|error| self.fail(error)),
        }
    }

    /// Begins a segment with this batch; it has its name only once it is whole.
    fn roll(&mut self, layout: &Layout, text: &[u8]) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.sync_data().map_err(disk::io("syncing", &layout.segment(self.segment)))?;
        }
        let path = layout.segment(self.segment + 1);
        disk::write_whole(&path, text)?;
        self.file = Some(Arc::new(disk::open_append(&path)?));
        self.segment += 1;
        self.bytes = text.len() as u64;
        Ok(())
    }

    /// Writes the checkpoint of what is on the disk now.
    fn vouch(&mut self, layout: &Layout, target: Checkpoint) -> Result<Written, StoreError> {
        let mut line = Vec::new();
        let head = write_line(self.checkpoint_head, &target.text(), &mut line);
        let mut file = self.checkpoints.as_ref();
        file.write_all(&line).map_err(disk::io("writing", &layout.checkpoint_file()))?;
        self.checkpoint_head = head;
        self.checkpoint_bytes += line.len() as u64;
        self.durable = target;
        Ok(Written {
            file: Arc::clone(&self.checkpoints),
            bytes: self.checkpoint_bytes,
            noted: Arc::clone(&self.noted),
        })
    }

    fn fail(&mut self, why: &dyn std::fmt::Display) {
        self.epoch += 1;
        self.failed = Some(why.to_string());
    }

    /// Cuts everything that is not known to be on the disk: after a failed sync, what the system
    /// shows of it may never have reached it. Returns how many bytes of the ledger that were; a
    /// checkpoint that is cut is made again.
    fn cut_back(&self, layout: &Layout) -> Result<u64, StoreError> {
        cut_to(&layout.checkpoint_file(), self.noted.bytes())?;
        let mut lost = 0;
        let (numbers, _) = segments(layout)?;
        for number in numbers.into_iter().rev() {
            let path = layout.segment(number);
            if number > self.durable.segment {
                lost += path.metadata().map_err(disk::io("reading", &path))?.len();
                std::fs::remove_file(&path).map_err(disk::io("removing", &path))?;
            } else if number == self.durable.segment {
                lost += cut_to(&path, self.durable.bytes)?;
            }
        }
        disk::sync_dir(&layout.ledger())?;
        Ok(lost)
    }
}

fn cut_to(path: &Path, length: u64) -> Result<u64, StoreError> {
    let found = path.metadata().map_err(disk::io("reading", path))?.len();
    if found > length {
        disk::cut(path, length)?;
    }
    Ok(found.saturating_sub(length))
}

impl FileStore {
    pub(super) fn lock_book(&self) -> MutexGuard<'_, Book> {
        // A panic while the book was held may have left it between two steps: read it again.
        self.book.lock().unwrap_or_else(|poisoned| {
            let mut book = PoisonError::into_inner(poisoned);
            book.fail(&"a thread stopped while it wrote");
            self.book.clear_poison();
            book
        })
    }

    /// Appends a batch, after `seal`'s check where it is one.
    pub(super) fn write(
        &self,
        records: &[Record],
        durability: Durability,
        seal: Option<(&PeerId, Option<Digest>)>,
    ) -> Result<(), StoreError> {
        let mut book = self.usable()?;
        if let Some((peer, expected)) = seal {
            book.state.admits_seal(peer, expected, records)?;
        }
        let batch = book.batch(records)?;
        if batch.text.is_empty() {
            return Ok(());
        }
        book.write(&self.layout, self.segment_bytes, &batch.text)?;
        book.head = batch.head;
        batch.records.iter().for_each(|record| book.state.apply(record));
        if durability == Durability::Batched && batch.copies.is_empty() {
            return Ok(());
        }
        self.settle(book, batch.head.seq)?;
        self.trail.copy(batch.copies);
        Ok(())
    }

    /// Returns once the record of this number is on the disk and a checkpoint that vouches for it is
    /// written.
    pub(super) fn settle<'s>(
        &'s self,
        mut book: MutexGuard<'s, Book>,
        seq: u64,
    ) -> Result<(), StoreError> {
        let epoch = book.epoch;
        loop {
            if book.epoch != epoch {
                return Err(self.lost(&book));
            }
            if book.durable.records >= seq {
                return Ok(());
            }
            if book.syncing {
                book = self.synced.wait(book).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            book.syncing = true;
            let target = Checkpoint {
                records: book.head.seq,
                head: book.head.hash,
                segment: book.segment,
                bytes: book.bytes,
            };
            let ledger = book.file.clone();
            drop(book);
            let synced = ledger.as_deref().map_or(Ok(()), File::sync_data);
            book = self.lock_book();
            book.syncing = false;
            self.synced.notify_all();
            let same = book.epoch == epoch;
            let vouched = synced
                .map_err(disk::io("syncing", &self.layout.ledger()))
                .and_then(|()| same.then(|| book.vouch(&self.layout, target)).transpose());
            match vouched {
                Ok(written) => written.into_iter().for_each(|written| self.trail.sync(written)),
                Err(error) => {
                    book.fail(&error);
                    // At once, so that a process that starts next does not believe what it sees;
                    // tried again before anything is written.
                    let _ = book.cut_back(&self.layout);
                    return Err(error);
                }
            }
        }
    }

    /// The book, after the directory was read and checked again where a write had failed.
    fn usable(&self) -> Result<MutexGuard<'_, Book>, StoreError> {
        let mut book = self.lock_book();
        if let (None, Some(why)) = (&book.failed, book.noted.failure()) {
            book.fail(&why);
        }
        while book.failed.is_some() && book.syncing {
            book = self.synced.wait(book).unwrap_or_else(PoisonError::into_inner);
        }
        if book.failed.is_none() {
            return Ok(book);
        }
        // The copies are read and made below; two must not write one file.
        self.trail.catch_up();
        let cut = book.cut_back(&self.layout)?;
        let (epoch, durable) = (book.epoch, book.durable);
        let (read, torn) = load::load(&self.layout)?;
        if (read.head.seq, read.head.hash) != (durable.records, durable.head) {
            let file = self.layout.name(&self.layout.segment(read.segment));
            let what = format!(
                "it ends after record {}, and {} were acknowledged",
                read.head.seq, durable.records
            );
            return Err(StoreError::Damaged { file, what });
        }
        // The newest checkpoint may be older than what was acknowledged, and is cut back to no more.
        *book = Book { epoch, durable, ..read };
        let recovered = book.batch(&[self.recovered(cut + torn)])?;
        book.write(&self.layout, self.segment_bytes, &recovered.text)?;
        book.head = recovered.head;
        Ok(book)
    }

    fn lost(&self, book: &Book) -> StoreError {
        let why = book.failed.clone().unwrap_or_else(|| "an earlier write failed".to_owned());
        disk::io("syncing", &self.layout.ledger())(std::io::Error::other(why))
    }
}
