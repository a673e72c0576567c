//! What is wrong with a configuration, shown where it stands.

use std::fmt;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// All that is wrong, in the order of the file.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// One thing that is wrong: what was expected, what came, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, in words.
    pub what: String,
}

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// Its name as it was given.
        file: String,
        /// Line, counted from 1; 0 where it is the file as a whole.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// The line's text.
        text: String,
    },
    /// In a flag of the command line.
    Flag(&'static str),
}

impl Fault {
    /// The fault and its place, without the text that stands there.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        match &self.place {
            Place::File { file, line, column, .. } if *line > 0 => {
                format!("{file}:{line}:{column}: {}", self.what)
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Flag(flag) => write!(f, "{flag}: {}", self.what),
            Place::File { file, line: 0, .. } => write!(f, "{file}: {}", self.what),
            Place::File { file, line, column, text } => {
                let margin = line.to_string().len();
                let caret = " ".repeat(column.saturating_sub(1));
                write!(
                    f,
                    "{file}:{line}:{column}: {}\n{line} | {text}\n{:margin$} | {caret}^",
                    self.what, ""
                )
            }
        }
    }
}
