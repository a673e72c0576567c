//! Killed at any moment, what was acknowledged is there. A program of its own: a fork in the middle
//! of another test would hold that test's lock for a moment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use stipula::domain::evidence::RecordBody;
use stipula::domain::message::Digest;
use stipula::store::{Durability, Store as _, verify};

#[path = "store/fixture.rs"]
#[expect(dead_code, reason = "shared with the store's tests, which need more of it")]
mod fixture;

use fixture::{contract, group, note, open_with, peer, record, scratch};

const DIR: &str = "STIPULA_TEST_KILL_DIR";
const ROUNDS: u64 = 100;
/// Small, so that kills also meet the birth of a segment.
const SEGMENT: u64 = 8000;

/// Seals and swaps until it is killed, and says what was acknowledged. Run by the test below.
#[test]
#[ignore = "the child of the_killed_lose_nothing; does nothing by itself"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = open_with(Path::new(&dir), SEGMENT).unwrap();
    let state = store.state().unwrap();
    let (mut head, mut n) = (state.head(&peer()), state.contracts.len() as u64 + 1);
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    loop {
        store.append(&[note(1_000_000 + n), note(2_000_000 + n)], Durability::Batched).unwrap();
        store.seal(&peer(), head, &group(n, head)).unwrap();
        writeln!(out, "acknowledged {}", contract(n).hash).unwrap();
        let now = contract(n).hash;
        if let Some(before) = head {
            // There and back again, as a rolling deploy does it.
            for (from, to) in [(now, before), (before, now)] {
                let why = "known-surface".to_owned();
                let moved = record(n, RecordBody::HeadMoved { from: Some(from), to, why });
                store.seal(&peer(), Some(from), &[moved]).unwrap();
            }
        }
        (head, n) = (Some(now), n + 1);
    }
}

#[test]
fn the_killed_lose_nothing_that_was_acknowledged() {
    let mut dice = StdRng::seed_from_u64(20_261_121);
    let mut dir = scratch();
    let mut acknowledged: Vec<Digest> = Vec::new();
    for round in 0..ROUNDS {
        if round % 10 == 0 {
            (dir, acknowledged) = (scratch(), Vec::new());
        }
        let (after, spin) = (dice.random_range(1..6_usize), dice.random_range(0..400_000_u32));
        acknowledged.extend(run_and_kill(dir.path(), after, spin));

        let store = open_with(dir.path(), SEGMENT).unwrap();
        let state = store.state().unwrap();
        for hash in &acknowledged {
            assert!(state.contract(*hash).is_some(), "round {round}: {hash} is lost");
            let file = dir.path().join(format!("contracts/{}.json", hash.hex()));
            assert!(file.exists(), "round {round}: {} is missing", file.display());
        }
        let head = state.head(&peer()).unwrap();
        assert!(state.contract(head).is_some(), "round {round}: the head {head} points at nothing");
        let report = verify(dir.path()).unwrap();
        assert!(report.is_good(), "round {round}: {report:?}");
    }
}

/// Runs the child until it has acknowledged so many seals, spins, kills it; returns all that it
/// acknowledged.
fn run_and_kill(dir: &Path, after: usize, spin: u32) -> Vec<Digest> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        let line = line.unwrap();
        let Some(hash) = line.strip_prefix("acknowledged ") else { continue };
        // The kill may fall into the middle of a line.
        acknowledged.extend(hash.parse::<Digest>());
        if acknowledged.len() == after {
            (0..spin).for_each(|n| {
                std::hint::black_box(n);
            });
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= after, "the child ended by itself: {acknowledged:?}");
    acknowledged
}
