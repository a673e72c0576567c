//! What may go beyond the plain case, each beside the nearest case that may not.

use serde_json::{Value, json};

use super::tests::{Trial, reads, rename, trial, writes};
use crate::domain::negotiation::Rule;

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

#[test]
fn a_list_is_written_out_only_with_the_comma_that_the_place_states() {
    let join = |to: &str, separator: &str| json!({"request": [{"op": "join", "from": ["/tags"], "separator": separator, "to": to}]});
    let of = |new: Value, routine: Value| {
        let list = json!({"type": "array", "items": {"type": "string"}});
        trial(reads("find_x", json!({"tags": list})), reads("find_x", new), routine)
    };
    let stated = || json!({"tags": text("Comma-separated tags")});
    of(stated(), join("/tags", ",")).goes();
    of(stated(), join("/tags", ";")).held(Rule::Places);
    of(json!({"tags": text("Tags to look for")}), join("/tags", ",")).held(Rule::Places);
    of(json!({"query": text("Comma-separated words")}), join("/query", ",")).held(Rule::Places);
}

#[test]
fn json_in_a_string_is_read_only_where_its_text_says_so() {
    let of = |said: &str, to: &str| {
        let old = reads("find_x", json!({"filter": text(said)}));
        let new = reads("find_x", json!({to: {"type": "object"}}));
        let mut ops = vec![json!({"op": "parse", "at": "/filter"})];
        if to != "filter" {
            ops.push(json!({"op": "move", "from": "/filter", "to": format!("/{to}")}));
        }
        trial(old, new, json!({"request": ops}))
    };
    of("A JSON string of conditions", "filter").goes();
    of("Conditions", "filter").held(Rule::Places);
    of("A JSON string of conditions", "body").held(Rule::Names);
}

#[test]
fn a_value_that_says_the_whole_old_name_reaches_a_tool_that_stood_before() {
    let method = |values: Value| json!({"method": {"type": "string", "enum": values}});
    let of = |name: &str, value: &str| {
        let values = json!(["list_build_jobs", "get_build_job", "cancel_build_job", "everything"]);
        let to = json!({"name": "build_jobs",
            "inputSchema": {"type": "object", "properties": method(values)}});
        let old = json!({"name": name, "inputSchema": {"type": "object"}});
        let routine = json!({"call": "build_jobs",
            "request": [{"op": "set", "at": "/method", "value": value}]});
        let mut trial = trial(old, to.clone(), routine);
        trial.old.push(to);
        trial
    };
    of("list_build_jobs", "list_build_jobs").goes();
    of("list_build_jobs", "everything").held(Rule::Names);
    // The name is said in full, but something may be changed.
    of("cancel_build_job", "cancel_build_job").held(Rule::Effect);
}

#[test]
fn a_word_more_needs_what_both_schemas_state() {
    let kind = |default: &str| json!({"type": "string", "default": default});
    let of = |old: &str, new: &str, one: &str, other: &str| -> Trial {
        rename(kind(one), kind(other), old, new)
    };
    of("engine", "render_engine", "lucene", "lucene").goes();
    of("engine", "render_engine", "lucene", "other").held(Rule::Names);
    of("engine", "engine_owner", "lucene", "lucene").held(Rule::Names);
    of("engine", "engine_type", "lucene", "other").held(Rule::Names);
}

#[test]
fn a_tool_under_another_name_must_be_told_as_the_same() {
    let many = || json!({"owner": text("Who"), "repo": text("Which"), "path": text("Where")});
    let of = |old: (&str, &str), new: (&str, &str)| {
        let mut one = writes(old.0, many());
        let mut other = writes(new.0, many());
        one["description"] = json!(old.1);
        other["description"] = json!(new.1);
        trial(one, other, json!({"call": new.0}))
    };
    let long = "Adds a remark to the latest pending booking review, a pending review must exist";
    of(("add_booking_review_remark", long), ("add_remark", long)).goes();
    // The word that came stands in no text of the old tool: it may be a part of it only.
    let all = "Removes the alerts of a repository that match a given path, one by one";
    let some = "Removes the closed alerts of a repository that match a given path, one by one";
    of(("remove_alert", all), ("remove_closed_alert", some)).held(Rule::Names);
    of(("delete_range", "Deletes cells"), ("clear_range", "Clears cells")).held(Rule::Names);
}

#[test]
fn a_name_without_a_verb_contradicts_no_reading() {
    let same = "Shows how annotations can describe the parts of a message";
    let of = |name: &str, to: &str| {
        let tool = |name: &str| json!({"name": name, "description": same, "inputSchema": {"type": "object"}});
        trial(tool(name), tool(to), json!({"call": to}))
    };
    of("annotatedMessage", "get_annotated_message").goes();
    of("send_annotated_message", "get_annotated_message").held(Rule::Effect);
    of("get_annotated_message", "send_annotated_message").held(Rule::Effect);
}

#[test]
fn one_value_under_a_new_name_becomes_several_only_where_nothing_changes() {
    let wrap = json!({"request": [
        {"op": "move", "from": "/sheet", "to": "/sheets"}, {"op": "wrap", "at": "/sheets"}]});
    let of = |make: fn(&str, Value) -> Value, name: &str| {
        let list = json!({"type": "array", "items": {"type": "string"}});
        let old = make(name, json!({"sheet": {"type": "string"}}));
        trial(old, make(name, json!({"sheets": list})), wrap.clone())
    };
    of(reads, "find_x").goes();
    of(writes, "delete_x").held(Rule::Names);
}
