//! A peer that is a child process: one JSON message a line, both ways (MCP, stdio transport).

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};

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

impl Settings {
    /// This command with the shipped bounds: lines of 32 MiB, 3 s of grace.
    #[must_use]
    pub const fn of(command: Vec<OsString>) -> Self {
        Self { command, line_bytes: 32 * 1024 * 1024, grace: Duration::from_secs(3) }
    }
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
    /// A message of ours spans lines.
    #[error("a message must be one line")]
    NotALine,
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: Lines,
    grace: Duration,
}

/// What a child writes.
#[derive(Debug)]
struct Lines {
    pipe: ChildStdout,
    held: BytesMut,
    /// Bytes of `held` that hold no line end.
    scanned: usize,
    limit: usize,
    ended: bool,
}

impl Child {
    /// Starts it on the current runtime; its stderr goes to ours.
    ///
    /// # Errors
    /// [`StdioError::Spawn`].
    pub fn spawn(settings: &Settings) -> Result<Self, StdioError> {
        let mut words = settings.command.iter();
        let program = words.next().cloned().unwrap_or_default();
        let failed = |source| StdioError::Spawn { program: program.clone(), source };
        let mut process = Command::new(&program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(input), Some(pipe)) = pipes else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let limit = settings.line_bytes;
        let output = Lines { pipe, held: BytesMut::new(), scanned: 0, limit, ended: false };
        Ok(Self { process, input, output, grace: settings.grace })
    }

    /// Writes one message; it must not contain a line end. Reads meanwhile, so that a child which
    /// waits for its output to be read takes its input.
    ///
    /// # Errors
    /// See [`StdioError`]. A message that is dropped half-written breaks the child's input.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), StdioError> {
        if memchr::memchr2(b'\n', b'\r', message).is_some() {
            return Err(StdioError::NotALine);
        }
        let mut left = Buf::chain(message, &b"\n"[..]);
        while left.has_remaining() {
            tokio::select! {
                written = self.input.write_buf(&mut left) => {
                    if written? == 0 {
                        return Err(StdioError::Ended);
                    }
                }
                read = self.output.fill(), if self.output.has_room() => read?,
            }
        }
        Ok(self.input.flush().await?)
    }

    /// Reads the next message; blank lines are skipped. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn receive(&mut self) -> Result<Bytes, StdioError> {
        loop {
            while let Some(line) = self.output.take_line()? {
                if !line.trim_ascii().is_empty() {
                    return Ok(line);
                }
            }
            if self.output.ended {
                return Err(StdioError::Ended);
            }
            self.output.fill().await?;
        }
    }

    /// Closes its input, waits, then TERM, waits, then KILL.
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn shutdown(self) -> Result<(), StdioError> {
        let Self { mut process, input, mut output, grace } = self;
        drop(input);
        // A child must not wait for us to read what it still has to say.
        let draining = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut output.pipe, &mut tokio::io::sink()).await;
        });
        let ended = end(&mut process, grace).await;
        draining.abort();
        Ok(ended?)
    }
}

async fn end(process: &mut tokio::process::Child, grace: Duration) -> std::io::Result<()> {
    if let Ok(ended) = tokio::time::timeout(grace, process.wait()).await {
        return ended.map(drop);
    }
    let pid = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
        && let Ok(ended) = tokio::time::timeout(grace, process.wait()).await
    {
        return ended.map(drop);
    }
    process.kill().await
}

impl Lines {
    /// Whether more may be held than one line.
    fn has_room(&self) -> bool {
        !self.ended && self.held.len() <= self.limit
    }

    async fn fill(&mut self) -> Result<(), StdioError> {
        self.held.reserve(8 * 1024);
        self.ended = self.pipe.read_buf(&mut self.held).await? == 0;
        Ok(())
    }

    fn take_line(&mut self) -> Result<Option<Bytes>, StdioError> {
        let Some(found) = memchr::memchr(b'\n', &self.held[self.scanned..]) else {
            self.scanned = self.held.len();
            let limit = self.limit;
            return if self.scanned > limit {
                Err(StdioError::LineTooLong { limit })
            } else {
                Ok(None)
            };
        };
        let mut line = self.held.split_to(self.scanned + found + 1);
        self.scanned = 0;
        line.truncate(line.len() - 1);
        Ok(Some(line.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Settings {
        let command = ["sh", "-c", script].map(OsString::from).to_vec();
        Settings { line_bytes: 1 << 20, grace: Duration::from_millis(200), ..Settings::of(command) }
    }

    #[tokio::test]
    async fn lines_go_both_ways_however_large() {
        let mut child = Child::spawn(&shell("cat")).unwrap();
        for length in [1, 500_000] {
            let line = vec![b'x'; length];
            child.send(&line).await.unwrap();
            assert_eq!(child.receive().await.unwrap(), line);
        }
        child.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_child_that_ignores_its_input_and_term_is_killed() {
        let mut child =
            Child::spawn(&shell("trap '' TERM; echo up; while :; do sleep 1; done")).unwrap();
        assert_eq!(child.receive().await.unwrap(), "up");
        child.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_line_is_an_error() {
        let mut child = Child::spawn(&shell("head -c 2000000 /dev/zero")).unwrap();
        assert!(matches!(child.send(b"a\nb").await, Err(StdioError::NotALine)));
        assert!(matches!(child.receive().await, Err(StdioError::LineTooLong { .. })));
        let mut child = Child::spawn(&shell("printf '\\n\\nlast\\nunended'")).unwrap();
        assert_eq!(child.receive().await.unwrap(), "last");
        assert!(matches!(child.receive().await, Err(StdioError::Ended)));
        let missing = Child::spawn(&Settings::of(vec!["/nonexistent/program".into()]));
        assert!(matches!(missing, Err(StdioError::Spawn { .. })));
    }
}
