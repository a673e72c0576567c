//! What a compiled schema says, in place and of a tree.

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
