//! Callers that are listed different tools by one peer: what one of them does not see is not gone.

mod stage;

use std::path::Path;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli, said_to, soon};

const ANN: &str = "Bearer ann";
const BOB: &str = "Bearer bob";

fn tool(name: &str, reads: bool) -> Value {
    json!({
        "name": name,
        "description": format!("{name} by its place."),
        "inputSchema": { "type": "object", "properties": { "place": { "type": "string" } }, "required": ["place"], "additionalProperties": false },
        "outputSchema": { "type": "object", "properties": { "found": { "type": "string" } }, "required": ["found"] },
        "annotations": { "readOnlyHint": reads },
    })
}

/// Answers whoever may call: Ann everything that is listed to her.
fn only(tools: &'static [&'static str]) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    move |asked| {
        let ann = asked.headers.get("authorization").is_some_and(|shown| shown == ANN);
        let known = tools.contains(&asked.tool.as_str());
        if known && (ann || asked.tool == "get_station") {
            return asked.result(r#"{"found":"it"}"#);
        }
        asked.error(-32602, &format!("Unknown tool: {}", asked.tool))
    }
}

fn names(tools: &Value) -> Vec<&str> {
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

async fn listed(agent: &mut Agent, shows: &str) -> Value {
    let said = agent.ask_with("tools/list", &json!({}), &[("authorization", shows)]).await;
    said.json()["result"]["tools"].clone()
}

async fn called(agent: &mut Agent, tool: &str, shows: &str) -> stage::Said {
    let call = json!({ "name": tool, "arguments": { "place": "Bergen" } });
    agent.ask_with("tools/call", &call, &[("authorization", shows)]).await
}

/// What the ledger says of who lacks what.
async fn lacking(state: &Path) -> Vec<Value> {
    let output = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = lines.map(|line| line.get("record").cloned().unwrap_or(line));
    let listed = records.filter(|record| record["what"] == "listed");
    listed.map(|record| record["lacks"].clone()).collect()
}

/// The surface is read as ourselves, without a credential.
async fn reviewed(sidecar: &Sidecar) {
    let token = std::fs::read_to_string(sidecar.state.join("admin.token")).unwrap();
    let review = Request::post("/api/v1/review")
        .header("authorization", format!("Bearer {}", token.trim()))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(json!({ "peer": "flights" }).to_string())))
        .unwrap();
    assert_eq!(said_to(sidecar.admin, review).await.0, 200);
}

fn state_of<'s>(status: &'s Value, tool: &str) -> &'s str {
    let tools = status["tools"].as_array().unwrap();
    tools.iter().find(|it| it["tool"] == tool).map_or("", |it| it["state"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_one_caller_is_not_listed_is_not_gone() {
    let all = json!([tool("get_station", true), tool("list_ferries", true)]);
    let some = json!([tool("get_station", true)]);
    // Without a credential nothing is listed at all.
    let peer = Peer::start(json!([]), only(&["get_station", "list_ferries"])).await;
    peer.list_to(ANN, all.clone());
    peer.list_to(BOB, some.clone());
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let (mut ann, mut bob) =
        (Agent::connect(sidecar.proxy).await, Agent::connect(sidecar.proxy).await);
    assert_eq!(listed(&mut ann, ANN).await, all);
    assert!(called(&mut ann, "list_ferries", ANN).await.structured().is_ok());

    for life in 1..=2 {
        // Each sees what the peer lists to it, and calls what it sees.
        for _ in 0..3 {
            assert_eq!(listed(&mut bob, BOB).await, some);
            reviewed(&sidecar).await;
            assert_eq!(listed(&mut ann, ANN).await, all);
            assert!(called(&mut ann, "list_ferries", ANN).await.structured().is_ok());
            assert!(called(&mut bob, "get_station", BOB).await.structured().is_ok());
            assert_eq!(called(&mut bob, "list_ferries", BOB).await.error().0, -32602);
        }
        let status = sidecar.status().await;
        assert_eq!((&status["open_events"], &status["version"]), (&json!([]), &json!("1.0.0")));
        assert_eq!(sidecar.events().await, Vec::<Value>::new());
        if life == 1 {
            sidecar.stop().await;
            // Ann nothing, Bob the ferries, and whoever shows nothing both.
            let mut known = lacking(state.path()).await;
            known.sort_by_key(|lacks| lacks.as_array().unwrap().len());
            let both = json!(["get_station", "list_ferries"]);
            assert_eq!(known, [json!([]), json!(["list_ferries"]), both]);
            sidecar = Sidecar::start(&peer, state.path()).await;
            (ann, bob) = (Agent::connect(sidecar.proxy).await, Agent::connect(sidecar.proxy).await);
        }
    }

    // What nobody is listed any more is gone.
    peer.change(json!([]), only(&["get_station"]));
    peer.list_to(ANN, some.clone());
    assert_eq!(called(&mut ann, "list_ferries", ANN).await.error().0, -31006);
    let status = sidecar.until("it is broken", |it| state_of(it, "list_ferries") == "broken").await;
    assert_eq!(status["open_events"][0]["severity"], "critical");
    // Who never saw it has nothing to say about that.
    for _ in 0..3 {
        assert_eq!(names(&listed(&mut bob, BOB).await), ["get_station", "list_ferries"]);
        reviewed(&sidecar).await;
        assert!(called(&mut bob, "get_station", BOB).await.structured().is_ok());
    }
    let status = sidecar.status().await;
    assert_eq!(state_of(&status, "list_ferries"), "broken");
    assert_eq!((sidecar.events().await.len(), &status["version"]), (1, &json!("1.0.0")));
    // It is back for whom it was there.
    peer.change(json!([]), only(&["get_station", "list_ferries"]));
    peer.list_to(ANN, all.clone());
    assert_eq!(listed(&mut ann, ANN).await, all);
    sidecar.until("it is back", |it| state_of(it, "list_ferries") == "sound").await;
    assert!(called(&mut ann, "list_ferries", ANN).await.structured().is_ok());
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_is_listed_first_is_sealed_and_what_comes_later_is_an_addition() {
    let some = json!([tool("get_station", true)]);
    let more = json!([tool("get_station", true), tool("drop_station", false)]);
    let most = json!([
        tool("get_station", true),
        tool("drop_station", false),
        tool("purge_stations", false)
    ]);
    let tools = &["get_station", "drop_station", "purge_stations"];
    let peer = Peer::start(some.clone(), only(tools)).await;
    peer.list_to(ANN, more.clone());
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let (mut ann, mut bob) =
        (Agent::connect(sidecar.proxy).await, Agent::connect(sidecar.proxy).await);
    assert_eq!(listed(&mut bob, BOB).await, some);
    assert_eq!(listed(&mut ann, ANN).await, more);
    let sealed = |it: &Value| it["tools"].as_array().is_some_and(|tools| tools.len() == 2);
    sidecar.until("her tools are sealed", sealed).await;
    assert_eq!(names(&listed(&mut ann, ANN).await), ["get_station", "drop_station"]);
    assert!(called(&mut ann, "drop_station", ANN).await.structured().is_ok());

    // A tool that writes and that she was not listed before waits for a person.
    peer.list_to(ANN, most);
    listed(&mut ann, ANN).await;
    soon("the addition is hidden", async {
        while names(&listed(&mut ann, ANN).await).contains(&"purge_stations") {}
    })
    .await;
    assert_eq!(called(&mut ann, "purge_stations", ANN).await.error().0, -32602);
    assert!(sealed(&sidecar.status().await));
    sidecar.stop().await;
}
