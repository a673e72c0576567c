//! Runs what the README shows, in the order it is shown, with the binary that was built.
//!
//! A comment above a block says what it is: `test` (run it; `test: exit N` where it ends so),
//! `test: serve` (start it and wait until it says that it listens), `test: file NAME` (write it),
//! `test: peers` (run it beside what serves), `output` (each line stands in what the last block
//! printed, in this order; `…` stands for anything). What needs real peers runs where
//! `STIPULA_PEERS` names the directory they are installed in.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const README: &str = include_str!("../README.md");

/// A block of the README with the word above it.
struct Block {
    line: usize,
    word: &'static str,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    let mut word = None;
    let mut lines = README.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(said) = line.strip_prefix("<!-- ").and_then(|said| said.strip_suffix(" -->")) {
            word = Some(said);
        } else if line.starts_with("```") {
            let body: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = body.join("\n") + "\n";
            found.extend(word.take().map(|word| Block { line: at + 1, word, text }));
        }
    }
    found
}

/// A directory to work in, and how commands are started there.
struct Place {
    dir: tempfile::TempDir,
    path: String,
}

impl Place {
    fn new() -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_stipula"));
        let folder = binary.parent().unwrap().display();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
        Self { dir: tempfile::tempdir().unwrap(), path }
    }

    fn shell(&self, text: &str) -> Command {
        let text = text.replace("cargo run --release --", "stipula");
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &text]).current_dir(self.dir.path()).env("PATH", &self.path);
        command.env_remove("STIPULA_ADMIN").env_remove("STIPULA_ADMIN_TOKEN");
        command
    }

    fn run(&self, block: &Block, expected: i32) -> String {
        let output = self.shell(&block.text).output().unwrap();
        let Output { status, stdout, stderr } = output;
        let (stdout, stderr) =
            (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
        let line = block.line;
        assert_eq!(status.code(), Some(expected), "README.md:{line}\n{stdout}{stderr}");
        stdout
    }
}

/// Something that serves, with all that it started; ended when dropped.
struct Serving(Child);

impl Serving {
    fn start(place: &Place, block: &Block) -> Self {
        let text = format!("exec 2>&1\n{}", block.text);
        let mut command = place.shell(&text);
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let serving = Self(child);
        let (mut line, mut heard) = (String::new(), String::new());
        while !line.contains("listening") {
            line.clear();
            let read = said.read_line(&mut line).unwrap();
            heard.push_str(&line);
            assert!(read > 0, "README.md:{}: it ended and said {heard:?}", block.line);
        }
        // What it says from now on is taken, so that it never waits for a reader.
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["--", &group]).status();
        let _ = self.0.wait();
    }
}

/// Holds each line of `shown` to stand in what was printed, in this order.
fn hold(block: &Block, printed: &str) {
    let mut left = printed.lines();
    for shown in block.text.lines() {
        assert!(
            left.any(|line| fits(shown, line)),
            "README.md:{}: {shown:?} is not (or not here) in\n{printed}",
            block.line
        );
    }
}

/// Whether a line is as shown, where `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let Some((last, rest)) = parts.split_last() else { return false };
    let Some((first, middle)) = rest.split_first() else { return shown == line };
    let Some(mut left) = line.strip_prefix(*first) else { return false };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[test]
fn what_needs_no_server_works_as_shown() {
    let place = Place::new();
    let (mut printed, mut ran) = (None, 0);
    for block in blocks() {
        let expected = match block.word {
            "test" => Some(0),
            word => word.strip_prefix("test: exit ").map(|code| code.parse().unwrap()),
        };
        match (expected, printed.take()) {
            (Some(expected), _) => {
                printed = Some(place.run(&block, expected));
                ran += 1;
            }
            (None, Some(said)) if block.word == "output" => hold(&block, &said),
            (None, _) => {}
        }
    }
    assert!(ran >= 4, "only {ran} blocks were found");
}

#[test]
fn the_five_minutes_with_a_real_server_work_as_shown() {
    let Some(peers) = std::env::var_os("STIPULA_PEERS").map(PathBuf::from) else {
        println!("skipped: STIPULA_PEERS names no directory of real peers");
        return;
    };
    let (place, peers) = (Place::new(), peers.canonicalize().unwrap());
    for name in ["node_modules", ".venv"] {
        std::os::unix::fs::symlink(peers.join(name), place.dir.path().join(name)).unwrap();
    }
    let (mut serving, mut printed, mut ran) = (Vec::new(), None, 0);
    for block in blocks() {
        match (block.word, printed.take()) {
            ("test: serve", _) => serving.push(Serving::start(&place, &block)),
            ("test: peers", _) => {
                printed = Some(place.run(&block, 0));
                ran += 1;
            }
            ("output", Some(said)) => hold(&block, &said),
            (word, _) => {
                if let Some(name) = word.strip_prefix("test: file ") {
                    std::fs::write(place.dir.path().join(name), &block.text).unwrap();
                }
            }
        }
    }
    assert!(ran >= 2 && serving.len() == 2, "{ran} blocks ran beside {} servers", serving.len());
}

#[test]
fn every_document_that_is_linked_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let missing: Vec<&str> = links
        .filter(|link| !link.contains("://"))
        .filter(|link| !root.join(link.split('#').next().unwrap_or_default()).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    for (shown, line, expected) in [
        ("a … c", "a bbb c", true),
        ("… c", "a bbb c", true),
        ("a…", "a bbb c", true),
        ("a … d … c", "a bbb c", false),
        ("a", "a b", false),
        ("a b", "a b", true),
    ] {
        assert_eq!(fits(shown, line), expected, "{shown:?} {line:?}");
    }
}
