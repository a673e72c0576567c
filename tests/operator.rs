//! What an operator asks of a running sidecar and tells it, over the admin listener and the command.

mod stage;

use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Sidecar, cli, said_to};

/// The key pair of RFC 8410, section 10.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC_HEX: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

fn tool(name: &str, argument: &str, schema: &Value) -> Value {
    json!({
        "name": name,
        "description": format!("{name} of a city."),
        "inputSchema": { "type": "object", "properties": { (argument): schema }, "required": [argument] },
        "annotations": { "readOnlyHint": true },
    })
}

fn city() -> Value {
    json!({ "type": "string", "description": "Which city." })
}

/// Takes exactly one argument and says which.
fn takes(rows: &'static [(&'static str, &'static str)]) -> impl Fn(&Asked) -> Answer {
    move |asked| {
        let wanted = rows.iter().find(|(tool, _)| *tool == asked.tool).unwrap().1;
        match asked.arguments.get(wanted) {
            Some(value) => asked.result(&json!({ "by": wanted, "value": value }).to_string()),
            None => asked.rejected(&format!("missing required property {wanted}")),
        }
    }
}

/// Status and JSON of an answer of the admin listener.
async fn tell(
    sidecar: &Sidecar,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: impl Into<Bytes>,
) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let (status, text) = said_to(sidecar.admin, request).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::from(text)))
}

fn token(sidecar: &Sidecar) -> String {
    let file = sidecar.state.join("admin.token");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_under_manual_seal_is_sealed_by_a_word() {
    let tools = json!([tool("weather", "city", &city())]);
    let peer = Peer::start(tools, takes(&[("weather", "city")])).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start_with(&peer, state.path(), &["--seal", "manual"], &[]).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let said = agent.call("weather", &json!({ "city": "Bern" })).await;
    assert_eq!(said.structured().unwrap()["value"], "Bern");
    assert_eq!(sidecar.status().await["version"], Value::Null);

    let told = sidecar.decide(&["seal", "--peer", "flights"]).await;
    assert_eq!(told["done"], "sealed 1 tool of flights as v1.0.0");
    sidecar.told("flights: sealed 1 tool as v1.0.0").await;
    let status = sidecar.status().await;
    assert_eq!((&status["version"], &status["mode"]), (&json!("1.0.0"), &json!("enforce")));
    let told = sidecar.decide(&["seal", "--peer", "flights"]).await;
    assert_eq!(told["done"], "flights is already sealed as v1.0.0");

    let admin = format!("http://{}", sidecar.admin);
    let (there, nowhere) = (state.path().to_str().unwrap(), "/nowhere");
    for (name, state, code, words) in [
        ("hotels", there, 1, "no peer named hotels"),
        ("flights", nowhere, 2, "cannot read the admin token"),
    ] {
        let output = cli(&["seal", "--peer", name, "--admin", &admin, "--state", state]).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let output = cli(&["seal", "--peer", "flights", "--out", "x.json"]).await;
    assert_eq!(output.status.code(), Some(2), "a running sidecar keeps its contract itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_carries_the_signature_of_the_key() {
    let tools = json!([tool("weather", "city_name", &city())]);
    let peer = Peer::start(tools, takes(&[("weather", "city_name")])).await;
    let state = tempfile::tempdir().unwrap();
    let key = state.path().join("seal.key.pem");
    std::fs::write(&key, PRIVATE).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with_key = ["--signing-key", key.to_str().unwrap()];
    let mut sidecar = Sidecar::start_with(&peer, state.path(), &with_key, &[]).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("weather", &json!({ "city_name": "Bern" })).await.structured().unwrap();
    // The next version is signed too.
    peer.change(json!([tool("weather", "cityName", &city())]), takes(&[("weather", "cityName")]));
    let said = agent.call("weather", &json!({ "city_name": "Bern" })).await;
    assert_eq!(said.structured().unwrap()["by"], "cityName");
    sidecar.told("healed weather as v1.1.0").await;
    sidecar.stop().await;

    let mut files: Vec<String> = std::fs::read_dir(state.path().join("contracts"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    files.sort();
    assert_eq!(files.len(), 2);
    for file in &files {
        let output = cli(&["verify", file, "--public-key", PUBLIC_HEX]).await;
        assert!(output.status.success(), "{file}: {output:?}");
    }
    // Who goes on without the key is told what that means.
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    sidecar.told("the next version will be not signed").await;
    assert!(sidecar.said().iter().all(|line| !line.contains("MC4CAQ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_cannot_be_sealed_holds_up_no_other_tool() {
    let beyond = json!({ "type": "integer", "maximum": 9_007_199_254_740_993_u64 });
    let limit = json!({ "type": "integer" });
    let rows: &[(&str, &str)] = &[("weather", "city_name"), ("count", "limit"), ("tide", "city")];
    let then: &[(&str, &str)] = &[("weather", "cityName"), ("count", "limit"), ("tide", "place")];
    let tools = [
        tool("weather", "city_name", &city()),
        tool("count", "limit", &limit),
        tool("tide", "city", &city()),
    ];
    let peer = Peer::start(json!(tools), takes(rows)).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.call("count", &json!({ "limit": 3 })).await.structured().unwrap();

    let mut new = tool("get_wind", "city", &city());
    new["inputSchema"]["properties"]["most"] = beyond.clone();
    let tools = [
        tool("weather", "cityName", &city()),
        tool("count", "limit", &beyond),
        tool("tide", "city", &city()),
        new,
    ];
    let known: &[(&str, &str)] = &[("weather", "cityName"), ("count", "limit"), ("tide", "city")];
    peer.change(json!(tools), takes(known));
    let said = agent.call("weather", &json!({ "city_name": "Bern" })).await;
    assert_eq!(said.structured().unwrap()["by"], "cityName");
    sidecar.told("healed weather as v1.1.0").await;
    let said = agent.call("count", &json!({ "limit": 3 })).await;
    assert_eq!(said.structured().unwrap()["value"], 3, "its promise still holds");
    let names: Vec<String> =
        ["count", "get_wind"].iter().map(|name| format!("flights: {name} is left out: ")).collect();
    for start in names {
        let lines = sidecar.said();
        let told: Vec<_> = lines.iter().filter(|line| line.contains(&start)).collect();
        assert_eq!(told.len(), 1, "{start}: {lines:?}");
        assert!(told[0].contains("2^53"), "{}", told[0]);
    }

    // A later heal is not held up either.
    let mut tools = tools;
    tools[2] = tool("tide", "place", &city());
    tools[0] = tool("weather", "cityName", &city());
    peer.change(json!(tools), takes(then));
    let said = agent.call("tide", &json!({ "city": "Bern" })).await;
    let status = sidecar.status().await;
    let waits = status["tools"][2]["state"] != "sound";
    assert!(said.structured().is_ok() || waits, "{status}");
    let shown = agent.list().await;
    let shown: Vec<&Value> = shown.as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(shown, ["weather", "count", "tide"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_open_and_changes_need_the_token() {
    let tools = json!([tool("weather", "city", &city())]);
    let peer = Peer::start(tools, takes(&[("weather", "city")])).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let token = token(&sidecar);
    let nobody = format!("/api/v1/approvals/{}", "0".repeat(64));
    let approve = format!("{nobody}/approve");
    let (good, wrong) = (Some(token.as_str()), Some("0123456789abcdef0123456789abcdef"));
    let (get, post) = (Method::GET, Method::POST);
    let long = " ".repeat(70_000);
    let rows: &[(&Method, &str, Option<&str>, &str, u16)] = &[
        (&get, "/healthz", None, "", 200),
        (&get, "/readyz", None, "", 200),
        (&get, "/api/v1/status", None, "", 200),
        (&get, "/api/v1/approvals", None, "", 200),
        (&get, &nobody, None, "", 404),
        (&get, "/api/v1/approvals/xyz", None, "", 400),
        (&get, "/api/v1/ledger/tail?limit=1", None, "", 200),
        (&get, "/api/v1/ledger/tail?limit=0", None, "", 400),
        (&get, "/api/v1/why/nothing", None, "", 404),
        (&get, "/api/v1/nothing", None, "", 404),
        (&get, "/nothing", None, "", 404),
        (&Method::DELETE, "/api/v1/status", good, "", 405),
        (&post, &approve, None, "", 401),
        (&post, &approve, wrong, "", 401),
        (&post, &approve, good, "", 404),
        (&post, &approve, good, r#"{"reasons":"x"}"#, 400),
        (&post, "/api/v1/seal", None, r#"{"peer":"flights"}"#, 401),
        (&post, "/api/v1/seal", good, "flights", 400),
        (&post, "/api/v1/seal", good, &long, 413),
        (&post, "/api/v1/seal", good, r#"{"peer":"hotels"}"#, 404),
        (&post, "/api/v1/mode", good, r#"{"peer":"flights","mode":"off"}"#, 400),
        (&post, "/api/v1/rollback", good, r#"{"peer":"flights","to":"first"}"#, 400),
        (&post, "/api/v1/rollback", good, r#"{"peer":"flights"}"#, 409),
        (&post, "/api/v1/nothing", good, "{}", 404),
    ];
    for (method, path, token, body, expected) in rows {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let (status, told) = tell(&sidecar, (*method).clone(), path, *token, body).await;
        assert_eq!(status, *expected, "{method} {path}: {told}");
        if *expected >= 400 {
            assert!(!told["error"].as_str().unwrap().is_empty(), "{method} {path}: {told}");
        }
    }

    let change = async |path: &str, body: &Value| {
        let (status, told) = tell(&sidecar, Method::POST, path, good, body.to_string()).await;
        assert_eq!(status, 200, "{path}: {told}");
        told["done"].clone()
    };
    change("/api/v1/seal", &json!({ "peer": "flights" })).await;
    assert_eq!(sidecar.status().await["version"], "1.0.0");
    change("/api/v1/mode", &json!({ "peer": "flights", "mode": "warn", "tool": "weather" })).await;
    assert_eq!(sidecar.status().await["tools"][0]["mode"], "warn");
    change("/api/v1/mode", &json!({ "peer": "flights", "mode": "observe" })).await;
    assert_eq!(sidecar.status().await["mode"], "observe");
    let done = change("/api/v1/review", &json!({ "peer": "flights" })).await;
    assert_eq!(done, "flights: read");
    let (_, tail) = tell(&sidecar, Method::GET, "/api/v1/ledger/tail", None, "").await;
    let kinds: Vec<&Value> =
        tail["records"].as_array().unwrap().iter().map(|record| &record["what"]).collect();
    assert!(kinds.contains(&&json!("sealed")), "{kinds:?}");
}
