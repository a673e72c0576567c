//! What the sidecar costs, measured as a whole: the real binary beside a bare hyper proxy, between
//! a load of ours and an MCP server of ours, all on loopback.
//!
//! ```text
//!   core 0: agent (load, compares every reply) ─► ... ─► peer (replies of any size)
//!   core 1:                      bare hyper · no contract · judged · judged and rewritten
//! ```
//!
//! Agent and peer are one thread that never sleeps: to wake somebody on another core costs the waker
//! several microseconds of its own CPU, and only a proxy that is slower than its load would pay it.
//!
//! The figure is CPU microseconds a request of the watched process, by the scheduler's account, and
//! its ratio to the bare proxy in the same round: an absolute time holds on one machine only.
//! `STIPULA_BENCH=smoke` is short and fails where a figure is absurd; `STIPULA_BIN` names another
//! binary than the one cargo built.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]
#![expect(clippy::print_stdout, reason = "its answer is a table for whoever started it")]
#![expect(clippy::disallowed_methods, reason = "measuring time is what it is for")]

mod agent;
mod bare;
mod peer;
mod process;
mod rounds;

use std::net::SocketAddr;
use std::time::Duration;

use agent::{Agent, KIB};
use peer::Peer;
use process::Process;
use rounds::{Target, median};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
struct Plan {
    sizes: &'static [usize],
    rounds: usize,
    window: Duration,
    starts: usize,
    many: usize,
    smoke: bool,
}

impl Plan {
    fn chosen() -> Self {
        match std::env::var("STIPULA_BENCH").as_deref() {
            Ok("smoke") => Self {
                sizes: &[1, 8],
                rounds: 3,
                window: Duration::from_millis(200),
                starts: 3,
                many: 200,
                smoke: true,
            },
            _ => Self {
                sizes: &[1, 8, 64, 1024],
                rounds: 9,
                window: Duration::from_millis(400),
                starts: 9,
                many: 10_000,
                smoke: false,
            },
        }
    }

    /// Holds a figure against what it cannot be unless something is broken.
    fn absurd(&self, what: &str, figure: f64, most: f64) {
        println!("  {what}: {figure:.2}");
        assert!(!self.smoke || figure < most, "{what} is {figure:.2}, expected less than {most}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str).unwrap_or_default();
    if argument(1) == "bare" {
        return bare::serve(argument(2).parse().expect("an address"));
    }
    // `cargo test` runs benches too, unoptimised: nothing to measure there.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    process::pin_self(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        // With something to do in each turn, the runtime looks for events and never waits for one.
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        measure(&Plan::chosen()).await;
    });
}

async fn measure(plan: &Plan) {
    memory_and_start(plan).await;
    ratios(plan).await;
    look_up(plan).await;
}

/// A sidecar before this peer; `sealed` waits until replies are judged.
async fn sidecar(peer: SocketAddr, sealed: bool) -> Process {
    let process = Process::sidecar(peer, if sealed { "first-use" } else { "manual" });
    let agent = Agent::new(process.address);
    agent.handshake().await;
    let until = std::time::Instant::now() + Duration::from_secs(120);
    while sealed && process.kept().await == 0 {
        agent.call(KIB).await;
        assert!(std::time::Instant::now() < until, "the peer was not sealed within 120 s");
    }
    process
}

/// A sidecar whose peer has renamed an argument, healed.
async fn healed(peer: SocketAddr) -> Process {
    let process = sidecar(peer, true).await;
    Agent::new(peer).change().await;
    let agent = Agent::new(process.address);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !agent.call(KIB).await {
        assert!(std::time::Instant::now() < until, "the renamed argument was not healed in 60 s");
    }
    process
}

async fn memory_and_start(plan: &Plan) {
    println!("start and memory (20 tools)");
    let peer = Peer::with(20).await;
    let (mut ready, mut first) = (Vec::new(), Vec::new());
    for _ in 0..plan.starts {
        let process = Process::sidecar(peer.address, "manual");
        ready.push(process.ready.as_secs_f64() * 1e3);
        Agent::new(process.address).handshake().await;
        first.push(process.spawned.elapsed().as_secs_f64() * 1e3);
    }
    plan.absurd("listening, ms after the start (bound 25)", median(&mut ready), 1000.0);
    plan.absurd("first answer, ms after the start", median(&mut first), 2000.0);
    let process = sidecar(peer.address, true).await;
    tokio::time::sleep(plan.window).await;
    plan.absurd("idle and sealed, MiB (bound 20)", process.resident(), 100.0);
    let target = Target::new("judged", process.address, Some(&process));
    rounds::load(&target, 8 * KIB, 64, plan.window).await;
    plan.absurd("after 64 connections at 8 KiB, MiB (bound 25)", process.resident(), 150.0);
}

async fn ratios(plan: &Plan) {
    let (peer, changing) = (Peer::with(20).await, Peer::with(20).await);
    let bare = Process::bare(peer.address);
    let free = sidecar(peer.address, false).await;
    let judged = sidecar(peer.address, true).await;
    let rewritten = healed(changing.address).await;
    let targets = [
        Target::new("direct", peer.address, None),
        Target::new("bare hyper", bare.address, Some(&bare)),
        Target::new("no contract", free.address, Some(&free)),
        Target::new("judged", judged.address, Some(&judged)),
        Target::new("judged, rewritten", rewritten.address, Some(&rewritten)),
    ];
    let (kept, passed) = (judged.kept().await, free.kept().await);
    for &kib in plan.sizes {
        let connections = if kib < 1024 { 16 } else { 4 };
        println!("replies of {kib} KiB, {connections} connections");
        let table =
            rounds::interleaved(&targets, kib * KIB, connections, plan.rounds, plan.window).await;
        table.print();
        let digest = rounds::digest_micros(kib * KIB);
        let evidence = digest + table.recording("judged");
        println!(
            "  evidence, us a call (bound 10 at 8 KiB): digest {digest:.1}, all {evidence:.1}"
        );
        plan.absurd("no contract, ratio (bound 1.10)", table.ratio("no contract", 0.0), 4.0);
        plan.absurd("judged with its evidence, ratio", table.ratio("judged", 0.0), 10.0);
        let bound = match kib {
            1 => 1.5,
            8 => 2.4,
            64 => 5.5,
            _ => 10.0,
        };
        let without = format!("judged, evidence taken off, ratio (bound {bound})");
        plan.absurd(&without, table.ratio("judged", evidence), 10.0);
    }
    assert!(judged.kept().await > kept, "nothing was judged");
    assert_eq!(free.kept().await, passed, "something was judged under no contract");
}

async fn look_up(plan: &Plan) {
    println!("judged at 1 KiB among 10 and {} tools", plan.many);
    let (few_peer, many_peer) = (Peer::with(10).await, Peer::with(plan.many).await);
    let few = sidecar(few_peer.address, true).await;
    let many = sidecar(many_peer.address, true).await;
    let targets = [
        Target::new("bare hyper", few.address, Some(&few)),
        Target::new("many tools", many.address, Some(&many)),
    ];
    let table = rounds::interleaved(&targets, KIB, 16, plan.rounds, plan.window).await;
    plan.absurd("many tools, ratio to few", table.ratio_on_path("many tools"), 2.0);
}
