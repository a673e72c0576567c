//! Where a command reads from: files, standard input, peers.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::failure::{Failure, chain};
use super::wait;
use crate::app;
use crate::domain::contract::Surface;
use crate::domain::json::{Limits, Tape};

/// Whether a target is a peer's URL.
pub(super) fn is_url(target: &str) -> bool {
    target.starts_with("http://") || target.starts_with("https://")
}

/// Reads a surface from a file or from a peer.
pub(super) fn surface(target: &str) -> Result<Surface, Failure> {
    if is_url(target) {
        return peer(&app::Target::Url(target.to_owned()));
    }
    let value = value(Path::new(target))?;
    Surface::from_json(&value).map_err(|error| Failure::usage(format!("{target}: {error}")))
}

/// Asks a peer for every page of its surface.
pub(super) fn peer(target: &app::Target) -> Result<Surface, Failure> {
    wait(app::read_surface(target))?.map_err(|error| Failure::unreachable(chain(&error)))
}

/// Reads one strict JSON value: no key twice, nothing behind it.
pub(super) fn value(path: &Path) -> Result<Value, Failure> {
    parse(&path.display().to_string(), &bytes(path)?)
}

/// Reads one strict JSON value from a file, or from standard input for `-` and for nothing.
pub(super) fn value_or_stdin(path: Option<&Path>) -> Result<Value, Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => value(path),
        None => {
            let mut text = Vec::new();
            std::io::stdin()
                .read_to_end(&mut text)
                .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            parse("standard input", &text)
        }
    }
}

/// Reads a file whole.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// Writes a file whole.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

fn parse(name: &str, text: &[u8]) -> Result<Value, Failure> {
    Tape::default().read(text, Limits::default()).map_err(|error| {
        let (line, column) = place(text, error.offset);
        Failure::usage(format!("{name}:{line}:{column}: this is not strict JSON: {}", error.fault))
    })?;
    serde_json::from_slice(text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// Line and column of a byte, counted from 1.
fn place(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}
