//! Capabilities that a peer declares and does not support, seen from outside: the real binary in front
//! of a peer that forgets its methods.

mod stage;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, cli, text_of};

const EVENTS: &str =
    r#"stipula_drift_events_total{peer="flights",severity="medium",type="capability"}"#;

fn tools() -> Value {
    json!([{
        "name": "read_note",
        "description": "Reads a note.",
        "inputSchema": { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] },
        "outputSchema": { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] },
        "annotations": { "readOnlyHint": true },
    }])
}

fn echo(asked: &Asked) -> Answer {
    asked.result(&json!({ "id": asked.arguments["id"] }).to_string())
}

fn all() -> Value {
    json!({ "tools": {}, "resources": { "subscribe": true }, "prompts": {}, "logging": {} })
}

/// The JSON text of an answer to a method, padded as a server may.
fn known(id: &str) -> String {
    format!(r#"{{ "jsonrpc":"2.0", "id":{id},"result":{{"resources":[],"prompts":[]}} }}"#)
}

fn unknown(id: &str) -> String {
    format!(
        r#"{{"id":{id},  "error":{{"message":"Method not found","code":-32601}},"jsonrpc":"2.0"}}"#
    )
}

/// From now on the peer does not know these methods, and answers all others of a capability.
fn forgets(peer: &Peer, methods: &'static [&'static str], how: fn(String) -> Answer) {
    peer.answer_first(move |method, id| {
        if methods.contains(&method) {
            return Some(how(unknown(id)));
        }
        let of_capability = ["resources/", "prompts/", "logging/"];
        let answered = of_capability.iter().any(|family| method.starts_with(family));
        answered.then(|| how(known(id)))
    });
}

fn as_json(text: String) -> Answer {
    Answer::json(text)
}

fn as_stream(text: String) -> Answer {
    Answer::stream(format!("event: message\ndata: {text}\n\n"))
}

async fn counted(sidecar: &Sidecar) -> f64 {
    let (_, text) = text_of(sidecar.admin, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(EVENTS));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

fn open_in(status: &Value) -> &Vec<Value> {
    status["open_events"].as_array().unwrap()
}

async fn none_open(sidecar: &Sidecar) {
    sidecar.until("no open event", |status| open_in(status).is_empty()).await;
}

/// The event that is open, once there is one.
async fn open_event(sidecar: &Sidecar) -> Value {
    let status = sidecar.until("an open event", |status| !open_in(status).is_empty()).await;
    let id = &open_in(&status)[0]["id"];
    let events = sidecar.events().await;
    events.into_iter().find(|event| event["drift_id"] == *id).unwrap()
}

/// Waits until the open event was seen so often.
async fn seen(sidecar: &Sidecar, times: u64) {
    stage::soon("sightings", async { while open_event(sidecar).await["occurrences"] != times {} })
        .await;
}

async fn ask(agent: &mut Agent, method: &str) -> Said {
    agent.ask(method, &json!({})).await
}

async fn sealed(peer: &Peer, state: &std::path::Path) -> (Sidecar, Agent) {
    let soon = "surface: { max_age_ms: 150 }";
    let sidecar = Sidecar::start_configured(peer, state, soon).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let said = agent.call("read_note", &json!({ "id": "7" })).await;
    assert_eq!(said.structured().unwrap()["id"], "7");
    (sidecar, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_capability_that_is_not_supported_is_told_and_blocks_nothing() {
    let peer = Peer::start(tools(), echo).await;
    peer.declare(all());
    forgets(&peer, &[], as_json);
    let state = tempfile::tempdir().unwrap();
    let (mut sidecar, mut agent) = sealed(&peer, state.path()).await;
    for method in ["resources/list", "prompts/list", "logging/setLevel"] {
        assert_eq!(ask(&mut agent, method).await.body, known(&agent_id(&agent)), "{method}");
    }
    // What is not declared need not be supported.
    assert_eq!(ask(&mut agent, "completion/complete").await.error().0, -32601);

    forgets(&peer, &["resources/list", "resources/read"], as_json);
    for method in ["resources/list", "resources/read", "resources/list"] {
        let said = ask(&mut agent, method).await;
        assert_eq!(said.body, unknown(&said.id.to_string()), "it passes as it came");
    }
    seen(&sidecar, 3).await;
    let told = sidecar.told("it declares resources and answers resources/list").await;
    assert!(told.contains("flights"), "{told}");
    let event = open_event(&sidecar).await;
    assert_eq!(
        (&event["type"], &event["severity"], &event["sensor"], &event["tool"]),
        (&json!("capability"), &json!("medium"), &json!("unsupported"), &Value::Null)
    );
    let evidence = &event["evidence"];
    assert_eq!(
        evidence["baseline"],
        json!({ "capability": "resources", "declared": { "subscribe": true } })
    );
    let observed = json!({ "capability": "resources", "method": "resources/list", "code": -32601 });
    assert_eq!(evidence["observed"], observed);
    assert_eq!(evidence["diff"][0]["pointer"], "/capabilities/resources");
    // Nothing is blocked, and everything else is as before.
    assert!(agent.call("read_note", &json!({ "id": "8" })).await.structured().is_ok());
    assert!(ask(&mut agent, "prompts/list").await.json()["result"].is_object());
    let status = sidecar.status().await;
    assert_eq!(status["tools"][0]["state"], "sound");
    assert_eq!((open_in(&status).len(), counted(&sidecar).await), (1, 1.0));

    // It is over when each of its methods is answered again, not before.
    forgets(&peer, &["resources/read"], as_json);
    ask(&mut agent, "resources/list").await;
    assert_eq!(open_in(&sidecar.status().await).len(), 1);
    forgets(&peer, &[], as_json);
    ask(&mut agent, "resources/read").await;
    none_open(&sidecar).await;
    sidecar.stop().await;
    let output = cli(&["ledger", "export", state.path().to_str().unwrap()]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records = records.iter().map(|line| line.get("record").unwrap_or(line));
    let of =
        |what: &str| records.clone().filter(|it| it["what"] == what).cloned().collect::<Vec<_>>();
    let incidents = of("incident");
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(incidents[0]["drift_id"], event["drift_id"]);
    let last = of("drift").pop().unwrap();
    assert_eq!(last["event"]["resolved_by"], "resources/read is answered again");
}

fn agent_id(agent: &Agent) -> String {
    agent.last().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_heard_however_it_is_said_and_outlives_a_restart() {
    for (capability, method, how) in [
        ("resources.subscribe", "resources/subscribe", as_stream as fn(String) -> Answer),
        ("prompts", "prompts/get", |text| Answer { status: 404, ..as_json(text) }),
        ("tools", "tools/list", as_json),
    ] {
        let peer = Peer::start(tools(), echo).await;
        peer.declare(all());
        let state = tempfile::tempdir().unwrap();
        let (sidecar, mut agent) = sealed(&peer, state.path()).await;
        let methods: &'static [&'static str] = match method {
            "tools/list" => &["tools/list"],
            "prompts/get" => &["prompts/get"],
            _ => &["resources/subscribe"],
        };
        forgets(&peer, methods, how);
        assert!(agent.list().await.is_array() || method == "tools/list");
        ask(&mut agent, method).await;
        let event = open_event(&sidecar).await;
        assert_eq!(event["evidence"]["observed"]["capability"], capability, "{event}");
        sidecar.stop().await;

        let sidecar = Sidecar::start(&peer, state.path()).await;
        let mut agent = Agent::connect(sidecar.proxy).await;
        assert_eq!(open_event(&sidecar).await["drift_id"], event["drift_id"]);
        peer.answer_first(move |asked, id| {
            (asked == method && method != "tools/list").then(|| how(known(id)))
        });
        ask(&mut agent, method).await;
        none_open(&sidecar).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_about_it_and_a_peer_may_declare_less() {
    let peer = Peer::start(tools(), echo).await;
    peer.declare(all());
    forgets(&peer, &["prompts/list", "logging/setLevel"], as_json);
    let state = tempfile::tempdir().unwrap();
    let (sidecar, mut agent) = sealed(&peer, state.path()).await;
    ask(&mut agent, "prompts/list").await;
    let status = sidecar.until("an open event", |status| !open_in(status).is_empty()).await;
    let decision = open_in(&status)[0]["decision"].as_str().unwrap();
    sidecar.decide(&["approvals", "approve", decision, "--reason", "nobody uses it"]).await;
    none_open(&sidecar).await;
    // It is not asked about again.
    ask(&mut agent, "prompts/list").await;
    ask(&mut agent, "logging/setLevel").await;
    let event = open_event(&sidecar).await;
    assert_eq!(event["evidence"]["observed"]["capability"], "logging");
    assert_eq!(open_in(&sidecar.status().await).len(), 1);
    assert_eq!(counted(&sidecar).await, 2.0);

    peer.declare(json!({ "tools": {}, "resources": {} }));
    none_open(&sidecar).await;
    let events = sidecar.events().await;
    let ended = events.iter().find(|it| it["drift_id"] == event["drift_id"]).unwrap();
    assert_eq!(ended["resolved_by"], "the peer no longer declares logging");
    // Nor is it drift from now on.
    ask(&mut agent, "logging/setLevel").await;
    ask(&mut agent, "prompts/list").await;
    peer.asked(4).await;
    assert_eq!((open_in(&sidecar.status().await).len(), counted(&sidecar).await), (0, 2.0));
}
