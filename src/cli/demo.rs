//! `stipula demo`.

use std::sync::Arc;

use super::arguments::Demo;
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source, wait};
use crate::app::SystemClock;
use crate::demo::{self, Report};

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
    if Screen::is_shown() {
        show(&report, screen);
    }
    screen.text(&report.block());
    Ok(Answer::Yes)
}

/// For a person at a terminal: the routine in sentences, and the scores as bars.
fn show(report: &Report, screen: &Screen) {
    screen.line("");
    screen.line(toned(Tone::Strong, "What carries the calls over"));
    for line in report.explained.lines() {
        screen.line(format!("  {line}"));
    }
    screen.line("");
    for phase in &report.phases {
        let tone = if phase.score >= 90.0 { Tone::Good } else { Tone::Warning };
        let bar = toned(tone, bar(phase.score));
        let calls = format!("{} of {} calls succeeded", phase.succeeded, phase.calls);
        screen.line(format!(
            "  {:<9}{bar} {:>6.2} {}  {calls}",
            phase.name, phase.score, phase.grade
        ));
    }
    screen.line("");
}

/// A score of 0 to 100 as a bar of 40 cells.
fn bar(score: f64) -> String {
    const CELLS: usize = 40;
    let full = (0..CELLS).take_while(|cell| (*cell as f64 + 0.5) * 2.5 <= score).count();
    format!("{}{}", "█".repeat(full), "░".repeat(CELLS - full))
}
