//! What a contract states of its peer, in force: how fast its tools are, how large a call may be, how long an
//! answer may take. And what is adjusted while a tool is in trouble.

mod stage;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli, soon};
use tokio::sync::watch;

fn tools() -> Value {
    let words = json!({ "type": "object", "properties": { "word": { "type": "string" } } });
    let hint = json!({ "readOnlyHint": true });
    json!([{ "name": "lookup", "inputSchema": words, "outputSchema": words, "annotations": hint }])
}

fn well(asked: &Asked) -> Answer {
    asked.result(&json!({ "word": asked.arguments["word"] }).to_string())
}

fn word(word: &str) -> Value {
    json!({ "word": word })
}

/// A sidecar whose contract states this, with these settings of `resilience`.
async fn stating(peer: &Peer, state: &Path, constraints: &str, resilience: &str) -> Sidecar {
    Sidecar::start_from(state, &text(peer, constraints, resilience)).await
}

fn text(peer: &Peer, constraints: &str, resilience: &str) -> String {
    let url = peer.url();
    format!(
        "resilience: {resilience}\npeers:\n  flights:\n    url: \"{url}\"\n    mode: enforce\n    \
         constraints: {constraints}\n"
    )
}

/// The records of a kind, of a sidecar that has stopped.
async fn records(state: &Path, what: &str) -> Vec<Value> {
    let exported = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    assert!(exported.status.success(), "{exported:?}");
    let exported = String::from_utf8(exported.stdout).unwrap();
    let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = lines.map(|line| line.get("record").cloned().unwrap_or(line));
    records.filter(|record| record["what"] == what).collect()
}

async fn event(sidecar: &Sidecar) -> Value {
    let events = sidecar.events().await;
    let mut about = events.into_iter().filter(|event| event["type"] == "performance");
    let event = about.next().unwrap();
    assert_eq!(about.next(), None, "one fault gives one event");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_contract_states_of_its_pace_is_measured() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ performance: { least_calls: 20, window_ms: 60000, sustained_ms: 1500 } }";
    let mut sidecar = stating(&peer, state.path(), "{ slo: { p95_ms: 150 } }", told).await;
    Agent::connect(sidecar.proxy).await.list().await;
    // As slow as this from the first call on: measured against itself, nothing is the matter.
    peer.reply(|asked| well(asked).after(Duration::from_millis(500)));
    let proxy = sidecar.proxy;
    let calling = (0..10).map(|_| {
        tokio::spawn(async move {
            let mut agent = Agent::connect(proxy).await;
            for _ in 0..2 {
                agent.call("lookup", &word("a")).await.structured().unwrap();
            }
        })
    });
    for agent in calling.collect::<Vec<_>>() {
        soon("an agent", agent).await.unwrap();
    }
    sidecar.until("the event", |it| it["open_events"] != json!([])).await;
    let opened = event(&sidecar).await;
    assert_eq!(opened["evidence"]["diff"], json!([{ "kind": "late" }]));
    assert_eq!(opened["evidence"]["baseline"]["slo"], json!({ "p95_ms": 150 }));
    assert!(opened["evidence"]["observed"]["late"].as_u64().unwrap() >= 2, "{opened}");
    // The breach lasts.
    sidecar.told("lookup waits for you").await;
    let waits = |status: &Value| status["open_events"][0]["state"] == "waiting";
    let status = sidecar.until("a person", waits).await;
    assert_eq!(status["open_events"][0]["severity"], "high");
    assert_eq!(status["tools"][0]["level"], "L3");
    sidecar.stop().await;
    let sealed = records(state.path(), "sealed").await;
    assert_eq!(sealed[0]["contract"]["constraints"]["slo"], json!({ "p95_ms": 150 }));
    assert_eq!(records(state.path(), "incident").await[0]["standing"], "degraded");
}

#[tokio::test]
async fn a_call_that_is_too_large_or_takes_too_long_is_refused() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let states = "{ max_payload_bytes: 2000, timeout_ms: 1500 }";
    let sidecar = stating(&peer, state.path(), states, "{ stale: { enabled: off } }").await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("lookup", &word(&"a".repeat(1_000))).await.structured().unwrap();
    let ran = peer.calls();
    let said = agent.call("lookup", &word(&"a".repeat(2_000))).await;
    let error = said.json()["error"].clone();
    assert_eq!((said.status, &error["data"]["error"]), (413, &json!("STP-TOO-LARGE")));
    assert!(error["message"].as_str().unwrap().contains("at most 2000"), "{error}");
    assert_eq!(error["data"]["executed"], false);
    assert_eq!(peer.calls(), ran);
    let (never, _) = watch::channel(false);
    let held = never.clone();
    peer.reply(move |asked| well(asked).when(&held));
    let said = agent.call("lookup", &word("a")).await;
    assert_eq!(said.error().0, -31009);
    assert!(said.error().1.contains("1500 ms"), "{:?}", said.error());
    never.send_replace(true);
    sidecar.stop().await;
}

#[tokio::test]
async fn other_constraints_are_sealed_at_once_and_what_is_in_force_goes_on() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let mut sidecar = stating(&peer, state.path(), "{ timeout_ms: 9000 }", "{}").await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let large = word(&"a".repeat(2_000));
    agent.call("lookup", &large).await.structured().unwrap();
    assert_eq!(sidecar.status().await["version"], "1.0.0");
    let file = state.path().join("stipula.yaml");
    for (constraints, version) in
        [("{ max_payload_bytes: 2000 }", "1.0.1"), ("{ slo: { error_rate: 0.5 } }", "1.0.2")]
    {
        std::fs::write(&file, text(&peer, constraints, "{}")).unwrap();
        sidecar.signal(rustix::process::Signal::HUP);
        sidecar.told("another configuration is in force").await;
        sidecar.until(version, |status| status["version"] == version).await;
        assert_eq!(agent.call("lookup", &large).await.status, 413);
        agent.call("lookup", &word("a")).await.structured().unwrap();
    }
    // Nothing was stated anew since: a surface that is read again seals nothing.
    agent.list().await;
    sidecar.stop().await;
    let sealed = records(state.path(), "sealed").await;
    let last = sealed.last().unwrap()["contract"]["constraints"].clone();
    assert_eq!((sealed.len(), &last["timeout_ms"]), (3, &json!(9000)));
    assert_eq!(
        (&last["max_payload_bytes"], &last["slo"]["error_rate"]),
        (&json!(2000), &json!(0.5))
    );
}

/// Answers the first call with 503, and every further one well.
fn fails_once(peer: &Peer) {
    let failed = AtomicBool::new(false);
    peer.reply(move |asked| {
        if failed.swap(true, Ordering::SeqCst) { well(asked) } else { Answer::failing(503) }
    });
}

#[tokio::test]
async fn a_tool_that_is_slow_is_not_tried_again_until_it_is_well() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retry_pause_ms: 1, performance: { least_ms: 200, in_row: 3 } }";
    let sidecar = stating(&peer, state.path(), "{}", told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for _ in 0..30 {
        agent.call("lookup", &word("a")).await.structured().unwrap();
    }
    peer.reply(|asked| well(asked).after(Duration::from_millis(900)));
    for _ in 0..3 {
        agent.call("lookup", &word("a")).await.structured().unwrap();
    }
    sidecar.until("the event", |it| it["open_events"] != json!([])).await;
    fails_once(&peer);
    let ran = peer.calls();
    assert_eq!(agent.call("lookup", &word("a")).await.status, 503);
    assert_eq!(peer.calls(), ran + 1, "it is not tried again");
    let opened = soon("recovery", async {
        loop {
            agent.call("lookup", &word("a")).await.structured().unwrap();
            let event = event(&sidecar).await;
            if event["state"] == "resolved" {
                return event;
            }
        }
    })
    .await;
    fails_once(&peer);
    let ran = peer.calls();
    agent.call("lookup", &word("a")).await.structured().unwrap();
    assert_eq!(peer.calls(), ran + 2, "it is tried again");
    sidecar.stop().await;
    let patches = records(state.path(), "patch").await;
    let (configured, off) = (
        json!({ "retries": 3, "retry_pause_ms": 1 }),
        json!({ "retries": 0, "retry_pause_ms": 1 }),
    );
    let told: Vec<_> = patches.iter().map(|it| (&it["before"], &it["after"])).collect();
    assert_eq!(told, [(&configured, &off), (&off, &configured)]);
    assert!(patches.iter().all(|it| it["drift_id"] == opened["drift_id"]));
}
