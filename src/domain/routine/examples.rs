//! What a routine does, shown on calls and replies that a schema makes: for whoever has to decide.

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::explain::BeforeAfter;
use super::model::ToolRoutine;
use super::{CompiledRoutine, Failure};
use crate::domain::contract::{Effort, Schema, Tool, closed, try_instances};

/// What is looked through for telling ones.
const EFFORT: Effort = Effort { most: 100, bytes: 256 * 1024 };

/// One call or reply before and after the routine.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Example {
    /// As it comes: `{"tool", "arguments"}` as the agent makes the call, or the reply as the peer gives it.
    pub before: Value,
    /// As it leaves: the call as it is sent, or the reply as the agent gets it; null where it is refused.
    pub after: Option<Value>,
    /// Why the routine refuses it, where it does.
    pub refused: Option<String>,
}

/// Examples of a routine, generated from the schemas of a promise and an offer; none is recorded traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Examples {
    /// Calls: the fullest that is carried over, the shortest, and one that is refused, where there are such.
    pub calls: Vec<Example>,
    /// Replies, where the routine changes them.
    pub replies: Vec<Example>,
}

/// Examples of what `routine` does to calls of `promised`, and to replies of `offered`.
#[must_use]
pub fn examples(promised: &Tool, offered: Option<&Tool>, routine: &ToolRoutine) -> Examples {
    let Ok(compiled) = CompiledRoutine::compile(promised.name(), routine) else {
        return Examples::default();
    };
    let input = promised.input_schema().cloned().unwrap_or_else(|| json!({ "type": "object" }));
    let name = promised.name();
    let calls = telling(&input, |arguments| {
        let shown = compiled.request_before_after(name, arguments);
        let before = json!({ "tool": name, "arguments": shown.before });
        BeforeAfter { before, after: shown.after }
    });
    let output = offered.and_then(Tool::output_schema).filter(|_| !routine.reply.is_empty());
    let replies = output.map(|output| telling(output, |reply| compiled.reply_before_after(reply)));
    Examples { calls, replies: replies.unwrap_or_default() }
}

/// Of the instances of a schema: the one with the most members that is carried over, the one with the
/// fewest, and the first that is refused.
fn telling(schema: &Value, show: impl Fn(&Value) -> BeforeAfter) -> Vec<Example> {
    let (mut carried, mut refused) = (Vec::new(), None);
    let Ok(schema) = Schema::compile(&closed(schema)) else { return Vec::new() };
    try_instances(&schema, EFFORT, |instance, _| -> ControlFlow<()> {
        let BeforeAfter { before, after } = show(instance);
        match after {
            Ok(after) => {
                let members = instance.as_object().map_or(0, serde_json::Map::len);
                carried.push((members, Example { before, after: Some(after), refused: None }));
            }
            Err(failure) if refused.is_none() => {
                let why = match failure {
                    Failure::Refused { reason, .. } => reason,
                    other => other.to_string(),
                };
                refused = Some(Example { before, after: None, refused: Some(why) });
            }
            Err(_) => {}
        }
        ControlFlow::Continue(())
    });
    // The sort is stable: of those alike, the plainest stands first.
    carried.sort_by_key(|(members, _)| std::cmp::Reverse(*members));
    let shortest = carried.iter().map(|(members, _)| *members).min();
    let last = shortest.and_then(|least| carried.iter().position(|(members, _)| *members == least));
    let mut shown: Vec<Example> = Vec::new();
    for at in [Some(0), last.filter(|at| *at > 0)].into_iter().flatten() {
        shown.extend(carried.get(at).map(|(_, example)| example.clone()));
    }
    shown.extend(refused);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(definition: Value) -> Tool {
        Tool::from_definition(definition).unwrap()
    }

    fn routine(source: Value) -> ToolRoutine {
        serde_json::from_value(source).unwrap()
    }

    #[test]
    fn the_fullest_the_shortest_and_a_refused_call_are_shown() {
        let promised = tool(json!({ "name": "list", "inputSchema": {
            "type": "object",
            "properties": { "owner": { "type": "string" }, "per_page": { "type": "integer" } },
            "required": ["owner"],
        }}));
        let routine = routine(json!({ "call": "read", "request": [
            { "op": "set", "at": "/method", "value": "all" },
            { "op": "refuse_unless", "at": "/per_page", "fits": { "minimum": 1 }, "reason": "too few" },
            { "op": "move", "from": "/per_page", "to": "/perPage", "optional": true },
        ]}));
        let shown = examples(&promised, None, &routine).calls;
        assert_eq!(shown.len(), 3, "{shown:?}");
        let arguments = |at: usize| shown[at].before["arguments"].as_object().unwrap();
        assert_eq!((arguments(0).len(), arguments(1).len()), (2, 1));
        for example in &shown[..2] {
            let after = example.after.as_ref().unwrap();
            assert_eq!((&example.before["tool"], &after["tool"]), (&json!("list"), &json!("read")));
            assert_eq!(after["arguments"]["method"], "all");
            assert_eq!(after["arguments"]["owner"], example.before["arguments"]["owner"]);
        }
        let after = shown[0].after.as_ref().unwrap();
        assert_eq!(after["arguments"]["perPage"], arguments(0)["per_page"]);
        assert!(arguments(2)["per_page"].as_i64().unwrap() < 1);
        assert_eq!((shown[2].after.as_ref(), shown[2].refused.as_deref()), (None, Some("too few")));
    }

    #[test]
    fn replies_are_shown_where_the_routine_changes_them() {
        let output = json!({ "type": "object", "properties": { "id": { "type": "integer" } }, "required": ["id"] });
        let offered = tool(json!({ "name": "read", "outputSchema": output }));
        let promised = tool(json!({ "name": "read" }));
        let untouched = routine(json!({ "request": [{ "op": "set", "at": "/a", "value": 1 }] }));
        assert!(examples(&promised, Some(&offered), &untouched).replies.is_empty());
        let moved = routine(json!({ "reply": [{ "op": "move", "from": "/id", "to": "/number" }] }));
        let shown = examples(&promised, Some(&offered), &moved).replies;
        assert_eq!(shown[0].after.as_ref().unwrap()["number"], shown[0].before["id"]);
    }
}
