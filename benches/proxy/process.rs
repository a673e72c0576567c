//! The processes that are measured: started on a core, read through `/proc`, ended with the value.

use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::agent::Agent;

/// A child that listens.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: Option<SocketAddr>,
    pub(crate) spawned: Instant,
    /// From the start to the line that says it listens.
    pub(crate) ready: Duration,
    /// Removed with it.
    _state: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// The bare proxy.
    pub(crate) fn bare(peer: SocketAddr) -> Self {
        let mut command = pinned(1, std::env::current_exe().expect("the bench itself"));
        Self::start(command.args(["bare", &peer.to_string()]), None)
    }

    /// The sidecar in front of a peer.
    pub(crate) fn sidecar(peer: SocketAddr, seal: &str) -> Self {
        let built = env!("CARGO_BIN_EXE_stipula").into();
        let binary = std::env::var_os("STIPULA_BIN").map_or(built, PathBuf::from);
        let state = tempfile::tempdir().expect("a directory");
        let mut command = pinned(1, binary);
        command.args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--mode", "enforce", "--seal", seal]);
        command.args(["--peer", &format!("http://{peer}/mcp")]).arg("--state").arg(state.path());
        Self::start(&mut command, Some(state))
    }

    fn start(command: &mut Command, state: Option<tempfile::TempDir>) -> Self {
        let spawned = Instant::now();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut line, mut said) = (String::new(), String::new());
        let words = loop {
            line.clear();
            let read = told.read_line(&mut line).expect("lines");
            assert!(read > 0, "it ended before it listened:\n{said}");
            said.push_str(&line);
            if let Some(words) = line.trim().strip_prefix("listening ") {
                break words.to_owned();
            }
        };
        let ready = spawned.elapsed();
        // Who writes to a pipe that nobody reads stops at its end.
        std::thread::spawn(move || told.read_to_end(&mut Vec::new()));
        let named = |name: &str| {
            words.split(' ').find_map(|word| word.strip_prefix(name)?.parse::<SocketAddr>().ok())
        };
        let address = named("proxy=").expect("an address");
        Self { child, address, admin: named("admin="), spawned, ready, _state: state }
    }

    /// How many replies it found to have kept their promise.
    pub(crate) async fn kept(&self) -> u64 {
        let Some(admin) = self.admin else { return 0 };
        let metrics = Agent::new(admin).get("/metrics").await;
        let kept = metrics.lines().filter(|line| line.contains(r#"verdict="kept""#));
        kept.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }

    /// Resident memory, in MiB.
    pub(crate) fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.expect("its memory") / 1024.0
    }

    /// CPU nanoseconds so far: of all threads, and of those that do not serve.
    pub(crate) fn cpu(&self) -> (u64, u64) {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let (mut all, mut aside) = (0, 0);
        for thread in threads.expect("a running process").filter_map(Result::ok) {
            let read = |name: &str| std::fs::read_to_string(thread.path().join(name)).ok();
            // A thread may end while it is looked at.
            let (Some(name), Some(spent)) = (read("comm"), read("schedstat")) else { continue };
            let spent = spent.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            all += spent;
            if name.starts_with("control") {
                aside += spent;
            }
        }
        (all, aside)
    }
}

/// Keeps the load on a core.
pub(crate) fn pin_self(core: usize) {
    let id = std::process::id().to_string();
    // Without `taskset` nothing is pinned, and the figures are noisier.
    let mut command = Command::new("taskset");
    let _ = command.args(["-acp", &core.to_string(), &id]).stdout(Stdio::null()).status();
}

fn pinned(core: usize, program: PathBuf) -> Command {
    let cores = std::thread::available_parallelism;
    let works = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    if works.is_err() || cores().is_err() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Accepts on a free loopback port and says so, for ever, on one thread.
pub(crate) fn serve_each<F>(serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("listening proxy={address}\n").as_bytes(),
        )
        .expect("a parent that reads");
        loop {
            let (stream, _) = listener.accept().await.expect("connections");
            stream.set_nodelay(true).expect("a socket");
            tokio::task::spawn_local(serve(stream));
        }
    });
}
