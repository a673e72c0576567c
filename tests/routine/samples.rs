//! Random documents and routines over few names and telling values, so that they meet.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use stipula::domain::routine::Op;

use super::tree::Tree;

const NAMES: [&str; 10] = ["a", "a", "b", "b", "c", "o", "l", "é/", "x", ""];

const PLACES: [&str; 26] = [
    "/a", "/a", "/a", "/b", "/b", "/c", "/c", "/o", "/l", "/é~1", "/x", "/o/a", "/o/b", "/o/c",
    "/l/0", "/l/1", "/l/-", "/l/0/a", "/l/01", "/o/l/0", "/n/m", "/a/a", "", "/", "/b/0", "/o/o/a",
];

const TEXTS: [&str; 24] = [
    "",
    "x",
    "y",
    "true",
    "7",
    "-0",
    "1.50",
    "1E2",
    "007",
    "a/b",
    "/issues/42",
    "é😀 \"\\\n",
    "null",
    "[1, 2.0]",
    r#"{"a": {"b": [ ]}}"#,
    r#"{"a":1,"a":2}"#,
    "2024-02-29",
    "29.02.2024",
    "2024-02-30",
    "2024-02-29 23:59:58",
    "2024-02-29T23:59:58.25Z",
    "1969-12-31t22:00:00-02:00",
    "2016-12-31T23:59:60Z",
    "20161231T235960Z",
];

const NUMBERS: [&str; 17] = [
    "0",
    "-0",
    "1",
    "1.0",
    "7",
    "-3",
    "100",
    "1E2",
    "1.50",
    "0.001",
    "1e400",
    "-1e-9",
    "1700000000",
    "1700000000123",
    "9007199254740993",
    "12345678901234567890123",
    "2.5",
];

fn scalar() -> impl Strategy<Value = Tree> + Clone {
    prop_oneof![
        4 => select(TEXTS.to_vec()).prop_map(|text| Tree::String(text.to_owned())),
        4 => select(NUMBERS.to_vec()).prop_map(|text| Tree::Number(text.to_owned())),
        1 => any::<bool>().prop_map(Tree::Bool),
        1 => Just(Tree::Null),
        1 => Just(Tree::Odd("\"\\ud800\"".to_owned())),
    ]
}

fn object(value: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    vec((select(NAMES.to_vec()), value), 0..8).prop_map(|members| {
        let mut out: Vec<(String, Tree)> = Vec::new();
        for (name, value) in members {
            if out.iter().all(|(known, _)| known != name) {
                out.push((name.to_owned(), value));
            }
        }
        Tree::Object(out)
    })
}

/// A value: now and then one that holds others.
fn around(
    value: impl Strategy<Value = Tree> + Clone + 'static,
) -> impl Strategy<Value = Tree> + Clone {
    let items = vec(value.clone(), 0..4).prop_map(Tree::Array);
    prop_oneof![5 => scalar(), 1 => items, 1 => object(value)].boxed()
}

/// A document; most are objects.
pub(crate) fn document() -> impl Strategy<Value = Tree> {
    let value = around(around(scalar()));
    let list = vec(value.clone(), 0..4).prop_map(Tree::Array);
    prop_oneof![9 => object(value), 1 => list]
}

fn place() -> impl Strategy<Value = &'static str> {
    select(PLACES.to_vec())
}

/// A place where something stands in most documents, for operations that need it there.
fn likely() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => select(vec!["/a", "/b"]), 1 => place()]
}

/// A place where nothing stands in most documents.
fn free() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => select(vec!["/t", "/u/v"]), 1 => place()]
}

/// A constant of a routine: what JSON text of `serde_json` can tell.
fn constant() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => select(TEXTS.to_vec()).prop_map(Value::from),
        3 => select(vec![json!(1), json!(7), json!(1.0), json!(100), json!(2.5), json!(-3), json!(0)]),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => select(vec![json!([]), json!([1, 2.0]), json!({"a": 7}), json!({"b": [], "a": "x"})]),
    ]
}

fn constants() -> impl Strategy<Value = Vec<Value>> {
    vec(constant(), 1..4)
}

fn format() -> impl Strategy<Value = &'static str> {
    select(vec!["rfc3339", "date", "unix_s", "unix_ms", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"])
}

fn quantity() -> impl Strategy<Value = Value> {
    select(vec![json!(1000), json!(0.001), json!(-2), json!(1.8), json!(1), json!(7), json!(2.5)])
}

/// Schemas for `refuse_unless`.
fn fits() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"type": "string"}),
        json!({"type": ["integer", "string"], "maximum": 7}),
        json!({"enum": ["x", 7, null]}),
        json!({"not": {"type": "object", "required": ["a"]}}),
        json!({"items": {"type": "number"}, "maxItems": 2}),
    ])
}

/// The operations that hold no others.
fn flat() -> impl Strategy<Value = Value> {
    let moved = ("(move|copy)", place(), place(), any::<bool>());
    let in_place = ("(remove|wrap|unwrap|parse|print)", place());
    let casts = select(vec!["string", "integer", "number", "boolean"]);
    let patterns = select(vec!["/issues/([0-9]+)$", "^(.)", "([0-9.]+)", "(x?)"]);
    let kinds = select(vec!["string", "integer", "number"]);
    let template =
        (place(), place(), select(vec!["{A}", "<{A}>-{B}", "{{{A}}", "const", "{B}{A}"]));
    prop_oneof![
        4 => moved.prop_map(|(op, from, to, optional)| json!({"op": op, "from": from, "to": to, "optional": optional})),
        5 => in_place.prop_map(|(op, at)| json!({"op": op, "at": at})),
        2 => ("(set|default)", place(), constant()).prop_map(|(op, at, value)| json!({"op": op, "at": at, "value": value})),
        2 => (place(), casts).prop_map(|(at, to)| json!({"op": "cast", "at": at, "to": to})),
        2 => (place(), vec((constant(), constant()), 1..5)).prop_map(|(at, rows)| {
            let table: Vec<Value> = rows.into_iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
            json!({"op": "map", "at": at, "table": table})
        }),
        1 => (place(), quantity(), proptest::option::of(quantity())).prop_map(|(at, factor, offset)| match offset {
            Some(offset) => json!({"op": "scale", "at": at, "factor": factor, "offset": offset}),
            None => json!({"op": "scale", "at": at, "factor": factor}),
        }),
        1 => (place(), quantity(), any::<bool>()).prop_map(|(at, bound, low)| match low {
            true => json!({"op": "clamp", "at": at, "min": bound}),
            false => json!({"op": "clamp", "at": at, "min": -3, "max": bound}),
        }),
        2 => (place(), format(), format()).prop_map(|(at, from, to)| json!({"op": "date", "at": at, "from": from, "to": to})),
        1 => (likely(), "[/ -]", vec(free(), 1..3)).prop_map(|(from, separator, to)| json!({"op": "split", "from": from, "separator": separator, "to": to})),
        1 => (vec(likely(), 1..3), "[/ ]?", free()).prop_map(|(from, separator, to)| json!({"op": "join", "from": from, "separator": separator, "to": to})),
        1 => template.prop_map(|(a, b, text)| {
            let text = text.replace('A', a).replace('B', b);
            json!({"op": "template", "text": text, "to": "/t"})
        }),
        1 => (likely(), free(), patterns, kinds).prop_map(|(from, to, pattern, kind)| json!({"op": "extract", "from": from, "to": to, "pattern": pattern, "as": kind})),
        1 => (place(), select(NAMES.to_vec())).prop_map(|(at, name)| json!({"op": "unwrap", "at": at, "member": name})),
        1 => (place(), fits()).prop_map(|(at, fits)| json!({"op": "refuse_unless", "at": at, "fits": fits, "reason": "r"})),
        1 => (place(), constants()).prop_map(|(at, values)| json!({"op": "remove_if", "at": at, "one_of": values})),
        1 => (place(), proptest::option::of(constants())).prop_map(|(at, values)| match values {
            Some(values) => json!({"op": "refuse_if", "at": at, "not_one_of": values, "reason": "r"}),
            None => json!({"op": "refuse_if", "at": at, "reason": "r"}),
        }),
    ]
}

fn nested() -> impl Strategy<Value = Value> {
    flat().prop_recursive(2, 12, 3, |inner| {
        let ops = || vec(inner.clone(), 0..3);
        let each =
            (place(), ops()).prop_map(|(at, ops)| json!({"op": "each", "at": at, "ops": ops}));
        let cases = (place(), constants(), [ops(), ops(), ops()], any::<[bool; 2]>()).prop_map(
            |(at, is, [one, two, three], [absence, other])| {
                let mut when = vec![json!({"is": is, "ops": one})];
                if absence {
                    when.push(json!({"ops": two}));
                }
                match other {
                    true => json!({"op": "cases", "at": at, "when": when, "else": three}),
                    false => json!({"op": "cases", "at": at, "when": when}),
                }
            },
        );
        prop_oneof![each, cases]
    })
}

/// Operations of a request; some name the tool to call.
pub(crate) fn operations() -> impl Strategy<Value = Vec<Op>> {
    let call = select(vec!["read", "write"]).prop_map(|tool| json!({"op": "call", "tool": tool}));
    let chosen = (place(), constants(), call.clone(), call.clone()).prop_map(|(at, is, one, two)| {
        json!({"op": "cases", "at": at, "when": [{"is": is, "ops": [one]}], "else": [two]})
    });
    vec(prop_oneof![16 => flat(), 6 => nested(), 1 => call, 1 => chosen], 0..5)
        .prop_map(|ops| serde_json::from_value(Value::from(ops)).unwrap())
}
