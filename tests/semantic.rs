//! A peer goes on listing what it listed, its replies keep their shape, and their values mean something
//! else: prices are a hundred times as large. The real binary notices, asks and lets itself be told.

mod stage;

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, cli, text_of};

/// More calls than any step of these tests takes.
const BOUND: u64 = 20_000;

fn fares() -> Value {
    json!([{
        "name": "search_fares",
        "description": "Finds fares.",
        "inputSchema": {
            "type": "object",
            "properties": { "route": { "type": "integer" } },
            "required": ["route"],
        },
    }])
}

/// Three fares of a route; what they cost is a factor times some even spread.
fn offered(asked: &Asked, factor: u64) -> Answer {
    let route = asked.arguments["route"].as_u64().unwrap();
    let fare = |at: u64| {
        let mixed = (route * 3 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        json!({
            "flight": format!("SK{}", 100 + mixed % 900),
            "price": (90 + mixed % 400) * factor,
            "currency": "EUR",
            "seats": mixed % 9,
        })
    };
    let fares: Vec<Value> = (0..3).map(fare).collect();
    asked.result(&json!({ "fares": fares }).to_string())
}

struct Scene {
    peer: Peer,
    agent: Agent,
    route: u64,
}

impl Scene {
    async fn open(peer: Peer, sidecar: &Sidecar) -> Self {
        Self { peer, agent: Agent::connect(sidecar.proxy).await, route: 0 }
    }

    async fn call(&mut self) -> Said {
        self.route += 1;
        self.agent.call("search_fares", &json!({ "route": self.route })).await
    }

    /// Calls until the profile is made and compared: its score is told.
    async fn learnt(&mut self, sidecar: &Sidecar) {
        for call in 0..BOUND {
            self.call().await.structured().unwrap();
            if call % 50 == 0 && score(sidecar).await == 100.0 {
                return;
            }
        }
        panic!("nothing was learnt");
    }

    /// Calls until they are refused; the code.
    async fn refused(&mut self) -> (i64, String) {
        for _ in 0..BOUND {
            let said = self.call().await;
            if said.structured().is_err() {
                return said.error();
            }
        }
        panic!("nothing was noticed");
    }
}

/// The score; there is none before replies were compared.
async fn score(sidecar: &Sidecar) -> f64 {
    let (_, text) = text_of(sidecar.admin, "/metrics").await;
    let series = r#"stipula_profile_score{peer="flights"} "#;
    let told = text.lines().find_map(|line| line.strip_prefix(series));
    told.map_or(f64::NAN, |told| told.parse().unwrap())
}

/// A refused call asks for the surface; it was read once the generation is another one.
async fn reviewed(sidecar: &Sidecar, scene: &mut Scene) {
    let before = sidecar.status().await["generation"].as_u64().unwrap();
    scene.call().await.error();
    let is = |status: &Value| status["generation"].as_u64().unwrap() > before;
    sidecar.until("a review", is).await;
}

async fn drifted(sidecar: &Sidecar) -> f64 {
    let name = r#"stipula_drift_events_total{peer="flights",severity="high",type="semantic"}"#;
    sidecar.metric(name).await
}

fn is_told(event: &Value) {
    assert_eq!((&event["type"], &event["severity"]), (&json!("semantic"), &json!("high")));
    assert_eq!((&event["sensor"], &event["tool"]), (&json!("profile"), &json!("search_fares")));
    let found = event["evidence"]["diff"].as_array().unwrap();
    let price = |it: &&Value| it["pointer"] == "/fares/*/price" && it["kind"] == "magnitude";
    let price = found.iter().find(price).unwrap_or_else(|| panic!("{event}"));
    let moved = price["is"].as_f64().unwrap() - price["was"].as_f64().unwrap();
    assert!((3.0..8.0).contains(&moved), "a hundred times is 6.6 doublings: {event}");
    assert!(event["evidence"]["baseline"]["fields"]["/fares/*/price"].is_object(), "{event}");
    assert!(event["evidence"]["observed"]["score"].as_f64().unwrap() < 90.0, "{event}");
    assert!(!event.to_string().contains("SK"), "no values: {event}");
}

async fn start(state: &std::path::Path, more: &str) -> (Sidecar, Scene) {
    let peer = Peer::start(fares(), |asked| offered(asked, 1)).await;
    let sidecar = Sidecar::start_configured(&peer, state, more).await;
    let mut scene = Scene::open(peer, &sidecar).await;
    scene.agent.list().await;
    scene.learnt(&sidecar).await;
    assert!(sidecar.events().await.is_empty());
    (sidecar, scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_a_hundred_times_as_large_wait_for_a_person_who_takes_them() {
    let state = tempfile::tempdir().unwrap();
    let (mut sidecar, mut scene) = start(state.path(), "mode: enforce").await;
    scene.peer.reply(|asked| offered(asked, 100));
    let (code, why) = scene.refused().await;
    assert_eq!(code, -31007, "{why}");
    assert!(why.contains("/fares/*/price"), "{why}");
    sidecar.told("search_fares waits for you").await;
    let asked = |status: &Value| !status["waiting"].as_array().unwrap().is_empty();
    sidecar.until("the question", asked).await;

    let events = sidecar.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    is_told(&events[0]);
    assert_eq!(events[0]["state"], "waiting");
    assert_eq!(drifted(&sidecar).await, 1.0);
    assert!(score(&sidecar).await < 90.0);

    // The surface is as it was, and that answers nothing: a review lets no call through.
    reviewed(&sidecar, &mut scene).await;
    assert_eq!(scene.call().await.error().0, -31007);

    let listed = sidecar.cli(&["approvals", "list"]).await;
    let waiting = listed["approvals"].as_array().unwrap();
    assert_eq!(waiting.len(), 1, "{listed}");
    assert_eq!(waiting[0]["severity"], "high");
    let id = waiting[0]["id"].as_str().unwrap();
    sidecar.decide(&["approvals", "approve", id, "--reason", "they are in cents now"]).await;
    for _ in 0..300 {
        let fares = scene.call().await.structured().unwrap();
        assert!(fares["fares"][0]["price"].as_u64().unwrap() >= 9_000);
    }
    let status = sidecar.status().await;
    assert_eq!(status["version"], "2.0.0", "the promise is another one: {status}");
    assert_eq!(sidecar.events().await[0]["state"], "resolved");
    sidecar.stop().await;
    let verified = cli(&["ledger", "verify", state.path().to_str().unwrap()]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_a_restart_and_a_denial_keeps_the_tool_shut() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, mut scene) = start(state.path(), "mode: enforce").await;
    scene.peer.reply(|asked| offered(asked, 100));
    assert_eq!(scene.refused().await.0, -31007);
    sidecar.stop().await;

    let sidecar = Sidecar::start_configured(&scene.peer, state.path(), "mode: enforce").await;
    let mut scene = Scene::open(scene.peer, &sidecar).await;
    assert_eq!(scene.call().await.error().0, -31007);
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let id = listed["approvals"][0]["id"].as_str().unwrap().to_owned();
    sidecar.decide(&["approvals", "deny", &id, "--reason", "ask them"]).await;
    reviewed(&sidecar, &mut scene).await;
    assert_eq!(scene.call().await.error().0, -31004);
    assert_eq!(sidecar.events().await[0]["state"], "dismissed");
    sidecar.stop().await;

    let sidecar = Sidecar::start_configured(&scene.peer, state.path(), "mode: enforce").await;
    let mut scene = Scene::open(scene.peer, &sidecar).await;
    assert_eq!(scene.call().await.error().0, -31004, "a denial outlives a restart as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_observes_is_told_and_nothing_is_blocked() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, mut scene) = start(state.path(), "mode: observe").await;
    scene.peer.reply(|asked| offered(asked, 100));
    let mut calls = 0;
    while drifted_yet(&sidecar).await.is_none() {
        scene.call().await.structured().unwrap();
        calls += 1;
        assert!(calls < BOUND, "nothing was noticed");
    }
    let events = sidecar.events().await;
    is_told(&events[0]);
    assert_eq!(events[0]["state"], "open");
    scene.call().await.structured().unwrap();

    // The values are back: the event ends by itself.
    scene.peer.reply(|asked| offered(asked, 1));
    while sidecar.events().await[0]["state"] == "open" {
        scene.call().await.structured().unwrap();
        calls += 1;
        assert!(calls < BOUND, "the event does not end");
    }
    assert_eq!(sidecar.events().await[0]["state"], "resolved");
    assert_eq!(score(&sidecar).await, 100.0);
}

async fn drifted_yet(sidecar: &Sidecar) -> Option<Value> {
    sidecar.events().await.into_iter().next()
}
