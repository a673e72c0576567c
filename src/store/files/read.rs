//! Reading records back while the store is in use.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use crate::domain::evidence::{Line, Record, Walk};
use crate::store::StoreError;

use super::disk;
use super::scan::{Checkpoint, Layout, Met, segments, walk_ledger};

/// How much of a segment is read at first when only its end is asked for.
const SUFFIX: u64 = 256 * 1024;

/// Hands over every record, oldest first; the line that is being written right now is not there yet.
pub(super) fn visit(
    layout: &Layout,
    durable: &Checkpoint,
    visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut wrong = None;
    walk_ledger(layout, durable, &mut |segment, met| {
        let read = match met {
            Met::Fault(fault) => Err(fault.to_string()),
            Met::Line(line, _) => read(&line),
        };
        match read {
            Ok(record) => record.map_or(ControlFlow::Continue(()), &mut *visit),
            Err(what) => {
                let file = layout.name(&layout.segment(segment));
                wrong = Some(StoreError::Damaged { file, what });
                ControlFlow::Break(())
            }
        }
    })?;
    wrong.map_or(Ok(()), Err)
}

/// The newest records, newest last.
pub(super) fn tail(layout: &Layout, limit: usize) -> Result<Vec<Record>, StoreError> {
    let mut newest = Vec::new();
    let (numbers, _) = segments(layout)?;
    for number in numbers.into_iter().rev() {
        let wanted = limit - newest.len();
        let path = layout.segment(number);
        let text = last_lines(&path, wanted).map_err(disk::io("reading", &path))?;
        let found = records(&text)
            .map_err(|what| StoreError::Damaged { file: layout.name(&path), what })?;
        let older = found.len().saturating_sub(wanted);
        newest.splice(0..0, found.into_iter().skip(older));
        if newest.len() == limit {
            break;
        }
    }
    Ok(newest)
}

/// The end of a file with at least this many whole lines, or all of it.
fn last_lines(path: &Path, wanted: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut suffix, mut text) = (SUFFIX, Vec::new());
    loop {
        let start = length.saturating_sub(suffix);
        text.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(length - start).read_to_end(&mut text)?;
        if start == 0 {
            return Ok(text);
        }
        // The first line may have begun earlier.
        let whole = memchr::memchr_iter(b'\n', &text).count().saturating_sub(1);
        if whole >= wanted {
            let begin = memchr::memchr(b'\n', &text).map_or(0, |feed| feed + 1);
            return Ok(text.split_off(begin));
        }
        suffix = suffix.saturating_mul(2);
    }
}

fn records(text: &[u8]) -> Result<Vec<Record>, String> {
    let mut walk = Walk::anywhere();
    let mut found = Vec::new();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    // What has no line feed yet is being written right now.
    for line in lines.filter_map(|line| line.strip_suffix(b"\n")) {
        let line = walk.step(line, 0).map_err(|fault| fault.to_string())?;
        found.extend(read(&line)?);
    }
    Ok(found)
}

fn read(line: &Line<'_>) -> Result<Option<Record>, String> {
    Record::read(line.record).map_err(|error| format!("record {}: {error}", line.seq))
}
