//! Contracts and records to keep, a clock and dice that repeat themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stipula::domain::contract::{Contract, Sealed, seal};
use stipula::domain::evidence::{Record, RecordBody, RecordId};
use stipula::domain::message::{Clock, Dice, Digest, PeerId, UnixMillis};
use stipula::store::{FileStore, Settings, StoreError};
use tempfile::TempDir;
use uuid::Uuid;

/// Counts instead of asking the system.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Clock for Counter {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000)
    }

    fn monotonic_micros(&self) -> u64 {
        0
    }
}

impl Dice for Counter {
    fn uuid(&self) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A directory in memory where there is one: what these tests ask survives there as on a disk.
pub(crate) fn scratch() -> TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { TempDir::new_in(shared) } else { TempDir::new() }.unwrap()
}

pub(crate) fn open(dir: &Path) -> Result<FileStore, StoreError> {
    open_with(dir, Settings::default().segment_bytes)
}

pub(crate) fn open_with(dir: &Path, segment_bytes: u64) -> Result<FileStore, StoreError> {
    let counter = Arc::new(Counter::default());
    let settings = Settings { dir: dir.to_owned(), segment_bytes };
    FileStore::open(&settings, Arc::clone(&counter) as Arc<dyn Clock>, counter)
}

pub(crate) fn peer() -> PeerId {
    PeerId::from("flights")
}

/// The `n`th contract; each has another hash.
pub(crate) fn contract(n: u64) -> Sealed {
    let draft = include_str!("../../fixtures/store/draft.json");
    let draft: Contract = serde_json::from_str(draft).unwrap();
    seal(Contract { contract_id: Uuid::from_u64_pair(1, n), ..draft }, None).unwrap()
}

pub(crate) fn record(id: u64, body: RecordBody) -> Record {
    let id = RecordId(Uuid::from_u64_pair(2, id));
    Record { id, at: UnixMillis(1_800_000_000_123), peer: Some(peer()), body }
}

pub(crate) fn note(id: u64) -> Record {
    let detail = format!("note {id}, \"quoted\"\nand more");
    record(id, RecordBody::Lifecycle { event: "noted".to_owned(), detail })
}

/// The records that seal the `n`th contract and move the head to it.
pub(crate) fn group(n: u64, from: Option<Digest>) -> Vec<Record> {
    let sealed = contract(n);
    let to = sealed.hash;
    vec![
        record(10 * n, RecordBody::Sealed { contract: sealed.shared() }),
        record(10 * n + 1, RecordBody::HeadMoved { from, to, why: "first-use".to_owned() }),
        note(10 * n + 2),
    ]
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
