//! What trouble leaves behind: what a person decides about it, what else is seen of it, and what is told of
//! calls that were tried more than once. The real binary in front of a real peer.

mod stage;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, soon};

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

fn word() -> Value {
    json!({ "word": "a" })
}

/// A sidecar whose section `resilience` says this.
async fn sidecar(peer: &Peer, state: &Path, resilience: &str) -> Sidecar {
    let url = peer.url();
    let text = format!("resilience: {resilience}\npeers: {{ flights: {{ url: \"{url}\" }} }}\n");
    Sidecar::start_from(state, &text).await
}

fn lookup(status: &Value) -> &Value {
    let tools = status["tools"].as_array().unwrap();
    tools.iter().find(|tool| tool["tool"] == "lookup").unwrap()
}

/// Calls until the event has this state; what it is then.
async fn until_it_is(sidecar: &Sidecar, agent: &mut Agent, state: &str) -> Value {
    soon(state, async {
        loop {
            let events = sidecar.events().await;
            if let Some(event) = events.into_iter().find(|event| event["state"] == state) {
                return event;
            }
            agent.call("lookup", &word()).await;
        }
    })
    .await
}

fn code(said: &Said) -> Value {
    said.json()["error"]["code"].clone()
}

#[tokio::test]
async fn a_person_who_denies_the_pace_of_now_leaves_the_breaker_open_until_calls_are_as_before() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ breaker: { open_ms: 200, hold_ms: 0 }, performance: { least_ms: 200, in_row: 3, sustained_ms: 800 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for _ in 0..30 {
        agent.call("lookup", &word()).await.structured().unwrap();
    }
    peer.reply(|asked| well(asked).after(Duration::from_millis(900)));
    let open = until_it_is(&sidecar, &mut agent, "waiting").await;
    assert_eq!((&open["type"], &open["severity"]), (&json!("performance"), &json!("high")));
    let status = sidecar.status().await;
    let decision = status["open_events"][0]["decision"].as_str().unwrap().to_owned();
    sidecar.decide(&["approvals", "deny", &decision, "--reason", "it must become fast"]).await;

    // The event is over, and nobody is called again, but calls of the tool are refused still.
    let status = sidecar.status().await;
    assert_eq!(status["open_events"], json!([]));
    assert_eq!((&lookup(&status)["level"], &status["level"]), (&json!("L3"), &json!("L3")));
    for _ in 0..2 {
        // A probe comes back, as slow as ever, and closes nothing.
        soon("a probe", async {
            while agent.call("lookup", &word()).await.structured().is_err() {}
        })
        .await;
        assert_eq!(code(&agent.call("lookup", &word()).await), json!(-31006));
    }
    assert_eq!(agent.call("order", &word()).await.structured().unwrap(), word());
    let events = sidecar.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["state"], "dismissed");

    peer.reply(well);
    soon("calls that go", async {
        while lookup(&sidecar.status().await)["level"] != "L0" {
            agent.call("lookup", &word()).await;
        }
    })
    .await;
    assert_eq!(agent.call("lookup", &word()).await.structured().unwrap(), word());
    assert_eq!(sidecar.events().await[0]["state"], "dismissed");
    sidecar.stop().await;
}

#[tokio::test]
async fn errors_of_a_tool_that_changed_are_no_second_event_though_they_open_its_breaker() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let sidecar = sidecar(&peer, state.path(), "{ breaker: { open_ms: 1500, hold_ms: 0 } }").await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("lookup", &word()).await.structured().unwrap();
    // Its replies are reshaped under an unchanged definition: that is the event.
    peer.reply(|asked| asked.result(r#"{"worte":["a"]}"#));
    let open = until_it_is(&sidecar, &mut agent, "open").await;
    assert_eq!((&open["type"], &open["tool"]), (&json!("schema"), &json!("lookup")));
    let id = open["drift_id"].as_str().unwrap();
    // Then it fails over that, until its breaker opens.
    peer.reply(|asked| asked.error(-32603, "it has no word"));
    let before = open["occurrences"].as_u64().unwrap();
    for _ in 0..5 {
        assert_eq!(code(&agent.call("lookup", &word()).await), json!(-32603));
    }
    assert_eq!(code(&agent.call("lookup", &word()).await), json!(-31006));
    let seen = soon("its sightings", async {
        loop {
            let events = sidecar.events().await;
            let event = events.iter().find(|event| event["drift_id"] == id).unwrap();
            if event["occurrences"].as_u64().unwrap() >= before + 6 {
                return events;
            }
        }
    })
    .await;
    assert_eq!(seen.len(), 1, "one fault is one event: {seen:?}");
    let status = sidecar.status().await;
    assert_eq!(lookup(&status)["level"], "L3");
    let trips = r#"stipula_circuit_breaker_trips_total{peer="flights"}"#;
    assert_eq!(sidecar.metric(trips).await, 1.0);
    assert_eq!(sidecar.metric(r#"stipula_circuit_breakers_open{peer="flights"}"#).await, 1.0);

    // As it was: the breaker closes by its probe, and the event ends with kept replies.
    peer.reply(well);
    let (mut kept, mut over) = (0, Value::Null);
    while over["state"] != "resolved" {
        kept += u32::from(agent.call("lookup", &word()).await.structured().is_ok());
        over = sidecar.events().await.remove(0);
    }
    assert_eq!(over["drift_id"], id);
    assert!(kept >= 5, "{kept} kept replies are too few to tell");
    sidecar.until("recovery", |status| status["level"] == "L0").await;
    assert_eq!(sidecar.events().await.len(), 1);
    sidecar.stop().await;
}

#[tokio::test]
async fn what_may_have_run_once_is_never_told_to_have_not_run() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retry_pause_ms: 1000, stale: { enabled: off } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("lookup", &word()).await.structured().unwrap();
    // The first attempt breaks off after it was read; then there is no peer to try again at.
    peer.reply(|_| Answer::reset());
    let ran = peer.calls();
    let calling = tokio::spawn(async move { agent.call("lookup", &word()).await });
    soon("the first attempt", async {
        while peer.calls() == ran {
            tokio::task::yield_now().await;
        }
    })
    .await;
    peer.leave().await;
    let said = calling.await.unwrap();
    assert_eq!(code(&said), json!(-31005));
    assert_eq!(said.json()["error"]["data"]["executed"], "unknown", "{:?}", said.json());
    sidecar.stop().await;
}

#[tokio::test]
async fn l2_a_reply_of_before_is_marked_and_never_stands_for_a_write() {
    let (peer, state) = (Peer::start(tools(), well).await, tempfile::tempdir().unwrap());
    let told = "{ retries: 0, breaker: { failures: 1000 } }";
    let sidecar = sidecar(&peer, state.path(), told).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for tool in ["lookup", "order"] {
        agent.call(tool, &word()).await.structured().unwrap();
    }
    peer.leave().await;
    for _ in 0..3 {
        let said = agent.call("lookup", &word()).await;
        assert_eq!(said.structured().unwrap(), word());
        let marked = &said.json()["result"]["_meta"]["dev.stipula/verdict"];
        assert_eq!((&marked["verdict"], &marked["code"]), (&json!("waived"), &json!(-31005)));
        assert!(marked["stale"]["age_ms"].is_u64(), "{marked}");
        let said = agent.call("order", &word()).await;
        assert_eq!(code(&said), json!(-31005), "{:?}", said.json());
        assert_eq!(said.json()["error"]["data"]["executed"], false);
    }
    assert_eq!(sidecar.metric(r#"stipula_stale_replies_total{peer="flights"}"#).await, 3.0);
    sidecar.stop().await;
}
