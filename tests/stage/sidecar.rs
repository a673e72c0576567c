//! The real binary as a child: its ready line, what it tells, what it answers, how much it holds.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{Peer, soon, text_of};

/// The name that the stage gives its peer.
const PEER: &str = "flights";

fn binary() -> PathBuf {
    let told = std::env::var_os("STIPULA_BIN").filter(|path| !path.is_empty());
    told.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_stipula")), PathBuf::from)
}

/// Runs a command of the binary to its end.
pub(crate) async fn cli(arguments: &[&str]) -> Output {
    let output = Command::new(binary()).args(arguments).kill_on_drop(true).output();
    soon("the end of a command", output).await.unwrap()
}

/// A sidecar that runs; it is killed when this is dropped.
pub(crate) struct Sidecar {
    child: Child,
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) state: PathBuf,
    lines: watch::Receiver<Vec<String>>,
    /// Lines up to here have been looked at.
    read: usize,
}

impl Sidecar {
    pub(crate) async fn start(peer: &Peer, state: &Path) -> Self {
        Self::start_with(peer, state, &[], &[]).await
    }

    /// With nothing but what a configuration file says of the peer, one line of YAML, beside its URL.
    pub(crate) async fn start_configured(peer: &Peer, state: &Path, more: &str) -> Self {
        let text = format!("peers: {{ {PEER}: {{ url: \"{}\", {more} }} }}\n", peer.url());
        Self::start_from(state, &text).await
    }

    /// That survives a write which the system refuses for its length ([`Sidecar::longest_file`]).
    pub(crate) async fn start_stubborn(peer: &Peer, state: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ && exec \"$0\" \"$@\""]).arg(binary());
        Self::start_as(command, peer, state, &[], &[]).await
    }

    /// Lets no file of it grow beyond this, as on a disk that is full; `None` for no bound.
    pub(crate) fn longest_file(&self, bytes: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
    }

    /// With nothing but this file of configuration.
    pub(crate) async fn start_from(state: &Path, text: &str) -> Self {
        let file = state.join("stipula.yaml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(binary());
        command.arg("run").arg("--config").arg(file);
        Self::run(command, state, &[], &[]).await
    }

    /// In front of whatever is at this URL.
    pub(crate) async fn start_at(url: &str, state: &Path) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--peer", &format!("{PEER}={url}")]);
        Self::run(command, state, &[], &[]).await
    }

    /// With more arguments, and variables.
    pub(crate) async fn start_with(
        peer: &Peer,
        state: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_as(Command::new(binary()), peer, state, arguments, variables).await
    }

    /// With no more file descriptors than this.
    pub(crate) async fn start_poor(peer: &Peer, state: &Path, descriptors: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        command.arg(binary());
        Self::start_as(command, peer, state, &[], &[]).await
    }

    async fn start_as(
        mut command: Command,
        peer: &Peer,
        state: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        command.args(["run", "--peer", &format!("{PEER}={}", peer.url())]);
        Self::run(command, state, arguments, variables).await
    }

    async fn run(
        mut command: Command,
        state: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--state".as_ref(), state.as_os_str()])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in variables {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        let told = child.stderr.take().unwrap();
        let (sender, lines) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut told = BufReader::new(told).lines();
            while let Ok(Some(line)) = told.next_line().await {
                sender.send_modify(|lines: &mut Vec<String>| lines.push(line));
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let state = state.to_owned();
        let mut sidecar = Self { child, proxy: nowhere, admin: nowhere, state, lines, read: 0 };
        let ready = sidecar.told("listening proxy=").await;
        let address = |name: &str| {
            let rest = ready.split(name).nth(1).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        (sidecar.proxy, sidecar.admin) = (address("proxy="), address("admin="));
        sidecar
    }

    /// The next line that holds these words; what stands before it is passed over.
    pub(crate) async fn told(&mut self, words: &str) -> String {
        let (lines, from) = (&mut self.lines, self.read);
        let found = |lines: &Vec<String>| {
            lines[from..].iter().position(|line| line.contains(words)).map(|at| from + at)
        };
        let waited = soon(words, lines.wait_for(|lines| found(lines).is_some())).await.map(|now| {
            let at = found(&now).unwrap();
            (at, now[at].clone())
        });
        let Ok((at, line)) = waited else {
            panic!("it ended without saying {words:?}: {:?}", self.lines.borrow())
        };
        self.read = at + 1;
        line
    }

    /// All that it told so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// A JSON answer of the admin listener.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let (status, text) = soon(path, text_of(self.admin, path)).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// How the peer stands.
    pub(crate) async fn status(&self) -> Value {
        self.ask("/api/v1/status").await["peers"][0].clone()
    }

    /// Asks how the peer stands until it is so.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        soon(what, async {
            loop {
                let status = self.status().await;
                if is(&status) {
                    return status;
                }
            }
        })
        .await
    }

    /// The drift events.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let told = self.ask("/api/v1/drift").await;
        told["events"].as_array().unwrap().iter().map(|told| told["event"].clone()).collect()
    }

    /// The value of a metric by its name and labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = soon("metrics", text_of(self.admin, "/metrics")).await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// A command that asks or tells this sidecar; its output must say that all is well.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Value {
        let admin = format!("http://{}", self.admin);
        let mut all = vec!["--json"];
        all.extend_from_slice(arguments);
        all.extend(["--admin", &admin]);
        let output = cli(&all).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{all:?}: {told}{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// As [`Sidecar::cli`], with what shows that we may decide.
    pub(crate) async fn decide(&self, arguments: &[&str]) -> Value {
        let state = self.state.to_str().unwrap();
        self.cli(&[arguments, &["--state", state]].concat()).await
    }

    /// The most memory it ever held, in MiB (`VmHWM`).
    pub(crate) fn most_held_mib(&self) -> u64 {
        self.memory_mib("VmHWM:")
    }

    /// The memory it holds now, in MiB (`VmRSS`).
    pub(crate) fn held_mib(&self) -> u64 {
        self.memory_mib("VmRSS:")
    }

    fn memory_mib(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Leaves it so many more file descriptors than it has open now.
    pub(crate) fn leave_descriptors(&self, more: u64) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id().unwrap()));
        let current = Some(open.unwrap().count() as u64 + more);
        let maximum = getrlimit(Resource::Nofile).maximum;
        prlimit(Some(self.pid()), Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Kills it at once, without a word.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.signal(Signal::TERM);
        self.ended().await;
    }

    /// Waits until it has stopped as it should.
    pub(crate) async fn ended(mut self) {
        let ended = soon("the end of the sidecar", self.child.wait()).await.unwrap();
        assert!(ended.success(), "{ended}");
    }
}
