//! What becomes of a reply that Stipula itself cannot judge or record: by what is at stake, and never past
//! what was decided before the peer was asked.

use std::sync::Arc;

use serde_json::{Value, json};
use stipula::domain::contract::Schema;
use stipula::domain::message::Verdict;
use stipula::live::{Mode, ToolBinding, ToolState};
use stipula::proxy::{Failing, Failure, Settings};

use crate::rig::{Answer, CALL, Rig, Told, bound_as, definition, tool};

/// What is at stake in a call, and how the shipped settings answer.
const STAKES: [(&str, bool); 4] =
    [("low", true), ("medium", true), ("high", false), ("critical", false)];

/// A tool of which this much is at stake, and its definition.
fn staked(stake: &str) -> (ToolBinding, Value) {
    let mut definition = definition();
    let read_only = matches!(stake, "low" | "medium");
    definition["annotations"] = json!({ "destructiveHint": stake == "critical" });
    let tool = ToolBinding { read_only, read_only_hint: read_only, ..tool() };
    if stake == "low" {
        // Nothing is promised of its replies: there is nothing that could not be judged, only recorded.
        return (ToolBinding { reply: None, ..tool }, definition);
    }
    (tool, definition)
}

fn all(failing: Failing) -> Settings {
    let failure = Failure { low: failing, medium: failing, high: failing, critical: failing };
    Settings { failure, ..Settings::default() }
}

/// Passes the gate, and would look at each of the items three thousand times.
fn laborious() -> (Option<Arc<Schema>>, String) {
    let mut many: Vec<_> = (0..3_000).map(|at| json!({ "minimum": at + 10 })).collect();
    many.push(json!({ "const": 0 }));
    let schema = json!({ "properties": { "n": { "items": { "anyOf": many } } } });
    let items = vec!["0"; 2_000].join(",");
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[],"structuredContent":{{"n":[{items}]}}}}}}"#
    );
    (Some(Arc::new(Schema::compile(&schema).unwrap())), reply)
}

fn is_withheld(told: &Told, code: &str) -> bool {
    let message = told.json();
    let note = &message["result"]["_meta"]["dev.stipula/verdict"];
    if message["result"]["isError"] == true {
        assert_eq!(note["executed"], true, "{message}");
        let text = message["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(code), "{text}");
        return true;
    }
    assert!(note.is_null(), "{message}");
    false
}

#[tokio::test]
async fn what_takes_too_much_work_to_judge_goes_by_what_is_at_stake() {
    let (schema, reply) = laborious();
    for (stake, opens) in STAKES.into_iter().filter(|(stake, _)| *stake != "low") {
        for (settings, open) in [
            (Settings::default(), opens),
            (all(Failing::Open), true),
            (all(Failing::Closed), false),
        ] {
            let (tool, definition) = staked(stake);
            let tool = ToolBinding { reply: schema.clone(), ..tool };
            let answer = reply.clone();
            let mut rig = Rig::with(settings, Some(bound_as(tool, definition)), move |_| {
                Answer::json(&answer)
            })
            .await;
            let told = rig.post(CALL).await;
            assert_eq!(is_withheld(&told, "could not be judged"), !open, "{stake}");
            // Either way a record names it.
            let fact = rig.named().await;
            assert_eq!(fact.verdict, if open { Verdict::Waived } else { Verdict::Refused });
            assert_eq!(fact.violations[0].kind, "undecided");
            if open {
                assert_eq!(told.text, reply.as_bytes(), "{stake}: it leaves as it came");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_goes_by_what_is_at_stake() {
    // No reply: what leaves in its place must be named, and there is no room.
    let broken = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
    for (stake, opens) in STAKES {
        for (settings, open) in [
            (Settings::default(), opens),
            (all(Failing::Open), true),
            (all(Failing::Closed), false),
        ] {
            let (tool, definition) = staked(stake);
            if stake == "low" {
                // Of a tool that promises nothing, nothing is ever waived.
                assert!(tool.reply.is_none());
                continue;
            }
            let tool = ToolBinding { kept: false.into(), ..tool };
            let binding = Some(bound_as(tool, definition));
            let rig = Rig::with(settings, binding, move |_| Answer::json(broken)).await;
            rig.fill_the_reserved_lane();
            let told = rig.post(CALL).await;
            assert_eq!(is_withheld(&told, "no room to record"), !open, "{stake}");
            let dropped = "stipula_observations_dropped_total{reason=\"reserved_full\"} 1";
            assert!(rig.metrics.render().contains(dropped), "{}", rig.metrics.render());
        }
    }
}

#[tokio::test]
async fn what_fails_open_skips_judging_alone() {
    let waiting = ToolState::Waiting { drift: "d".into(), why: "a person must decide".into() };
    let (schema, reply) = laborious();
    let (tool, definition) = staked("medium");
    let tool = ToolBinding { reply: schema, state: waiting, ..tool };
    let settings = all(Failing::Open);
    let answer = move |_: &_| Answer::json(&reply);
    let rig = Rig::with(settings, Some(bound_as(tool, definition)), answer).await;
    rig.fill_the_reserved_lane();
    let told = rig.post(CALL).await.json();
    assert_eq!(told["error"]["code"], -31007, "{told}");
    assert!(rig.asked().is_empty(), "the peer was asked");
    // A limit too: a request that is too long is refused whatever cannot be judged.
    let (tool, definition) = staked("medium");
    let settings = Settings { request_bytes: 10, ..all(Failing::Open) };
    let binding = Some(bound_as(tool, definition));
    let rig = Rig::with(settings, binding, |_| Answer::json("{}")).await;
    assert_eq!(rig.post(CALL).await.status, 413);
}

#[tokio::test]
async fn modes_that_do_not_enforce_withhold_nothing() {
    let (schema, reply) = laborious();
    for mode in [Mode::Observe, Mode::Warn] {
        let (tool, definition) = staked("critical");
        let tool = ToolBinding { reply: schema.clone(), mode, ..tool };
        let answer = reply.clone();
        let binding = Some(bound_as(tool, definition));
        let rig = Rig::with(all(Failing::Closed), binding, move |_| Answer::json(&answer)).await;
        let told = rig.post(CALL).await.json();
        assert!(told["result"]["structuredContent"]["n"].is_array(), "{mode:?}");
    }
}

#[tokio::test]
async fn a_full_queue_of_ordinary_facts_holds_up_nothing() {
    let kept =
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"price":1}}}"#;
    let (tool, definition) = staked("critical");
    let binding = Some(bound_as(tool, definition));
    let rig = Rig::with(all(Failing::Closed), binding, move |_| Answer::json(kept)).await;
    let mut line = rig.caller().connected().await;
    // More than the queue of the rig holds, and nobody takes any.
    for _ in 0..100 {
        assert_eq!(line.post(CALL).await.text, kept.as_bytes());
    }
    let numbers = rig.metrics.render();
    let dropped = "stipula_observations_dropped_total{reason=\"ordinary_full\"} 36";
    assert!(numbers.contains(dropped), "{numbers}");
    let counted = "stipula_exchanges_total{peer=\"flights\",protocol=\"mcp\",verdict=\"kept\"} 100";
    assert!(numbers.contains(counted), "{numbers}");
}
