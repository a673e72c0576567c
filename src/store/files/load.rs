//! Opening: everything in the directory is checked as if a stranger had written it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::domain::evidence::{Head, Line, Record, write_line};
use crate::store::{State, StoreError};

use super::commit::Book;
use super::disk;
use super::scan::{
    Checkpoint, Copy, End, Layout, LedgerEnd, Met, Vouchers, copies, segments, walk_checkpoints,
    walk_ledger,
};
use super::trail::Noted;

/// Reads and checks the directory, cuts what an interrupted write left, and makes copies that are
/// missing. Returns what is true, and how many bytes were cut.
pub(super) fn load(layout: &Layout) -> Result<(Book, u64), StoreError> {
    prepare(layout)?;
    let (mut vouchers, noted) = checkpoints(layout)?;
    let newest = vouchers
        .newest()
        .ok_or_else(|| damaged(layout, &layout.checkpoint_file(), "it is empty"))?;
    let (state, missing, ledger) = ledger(layout, &newest, &mut vouchers)?;
    if noted.torn > 0 {
        disk::cut(&layout.checkpoint_file(), noted.whole)?;
    }
    let segment = layout.segment(ledger.segment);
    if ledger.end.torn > 0 {
        disk::cut(&segment, ledger.end.whole)?;
    }
    for copy in &missing {
        disk::write_whole(&layout.root.join(&copy.name), &copy.text)?;
    }
    let file =
        (ledger.segment > 0).then(|| disk::open_append(&segment).map(Arc::new)).transpose()?;
    let book = Book {
        state,
        head: ledger.end.head,
        segment: ledger.segment,
        bytes: ledger.end.whole,
        file,
        checkpoints: Arc::new(disk::open_append(&layout.checkpoint_file())?),
        checkpoint_head: noted.head,
        checkpoint_bytes: noted.whole,
        noted: Noted::up_to(noted.whole),
        durable: newest,
        syncing: false,
        epoch: 0,
        failed: None,
    };
    Ok((book, ledger.end.torn + noted.torn))
}

fn damaged(layout: &Layout, file: &Path, what: impl ToString) -> StoreError {
    StoreError::Damaged { file: layout.name(file), what: what.to_string() }
}

/// Makes the folders, and the first checkpoint before there is anything to vouch for, so that from
/// then on a directory without one has lost it.
fn prepare(layout: &Layout) -> Result<(), StoreError> {
    for folder in ["ledger", "checkpoints", "contracts", "routines"] {
        disk::make_dir(&layout.root.join(folder))?;
    }
    disk::sync_dir(&layout.root)?;
    let file = layout.checkpoint_file();
    if file.exists() {
        return Ok(());
    }
    let (segments, _) = segments(layout)?;
    if !segments.is_empty() {
        return Err(damaged(layout, &file, "it is missing, and there is a ledger to vouch for"));
    }
    let mut text = Vec::new();
    write_line(Head::default(), &Checkpoint::empty().text(), &mut text);
    disk::write_whole(&file, &text)
}

fn checkpoints(layout: &Layout) -> Result<(Vouchers, End), StoreError> {
    let (mut vouchers, mut wrong) = (Vouchers::default(), None);
    let end = walk_checkpoints(layout, &mut |met| match met {
        Ok(checkpoint) => vouchers.add(checkpoint),
        Err(fault) => {
            wrong.get_or_insert(fault);
        }
    })?;
    match wrong {
        Some(fault) => Err(damaged(layout, &layout.checkpoint_file(), fault)),
        None => Ok((vouchers, end)),
    }
}

fn ledger(
    layout: &Layout,
    newest: &Checkpoint,
    vouchers: &mut Vouchers,
) -> Result<(State, Vec<Copy>, LedgerEnd), StoreError> {
    let (mut state, mut missing, mut wrong) = (State::default(), Vec::new(), None);
    let found = walk_ledger(layout, newest, &mut |segment, met| {
        let checked = match met {
            Met::Fault(fault) => Err(fault.to_string()),
            Met::Line(line, end) => match vouchers.meet(&line, segment, end) {
                Some(what) => Err(what),
                None => replay(layout, &line, &mut state, &mut missing)
                    .map_err(|what| format!("record {}: {what}", line.seq)),
            },
        };
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(what) => {
                wrong = Some(damaged(layout, &layout.segment(segment), what));
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    match vouchers.missing_after(&found) {
        Some((segment, what)) => Err(damaged(layout, &layout.segment(segment), what)),
        None => Ok((state, missing, found)),
    }
}

/// Takes one good line into the state, and holds the copies that were made from it against it.
fn replay(
    layout: &Layout,
    line: &Line<'_>,
    state: &mut State,
    missing: &mut Vec<Copy>,
) -> Result<(), String> {
    for copy in copies(line.record)? {
        match std::fs::read(layout.root.join(&copy.name)) {
            Ok(text) if text == copy.text => {}
            Ok(_) => {
                let name = &copy.name;
                return Err(format!(
                    "{name} is not what this record holds; remove it, and it is made again"
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(copy),
            Err(error) => return Err(format!("{} cannot be read: {error}", copy.name)),
        }
    }
    let record = Record::read(line.record).map_err(|error| {
        format!("this version of Stipula cannot read it ({error}); use the one that wrote it, or a newer one")
    })?;
    if let Some(record) = record {
        state.admits(std::slice::from_ref(&record)).map_err(|error| error.to_string())?;
        state.apply(&record);
    }
    Ok(())
}
