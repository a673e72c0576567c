//! `stipula demo`.

use std::sync::Arc;

use super::arguments::Demo;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source, wait};
use crate::app::SystemClock;
use crate::demo;

pub(super) fn demo(options: &Demo, screen: &Screen) -> Result<Answer, Failure> {
    let clock = Arc::new(SystemClock::start());
    let mut tell = |line: &str| screen.note(toned(Tone::Quiet, line));
    let report =
        wait(demo::play(clock, &mut tell))?.map_err(|error| Failure::unreachable(chain(&error)))?;
    if let Some(dir) = &options.dir {
        std::fs::create_dir_all(dir)
            .map_err(|error| Failure::usage(format!("cannot make {}: {error}", dir.display())))?;
        for (name, content) in report.artifacts() {
            let text = serde_json::to_string_pretty(&content).unwrap_or_default();
            source::write(&dir.join(name), &format!("{text}\n"))?;
        }
    }
    screen.text(&report.block());
    Ok(Answer::Yes)
}
