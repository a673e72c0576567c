//! The commands, for people and for scripts.
//!
//! ```text
//!   arguments ─► clap ─► one file a command ─► app, domain, store, or the admin listener
//!                                └─► render ─► stdout (the answer), stderr (the rest) ─► 0, 1, 2, 3
//! ```
//!
//! Never here: a decision of its own; a byte printed outside of `render`; a credential in an
//! argument or an answer.

mod approvals;
mod arguments;
mod ask;
mod check_config;
mod client;
mod completions;
#[cfg(feature = "demo")]
mod demo;
mod diff;
mod evaluate;
mod explain;
mod failure;
mod ledger;
mod render;
mod rollback;
mod routine;
mod run;
mod sarif;
mod seal;
mod semantic;
mod source;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};
use self::failure::Failure;
use self::render::Screen;

/// What a command comes to: the answer is yes, or it is no.
enum Answer {
    Yes,
    No,
}

/// Reads the process's arguments, obeys them, and says how it went: 0 good, 1 the answer is no,
/// 2 usage or configuration, 3 could not be reached.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(arguments.json);
    let outcome = obey(arguments.command, &screen);
    match outcome {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => {
            screen.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn obey(command: Command, screen: &Screen) -> Result<Answer, Failure> {
    match command {
        Command::Run(options) => run::run(options, screen),
        Command::Seal(options) => seal::seal(options, screen),
        Command::Diff(options) => diff::diff(options, screen),
        Command::Evaluate(options) => evaluate::evaluate(&options, screen),
        Command::Verify(options) => verify::verify(&options, screen),
        Command::Explain(options) => explain::explain(&options, screen),
        Command::Routine(options) => routine::routine(options, screen),
        Command::Status(options) => ask::status(&options, screen),
        Command::WhatDrifted(options) => ask::what_drifted(&options, screen),
        Command::Why(options) => ask::why(&options, screen),
        Command::Approvals(options) => approvals::approvals(options, screen),
        Command::Rollback(options) => rollback::rollback(&options, screen),
        Command::Ledger(options) => ledger::ledger(options, screen),
        Command::CheckConfig(options) => check_config::check_config(options, screen),
        #[cfg(feature = "demo")]
        Command::Demo(options) => demo::demo(&options, screen),
        Command::Completions(options) => completions::completions(&options, screen),
    }
}

/// A runtime for a command that asks once and ends.
fn wait<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(work))
}
