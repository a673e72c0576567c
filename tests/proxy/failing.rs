//! A peer that fails, on the path: what is repeated, refused at once, cut short, answered from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stipula::domain::health::{BreakerRules, BreakerState, Fault, RetryRules};
use stipula::domain::message::{Executed, Millis, Verdict};
use stipula::live::{Binding, Mode, ObservationKind, ToolBinding, ToolHealth};
use stipula::proxy::{HoldRules, Resilience, Settings};

use crate::rig::{Answer, CALL, Rig, Told, bound, peer, routine, soon, tool};

const GOOD: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1}}}"#;

/// Calls are asked for once, and nobody waits at a breaker that opened: it stays so for longer than a test.
fn once() -> Settings {
    let retry = RetryRules { most: 0, ..RetryRules::default() };
    let hold = HoldRules { wait: Millis(0), ..HoldRules::default() };
    let resilience = Resilience { retry, hold, ..Resilience::default() };
    Settings { resilience, ..Settings::default() }
}

fn call(id: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"search","arguments":{arguments}}}}}"#
    )
}

/// Answers the first request so, and every further one so.
fn first_then(
    first: impl Fn() -> Answer + Send + Sync + 'static,
    then: impl Fn() -> Answer + Send + Sync + 'static,
) -> impl Fn(&crate::rig::Asked) -> Answer + Send + Sync + 'static {
    let asked = AtomicUsize::new(0);
    move |_| if asked.fetch_add(1, Ordering::SeqCst) == 0 { first() } else { then() }
}

fn error(told: &Told) -> (Value, Value) {
    let error = &told.json()["error"];
    (error["code"].clone(), error["data"]["executed"].clone())
}

fn stale(told: &Told) -> Value {
    told.json()["result"]["_meta"]["dev.stipula/verdict"].clone()
}

#[tokio::test]
async fn l1_a_tool_that_is_slow_or_failing_is_not_sampled() {
    let tool = tool();
    let health = Arc::clone(&tool.health);
    let mut rig = Rig::new(Some(bound(tool)), |_| Answer::json(GOOD)).await;
    for degraded in [false, true, false] {
        health.degrade(degraded);
        rig.post(CALL).await;
        assert_eq!(soon(rig.fact()).await.sample.is_none(), degraded);
    }
}

#[tokio::test]
async fn what_is_only_watched_is_not_refused_repeated_or_answered_from_memory() {
    for mode in [Mode::Observe, Mode::Warn] {
        let tool = ToolBinding { mode, ..tool() };
        let health = Arc::clone(&tool.health);
        let binding = Binding { deadline: Some(Millis(1)), ..bound(tool) };
        let peer = binding.health.clone();
        let manners = first_then(|| Answer::json(GOOD), || Answer::new(503, "text/plain", "down"));
        let mut rig = Rig::new(Some(binding), manners).await;
        assert_eq!(rig.post(CALL).await.text, GOOD);
        for _ in 0..8 {
            let told = rig.post(CALL).await;
            assert_eq!((told.status, &told.text[..]), (503, &b"down"[..]), "{mode:?}");
        }
        assert_eq!(rig.asked().len(), 9);
        // It is known all the same, and told.
        assert_eq!(health.circuit.state(0), BreakerState::Open);
        assert!(!peer.circuit.is_troubled());
        let ObservationKind::Breaker(fact) = soon(rig.reserved.recv()).await.unwrap().kind else {
            panic!("expected a breaker that opened")
        };
        assert_eq!((fact.tool.unwrap().as_str(), fact.opened_by), ("search", Some(Fault::Status)));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_counts_and_is_never_tried_again() {
    let tool = tool();
    let health = Arc::clone(&tool.health);
    let rig = Rig::new(Some(bound(tool)), |_| Answer::cut_stream("data: {\"json")).await;
    for asked in 1..=5 {
        assert_eq!(error(&told_by(&rig, "1").await), (json!(-31002), json!("unknown")));
        assert_eq!(rig.asked().len(), asked);
    }
    assert_eq!(health.circuit.state(0), BreakerState::Open);
    assert_eq!(error(&told_by(&rig, "1").await), (json!(-31006), json!(false)));
    assert_eq!(rig.asked().len(), 5);
}

/// What a call was told, in a body or in an event.
async fn told_by(rig: &Rig, id: &str) -> Told {
    let told = rig.post(&call(id, r#"{"q":"oslo"}"#)).await;
    let text = String::from_utf8(told.text.to_vec()).unwrap();
    let event = text.lines().find_map(|line| line.strip_prefix("data: {\"jsonrpc"));
    match event {
        Some(event) => Told { text: format!("{{\"jsonrpc{event}").into(), ..told },
        None => told,
    }
}

#[tokio::test]
async fn a_deadline_holds_for_a_stream_up_to_its_reply() {
    let binding = Binding { deadline: Some(Millis(50)), ..bound(tool()) };
    let mut rig = Rig::with(once(), Some(binding), |_| Answer::open_stream()).await;
    assert_eq!(error(&told_by(&rig, "1").await), (json!(-31009), json!("unknown")));
    let fact = soon(rig.named()).await;
    assert_eq!((fact.fault, fact.executed), (Some(Fault::TimedOut), Executed::Unknown));
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_frees_its_place() {
    let tool = tool();
    let health = Arc::clone(&tool.health);
    let mut rig =
        Rig::with(once(), Some(bound(tool)), first_then(Answer::silence, || Answer::json(GOOD)))
            .await;
    // Open, and its rest is over: the next call is the probe.
    let at_once = BreakerRules { failures: 1, open: Millis(0), longest: Millis(0) };
    let pass = health.circuit.admit(0, &at_once).unwrap();
    health.circuit.bad(pass, 0, &at_once);
    let agent = rig.caller();
    let probe = tokio::spawn(async move { agent.post(CALL).await });
    soon(async {
        while rig.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(error(&rig.post(CALL).await), (json!(-31006), json!(false)));
    probe.abort();
    soon(rig.left.recv()).await.unwrap();
    // Whoever comes next is the probe, as soon as the path has noticed.
    let told = soon(async {
        loop {
            let told = rig.post(CALL).await;
            if told.json().get("result").is_some() {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told.text, GOOD);
    assert_eq!((health.circuit.state(0), rig.asked().len()), (BreakerState::Closed, 2));
}

#[tokio::test]
async fn a_call_that_waited_for_a_probe_does_not_go_where_its_tool_changed() {
    let tool_of = |health: &Arc<ToolHealth>, revision| ToolBinding {
        revision,
        health: Arc::clone(health),
        ..tool()
    };
    let health = Arc::new(ToolHealth::default());
    let hold = HoldRules { wait: Millis(20_000), ..HoldRules::default() };
    let resilience = Resilience { hold, ..once().resilience };
    let settings = Settings { resilience, ..Settings::default() };
    let manners = first_then(Answer::silence, || Answer::json(GOOD));
    let mut rig = Rig::with(settings, Some(bound(tool_of(&health, 1))), manners).await;
    let at_once = BreakerRules { failures: 1, open: Millis(0), longest: Millis(0) };
    let pass = health.circuit.admit(0, &at_once).unwrap();
    health.circuit.bad(pass, 0, &at_once);
    let (one, other) = (rig.caller(), rig.caller());
    let probe = tokio::spawn(async move { one.post(CALL).await });
    soon(async {
        while rig.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let waiting = tokio::spawn(async move { other.post(CALL).await });
    let load = rig.metrics.load(&peer());
    soon(async {
        while load.held.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.board.publish(peer(), bound(tool_of(&health, 2)), |_| ());
    probe.abort();
    soon(rig.left.recv()).await.unwrap();
    let told = soon(waiting).await.unwrap();
    assert_eq!(error(&told), (json!(-31004), json!(false)));
    assert_eq!(rig.asked().len(), 1, "nothing was sent");
    // Its place is free: who comes next is the probe.
    assert_eq!(rig.post(CALL).await.text, GOOD);
    assert_eq!(health.circuit.state(0), BreakerState::Closed);
}

type Shown = &'static [(&'static str, &'static str)];

/// One call that is answered so, and another one to which no whole answer comes.
struct Pair {
    tool: ToolBinding,
    good: &'static str,
    headers: [Shown; 2],
    arguments: [&'static str; 2],
}

/// A caller who asks the same twice.
fn pair() -> Pair {
    Pair { tool: tool(), good: GOOD, headers: [&[], &[]], arguments: [r#"{"q":"oslo"}"#; 2] }
}

async fn again(pair: Pair) -> (Rig, Told) {
    let Pair { tool, good, headers, arguments } = pair;
    let manners = first_then(move || Answer::json(good), Answer::hung_up);
    let rig = Rig::with(once(), Some(bound(tool)), manners).await;
    rig.post_with(headers[0], &call("7", arguments[0])).await;
    let told = rig.post_with(headers[1], &call("\"x\"", arguments[1])).await;
    (rig, told)
}

#[tokio::test]
async fn l2_a_last_known_good_reply_is_marked_and_bears_the_new_id() {
    let arguments = [r#"{"q":"oslo"}"#, "{ \"q\" : \"oslo\" }"];
    let (mut rig, told) = again(Pair { arguments, ..pair() }).await;
    let message = told.json();
    assert_eq!((told.status, &message["id"]), (200, &json!("x")));
    assert_eq!(message["result"]["structuredContent"], json!({ "price": 1 }));
    let note = stale(&told);
    assert_eq!((&note["verdict"], &note["executed"]), (&json!("waived"), &json!("unknown")));
    assert!(note["stale"]["age_ms"].is_u64(), "{note}");
    let fact = soon(rig.named()).await;
    assert_eq!((fact.verdict, fact.fault), (Verdict::Waived, Some(Fault::BrokenOff)));
    assert!(fact.stale.is_some() && fact.violations.is_empty());

    // A mended one as it was delivered, under one verdict.
    let healed = ToolBinding {
        routine: routine(json!({ "reply": [{ "op": "move", "from": "/cost", "to": "/price" }] })),
        ..tool()
    };
    let good = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"cost":5}}}"#;
    let (_, told) = again(Pair { tool: healed, good, ..pair() }).await;
    assert_eq!(told.json()["result"]["structuredContent"], json!({ "price": 5 }));
    assert_eq!(stale(&told)["verdict"], "waived");
    assert_eq!(String::from_utf8_lossy(&told.text).matches("dev.stipula/verdict").count(), 1);
}

#[tokio::test]
async fn l2_nobody_is_given_what_is_not_his_or_no_good_reply() {
    let is_error = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[]}}"#;
    let more =
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"s"}}"#;
    let failed = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"m"}}"#;
    let broken = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{}}}"#;
    let write = ToolBinding { read_only: false, read_only_hint: false, ..tool() };
    let digits = [r#"{"q":"a","n":9007199254740993}"#, r#"{"q":"a","n":9007199254740992}"#];
    let shown = |headers: [Shown; 2]| Pair { headers, ..pair() };
    let asked = |arguments: [&'static str; 2]| Pair { arguments, ..pair() };
    let said = |good: &'static str| Pair { good, ..pair() };
    let rows = [
        ("a write", Pair { tool: write, ..pair() }),
        ("other arguments", asked([r#"{"q":"oslo"}"#, r#"{"q":"rome"}"#])),
        ("a digit that a double cannot tell", asked(digits)),
        ("another principal", shown([&[("authorization", "a")], &[("authorization", "b")]])),
        ("nobody", shown([&[("authorization", "a")], &[]])),
        ("another key", shown([&[("x-api-key", "1")], &[("x-api-key", "2")]])),
        ("another session", shown([&[("mcp-session-id", "s")], &[]])),
        ("isError", said(is_error)),
        ("a step towards one", said(more)),
        ("an error", said(failed)),
        ("a broken one", said(broken)),
    ];
    for (name, pair) in rows {
        let (_, told) = again(pair).await;
        assert_eq!(error(&told), (json!(-31005), json!("unknown")), "{name}: {:?}", told.json());
    }
    // One that begins is there, whatever becomes of it.
    let manners = first_then(|| Answer::json(GOOD), || Answer::cut("{"));
    let rig = Rig::with(once(), Some(bound(tool())), manners).await;
    rig.post(CALL).await;
    assert_eq!(error(&rig.post(CALL).await), (json!(-31002), json!("unknown")));
    // Where no record can name it, it does not leave.
    let manners = first_then(|| Answer::json(GOOD), Answer::hung_up);
    let rig = Rig::with(once(), Some(bound(tool())), manners).await;
    rig.post(CALL).await;
    rig.fill_the_reserved_lane();
    assert_eq!(rig.post(CALL).await.json()["error"]["data"]["error"], "STP-OVERLOADED");
}
