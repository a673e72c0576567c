//! What only files can suffer.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use stipula::domain::evidence::RecordBody;
use stipula::store::{Durability, Store as _, StoreError, verify};
use tempfile::TempDir;

use crate::fixture::{contract, copy_dir, group, note, open, open_with, peer, scratch};

/// A directory in which everything was acknowledged, in two segments.
fn acknowledged() -> TempDir {
    let dir = scratch();
    let store = open_with(dir.path(), 4000).unwrap();
    store.seal(&peer(), None, &group(1, None)).unwrap();
    let first = contract(1).hash;
    store.append(&[note(8), note(9)], Durability::Batched).unwrap();
    store.seal(&peer(), Some(first), &group(2, Some(first))).unwrap();
    dir
}

/// Every file that evidence rests on, by its name below the directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["ledger", "checkpoints", "contracts", "routines"] {
        for entry in fs::read_dir(dir.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// The number that a line says it has.
fn numbered(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("{\"seq\":")?;
    text.split(',').next()?.parse().ok()
}

#[test]
fn a_directory_as_it_was_written_is_good() {
    let dir = acknowledged();
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.faults, []);
    assert_eq!(report.notes, [] as [&str; 0]);
    assert_eq!((report.records, report.segments), (8, 2));
    assert_eq!((report.contracts, report.routines, report.checkpoints), (2, 1, 3));
}

#[test]
fn every_flipped_byte_is_named_with_its_file_and_record() {
    let dir = acknowledged();
    for (name, text) in files(dir.path()) {
        let chained = name.ends_with(".jsonl");
        let mut line_start = 0;
        for at in 0..text.len() {
            let mut flipped = text.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(dir.path().join(&name), &flipped).unwrap();
            let report = verify(dir.path()).unwrap();
            let record = chained.then(|| numbered(&text[line_start..])).flatten();
            let named = |fault: &stipula::store::Fault| {
                fault.file == name && (!chained || fault.record == record)
            };
            assert!(report.faults.iter().any(named), "byte {at} of {name}: {report:?}");
            if text[at] == b'\n' {
                line_start = at + 1;
            }
        }
        fs::write(dir.path().join(&name), &text).unwrap();
    }
    assert!(verify(dir.path()).unwrap().is_good());
}

#[test]
fn a_flipped_byte_stops_the_next_start_and_is_named() {
    let dir = acknowledged();
    for (name, text) in files(dir.path()) {
        for at in [0, text.len() / 3, text.len() / 2, text.len() - 1] {
            let mut flipped = text.clone();
            flipped[at] ^= 4;
            fs::write(dir.path().join(&name), &flipped).unwrap();
            let error = open(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            let said = error.to_string();
            let folder = name.split('/').next().unwrap();
            assert!(
                said.contains(folder) && said.contains("record"),
                "byte {at} of {name}: {said}"
            );
        }
        fs::write(dir.path().join(&name), &text).unwrap();
    }
    open(dir.path()).unwrap();
}

#[test]
fn a_missing_file_is_named_or_made_again() {
    let dir = acknowledged();
    for (name, text) in files(dir.path()) {
        fs::remove_file(dir.path().join(&name)).unwrap();
        let report = verify(dir.path()).unwrap();
        if name.ends_with(".jsonl") {
            assert!(report.faults.iter().any(|fault| fault.file == name), "{name}: {report:?}");
            assert!(matches!(open(dir.path()).unwrap_err(), StoreError::Damaged { .. }), "{name}");
            fs::write(dir.path().join(&name), &text).unwrap();
        } else {
            assert!(report.is_good() && report.notes[0].starts_with(&name), "{report:?}");
            open(dir.path()).unwrap();
            assert_eq!(fs::read(dir.path().join(&name)).unwrap(), text);
        }
    }
    assert!(verify(dir.path()).unwrap().is_good());
}

#[test]
fn a_file_that_no_record_names_is_seen() {
    let dir = acknowledged();
    for name in ["contracts/ab.json", "routines/ab.json", "ledger/x", "checkpoints/x"] {
        fs::write(dir.path().join(name), "{}").unwrap();
        let report = verify(dir.path()).unwrap();
        assert_eq!(report.faults[0].file, name);
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let stranger = contract(9);
    let name = format!("contracts/{}.json", stranger.hash.hex());
    fs::write(dir.path().join(&name), stranger.text()).unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.is_good() && report.notes[0].starts_with(&name), "{report:?}");
}

#[test]
fn a_ledger_cut_anywhere_below_its_checkpoint_is_damaged() {
    let dir = acknowledged();
    let name = "ledger/00000002.jsonl";
    let text = fs::read(dir.path().join(name)).unwrap();
    for length in 0..text.len() {
        fs::write(dir.path().join(name), &text[..length]).unwrap();
        let report = verify(dir.path()).unwrap();
        assert!(report.faults.iter().any(|fault| fault.file == name), "{length}: {report:?}");
        assert!(matches!(open(dir.path()), Err(StoreError::Damaged { .. })), "cut at {length}");
    }
}

#[test]
fn a_tail_behind_the_checkpoint_is_cut_at_any_length_and_the_loss_is_recorded() {
    let (dir, cut) = (acknowledged(), scratch());
    let store = open(dir.path()).unwrap();
    let name = "ledger/00000002.jsonl";
    let kept = fs::read(dir.path().join(name)).unwrap().len();
    store.append(&[note(70), note(71)], Durability::Batched).unwrap();
    let text = fs::read(dir.path().join(name)).unwrap();
    let feed = text[kept..].iter().position(|byte| *byte == b'\n').unwrap();
    for length in kept..=text.len() {
        let copy = cut.path().join(length.to_string());
        copy_dir(dir.path(), &copy);
        fs::write(copy.join(name), &text[..length]).unwrap();
        let whole = [kept, kept + feed + 1, text.len()];
        let torn = length - whole.into_iter().rfind(|border| *border <= length).unwrap();
        let report = verify(&copy).unwrap();
        assert!(report.is_good() && report.notes.is_empty() == (torn == 0), "{length}: {report:?}");
        let newest = open(&copy).unwrap().tail(1).unwrap().remove(0);
        let RecordBody::Lifecycle { event, detail } = newest.body else { panic!("{newest:?}") };
        assert_eq!(event == "recovered", torn > 0, "cut at {length}");
        assert!(torn == 0 || detail.starts_with(&format!("{torn} bytes ")), "{detail}");
        assert!(verify(&copy).unwrap().is_good());
    }
}

#[test]
fn a_checkpoint_that_was_never_finished_is_cut() {
    let dir = acknowledged();
    let path = dir.path().join("checkpoints/00000001.jsonl");
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 40]).unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.is_good() && report.notes.len() == 1, "{report:?}");
    let state = open(dir.path()).unwrap().state().unwrap();
    assert_eq!(state.head(&peer()), Some(contract(2).hash));
    assert!(verify(dir.path()).unwrap().is_good());
}

#[test]
fn a_second_opener_is_told_which_directory_is_taken() {
    let dir = scratch();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&dir.path().display().to_string()));
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn only_the_owner_can_read_the_state() {
    let dir = scratch();
    let root = dir.path().join("state");
    open(&root).unwrap().seal(&peer(), None, &group(1, None)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("ledger")), 0o700);
    for name in files(&root).keys() {
        assert_eq!(mode(&root.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_record_of_a_newer_version_is_verified_and_passed_over() {
    use stipula::domain::evidence::{Head, write_line};
    let dir = acknowledged();
    let path = dir.path().join("ledger/00000002.jsonl");
    let mut text = fs::read(&path).unwrap();
    let mut head = Head::default();
    stipula::store::lines(dir.path(), &mut |line| {
        head = Head { seq: line.seq, hash: line.hash };
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    write_line(head, br#"{"what":"dreamt","id":7}"#, &mut text);
    fs::write(&path, text).unwrap();
    let store = open(dir.path()).unwrap();
    store.append(&[note(90)], Durability::Synced).unwrap();
    assert_eq!(store.tail(1).unwrap(), [note(90)]);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.records, 10);
}

#[test]
fn after_a_failed_write_nothing_is_lost_that_was_acknowledged_and_the_store_goes_on() {
    let dir = scratch();
    let store = open_with(dir.path(), 600).unwrap();
    store.seal(&peer(), None, &group(1, None)).unwrap();
    // The next segment cannot be made while a folder has its name.
    let obstacle = dir.path().join("ledger/00000002.jsonl.tmp");
    fs::create_dir(&obstacle).unwrap();
    for _ in 0..2 {
        let error = store.append(&[note(50)], Durability::Synced).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    fs::remove_dir(&obstacle).unwrap();
    store.append(&[note(51)], Durability::Synced).unwrap();
    assert_eq!(store.state().unwrap().head(&peer()), Some(contract(1).hash));
    assert_eq!(store.tail(1).unwrap(), [note(51)]);
    drop(store);
    assert!(verify(dir.path()).unwrap().is_good());
    assert_eq!(open(dir.path()).unwrap().record(note(50).id).unwrap(), None);
}

#[test]
fn a_copy_that_cannot_be_written_does_not_undo_the_seal() {
    let dir = scratch();
    let store = open(dir.path()).unwrap();
    let file = dir.path().join(format!("contracts/{}.json", contract(1).hash.hex()));
    let obstacle = file.with_extension("json.tmp");
    fs::create_dir(&obstacle).unwrap();
    store.seal(&peer(), None, &group(1, None)).unwrap();
    assert!(!file.exists());
    drop(store);
    fs::remove_dir(&obstacle).unwrap();
    open(dir.path()).unwrap();
    assert!(file.exists());
}

#[test]
fn the_documented_script_verifies_what_was_written_and_finds_a_flip() {
    let page = include_str!("../../docs/ledger.md");
    let script =
        page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = acknowledged();
    let run = || Command::new("python3").args(["-c", script]).arg(dir.path()).output();
    let Ok(good) = run() else {
        // Without Python the page cannot be tried; verify itself is held by the tests above.
        return;
    };
    assert_eq!(String::from_utf8_lossy(&good.stdout), "8 records\n", "{good:?}");
    let path = dir.path().join("ledger/00000001.jsonl");
    let mut text = fs::read(&path).unwrap();
    text[500] ^= 1;
    fs::write(&path, &text).unwrap();
    assert!(!run().unwrap().status.success());
}
