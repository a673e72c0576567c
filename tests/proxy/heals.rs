//! Held calls: released by a swap, sent again only where the peer cannot have run them.

use std::sync::Arc;

use serde_json::{Value, json};
use stipula::domain::contract::Schema;
use stipula::domain::message::{Executed, ToolName, Verdict};
use stipula::live::{Binding, ToolBinding, ToolState};
use stipula::proxy::Settings;

use crate::rig::{
    Answer, Asked, CALL, MODERN, Rig, Told, bound, modern, peer, routine, soon, tool,
};

const GOOD: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1}}}"#;
const UNKNOWN: &str =
    r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unknown tool"}}"#;

/// The peer renamed the argument and the tool.
fn renamed(asked: &Asked) -> Answer {
    let sent = asked.json();
    if sent["params"]["name"] == "find" && sent["params"]["arguments"] == json!({"text": "oslo"}) {
        Answer::json(GOOD)
    } else {
        Answer::json(UNKNOWN)
    }
}

fn healed() -> ToolBinding {
    let source = json!({"call": "find", "request": [{"op": "move", "from": "/q", "to": "/text"}]});
    ToolBinding { routine: routine(source), revision: 2, ..tool() }
}

/// Calls, publishes once the call is held, and says what the agent was told.
async fn swapped(rig: &mut Rig, next: impl FnOnce(u64) -> Binding) -> Told {
    let agent = rig.caller();
    let call = tokio::spawn(async move { agent.post(CALL).await });
    let fact = soon(rig.named()).await;
    rig.board.publish(peer(), next(fact.held.expect("held")), |_| ());
    soon(call).await.unwrap()
}

#[tokio::test]
async fn a_held_call_is_sent_again_with_the_healed_routine() {
    let mut rig = Rig::new(Some(bound(tool())), renamed).await;
    let told = swapped(&mut rig, |_| bound(healed())).await;
    assert_eq!(&told.text[..], GOOD.as_bytes());
    assert_eq!(rig.asked().len(), 2);
    let fact = soon(rig.fact()).await;
    assert_eq!(fact.verdict, Verdict::Kept);
    assert_eq!(fact.mended_by.map(|generation| generation.0), Some(2));
}

#[tokio::test]
async fn a_held_call_in_a_stream_is_sent_again_too() {
    let answer = |asked: &Asked| match asked.json()["params"]["name"].as_str() {
        Some("find") => Answer::stream(format!("data: {GOOD}\n\n")),
        _ => Answer::stream(format!(": hi\n\nid: 3\ndata: {UNKNOWN}\n\n")),
    };
    let mut rig = Rig::new(Some(bound(tool())), answer).await;
    let told = swapped(&mut rig, |_| bound(healed())).await;
    let text = String::from_utf8_lossy(&told.text).into_owned();
    assert_eq!(text, format!(": hi\n\ndata: {GOOD}\n\n"));
}

#[tokio::test]
async fn a_call_that_the_review_leaves_as_it_was_gets_the_peers_own_answer() {
    let mut rig = Rig::new(Some(bound(tool())), |_| Answer::json(UNKNOWN)).await;
    let told = swapped(&mut rig, |ticket| Binding { reviewed_to: ticket, ..bound(tool()) }).await;
    assert_eq!(&told.text[..], UNKNOWN.as_bytes());
    assert_eq!(rig.asked().len(), 1);
}

#[tokio::test]
async fn arguments_that_the_promise_does_not_admit_are_not_held() {
    let mut rig = Rig::new(Some(bound(tool())), |_| Answer::json(UNKNOWN)).await;
    let call = CALL.replace("\"oslo\"", "5");
    assert_eq!(&rig.post(&call).await.text[..], UNKNOWN.as_bytes());
    assert_eq!(soon(rig.fact()).await.rejection, None);
}

/// What the new surface says of the tool, and whether the call may be sent again.
type Row<'r> = (&'r str, Option<Option<Arc<Schema>>>, bool);

#[tokio::test]
async fn a_write_is_sent_again_only_where_the_new_surface_shows_it_was_not_run() {
    let write = |tool: ToolBinding| ToolBinding { read_only: false, read_only_hint: false, ..tool };
    let narrow = Schema::compile(&json!({"type": "object", "required": ["text"]})).unwrap();
    let wide = Schema::compile(&json!({"type": "object"})).unwrap();
    let rows: [Row<'_>; 4] = [
        ("gone", Some(None), true),
        ("does not fit", Some(Some(Arc::new(narrow))), true),
        ("fits", Some(Some(Arc::new(wide))), false),
        ("unchanged", None, false),
    ];
    for (name, offer, again) in rows {
        let mut rig = Rig::new(Some(bound(write(tool()))), renamed).await;
        let told = swapped(&mut rig, |_| {
            let mut next = bound(write(healed()));
            let key = ToolName::from("search");
            next.changed_offers.extend(offer.map(|offer| (key, offer)));
            next
        })
        .await
        .json();
        assert_eq!(rig.asked().len(), if again { 2 } else { 1 }, "{name}");
        let code = &told["error"]["code"];
        assert_eq!(code, &if again { Value::Null } else { json!(-31004) }, "{name}: {told}");
    }
}

#[tokio::test]
async fn an_error_result_is_repeated_only_with_a_read_only_hint() {
    let error = r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[{"type":"text","text":"Input validation error: 'text' is a required property"}]}}"#;
    for (hint, again) in [(true, 2), (false, 1)] {
        let answer = move |asked: &Asked| match asked.json()["params"]["name"].as_str() {
            Some("find") => Answer::json(GOOD),
            _ => Answer::json(error),
        };
        let hinted = |tool: ToolBinding| ToolBinding { read_only_hint: hint, ..tool };
        let mut rig = Rig::new(Some(bound(hinted(tool()))), answer).await;
        let told = swapped(&mut rig, |_| bound(hinted(healed()))).await.json();
        assert_eq!(rig.asked().len(), again, "{hint}");
        assert_eq!(told["result"]["isError"] == json!(true), !hint, "{told}");
    }
}

#[tokio::test]
async fn a_reply_in_flight_is_mended_by_the_routine_that_came() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"cost":3}}}"#;
    let mut rig = Rig::new(Some(bound(tool())), move |_| Answer::json(body)).await;
    let source = json!({"reply": [{"op": "move", "from": "/cost", "to": "/price"}]});
    let next = ToolBinding { routine: routine(source), revision: 2, ..tool() };
    let told = swapped(&mut rig, |_| bound(next)).await.json();
    assert_eq!(told["result"]["structuredContent"], json!({"price": 3}));
    assert_eq!(rig.asked().len(), 1);
    assert_eq!(soon(rig.fact()).await.verdict, Verdict::Mended);
}

#[tokio::test]
async fn a_tool_that_cannot_be_called_says_why_and_is_not_asked() {
    let (drift, why) = ("d1".to_owned(), "because".to_owned());
    let rows = [
        (ToolState::Waiting { drift: drift.clone(), why: why.clone() }, -31007, true),
        (ToolState::Unhealable { drift: drift.clone(), why: why.clone() }, -31004, false),
        (ToolState::Broken { drift: drift.clone(), why }, -31006, true),
        (ToolState::Healing { drift }, -31004, true),
    ];
    for (state, code, retryable) in rows {
        let settings = Settings { heal_wait_ms: 20, ..Default::default() };
        let stopped = ToolBinding { state, ..tool() };
        let mut rig = Rig::with(settings, Some(bound(stopped)), |_| Answer::json(GOOD)).await;
        let told = rig.post(CALL).await.json();
        let data = &told["error"]["data"];
        assert_eq!(told["error"]["code"], code);
        assert_eq!((&data["executed"], &data["retryable"]), (&json!(false), &json!(retryable)));
        assert_eq!(data["drift"], "d1");
        assert!(rig.asked().is_empty());
        assert_eq!(soon(rig.named()).await.executed, Executed::No);
    }
}

#[tokio::test]
async fn a_rewritten_modern_request_has_the_headers_of_its_body() {
    let source = json!({"call": "find", "request": [{"op": "move", "from": "/q", "to": "/text"}]});
    let mut healed = ToolBinding {
        routine: routine(source),
        shown_headers: vec![(vec!["q".to_owned()], "Query".to_owned())],
        ..tool()
    };
    let offered = vec![(vec!["text".to_owned()], "Text".to_owned())];
    healed.mirrored.insert(ToolName::from("find"), offered);
    let rig = Rig::new(Some(bound(healed)), |_| Answer::json(GOOD.replace("7", "\"a\""))).await;
    let mut headers = MODERN.to_vec();
    headers.extend([("mcp-param-query", "=?base64?w7hz?="), ("mcp-param-other", "1")]);
    let told = rig.post_with(&headers, &modern(&json!({"q": "\u{f8}s"}))).await;
    assert_eq!(told.json()["result"]["structuredContent"], json!({"price": 1}));
    let asked = &rig.asked()[0];
    assert_eq!(asked.json()["params"]["name"], "find");
    assert_eq!(asked.json()["params"]["arguments"], json!({"text": "\u{f8}s"}));
    assert_eq!(asked.headers["mcp-name"], "find");
    assert_eq!(asked.headers["mcp-param-text"], "=?base64?w7hz?=");
    assert_eq!(asked.headers.get("mcp-param-query"), None);
    assert_eq!(asked.headers["mcp-param-other"], "1");
}

#[tokio::test]
async fn an_argument_that_cannot_be_carried_over_is_refused_by_name() {
    let source = json!({"request": [
        {"op": "refuse_if", "at": "/q", "reason": "the peer has no free text"},
    ]});
    let partial = ToolBinding { routine: routine(source), ..tool() };
    let rig = Rig::new(Some(bound(partial)), |_| Answer::json(GOOD)).await;
    let told = rig.post(CALL).await.json();
    assert_eq!(told["error"]["code"], -31004);
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("/q") && message.contains("the peer has no free text"), "{message}");
    assert!(rig.asked().is_empty());
}
