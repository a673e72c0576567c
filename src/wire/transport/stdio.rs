//! A peer that is a child process: one JSON message a line, both ways.

use std::ffi::OsString;
use std::time::Duration;

use bytes::Bytes;

/// What to start, and its bounds. The command comes from the command line, never from traffic.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Longest line, in bytes.
    pub line_bytes: usize,
    /// How long the child may take to end after its input was closed, and again after TERM.
    pub grace: Duration,
}

/// What went wrong with a child.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// It could not be started.
    #[error("cannot start {program:?}: {source}")]
    Spawn {
        /// The program.
        program: OsString,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its input or output broke.
    #[error("the child's pipe broke: {0}")]
    Pipe(#[from] std::io::Error),
    /// It wrote a line that is too long.
    #[error("the child wrote a line longer than {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It closed its output.
    #[error("the child closed its output")]
    Ended,
}

/// A running child.
#[derive(Debug)]
pub struct Child {}

impl Child {
    /// Starts it; its stderr goes to ours.
    ///
    /// # Errors
    /// See [`StdioError`].
    pub fn spawn(settings: &Settings) -> Result<Self, StdioError> {
        let _ = settings;
        Ok(Self {})
    }

    /// Writes one message; it must not contain a line end.
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn send(&mut self, message: &[u8]) -> Result<(), StdioError> {
        let _ = message;
        Err(StdioError::Ended)
    }

    /// Reads the next message.
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn receive(&mut self) -> Result<Bytes, StdioError> {
        Err(StdioError::Ended)
    }

    /// Closes its input, waits, then TERM, then KILL (MCP, stdio shutdown).
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn shutdown(self) -> Result<(), StdioError> {
        Ok(())
    }
}
