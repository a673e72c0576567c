//! Proofs, held by rows of what real tools change and by instances that proptest makes.

use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::image::image;
use super::{CompiledRoutine, Failure, Proof, ToolRoutine, prove};
use crate::domain::contract::{Schema, Tool, closed};
use crate::domain::json::{Limits, Tape};
use crate::domain::routine::Op;

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    before: Value,
    after: Vec<Value>,
    routine: Value,
    answer: String,
}

/// `{"a!": schema}` requires `a`.
fn object(members: Value) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members.as_object().unwrap() {
        if name.ends_with('!') {
            required.push(json!(name.trim_end_matches('!')));
        }
        properties.insert(name.trim_end_matches('!').to_owned(), schema.clone());
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("../../../../fixtures/proofs.json")).unwrap()
}

fn tools(row: &Row) -> (Tool, Vec<Tool>, ToolRoutine) {
    let of = |value: &Value| Tool::from_definition(value.clone()).unwrap();
    let routine = serde_json::from_value(row.routine.clone()).unwrap();
    (of(&row.before), row.after.iter().map(of).collect(), routine)
}

fn proof_of(row: &Row) -> Proof {
    let (before, after, routine) = tools(row);
    prove(&before, |name| after.iter().find(|tool| tool.name() == name), &routine)
}

#[test]
fn proofs_answer_as_the_rows_say() {
    for row in rows() {
        let proof = proof_of(&row);
        assert_eq!(proof.word(), row.answer, "{}: {proof:?}", row.name);
    }
}

#[test]
fn what_is_refused_by_name_makes_a_proof_partial() {
    for row in rows() {
        if let Proof::Proven(proven) = proof_of(&row) {
            let refuses = row.routine.to_string().contains("refuse_if");
            assert_eq!(proven.partial(), refuses, "{}", row.name);
        }
    }
}

/// Arbitrary instances, made by another hand than the sampler that the proof itself uses.
fn arbitrary(schema: &Value) -> BoxedStrategy<Value> {
    let Some(members) = schema.as_object() else { return Just(json!("anything")).boxed() };
    if let Some(Value::Array(values)) = members.get("enum") {
        return proptest::sample::select(values.clone()).boxed();
    }
    if let Some(value) = members.get("const") {
        return Just(value.clone()).boxed();
    }
    if let Some(Value::Array(branches)) = members.get("anyOf") {
        return proptest::strategy::Union::new(branches.iter().map(arbitrary)).boxed();
    }
    let kinds: Vec<Value> = match members.get("type") {
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
        None => vec![json!("string")],
    };
    let each = kinds.into_iter().map(|kind| of_kind(kind.as_str().unwrap(), members));
    proptest::strategy::Union::new(each).boxed()
}

fn of_kind(kind: &str, members: &Map<String, Value>) -> BoxedStrategy<Value> {
    let bound = |name: &str, none: i64| {
        members.get(name).and_then(Value::as_f64).map_or(none, |it| it as i64)
    };
    match kind {
        "object" => {
            let required = members.get("required").cloned().unwrap_or(json!([]));
            let mut all = Just(json!({})).boxed();
            for (name, schema) in members["properties"].as_object().unwrap().clone() {
                let needed = required.as_array().unwrap().contains(&json!(name));
                let value = arbitrary(&schema);
                all = (all, value, any::<bool>())
                    .prop_map(move |(mut object, value, there)| {
                        if needed || there {
                            object[&name] = value;
                        }
                        object
                    })
                    .boxed();
            }
            all
        }
        "array" => proptest::collection::vec(arbitrary(&members["items"]), 0..4)
            .prop_map(Value::from)
            .boxed(),
        "string" => {
            let json = r#"\{"[xk]":("[xy]"|1|null)\}"#;
            prop_oneof![".{0,8}", "[0-9]{1,4}", "[a-z]+/[a-z]+", json].prop_map(Value::from).boxed()
        }
        "integer" => {
            let (least, most) = (bound("minimum", -(1 << 53)), bound("maximum", 1 << 53));
            prop_oneof![least..=most, Just(least), Just(most)].prop_map(Value::from).boxed()
        }
        "number" => (-1e9_f64..1e9).prop_map(Value::from).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        _ => Just(Value::Null).boxed(),
    }
}

fn carried(
    run: impl Fn(crate::domain::json::Item<'_>, &mut Vec<u8>) -> Result<Option<String>, Failure>,
    value: &Value,
) -> Result<(Option<String>, Value), Failure> {
    let text = value.to_string();
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default()).unwrap();
    let mut out = Vec::new();
    let call = run(document.root(), &mut out)?;
    Ok((call, serde_json::from_slice(&out).unwrap()))
}

/// Holds what was proven: every instance that is made is carried over and admitted, or refused by name.
fn survives(name: &str, before: &Tool, after: &[Tool], routine: &ToolRoutine) {
    const INSTANCES: usize = 10_000;
    let compiled = CompiledRoutine::compile(before.name(), routine).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut each = |schema: &Value, hold: &dyn Fn(&Value)| {
        let made = arbitrary(schema);
        for _ in 0..INSTANCES {
            hold(&made.new_tree(&mut runner).unwrap().current());
        }
    };
    let compile = |schema: &Value| Schema::compile(&closed(schema)).unwrap();
    let offers: Vec<(&str, Schema)> =
        after.iter().map(|tool| (tool.name(), compile(tool.input_schema().unwrap()))).collect();
    each(&closed(before.input_schema().unwrap()), &|value| {
        let run = |item: crate::domain::json::Item<'_>, out: &mut Vec<u8>| {
            compiled.request(Some(item), out).map(|mapped| mapped.call)
        };
        match carried(run, value) {
            Ok((call, mapped)) => {
                let target = call.unwrap_or_else(|| before.name().to_owned());
                let offer = &offers.iter().find(|(known, _)| *known == target).unwrap().1;
                assert!(offer.admits_value(&mapped), "{name}: {value} became {mapped}");
            }
            Err(Failure::Refused { .. }) => {}
            Err(failure) => panic!("{name}: {value}: {failure}"),
        }
    });
    let (Some(promised), Some(offered)) = (before.output_schema(), after[0].output_schema()) else {
        return;
    };
    let promised = Schema::compile(promised).unwrap();
    each(&closed(offered), &|value| {
        let run = |item: crate::domain::json::Item<'_>, out: &mut Vec<u8>| {
            compiled.reply(item, out).map(|()| None)
        };
        match carried(run, value) {
            Ok((_, mended)) => {
                assert!(promised.admits_value(&mended), "{name}: {value} became {mended}");
            }
            Err(failure) => panic!("{name}: {value}: {failure}"),
        }
    });
}

#[test]
fn what_is_proven_survives_ten_thousand_arbitrary_instances() {
    for row in rows() {
        if matches!(proof_of(&row), Proof::Proven(_)) {
            let (before, after, routine) = tools(&row);
            survives(&row.name, &before, &after, &routine);
        }
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer", "minimum": -3, "maximum": 9})),
        Just(json!({"type": "number"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({"enum": ["x", "y", null]})),
        Just(json!({"enum": [1, 2, 30]})),
        Just(json!({"type": "array", "items": {"type": "integer"}})),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let need = any::<bool>();
    (leaf(), leaf(), leaf(), leaf(), [need, need, need, need, need]).prop_map(
        |(a, b, x, y, need)| {
            let name = |name: &str, at: usize| format!("{name}{}", if need[at] { "!" } else { "" });
            let inner = object(json!({name("x", 0): x, name("y", 1): y}));
            closed(&object(json!({name("a", 2): a, name("b", 3): b, name("o", 4): inner})))
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec![
        json!("x"),
        json!("y"),
        Value::Null,
        json!(1),
        json!(2),
        json!(true),
        json!({"k": 1}),
    ])
}

/// What a guard asks for: of a leaf, of an object that is open or shut, of one form of several.
fn fits() -> impl Strategy<Value = Value> {
    let shape = (leaf(), any::<[bool; 2]>()).prop_map(|(x, [need, shut])| {
        let mut shape = object(json!({if need { "x!" } else { "x" }: x}));
        if shut {
            shape["additionalProperties"] = json!(false);
        }
        shape
    });
    let shape = shape.boxed();
    prop_oneof![
        leaf(),
        shape.clone(),
        Just(json!({"type": ["object", "null"]})),
        (shape, leaf()).prop_map(|(shape, leaf)| json!({"anyOf": [shape, leaf]})),
    ]
}

fn operation() -> impl Strategy<Value = Value> {
    let at =
        || proptest::sample::select(vec!["/a", "/b", "/o", "/o/x", "/o/y", "/c", "/o/c", "/n/m"]);
    let flat = prop_oneof![
        (at(), at(), any::<bool>()).prop_map(|(from, to, optional)| json!({"op": "move", "from": from, "to": to, "optional": optional})),
        (at(), at(), any::<bool>()).prop_map(|(from, to, optional)| json!({"op": "copy", "from": from, "to": to, "optional": optional})),
        at().prop_map(|at| json!({"op": "remove", "at": at})),
        (at(), value()).prop_map(|(at, value)| json!({"op": "set", "at": at, "value": value})),
        (at(), value()).prop_map(|(at, value)| json!({"op": "default", "at": at, "value": value})),
        (at(), proptest::sample::select(vec!["string", "integer", "number", "boolean"])).prop_map(|(at, to)| json!({"op": "cast", "at": at, "to": to})),
        at().prop_map(|at| json!({"op": "map", "at": at, "table": [{"from": "x", "to": 1}, {"from": "y", "to": "z"}, {"from": null, "to": "x"}]})),
        at().prop_map(|at| json!({"op": "scale", "at": at, "factor": -2, "offset": 1})),
        at().prop_map(|at| json!({"op": "wrap", "at": at})),
        at().prop_map(|at| json!({"op": "unwrap", "at": at})),
        at().prop_map(|at| json!({"op": "print", "at": at})),
        at().prop_map(|at| json!({"op": "clamp", "at": at, "min": 0, "max": 5})),
        at().prop_map(|at| json!({"op": "each", "at": at, "ops": [{"op": "cast", "at": "", "to": "string"}]})),
        (at(), fits()).prop_map(|(at, fits)| json!({"op": "refuse_unless", "at": at, "fits": fits, "reason": "r"})),
        at().prop_map(|at| json!({"op": "parse", "at": at})),
        (at(), at()).prop_map(|(a, b)| json!({"op": "join", "from": [a], "separator": "-", "to": b})),
        (at(), at()).prop_map(|(a, b)| json!({"op": "template", "text": format!("<{{{a}}}>"), "to": b})),
        (at(), proptest::collection::vec(value(), 1..3)).prop_map(|(at, values)| json!({"op": "remove_if", "at": at, "one_of": values})),
        (at(), proptest::collection::vec(value(), 1..3)).prop_map(|(at, values)| json!({"op": "refuse_if", "at": at, "not_one_of": values, "reason": "r"})),
    ];
    flat.prop_recursive(1, 4, 2, move |inner| {
        let ops = || proptest::collection::vec(inner.clone(), 0..2);
        (at(), value(), ops(), ops(), ops(), any::<bool>()).prop_map(
            |(at, is, one, two, three, absent)| {
                let mut when = vec![json!({"is": [is], "ops": one})];
                if absent {
                    when.push(json!({"ops": two}));
                }
                json!({"op": "cases", "at": at, "when": when, "else": three})
            },
        )
    })
}

#[test]
fn an_image_admits_whatever_the_operations_make() {
    let cases = (document(), proptest::collection::vec(operation(), 1..4));
    let mut runner = TestRunner::new(Config { cases: 4_000, ..Config::default() });
    let told = std::cell::Cell::new(0);
    let result = runner.run(&cases, |(schema, ops)| {
        let request: Vec<Op> = serde_json::from_value(Value::from(ops)).unwrap();
        let routine = ToolRoutine { request, ..ToolRoutine::default() };
        let Ok(compiled) = CompiledRoutine::compile("t", &routine) else { return Ok(()) };
        let Ok(ways) = image(&routine.request, &schema) else { return Ok(()) };
        told.set(told.get() + 1);
        let ways: Vec<Schema> =
            ways.iter().map(|way| Schema::compile(&way.schema).unwrap()).collect();
        let mut inner = TestRunner::new(Config { cases: 24, ..Config::default() });
        let run = |item: crate::domain::json::Item<'_>, out: &mut Vec<u8>| {
            compiled.request(Some(item), out).map(|mapped| mapped.call)
        };
        let held = inner.run(&arbitrary(&schema), |value| {
            match carried(run, &value) {
                Ok((_, made)) => {
                    let admitted = ways.iter().any(|way| way.admits_value(&made));
                    prop_assert!(admitted, "{} became {}", value, made);
                }
                Err(Failure::Refused { .. }) => {}
                Err(failure) => prop_assert!(false, "{}: {}", value, failure),
            }
            Ok(())
        });
        prop_assert!(held.is_ok(), "{:?}", held);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
    assert!(told.get() > 400, "only {} images", told.get());
}

/// The schema with another leaf at one of its members, and that member required or not.
fn changed(mut schema: Value, place: usize, leaf: Value, need: bool) -> Value {
    let mut at = &mut schema;
    if place >= 8 && at["properties"].get("o").is_some_and(|inner| inner["properties"].is_object())
    {
        at = &mut at["properties"]["o"];
    }
    let names: Vec<String> = at["properties"].as_object().unwrap().keys().cloned().collect();
    let Some(name) = names.get(place % names.len().max(1)) else { return schema };
    at["properties"][name] = leaf;
    let mut required: Vec<Value> = at["required"].as_array().cloned().unwrap_or_default();
    required.retain(|known| known != name);
    if need {
        required.push(json!(name));
    }
    at["required"] = json!(required);
    schema
}

#[test]
fn random_routines_that_are_proven_survive_ten_thousand_instances() {
    const ENOUGH: usize = 24;
    let operations = proptest::collection::vec(operation(), 1..4);
    let wide = json!({"type": ["string", "number", "boolean", "null", "array", "object"]});
    let told = prop_oneof![1 => leaf(), 2 => Just(wide)];
    let cases = (document(), operations, 0..16_usize, told, any::<[bool; 2]>());
    let mut runner = TestRunner::deterministic();
    let (mut proven, mut altered) = (0, 0);
    for _ in 0..4_000 {
        let (from, ops, place, leaf, [need, reply]) =
            cases.new_tree(&mut runner).unwrap().current();
        let list: Vec<Op> = serde_json::from_value(Value::from(ops.clone())).unwrap();
        let Some(made) = image(&list, &from).ok().and_then(|ways| ways.into_iter().next()) else {
            continue;
        };
        if !made.schema["properties"].is_object() {
            continue;
        }
        // What the routine makes, one place of it told otherwise: now and then that is wider still.
        let to = changed(made.schema.clone(), place, leaf, need && place.is_multiple_of(3));
        let open = json!({"type": "object", "properties": {}});
        let tool = |input: &Value, output: &Value| {
            let definition = json!({"name": "t", "inputSchema": input, "outputSchema": output});
            Tool::from_definition(definition).unwrap()
        };
        let (before, after, routine) = match reply {
            true => (tool(&open, &to), tool(&open, &from), json!({"reply": ops})),
            false => (tool(&from, &open), tool(&to, &open), json!({"request": ops})),
        };
        let routine: ToolRoutine = serde_json::from_value(routine).unwrap();
        if let Proof::Proven(_) = prove(&before, |_| Some(&after), &routine) {
            let name = format!("{from} by {} is {to}", json!(ops));
            survives(&name, &before, &[after], &routine);
            proven += 1;
            altered += usize::from(to != made.schema);
        }
        if proven == ENOUGH {
            break;
        }
    }
    assert!(proven == ENOUGH && altered > 3, "{proven} proven, {altered} of them altered");
}

/// Places where the image was once too narrow: what comes out is admitted, or there is no image.
#[test]
fn an_image_leaves_nothing_out() {
    let one = |name: &str, schema: Value| json!({"type": "object", "properties": {name: schema}, "additionalProperties": false});
    let large = json!({"type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_993_u64});
    let patterned = json!({"type": "object", "properties": {"a": {"type": "integer"}},
        "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": false});
    let depends = json!({"type": "object", "additionalProperties": false,
        "properties": {"a": {"type": "boolean"}, "o": one("x", json!({"type": "integer"}))},
        "dependentSchemas": {"a": {"properties": {"o": {"properties": {"x": {"type": "integer"}}}}}}});
    let tree = json!({"type": "object", "additionalProperties": false, "properties": {
        "f": {"type": "string"}, "and": {"type": "array", "items": {"$ref": "#"}}}});
    let moment = json!({"type": "string", "format": "date-time"});
    for (schema, op, text) in [
        (patterned, json!({"op": "wrap", "at": "/a"}), r#"{"a":1}"#),
        (depends, json!({"op": "cast", "at": "/o/x", "to": "string"}), r#"{"a":true,"o":{"x":1}}"#),
        (
            tree,
            json!({"op": "move", "from": "/f", "to": "/g", "optional": true}),
            r#"{"f":"x","and":[{"f":"y"}]}"#,
        ),
        (
            one("a", large),
            json!({"op": "clamp", "at": "/a", "min": 1}),
            r#"{"a":9007199254740993}"#,
        ),
        (
            one("a", json!({"enum": [1, 9_007_199_254_740_993_u64]})),
            json!({"op": "clamp", "at": "/a", "max": 9_007_199_254_740_992_u64}),
            r#"{"a":9007199254740993}"#,
        ),
        (
            one("a", json!({"enum": [0.5]})),
            json!({"op": "cast", "at": "/a", "to": "string"}),
            r#"{"a":0.50}"#,
        ),
        (
            one("a", json!({"enum": [0]})),
            json!({"op": "cast", "at": "/a", "to": "string"}),
            r#"{"a":-0}"#,
        ),
        (
            one("a", moment),
            json!({"op": "date", "at": "/a", "from": "rfc3339", "to": "unix_ms"}),
            r#"{"a":"2024-02-29T00:00:00.0001Z"}"#,
        ),
        (
            one("a", json!({"type": "string", "format": "date"})),
            json!({"op": "date", "at": "/a", "from": "date", "to": "rfc3339"}),
            r#"{"a":"9999-12-31"}"#,
        ),
        (
            one("a", json!({"type": "string", "format": "date"})),
            json!({"op": "date", "at": "/a", "from": "date", "to": "%d.%m.%y"}),
            r#"{"a":"1950-12-31"}"#,
        ),
    ] {
        let request: Vec<Op> = serde_json::from_value(json!([op])).unwrap();
        let Ok(ways) = image(&request, &schema) else { continue };
        let routine = ToolRoutine { request, ..ToolRoutine::default() };
        let compiled = CompiledRoutine::compile("t", &routine).unwrap();
        let mut tape = Tape::default();
        let document = tape.read(text.as_bytes(), Limits::default()).unwrap();
        assert!(Schema::compile(&schema).unwrap().admits(document.root()), "{text}");
        let mut out = Vec::new();
        let done = compiled.request(Some(document.root()), &mut out);
        assert!(done.is_ok(), "{op} on {text}: {done:?}");
        let mut tape = Tape::default();
        let made = tape.read(&out, Limits::default()).unwrap().root();
        let admits = |way: &super::image::Way| Schema::compile(&way.schema).unwrap().admits(made);
        assert!(ways.iter().any(admits), "{op} on {text} made {}", made.raw());
    }
}

#[test]
fn a_guard_says_nothing_of_members_that_it_does_not_declare() {
    let text = || json!({"type": "string"});
    let inner = object(json!({"a": text(), "b": text()}));
    let guard = json!([{"op": "refuse_unless", "at": "/o", "reason": "the peer asks for a",
        "fits": object(json!({"a!": text()}))}]);
    let ops: Vec<Op> = serde_json::from_value(guard).unwrap();
    let ways = image(&ops, &closed(&object(json!({"o": inner})))).unwrap();
    let passes = json!({"o": {"a": "x", "b": "y"}});
    let admits = |schema: &Value| Schema::compile(schema).unwrap().admits_value(&passes);
    assert!(ways.iter().any(|way| admits(&way.schema)));
}
