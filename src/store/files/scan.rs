//! Reading a state directory without changing it: the same walk for opening, verifying and showing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::evidence::{ChainFault, Head, Line, Walk, is_torn};
use crate::domain::json::canonical_digest;
use crate::domain::message::Digest;
use crate::store::StoreError;

use super::disk;

/// Where things lie in a state directory.
#[derive(Clone, Debug)]
pub(in crate::store) struct Layout {
    pub(in crate::store) root: PathBuf,
}

impl Layout {
    pub(in crate::store) fn of(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(in crate::store) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(in crate::store) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    pub(in crate::store) fn segment(&self, number: u64) -> PathBuf {
        self.ledger().join(numbered(number))
    }

    /// The one file of checkpoints.
    pub(in crate::store) fn checkpoint_file(&self) -> PathBuf {
        self.checkpoints().join(numbered(1))
    }

    /// A file as reports name it: relative to the state directory.
    pub(in crate::store) fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

pub(in crate::store) fn numbered(number: u64) -> String {
    format!("{number:08}.jsonl")
}

/// What a checkpoint says: the ledger holds this many records and ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Checkpoint {
    /// How many records there are.
    pub(in crate::store) records: u64,
    /// The hash of the newest.
    pub(in crate::store) head: Digest,
    /// The segment it stands in; 0 while there is none.
    pub(in crate::store) segment: u64,
    /// Where it ends in that segment.
    pub(in crate::store) bytes: u64,
}

impl Checkpoint {
    /// What it vouches for while there are no records.
    pub(in crate::store) fn empty() -> Self {
        Self { records: 0, head: Head::default().hash, segment: 0, bytes: 0 }
    }

    /// Bytes of this segment that were acknowledged, and so can be damaged but not torn.
    pub(in crate::store) fn vouches_for(&self, segment: u64) -> u64 {
        match segment.cmp(&self.segment) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.bytes,
            std::cmp::Ordering::Greater => 0,
        }
    }
}

/// How a file of lines ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct End {
    /// Bytes up to the end of the last line.
    pub(in crate::store) whole: u64,
    /// Bytes behind it that an interrupted write left.
    pub(in crate::store) torn: u64,
    /// The newest line of the chain.
    pub(in crate::store) head: Head,
}

/// What a walk meets.
pub(in crate::store) enum Met<'l> {
    /// A good line, and the byte behind its line feed.
    Line(Line<'l>, u64),
    /// What does not continue the chain.
    Fault(ChainFault),
}

/// Follows one file of lines. A piece at its end that begins at or behind `acknowledged` and looks
/// like an interrupted write is no fault, if the file is the `last` of its chain.
pub(in crate::store) fn walk_file(
    path: &Path,
    walk: &mut Walk,
    acknowledged: u64,
    last: bool,
    meet: &mut dyn FnMut(Met<'_>) -> ControlFlow<()>,
) -> Result<End, StoreError> {
    let bytes = std::fs::read(path).map_err(disk::io("reading", path))?;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (before, offset) = (walk.head(), at as u64);
        let (line, next) = match memchr::memchr(b'\n', rest) {
            Some(feed) => (&rest[..feed], at + feed + 1),
            None => (rest, bytes.len()),
        };
        let checked = walk.step(line, offset);
        // A line without its line feed was never finished, however good it looks.
        let unfinished = next == at + line.len();
        let met = match checked {
            Ok(line) if !unfinished => Met::Line(line, next as u64),
            _ if last && offset >= acknowledged && is_torn(before, rest) => {
                return Ok(End { whole: offset, torn: rest.len() as u64, head: before });
            }
            Ok(line) => Met::Fault(ChainFault {
                seq: line.seq,
                offset,
                expected: "a line feed behind the record".to_owned(),
                found: "the end of the file".to_owned(),
            }),
            Err(fault) => Met::Fault(fault),
        };
        at = next;
        if meet(met).is_break() {
            break;
        }
    }
    Ok(End { whole: at as u64, torn: 0, head: walk.head() })
}

/// Follows the file of checkpoints; its last line may be torn, for a seal is acknowledged only
/// after it.
pub(in crate::store) fn walk_checkpoints(
    layout: &Layout,
    meet: &mut dyn FnMut(Result<Checkpoint, ChainFault>),
) -> Result<End, StoreError> {
    walk_file(&layout.checkpoint_file(), &mut Walk::default(), 0, true, &mut |met| {
        meet(match met {
            Met::Fault(fault) => Err(fault),
            Met::Line(line, end) => serde_json::from_str(line.record).map_err(|error| ChainFault {
                seq: line.seq,
                offset: end.saturating_sub(line.text.len() as u64 + 1),
                expected: "a checkpoint".to_owned(),
                found: error.to_string(),
            }),
        });
        ControlFlow::Continue(())
    })
}

/// How the ledger ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct LedgerEnd {
    /// The newest segment; 0 where there is none.
    pub(in crate::store) segment: u64,
    /// How it ended.
    pub(in crate::store) end: End,
}

/// Follows all segments in order, from the first record on; `newest` says what was acknowledged.
pub(in crate::store) fn walk_ledger(
    layout: &Layout,
    newest: &Checkpoint,
    meet: &mut dyn FnMut(u64, Met<'_>) -> ControlFlow<()>,
) -> Result<LedgerEnd, StoreError> {
    let (numbers, _) = segments(layout)?;
    let (mut walk, mut found) = (Walk::default(), LedgerEnd::default());
    for number in &numbers {
        let (last, mut broke) = (Some(number) == numbers.last(), false);
        let acknowledged = newest.vouches_for(*number);
        let path = layout.segment(*number);
        let end = walk_file(&path, &mut walk, acknowledged, last, &mut |met| {
            let flow = meet(*number, met);
            broke = flow.is_break();
            flow
        })?;
        found = LedgerEnd { segment: *number, end };
        if broke {
            break;
        }
    }
    Ok(found)
}

/// What the checkpoints vouch for, held against the ledger while it is read.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Vouchers {
    open: BTreeMap<u64, Checkpoint>,
    newest: Option<Checkpoint>,
    count: u64,
}

impl Vouchers {
    pub(in crate::store) fn add(&mut self, checkpoint: Checkpoint) {
        self.open.insert(checkpoint.records, checkpoint);
        self.newest = Some(checkpoint);
        self.count += 1;
    }

    pub(in crate::store) fn newest(&self) -> Option<Checkpoint> {
        self.newest
    }

    pub(in crate::store) fn count(&self) -> u64 {
        self.count
    }

    /// Holds a good line, which ends at byte `end` of a segment, against its checkpoint.
    pub(in crate::store) fn meet(
        &mut self,
        line: &Line<'_>,
        segment: u64,
        end: u64,
    ) -> Option<String> {
        let checkpoint = self.open.remove(&line.seq)?;
        let seen = Checkpoint { records: line.seq, head: line.hash, segment, bytes: end };
        (seen != checkpoint).then(|| {
            let Checkpoint { head, segment, bytes, .. } = checkpoint;
            format!(
                "record {}: expected hash {head}, ending at byte {bytes} of segment {segment}, as its \
                 checkpoint says; found {} ending at byte {end}",
                line.seq, line.hash
            )
        })
    }

    /// What is missing when the ledger ends so: the segment it should stand in, and what to say.
    pub(in crate::store) fn missing_after(&self, found: &LedgerEnd) -> Option<(u64, String)> {
        let records = found.end.head.seq;
        let (vouched, checkpoint) = self.open.last_key_value()?;
        if *vouched <= records {
            return None;
        }
        let segment = checkpoint.segment.min(found.segment + 1);
        let first = records + 1;
        let what = format!(
            "record {first} is missing: a checkpoint vouches for {vouched} records, and the ledger \
             ends after {records}"
        );
        Some((segment, what))
    }
}

/// The numbers of the segments that are there, and the names that are none.
pub(in crate::store) fn segments(layout: &Layout) -> Result<(Vec<u64>, Vec<String>), StoreError> {
    let (mut numbers, mut strays) = (Vec::new(), Vec::new());
    for name in disk::names(&layout.ledger())? {
        match name.strip_suffix(".jsonl").and_then(|stem| stem.parse().ok()) {
            Some(number) if numbered(number) == name => numbers.push(number),
            _ => strays.push(name),
        }
    }
    numbers.sort_unstable();
    Ok((numbers, strays))
}

/// A file that is written from a `sealed` record: its name below the state directory and what it
/// holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Copy {
    pub(in crate::store) name: String,
    pub(in crate::store) text: Vec<u8>,
}

/// The files that belong to a record: the contract, and its routine where it has one. They hold the
/// very text of the record, so that whatever wrote it, they can be compared byte by byte.
pub(in crate::store) fn copies(record: &str) -> Result<Vec<Copy>, String> {
    #[derive(Deserialize)]
    struct Sealed<'r> {
        what: String,
        #[serde(borrow, default)]
        contract: Option<&'r RawValue>,
    }
    #[derive(Deserialize)]
    struct Contract<'r> {
        hash: Digest,
        #[serde(borrow, default)]
        routine: Option<&'r RawValue>,
    }
    let sealed: Sealed<'_> = serde_json::from_str(record).map_err(|error| error.to_string())?;
    let Some(text) = sealed.contract.filter(|_| sealed.what == "sealed") else {
        return Ok(Vec::new());
    };
    let contract: Contract<'_> =
        serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
    let copy = |folder: &str, hash: Digest, text: &RawValue| Copy {
        name: format!("{folder}/{}.json", hash.hex()),
        text: [text.get().as_bytes(), b"\n"].concat(),
    };
    let mut copies = vec![copy("contracts", contract.hash, text)];
    if let Some(routine) = contract.routine {
        let value = serde_json::from_str(routine.get()).map_err(|error| error.to_string())?;
        let hash = canonical_digest(&value).map_err(|error| error.to_string())?;
        copies.push(copy("routines", hash, routine));
    }
    Ok(copies)
}
