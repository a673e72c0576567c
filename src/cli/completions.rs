//! `stipula completions`.

use clap::CommandFactory;

use super::arguments::{Arguments, Completions};
use super::render::Screen;
use super::{Answer, Failure};

pub(super) fn completions(options: &Completions, screen: &Screen) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "stipula", &mut script);
    screen.text(&String::from_utf8_lossy(&script));
    Ok(Answer::Yes)
}
