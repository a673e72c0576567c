//! A peer that is slow, fails, breaks off and leaves, seen from outside: the real binary in front of a
//! real peer that counts what it runs.

mod stage;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, cli, soon};
use tokio::sync::watch;

fn tools() -> Value {
    let tool = |name: &str, reads: bool| {
        json!({
            "name": name,
            "inputSchema": { "type": "object", "properties": { "word": { "type": "string" } } },
            "outputSchema": {
                "type": "object",
                "properties": { "word": { "type": "string" } },
                "required": ["word"],
            },
            "annotations": { "readOnlyHint": reads },
        })
    };
    json!([tool("lookup", true), tool("order", false)])
}

fn well(asked: &Asked) -> Answer {
    asked.result(&json!({ "word": asked.arguments["word"] }).to_string())
}

fn word(word: &str) -> Value {
    json!({ "word": word })
}

/// A sidecar whose section `resilience` says this.
async fn sidecar(peer: &Peer, state: &Path, resilience: &str) -> Sidecar {
    let file = state.join("stipula.yaml");
    std::fs::write(&file, format!("resilience: {resilience}\n")).unwrap();
    let file = file.to_str().unwrap();
    Sidecar::start_with(peer, state, &["--config", file], &[]).await
}

/// The tool as the status tells it.
fn tool<'s>(status: &'s Value, name: &str) -> &'s Value {
    let tools = status["tools"].as_array().unwrap();
    tools.iter().find(|tool| tool["tool"] == name).unwrap()
}

/// The one event about performance.
async fn event(sidecar: &Sidecar) -> Value {
    let events = sidecar.events().await;
    let mut about = events.into_iter().filter(|event| event["type"] == "performance");
    let event = about.next().unwrap();
    assert_eq!(about.next(), None, "one fault gives one event");
    event
}

/// Refused by an open breaker: nothing ran, and when to try again.
fn refused_at_once(said: &Said, at_most_ms: u64) {
    assert_eq!(said.error().0, -31006, "{:?}", said.json());
    let data = &said.json()["error"]["data"];
    assert_eq!(data["error"], "STP-BREAKER-OPEN");
    assert_eq!((&data["executed"], &data["retryable"]), (&json!(false), &json!(true)));
    let after = data["retry_after_ms"].as_u64().unwrap();
    assert!((1..=at_most_ms).contains(&after), "{after}");
    let header: u64 = said.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(header, after.div_ceil(1_000));
}

/// A metric of the peer.
fn metric(name: &str) -> String {
    format!("stipula_{name}{{peer=\"flights\"}}")
}

/// An open breaker of `lookup`, as status, metrics, events and the ledger tell it.
async fn opened_and_told(sidecar: &Sidecar) -> Value {
    let status = sidecar
        .until("the event", |status| status["open_events"].as_array().unwrap().len() == 1)
        .await;
    assert_eq!((&status["level"], &status["breaker"]), (&json!("L3"), &json!("closed")));
    assert_eq!(tool(&status, "lookup")["level"], "L3");
    assert_eq!(tool(&status, "order")["level"], "L0");
    let opened = event(sidecar).await;
    assert_eq!((&opened["severity"], &opened["state"]), (&json!("medium"), &json!("open")));
    assert_eq!((&opened["tool"], &opened["sensor"]), (&json!("lookup"), &json!("performance")));
    assert_eq!(opened["evidence"]["diff"], json!([{ "kind": "breaker_open" }]));
    assert_eq!(opened["evidence"]["observed"]["last"], "status");
    let events =
        "stipula_drift_events_total{peer=\"flights\",severity=\"medium\",type=\"performance\"}";
    assert_eq!(sidecar.metric(events).await, 1.0);
    assert_eq!(sidecar.metric(&metric("circuit_breaker_trips_total")).await, 1.0);
    assert_eq!(sidecar.metric(&metric("circuit_breakers_open")).await, 1.0);
    assert_eq!(sidecar.metric(&metric("degrade_level")).await, 3.0);
    // Once it is written, whoever asks why is shown it.
    soon("its record", async {
        let id = opened["drift_id"].as_str().unwrap();
        while sidecar.cli(&["why", id]).await["records"][0]["what"] != "drift" {}
    })
    .await;
    opened
}

/// One probe goes; whoever comes beside it is refused at once.
async fn one_probe_alone(peer: &Peer, sidecar: &Sidecar, agent: &mut Agent) {
    let (go, _) = watch::channel(false);
    let held = go.clone();
    peer.reply(move |asked| well(asked).when(&held));
    sidecar.until("a probe's turn", |it| tool(it, "lookup")["breaker"] == "half_open").await;
    let ran = peer.calls();
    let mut prober = Agent::connect(sidecar.proxy).await;
    let probe = tokio::spawn(async move { prober.call("lookup", &word("probe")).await });
    soon("the probe", async {
        while peer.calls() == ran {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..8 {
        refused_at_once(&agent.call("lookup", &word("a")).await, 1_500);
    }
    assert_eq!(peer.calls(), ran + 1);
    go.send_replace(true);
    assert_eq!(probe.await.unwrap().structured().unwrap(), word("probe"));
}

#[tokio::test]
async fn performance_a_burst_of_5xx_opens_the_breaker_and_one_probe_closes_it() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retries: 0, breaker: { open_ms: 1500, hold_ms: 50 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    assert!(agent.call("lookup", &word("a")).await.structured().is_ok());
    // A tool's own errors open nothing, however many.
    peer.reply(|asked| {
        let text = json!([{ "type": "text", "text": "no such word" }]);
        let id = &asked.id;
        Answer::json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":{text},"isError":true}}}}"#
        ))
    });
    for _ in 0..10 {
        assert_eq!(agent.call("lookup", &word("a")).await.json()["result"]["isError"], true);
    }
    peer.reply(|asked| if asked.tool == "lookup" { Answer::failing(503) } else { well(asked) });
    let ran = peer.calls();
    for _ in 0..5 {
        let said = agent.call("lookup", &word("a")).await;
        assert_eq!((said.status, &said.body[..]), (503, &b"down"[..]));
    }
    for _ in 0..5 {
        refused_at_once(&agent.call("lookup", &word("a")).await, 1_500);
    }
    assert_eq!(peer.calls(), ran + 5);
    // Its sibling is well.
    assert!(agent.call("order", &word("b")).await.structured().is_ok());

    let opened = opened_and_told(&sidecar).await;
    // A refusal names the event.
    let said = agent.call("lookup", &word("a")).await;
    if said.json()["error"]["code"] == -31006 {
        assert_eq!(said.json()["error"]["data"]["drift"], opened["drift_id"]);
    }

    one_probe_alone(&peer, &sidecar, &mut agent).await;
    assert!(agent.call("lookup", &word("a")).await.structured().is_ok());
    let status = sidecar.until("recovery", |it| it["open_events"] == json!([])).await;
    assert_eq!(
        (&status["level"], &tool(&status, "lookup")["breaker"]),
        (&json!("L0"), &json!("closed"))
    );
    let over = event(&sidecar).await;
    assert_eq!(
        (&over["state"], &over["resolved_by"]),
        (&json!("resolved"), &json!("healthy again"))
    );
    assert_eq!(sidecar.metric(&metric("circuit_breakers_open")).await, 0.0);
    assert_eq!(sidecar.metric(&metric("degrade_level")).await, 0.0);
    sidecar.stop().await;
}

/// A tool that neither only reads nor may be called twice, and one that may.
fn writes() -> Value {
    let tool = |name: &str, twice: bool| {
        json!({
            "name": name,
            "inputSchema": { "type": "object", "properties": { "word": { "type": "string" } } },
            "annotations": { "readOnlyHint": false, "idempotentHint": twice },
        })
    };
    json!([tool("put", true), tool("order", false)])
}

/// Agents who call `put` at once.
fn putting(sidecar: &Sidecar, count: usize) -> Vec<tokio::task::JoinHandle<Said>> {
    let proxy = sidecar.proxy;
    let put = move || async move { Agent::connect(proxy).await.call("put", &word("a")).await };
    (0..count).map(|_| tokio::spawn(put())).collect()
}

async fn held(sidecar: &Sidecar, count: f64) {
    soon("those who wait", async { while sidecar.metric(&metric("calls_held")).await != count {} })
        .await;
}

async fn holds(sidecar: &Sidecar, outcome: &str) -> f64 {
    let name = format!("stipula_holds_total{{outcome=\"{outcome}\",peer=\"flights\"}}");
    sidecar.metric(&name).await
}

#[tokio::test]
async fn performance_who_may_be_called_twice_waits_for_the_probe() {
    let (peer, state) = (Peer::start(writes(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retries: 0, breaker: { open_ms: 2500, hold_ms: 20000, queue: 4 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for tool in ["put", "order"] {
        agent.call(tool, &word("a")).await.structured().unwrap();
        peer.reply(|_| Answer::failing(503));
        for _ in 0..5 {
            assert_eq!(agent.call(tool, &word("a")).await.status, 503);
        }
        peer.reply(well);
    }
    let (go, _) = watch::channel(false);
    let release = go.clone();
    peer.reply(move |asked| well(asked).when(&release));
    let ran = peer.calls();
    // A write that may not happen twice is told at once, however near the probe is.
    refused_at_once(&agent.call("order", &word("a")).await, 2_500);
    let mut waiting = putting(&sidecar, 4);
    held(&sidecar, 4.0).await;
    // Nobody waits beyond what the queue takes.
    refused_at_once(&agent.call("put", &word("a")).await, 2_500);
    // One that leaves makes room for another one.
    waiting.pop().unwrap().abort();
    held(&sidecar, 3.0).await;
    waiting.extend(putting(&sidecar, 1));
    // The rest is over: one of them is the probe, and the others wait for what comes of it.
    soon("the probe", async {
        while peer.calls() == ran {
            tokio::task::yield_now().await;
        }
    })
    .await;
    held(&sidecar, 3.0).await;
    assert_eq!(peer.calls(), ran + 1);
    go.send_replace(true);
    for put in waiting {
        let said = soon("an answer", put).await.unwrap();
        assert_eq!(said.structured().unwrap(), word("a"));
    }
    assert_eq!(peer.calls(), ran + 4, "each of them ran once");
    assert_eq!((holds(&sidecar, "released").await, holds(&sidecar, "left").await), (4.0, 1.0));
    assert_eq!((holds(&sidecar, "full").await, holds(&sidecar, "refused").await), (1.0, 0.0));
    assert_eq!(sidecar.metric(&metric("calls_held")).await, 0.0);
    sidecar.stop().await;
}

/// Refused because the peer gave no answer: whether it ran.
fn unanswered(said: &Said, executed: &Value) {
    assert_eq!(said.error().0, -31005, "{:?}", said.json());
    assert_eq!(&said.json()["error"]["data"]["executed"], executed);
}

/// The verdict under which a result left; null where it left as it came.
fn verdict(said: &Said) -> Value {
    said.json()["result"]["_meta"]["dev.stipula/verdict"].clone()
}

/// How a peer fails.
type Fails = fn() -> Answer;

/// How often calls of this peer were tried again, with this outcome.
async fn retried(sidecar: &Sidecar, outcome: &str) -> f64 {
    let name = format!("stipula_retries_total{{outcome=\"{outcome}\",peer=\"flights\"}}");
    sidecar.metric(&name).await
}

#[tokio::test]
async fn retries_go_where_nothing_can_happen_twice() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let sidecar =
        sidecar(&peer, state.path(), "{ retry_pause_ms: 1, stale: { enabled: off } }").await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("lookup", &word("a")).await.structured().unwrap();
    // The first attempt of each call fails so; every further one is answered.
    let failing: [(&str, Fails); 4] = [
        ("reset", Answer::reset),
        ("500", || Answer::failing(500)),
        ("503", || Answer::failing(503)),
        ("cut", || Answer { cut: true, ..Answer::json("{\"jsonrpc\":\"2.0\",") }),
    ];
    for (at, (name, fails)) in failing.into_iter().enumerate() {
        let failed = AtomicBool::new(false);
        peer.reply(
            move |asked| {
                if failed.swap(true, Ordering::SeqCst) { well(asked) } else { fails() }
            },
        );
        let ran = peer.calls();
        let said = agent.call("lookup", &word("a")).await;
        assert_eq!(said.structured().unwrap(), word("a"), "{name}");
        assert_eq!(peer.calls(), ran + 2, "{name}");
        assert_eq!(retried(&sidecar, "succeeded").await, (at + 1) as f64, "{name}");
    }
    // A write that may have run is asked for once, and its agent is told that nobody knows.
    for (name, fails) in failing {
        peer.reply(move |_| fails());
        let ran = peer.calls();
        let said = agent.call("order", &word("a")).await;
        assert_eq!(peer.calls(), ran + 1, "{name}");
        match name {
            "reset" => unanswered(&said, &json!("unknown")),
            "cut" => assert_eq!(said.json()["error"]["data"]["executed"], "unknown"),
            status => assert_eq!(said.status.to_string(), status),
        }
        peer.reply(well);
        agent.call("order", &word("b")).await.structured().unwrap();
    }
    // An error that the peer tells in JSON-RPC is its answer, and so is a status that will not pass.
    peer.reply(|asked| asked.error(-32603, "broken"));
    let ran = peer.calls();
    assert_eq!(agent.call("lookup", &word("a")).await.error().0, -32603);
    peer.reply(|_| Answer::failing(501));
    assert_eq!(agent.call("lookup", &word("a")).await.status, 501);
    // Who says to come back in an hour is not waited for.
    peer.reply(|_| {
        let mut answer = Answer::failing(503);
        answer.headers.push(("retry-after", "3600".to_owned()));
        answer
    });
    let said = agent.call("lookup", &word("a")).await;
    assert_eq!((said.status, &said.headers["retry-after"]), (503, &"3600".parse().unwrap()));
    assert_eq!(peer.calls(), ran + 3);
    assert_eq!(retried(&sidecar, "failed").await, 0.0);
    sidecar.stop().await;
}

#[tokio::test]
async fn retries_end_after_three_and_where_their_budget_does() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retry_pause_ms: 1, retry_budget: 0.0, retry_least_per_second: 1, breaker: { failures: 1000 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("lookup", &word("a")).await.structured().unwrap();
    peer.reply(|_| Answer::failing(502));
    let ran = peer.calls();
    assert_eq!(agent.call("lookup", &word("a")).await.status, 502);
    assert_eq!((peer.calls(), retried(&sidecar, "failed").await), (ran + 4, 1.0));
    // Ten were saved up, and one more comes a second.
    let ran = peer.calls();
    for _ in 0..40 {
        assert_eq!(agent.call("lookup", &word("a")).await.status, 502);
    }
    let again = peer.calls() - ran - 40;
    assert!((7..20).contains(&again), "{again}");
    assert!(retried(&sidecar, "denied").await >= 30.0);
    sidecar.stop().await;
}

#[tokio::test]
async fn performance_an_unreachable_peer_is_answered_for_by_last_known_good_replies() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retry_pause_ms: 1, breaker: { failures: 9, open_ms: 1500, hold_ms: 0 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let ada = [("authorization", "Bearer ada")];
    let call = |tool: &str, word: &str| json!({ "name": tool, "arguments": { "word": word } });
    let good = agent.ask_with("tools/call", &call("lookup", "a"), &ada).await;
    let write = agent.ask_with("tools/call", &call("order", "a"), &ada).await;
    assert!(good.structured().is_ok() && write.structured().is_ok());
    let ran = peer.calls();
    peer.leave().await;

    // L2: the same caller, tool and arguments; told as what it is, under the id of this request.
    let said = agent.ask_with("tools/call", &call("lookup", "a"), &ada).await;
    assert_eq!(said.structured().unwrap(), word("a"));
    let marked = verdict(&said);
    assert_eq!((&marked["verdict"], &marked["code"]), (&json!("waived"), &json!(-31005)));
    assert_eq!(marked["executed"], false);
    assert!(marked["stale"]["age_ms"].as_u64().unwrap() < 60_000);
    // Other arguments, another caller, nobody; and never a write.
    let bob = [("authorization", "Bearer bob")];
    let rows: [(Value, &[(&str, &str)]); 3] =
        [(call("lookup", "b"), &ada), (call("lookup", "a"), &bob), (call("lookup", "a"), &[])];
    // Each is tried four times, so the breaker opens within the third.
    for (at, (params, headers)) in rows.iter().enumerate() {
        let said = agent.ask_with("tools/call", params, headers).await;
        if at == 0 {
            unanswered(&said, &json!(false));
        } else {
            let code = said.error().0;
            assert!(code == -31005 || code == -31006, "{:?}", said.json());
        }
    }
    // L3: whoever has no such reply is refused at once, and a write always.
    refused_at_once(&agent.ask_with("tools/call", &call("order", "a"), &ada).await, 1_500);
    let said = agent.ask_with("tools/call", &call("lookup", "a"), &ada).await;
    assert_eq!(
        (said.structured().unwrap(), &verdict(&said)["stale"]["age_ms"].is_u64()),
        (word("a"), &true)
    );
    assert_eq!(sidecar.metric("stipula_stale_replies_total{peer=\"flights\"}").await, 2.0);
    let status = sidecar.until("the event", |it| it["open_events"] != json!([])).await;
    assert_eq!(tool(&status, "order")["level"], "L3");
    let opened = event(&sidecar).await;
    assert_eq!((&opened["tool"], &opened["severity"]), (&Value::Null, &json!("medium")));
    assert_eq!(opened["evidence"]["observed"]["last"], "unreachable");

    // Back: the next call is the probe, and its reply is of now.
    peer.come_back().await;
    peer.reply(|asked| asked.result(&json!({ "word": format!("new {}", asked.tool) }).to_string()));
    let fresh = soon("a fresh reply", async {
        loop {
            let said = agent.ask_with("tools/call", &call("lookup", "a"), &ada).await;
            if verdict(&said).is_null() {
                return said;
            }
        }
    })
    .await;
    assert_eq!(fresh.structured().unwrap(), word("new lookup"));
    assert_eq!(peer.calls(), ran + 1);
    sidecar.until("recovery", |it| it["open_events"] == json!([])).await;
    assert_eq!(event(&sidecar).await["state"], "resolved");
    sidecar.stop().await;
}

/// Settings under which a tool is slow after few calls.
const QUICK: &str = "performance: { least_ms: 200, window_ms: 60000 }";
/// How long a slow call takes: far above twice what a good one does on a busy machine.
const SLOW: Duration = Duration::from_millis(900);

async fn calls(agent: &mut Agent, count: u32) {
    for _ in 0..count {
        agent.call("lookup", &word("a")).await.structured().unwrap();
    }
}

#[tokio::test]
async fn performance_five_slow_calls_in_a_row_are_an_event_and_five_good_ones_end_it() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let sidecar = sidecar(&peer, state.path(), &format!("{{ {QUICK} }}")).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    calls(&mut agent, 30).await;
    peer.reply(|asked| well(asked).after(SLOW));
    calls(&mut agent, 4).await;
    assert_eq!(sidecar.status().await["open_events"], json!([]));
    calls(&mut agent, 1).await;
    let status = sidecar.until("the event", |it| it["open_events"] != json!([])).await;
    assert_eq!((&status["level"], &tool(&status, "lookup")["level"]), (&json!("L1"), &json!("L1")));
    assert_eq!(tool(&status, "lookup")["breaker"], "closed");
    let opened = event(&sidecar).await;
    assert_eq!(opened["evidence"]["diff"], json!([{ "kind": "slow" }]));
    let row = opened["evidence"]["observed"]["latencies_ms"].as_array().unwrap();
    assert!(row.len() == 5 && row.iter().all(|took| took.as_f64().unwrap() >= 900.0), "{row:?}");
    let p95 = opened["evidence"]["baseline"]["p95_ms"].as_f64().unwrap();
    assert!(p95 < 450.0, "{p95}");
    // More of it joins.
    calls(&mut agent, 1).await;
    soon("a sighting", async {
        while event(&sidecar).await["occurrences"].as_u64().unwrap() < 2 {}
    })
    .await;
    peer.reply(well);
    soon("recovery", async {
        while event(&sidecar).await["state"] != "resolved" {
            calls(&mut agent, 1).await;
        }
    })
    .await;
    assert_eq!(sidecar.status().await["level"], "L0");
    sidecar.stop().await;
}

/// A tool that has been slow for too long, and the event that waits for a person.
async fn slow_for_too_long(peer: &Peer, state: &Path) -> (Sidecar, Agent, Value) {
    let quick = "performance: { least_ms: 200, in_row: 3, sustained_ms: 1000 }";
    let told = format!("{{ breaker: {{ open_ms: 300 }}, {quick} }}");
    let mut sidecar = sidecar(peer, state, &told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    calls(&mut agent, 30).await;
    peer.reply(|asked| well(asked).after(SLOW));
    calls(&mut agent, 3).await;
    sidecar.told("lookup waits for you").await;
    let waits = |status: &Value| status["open_events"][0]["state"] == "waiting";
    let open = sidecar.until("the event", waits).await["open_events"][0].clone();
    (sidecar, agent, open)
}

#[tokio::test]
async fn performance_sustained_trouble_opens_the_breaker_and_asks_a_person() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let (sidecar, mut agent, open) = slow_for_too_long(&peer, state.path()).await;
    assert_eq!((&open["severity"], &open["type"]), (&json!("high"), &json!("performance")));
    let status = sidecar.status().await;
    assert_eq!(tool(&status, "lookup")["level"], "L3");
    let high =
        "stipula_drift_events_total{peer=\"flights\",severity=\"high\",type=\"performance\"}";
    assert_eq!(sidecar.metric(high).await, 1.0);
    assert_eq!(sidecar.metric("stipula_circuit_breaker_trips_total{peer=\"flights\"}").await, 1.0);
    // Probes go on, and once they are as fast as calls were, the breaker closes.
    peer.reply(well);
    soon("recovery", async {
        while event(&sidecar).await["state"] != "resolved" {
            agent.call("lookup", &word("a")).await;
        }
    })
    .await;
    calls(&mut agent, 3).await;
    assert_eq!(sidecar.status().await["level"], "L0");
    sidecar.stop().await;
    let exported = cli(&["ledger", "export", state.path().to_str().unwrap()]).await;
    let exported = String::from_utf8(exported.stdout).unwrap();
    let incident = exported.lines().find(|line| line.contains(r#""what":"incident""#)).unwrap();
    assert!(incident.contains(r#""standing":"degraded""#), "{incident}");
}

#[tokio::test]
async fn performance_a_person_may_take_the_pace_of_now_as_it_is() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let (sidecar, mut agent, open) = slow_for_too_long(&peer, state.path()).await;
    let decision = open["decision"].as_str().unwrap();
    let command = ["approvals", "approve", decision, "--reason", "it moved far away"];
    sidecar.decide(&command).await;
    let over = event(&sidecar).await;
    assert_eq!(
        (&over["state"], &over["resolved_by"]),
        (&json!("resolved"), &json!("accepted by a person"))
    );
    // As slow as before, and nothing is wrong with that.
    calls(&mut agent, 4).await;
    let status = sidecar.status().await;
    assert_eq!((&status["level"], &status["open_events"]), (&json!("L0"), &json!([])));
    sidecar.stop().await;
}

#[tokio::test]
async fn performance_a_share_of_failing_calls_is_an_event_though_none_fail_in_a_row() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retries: 0, performance: { least_calls: 20, window_ms: 3000 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    calls(&mut agent, 1).await;
    let asked_so_far = AtomicU64::new(0);
    peer.reply(move |asked| match asked_so_far.fetch_add(1, Ordering::SeqCst) % 4 {
        0 => Answer::failing(500),
        _ => well(asked),
    });
    for _ in 0..40 {
        agent.call("lookup", &word("a")).await;
    }
    let status = sidecar.until("the event", |it| it["open_events"] != json!([])).await;
    assert_eq!(
        (&status["level"], &tool(&status, "lookup")["breaker"]),
        (&json!("L1"), &json!("closed"))
    );
    let opened = event(&sidecar).await;
    assert_eq!(opened["evidence"]["diff"], json!([{ "kind": "failing" }]));
    let observed = &opened["evidence"]["observed"];
    assert!(observed["calls"].as_u64().unwrap() >= 20, "{observed}");
    peer.reply(well);
    soon("recovery", async {
        while event(&sidecar).await["state"] != "resolved" {
            agent.call("lookup", &word("a")).await;
        }
    })
    .await;
    assert_eq!(sidecar.metric("stipula_circuit_breaker_trips_total{peer=\"flights\"}").await, 0.0);
    sidecar.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_the_attempt_and_nobody_knows_whether_it_ran() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ deadline_ms: 300, retry_pause_ms: 1, stale: { enabled: off } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    calls(&mut agent, 1).await;
    let (never, _) = watch::channel(false);
    let held = never.clone();
    peer.reply(move |asked| well(asked).when(&held));
    for tool in ["lookup", "order"] {
        let ran = peer.calls();
        let said = agent.call(tool, &word("a")).await;
        let data = &said.json()["error"]["data"];
        assert_eq!(
            (&data["error"], &data["executed"]),
            (&json!("STP-DEADLINE"), &json!("unknown"))
        );
        assert!(said.error().1.contains("300 ms"), "{:?}", said.error());
        assert_eq!(peer.calls(), ran + 1, "{tool}");
    }
    never.send_replace(true);
    calls(&mut agent, 1).await;
    sidecar.stop().await;
}
