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
fn why_a_call_is_made_is_no_part_of_what_is_found() {
    let held = |tool_name: &str, argument: &str, schema: Value| {
        let old =
            tool(tool_name, &json!({"room": {"type": "string"}, argument: schema}), &["room"]);
        let new = tool(tool_name, &json!({"room": {"type": "string"}}), &["room"]);
        let made = proposed(old, new);
        let refused = format!("/{argument}");
        assert_eq!(json!(made[0].routine.request)[0]["at"], refused);
        !made[0].open.is_empty()
    };
    let text = || json!({"type": "string"});
    assert!(!held("get_booking", "reason", text()));
    // It may choose what is found, or a change may depend on it.
    assert!(held("get_booking", "floor", text()));
    assert!(held("get_booking", "cancel_reason", text()));
    assert!(held("get_booking", "reason", json!({"enum": ["left", "ill"]})));
    assert!(held("cancel_booking", "reason", text()));
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

#[test]
fn what_became_narrower_is_refused_by_name() {
    let of = |schema: Value| tool("find", &json!({"perPage": schema}), &[]);
    let old = tool("find", &json!({"per_page": {"type": "number"}}), &[]);
    assert_eq!(
        request(old, of(json!({"type": "number", "maximum": 100}))),
        json!([
            {"op": "move", "from": "/per_page", "to": "/perPage", "optional": true},
            {"op": "refuse_unless", "at": "/perPage", "fits": {"type": ["number"], "maximum": 100.0},
             "reason": "the peer no longer takes this value"}
        ])
    );
    // What the peer refuses by itself, and tells, needs no routine.
    let (wide, narrow) = (json!({"type": "number"}), json!({"type": "number", "minimum": 1}));
    assert_eq!(proposed(of(wide), of(narrow)), []);
}

#[test]
fn what_is_only_left_over_is_left_open() {
    let named = |name: &str| tool("find", &json!({name: {"type": "string"}}), &[name]);
    let made = proposed(named("place"), named("area"));
    assert!(made.iter().all(|candidate| !candidate.open.is_empty()) && made.len() == 1);
    // Two of them, or another kind of handle: not even that.
    assert_eq!(proposed(named("page_index"), named("page_id")), []);
    let two = tool("find", &json!({"x": {"type": "string"}, "y": {"type": "string"}}), &["x", "y"]);
    assert_eq!(proposed(named("place"), two), []);
}

#[test]
fn a_firm_match_competes_no_longer() {
    let of = |sheet: &str, name: &str| {
        tool(
            "create_table",
            &json!({sheet: {"type": "string"}, name: {"type": "string"}}),
            &[sheet, name],
        )
    };
    let made = request(of("sheet_name", "table_name"), of("sheet", "name"));
    assert_eq!(
        made,
        json!([{"op": "move", "from": "/sheet_name", "to": "/sheet"},
               {"op": "move", "from": "/table_name", "to": "/name"}])
    );
}

#[test]
fn options_that_stand_in_prose_are_proposed_and_left_open() {
    let room = json!({"room": {"type": "string"}});
    let text = "What to do. Options are:\n 1. get - the room\n 2. get_guests - who stays";
    let merged =
        json!({"room": {"type": "string"}, "method": {"type": "string", "description": text}});
    let made = proposed(
        tool("get_room_guests", &room, &["room"]),
        tool("room_read", &merged, &["room", "method"]),
    );
    let first = made.first().unwrap();
    assert_eq!(
        json!(first.routine.request),
        json!([{"op": "set", "at": "/method", "value": "get_guests"}])
    );
    assert!(!first.open.is_empty());
}

#[test]
fn calls_that_use_what_a_tool_lost_go_where_it_is_taken() {
    let of = |more: &[&str]| {
        let mut all = json!({"title": {"type": "string"}});
        more.iter().for_each(|name| all[name] = json!({"type": "string"}));
        all
    };
    let old = surface(&json!([tool("create_room", &of(&["label"]), &["title"])]));
    let mut write = of(&["label"]);
    write["method"] = json!({"type": "string", "enum": ["create", "update"]});
    let new = surface(&json!([
        tool("create_room", &of(&[]), &["title"]),
        tool("room_write", &write, &["method"]),
    ]));
    let made = propose(&old, &new);
    assert_eq!(
        json!(made.first().map(|it| &it.routine.request)),
        json!([{"op": "cases", "at": "/label", "when": [{"ops": []}], "else": [
            {"op": "call", "tool": "room_write"},
            {"op": "default", "at": "/method", "value": "create"}]}])
    );
    assert!(made.iter().all(|candidate| !candidate.open.is_empty()));
}
