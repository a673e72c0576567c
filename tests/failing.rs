//! The judge of a reply gives up in the middle of its work: its validator is unwound, which is what it does
//! where a reply would take more work than one may. By what is at stake the reply leaves as it came or is
//! withheld, and the file says which; everything that was decided before the peer was asked still holds.

mod stage;

use rustix::process::Signal;
use serde_json::{Value, json};
use stage::{Agent, Asked, Peer, Said, Sidecar, soon};

/// Two tools whose promise takes three thousand looks at each item of a reply.
fn tools() -> Value {
    let mut many: Vec<_> = (0..3_000).map(|at| json!({ "minimum": at + 10 })).collect();
    many.push(json!({ "const": 0 }));
    let output = json!({
        "type": "object",
        "properties": { "n": { "type": "array", "items": { "anyOf": many } } },
    });
    let tool = |name: &str, reads: bool| {
        json!({
            "name": name, "inputSchema": { "type": "object" }, "outputSchema": output,
            "annotations": { "readOnlyHint": reads },
        })
    };
    json!([tool("read", true), tool("write", false)])
}

fn items(asked: &Asked, count: usize) -> stage::Answer {
    asked.result(&json!({ "n": vec![0; count] }).to_string())
}

fn text(peer: &Peer, medium: &str, high: &str) -> String {
    format!(
        "failing: {{ medium: {medium}, high: {high} }}\nreload: {{ watch: false }}\npeers:\n  flights:\n    \
         url: \"{}\"\n    tools: {{ read: {{ rate_limit: {{ per_second: 0.0003, burst: 4 }} }} }}\n",
        peer.url()
    )
}

/// Withheld, and told that it ran.
fn withheld(said: &Said) -> bool {
    let message = said.json();
    let note = &message["result"]["_meta"]["dev.stipula/verdict"];
    if note.is_null() {
        assert_eq!(message["result"]["structuredContent"]["n"].as_array().unwrap().len(), 2_000);
        return false;
    }
    assert_eq!(
        (&message["result"]["isError"], &note["verdict"]),
        (&json!(true), &json!("refused"))
    );
    let told = message["result"]["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("could not be judged"), "{told}");
    assert!(message["result"]["structuredContent"].is_null(), "{told}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_unwinds_is_by_what_is_at_stake_and_skips_judging_alone() {
    let peer = Peer::start(tools(), |asked| items(asked, 1)).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start_from(state.path(), &text(&peer, "open", "closed")).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for tool in ["read", "write"] {
        // A declaration that was kept once is a promise.
        assert_eq!(agent.call(tool, &json!({})).await.structured().unwrap(), json!({ "n": [0] }));
    }
    peer.reply(|asked| items(asked, 2_000));
    let read = agent.call("read", &json!({})).await;
    let write = agent.call("write", &json!({})).await;
    assert_eq!((withheld(&read), withheld(&write)), (false, true), "as the file says");

    std::fs::write(state.path().join("stipula.yaml"), text(&peer, "closed", "open")).unwrap();
    sidecar.signal(Signal::HUP);
    let applied = r#"stipula_config_reloads_total{result="applied"}"#;
    soon("the other file", async { while sidecar.metric(applied).await < 1.0 {} }).await;
    let read = agent.call("read", &json!({})).await;
    let write = agent.call("write", &json!({})).await;
    assert_eq!((withheld(&read), withheld(&write)), (true, false), "and the other way round");

    // Each is counted and named, and it is no drift: the peer did nothing wrong.
    let counted = |verdict: &str| {
        format!(
            "stipula_exchanges_total{{peer=\"flights\",protocol=\"mcp\",verdict=\"{verdict}\"}}"
        )
    };
    assert_eq!(sidecar.metric(&counted("waived")).await, 2.0);
    assert_eq!(sidecar.metric(&counted("refused")).await, 2.0);
    assert_eq!(sidecar.metric("stipula_refusals_total{code=\"STP-UNDECIDED\"}").await, 2.0);
    assert_eq!(sidecar.events().await, Vec::<Value>::new());
    // A limit is asked for before the peer is, however open judging fails.
    std::fs::write(state.path().join("stipula.yaml"), text(&peer, "open", "open")).unwrap();
    sidecar.signal(Signal::HUP);
    soon("the third file", async { while sidecar.metric(applied).await < 2.0 {} }).await;
    assert!(!withheld(&agent.call("read", &json!({})).await));
    let asked = peer.calls();
    assert_eq!(agent.call("read", &json!({})).await.error().0, -31008);
    assert_eq!(peer.calls(), asked);
    // It lives, and judges what can be judged.
    peer.reply(|asked| items(asked, 1));
    assert_eq!(agent.call("write", &json!({})).await.structured().unwrap(), json!({ "n": [0] }));
    sidecar.stop().await;
}
