//! Challengers in shadow, seen from outside: a routine that passed its gate carries exchanges beside what
//! is in force before it takes its place. The real binary in front of a peer that changes its mind.

mod stage;

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli};

fn tool(argument: &str, reads: bool) -> Value {
    json!([{
        "name": "get_station",
        "description": "A station by its name.",
        "inputSchema": { "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument], "additionalProperties": false },
        "outputSchema": { "type": "object", "properties": { "found": { "type": "string" } }, "required": ["found"] },
        "annotations": { "readOnlyHint": reads },
    }])
}

/// What a peer was asked: the argument's name and its value.
type Log = Arc<Mutex<Vec<(String, String)>>>;

fn log(asked: &Asked, seen: &Log) -> (String, String) {
    let arguments = asked.arguments.as_object().unwrap();
    let (name, value) = arguments.iter().next().unwrap();
    let entry = (name.clone(), value.as_str().unwrap().to_owned());
    seen.lock().unwrap().push(entry.clone());
    entry
}

fn station(asked: &Asked, name: &str) -> Answer {
    asked.result(&json!({ "found": format!("station {name}") }).to_string())
}

/// A peer that takes the argument under both names.
fn both(seen: &Log) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |asked| {
        let (_, value) = log(asked, &seen);
        station(asked, &value)
    }
}

fn asked_as(seen: &Log, name: &str) -> usize {
    seen.lock().unwrap().iter().filter(|(argument, _)| argument == name).count()
}

async fn started(peer: &Peer, state: &Path, exchanges: u32) -> (Sidecar, Agent) {
    let text = format!(
        "patch: {{ shadow_exchanges: {exchanges} }}\npeers: {{ flights: {{ url: \"{}\", surface: {{ max_age_ms: 150 }} }} }}\n",
        peer.url()
    );
    let sidecar = Sidecar::start_from(state, &text).await;
    let agent = Agent::connect(sidecar.proxy).await;
    (sidecar, agent)
}

/// Calls as the agent was promised, and is answered.
async fn found(agent: &mut Agent, name: &str) {
    let said = agent.call("get_station", &json!({ "station_name": name })).await;
    assert_eq!(said.structured().unwrap()["found"], format!("station {name}"));
}

/// How the challenger stands, once it is so.
async fn shadow(sidecar: &Sidecar, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let of = |status: &Value| status["shadow"].get(0).cloned().unwrap_or_default();
    of(&sidecar.until(what, |status| is(&of(status))).await)
}

async fn records(state: &Path, kind: &str) -> Vec<Value> {
    let output = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = lines.map(|line| line.get("record").cloned().unwrap_or(line));
    records.filter(|record| record["what"] == kind).collect()
}

/// What was observed rests a moment on its way to the actor; a review answers when it is there.
async fn taken(sidecar: &Sidecar) {
    let token = std::fs::read_to_string(sidecar.state.join("admin.token")).unwrap();
    let body = http_body_util::Full::from(r#"{"peer":"flights"}"#);
    let request = http::Request::post("/api/v1/review")
        .header("authorization", format!("Bearer {}", token.trim()))
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let (status, text) = stage::said_to(sidecar.admin, request).await;
    assert_eq!(status, 200, "{text}");
}

fn counted(outcome: &str) -> String {
    format!(r#"stipula_shadow_exchanges_total{{outcome="{outcome}"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_carries_enough_takes_the_champions_place() {
    let seen = Log::default();
    let peer = Peer::start(tool("station_name", true), both(&seen)).await;
    let state = tempfile::tempdir().unwrap();
    let (mut sidecar, mut agent) = started(&peer, state.path(), 4).await;
    found(&mut agent, "Bergen").await;
    found(&mut agent, "Bergen").await;
    taken(&sidecar).await;
    peer.change(tool("stationName", true), both(&seen));
    // What was recorded is run first, each request once.
    let so_far = shadow(&sidecar, "two recorded", |it| it["carried"] == 2).await;
    assert_eq!((&so_far["state"], &so_far["needed"]), (&json!("awaiting"), &json!(4)), "{so_far}");
    assert_eq!(asked_as(&seen, "stationName"), 1);
    let status = sidecar.status().await;
    assert_eq!(
        (&status["version"], &status["tools"][0]["state"]),
        (&json!("1.0.0"), &json!("sound"))
    );
    assert_eq!(status["open_events"][0]["state"], "healing");
    let event = status["open_events"][0]["id"].clone();
    let told = cli(&["status", "--admin", &format!("http://{}", sidecar.admin)]).await;
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("runs in shadow beside v1.0.0: 2 of 4 exchanges carried"), "{told}");

    // The champion serves meanwhile, and what it serves counts.
    found(&mut agent, "Bergen").await;
    shadow(&sidecar, "a third", |it| it["carried"] == 3).await;
    assert_eq!(asked_as(&seen, "station_name"), 3);
    found(&mut agent, "Oslo").await;
    sidecar.told("healed get_station as v1.1.0").await;
    let before = asked_as(&seen, "station_name");
    found(&mut agent, "Oslo").await;
    assert_eq!(asked_as(&seen, "station_name"), before, "the challenger is in force");
    let status = sidecar.status().await;
    assert_eq!((&status["open_events"], &status["waiting"]), (&json!([]), &json!([])));
    assert_eq!(status["shadow"], Value::Null);
    assert_eq!(sidecar.metric(&counted("carried")).await, 4.0);
    assert_eq!(sidecar.metric(&counted("missed")).await, 0.0);
    // Why is it so? Because of a trial that it passed.
    let why = sidecar.cli(&["why", event.as_str().unwrap()]).await;
    let trials = why["records"].as_array().unwrap().iter().filter(|it| it["what"] == "shadowed");
    let trials: Vec<_> = trials.map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(trials, ["awaiting", "passed"], "{why}");
    sidecar.stop().await;
    let decided = records(state.path(), "decided").await;
    assert_eq!(decided.last().unwrap()["decision"], "auto", "{decided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_differs_waits_for_a_person_while_the_champion_serves() {
    // Under its new name the peer understands something else, of one station or of another.
    for other in ["Bergen", "Oslo"] {
        let seen = Log::default();
        let peer = Peer::start(tool("station_name", true), both(&seen)).await;
        let state = tempfile::tempdir().unwrap();
        let (mut sidecar, mut agent) = started(&peer, state.path(), 50).await;
        found(&mut agent, "Bergen").await;
        found(&mut agent, "Bergen").await;
        taken(&sidecar).await;
        let log_of = Arc::clone(&seen);
        peer.change(tool("stationName", true), move |asked| {
            let (argument, value) = log(asked, &log_of);
            let wrong = argument == "stationName" && value == other;
            station(asked, if wrong { "Elsewhere" } else { &value })
        });
        if other == "Oslo" {
            shadow(&sidecar, "it is good so far", |it| it["carried"] == 2).await;
            // Once may be the peer's own change of mind; what two recordings agree on is none.
            found(&mut agent, "Oslo").await;
            let so_far = shadow(&sidecar, "nobody knows", |it| it["untold"] == 1).await;
            assert_eq!(so_far["state"], "awaiting");
            found(&mut agent, "Oslo").await;
        }
        let missed = shadow(&sidecar, "it missed", |it| it["state"] == "missed").await;
        assert_eq!(missed["difference"], "/found differs from what was recorded");
        let line = sidecar.told("get_station waits for you").await;
        assert!(line.contains("/found differs"), "{line}");
        assert_eq!(sidecar.metric(&counted("missed")).await, 1.0);
        for _ in 0..4 {
            found(&mut agent, "Oslo").await;
        }
        let status = sidecar.status().await;
        assert_eq!(status["version"], "1.0.0");
        assert_eq!(status["open_events"][0]["state"], "waiting");
        sidecar.stop().await;
        let trials = records(state.path(), "shadowed").await;
        assert_eq!(trials.last().unwrap()["outcome"], "missed", "{trials:?}");

        // Restarts do not make it better.
        let (mut sidecar, _) = started(&peer, state.path(), 50).await;
        sidecar.told("get_station waits for you").await;
        sidecar.stop().await;
        let (mut sidecar, _) = started(&peer, state.path(), 50).await;
        sidecar.told("get_station waits for you").await;
        let waits = |status: &Value| status["waiting"].get(0).is_some();
        let status = sidecar.until("it waits", waits).await;
        assert_eq!((&status["version"], &status["shadow"]), (&json!("1.0.0"), &Value::Null));
        // A person may take it all the same.
        let id = status["waiting"][0]["id"].as_str().unwrap();
        assert_eq!(missed["proposal"], id);
        sidecar.decide(&["approvals", "approve", id, "--reason", "Elsewhere it is"]).await;
        sidecar.until("it is in force", |it| it["version"] == "1.1.0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_champion_cannot_serve_what_was_recorded_decides_or_a_person() {
    for (exchanges, enough) in [(3, true), (50, false)] {
        let seen = Log::default();
        let peer = Peer::start(tool("station_name", true), both(&seen)).await;
        let state = tempfile::tempdir().unwrap();
        let (sidecar, mut agent) = started(&peer, state.path(), exchanges).await;
        for _ in 0..3 {
            found(&mut agent, "Bergen").await;
        }
        taken(&sidecar).await;
        let log_of = Arc::clone(&seen);
        peer.change(tool("stationName", true), move |asked| {
            let (argument, value) = log(asked, &log_of);
            if argument == "stationName" {
                return station(asked, &value);
            }
            asked.rejected("missing required property stationName")
        });
        if enough {
            // Nobody notices.
            found(&mut agent, "Bergen").await;
            assert_eq!(sidecar.status().await["version"], "1.1.0");
            continue;
        }
        let mut refused = String::new();
        stage::soon("it is refused", async {
            // The first ones may come before the peer's surface was read again.
            loop {
                let said = agent.call("get_station", &json!({ "station_name": "Bergen" })).await;
                let (code, why) = said.error();
                if code == -31007 {
                    refused = why;
                    return;
                }
            }
        })
        .await;
        assert!(refused.contains("3 of 50 exchanges carried"), "{refused}");
        let stands = shadow(&sidecar, "it awaits", |it| it["state"] == "awaiting").await;
        let awaits = stands["awaits"].as_str().unwrap();
        assert!(awaits.contains("the peer refuses calls as they are"), "{awaits}");
        assert_eq!(sidecar.status().await["open_events"][0]["state"], "waiting");
        let id = stands["proposal"].as_str().unwrap();
        assert!(awaits.contains(&format!("stipula approvals approve {id}")), "{awaits}");
        sidecar.decide(&["approvals", "approve", id, "--reason", "it reads well"]).await;
        found(&mut agent, "Bergen").await;
        let status = sidecar.status().await;
        assert_eq!((&status["version"], &status["shadow"]), (&json!("1.1.0"), &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_may_write_is_never_asked_in_shadow() {
    let seen = Log::default();
    let peer = Peer::start(tool("station_name", false), both(&seen)).await;
    let state = tempfile::tempdir().unwrap();
    let (mut sidecar, mut agent) = started(&peer, state.path(), 3).await;
    found(&mut agent, "Bergen").await;
    peer.change(tool("stationName", false), both(&seen));
    shadow(&sidecar, "it begins", |it| it["carried"] == 0).await;
    for _ in 0..3 {
        found(&mut agent, "Bergen").await;
    }
    sidecar.told("healed get_station as v1.1.0").await;
    assert_eq!((peer.calls(), asked_as(&seen, "stationName")), (4, 0));
    found(&mut agent, "Bergen").await;
    assert_eq!((peer.calls(), asked_as(&seen, "stationName")), (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_surface_that_is_back_ends_the_shadow() {
    let seen = Log::default();
    let peer = Peer::start(tool("station_name", true), both(&seen)).await;
    let state = tempfile::tempdir().unwrap();
    let (sidecar, mut agent) = started(&peer, state.path(), 50).await;
    found(&mut agent, "Bergen").await;
    peer.change(tool("stationName", true), both(&seen));
    shadow(&sidecar, "it begins", |it| it["carried"] == 1).await;
    peer.change(tool("station_name", true), both(&seen));
    let status = sidecar.until("it is back", |it| it["open_events"] == json!([])).await;
    assert_eq!((&status["shadow"], &status["waiting"]), (&Value::Null, &json!([])));
    assert_eq!(status["version"], "1.0.0");
    found(&mut agent, "Bergen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_changed_are_mended_once_enough_of_them_were() {
    let definition = json!([{
        "name": "create_issue",
        "description": "Opens an issue.",
        "inputSchema": { "type": "object", "properties": { "title": { "type": "string" } }, "required": ["title"] },
    }]);
    let answers = |whole: bool| {
        move |asked: &Asked| {
            let title = asked.arguments["title"].as_str().unwrap();
            let mut document =
                json!({ "id": title, "url": format!("https://example.com/{title}") });
            if whole {
                document["self"] = document["url"].clone();
            }
            asked.result(&document.to_string())
        }
    };
    let peer = Peer::start(definition, answers(true)).await;
    let state = tempfile::tempdir().unwrap();
    let (mut sidecar, mut agent) = started(&peer, state.path(), 3).await;
    for number in 0..20 {
        agent.call("create_issue", &json!({ "title": format!("t{number}") })).await;
    }
    sidecar.told("inferred reply terms of create_issue").await;
    peer.reply(answers(false));
    for number in 20..23 {
        let said = agent.call("create_issue", &json!({ "title": format!("t{number}") })).await;
        assert_eq!(said.structured().unwrap().get("self"), None, "it is in shadow yet");
    }
    sidecar.told("healed create_issue as v1.1.0").await;
    let said = agent.call("create_issue", &json!({ "title": "t23" })).await;
    assert_eq!(said.structured().unwrap()["self"], "https://example.com/t23");
    assert_eq!(sidecar.metric(&counted("carried")).await, 3.0);
    assert_eq!(peer.calls(), 24, "a write is never sent again");
}
