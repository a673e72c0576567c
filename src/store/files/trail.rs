//! What follows an acknowledgement, on a thread of its own: the checkpoint is synced, and the files
//! that belong to the records are written. Nobody waits for either.
//!
//! Both can be lost with the process and nothing with them: the ledger was on the disk before, the
//! next start makes a missing copy from its record, and vouches for what it read.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

use super::disk;
use super::scan::{Copy, Layout};

/// Seals whose trail may be behind; the next one waits, so that memory stays bounded.
const BEHIND: usize = 64;

/// How much of the file of checkpoints is on the disk. One for each reading of the directory, so
/// that what an earlier one left behind says nothing about it.
#[derive(Debug)]
pub(super) struct Noted {
    bytes: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Noted {
    /// A file that is on the disk up to here.
    pub(super) fn up_to(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(bytes), failed: Mutex::default() })
    }

    /// Bytes that are on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Why a sync failed: nothing that was written behind [`Noted::bytes`] is to be believed.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn synced(&self, bytes: u64, result: std::io::Result<()>) {
        match result {
            Ok(()) => {
                self.bytes.fetch_max(bytes, Ordering::AcqRel);
            }
            Err(error) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(format!("syncing the checkpoints: {error}"));
            }
        }
    }
}

/// A checkpoint that was written: the file of checkpoints, and where it ends.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: Arc<File>,
    pub(super) bytes: u64,
    pub(super) noted: Arc<Noted>,
}

#[derive(Debug)]
enum Job {
    Sync(Written),
    Copies(Vec<Copy>),
    /// Answered when everything before it is done.
    Mark(SyncSender<()>),
}

/// The thread, and the way to it. Dropped, it does what is left and ends.
#[derive(Debug)]
pub(super) struct Trail {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Trail {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(super) fn start(layout: Layout) -> Result<Self, StoreError> {
        let (sender, jobs) = sync_channel(BEHIND);
        let root = layout.root.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || follow(&layout, &jobs))
            .map_err(disk::io("starting a thread for", &root))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    pub(super) fn sync(&self, written: Written) {
        self.tell(Job::Sync(written));
    }

    pub(super) fn copy(&self, copies: Vec<Copy>) {
        if !copies.is_empty() {
            self.tell(Job::Copies(copies));
        }
    }

    /// Returns when everything that was left to it is done.
    pub(super) fn catch_up(&self) {
        let (done, caught_up) = sync_channel(1);
        self.tell(Job::Mark(done));
        // A thread that is gone leaves nothing to wait for.
        let _ = caught_up.recv();
    }

    fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
        {
            tracing::warn!("the store's thread is gone; the next start makes what is missing");
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It stopped early; the next start makes what is missing.
            let _ = thread.join();
        }
    }
}

fn follow(layout: &Layout, jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            Job::Sync(Written { file, bytes, noted }) => noted.synced(bytes, file.sync_data()),
            Job::Copies(copies) => copies.iter().for_each(|copy| write(layout, copy)),
            // Who waited may have gone.
            Job::Mark(done) => drop(done.send(())),
        }
    }
}

fn write(layout: &Layout, copy: &Copy) {
    let path = layout.root.join(&copy.name);
    if let Err(error) = disk::write_whole(&path, &copy.text) {
        tracing::warn!(file = copy.name, %error, "not written; it is made at the next start");
    }
}
