//! Numbers that no other test sees move: each of them moves for the reason that its help gives.

mod stage;

use serde_json::{Value, json};
use stage::{Agent, Peer, Sidecar, soon, text_of};

fn tools() -> Value {
    json!([{
        "name": "find",
        "inputSchema": { "type": "object" },
        "outputSchema": {
            "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"],
        },
        "annotations": { "readOnlyHint": true },
    }])
}

fn of_peer(name: &str) -> String {
    format!("stipula_{name}{{peer=\"flights\"}}")
}

#[tokio::test]
async fn each_number_moves_for_the_reason_that_its_help_gives() {
    let peer = Peer::start(tools(), |asked| asked.result(r#"{"n":1}"#)).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start_configured(&peer, state.path(), "seal: manual").await;
    let read = sidecar.metric("stipula_config_last_success_timestamp_seconds").await;
    assert!(read > 1.7e9, "{read}");
    assert_eq!(sidecar.metric("stipula_time_to_first_call_seconds").await, 0.0);
    let (_, text) = text_of(sidecar.admin, "/metrics").await;
    for name in ["contract_expiry_timestamp_seconds", "profile_score"] {
        assert!(!text.contains(&of_peer(name)), "{name} is told before there is one");
    }
    sidecar.stop().await;

    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let generation = sidecar.metric(&of_peer("live_generation")).await;
    for _ in 0..10 {
        agent.call("find", &json!({})).await.structured().unwrap();
    }
    assert!(sidecar.metric(&of_peer("live_generation")).await > generation);
    assert!(sidecar.metric(&of_peer("contract_expiry_timestamp_seconds")).await > 1.7e9);
    let first = sidecar.metric("stipula_time_to_first_call_seconds").await;
    assert!(first > 0.0 && first < 60.0, "{first}");
    assert_eq!(sidecar.metric("stipula_overhead_duration_seconds_count").await, 10.0);
    // The first call came before there was a contract; all others found it.
    let found = sidecar.metric("stipula_contract_cache_hit_ratio").await;
    assert!((found - 0.9).abs() < 1e-9, "{found}");
    // This agent's, and the one that asks.
    let open = sidecar.metric("stipula_connections_open").await;
    drop(agent);
    soon("one connection less", async {
        while sidecar.metric("stipula_connections_open").await >= open {}
    })
    .await;

    let mut agent = Agent::connect(sidecar.proxy).await;
    sidecar.until("a good score", |status| status["coherence"].as_f64() > Some(90.0)).await;
    let before = sidecar.metric(&of_peer("coherence_score")).await;
    assert_eq!(sidecar.metric("stipula_drift_detect_duration_seconds_count").await, 0.0);
    peer.reply(|asked| asked.result(r#"{"m":1}"#));
    for _ in 0..10 {
        agent.call("find", &json!({})).await;
    }
    soon("a lower score", async {
        while sidecar.metric(&of_peer("coherence_score")).await >= before {}
    })
    .await;
    assert_eq!(sidecar.metric("stipula_drift_detect_duration_seconds_count").await, 1.0);
    sidecar.stop().await;
}
