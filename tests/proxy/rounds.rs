//! Calls of several rounds: one routine carries them over from the first round to the last.

use serde_json::{Value, json};
use stipula::domain::message::Executed;
use stipula::live::{ToolBinding, ToolState};

use crate::rig::{Answer, Asked, MODERN, Rig, Told, bound, modern, peer, routine, soon, tool};

const ASKS: &str = r#"{"jsonrpc":"2.0","id":"a","result":{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{}}},"requestState":"s\u0031"}}"#;
const GOOD: &str = r#"{"jsonrpc":"2.0","id":"a","result":{"resultType":"complete","structuredContent":{"price":1}}}"#;
const UNKNOWN: &str = r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"m","data":{"reason":"invalid_request_state"}}}"#;

/// Binds its state to the arguments of the first round, as an SDK server does.
fn binds(asked: &Asked) -> Answer {
    let params = &asked.json()["params"];
    match (params.get("requestState"), &params["arguments"]) {
        (None, _) => Answer::json(ASKS),
        (Some(_), arguments) if *arguments == json!({"q": "oslo"}) => Answer::json(GOOD),
        _ => Answer::json(UNKNOWN),
    }
}

fn healed() -> ToolBinding {
    let source = json!({"call": "find", "request": [{"op": "move", "from": "/q", "to": "/text"}]});
    ToolBinding { routine: routine(source), revision: 2, ..tool() }
}

fn retry() -> String {
    let mut call: Value = serde_json::from_str(&modern(&json!({"q": "oslo"}))).unwrap();
    call["params"]["requestState"] = json!("s1");
    call["params"]["inputResponses"] = json!({"who": {"action": "accept"}});
    call.to_string()
}

async fn ask(rig: &Rig, more: &[(&str, &str)], text: &str) -> Told {
    let headers: Vec<(&str, &str)> = MODERN.iter().chain(more).copied().collect();
    soon(rig.post_with(&headers, text)).await
}

fn sent(rig: &Rig) -> (Value, Value) {
    let last = rig.asked().last().unwrap().json();
    (last["params"]["name"].clone(), last["params"]["arguments"].clone())
}

#[tokio::test]
async fn a_retry_is_carried_over_by_what_carried_the_first_round() {
    let rig = Rig::new(Some(bound(tool())), binds).await;
    let first = ask(&rig, &[], &modern(&json!({"q": "oslo"}))).await;
    assert_eq!(&first.text[..], ASKS.as_bytes());
    rig.board.publish(peer(), bound(healed()), |_| ());
    let told = ask(&rig, &[], &retry()).await;
    assert_eq!(&told.text[..], GOOD.as_bytes());
    assert_eq!(sent(&rig), (json!("search"), json!({"q": "oslo"})));
    // A call of its own goes by the routine in force, and so does what another shows the state for.
    ask(&rig, &[], &modern(&json!({"q": "oslo"}))).await;
    assert_eq!(sent(&rig), (json!("find"), json!({"text": "oslo"})));
    ask(&rig, &[("authorization", "Bearer other")], &retry()).await;
    assert_eq!(sent(&rig), (json!("find"), json!({"text": "oslo"})));
}

#[tokio::test]
async fn a_third_round_too() {
    let more = ASKS.replace("s\\u0031", "s1");
    let again =
        move |asked: &Asked| match asked.json()["params"]["arguments"] == json!({"q": "oslo"}) {
            true => Answer::json(&more),
            false => Answer::json(UNKNOWN),
        };
    let rig = Rig::new(Some(bound(tool())), again).await;
    ask(&rig, &[], &modern(&json!({"q": "oslo"}))).await;
    rig.board.publish(peer(), bound(healed()), |_| ());
    for _ in 0..2 {
        let told = ask(&rig, &[], &retry()).await.json();
        assert_eq!(told["result"]["resultType"], "input_required");
    }
}

#[tokio::test]
async fn a_retry_that_is_rejected_is_not_carried_over_anew() {
    let never = |asked: &Asked| match asked.json()["params"].get("requestState") {
        None => Answer::json(ASKS),
        Some(_) => Answer::json(UNKNOWN),
    };
    let mut rig = Rig::new(Some(bound(tool())), never).await;
    ask(&rig, &[], &modern(&json!({"q": "oslo"}))).await;
    rig.board.publish(peer(), bound(healed()), |_| ());
    let told = ask(&rig, &[], &retry()).await;
    assert_eq!(&told.text[..], UNKNOWN.as_bytes());
    assert_eq!(rig.asked().len(), 2);
    soon(rig.fact()).await;
    let fact = soon(rig.fact()).await;
    assert_eq!((fact.held, fact.executed), (None, Executed::No));
    assert!(fact.rejection.is_some(), "the peer is looked at again");
}

#[tokio::test]
async fn a_tool_that_may_not_be_called_now_stops_a_retry_as_well() {
    let rig = Rig::new(Some(bound(tool())), binds).await;
    ask(&rig, &[], &modern(&json!({"q": "oslo"}))).await;
    let state = ToolState::Waiting { drift: "d1".to_owned(), why: "because".to_owned() };
    rig.board.publish(peer(), bound(ToolBinding { state, ..healed() }), |_| ());
    let told = ask(&rig, &[], &retry()).await.json();
    assert_eq!(told["error"]["code"], -31007);
    assert_eq!(rig.asked().len(), 1);
}
