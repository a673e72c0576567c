//! What a compiled schema says, in place and of a tree.

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{Judgement, Schema};
use crate::domain::json::{Limits, Tape};

fn judge(schema: &Value, text: &str) -> Judgement {
    let schema = Schema::compile(schema).unwrap();
    let mut tape = Tape::default();
    schema.judge(tape.read(text.as_bytes(), Limits::default()).unwrap().root())
}

fn admits(schema: &Value, text: &str) -> bool {
    judge(schema, text) == Judgement::Conforms
}

#[test]
fn values_are_judged_as_they_are_written() {
    let rows = [
        (json!({ "type": "integer" }), "1", true),
        (json!({ "type": "integer" }), "1.0", true),
        (json!({ "type": "integer" }), "1E2", true),
        (json!({ "type": "integer" }), "1.5", false),
        (json!({ "type": "integer" }), "1e400", true),
        (json!({ "type": "integer" }), "1e-400", false),
        (json!({ "type": "number" }), "-1e400", true),
        (json!({ "minimum": 5 }), "1e400", true),
        (json!({ "minimum": 5 }), "-1e400", false),
        (json!({ "maximum": 1e308 }), "1e400", false),
        (json!({ "maximum": 10 }), "10.0000000001", false),
        (json!({ "exclusiveMaximum": 9007199254740993_u64 }), "9007199254740992", true),
        (json!({ "exclusiveMaximum": 9007199254740993_u64 }), "9007199254740993", false),
        (json!({ "multipleOf": 7 }), "1e400", false),
        (json!({ "multipleOf": 0.01 }), "19.99", true),
        (json!({ "const": 1 }), "1.0", true),
        (json!({ "const": 100 }), "1E2", true),
        (json!({ "const": 1 }), "1.5", false),
        (json!({ "const": 18446744073709551615_u64 }), "18446744073709551615", true),
        (json!({ "const": 18446744073709551615_u64 }), "18446744073709551614", false),
        (json!({ "const": 0 }), "-0", true),
        (json!({ "enum": [1.5, [1, 2], {"a": 1}] }), "15e-1", true),
        (json!({ "enum": [1.5, [1, 2], {"a": 1}] }), "[1.0,2]", true),
        (json!({ "enum": [1.5, [1, 2], {"a": 1}] }), r#"{"\u0061":1}"#, true),
        (json!({ "enum": [1.5, [1, 2], {"a": 1}] }), r#"{"a":1,"b":2}"#, false),
        (json!({ "uniqueItems": true }), "[1,1.0]", false),
        (json!({ "uniqueItems": true }), "[1e400,1e401]", true),
        (json!({ "uniqueItems": true }), "[1e400,10e399]", false),
        (json!({ "uniqueItems": true }), r#"["a","\u0061"]"#, false),
        (json!({ "uniqueItems": true }), r#"[{"a":1,"b":2},{"b":2,"a":1}]"#, false),
        (json!({ "uniqueItems": true }), r#"[1,true,"1",null,[1],{"a":1},[],{}]"#, true),
        (json!({ "required": ["a", "é"] }), r#"{"\u0061":1,"\u00e9":2}"#, true),
        (
            json!({ "propertyNames": { "enum": ["a", "é", "b"] } }),
            r#"{"\u0061":1,"b":{"\u00e9":2},"\u00e9":2}"#,
            true,
        ),
        (
            json!({ "propertyNames": { "enum": ["a", "é"] } }),
            r#"{"\u0061":1,"\u00e9":{},"\ud800":2}"#,
            false,
        ),
        (
            json!({ "additionalProperties": false, "properties": {"a": {}} }),
            r#"{"\u0061":1}"#,
            true,
        ),
        (json!({ "additionalProperties": false, "properties": {"a": {}} }), r#"{"b":1}"#, false),
        (json!({ "propertyNames": { "pattern": "^a" } }), r#"{"ab":1}"#, true),
        (json!({ "propertyNames": { "pattern": "^a" } }), r#"{"ba":1}"#, false),
        (json!({ "minLength": 3, "maxLength": 3 }), r#""é\u00e9😀""#, true),
        (json!({ "format": "ipv4" }), r#""not one""#, true),
        (json!({ "pattern": "^[A-Z]{3}$" }), r#""ABC""#, true),
        (json!({ "pattern": "^[A-Z]{3}$" }), r#""ABc""#, false),
        (json!({ "pattern": "^a\"b$" }), r#""a\"b""#, true),
    ];
    for (schema, text, expected) in rows {
        assert_eq!(admits(&schema, text), expected, "{schema} {text}");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_a_string_that_no_text_matches() {
    let torn = r#""a\ud83d""#;
    let rows = [
        (json!({ "type": "string" }), true),
        (json!({ "minLength": 2, "maxLength": 2 }), true),
        (json!({ "pattern": "" }), false),
        (json!({ "pattern": "^a" }), false),
        (json!({ "const": "a\u{fffd}" }), false),
        (json!({ "enum": ["a\u{fffd}", 1, ["a"]] }), false),
        (json!({ "enum": ["a\u{fffd}"] }), false),
    ];
    for (schema, expected) in rows {
        assert_eq!(admits(&schema, torn), expected, "{schema}");
    }
    assert!(admits(&json!({ "uniqueItems": true }), r#"["\ud83d","\ud83e","\ufffd"]"#));
    assert!(!admits(&json!({ "uniqueItems": true }), r#"["\ud83d","\uD83D"]"#));
}

#[test]
fn violations_say_where_and_why_but_never_what() {
    let schema = Schema::compile(&json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "name": { "$ref": "#/$defs/name" },
            "tags": { "items": { "enum": ["x", "y"] } },
            "pair": { "prefixItems": [true], "items": false },
            "rest": { "prefixItems": [true], "unevaluatedItems": false }
        },
        "$defs": { "name": { "type": "string", "pattern": "^[a-z]+$" } }
    }))
    .unwrap();
    let value = json!({
        "name": "SECRET-1", "tags": ["x", "SECRET-2"], "pair": [1, "SECRET-3"], "rest": [1, "SECRET-4"]
    });
    let violations = schema.violations_value(&value);
    let mut told: Vec<_> = violations
        .iter()
        .map(|v| (v.pointer.as_str(), v.schema_pointer.as_str(), v.kind.as_str()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("", "/required", "required"),
            ("/name", "/$defs/name/pattern", "pattern"),
            ("/pair/1", "/properties/pair/items", "falseSchema"),
            ("/rest", "/properties/rest/unevaluatedItems", "unevaluatedItems"),
            ("/tags/1", "/properties/tags/items/enum", "enum"),
        ]
    );
    for violation in violations {
        assert!(!violation.message.contains("SECRET"), "{violation:?}");
        assert!(!violation.message.is_empty());
    }
    assert!(schema.violations_value(&json!({ "id": 1 })).is_empty());
}

#[test]
fn no_more_violations_are_told_than_somebody_reads() {
    let schema = Schema::compile(&json!({ "items": { "type": "string" } })).unwrap();
    let value: Value = (0..1_000).map(Value::from).collect();
    assert_eq!(schema.violations_value(&value).len(), 64);
}

#[test]
fn work_without_end_is_undecided() {
    // Passes the gate, and would look at each of the items three thousand times.
    let mut many: Vec<_> = (0..3_000).map(|at| json!({ "minimum": at + 10 })).collect();
    many.push(json!({ "const": 0 }));
    let schema = Schema::compile(&json!({ "items": { "anyOf": many } })).unwrap();
    let mut tape = Tape::default();
    let text = format!("[{}0]", "0,".repeat(2_000));
    let root = tape.read(text.as_bytes(), Limits::default()).unwrap().root();
    assert_eq!(schema.judge(root), Judgement::Undecided);
    assert!(!schema.admits(root));
    let kinds: Vec<_> = schema.violations(root).into_iter().map(|v| v.kind).collect();
    assert_eq!(kinds, ["undecided"]);
    let short = tape.read(b"[0,0,5]", Limits::default()).unwrap().root();
    assert_eq!(schema.judge(short), Judgement::Broken);
}

#[test]
fn a_schema_keeps_its_source() {
    let source = json!({ "type": "object" });
    assert_eq!(Schema::compile(&source).unwrap().source(), &source);
}

/// Schemas as tools write them, with as many keywords between them as there are.
fn ordinary() -> [Value; 6] {
    [
        json!({ "type": "object", "required": ["id", "price"], "additionalProperties": false,
            "properties": {
                "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,5}$" },
                "price": { "type": "object", "required": ["amount", "currency"], "properties": {
                    "amount": { "type": "number", "minimum": 0, "maximum": 100_000 },
                    "currency": { "enum": ["EUR", "CHF", "USD"] } } },
                "seats": { "type": "integer", "minimum": 0, "exclusiveMaximum": 10 },
                "tags": { "type": "array", "items": { "type": "string", "maxLength": 8 },
                    "uniqueItems": true, "maxItems": 5 } } }),
        json!({ "type": "array", "minItems": 1, "items": { "anyOf": [
            { "type": "integer", "multipleOf": 3 }, { "type": "string", "minLength": 2 },
            { "type": "null" }, { "const": { "a": [1.5, "x"] } } ] } }),
        json!({ "$defs": { "node": { "type": "object", "required": ["value"], "properties": {
                "value": { "type": ["number", "string"] },
                "children": { "type": "array", "items": { "$ref": "#/$defs/node" }, "maxItems": 3 } } } },
            "$ref": "#/$defs/node" }),
        json!({ "type": "object", "minProperties": 1, "maxProperties": 6,
            "patternProperties": { "^n_": { "type": "number" }, "^s_": { "type": "string" } },
            "additionalProperties": { "type": "boolean" }, "propertyNames": { "maxLength": 12 } }),
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
            "properties": { "kind": { "enum": ["a", "b"] }, "a": { "type": "integer" }, "b": { "type": "string" } },
            "required": ["kind"], "if": { "properties": { "kind": { "const": "a" } } },
            "then": { "required": ["a"] }, "else": { "required": ["b"] } }),
        json!({ "type": "object", "allOf": [{ "properties": { "a": { "type": "integer" } } }],
            "properties": { "b": { "prefixItems": [{ "type": "string" }], "items": { "type": "number" } } },
            "unevaluatedProperties": false, "dependentRequired": { "a": ["b"] } }),
    ]
}

/// The value with something changed in one place, so that about half no longer conform.
fn disturbed(value: &Value, places: &mut u32) -> Value {
    *places = places.wrapping_sub(1);
    if *places == 0 {
        return match value {
            Value::Number(n) => json!(n.as_f64().unwrap_or_default() * -1.5 + 0.25),
            Value::String(s) => json!(format!("{s}é\"")),
            Value::Null | Value::Bool(_) => json!("?"),
            Value::Array(items) => items.iter().chain(items.first()).cloned().collect(),
            Value::Object(members) => {
                let mut members = members.clone();
                members.insert("extra".to_owned(), json!([1, 2]));
                Value::Object(members)
            }
        };
    }
    match value {
        Value::Array(items) => items.iter().map(|item| disturbed(item, places)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (key.clone(), disturbed(value, places))).collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn in_place_and_as_a_tree_every_instance_is_judged_alike() {
    let (mut conforming, mut broken) = (0, 0);
    for source in ordinary() {
        let ours = Schema::compile(&source).unwrap();
        // The validator as it comes, over its own trees.
        let theirs = jsonschema::options().should_validate_formats(false).build(&source).unwrap();
        let mut random = StdRng::seed_from_u64(7);
        for round in 0..200 {
            // A recursive schema may lead it too deep; the next round has other luck.
            let Ok(instance) = noson::generate(&source, &mut random) else { continue };
            let instance = disturbed(&instance, &mut (round % 12));
            let text = serde_json::to_string_pretty(&instance).unwrap();
            // Written otherwise than a writer would, where no literal holds the letter.
            let text = if text.contains("false") { text } else { text.replace('a', "\\u0061") };
            let mut tape = Tape::default();
            let root = tape.read(text.as_bytes(), Limits::default()).unwrap().root();
            let expected = theirs.is_valid(&instance);
            assert_eq!(ours.admits(root), expected, "{source} {text}");
            assert_eq!(ours.admits_value(&instance), expected, "{source} {text}");
            assert_eq!(ours.violations(root).is_empty(), expected, "{source} {text}");
            assert_eq!(ours.violations(root), ours.violations_value(&instance), "{source} {text}");
            let mut places: Vec<_> =
                theirs.iter_errors(&instance).map(|e| e.instance_path().to_string()).collect();
            let mut told: Vec<_> = ours.violations(root).into_iter().map(|v| v.pointer).collect();
            places.sort_unstable();
            told.sort_unstable();
            assert_eq!(told, places, "{source} {text}");
            if expected { conforming += 1 } else { broken += 1 }
        }
    }
    assert!(conforming > 200 && broken > 200, "{conforming} conforming, {broken} broken");
}
