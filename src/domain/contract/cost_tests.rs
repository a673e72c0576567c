//! What the gate refuses, quickly, and what it lets pass.

use serde_json::{Map, Value, json};

use super::cost::gate;
use super::{Judgement, Schema};
use crate::domain::json::{Limits, Tape};

/// Why it is refused, or nothing.
fn why(schema: &Value) -> Option<String> {
    gate(schema).err().map(|refused| refused.to_string())
}

fn assert_refused(name: &str, schema: &Value, with: &str) {
    let why = why(schema).unwrap_or_else(|| panic!("{name} passed"));
    assert!(why.contains(with), "{name}: {why}");
    assert!(Schema::compile(schema).is_err(), "{name} was compiled");
}

/// Definitions `d0`, `d1`, …, each made from the reference to the next; the last is a leaf.
fn chain(levels: usize, link: impl Fn(Value) -> Value) -> Value {
    let mut definitions = Map::new();
    for level in 0..levels {
        let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
        definitions.insert(format!("d{level}"), link(next));
    }
    definitions.insert(format!("d{levels}"), json!({ "type": "string" }));
    json!({ "$ref": "#/$defs/d0", "$defs": definitions })
}

fn nested(levels: usize, link: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!({ "type": "string" }), |inner, _| link(inner))
}

fn entries(count: usize) -> Value {
    (0..count).map(|at| (format!("p{at}"), json!({}))).collect::<Map<_, _>>().into()
}

#[test]
fn schemas_made_to_burn_the_processor_are_refused() {
    let doubled = |next: Value| json!({ "anyOf": [next, next] });
    let rows = [
        ("22 doublings", chain(22, doubled), "unfolded"),
        ("28 doublings", chain(28, doubled), "one value"),
        ("18 doublings", chain(18, doubled), "unfolded"),
        ("children doubled", chain(30, |n| json!({"properties": {"a": n, "b": n}})), "unfolded"),
        (
            "22 nested unevaluated",
            nested(22, |inner| json!({"allOf": [inner], "unevaluatedProperties": false})),
            "unevaluated",
        ),
        ("deep as text", nested(70, |inner| json!({ "not": inner })), "deeper"),
        ("deep through references", chain(300, |n| json!({"properties": {"a": n}})), "inside one"),
        ("deep in place", chain(60, |n| json!({ "allOf": [n] })), "one value"),
    ];
    for (name, schema, with) in rows {
        assert_refused(name, &schema, with);
    }
}

#[test]
fn schemas_too_large_are_refused() {
    let list = |count: usize| (0..count).map(Value::from).collect::<Value>();
    let patterns: Map<_, _> =
        (0..300).map(|at| (format!("p{at}"), json!({"pattern": "x"}))).collect();
    let rows = [
        ("bytes", json!({ "description": "x".repeat(300_000) }), "bytes"),
        ("nodes", json!({ "properties": entries(10_000) }), "values"),
        ("enum", json!({ "enum": list(2_001) }), "enum"),
        ("pattern properties", json!({ "patternProperties": entries(65) }), "patternProperties"),
        ("patterns", json!({ "properties": patterns }), "patterns"),
    ];
    for (name, schema, with) in rows {
        assert_refused(name, &schema, with);
    }
    let rows = [
        json!({ "description": "x".repeat(200_000) }),
        json!({ "properties": entries(3_000) }),
        json!({ "enum": list(2_000) }),
        json!({ "patternProperties": entries(64) }),
        nested(30, |inner| json!({ "not": inner })),
        nested(3, |inner| json!({"allOf": [inner], "unevaluatedProperties": false})),
    ];
    for schema in rows {
        assert_eq!(Schema::compile(&schema).map(|_| ()), Ok(()));
    }
}

#[test]
fn a_schema_nested_a_hundred_thousand_deep_needs_no_stack_to_be_refused() {
    let mut schema = json!(true);
    for _ in 0..100_000 {
        schema = Value::Array(vec![schema]);
    }
    assert!(why(&schema).unwrap().contains("deeper"));
    // Dropping it is what needs the stack: it is taken apart by hand.
    while let Value::Array(mut items) = schema {
        schema = items.pop().unwrap();
    }
}

#[test]
fn circles_that_never_reach_another_value_are_refused() {
    let rows = [
        json!({ "$ref": "#" }),
        json!({ "$dynamicRef": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": {
            "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } } }),
        // Once through a member, once in place: the second is the circle.
        json!({ "properties": { "p": { "$ref": "#/$defs/x" } }, "allOf": [{ "$ref": "#/$defs/x" }],
            "$defs": { "x": { "allOf": [{ "$ref": "#" }] } } }),
        json!({ "$defs": { "a": { "$anchor": "me", "if": { "$ref": "#me" } } }, "$ref": "#me" }),
    ];
    for schema in rows {
        assert_refused("circle", &schema, "for ever");
    }
    for schema in [
        json!({ "type": "object", "properties": { "child": { "$ref": "#" } } }),
        json!({ "items": { "anyOf": [{ "type": "string" }, { "$ref": "#" }] } }),
        json!({ "$ref": "#tree", "$defs": { "t": { "$anchor": "tree", "items": { "$ref": "#tree" } } } }),
    ] {
        assert_eq!(gate(&schema).map(|cost| cost.recursive), Ok(true), "{schema}");
        assert!(Schema::compile(&schema).is_ok());
    }
}

#[test]
fn references_lead_inside_only() {
    let rows = [
        ("https://example.com/schema.json", "outside"),
        ("other.json#/a", "outside"),
        ("file:///etc/passwd", "outside"),
        ("https://json-schema.org/draft/2020-12/schema", "outside"),
        ("#/$defs/missing", "nothing"),
        ("#missing", "nothing"),
    ];
    for (reference, with) in rows {
        assert_refused(reference, &json!({ "$ref": reference }), with);
    }
    let inside = json!({ "$id": "https://example.com/root.json",
        "$defs": { "a b": { "type": "string" }, "c": { "$id": "c.json", "$defs": { "d": {} },
            "$ref": "#/$defs/d" } },
        "anyOf": [{ "$ref": "#/$defs/a%20b" }, { "$ref": "c.json" },
            { "$ref": "https://example.com/root.json#/$defs/c" }] });
    assert_eq!(Schema::compile(&inside).map(|_| ()), Ok(()));
}

#[test]
fn dialects_are_named_and_known() {
    let rows = [
        ("http://json-schema.org/draft-07/schema#", true),
        ("http://json-schema.org/draft-07/schema", true),
        ("https://json-schema.org/draft/2020-12/schema", true),
        ("https://json-schema.org/draft/2019-09/schema", false),
        ("http://json-schema.org/draft-04/schema#", false),
        ("https://example.com/dialect", false),
    ];
    for (dialect, known) in rows {
        let schema = json!({ "$schema": dialect, "type": "object" });
        assert_eq!(Schema::compile(&schema).is_ok(), known, "{dialect}");
        if !known {
            assert_refused("dialect", &schema, dialect);
        }
    }
    let inner =
        json!({ "properties": { "a": { "$schema": "http://json-schema.org/draft-07/schema#" } } });
    assert_refused("a dialect inside", &inner, "root only");
}

#[test]
fn patterns_compile_in_the_linear_engine_within_their_size() {
    for pattern in ["((a{0,50}){0,50}){0,50}", "^(?!a)b", "(a)\\1", "(", "\\p{Nope}"] {
        for schema in [
            json!({ "pattern": pattern }),
            json!({ "properties": { "a": { "pattern": pattern } } }),
            json!({ "patternProperties": { pattern: {} } }),
        ] {
            assert!(Schema::compile(&schema).is_err(), "{schema}");
        }
    }
}

#[test]
fn the_dearest_that_passes_is_judged_on_a_thread_of_two_mebibytes() {
    let deepest = [
        chain(22, |next| json!({ "allOf": [next] })),
        chain(90, |next| json!({ "properties": { "a": next } })),
        nested(30, |inner| json!({ "properties": { "a": inner } })),
        // Recursive, with as much in place as the levels of a document nested 128 deep allow.
        json!({ "$ref": "#/$defs/d0", "$defs": {
            "d0": { "allOf": [{ "allOf": [{ "allOf": [{ "$ref": "#/$defs/d1" }] }] }] },
            "d1": { "items": { "$ref": "#/$defs/d0" }, "properties": { "a": { "$ref": "#/$defs/d0" } } } } }),
    ];
    let judge = move || {
        for schema in deepest {
            let compiled = Schema::compile(&schema).unwrap();
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = format!("{}1{}", open.repeat(128), close.repeat(128));
                let mut tape = Tape::default();
                let root = tape.read(text.as_bytes(), Limits::default()).unwrap().root();
                assert_ne!(compiled.judge(root), Judgement::Undecided, "{schema}");
                let told = compiled.violations(root);
                assert!(told.iter().all(|violation| violation.kind != "undecided"), "{schema}");
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(judge).unwrap().join().unwrap();
}
