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
