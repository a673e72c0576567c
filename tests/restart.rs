//! Killed at any moment, a sidecar comes back to what it had acknowledged; what was tampered with is
//! named.

mod stage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, cli, soon};
use tokio::time::Instant;

/// Rounds at least, at most, and how long they may take once there are enough.
const ROUNDS: (u32, u32) = (20, 300);
const BUDGET: Duration = Duration::from_secs(45);
/// Agents that call while it is killed.
const AGENTS: usize = 4;
/// Flips a file of the state directory.
const FLIPS: usize = 4;

fn tools(argument: &str) -> Value {
    json!([{
        "name": "search_flights",
        "description": "Finds flights.",
        "inputSchema": {
            "type": "object",
            "properties": { (argument): { "type": "string", "description": "Where the flight starts." } },
            "required": [argument],
        },
        "outputSchema": {
            "type": "object",
            "properties": { "city": { "type": "string" } },
            "required": ["city"],
        },
        "annotations": { "readOnlyHint": true },
    }])
}

fn answers(argument: &'static str) -> impl Fn(&Asked) -> Answer + Send + Sync {
    move |asked| match asked.arguments.get(argument) {
        Some(city) => asked.result(&json!({ "city": city, "by": argument }).to_string()),
        None => asked.rejected(&format!("missing required property {argument}")),
    }
}

fn is_mine(said: &Said, city: &str) -> Result<(), String> {
    let structured = said.structured()?;
    if structured["city"] == city { Ok(()) } else { Err(format!("{city}: {structured}")) }
}

/// The peer answered to its new argument: the routine in force carried the call over.
fn is_carried(said: &Said) -> bool {
    said.structured().is_ok_and(|structured| structured["by"] == "fromCity")
}

/// Calls until the sidecar is gone; whether a call was carried over by then.
async fn call_until_gone(mut agent: Agent, name: usize) -> bool {
    let mut carried = false;
    for call in 0.. {
        let city = format!("{name}-{call}");
        let params = json!({ "name": "search_flights", "arguments": { "from_city": city } });
        let Ok(said) = agent.try_ask("tools/call", &params).await else { break };
        is_mine(&said, &city).unwrap();
        carried |= is_carried(&said);
    }
    carried
}

async fn verifies(state: &Path) -> (Option<i32>, String) {
    let output = cli(&["ledger", "verify", state.to_str().unwrap()]).await;
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

/// Seals, lets the peer change, kills amid the heal or soon after it, and comes back. Whether the
/// heal had been acknowledged.
async fn killed_and_back(dice: &mut StdRng, round: u32) -> bool {
    let peer = Peer::start(tools("from_city"), answers("from_city")).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut callers = Vec::new();
    for name in 0..AGENTS {
        let mut agent = Agent::connect(sidecar.proxy).await;
        let said = agent.call("search_flights", &json!({ "from_city": "Oslo" })).await;
        is_mine(&said, "Oslo").unwrap();
        callers.push(tokio::spawn(call_until_gone(agent, name)));
    }
    let (after, spin) = (dice.random_range(1..60_u64), dice.random_range(0..400_000_u32));
    peer.change(tools("fromCity"), answers("fromCity"));
    peer.asked(after).await;
    (0..spin).for_each(|n| {
        std::hint::black_box(n);
    });
    let told = sidecar.said();
    sidecar.kill().await;
    let mut acknowledged = told.iter().any(|line| line.contains("healed search_flights"));
    for caller in callers {
        acknowledged |= soon("an agent's end", caller).await.unwrap();
    }
    let (code, what) = verifies(state.path()).await;
    assert_eq!(code, Some(0), "round {round}: {what}");

    let rejected = peer.rejected();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let said = agent.call("search_flights", &json!({ "from_city": "Bergen" })).await;
    is_mine(&said, "Bergen").unwrap_or_else(|why| panic!("round {round}: {why}"));
    assert!(is_carried(&said), "round {round}: {said:?}");
    if acknowledged {
        assert_eq!(peer.rejected(), rejected, "round {round}: it was not in force at once");
    }
    // What is shown follows what is in force.
    sidecar.until("the healed version", |status| status["version"] == "1.1.0").await;
    sidecar.kill().await;
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_healed_is_in_force_after_a_kill_at_any_moment() {
    let mut dice = StdRng::seed_from_u64(20_261_121);
    let (started, mut rounds, mut acknowledged) = (Instant::now(), 0, 0);
    while rounds < ROUNDS.0 || (rounds < ROUNDS.1 && started.elapsed() < BUDGET) {
        acknowledged += u32::from(killed_and_back(&mut dice, rounds).await);
        rounds += 1;
    }
    println!("{rounds} kills, {acknowledged} after the heal was acknowledged");
    assert!(acknowledged > 0 && acknowledged < rounds, "{acknowledged} of {rounds}");
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_named() {
    let peer = Peer::start(tools("from_city"), answers("from_city")).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("search_flights", &json!({ "from_city": "Oslo" })).await;
    peer.change(tools("fromCity"), answers("fromCity"));
    agent.call("search_flights", &json!({ "from_city": "Oslo" })).await;
    sidecar.told("healed search_flights").await;
    sidecar.stop().await;
    assert_eq!(verifies(state.path()).await.0, Some(0));

    let mut dice = StdRng::seed_from_u64(7);
    let mut flipped = 0;
    for folder in ["ledger", "contracts", "routines", "checkpoints"] {
        let files = files_in(&state.path().join(folder));
        assert!(!files.is_empty(), "{folder}");
        for file in files {
            let name = file.strip_prefix(state.path()).unwrap().display().to_string();
            let whole = std::fs::read(&file).unwrap();
            for _ in 0..FLIPS {
                let at = dice.random_range(0..whole.len());
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << dice.random_range(0..8_u32);
                std::fs::write(&file, bytes).unwrap();
                let (code, told) = verifies(state.path()).await;
                assert_eq!(code, Some(1), "{name}, byte {at}: {told}");
                assert!(told.contains(&name), "{name}, byte {at}: {told}");
                flipped += 1;
            }
            std::fs::write(&file, whole).unwrap();
        }
    }
    assert_eq!(verifies(state.path()).await.0, Some(0));
    println!("{flipped} flips, each named");
}
