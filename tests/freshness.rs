//! A contract that grows old is renewed ahead of its end, and not while its peer offers something else.

#![cfg(test)]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stipula::app::{Extras, Sidecar, SystemClock};
use stipula::config::{Flags, PeerFlag, Settings, load};
use stipula::domain::message::{Clock, PeerId, UnixMillis};
use stipula::store::MemoryStore;

use stage::{Agent, Peer, soon};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// The system's clock, moved forward.
#[derive(Debug)]
struct Moved(SystemClock, AtomicU64);

impl Clock for Moved {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.now().0 + self.1.load(Ordering::SeqCst))
    }
    fn monotonic_micros(&self) -> u64 {
        self.0.monotonic_micros() + self.1.load(Ordering::SeqCst) * 1_000
    }
}

fn tools(argument: &str) -> Value {
    json!([{
        "name": "lookup",
        "inputSchema": {
            "type": "object",
            "properties": { argument: { "type": "string" } },
            "required": [argument],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true },
    }])
}

#[tokio::test]
async fn an_old_contract_is_renewed_while_its_peer_keeps_its_word() {
    let peer = Peer::start(tools("word"), |asked| asked.result("{}")).await;
    let clock = Arc::new(Moved(SystemClock::start(), AtomicU64::new(0)));
    let any_port = Some("127.0.0.1:0".to_owned());
    let flags = Flags {
        peers: vec![PeerFlag { name: Some("words".to_owned()), url: peer.url() }],
        listen: any_port.clone(),
        admin: any_port,
        ..Flags::default()
    };
    let settings = Settings { keep_state: false, ..load(&flags).unwrap() };
    let extras = Extras {
        clock: Some(clock.clone()),
        store: Some(Arc::new(MemoryStore::default())),
        ..Extras::default()
    };
    let sidecar = Sidecar::start(settings, extras).unwrap();
    let words = PeerId::from("words");
    let version = || sidecar.handle.status().peers[0].version.clone();
    let review = || soon("a review", sidecar.handle.review(&words));
    let mut agent = soon("an agent", Agent::connect(sidecar.proxy)).await;
    agent.list().await;
    assert_eq!(version().as_deref(), Some("1.0.0"));

    // Seven days are its life; before four fifths of them nothing happens.
    clock.1.store(5 * DAY, Ordering::SeqCst);
    review().await.unwrap();
    assert_eq!(version().as_deref(), Some("1.0.0"));
    clock.1.store(6 * DAY, Ordering::SeqCst);
    review().await.unwrap();
    assert_eq!(version().as_deref(), Some("1.0.1"));
    let events = sidecar.handle.drift();
    assert_eq!(json!(events[0].1.drift_type), "freshness");
    assert_eq!(json!(events[0].1.state), "resolved");

    // An hour after its end the surface is unchanged: it is renewed at once, and calls go on.
    clock.1.store(13 * DAY + HOUR, Ordering::SeqCst);
    review().await.unwrap();
    assert_eq!(version().as_deref(), Some("1.0.2"));
    let said = soon("a call", agent.call("lookup", &json!({ "word": "pact" }))).await;
    assert!(said.structured().is_ok(), "{:?}", said.json());
    // A renewed version says what the one before says, so the way back is that one's: there is none.
    let back = sidecar.handle.rollback(&words, None).await;
    assert!(back.unwrap_err().to_string().contains("no version to go back to"));
    soon("the end", sidecar.stop(Duration::from_millis(100))).await;
}
