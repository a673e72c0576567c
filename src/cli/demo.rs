//! `stipula demo`.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::arguments::{Demo, Scenario};
use super::failure::chain;
use super::render::{Screen, Tone, toned};
use super::{Answer, Failure, source, wait};
use crate::app::SystemClock;
use crate::demo::{self, Account, DemoError, Report};

pub(super) fn demo(options: &Demo, screen: &Screen) -> Result<Answer, Failure> {
    let clock = Arc::new(SystemClock::start());
    let mut tell = |line: &str| screen.note(toned(Tone::Quiet, line));
    let dir = options.dir.as_deref();
    match options.scenario {
        Scenario::Flights => {
            let report = played(demo::play(clock, &mut tell))?;
            write(dir, &report.artifacts())?;
            if Screen::is_shown() {
                show(&report, screen);
            }
            screen.text(&report.block());
            Ok(Answer::Yes)
        }
        Scenario::Consolidation => {
            let account = played(demo::play_consolidation(clock, &mut tell))?;
            write(dir, account.artifacts())?;
            Ok(told(&account, screen))
        }
        Scenario::Reshape => {
            let account = played(demo::play_reshape(clock, &mut tell))?;
            write(dir, account.artifacts())?;
            Ok(told(&account, screen))
        }
    }
}

fn played<T>(story: impl Future<Output = Result<T, DemoError>>) -> Result<T, Failure> {
    wait(story)?.map_err(|error| Failure::unreachable(chain(&error)))
}

/// Writes the artifacts where a directory is named.
fn write(dir: Option<&Path>, artifacts: &[(String, Value)]) -> Result<(), Failure> {
    let Some(dir) = dir else { return Ok(()) };
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::usage(format!("cannot make {}: {error}", dir.display())))?;
    for (name, content) in artifacts {
        let text = serde_json::to_string_pretty(content).unwrap_or_default();
        source::write(&dir.join(name), &format!("{text}\n"))?;
    }
    Ok(())
}

/// Tells an account; the answer is no where the story did not go as it should.
fn told(account: &Account, screen: &Screen) -> Answer {
    for line in account.text().lines() {
        let heads = !line.is_empty() && !line.starts_with(' ');
        screen.line(if heads { toned(Tone::Strong, line) } else { line.to_owned() });
    }
    for missed in account.missed() {
        screen.note(toned(Tone::Bad, format!("it did not go so: {missed}")));
    }
    if account.missed().is_empty() { Answer::Yes } else { Answer::No }
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
