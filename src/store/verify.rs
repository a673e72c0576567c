//! Verifying, showing and exporting a state directory, or a copy of one, without changing it and
//! without its lock.
//!
//! Works on bytes: a record of a kind that this version does not know is verified like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::domain::contract::Sealed;
use crate::domain::evidence::Line;
use crate::domain::json::canonical_digest;
use crate::domain::message::Digest;
use crate::domain::routine::RoutineDoc;

use super::StoreError;
use super::files::{
    Checkpoint, Layout, Met, Vouchers, copies, io, names, segments, walk_checkpoints, walk_ledger,
};

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Good records.
    pub records: u64,
    /// Segments of the ledger.
    pub segments: u64,
    /// Files of contracts.
    pub contracts: u64,
    /// Files of routines.
    pub routines: u64,
    /// Good checkpoints.
    pub checkpoints: u64,
    /// Hash of the newest record: kept elsewhere, it shows a ledger that was cut together with its
    /// checkpoints. `None` for an empty ledger.
    pub head: Option<Digest>,
    /// What is wrong; empty for a directory that is as it was written.
    pub faults: Vec<Fault>,
    /// What is not wrong and worth knowing: an unacknowledged tail, a copy that is not made yet.
    pub notes: Vec<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, relative to the state directory.
    pub file: String,
    /// The record's number in the ledger, or the line's in the checkpoints, where it is known.
    pub record: Option<u64>,
    /// What was expected, and what is there.
    pub what: String,
}

impl Report {
    /// Whether the directory is as it was written.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, file: impl Into<String>, record: Option<u64>, what: impl Into<String>) {
        self.faults.push(Fault { file: file.into(), record, what: what.into() });
    }
}

/// Verifies a state directory or a copy of one, of a sidecar running or not: every line of ledger
/// and checkpoints, the checkpoints against the ledger, every file of contracts and routines against
/// the record it was made from. All faults, not the first.
///
/// # Errors
/// Where the directory is none of ours or cannot be read.
pub fn verify(dir: &Path) -> Result<Report, StoreError> {
    let layout = ours(dir)?;
    let mut report = Report::default();
    // Everything that follows from the ledger is read before it, so that what a running sidecar
    // writes in between is not missed there.
    let mut vouchers = checkpoints(&layout, &mut report)?;
    let mut held = BTreeMap::new();
    for folder in ["contracts", "routines"] {
        hold(&layout, folder, &mut held, &mut report)?;
    }
    ledger(&layout, &mut vouchers, &mut held, &mut report)?;
    Ok(report)
}

/// Hands every good line of the ledger to `visit`, oldest first, until it breaks off: for showing
/// and exporting. What is not good is passed over; [`verify`] names it.
///
/// # Errors
/// Where the directory is none of ours or cannot be read.
pub fn lines(
    dir: &Path,
    visit: &mut dyn FnMut(&Line<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let layout = ours(dir)?;
    walk_ledger(&layout, &Checkpoint::empty(), &mut |_, met| match met {
        Met::Line(line, _) => visit(&line),
        Met::Fault(_) => ControlFlow::Continue(()),
    })?;
    Ok(())
}

fn ours(dir: &Path) -> Result<Layout, StoreError> {
    let layout = Layout::of(dir);
    let missing = |source| {
        let path = layout.ledger().display().to_string();
        StoreError::Io { doing: "opening the ledger of a state directory:", path, source }
    };
    std::fs::read_dir(layout.ledger()).map_err(missing)?;
    Ok(layout)
}

fn checkpoints(layout: &Layout, report: &mut Report) -> Result<Vouchers, StoreError> {
    let mut vouchers = Vouchers::default();
    let path = layout.checkpoint_file();
    let name = layout.name(&path);
    for stray in names(&layout.checkpoints())? {
        if !path.ends_with(&stray) {
            report.fault(format!("checkpoints/{stray}"), None, "no file of checkpoints");
        }
    }
    if !path.exists() {
        report.fault(name, None, "it is missing: nothing vouches for the ledger's end");
        return Ok(vouchers);
    }
    let end = walk_checkpoints(layout, &mut |met| match met {
        Ok(checkpoint) => vouchers.add(checkpoint),
        Err(fault) => report.fault(name.as_str(), Some(fault.seq), fault.to_string()),
    })?;
    if end.torn > 0 {
        let torn = end.torn;
        report
            .notes
            .push(format!("{name}: {torn} bytes of an unacknowledged checkpoint at its end"));
    }
    report.checkpoints = vouchers.count();
    if report.checkpoints == 0 && end.torn == 0 && report.is_good() {
        report.fault(name, None, "it is empty: nothing vouches for the ledger's end");
    }
    Ok(vouchers)
}

/// Reads the digests of the files that were made from records.
fn hold(
    layout: &Layout,
    folder: &str,
    held: &mut BTreeMap<String, Digest>,
    report: &mut Report,
) -> Result<(), StoreError> {
    for name in names(&layout.root.join(folder))? {
        let path = layout.root.join(folder).join(&name);
        let text = std::fs::read(&path).map_err(io("reading", &path))?;
        held.insert(format!("{folder}/{name}"), Digest::of(&text));
        match folder {
            "contracts" => report.contracts += 1,
            _ => report.routines += 1,
        }
    }
    Ok(())
}

fn ledger(
    layout: &Layout,
    vouchers: &mut Vouchers,
    held: &mut BTreeMap<String, Digest>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let (numbers, strays) = segments(layout)?;
    for stray in strays {
        report.fault(format!("ledger/{stray}"), None, "no segment of the ledger");
    }
    for (wanted, number) in (1..).zip(&numbers) {
        if wanted != *number {
            let file = layout.name(&layout.segment(wanted));
            report.fault(file, None, "the segment is missing");
            break;
        }
    }
    report.segments = numbers.len() as u64;
    let mut checked = BTreeSet::new();
    let newest = vouchers.newest().unwrap_or_else(Checkpoint::empty);
    let found = walk_ledger(layout, &newest, &mut |segment, met| {
        let file = || layout.name(&layout.segment(segment));
        match met {
            Met::Fault(fault) => report.fault(file(), Some(fault.seq), fault.to_string()),
            Met::Line(line, end) => {
                report.records += 1;
                if let Some(what) = vouchers.meet(&line, segment, end) {
                    report.fault(file(), Some(line.seq), what);
                }
                compare(&line, &file(), held, &mut checked, report);
            }
        }
        ControlFlow::Continue(())
    })?;
    let (end, name) = (found.end, layout.name(&layout.segment(found.segment.max(1))));
    report.head = (end.head.seq > 0).then_some(end.head.hash);
    if end.torn > 0 {
        report.notes.push(format!("{name}: {} bytes of an unacknowledged tail", end.torn));
    }
    if let Some((segment, what)) = vouchers.missing_after(&found) {
        let file = layout.name(&layout.segment(segment));
        report.fault(file, Some(end.head.seq.saturating_add(1)), what);
    }
    held.keys().try_for_each(|name| unsealed(layout, name, report))
}

/// A file that no good record names. One that is what its name says came into the directory after
/// the ledger was copied, or its record is named as damaged already; anything else is wrong.
fn unsealed(layout: &Layout, name: &str, report: &mut Report) -> Result<(), StoreError> {
    let path = layout.root.join(name);
    let text = std::fs::read(&path).map_err(io("reading", &path))?;
    let hash = if name.starts_with("contracts/") {
        Sealed::parse(&text).map(|contract| contract.hash).ok()
    } else {
        let routine: Option<RoutineDoc> = serde_json::from_slice(&text).ok();
        let value = routine.and_then(|routine| serde_json::to_value(routine).ok());
        value.and_then(|value| canonical_digest(&value).ok())
    };
    let stem = path.file_stem().unwrap_or_default();
    if hash.is_some_and(|hash| *stem == *hash.hex()) {
        report.notes.push(format!("{name}: no record here names it"));
    } else {
        report.fault(name, None, "no record names it, and it is not what its name says");
    }
    Ok(())
}

/// Holds the files that were made from a record against it.
fn compare(
    line: &Line<'_>,
    file: &str,
    held: &mut BTreeMap<String, Digest>,
    checked: &mut BTreeSet<String>,
    report: &mut Report,
) {
    let wanted = match copies(line.record) {
        Ok(wanted) => wanted,
        Err(what) => return report.fault(file, Some(line.seq), what),
    };
    for copy in wanted {
        if !checked.insert(copy.name.clone()) {
            continue;
        }
        match held.remove(&copy.name) {
            Some(digest) if digest == Digest::of(&copy.text) => {}
            Some(_) => {
                let what = "it is not what its record in the ledger holds; remove it, and the next \
                            start makes it again";
                report.fault(copy.name, Some(line.seq), what);
            }
            None => report.notes.push(format!("{}: missing; the next start makes it", copy.name)),
        }
    }
}
