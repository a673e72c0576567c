//! The one place that prints: answers to stdout, everything else to stderr, colours where a
//! terminal wants them (`NO_COLOR` and its kin are honoured).

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use super::failure::Failure;

/// Where a command's answer goes.
pub(super) struct Screen {
    json: bool,
}

/// How a piece of text is meant.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Strong,
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Tone {
    const fn style(self) -> Style {
        let plain = Style::new();
        match self {
            Self::Strong => plain.bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Quiet => plain.dimmed(),
        }
    }

    /// The tone of a severity's word.
    pub(super) fn of_severity(word: &str) -> Self {
        match word {
            "low" => Self::Quiet,
            "medium" => Self::Warning,
            _ => Self::Bad,
        }
    }
}

/// The text in its tone; whoever prints it strips what its reader does not want.
pub(super) fn toned(tone: Tone, text: impl std::fmt::Display) -> String {
    let style = tone.style();
    format!("{style}{text}{style:#}")
}

/// A stranger's text with what would not be seen on a screen, or would change how the rest is seen,
/// written out.
pub(super) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            seen.extend(c.escape_unicode());
        } else {
            seen.push(c);
        }
    }
    seen
}

impl Screen {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the answer is to be JSON.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// One line of the answer. A reader that is gone (`| head`) is no failure.
    pub(super) fn line(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Text of the answer as it stands.
    pub(super) fn text(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// The answer as JSON.
    pub(super) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.text(&format!("{text}\n"));
    }

    /// Says something beside the answer.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Says why there is no answer.
    pub(super) fn failure(&self, failure: &Failure) {
        if failure.text().is_empty() {
            return;
        }
        if self.json {
            self.json(&json!({ "error": failure.text(), "exit": failure.exit_code() }));
        } else {
            self.note(format!("{}: {}", toned(Tone::Bad, "error"), failure.text()));
        }
    }

    /// A table with aligned columns; the first row is its head.
    pub(super) fn table(&self, rows: &[Vec<String>]) {
        let columns = rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            let line = line.trim_end();
            self.line(if number == 0 { toned(Tone::Quiet, line) } else { line.to_owned() });
        }
    }

    /// Whether a person reads standard output on a terminal.
    #[cfg(feature = "demo")]
    pub(super) fn is_shown() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Whether a person reads stderr.
    pub(super) fn is_watched() -> bool {
        std::io::stderr().is_terminal()
    }

    /// Whether stderr wants colours.
    pub(super) fn wants_colours() -> bool {
        anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_seen_is_written_out() {
        let text = "a\u{1b}[2J\u{202e}b\u{200b}\u{e0041}é\u{9b}1m";
        assert_eq!(visible(text), r"a\u{1b}[2J\u{202e}b\u{200b}\u{e0041}é\u{9b}1m");
    }
}
