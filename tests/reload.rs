//! The configuration is put in force while agents call: all of it or nothing, and no exchange fails.

mod stage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use stage::{Agent, Asked, Peer, Sidecar, said_to, soon};

/// Reloads under load.
const RELOADS: usize = 200;
/// Agents that call meanwhile.
const AGENTS: usize = 16;

fn tools() -> Value {
    let input = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    let output = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    json!([{ "name": "search", "inputSchema": input, "outputSchema": output, "annotations": { "readOnlyHint": true } }])
}

async fn peer() -> Peer {
    Peer::start(tools(), |asked: &Asked| asked.result(r#"{"n":1}"#)).await
}

/// Writes another file and renames it over the one that is watched, as editors do.
fn replace(state: &Path, text: &str) {
    let (new, file) = (state.join("stipula.yaml.new"), state.join("stipula.yaml"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn file(peer: &Peer, more: &str) -> String {
    format!("peers:\n  flights:\n    url: \"{}\"\n{more}", peer.url())
}

/// Asks the admin listener to read the file again: the status and what it says.
async fn reload(sidecar: &Sidecar) -> (u16, Value) {
    let token = std::fs::read_to_string(sidecar.state.join("admin.token")).unwrap();
    let request =
        Request::post("/api/v1/reload").header("authorization", format!("Bearer {}", token.trim()));
    let request = request.body(Full::default()).unwrap();
    let (status, text) = soon("a reload", said_to(sidecar.admin, request)).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn reloads(sidecar: &Sidecar, result: &str) -> f64 {
    sidecar.metric(&format!("stipula_config_reloads_total{{result=\"{result}\"}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_reloads_under_load_fail_no_exchange() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let mut sidecar =
        Sidecar::start_configured(&peer, state.path(), "mode: enforce, seal: first-use").await;
    let (stop, proxy) = (Arc::new(AtomicBool::new(false)), sidecar.proxy);
    Agent::connect(proxy).await.list().await;
    let calling = (0..AGENTS).map(|_| {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let (mut agent, mut calls) = (Agent::connect(proxy).await, 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let said = agent.call("search", &json!({ "q": "x" })).await;
                assert_eq!(said.structured().unwrap(), json!({ "n": 1 }));
                calls += 1;
            }
            calls
        })
    });
    let calling: Vec<_> = calling.collect();
    for round in 0..RELOADS {
        let (mode, wait) = (["enforce", "warn", "observe"][round % 3], 500 + round);
        let text = format!(
            "limits: {{ exchanges: {}, held_bytes: {}, connections: {} }}\n\
             proxy: {{ heal_wait_ms: {wait} }}\ntimeouts: {{ keep_idle_ms: {} }}\n{}",
            100 + round,
            (64 << 20) + round,
            1000 - round,
            3000 + round,
            file(&peer, &format!("    mode: {mode}\n    recordings: {}\n", round % 9)),
        );
        replace(state.path(), &text);
        let (status, said) = reload(&sidecar).await;
        assert_eq!(status, 200, "{said}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for agent in calling {
        calls += soon("the end of an agent", agent).await.unwrap();
    }
    assert!(calls > RELOADS as u64, "only {calls} calls");
    // The watch may have been first with a few of them; then the command found no key changed.
    let applied = reloads(&sidecar, "applied").await;
    assert_eq!(applied, RELOADS as f64);
    assert_eq!(reloads(&sidecar, "invalid").await, 0.0);
    assert_eq!(sidecar.metric("stipula_config_current").await, 1.0);
    let last = sidecar.status().await;
    assert_eq!(last["mode"], ["enforce", "warn", "observe"][(RELOADS - 1) % 3]);
    let told = sidecar.told("peers.flights.mode").await;
    assert!(told.contains("another configuration is in force"), "{told}");
    assert!(told.contains("limits.exchanges"), "{told}");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_is_told_with_line_and_column() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let mut sidecar = Sidecar::start_configured(&peer, state.path(), "mode: warn").await;
    let whole = file(&peer, "    mode: observe\n");
    for (text, place, what) in [
        (whole.replace("observe", "enforc"), ":4:11: ", "did you mean `enforce`?"),
        (whole.replace("mode", "mod"), ":4:5: ", "did you mean `mode`?"),
        (format!("limits: {{ depth: 0 }}\n{whole}"), ":1:18: ", "expected at least 1"),
        (format!("log: {{ filter: \"a=b=c\" }}\n{whole}"), "", "log.filter"),
        ("peers: [".to_owned(), ":1:", "this is not YAML"),
    ] {
        replace(state.path(), &text);
        let (status, said) = reload(&sidecar).await;
        let error = said["error"].as_str().unwrap();
        assert_eq!(status, 409, "{text}: {said}");
        assert!(error.contains(&format!("stipula.yaml{place}")) || place.is_empty(), "{error}");
        assert!(error.contains(what), "{error}");
        assert_eq!(sidecar.status().await["mode"], "warn");
        let standing = &sidecar.ask("/api/v1/status").await["configuration"];
        assert_eq!(standing["current"], false, "{standing}");
        assert!(standing["faults"][0].as_str().unwrap().contains(what), "{standing}");
        let told = sidecar.told(what).await;
        assert!(told.contains(place) && told.contains("ERROR"), "{told}");
        assert!(told.contains("the configuration in force is kept"), "{told}");
    }
    // What needs a restart is refused whole, with what it came with.
    let text = format!("proxy: {{ threads: 3 }}\n{whole}");
    replace(state.path(), &text);
    let (status, said) = reload(&sidecar).await;
    assert_eq!(status, 409);
    assert_eq!(said["error"], "`proxy.threads` changed, which needs a restart");
    assert_eq!(sidecar.status().await["mode"], "warn");
    assert_eq!(sidecar.metric("stipula_config_current").await, 0.0);
    assert!(reloads(&sidecar, "invalid").await >= 5.0);
    assert!(reloads(&sidecar, "needs_restart").await >= 1.0);
    // A good one is in force again.
    replace(state.path(), &whole);
    let (status, said) = reload(&sidecar).await;
    assert_eq!((status, said["done"].as_str()), (200, Some("changed: peers.flights.mode")));
    assert_eq!(sidecar.status().await["mode"], "observe");
    assert_eq!(sidecar.metric("stipula_config_current").await, 1.0);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_and_a_hangup_are_taken_up() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let mut sidecar = Sidecar::start_configured(&peer, state.path(), "mode: warn").await;
    replace(state.path(), &file(&peer, "    mode: observe\n"));
    let told = sidecar.told("another configuration is in force").await;
    assert!(told.contains("the file is another one"), "{told}");
    sidecar.until("another mode", |status| status["mode"] == "observe").await;
    // Not watched any more: only whoever is told reads it.
    let text = format!("reload: {{ watch: false }}\n{}", file(&peer, "    mode: observe\n"));
    replace(state.path(), &text);
    sidecar.told("reload.watch").await;
    replace(state.path(), &format!("reload: {{ watch: false }}\n{}", file(&peer, "")));
    sidecar.signal(rustix::process::Signal::HUP);
    let told = sidecar.told("another configuration is in force").await;
    assert!(told.contains("SIGHUP") && told.contains("peers.flights.mode"), "{told}");
    sidecar.stop().await;
}

/// The types of the open events.
fn open_types(status: &Value) -> Vec<String> {
    let open = status["open_events"].as_array().unwrap();
    open.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_noticed_and_how_long_an_answer_may_take_change_while_it_runs() {
    let (peer, state) = (peer().await, tempfile::tempdir().unwrap());
    let limit = |limit: &'static str| {
        move |asked: &Asked| asked.result(r#"{"n":1}"#).with("x-ratelimit-limit", limit)
    };
    let mut sidecar =
        Sidecar::start_configured(&peer, state.path(), "mode: enforce, seal: first-use").await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let said = |text: &str| format!("{text}{}", file(&peer, "    mode: enforce\n"));
    let put = async |text: &str| {
        replace(state.path(), &said(text));
        let (status, said) = reload(&sidecar).await;
        assert_eq!(status, 200, "{said}");
    };
    // A limit that falls to less than a half is drift, but not to one that looks for more.
    put("drift: { policy: { limit_drop: 90 }, semantic: { on: off } }\n").await;
    for advertised in ["100", "40"] {
        peer.reply(limit(advertised));
        assert!(agent.call("search", &json!({ "q": "x" })).await.structured().is_ok());
    }
    assert_eq!(open_types(&sidecar.status().await), [""; 0]);
    put("drift: { policy: { limit_drop: 50 }, semantic: { on: off } }\n").await;
    // What was told once is no news.
    peer.reply(limit("39"));
    assert!(agent.call("search", &json!({ "q": "x" })).await.structured().is_ok());
    sidecar.until("the event", |status| open_types(status) == ["policy"]).await;

    // What holds for all peers is in force for each of them.
    put("resilience: { deadline_ms: 300, retries: 0, stale: { enabled: off } }\n").await;
    let (never, _) = tokio::sync::watch::channel(false);
    let held = never.clone();
    peer.reply(move |asked| asked.result(r#"{"n":1}"#).when(&held));
    assert_eq!(agent.call("search", &json!({ "q": "x" })).await.error().0, -31009);
    never.send_replace(true);
    let told = sidecar.told("drift.policy.limit_drop").await;
    assert!(told.contains("another configuration is in force"), "{told}");
    sidecar.stop().await;
    let ledger = stage::cli(&["ledger", "export", state.path().to_str().unwrap()]).await;
    let ledger = String::from_utf8(ledger.stdout).unwrap();
    assert!(
        ledger
            .lines()
            .any(|line| { line.contains("configured") && line.contains("resilience.deadline_ms") })
    );
}
