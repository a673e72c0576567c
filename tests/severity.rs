//! What each severity brings about, seen from outside: incidents, rollbacks, decisions, expiry.

mod stage;

use std::path::Path;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli};

fn tool(name: &str, argument: &str) -> Value {
    json!({
        "name": name,
        "description": format!("{name} by its {argument}."),
        "inputSchema": { "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument], "additionalProperties": false },
        "outputSchema": { "type": "object", "properties": { "found": { "type": "string" } }, "required": ["found"] },
        "annotations": { "readOnlyHint": true },
    })
}

fn found(asked: &Asked) -> Answer {
    asked.result(r#"{"found":"it"}"#)
}

fn takes(argument: &'static str) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    move |asked| {
        if asked.tool != "get_station" || asked.arguments.get(argument).is_some() {
            return found(asked);
        }
        asked.rejected(&format!("missing required property {argument}"))
    }
}

async fn records(state: &Path, kind: &str) -> Vec<Value> {
    let output = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = lines.map(|line| line.get("record").cloned().unwrap_or(line));
    records.filter(|record| record["what"] == kind).collect()
}

fn state_of<'s>(status: &'s Value, tool: &str) -> &'s str {
    let tools = status["tools"].as_array().unwrap();
    let mine = tools.iter().find(|it| it["tool"] == tool);
    mine.map_or("", |it| it["state"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_gone_opens_its_breaker_and_an_incident() {
    let both = json!([tool("get_station", "station"), tool("list_ferries", "harbour")]);
    let peer = Peer::start(both.clone(), found).await;
    let state = tempfile::tempdir().unwrap();
    let often = "surface: { max_age_ms: 150 }";
    let mut sidecar = Sidecar::start_configured(&peer, state.path(), often).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let station = json!({ "station": "Bergen" });
    assert!(agent.call("get_station", &station).await.structured().is_ok());

    let trips = r#"stipula_circuit_breaker_trips_total{peer="flights"}"#;
    for round in 1..=2 {
        peer.change(json!([tool("list_ferries", "harbour")]), found);
        sidecar.told("get_station changed and cannot be carried over").await;
        sidecar.until("it is broken", |it| state_of(it, "get_station") == "broken").await;
        assert_eq!(agent.call("get_station", &station).await.error().0, -31006);
        let harbour = json!({ "harbour": "Bergen" });
        assert!(agent.call("list_ferries", &harbour).await.structured().is_ok());
        assert_eq!(sidecar.metric(trips).await, f64::from(round));
        let critical =
            r#"stipula_drift_events_total{peer="flights",severity="critical",type="capability"}"#;
        assert_eq!(sidecar.metric(critical).await, f64::from(round));
        if round == 1 {
            // It comes back as it was: the event is over and calls go on.
            peer.change(both.clone(), found);
            sidecar.until("it is back", |it| state_of(it, "get_station") == "sound").await;
            assert!(agent.call("get_station", &station).await.structured().is_ok());
        }
    }
    // A person takes it: the tool is promised no longer.
    let status = sidecar.status().await;
    let open = &status["open_events"][0];
    assert_eq!((&open["type"], &open["severity"]), (&json!("capability"), &json!("critical")));
    let decision = open["decision"].as_str().unwrap();
    let told = cli(&["status", "--admin", &format!("http://{}", sidecar.admin)]).await;
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains(&format!("stipula approvals approve {decision}")), "{told}");
    sidecar.decide(&["approvals", "approve", decision, "--reason", "we can do without"]).await;
    let status = sidecar.until("the next major", |it| it["version"] == "2.0.0").await;
    assert_eq!(status["open_events"], json!([]));
    assert_eq!(state_of(&status, "get_station"), "");
    sidecar.stop().await;

    let incidents = records(state.path(), "incident").await;
    assert_eq!(incidents.len(), 2, "{incidents:?}");
    for incident in &incidents {
        assert_eq!(
            (&incident["kind"], &incident["severity"]),
            (&json!("incident"), &json!("critical"))
        );
        assert_eq!(
            (&incident["standing"], &incident["tool"]),
            (&json!("invalid"), &json!("get_station"))
        );
        assert!(incident["contract"].is_string(), "{incident}");
    }
    let edges = records(state.path(), "edge").await;
    assert!(edges.iter().any(|edge| edge["to"] == incidents[0]["id"]), "{edges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routine_that_misses_after_the_swap_is_taken_back() {
    let peer =
        Peer::start(json!([tool("get_station", "station_name")]), takes("station_name")).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let station = json!({ "station_name": "Bergen" });
    assert!(agent.call("get_station", &station).await.structured().is_ok());
    // What is listed takes another casing, and what runs takes neither.
    peer.change(json!([tool("get_station", "stationName")]), |asked: &Asked| {
        asked.rejected("missing required property station-name")
    });
    for _ in 0..4 {
        assert!(agent.call("get_station", &station).await.structured().is_err());
    }
    sidecar.told("healed get_station as v1.1.0").await;
    let line = sidecar.told("went back to v1.0.0").await;
    assert!(line.contains("missed in its first exchanges"), "{line}");
    let status = sidecar.until("the version before", |it| it["version"] == "1.0.0").await;
    // What was withdrawn is never automatic again: it waits.
    let _ = agent.call("get_station", &station).await;
    sidecar.until("it waits", |it| state_of(it, "get_station") == "waiting").await;
    assert_eq!(sidecar.status().await["version"], "1.0.0", "{status}");
    sidecar.stop().await;
    let decided = records(state.path(), "decided").await;
    let withdrawn: Vec<_> = decided.iter().filter(|it| it["decision"] == "withdrawn").collect();
    assert_eq!(withdrawn.len(), 1, "{decided:?}");
    let moved = records(state.path(), "head_moved").await;
    assert_eq!(moved.last().unwrap()["why"], "rollback");
}

fn booking(arguments: &[&str]) -> Value {
    let properties = json!({
        "flight": { "type": "string", "description": "The flight." },
        "notify": { "type": "boolean", "default": false, "description": "Tell by mail." },
    });
    let mut input = properties.as_object().unwrap().clone();
    input.retain(|name, _| arguments.contains(&name.as_str()));
    json!([{
        "name": "book_flight", "description": "Books a seat.",
        "inputSchema": { "type": "object", "properties": input, "required": arguments },
    }])
}

fn booked(arguments: &'static [&'static str]) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    move |asked| match arguments.iter().find(|name| asked.arguments.get(**name).is_none()) {
        Some(missing) => asked.rejected(&format!("missing required property {missing}")),
        None => asked.result("{}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_lapses_and_is_asked_for_again_and_a_denial_bars_it() {
    let peer = Peer::start(booking(&["flight"]), booked(&["flight"])).await;
    let state = tempfile::tempdir().unwrap();
    let short = "approval_expiry_ms: 400, surface: { max_age_ms: 100 }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), short).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let flight = json!({ "flight": "SK1" });
    assert!(agent.call("book_flight", &flight).await.structured().is_ok());
    peer.change(booking(&["flight", "notify"]), booked(&["flight", "notify"]));
    assert_eq!(agent.call("book_flight", &flight).await.error().0, -31007);
    let waiting = |status: &Value| status["waiting"].as_array().unwrap().len();
    let status = sidecar.until("it waits", |status| waiting(status) == 1).await;
    let id = status["waiting"][0]["id"].as_str().unwrap().to_owned();
    let until = status["waiting"][0]["expires_at"].clone();
    // Nobody decides: it lapses, and the next sighting offers it again under the same name.
    let again =
        |status: &Value| waiting(status) == 1 && status["waiting"][0]["expires_at"] != until;
    let status = sidecar.until("it waits again", again).await;
    assert_eq!(status["waiting"][0]["id"], id.as_str());

    // Whoever decides is told who is affected.
    let mut named = Agent::connect(sidecar.proxy).await;
    let params = json!({ "name": "book_flight", "arguments": flight });
    named.ask_with("tools/call", &params, &[("authorization", "Bearer canary-four")]).await;
    let callers = |status: &Value| status["waiting"][0]["affected"].as_array().map_or(0, Vec::len);
    let status = sidecar.until("both callers", |status| callers(status) == 2).await;
    let affected = status["waiting"][0]["affected"].to_string();
    assert!(affected.contains("anonymous") && !affected.contains("canary"), "{affected}");
    sidecar.decide(&["approvals", "deny", &id, "--reason", "not now"]).await;
    let status =
        sidecar.until("it is denied", |it| state_of(it, "book_flight") == "unhealable").await;
    assert_eq!((waiting(&status), &status["open_events"]), (0, &json!([])));
    let (code, why) = agent.call("book_flight", &flight).await.error();
    assert_eq!(code, -31004, "{why}");
    // The old surface, and the same change again: what was denied is not asked about twice.
    peer.change(booking(&["flight"]), booked(&["flight"]));
    sidecar.until("it is as it was", |status| state_of(status, "book_flight") == "sound").await;
    assert!(agent.call("book_flight", &flight).await.structured().is_ok());
    peer.change(booking(&["flight", "notify"]), booked(&["flight", "notify"]));
    let status =
        sidecar.until("it changed again", |it| state_of(it, "book_flight") != "sound").await;
    assert_eq!((state_of(&status, "book_flight"), waiting(&status)), ("unhealable", 0), "{status}");
    sidecar.stop().await;
    let decided = records(state.path(), "decided").await;
    for decision in ["expired", "denied"] {
        assert!(decided.iter().any(|it| it["decision"] == decision), "{decision}: {decided:?}");
    }
}

/// A tool that tells a price, whose definition says in what.
fn quote(unit: &str, optional: bool) -> Value {
    let mut input = json!({ "flight": { "type": "string" } });
    if optional {
        input["cabin"] = json!({ "type": "string", "description": "The class of travel." });
    }
    json!([{
        "name": "get_quote", "description": "Tells the price of a flight.",
        "inputSchema": { "type": "object", "properties": input, "required": ["flight"] },
        "outputSchema": { "type": "object", "properties": {
            "price": { "type": "number", "description": format!("The price in {unit}.") } }, "required": ["price"] },
        "annotations": { "readOnlyHint": true },
    }])
}

fn priced(asked: &Asked) -> Answer {
    asked.result(r#"{"price":120}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addition_is_logged_and_folded_into_the_next_version() {
    let peer = Peer::start(quote("dollars", false), priced).await;
    let state = tempfile::tempdir().unwrap();
    let often = "surface: { max_age_ms: 100 }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), often).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let flight = json!({ "flight": "SK1" });
    assert!(agent.call("get_quote", &flight).await.structured().is_ok());
    peer.change(quote("dollars", true), priced);
    sidecar.until("the next version", |status| status["version"] == "1.1.0").await;
    assert!(agent.call("get_quote", &flight).await.structured().is_ok());
    let events = sidecar.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((&event["type"], &event["severity"]), (&json!("schema"), &json!("low")), "{event}");
    assert_eq!(event["state"], "resolved", "{event}");
    let low = r#"stipula_drift_events_total{peer="flights",severity="low",type="schema"}"#;
    assert_eq!(sidecar.metric(low).await, 1.0);
    let listed = agent.list().await;
    assert!(listed[0]["inputSchema"]["properties"]["cabin"].is_object(), "{listed}");
    sidecar.stop().await;
    assert_eq!(records(state.path(), "incident").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_a_definition_states_anew_is_blocked() {
    let peer = Peer::start(quote("dollars", false), priced).await;
    let state = tempfile::tempdir().unwrap();
    let often = "surface: { max_age_ms: 100 }";
    let sidecar = Sidecar::start_configured(&peer, state.path(), often).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let flight = json!({ "flight": "SK1" });
    assert!(agent.call("get_quote", &flight).await.structured().is_ok());
    peer.change(quote("cents", false), priced);
    let open = |status: &Value| status["open_events"].as_array().unwrap().len();
    let status = sidecar.until("it is noticed", |status| open(status) == 1).await;
    let event = &status["open_events"][0];
    assert_eq!((&event["type"], &event["severity"]), (&json!("semantic"), &json!("high")));
    let (code, why) = agent.call("get_quote", &flight).await.error();
    assert!(matches!(code, -31004 | -31007), "{code} {why}");
    peer.change(quote("dollars", false), priced);
    sidecar.until("the old surface is back", |status| open(status) == 0).await;
    assert!(agent.call("get_quote", &flight).await.structured().is_ok());
    sidecar.stop().await;
    let incidents = records(state.path(), "incident").await;
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(
        (&incidents[0]["kind"], &incidents[0]["severity"]),
        (&json!("escalation"), &json!("high"))
    );
}
