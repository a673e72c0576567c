//! Calls that go on as tasks: the reply that is fetched later is held to what was promised for the call.

mod stage;

use std::time::Duration;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar};

fn tools(argument: &str, found: &str) -> Value {
    json!([{
        "name": "get_station",
        "description": "The station of a town.",
        "inputSchema": { "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument], "additionalProperties": false },
        "outputSchema": { "type": "object", "properties": { found: { "type": "string" } }, "required": [found] },
        "annotations": { "readOnlyHint": true },
        "execution": { "taskSupport": "optional" },
    }])
}

/// Begins a task for towns that take long, named by the town; answers the others at once.
fn slowly(argument: &'static str, found: &'static str) -> impl Fn(&Asked) -> Answer + Send + Sync {
    move |asked| {
        let Some(town) = asked.arguments[argument].as_str() else {
            return asked.rejected(&format!("missing required property {argument}"));
        };
        if town == "Voss" {
            return asked.result(&json!({ found: town }).to_string());
        }
        let id = &asked.id;
        let task = json!({ "taskId": town, "status": "working", "createdAt": "2026-11-22T10:00:00Z", "ttl": 60000 });
        Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"task":{task}}}}}"#))
    }
}

fn result(structured: &Value) -> Value {
    json!({ "content": [], "structuredContent": structured })
}

/// Answers questions for tasks with this.
fn tells(peer: &Peer, method: &'static str, told: Value) {
    peer.answer_first(move |asked, id| {
        let told = &told;
        (asked == method)
            .then(|| Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{told}}}"#)))
    });
}

async fn begun(agent: &mut Agent, town: &str) {
    let call = json!({ "name": "get_station", "arguments": { "town_name": town }, "task": { "ttl": 60000 } });
    let said = agent.ask("tools/call", &call).await.json();
    assert_eq!(said["result"]["task"]["taskId"], town, "{said}");
}

async fn judged(sidecar: &Sidecar, verdict: &str) -> f64 {
    let name =
        format!(r#"stipula_exchanges_total{{peer="flights",protocol="mcp",verdict="{verdict}"}}"#);
    sidecar.metric(&name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reply_that_a_task_ends_with_is_held_to_the_promise() {
    let peer =
        Peer::start(tools("town_name", "station_name"), slowly("town_name", "station_name")).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let voss = json!({ "town_name": "Voss" });
    assert!(agent.call("get_station", &voss).await.structured().is_ok());
    begun(&mut agent, "Bergen").await;
    let (bergen, broken) = (json!({ "station_name": "Bergen" }), json!({ "station_name": 7 }));
    let inside =
        |result: &Value| json!({ "taskId": "Bergen", "status": "completed", "result": result });
    let asked = json!({ "taskId": "Bergen" });

    for (method, good, bad) in [
        ("tasks/result", result(&bergen), result(&broken)),
        ("tasks/get", inside(&result(&bergen)), inside(&result(&broken))),
    ] {
        let kept = judged(&sidecar, "kept").await;
        tells(&peer, method, good.clone());
        assert_eq!(agent.ask(method, &asked).await.json()["result"], good, "{method}");
        assert!(judged(&sidecar, "kept").await > kept, "{method}");
        tells(&peer, method, bad.clone());
        let refused = agent.ask(method, &asked).await.json()["result"].clone();
        let (task, refused) = match method {
            "tasks/get" => (refused["status"].clone(), refused["result"].clone()),
            _ => (json!("completed"), refused),
        };
        assert_eq!((&task, &refused["isError"]), (&json!("completed"), &json!(true)), "{method}");
        assert_eq!(refused["_meta"]["dev.stipula/verdict"]["verdict"], "refused", "{method}");
        // A task that nobody was told to begin through here promises nothing.
        let other = agent.ask(method, &json!({ "taskId": "Oslo" })).await;
        assert_eq!(other.json()["result"], bad, "{method}");
        tells(&peer, method, good.clone());
        let call = json!({ "taskId": "Bergen" });
        let stranger = agent.ask_with(method, &call, &[("authorization", "Bearer x")]).await;
        assert_eq!(stranger.json()["result"], good, "{method}");
    }
    // How it stands is no reply, and an error of the task is the agent's to read.
    let working = json!({ "taskId": "Bergen", "status": "working" });
    tells(&peer, "tasks/get", working.clone());
    let kept = judged(&sidecar, "kept").await;
    assert_eq!(agent.ask("tasks/get", &asked).await.json()["result"], working);
    peer.answer_first(|method, id| {
        let error = r#"{"code":-32602,"message":"Invalid params: no such task"}"#;
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
        (method == "tasks/result").then(|| Answer::json(text))
    });
    assert_eq!(agent.ask("tasks/result", &asked).await.error().0, -32602);
    assert_eq!(judged(&sidecar, "kept").await, kept, "neither kept a promise");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_mended_by_what_carried_its_call_over() {
    let peer =
        Peer::start(tools("town_name", "station_name"), slowly("town_name", "station_name")).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let voss = json!({ "town_name": "Voss" });
    assert!(agent.call("get_station", &voss).await.structured().is_ok());
    peer.change(tools("townName", "stationName"), slowly("townName", "stationName"));
    assert!(agent.call("get_station", &voss).await.structured().is_ok());
    sidecar.told("healed get_station as v1.1.0").await;
    begun(&mut agent, "Bergen").await;
    tells(&peer, "tasks/result", result(&json!({ "stationName": "Bergen" })));
    let fetched = agent.ask("tasks/result", &json!({ "taskId": "Bergen" })).await;
    assert_eq!(fetched.structured().unwrap(), json!({ "station_name": "Bergen" }));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_task_goes_on_is_no_latency_of_its_tool() {
    let peer = Peer::start(tools("town_name", "station_name"), slowly("town_name", "station_name"));
    let (peer, state) = (peer.await, tempfile::tempdir().unwrap());
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let voss = json!({ "town_name": "Voss" });
    for _ in 0..30 {
        assert!(agent.call("get_station", &voss).await.structured().is_ok());
    }
    begun(&mut agent, "Bergen").await;
    let told = result(&json!({ "station_name": "Bergen" }));
    peer.answer_first(move |method, id| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{told}}}"#);
        let waits = Answer::json(text).after(Duration::from_millis(900));
        (method == "tasks/result").then_some(waits)
    });
    for _ in 0..6 {
        let fetched = agent.ask("tasks/result", &json!({ "taskId": "Bergen" })).await;
        assert!(fetched.structured().is_ok());
    }
    let events = sidecar.events().await;
    let slow = |event: &&Value| event["evidence"]["diff"][0]["kind"] == "slow";
    assert_eq!(events.iter().find(slow), None);
    sidecar.stop().await;
}
