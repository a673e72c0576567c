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

struct Row {
    name: &'static str,
    before: Value,
    after: Vec<Value>,
    routine: Value,
    answer: &'static str,
}

fn tool(name: &str, input: Value, output: Option<Value>) -> Value {
    let mut tool = json!({"name": name, "inputSchema": input});
    if let Some(output) = output {
        tool["outputSchema"] = output;
    }
    tool
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

fn row(
    name: &'static str,
    answer: &'static str,
    before: Value,
    after: Value,
    request: Value,
) -> Row {
    Row {
        name,
        before: tool("t", object(before), None),
        after: vec![tool("t", object(after), None)],
        routine: json!({"request": request}),
        answer,
    }
}

fn reply_row(
    name: &'static str,
    answer: &'static str,
    before: Value,
    after: Value,
    reply: Value,
) -> Row {
    Row {
        name,
        before: tool("t", object(json!({})), Some(object(before))),
        after: vec![tool("t", object(json!({})), Some(object(after)))],
        routine: json!({"reply": reply}),
        answer,
    }
}

fn request_rows() -> Vec<Row> {
    let string = || json!({"type": "string"});
    let integer = || json!({"type": "integer"});
    vec![
        row(
            "nothing changed",
            "proven",
            json!({"a!": string()}),
            json!({"a!": string()}),
            json!([]),
        ),
        row(
            "an optional argument came",
            "proven",
            json!({"a!": string()}),
            json!({"a!": string(), "b": integer()}),
            json!([]),
        ),
        row(
            "a required argument came",
            "refuted",
            json!({"a!": string()}),
            json!({"a!": string(), "b!": integer()}),
            json!([]),
        ),
        row(
            "a required argument came with a default",
            "proven",
            json!({"a!": string()}),
            json!({"a!": string(), "b!": integer()}),
            json!([{"op": "default", "at": "/b", "value": 3}]),
        ),
        row(
            "a default of the wrong type",
            "refuted",
            json!({"a!": string()}),
            json!({"a!": string(), "b!": integer()}),
            json!([{"op": "default", "at": "/b", "value": "3"}]),
        ),
        row(
            "renamed",
            "proven",
            json!({"owner!": string(), "issue_number!": integer()}),
            json!({"owner!": string(), "number!": integer()}),
            json!([{"op": "move", "from": "/issue_number", "to": "/number"}]),
        ),
        row(
            "casing",
            "proven",
            json!({"per_page": {"type": "integer", "minimum": 1, "maximum": 100}, "q!": string()}),
            json!({"perPage": {"type": "integer", "minimum": 1, "maximum": 100}, "q!": string()}),
            json!([{"op": "move", "from": "/per_page", "to": "/perPage", "optional": true}]),
        ),
        row(
            "casing of what may be absent",
            "refuted",
            json!({"per_page": integer()}),
            json!({"perPage": integer()}),
            json!([{"op": "move", "from": "/per_page", "to": "/perPage"}]),
        ),
        row(
            "the target may be taken",
            "refuted",
            json!({"a": string(), "b": string()}),
            json!({"b": string()}),
            json!([{"op": "move", "from": "/a", "to": "/b", "optional": true}]),
        ),
        row(
            "enum renamed",
            "proven",
            json!({"state": {"enum": ["open", "closed"]}}),
            json!({"state": {"enum": ["OPEN", "CLOSED"]}}),
            json!([{"op": "map", "at": "/state", "table": [{"from": "open", "to": "OPEN"}, {"from": "closed", "to": "CLOSED"}]}]),
        ),
        row(
            "enum renamed in part",
            "refuted",
            json!({"state": {"enum": ["open", "closed"]}}),
            json!({"state": {"enum": ["OPEN", "CLOSED"]}}),
            json!([{"op": "map", "at": "/state", "table": [{"from": "open", "to": "OPEN"}]}]),
        ),
        row(
            "cast to a string",
            "proven",
            json!({"id!": {"type": "integer", "minimum": 1, "maximum": 1_000_000}}),
            json!({"id!": {"type": "string", "pattern": "^-?[0-9]+$"}}),
            json!([{"op": "cast", "at": "/id", "to": "string"}]),
        ),
        row(
            "cast to an integer",
            "refuted",
            json!({"id!": string()}),
            json!({"id!": integer()}),
            json!([{"op": "cast", "at": "/id", "to": "integer"}]),
        ),
        row(
            "cast of few",
            "proven",
            json!({"n": {"enum": ["1", "2"]}}),
            json!({"n": integer()}),
            json!([{"op": "cast", "at": "/n", "to": "integer"}]),
        ),
        row(
            "nested",
            "proven",
            json!({"lat!": {"type": "number"}, "lon!": {"type": "number"}}),
            json!({"position!": closed(&object(json!({"lat!": {"type": "number"}, "lon!": {"type": "number"}})))}),
            json!([{"op": "move", "from": "/lat", "to": "/position/lat"}, {"op": "move", "from": "/lon", "to": "/position/lon"}]),
        ),
        row(
            "nested in part",
            "refuted",
            json!({"lat!": {"type": "number"}, "lon": {"type": "number"}}),
            json!({"position!": object(json!({"lat!": {"type": "number"}, "lon!": {"type": "number"}}))}),
            json!([{"op": "move", "from": "/lat", "to": "/position/lat"}, {"op": "move", "from": "/lon", "to": "/position/lon", "optional": true}]),
        ),
        row(
            "unnested",
            "proven",
            json!({"page": object(json!({"size!": integer(), "at": integer()}))}),
            json!({"page": object(json!({"at": integer()})), "size": integer()}),
            json!([{"op": "move", "from": "/page/size", "to": "/size", "optional": true}]),
        ),
        row(
            "an argument went",
            "refuted",
            json!({"a!": string(), "b": string()}),
            json!({"a!": string()}),
            json!([]),
        ),
        row(
            "an argument went and is refused",
            "proven",
            json!({"a!": string(), "b": string()}),
            json!({"a!": string()}),
            json!([{"op": "refuse_if", "at": "/b", "reason": "gone"}]),
        ),
        row(
            "only some values go",
            "proven",
            json!({"m!": {"enum": ["x", "y", "z"]}}),
            json!({"m!": {"enum": ["x", "y"]}}),
            json!([{"op": "refuse_if", "at": "/m", "not_one_of": ["x", "y"], "reason": "gone"}]),
        ),
        row(
            "everything is refused",
            "unknown",
            json!({"a!": string()}),
            json!({"a!": string()}),
            json!([{"op": "refuse_if", "at": "/a", "reason": "gone"}]),
        ),
        row(
            "null no more",
            "proven",
            json!({"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}),
            json!({"a": string()}),
            json!([{"op": "remove_if", "at": "/a", "one_of": [null]}]),
        ),
        row(
            "null no more, unmended",
            "refuted",
            json!({"a": {"type": ["string", "null"]}}),
            json!({"a": string()}),
            json!([]),
        ),
        row(
            "a list now",
            "proven",
            json!({"label!": string()}),
            json!({"labels!": {"type": "array", "items": string(), "minItems": 1}}),
            json!([{"op": "move", "from": "/label", "to": "/labels"}, {"op": "wrap", "at": "/labels"}]),
        ),
        row(
            "each renamed",
            "proven",
            json!({"files!": {"type": "array", "items": object(json!({"path!": string(), "n": integer()}))}}),
            json!({"files!": {"type": "array", "items": object(json!({"file!": string(), "n": integer()}))}}),
            json!([{"op": "each", "at": "/files", "ops": [{"op": "move", "from": "/path", "to": "/file"}]}]),
        ),
        row(
            "bounds came",
            "refuted",
            json!({"limit": integer()}),
            json!({"limit": {"type": "integer", "minimum": 1, "maximum": 100}}),
            json!([]),
        ),
        row(
            "bounds came and are held",
            "proven",
            json!({"limit": integer()}),
            json!({"limit": {"type": "integer", "minimum": 1, "maximum": 100}}),
            json!([{"op": "clamp", "at": "/limit", "min": 1, "max": 100}]),
        ),
        row(
            "printed",
            "proven",
            json!({"filter": object(json!({"a": string()}))}),
            json!({"filter": string()}),
            json!([{"op": "print", "at": "/filter"}]),
        ),
        row(
            "parsed",
            "refuted",
            json!({"filter": string()}),
            json!({"filter": {"type": "object"}}),
            json!([{"op": "parse", "at": "/filter"}]),
        ),
        row(
            "split",
            "refuted",
            json!({"repo!": string()}),
            json!({"owner!": string(), "name!": string()}),
            json!([{"op": "split", "from": "/repo", "separator": "/", "to": ["/owner", "/name"]}]),
        ),
        row(
            "joined",
            "proven",
            json!({"owner!": string(), "name!": string()}),
            json!({"repo!": string()}),
            json!([{"op": "join", "from": ["/owner", "/name"], "separator": "/", "to": "/repo"}]),
        ),
        row(
            "composed",
            "proven",
            json!({"owner!": string(), "n!": integer()}),
            json!({"owner!": string(), "n!": integer(), "ref!": string()}),
            json!([{"op": "template", "text": "{/owner}#{/n}", "to": "/ref"}]),
        ),
        row(
            "seconds to milliseconds",
            "proven",
            json!({"timeout": {"type": "integer", "minimum": 1, "maximum": 60}}),
            json!({"timeout": {"type": "integer", "minimum": 1000, "maximum": 60000}}),
            json!([{"op": "scale", "at": "/timeout", "factor": 1000}]),
        ),
        row(
            "a format came",
            "unknown",
            json!({"mail!": string()}),
            json!({"mail!": {"type": "string", "format": "email"}}),
            json!([]),
        ),
        row(
            "a choice by value",
            "proven",
            json!({"mode": {"enum": ["fast", "slow"]}, "a!": string()}),
            json!({"speed!": integer(), "a!": string()}),
            json!([{"op": "cases", "at": "/mode", "when": [{"is": ["fast"], "ops": [{"op": "set", "at": "/speed", "value": 2}]}, {"is": ["slow"], "ops": [{"op": "set", "at": "/speed", "value": 1}]}, {"ops": [{"op": "set", "at": "/speed", "value": 0}]}]}, {"op": "remove", "at": "/mode"}]),
        ),
        row(
            "a choice that forgets absence",
            "refuted",
            json!({"mode": {"enum": ["fast", "slow"]}}),
            json!({"speed": integer()}),
            json!([{"op": "cases", "at": "/mode", "when": [{"is": ["fast", "slow"], "ops": [{"op": "set", "at": "/speed", "value": 2}]}]}, {"op": "remove", "at": "/mode"}]),
        ),
    ]
}

fn other_rows() -> Vec<Row> {
    let string = || json!({"type": "string"});
    let integer = || json!({"type": "integer"});
    let issue = object(json!({"repo!": string(), "issue_number!": integer()}));
    let read = object(
        json!({"method!": {"enum": ["get", "get_comments"]}, "repo!": string(), "number!": integer()}),
    );
    let moved = json!({"op": "move", "from": "/issue_number", "to": "/number"});
    let mode = object(json!({"mode!": {"enum": ["list", "get"]}, "id!": string()}));
    let by_id = object(json!({"id!": string()}));
    let choose = json!([
        {"op": "cases", "at": "/mode", "when": [{"is": ["list"], "ops": [{"op": "call", "tool": "list"}]}], "else": [{"op": "call", "tool": "get"}]},
        {"op": "remove", "at": "/mode"},
    ]);
    vec![
        Row {
            name: "merged behind a discriminator",
            before: tool("get_issue", issue.clone(), None),
            after: vec![tool("issue_read", read, None)],
            routine: json!({"call": "issue_read", "request": [{"op": "set", "at": "/method", "value": "get"}, moved]}),
            answer: "proven",
        },
        Row {
            name: "the target is not offered",
            before: tool("get_issue", issue.clone(), None),
            after: vec![],
            routine: json!({"call": "issue_read"}),
            answer: "refuted",
        },
        Row {
            name: "one tool became two",
            before: tool("thing", mode.clone(), None),
            after: vec![tool("list", by_id.clone(), None), tool("get", by_id.clone(), None)],
            routine: json!({"request": choose.clone()}),
            answer: "proven",
        },
        Row {
            name: "one of two is missing",
            before: tool("thing", mode, None),
            after: vec![tool("list", by_id, None)],
            routine: json!({"request": choose}),
            answer: "refuted",
        },
        reply_row(
            "a reply field came",
            "proven",
            json!({"a!": string()}),
            json!({"a!": string(), "b!": integer()}),
            json!([]),
        ),
        reply_row(
            "a reply field went",
            "refuted",
            json!({"a!": string(), "b!": string()}),
            json!({"a!": string()}),
            json!([]),
        ),
        reply_row(
            "an optional reply field went",
            "proven",
            json!({"a!": string(), "b": string()}),
            json!({"a!": string()}),
            json!([]),
        ),
        reply_row(
            "a reply field became optional",
            "refuted",
            json!({"a!": string()}),
            json!({"a": string()}),
            json!([]),
        ),
        reply_row(
            "a reply field was renamed",
            "proven",
            json!({"html_url!": string()}),
            json!({"url!": string()}),
            json!([{"op": "copy", "from": "/url", "to": "/html_url"}]),
        ),
        reply_row(
            "a reply enum grew",
            "refuted",
            json!({"s!": {"enum": ["a", "b"]}}),
            json!({"s!": {"enum": ["a", "b", "c"]}}),
            json!([]),
        ),
        reply_row(
            "a reply was nested",
            "proven",
            json!({"x!": integer(), "y": string()}),
            json!({"data!": object(json!({"x!": integer(), "y": string()}))}),
            json!([{"op": "move", "from": "/data/x", "to": "/x"}, {"op": "move", "from": "/data/y", "to": "/y", "optional": true}]),
        ),
        reply_row(
            "an id in an address",
            "refuted",
            json!({"n!": integer()}),
            json!({"url!": string()}),
            json!([{"op": "extract", "from": "/url", "to": "/n", "pattern": "/([0-9]+)$", "as": "integer"}]),
        ),
        Row {
            name: "no reply is declared and none is mended",
            before: tool("t", issue.clone(), None),
            after: vec![tool("t", issue.clone(), Some(object(json!({"a": string()}))))],
            routine: json!({}),
            answer: "proven",
        },
        Row {
            name: "no reply is declared and one is mended",
            before: tool("t", issue.clone(), None),
            after: vec![tool("t", issue.clone(), None)],
            routine: json!({"reply": [{"op": "move", "from": "/a", "to": "/b"}]}),
            answer: "unknown",
        },
        Row {
            name: "a reply is no longer declared",
            before: tool("t", issue.clone(), Some(object(json!({"a": string()})))),
            after: vec![tool("t", issue, None)],
            routine: json!({}),
            answer: "unknown",
        },
    ]
}

fn rows() -> Vec<Row> {
    request_rows().into_iter().chain(other_rows()).collect()
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
