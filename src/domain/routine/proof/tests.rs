//! Proofs, held by rows of what real tools change and by instances that proptest makes.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
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
            prop_oneof![".{0,8}", "[0-9]{1,4}", "[a-z]+/[a-z]+"].prop_map(Value::from).boxed()
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

#[test]
fn what_is_proven_survives_two_thousand_arbitrary_instances() {
    for row in rows() {
        if !matches!(proof_of(&row), Proof::Proven(_)) {
            continue;
        }
        let (before, after, routine) = tools(&row);
        let compiled = CompiledRoutine::compile(before.name(), &routine).unwrap();
        let compile = |schema: &Value| Schema::compile(&closed(schema)).unwrap();
        let offers: Vec<(&str, Schema)> =
            after.iter().map(|tool| (tool.name(), compile(tool.input_schema().unwrap()))).collect();
        let mut runner = TestRunner::new_with_rng(
            Config::with_cases(2_000),
            TestRunner::deterministic().rng().clone(),
        );
        let requests = arbitrary(&closed(before.input_schema().unwrap()));
        let asked = runner.run(&requests, |value| {
            let run = |item: crate::domain::json::Item<'_>, out: &mut Vec<u8>| {
                compiled.request(Some(item), out).map(|mapped| mapped.call)
            };
            match carried(run, &value) {
                Ok((call, mapped)) => {
                    let name = call.unwrap_or_else(|| before.name().to_owned());
                    let offer = &offers.iter().find(|(known, _)| *known == name).unwrap().1;
                    prop_assert!(offer.admits_value(&mapped), "{} became {}", value, mapped);
                }
                Err(Failure::Refused { .. }) => {}
                Err(failure) => prop_assert!(false, "{}: {}", value, failure),
            }
            Ok(())
        });
        assert!(asked.is_ok(), "{}: {asked:?}", row.name);
        let (Some(promised), Some(offered)) = (before.output_schema(), after[0].output_schema())
        else {
            continue;
        };
        let promised = Schema::compile(promised).unwrap();
        let answered = runner.run(&arbitrary(&closed(offered)), |value| {
            let run = |item: crate::domain::json::Item<'_>, out: &mut Vec<u8>| {
                compiled.reply(item, out).map(|()| None)
            };
            let mended = carried(run, &value).map_err(|it| TestCaseError::fail(it.to_string()))?;
            prop_assert!(promised.admits_value(&mended.1), "{} became {}", value, mended.1);
            Ok(())
        });
        assert!(answered.is_ok(), "{}: {answered:?}", row.name);
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
