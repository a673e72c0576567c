//! A peer changes while agents call, seen from outside: the real binary over real sockets.

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use stage::{Agent, Answer, Asked, Peer, Said, Sidecar, cli, soon};
use tokio::sync::Notify;

const AGENTS: usize = 16;
/// Runs over which the time from sighting to swap is told.
const RUNS: usize = 11;
/// The stages of a heal, as the metric names them.
const STAGES: [&str; 7] = ["notice", "read", "decide", "replay", "advise", "seal", "swap"];

fn search(input: &Value, required: &[&str], output: &Value) -> Value {
    let promised: Vec<&String> = output.as_object().unwrap().keys().collect();
    json!({
        "name": "search_flights",
        "description": "Finds flights between two cities.",
        "inputSchema": { "type": "object", "properties": input, "required": required, "additionalProperties": false },
        "outputSchema": { "type": "object", "properties": output, "required": promised },
        "annotations": { "readOnlyHint": true },
    })
}

fn ping() -> Value {
    json!({
        "name": "get_weather",
        "description": "Tells the weather.",
        "inputSchema": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
        "outputSchema": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
        "annotations": { "readOnlyHint": true },
    })
}

fn first() -> Value {
    let input = json!({
        "from_city": { "type": "string", "description": "Where the flight starts." },
        "to_city": { "type": "string", "description": "Where the flight ends." },
    });
    let output = json!({ "from_city": { "type": "string" }, "total_price": { "type": "number" } });
    json!([search(&input, &["from_city", "to_city"], &output), ping()])
}

/// Another casing, and a required argument whose default the schema states.
fn second() -> Value {
    let input = json!({
        "fromCity": { "type": "string", "description": "Where the flight starts." },
        "toCity": { "type": "string", "description": "Where the flight ends." },
        "cabin": { "type": "string", "default": "economy", "description": "The class of travel." },
    });
    let output = json!({ "fromCity": { "type": "string" }, "totalPrice": { "type": "number" } });
    json!([search(&input, &["fromCity", "toCity", "cabin"], &output), ping()])
}

/// A required argument that only the caller knows.
fn asking_more() -> Value {
    let mut tools = first();
    tools[0]["inputSchema"]["properties"]["passport_number"] =
        json!({ "type": "string", "description": "The traveller's passport." });
    tools[0]["inputSchema"]["required"] = json!(["from_city", "to_city", "passport_number"]);
    tools
}

/// Answers as a server that validates: exactly these string arguments, or a rejection.
fn validated(asked: &Asked, names: &[&str]) -> Result<(), Answer> {
    let given = asked.arguments.as_object().unwrap();
    if let Some(missing) = names.iter().find(|name| !given.contains_key(**name)) {
        return Err(asked.rejected(&format!("missing required property {missing}")));
    }
    match given.keys().find(|key| !names.contains(&key.as_str())) {
        Some(unknown) => Err(asked.rejected(&format!("unknown argument {unknown}"))),
        None => Ok(()),
    }
}

fn weather(asked: &Asked) -> Answer {
    asked.result(&json!({ "city": asked.arguments["city"] }).to_string())
}

fn as_first(asked: &Asked) -> Answer {
    if asked.tool == "get_weather" {
        return weather(asked);
    }
    match validated(asked, &["from_city", "to_city"]) {
        Ok(()) => {
            let city = &asked.arguments["from_city"];
            asked.result(&json!({ "from_city": city, "total_price": 120 }).to_string())
        }
        Err(rejected) => rejected,
    }
}

fn as_second(asked: &Asked) -> Answer {
    if asked.tool == "get_weather" {
        return weather(asked);
    }
    match validated(asked, &["fromCity", "toCity", "cabin"]) {
        Ok(()) => {
            assert_eq!(asked.arguments["cabin"], "economy");
            let city = &asked.arguments["fromCity"];
            asked.result(&json!({ "fromCity": city, "totalPrice": 120 }).to_string())
        }
        Err(rejected) => rejected,
    }
}

fn as_asking_more(asked: &Asked) -> Answer {
    if asked.tool == "get_weather" {
        return weather(asked);
    }
    match validated(asked, &["from_city", "to_city", "passport_number"]) {
        Ok(()) => asked.result(r#"{"from_city":"guessed","total_price":0}"#),
        Err(rejected) => rejected,
    }
}

/// A reply that is promised and belongs to the very request.
fn is_mine(said: &Said, city: &str) -> Result<(), String> {
    let structured = said.structured()?;
    if structured["from_city"] == city && structured["total_price"] == 120 {
        return Ok(());
    }
    Err(format!("asked for {city}, got {structured}"))
}

/// Agents that call without a pause until they are told to stop.
struct Crowd {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    moved: Arc<Notify>,
    agents: Vec<tokio::task::JoinHandle<Vec<(String, Said)>>>,
}

impl Crowd {
    /// Everything but promised replies of their own is handed back by [`Crowd::stop`].
    async fn start(sidecar: &Sidecar) -> Self {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let moved = Arc::new(Notify::new());
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            let mut agent = Agent::connect(sidecar.proxy).await;
            let (done, stop, moved) = (Arc::clone(&done), Arc::clone(&stop), Arc::clone(&moved));
            agents.push(tokio::spawn(async move {
                let mut others = Vec::new();
                let mut call = 0;
                while !stop.load(Ordering::Relaxed) {
                    call += 1;
                    let city = format!("{number}-{call}");
                    let arguments = json!({ "from_city": city, "to_city": "Oslo" });
                    let said = agent.call("search_flights", &arguments).await;
                    if let Err(why) = is_mine(&said, &city) {
                        others.push((why, said));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    moved.notify_one();
                }
                others
            }));
        }
        Self { done, stop, moved, agents }
    }

    /// Waits until so many more calls have ended.
    async fn more(&self, calls: u64) {
        let until = self.done.load(Ordering::Relaxed) + calls;
        soon("more calls", async {
            while self.done.load(Ordering::Relaxed) < until {
                self.moved.notified().await;
            }
        })
        .await;
    }

    /// How many calls ended, and what was said to those that did not get a promised reply.
    async fn stop(self) -> (u64, Vec<(String, Said)>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut others = Vec::new();
        for agent in self.agents {
            others.extend(soon("an agent's end", agent).await.unwrap());
        }
        (self.done.load(Ordering::Relaxed), others)
    }
}

fn has_version(version: &str) -> impl Fn(&Value) -> bool {
    let version = Value::from(version);
    move |status| status["version"] == version
}

/// How many records of a kind the ledger of a stopped sidecar holds.
async fn records(state: &std::path::Path, kind: &str) -> usize {
    let output = cli(&["ledger", "export", state.to_str().unwrap()]).await;
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| line.contains(&format!("\"what\":\"{kind}\""))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_at_full_speed_do_not_notice_a_change_that_heals() {
    let (mut micros, mut stages) = (Vec::new(), vec![Vec::new(); STAGES.len()]);
    for run in 0..RUNS {
        let peer = Peer::start(first(), as_first).await;
        let state = tempfile::tempdir().unwrap();
        let mut sidecar = Sidecar::start(&peer, state.path()).await;
        let crowd = Crowd::start(&sidecar).await;
        crowd.more(400).await;
        peer.change(second(), as_second);
        let line = sidecar.told("healed search_flights as v1.1.0").await;
        crowd.more(400).await;
        let (calls, others) = crowd.stop().await;
        assert!(others.is_empty(), "run {run}: {} of {calls}: {:?}", others.len(), others[0]);

        let mut events = sidecar.events().await;
        // A machine that stands still for a moment is told as slow, and rightly.
        events.retain(|event| event["type"] != "performance");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["state"], "resolved", "{events:?}");
        assert_eq!(events[0]["type"], "schema", "{events:?}");
        sidecar.until("the healed version", has_version("1.1.0")).await;
        let name = r#"stipula_patch_duration_seconds_sum{approval="auto"}"#;
        micros.push(sidecar.metric(name).await * 1e6);
        for (spent, stage) in stages.iter_mut().zip(STAGES) {
            let name = format!("stipula_heal_stage_duration_seconds_sum{{stage=\"{stage}\"}}");
            spent.push(sidecar.metric(&name).await * 1e6);
        }
        println!("run {run}: {calls} calls, 0 failed; {line}");
        sidecar.stop().await;
        assert_eq!(records(state.path(), "sealed").await, 2);
    }
    // The stages are all there is between the sighting and the swap.
    for (run, whole) in micros.iter().enumerate() {
        let parts: f64 = stages.iter().map(|spent| spent[run]).sum();
        assert!((parts - whole).abs() < 1_000.0, "run {run}: {parts} us in stages, {whole} us");
    }
    for (spent, stage) in stages.iter_mut().zip(STAGES) {
        spent.sort_by(f64::total_cmp);
        println!("{stage:>8}: p50 {:.0} us, {spent:.0?}", spent[RUNS / 2]);
    }
    micros.sort_by(f64::total_cmp);
    println!("sighting to swap, {RUNS} runs: p50 {:.0} us, all {micros:.0?}", micros[RUNS / 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_caller_knows_is_refused_and_never_guessed() {
    let peer = Peer::start(first(), as_first).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let crowd = Crowd::start(&sidecar).await;
    crowd.more(400).await;
    peer.change(asking_more(), as_asking_more);
    sidecar.told("search_flights changed and cannot be carried over").await;
    crowd.more(400).await;
    let (calls, others) = crowd.stop().await;
    println!("{calls} calls, {} refused: {}", others.len(), others[0].0);
    for (why, said) in &others {
        let (code, message) = said.error();
        assert_eq!(code, -31004, "{why}");
        assert!(message.contains("passport_number"), "{message}");
    }

    // The session lives: another tool answers in it, and this one does once the peer is back.
    let mut agent = Agent::connect(sidecar.proxy).await;
    let arguments = json!({ "from_city": "Bergen", "to_city": "Oslo" });
    assert_eq!(agent.call("search_flights", &arguments).await.error().0, -31004);
    let said = agent.call("get_weather", &json!({ "city": "Bergen" })).await;
    assert_eq!(said.structured().unwrap()["city"], "Bergen");
    assert_eq!(sidecar.events().await.len(), 1);
    assert_eq!(sidecar.status().await["version"], "1.0.0");
    peer.change(first(), as_first);
    sidecar
        .until("the tool is sound again", |status| {
            status["open_events"].as_array().unwrap().is_empty()
        })
        .await;
    let said = agent.call("search_flights", &arguments).await;
    is_mine(&said, "Bergen").unwrap();
    assert!(peer.knows(agent.session.as_deref().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_about_a_write_and_may_go_back() {
    let tool = |more: &Value, required: &[&str]| {
        let mut input = json!({ "flight": { "type": "string", "description": "The flight." } });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{
            "name": "book_flight",
            "description": "Books a seat.",
            "inputSchema": { "type": "object", "properties": input, "required": required },
        }])
    };
    let old = tool(&json!({}), &["flight"]);
    let notify = json!({ "notify": { "type": "boolean", "default": false, "description": "Tell by mail." } });
    let new = tool(&notify, &["flight", "notify"]);
    let booked = |names: &'static [&'static str]| {
        move |asked: &Asked| match validated(asked, names) {
            Ok(()) => asked.result(&asked.arguments.to_string()),
            Err(rejected) => rejected,
        }
    };
    let peer = Peer::start(old.clone(), booked(&["flight"])).await;
    let state = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    let arguments = json!({ "flight": "SK1" });
    let said = agent.call("book_flight", &arguments).await;
    assert_eq!(said.structured().unwrap(), arguments);

    peer.change(new, booked(&["flight", "notify"]));
    assert_eq!(agent.call("book_flight", &arguments).await.error().0, -31007);
    let listed = sidecar.cli(&["approvals", "list"]).await;
    let waiting = listed["approvals"].as_array().unwrap();
    assert_eq!(waiting.len(), 1, "{listed}");
    assert_eq!(waiting[0]["tool"], "book_flight");
    assert!(!waiting[0]["held_by"].as_array().unwrap().is_empty());
    let id = waiting[0]["id"].as_str().unwrap();
    sidecar.decide(&["approvals", "approve", id, "--reason", "read it"]).await;
    sidecar.told("healed book_flight as v1.1.0").await;
    let said = agent.call("book_flight", &arguments).await;
    assert_eq!(said.structured().unwrap(), json!({ "flight": "SK1", "notify": false }));

    sidecar.decide(&["rollback", "flights"]).await;
    sidecar.told("went back to v1.0.0").await;
    sidecar.until("the version before", has_version("1.0.0")).await;
    // The peer is still the new one: what was taken back is not put in force again by itself.
    assert_eq!(agent.call("book_flight", &arguments).await.error().0, -31007);
    // What is shown follows what is in force, so it is waited for.
    let stands = |state: &'static str| move |status: &Value| status["tools"][0]["state"] == state;
    sidecar.until("the tool waits again", stands("waiting")).await;
    peer.change(old, booked(&["flight"]));
    sidecar.until("the tool is sound again", stands("sound")).await;
    let said = agent.call("book_flight", &arguments).await;
    assert_eq!(said.structured().unwrap(), arguments);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_surface_that_was_sealed_before_is_taken_up_without_a_seal() {
    let peer = Peer::start(first(), as_first).await;
    let state = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    for (round, version) in ["1.0.0", "1.1.0", "1.0.0", "1.1.0"].into_iter().enumerate() {
        if version == "1.0.0" {
            peer.change(first(), as_first);
        } else {
            peer.change(second(), as_second);
        }
        for call in 0..20 {
            let city = format!("{round}-{call}");
            let arguments = json!({ "from_city": city, "to_city": "Oslo" });
            let said = agent.call("search_flights", &arguments).await;
            is_mine(&said, &city).unwrap_or_else(|why| panic!("round {round}: {why}"));
        }
        sidecar.until("the version of this surface", has_version(version)).await;
    }
    assert_eq!(sidecar.events().await.len(), 1);
    sidecar.stop().await;
    assert_eq!(records(state.path(), "sealed").await, 2);
    assert_eq!(records(state.path(), "head_moved").await, 4);
}
