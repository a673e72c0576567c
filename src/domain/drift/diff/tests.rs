//! Rows of `fixtures/drift/<case>/`, and properties.

use serde_json::json;

use super::*;

fn surface(tools: Value) -> Surface {
    let tools = match tools {
        Value::Array(tools) => tools.into_iter().filter_map(Tool::from_definition).collect(),
        _ => Vec::new(),
    };
    Surface { tools, ..Surface::default() }
}

fn with(input: Value) -> Surface {
    surface(json!([{"name": "find_rooms", "inputSchema": input}]))
}

#[test]
fn a_change_of_arguments_has_the_impact_of_the_table() {
    let base =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let rows = [
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a"]}),
            "property_added",
            Severity::Low,
            Compatibility::Additive,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a", "b"]}),
            "required_added",
            Severity::Medium,
            Compatibility::Breaking,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
            "type_changed",
            Severity::Medium,
            Compatibility::Breaking,
        ),
        (
            json!({"type": "object", "properties": {}}),
            "property_removed",
            Severity::High,
            Compatibility::Breaking,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "default": "x"}},
                "required": ["a"]}),
            "default_restated",
            Severity::Low,
            Compatibility::Compatible,
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"],
                "$defs": {"A": {"type": "string"}}}),
            "restated",
            Severity::Low,
            Compatibility::Compatible,
        ),
    ];
    for (now, kind, severity, verdict) in rows {
        let made = diff(&with(base.clone()), &with(now.clone()));
        assert_eq!(made.verdict, verdict, "{now}");
        let change = made.changes.iter().map(|c| (c.kind.as_str(), c.severity)).collect::<Vec<_>>();
        assert!(change.contains(&(kind, severity)), "{now} gave {change:?}");
    }
}

/// Every `fixtures/drift/<case>/`: `old.json` and `new.json` are lists of tools, `expect.json` names the
/// verdict and the changes as `[kind, severity]`.
#[test]
fn the_cases_of_the_fixtures_are_told_as_expected() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/drift");
    let mut cases = 0;
    for case in std::fs::read_dir(root).unwrap() {
        let case = case.unwrap().path();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(case.join(name)).unwrap()).unwrap()
        };
        let expect = read("expect.json");
        let made = diff(&surface(read("old.json")), &surface(read("new.json")));
        let told: Vec<Value> = made.changes.iter().map(|c| json!([c.kind, c.severity])).collect();
        assert_eq!(json!(made.verdict), expect["verdict"], "{}", case.display());
        assert_eq!(json!(told), expect["changes"], "{}", case.display());
        let same = diff(&surface(read("new.json")), &surface(read("new.json")));
        assert_eq!(same.changes, [], "{}: a surface differs from itself", case.display());
        cases += 1;
    }
    assert!(cases >= 6);
}

#[test]
fn the_order_of_members_says_nothing() {
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}});
    let other = json!({"properties": {"b": {}, "a": {"type": "string"}}, "type": "object"});
    assert_eq!(diff(&with(one), &with(other)).changes, []);
}
