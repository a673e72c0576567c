//! That the score says what happened: a heal, a wrong one, a miss, a break that was not seen.

use serde_json::{Value, json};

use super::*;
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::DriftType;

fn list(tool: &Value) -> Surface {
    let tools = Tool::from_definition(tool.clone()).into_iter().collect();
    Surface { tools, ..Surface::default() }
}

fn tool(argument: &str) -> Value {
    json!({"name": "find", "annotations": {"readOnlyHint": true}, "inputSchema": {"type": "object",
        "properties": {argument: {"type": "string"}}, "required": [argument]}})
}

fn judged(change: &Value) -> CaseScore {
    let (old, new) = (tool("guestName"), tool("guest_name"));
    let mut line = json!({
        "id": "x", "tool": "find", "from": "", "to": "", "before": old, "after": new,
        "drift_type": "param_renamed", "severity": "medium", "healable": true, "gate": "auto",
        "routine": [{"op": "rename"}], "breaking": "hard",
        "examples": [{"args_v1": {"guestName": "a"}, "tool_v2": "find", "args_v2": {"guest_name": "a"}}]
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    score_case(&GoldCase::from_json(&line).unwrap(), &list(&old), &list(&new))
}

#[test]
fn a_call_that_arrives_as_judged_is_healed() {
    let score = judged(&json!({}));
    assert!(score.healed() && score.type_agrees && score.severity_agrees, "{score:?}");
    assert_eq!(Table::of(&[score]).auto_mapped, Share { count: 1, of: 1 });
}

#[test]
fn what_should_wait_or_maps_otherwise_is_wrong() {
    let other =
        json!([{"args_v1": {"guestName": "a"}, "tool_v2": "find", "args_v2": {"guest_name": "b"}}]);
    let refused = json!([{"args_v1": {"guestName": "a"}, "args_v2": null}]);
    for change in
        [json!({"gate": "review"}), json!({"examples": other}), json!({"examples": refused})]
    {
        let table = Table::of(&[judged(&change)]);
        assert_eq!(table.wrong_heals, 1, "{change}");
        assert!(!table.is_safe());
    }
}

#[test]
fn another_type_or_severity_is_told() {
    let score = judged(&json!({"severity": "low", "drift_type": "tool_removed"}));
    assert!(!score.severity_agrees && !score.type_agrees, "{score:?}");
    for (kind, expected) in [
        ("tool_merged", DriftType::Capability),
        ("policy_annotation_changed", DriftType::Policy),
        ("annotation_restated", DriftType::Policy),
        ("default_changed", DriftType::Semantic),
        ("type_changed", DriftType::Schema),
    ] {
        assert_eq!(drift_family(kind), expected, "{kind}");
    }
}

#[test]
fn a_line_that_is_no_case_says_what_it_lacks() {
    let fault = GoldCase::from_json(&json!({"id": "x", "gate": "perhaps"})).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "expected auto, review or block at /gate of a judged case, got \"perhaps\""
    );
}

#[test]
fn a_pair_labelled_breaking_must_be_called_so() {
    let pair = |before: Value, after: Value| {
        let line = json!({"id": "p", "before": before, "after": after, "breaking": "hard"});
        score_pair(&Pair::from_json(&line).unwrap())
    };
    let seen = pair(tool("a"), tool("b"));
    let missed = pair(tool("a"), tool("a"));
    assert!(!seen.is_missed() && missed.is_missed());
    assert!(!seen.identity_drifts);
    let table = PairTable::of(&[seen, missed]);
    assert_eq!(table.hard, Share { count: 1, of: 2 });
}

#[test]
fn times_are_told_by_rank() {
    let spread = Spread::of((1..=200).rev().collect());
    assert_eq!((spread.median_us, spread.p99_us, spread.slowest_us), (100, 198, 200));
    assert_eq!(Spread::of(Vec::new()), Spread::default());
}
