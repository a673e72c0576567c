//! What the matcher proposes, and what it leaves alone.

use serde_json::json;

use super::*;

fn surface(tools: &Value) -> Surface {
    let tools = tools.as_array().into_iter().flatten().cloned();
    Surface { tools: tools.filter_map(Tool::from_definition).collect(), ..Surface::default() }
}

fn tool(name: &str, properties: &Value, required: &[&str]) -> Value {
    json!({"name": name, "inputSchema":
        {"type": "object", "properties": properties, "required": required}})
}

fn proposed(old: Value, new: Value) -> Vec<Candidate> {
    propose(&surface(&json!([old])), &surface(&json!([new])))
}

fn request(old: Value, new: Value) -> Value {
    proposed(old, new).first().map_or(Value::Null, |c| json!(c.routine.request))
}

#[test]
fn an_unchanged_tool_has_no_candidate() {
    let one = tool("find", &json!({"a": {"type": "string"}}), &["a"]);
    assert_eq!(proposed(one.clone(), one), []);
}

#[test]
fn a_renamed_argument_moves() {
    let old = tool("find", &json!({"roomNumber": {"type": "integer"}}), &["roomNumber"]);
    let new = tool("find", &json!({"room_number": {"type": "integer"}}), &["room_number"]);
    assert_eq!(
        request(old, new),
        json!([{"op": "move", "from": "/roomNumber", "to": "/room_number"}])
    );
}

#[test]
fn a_handle_of_another_kind_is_never_a_rename() {
    let old = tool("close", &json!({"tab_index": {"type": "integer"}}), &["tab_index"]);
    let new = tool("close", &json!({"tab_id": {"type": "integer"}}), &["tab_id"]);
    assert_eq!(proposed(old, new), []);
}

#[test]
fn a_required_value_that_only_the_caller_knows_is_not_invented() {
    let old = tool("find", &json!({"a": {"type": "string"}}), &["a"]);
    let new = tool("find", &json!({"a": {"type": "string"}, "b": {"type": "string"}}), &["a", "b"]);
    assert_eq!(proposed(old, new), []);
}

#[test]
fn a_merged_tool_is_called_by_the_discriminator_that_says_its_name() {
    let room = json!({"room": {"type": "string"}});
    let old = tool("list_bookings", &room, &["room"]);
    let new = tool(
        "bookings_read",
        &json!({"room": {"type": "string"},
                "method": {"type": "string", "enum": ["get", "list_bookings", "count"]}}),
        &["room", "method"],
    );
    let made = proposed(old, new);
    assert_eq!(made.first().and_then(|c| c.routine.call.as_deref()), Some("bookings_read"));
    assert_eq!(
        json!(made.first().map(|c| &c.routine.request)),
        json!([{"op": "set", "at": "/method", "value": "list_bookings"}])
    );
}

#[test]
fn two_successors_that_fit_alike_are_left_open() {
    let text = json!({"text": {"type": "string"}});
    let old = surface(&json!([tool("lookupWord", &text, &["text"])]));
    let new = surface(&json!([
        tool("lookup_word", &text, &["text"]),
        tool("word_lookup", &text, &["text"])
    ]));
    assert!(propose(&old, &new).iter().all(|c| !c.open.is_empty()));
}

#[test]
fn enum_values_are_matched_by_spelling_and_the_rest_is_refused() {
    let level = |values: Value| json!({"level": {"type": "string", "enum": values}});
    let old = tool("log", &level(json!(["low", "high", "all"])), &[]);
    let new = tool("log", &level(json!(["LOW", "HIGH"])), &[]);
    assert_eq!(
        request(old, new),
        json!([
            {"op": "refuse_if", "at": "/level", "not_one_of": ["high", "low"],
             "reason": "this value is no longer offered"},
            {"op": "map", "at": "/level",
             "table": [{"from": "high", "to": "HIGH"}, {"from": "low", "to": "LOW"}]}
        ])
    );
}

#[test]
fn a_reply_field_that_was_renamed_comes_back_under_its_old_name() {
    let with = |field: &str| {
        json!({"name": "get_room", "inputSchema": {"type": "object"}, "outputSchema":
            {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}})
    };
    let made = proposed(with("roomName"), with("room_name"));
    assert_eq!(
        json!(made.first().map(|c| &c.routine.reply)),
        json!([{"op": "move", "from": "/room_name", "to": "/roomName"}])
    );
}
