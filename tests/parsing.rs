//! The parsing suite that the field uses (nst/JSONTestSuite), read as pinned. The suite is not part of
//! the repository: it is taken from `../shared/reliability/data`, or from the archive that
//! `STIPULA_PARSING_SUITE` names; without either the test says so and passes.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use stipula::domain::json::{Limits, ParseFault, Tape};

/// Texts of the suite; one that was cut short shows here.
const TEXTS: usize = 318;

fn archive() -> Option<PathBuf> {
    let named = std::env::var_os("STIPULA_PARSING_SUITE").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reliability/data/json-parsing-suite.tar.gz");
    named.or_else(|| beside.exists().then_some(beside))
}

fn decisions() -> BTreeMap<&'static str, &'static str> {
    let text = include_str!("../fixtures/json/decisions.tsv");
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('\t')).collect()
}

#[test]
fn every_text_of_the_parsing_suite_is_read_or_refused_as_pinned() {
    let Some(archive) = archive() else {
        println!("skipped: STIPULA_PARSING_SUITE names no archive of the parsing suite");
        return;
    };
    let unpacked = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .args(["xzf".as_ref(), archive.as_os_str(), "-C".as_ref(), unpacked.path().as_os_str()])
        .status()
        .unwrap();
    assert!(status.success(), "tar could not unpack {}", archive.display());
    let decisions = decisions();
    let mut read = 0;
    for entry in std::fs::read_dir(unpacked.path().join("test_parsing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read(&path).unwrap();
        let mut tape = Tape::default();
        let fault = tape.read(&text, Limits::default()).err().map(|error| error.fault);
        let outcome = decisions.get(name.as_str()).copied();
        let outcome = outcome.unwrap_or_else(|| match name.as_bytes()[0] {
            b'y' => "accepted",
            b'n' => "refused",
            _ => panic!("{name} is not decided"),
        });
        let as_pinned = match outcome {
            "accepted" => fault.is_none(),
            "refused" => fault.is_some(),
            "duplicate key" => fault == Some(ParseFault::DuplicateKey),
            "not UTF-8" => fault == Some(ParseFault::Utf8),
            "not JSON" => fault == Some(ParseFault::Syntax),
            "too deep" => fault == Some(ParseFault::TooDeep),
            other => panic!("{other}"),
        };
        assert!(as_pinned, "{name} should be {outcome}: {fault:?}");
        read += 1;
    }
    assert_eq!(read, TEXTS);
}
