//! Everything goes wrong at once, and nothing is done twice, torn or forgotten.
//!
//! A peer answers late, breaks off before, in and after its replies, has bursts of 5xx and 401, restarts,
//! and is another release every second, while 64 clients call through the real binary, its configuration
//! is put in force anew, and the binary itself is asked to stop, and killed. What a call meets follows from
//! the seed and its number, and so does when what is broken.
//!
//! Held to be equal or bounded at the end, when no call is under way:
//! - each call that changes something ran once at most, by the peer's own count, over all lives of the
//!   sidecar; where it was told whether it ran (`executed`, or a reply), that is what the peer counted;
//! - each answer is whole and the call's own: its id, a text that only that call has, one reply a stream;
//! - in the last life, from its start to the last answer: calls that clients began = calls answered =
//!   `stipula_exchanges_total` of all verdicts = exchanges that the ledger counts +
//!   `stipula_observations_dropped_total` + `stipula_shed_total` = calls that the peer read by its own count +
//!   those that we refused and it never saw; and it read none more often than was attempted
//!   (`stipula_upstream_duration_seconds_count`). Lives that were killed take the counts of their last
//!   quarter of a second with them, and clients whose connection broke know nothing;
//! - memory in the last life: what it holds at the end is what it held in the middle;
//! - nothing that only fails, comes late or is called otherwise is taken for another meaning.
//!
//! `STIPULA_CHAOS_SECONDS` (18) says how long, `STIPULA_CHAOS_SEED` which run.

#[path = "chaos/client.rs"]
mod client;
#[path = "chaos/peer.rs"]
mod peer;
mod stage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::{Book, Crowd};
use peer::Peer;
use rustix::process::Signal;
use serde_json::Value;
use stage::{Sidecar, cli};
use tokio::time::Instant;

const CLIENTS: u64 = 64;

fn told(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// The state directory, the configuration in it, and the sidecar that runs now.
struct House {
    state: tempfile::TempDir,
    peer: std::net::SocketAddr,
}

impl House {
    /// Another configuration each time.
    fn text(&self, turn: u64) -> String {
        format!(
            "proxy: {{ heal_wait_ms: {} }}\nreload: {{ watch: false }}\n\
             resilience: {{ breaker: {{ open_ms: 100, longest_ms: 200 }} }}\npeers:\n  flights:\n    \
             url: \"http://{}/mcp\"\n    replay: {{ live: off }}\n",
            200 + turn % 2 * 100,
            self.peer
        )
    }

    fn configure(&self, turn: u64) {
        std::fs::write(self.state.path().join("stipula.yaml"), self.text(turn)).unwrap();
    }

    async fn start(&self) -> Sidecar {
        Sidecar::start_from(self.state.path(), &self.text(0)).await
    }
}

/// Exchanges that the ledger counts, by a copy-free read of a directory that nobody owns now.
async fn recorded(state: &Path) -> u64 {
    let output = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    if !output.status.success() {
        return 0;
    }
    let lines = String::from_utf8(output.stdout).unwrap();
    let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = entries.map(|entry| entry["record"].clone());
    records
        .filter(|record| record["what"] == "exchanges")
        .flat_map(|record| record["counts"].as_object().unwrap().clone())
        .flat_map(|(_, verdicts)| verdicts.as_object().unwrap().clone())
        .map(|(_, count)| count.as_u64().unwrap())
        .sum()
}

/// What all series of a family come to, of those that bear these words.
async fn sum(sidecar: &Sidecar, family: &str, words: &str) -> u64 {
    let (_, text) = stage::text_of(sidecar.admin, "/metrics").await;
    let values = text.lines().filter(|line| line.contains(words)).filter_map(|line| {
        let rest = line.strip_prefix(family)?;
        let value =
            if rest.starts_with('{') { rest.split_once("} ")?.1 } else { rest.strip_prefix(' ')? };
        value.parse::<f64>().ok()
    });
    values.sum::<f64>() as u64
}

/// What a life held, every half second.
#[derive(Default)]
struct Memory(Vec<u64>);

impl Memory {
    /// The middle one of those between these thirds of the life.
    fn between(&self, from: usize, to: usize) -> u64 {
        let of = |third: usize| self.0.len() * third / 3;
        let mut held = self.0[of(from)..of(to)].to_vec();
        held.sort_unstable();
        held[held.len() / 2]
    }
}

/// What is counted where, in the last life.
#[derive(Debug)]
struct Counts {
    exchanges: u64,
    dropped: u64,
    shed: u64,
    attempts: u64,
    drifts: u64,
    meanings: u64,
    recorded: u64,
}

impl Counts {
    async fn read(sidecar: &Sidecar) -> Self {
        let meant = "type=\"semantic\"";
        Self {
            exchanges: sum(sidecar, "stipula_exchanges_total", "").await,
            dropped: sum(sidecar, "stipula_observations_dropped_total", "").await,
            shed: sum(sidecar, "stipula_shed_total", "").await,
            attempts: sum(sidecar, "stipula_upstream_duration_seconds_count", "").await,
            drifts: sum(sidecar, "stipula_drift_events_total", "").await,
            meanings: sum(sidecar, "stipula_drift_events_total", meant).await,
            recorded: 0,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_nothing_is_done_twice_torn_or_forgotten() {
    let seconds = told("STIPULA_CHAOS_SECONDS", 18).clamp(6, 300);
    let seed = told("STIPULA_CHAOS_SEED", 20_261_121);
    let peer = Peer::start(seed).await;
    let house = House { state: tempfile::tempdir().unwrap(), peer: peer.address };
    let mut sidecar = house.start().await;
    let crowd = Crowd::start(CLIENTS, seed, sidecar.proxy);
    let began = Instant::now();
    let third = Duration::from_millis(seconds * 1000 / 3);
    // It is asked to stop, and killed, in turns; the last third is one life.
    let life = third.min(Duration::from_secs(10));
    let (mut turn, mut reloads, mut lives, mut before) = (0_u64, 0_u64, 0, 0);
    let mut memory = Memory::default();
    while began.elapsed() < 3 * third {
        // What breaks when follows from the seed, half a second after the other.
        tokio::time::sleep(Duration::from_millis(500)).await;
        turn += 1;
        if peer::roll(seed, turn).is_multiple_of(6) {
            peer.restart();
        }
        house.configure(turn);
        sidecar.signal(Signal::HUP);
        reloads += 1;
        memory.0.push(sidecar.held_mib());
        let due = began.elapsed().min(2 * third).as_millis() / life.as_millis();
        if due <= lives {
            continue;
        }
        lives += 1;
        if lives % 2 == 1 {
            sidecar.stop().await;
        } else {
            sidecar.kill().await;
        }
        before = recorded(house.state.path()).await;
        crowd.new_life();
        memory = Memory::default();
        sidecar = house.start().await;
        crowd.moved(sidecar.proxy);
    }
    peer.calm();
    let book = crowd.stop().await;
    let mut counts = Counts::read(&sidecar).await;
    let current = sidecar.metric("stipula_config_current").await;
    // Without a series where nothing was compared yet.
    let meant = sidecar.metric(r#"stipula_profile_score{peer="flights"}"#).await;
    let status = sidecar.status().await;
    sidecar.stop().await;
    counts.recorded = recorded(house.state.path()).await - before;
    let seen = book.seen_now(&peer);
    let (early, middle, late) = (memory.between(0, 1), memory.between(1, 2), memory.between(2, 3));
    eprintln!(
        "seed {seed}, {seconds} s, {} lives, {reloads} reloads, {} peer restarts: {book:?}\nin the last life: \
         {} begun, {} answered, {counts:?}, the peer's own count: {seen:?}; {early} MiB early, {middle} MiB \
         in the middle, {late} MiB late ({:?})",
        lives + 1,
        peer.restarts.load(Ordering::Relaxed),
        book.begun_now,
        book.answered_now,
        memory.0,
    );
    whole(&book, &peer);
    let Counts { exchanges, dropped, shed, recorded, .. } = counts;
    assert!(book.delivered > 50 * seconds, "hardly anything was asked: {book:?}");
    assert_eq!(book.begun_now, book.answered_now, "each call of the last life has an answer");
    assert_eq!(exchanges, book.begun_now, "each call of the last life is counted");
    assert_eq!(recorded + dropped + shed, exchanges, "and recorded, dropped or shed");
    assert_eq!(seen.calls + seen.unsent, exchanges, "and the peer's, or refused: {seen:?}");
    assert!(seen.times <= counts.attempts, "the peer read what was sent, no more: {seen:?}");
    assert!(counts.drifts > 0, "the peer's releases were seen");
    assert_eq!(counts.meanings, 0, "what replies mean never changed: {status}");
    assert!(meant >= 90.0, "replies were compared, and mean what they meant: {meant}");
    assert_eq!(current, 1.0, "the last configuration is in force");
    assert!(late <= middle + 4 && late < 160, "{early} MiB, {middle} MiB, then {late} MiB");
}

/// Nothing is done twice, and what is told about each call is what happened to it.
fn whole(book: &Book, peer: &Arc<Peer>) {
    let runs = peer.runs.lock().unwrap();
    let twice: Vec<_> =
        runs.iter().filter(|(id, runs)| client::writes(**id) && **runs > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");
    assert!(book.torn.is_empty(), "torn: {:?}", book.torn);
    for (id, ran) in &book.told {
        assert_eq!(runs.contains_key(id), *ran, "{id} was told to have run: {ran}");
    }
}
