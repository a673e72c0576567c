//! Who asks too often, or brings too much, is told so by name, and the others are not.

mod stage;

use std::time::Duration;

use serde_json::{Value, json};
use stage::{Agent, Peer, Said, Sidecar};

async fn peer() -> Peer {
    let tool = |name: &str| {
        json!({
            "name": name,
            "inputSchema": { "type": "object" },
            "outputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": true },
        })
    };
    Peer::start(json!([tool("read"), tool("book")]), |asked| asked.result("{}")).await
}

/// A call of somebody who shows a credential.
async fn call(agent: &mut Agent, who: &str, tool: &str, arguments: &Value) -> Said {
    let bearer = format!("Bearer {who}");
    let params = json!({ "name": tool, "arguments": arguments });
    agent.ask_with("tools/call", &params, &[("authorization", &bearer)]).await
}

/// What a refusal says of itself: its stable code, whether to try again, and when.
fn refused(said: &Said) -> (String, bool, Option<u64>) {
    assert_eq!(said.json()["id"], json!(said.id));
    let data = &said.json()["error"]["data"];
    assert_eq!(data["executed"], json!(false), "{data}");
    let code = data["error"].as_str().unwrap().to_owned();
    (code, data["retryable"] == json!(true), data["retry_after_ms"].as_u64())
}

/// How many requests were refused for this reason.
async fn shed(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric(&format!("stipula_shed_total{{peer=\"flights\",reason=\"{reason}\"}}")).await
}

/// Waits until so many calls are `in_flight` or `queued`.
async fn calls_are(sidecar: &Sidecar, place: &str, count: f64) {
    let name = format!("stipula_calls_{place}{{peer=\"flights\"}}");
    stage::soon(&name, async { while sidecar.metric(&name).await != count {} }).await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    // One an hour comes free: what this test sees does not rest on how fast it runs.
    let rates = "rate_limits: { principal: { per_second: 0.0003, burst: 3 } }, \
                 tools: { book: { rate_limit: { per_second: 0.0003, burst: 2 } } }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), rates).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for _ in 0..3 {
        assert!(call(&mut agent, "ann", "read", &json!({})).await.structured().is_ok());
    }
    let before = peer.calls();
    let said = call(&mut agent, "ann", "read", &json!({})).await;
    let (code, retryable, after) = refused(&said);
    assert_eq!((code.as_str(), retryable), ("STP-RATE-LIMITED", true));
    assert_eq!(said.error().0, -31008);
    let after = after.unwrap();
    assert!((3_000_000..=3_334_000).contains(&after), "{after}");
    let header: u64 = said.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(header, after.div_ceil(1000));
    assert_eq!(peer.calls(), before, "a refused call reaches nobody");
    // Another principal, on the same connection and in the same session.
    for _ in 0..2 {
        assert!(call(&mut agent, "bob", "book", &json!({})).await.structured().is_ok());
    }
    let said = call(&mut agent, "cid", "book", &json!({})).await;
    assert_eq!(refused(&said).0, "STP-RATE-LIMITED");
    assert!(call(&mut agent, "cid", "read", &json!({})).await.structured().is_ok());
    // What a peer waits for, and what is no request, is never in excess.
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let bearer = [("authorization", "Bearer ann")];
    assert_eq!(agent.say(&told, &bearer).await.status, 202);
    assert_eq!(
        (shed(&sidecar, "principal_rate").await, shed(&sidecar, "tool_rate").await),
        (1.0, 1.0)
    );
    assert_eq!(sidecar.metric("stipula_limits_total{limit=\"rate\"}").await, 2.0);
    sidecar.stop().await;
}

#[tokio::test]
async fn what_no_contract_watches_is_limited_too() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let rates = "seal: manual, rate_limits: { peer: { per_second: 0.0003, burst: 2 } }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), rates).await;
    let mut agent = Agent::unopened(sidecar.proxy).await;
    for _ in 0..2 {
        // Without a session the peer says no, and it is the peer that says it.
        assert_eq!(agent.ask("ping", &json!({})).await.status, 400);
    }
    let said = agent.ask("ping", &json!({})).await;
    assert_eq!(said.status, 429);
    assert!(said.headers.contains_key("retry-after"));
    assert_eq!(said.json()["error"]["data"]["error"], "STP-RATE-LIMITED");
    sidecar.stop().await;
}

#[tokio::test]
async fn arguments_and_prompts_beyond_their_size_are_refused_by_name() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let sizes = "sizes: { text_bytes: 10 }, tools: { book: { sizes: { arguments_bytes: 30 } } }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), sizes).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for (tool, arguments, fits) in [
        ("read", json!({ "prompt": "0123456789" }), true),
        ("read", json!({ "prompt": "0123456789+" }), false),
        ("read", json!({ "numbers": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }), true),
        ("book", json!({ "numbers": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }), false),
        ("book", json!({ "prompt": "0123456789+" }), false),
    ] {
        let before = peer.calls();
        let said = call(&mut agent, "ann", tool, &arguments).await;
        if fits {
            assert!(said.structured().is_ok(), "{tool} {arguments}");
            continue;
        }
        assert_eq!(refused(&said), ("STP-TOO-LARGE".to_owned(), false, None), "{arguments}");
        assert_eq!((said.status, &said.json()["error"]["code"]), (413, &json!(-32600)));
        assert_eq!(peer.calls(), before);
    }
    assert_eq!(shed(&sidecar, "size").await, 3.0);
    sidecar.stop().await;
}

#[tokio::test]
async fn who_finds_no_room_to_wait_or_waits_too_long_is_told_so() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let sharing = "sharing: { adaptive: false, in_flight: { min: 1, max: 1 }, queue: 2, \
                   queue_per_principal: 1, wait_ms: 50 }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), sharing).await;
    let mut agents = Vec::new();
    for _ in 0..5 {
        agents.push(Agent::connect(sidecar.proxy).await);
    }
    assert!(call(&mut agents[0], "ann", "read", &json!({})).await.structured().is_ok());
    // One call is worked at and does not end; the others come while it is.
    peer.work(1, Duration::from_secs(3600));
    let mut worked = agents.pop().unwrap();
    let worked = tokio::spawn(async move {
        let params = json!({ "name": "read", "arguments": {} });
        worked.try_ask("tools/call", &params).await.map(|_| ())
    });
    calls_are(&sidecar, "in_flight", 1.0).await;
    // Waits its 50 ms, and is told when to come back.
    let said = call(&mut agents[0], "ann", "read", &json!({})).await;
    let (code, retryable, after) = refused(&said);
    assert_eq!((code.as_str(), retryable, said.error().0), ("STP-OVERLOADED", true, -32603));
    assert!(after.unwrap() >= 100 && said.headers.contains_key("retry-after"), "{after:?}");
    assert_eq!((shed(&sidecar, "wait").await, shed(&sidecar, "queue").await), (1.0, 0.0));
    // The agent leaves: its place is free at once.
    worked.abort();
    calls_are(&sidecar, "in_flight", 0.0).await;
    peer.work(1, Duration::ZERO);
    assert!(call(&mut agents[0], "ann", "read", &json!({})).await.structured().is_ok());
    sidecar.stop().await;
}

#[tokio::test]
async fn as_many_wait_as_may_of_all_and_of_each() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let sharing = "sharing: { adaptive: false, in_flight: { min: 1, max: 1 }, queue: 2, \
                   queue_per_principal: 1, wait_ms: 20000 }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), sharing).await;
    let mut agents = Vec::new();
    for _ in 0..5 {
        agents.push(Agent::connect(sidecar.proxy).await);
    }
    assert!(call(&mut agents[0], "ann", "read", &json!({})).await.structured().is_ok());
    peer.work(1, Duration::from_secs(3600));
    let mut asking = Vec::new();
    for (who, name, value) in
        [("ann", "in_flight", 1.0), ("ann", "queued", 1.0), ("bob", "queued", 2.0)]
    {
        let mut agent = agents.pop().unwrap();
        asking.push(tokio::spawn(async move { call(&mut agent, who, "read", &json!({})).await }));
        calls_are(&sidecar, name, value).await;
        if value == 1.0 && name == "queued" {
            let said = call(&mut agents[0], "ann", "read", &json!({})).await;
            assert_eq!(refused(&said).0, "STP-OVERLOADED");
        }
    }
    let said = call(&mut agents[0], "cid", "read", &json!({})).await;
    assert_eq!(refused(&said).0, "STP-OVERLOADED");
    for reason in ["principal_queue", "queue"] {
        assert_eq!(shed(&sidecar, reason).await, 1.0, "{reason}");
    }
    // Those who leave the line leave it at once, and who leaves the peer lets the next one go.
    asking.remove(1).abort();
    calls_are(&sidecar, "queued", 1.0).await;
    peer.work(1, Duration::ZERO);
    asking.remove(0).abort();
    let served = asking.remove(0).await.unwrap();
    assert!(served.structured().is_ok(), "{served:?}");
    sidecar.stop().await;
}
