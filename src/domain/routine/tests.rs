//! Rows for each operation: what it makes of a document, or why it does not.

use serde_json::{Value, json};

use super::{CompiledRoutine, Failure, Op, ToolRoutine};
use crate::domain::json::{Limits, Tape};

fn compiled(ops: &Value) -> CompiledRoutine {
    let reply: Vec<Op> = serde_json::from_value(ops.clone()).unwrap();
    CompiledRoutine::compile("t", &ToolRoutine { reply, ..ToolRoutine::default() }).unwrap()
}

fn run(ops: &Value, text: &str) -> Result<String, Failure> {
    let routine = compiled(ops);
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default()).unwrap();
    let mut out = b"before".to_vec();
    let done = routine.reply(document.root(), &mut out);
    if let Err(failure) = done {
        assert_eq!(out, b"before", "a failing routine leaves the buffer as it was");
        return Err(failure);
    }
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

fn gives(op: Value, text: &str, expected: &str) {
    assert_eq!(run(&json!([op]), text).as_deref(), Ok(expected), "{op} on {text}");
}

fn fails(op: Value, text: &str, part: &str) {
    match run(&json!([op]), text) {
        Err(Failure::Operation { index, what }) => {
            assert!(index.starts_with('0'), "{index}");
            assert!(what.contains(part), "{op} on {text} said {what:?}, not {part:?}");
        }
        Err(Failure::Refused { reason, .. }) => {
            assert!(reason.contains(part), "{op} on {text} said {reason:?}, not {part:?}");
        }
        other => panic!("{op} on {text} gave {other:?}"),
    }
}

#[test]
fn values_move_copy_and_go() {
    let rename = json!({"op":"move","from":"/a","to":"/b"});
    gives(rename.clone(), r#"{"x":1,"a":1.50,"z":[ 1 ]}"#, r#"{"x":1,"b":1.50,"z":[ 1 ]}"#);
    fails(rename.clone(), r#"{"x":1}"#, "/a: expected a value");
    fails(rename, r#"{"a":1,"b":2}"#, "/b must be free");
    gives(json!({"op":"move","from":"/a","to":"/b","optional":true}), r#"{ "x":1}"#, r#"{ "x":1}"#);
    let down = json!({"op":"move","from":"/a","to":"/o/p/a"});
    gives(down.clone(), r#"{"a":1,"x":2}"#, r#"{"x":2,"o":{"p":{"a":1}}}"#);
    gives(down.clone(), r#"{"a":1,"o":{"q":3}}"#, r#"{"o":{"q":3,"p":{"a":1}}}"#);
    fails(down, r#"{"a":1,"o":null}"#, "no object or array");
    gives(json!({"op":"move","from":"/a","to":"/a/b"}), r#"{"a":1}"#, r#"{"a":{"b":1}}"#);
    gives(json!({"op":"move","from":"/a","to":"/a"}), r#"{"a":1}"#, r#"{"a":1}"#);
    gives(json!({"op":"move","from":"","to":"/data"}), r#"[1, 2]"#, r#"{"data":[1, 2]}"#);
    gives(
        json!({"op":"copy","from":"/a","to":"/b"}),
        r#"{"a":{"k": 1}}"#,
        r#"{"a":{"k": 1},"b":{"k": 1}}"#,
    );
    fails(json!({"op":"copy","from":"/a","to":"/b"}), r#"{"b":1}"#, "/a: expected a value");
    fails(json!({"op":"copy","from":"/a","to":"/b"}), r#"{"a":1,"b":1}"#, "/b must be free");
    gives(json!({"op":"remove","at":"/a"}), r#"{"a":1,"b":2}"#, r#"{"b":2}"#);
    gives(json!({"op":"remove","at":"/c"}), r#"{"a":1, "b":2}"#, r#"{"a":1, "b":2}"#);
}

#[test]
fn constants_stand_only_where_nothing_stood() {
    let set = json!({"op":"set","at":"/m","value":{"k":[1]}});
    gives(set.clone(), "{}", r#"{"m":{"k":[1]}}"#);
    fails(set, r#"{"m":null}"#, "/m must be free");
    gives(json!({"op":"default","at":"/m","value":"x"}), "{}", r#"{"m":"x"}"#);
    gives(json!({"op":"default","at":"/m","value":"x"}), r#"{ "m":null}"#, r#"{ "m":null}"#);
}

#[test]
fn arrays_have_indices() {
    gives(json!({"op":"remove","at":"/0"}), "[1,2,3]", "[2,3]");
    gives(json!({"op":"set","at":"/-","value":4}), "[1]", "[1,4]");
    gives(json!({"op":"set","at":"/1","value":4}), "[1]", "[1,4]");
    gives(json!({"op":"set","at":"/a/0/b","value":4}), r#"{"a":[]}"#, r#"{"a":[{"b":4}]}"#);
    fails(json!({"op":"set","at":"/2","value":4}), "[1]", "no index");
    fails(json!({"op":"set","at":"/0","value":4}), "[1]", "must be free");
    fails(json!({"op":"move","from":"/01","to":"/-"}), "[1,2]", "expected a value");
    gives(json!({"op":"move","from":"/a/1","to":"/b"}), r#"{"a":[1,2]}"#, r#"{"a":[1],"b":2}"#);
}

#[test]
fn keys_are_compared_by_their_text() {
    gives(json!({"op":"move","from":"/a~1b","to":"/~0"}), r#"{"a/b":1}"#, r#"{"~":1}"#);
    gives(json!({"op":"move","from":"/é","to":"/ü\""}), r#"{"\u00e9":1}"#, r#"{"ü\"":1}"#);
    gives(json!({"op":"remove","at":"/"}), r#"{"":1,"a":2}"#, r#"{"a":2}"#);
    gives(json!({"op":"remove","at":"/x"}), r#"{"\ud800":1,"x":2}"#, r#"{"\ud800":1}"#);
}

#[test]
fn casts_lose_nothing_or_fail() {
    for (to, from, expected) in [
        ("string", "1e400", "\"1e400\""),
        ("string", "1.50", "\"1.50\""),
        ("string", "true", "\"true\""),
        ("string", "\"a\"", "\"a\""),
        ("number", "\"1e400\"", "1e400"),
        ("number", "\"-0.10\"", "-0.10"),
        ("integer", "\"42\"", "42"),
        ("integer", "1E2", "100"),
        ("integer", "5.0", "5"),
        ("integer", "-0", "0"),
        ("string", "-0", "\"0\""),
        ("integer", "12345678901234567890123", "12345678901234567890123"),
        ("boolean", "\"true\"", "true"),
        ("boolean", "false", "false"),
    ] {
        gives(
            json!({"op":"cast","at":"/v","to":to}),
            &format!("{{\"v\":{from}}}"),
            &format!("{{\"v\":{expected}}}"),
        );
    }
    for (to, from) in [
        ("integer", "1.5"),
        ("integer", "\"1.5\""),
        ("integer", "\"007\""),
        ("integer", "true"),
        ("number", "\" 1\""),
        ("number", "\"NaN\""),
        ("number", "\"\""),
        ("number", "null"),
        ("boolean", "\"yes\""),
        ("boolean", "1"),
        ("string", "null"),
        ("string", "[1]"),
    ] {
        fails(json!({"op":"cast","at":"/v","to":to}), &format!("{{\"v\":{from}}}"), "without loss");
    }
    gives(json!({"op":"cast","at":"/v","to":"string"}), "{ }", "{ }");
}

#[test]
fn tables_replace_what_they_name() {
    let map = json!({"op":"map","at":"/v","table":[{"from":"OPEN","to":"open"},{"from":1,"to":true},{"from":null,"to":0},{"from":{"a":[1]},"to":"deep"}]});
    gives(map.clone(), r#"{"v":"\u004fPEN"}"#, r#"{"v":"open"}"#);
    gives(map.clone(), r#"{"v":1.0}"#, r#"{"v":true}"#);
    gives(map.clone(), r#"{"v":null}"#, r#"{"v":0}"#);
    gives(map.clone(), r#"{"v":{"a": [ 1e0 ]}}"#, r#"{"v":"deep"}"#);
    gives(map.clone(), "{ }", "{ }");
    fails(map, r#"{"v":"shut"}"#, "value of the table");
}

#[test]
fn quantities_are_exact() {
    let ms = json!({"op":"scale","at":"/v","factor":1000});
    gives(ms.clone(), r#"{"v":1.2345}"#, r#"{"v":1234.5}"#);
    gives(ms.clone(), r#"{"v":1e400}"#, r#"{"v":1e403}"#);
    fails(ms.clone(), r#"{"v":"1"}"#, "expected a number");
    fails(ms.clone(), r#"{"v":1e999999999}"#, "reckoned");
    gives(ms, "{ }", "{ }");
    gives(json!({"op":"scale","at":"/v","factor":0.001}), r#"{"v":1500}"#, r#"{"v":1.5}"#);
    gives(
        json!({"op":"scale","at":"/v","factor":1.8,"offset":32}),
        r#"{"v":36.6}"#,
        r#"{"v":97.88}"#,
    );
    let clamp = json!({"op":"clamp","at":"/v","min":1,"max":100});
    gives(clamp.clone(), r#"{"v":1000}"#, r#"{"v":100}"#);
    gives(clamp.clone(), r#"{"v":-1e400}"#, r#"{"v":1}"#);
    gives(clamp.clone(), r#"{"v":50.0}"#, r#"{"v":50.0}"#);
    fails(clamp, r#"{"v":"5"}"#, "expected a number");
    gives(
        json!({"op":"date","at":"/v","from":"unix_s","to":"rfc3339"}),
        r#"{"v":0}"#,
        r#"{"v":"1970-01-01T00:00:00Z"}"#,
    );
    fails(
        json!({"op":"date","at":"/v","from":"date","to":"unix_s"}),
        r#"{"v":"soon"}"#,
        "YYYY-MM-DD",
    );
}

#[test]
fn shapes_change_without_loss() {
    gives(json!({"op":"wrap","at":"/v"}), r#"{"v":1}"#, r#"{"v":[1]}"#);
    gives(json!({"op":"unwrap","at":"/v"}), r#"{"v":[ {"a": 1} ]}"#, r#"{"v":{"a": 1}}"#);
    fails(json!({"op":"unwrap","at":"/v"}), r#"{"v":[1,2]}"#, "2 items");
    fails(json!({"op":"unwrap","at":"/v"}), r#"{"v":[]}"#, "0 items");
    fails(json!({"op":"unwrap","at":"/v"}), r#"{"v":1}"#, "expected an array");
    gives(json!({"op":"parse","at":"/v"}), r#"{"v":"{\"a\":[1.0]}"}"#, r#"{"v":{"a":[1.0]}}"#);
    fails(json!({"op":"parse","at":"/v"}), r#"{"v":"{\"a\":1,\"a\":2}"}"#, "stands twice");
    fails(json!({"op":"parse","at":"/v"}), r#"{"v":1}"#, "JSON in a string");
    gives(json!({"op":"print","at":"/v"}), r#"{"v":{"a": 1.0}}"#, r#"{"v":"{\"a\": 1.0}"}"#);
    for op in ["wrap", "unwrap", "parse", "print"] {
        gives(json!({"op":op,"at":"/v"}), "{ }", "{ }");
    }
}

#[test]
fn text_is_cut_and_composed() {
    let split = json!({"op":"split","from":"/v","separator":"/","to":["/a","/b"]});
    gives(split.clone(), r#"{"v":"x/y"}"#, r#"{"a":"x","b":"y"}"#);
    fails(split.clone(), r#"{"v":"x"}"#, "expected 2 parts, got 1");
    fails(split.clone(), r#"{"v":1}"#, "expected a string");
    fails(split.clone(), "{}", "expected a value");
    fails(split, r#"{"v":"x/y","b":1}"#, "/b must be free");
    let join = json!({"op":"join","from":["/a","/b"],"separator":"T","to":"/v"});
    gives(join.clone(), r#"{"a":"x","b":"y"}"#, r#"{"v":"xTy"}"#);
    fails(join.clone(), r#"{"a":"x"}"#, "/b: expected a value");
    fails(join.clone(), r#"{"a":"x","b":2}"#, "/b: expected a string");
    fails(join, r#"{"a":"x","b":"y","v":1}"#, "/v must be free");
    let text = json!({"op":"template","text":"{{{/a}/{/b}}","to":"/v"});
    gives(text.clone(), r#"{"a":"x","b":1.0}"#, r#"{"a":"x","b":1.0,"v":"{x/1.0}"}"#);
    fails(text.clone(), r#"{"a":"x"}"#, "/b: expected a value");
    fails(text, r#"{"a":null,"b":1}"#, "/a: expected a string");
    let number =
        json!({"op":"extract","from":"/u","to":"/n","pattern":"/issues/([0-9]+)$","as":"integer"});
    gives(number.clone(), r#"{"u":"h/issues/42"}"#, r#"{"u":"h/issues/42","n":42}"#);
    fails(number.clone(), r#"{"u":"h/issues/"}"#, "finds nothing");
    fails(number.clone(), r#"{"u":"h/issues/042"}"#, "expected an integer");
    fails(number, r#"{"u":"h/issues/1","n":1}"#, "/n must be free");
}

#[test]
fn each_item_is_carried() {
    let each = json!({"op":"each","at":"/items","ops":[{"op":"move","from":"/id","to":"/key"},{"op":"cast","at":"/key","to":"string"}]});
    gives(
        each.clone(),
        r#"{"items":[{"id":1},{"x":[ ],"id":2}]}"#,
        r#"{"items":[{"key":"1"},{"x":[ ],"key":"2"}]}"#,
    );
    gives(each.clone(), r#"{"items":[]}"#, r#"{"items":[]}"#);
    gives(each.clone(), r#"{ }"#, r#"{ }"#);
    fails(each.clone(), r#"{"items":{}}"#, "expected an array");
    assert_eq!(
        run(&json!([{"op":"wrap","at":"/q"}, each]), r#"{"items":[{"id":1},{}]}"#),
        Err(Failure::Operation {
            index: "1.0".into(),
            what: "/id: expected a value, nothing stands there".into()
        }),
    );
    gives(
        json!({"op":"each","at":"","ops":[{"op":"move","from":"","to":"/v"}]}),
        "[1,2]",
        r#"[{"v":1},{"v":2}]"#,
    );
    fails(json!({"op":"each","at":"","ops":[{"op":"remove","at":""}]}), "[1]", "an item to remain");
}

#[test]
fn choices_are_by_value() {
    let cases = json!({"op":"cases","at":"/m","when":[
        {"is":["a","b"],"ops":[{"op":"remove","at":"/m"}]},
        {"ops":[{"op":"set","at":"/m","value":"none"}]}]});
    gives(cases.clone(), r#"{"m":"b","x":1}"#, r#"{"x":1}"#);
    gives(cases.clone(), "{}", r#"{"m":"none"}"#);
    fails(cases, r#"{"m":null}"#, "no case fits");
    gives(
        json!({"op":"cases","at":"/m","when":[{"is":[1],"ops":[]}],"else":[{"op":"remove","at":"/m"}]}),
        r#"{"m":2}"#,
        "{}",
    );
    let drop = json!({"op":"remove_if","at":"/m","one_of":[null,""]});
    gives(drop.clone(), r#"{"m":null}"#, "{}");
    gives(drop.clone(), r#"{"m":0}"#, r#"{"m":0}"#);
    gives(drop, "{ }", "{ }");
}

#[test]
fn a_part_that_cannot_be_carried_is_refused_by_name() {
    let any = json!({"op":"refuse_if","at":"/m","reason":"m is gone"});
    let some = json!({"op":"refuse_if","at":"/m","not_one_of":["a"],"reason":"only a"});
    gives(any.clone(), "{ }", "{ }");
    gives(some.clone(), "{ }", "{ }");
    gives(some.clone(), r#"{"m":"a"}"#, r#"{"m":"a"}"#);
    for (ops, text, pointer) in [
        (json!([any]), r#"{"m":null}"#, "/m"),
        (json!([some]), r#"{"m":"b"}"#, "/m"),
        (json!([{"op":"each","at":"/l","ops":[any]}]), r#"{"l":[{},{"m":1}]}"#, "/l/1/m"),
    ] {
        match run(&ops, text) {
            Err(Failure::Refused { pointer: found, .. }) => assert_eq!(found, pointer),
            other => panic!("{ops} gave {other:?}"),
        }
    }
}

fn request(routine: Value, text: Option<&str>) -> Result<(Option<String>, String), Failure> {
    let routine: ToolRoutine = serde_json::from_value(routine).unwrap();
    let routine = CompiledRoutine::compile("t", &routine).unwrap();
    let mut tape = Tape::default();
    let mut out = Vec::new();
    let mapped = match text {
        Some(text) => {
            let document = tape.read(text.as_bytes(), Limits::default()).unwrap();
            routine.request(Some(document.root()), &mut out)?
        }
        None => routine.request(None, &mut out)?,
    };
    Ok((mapped.call, String::from_utf8(out).unwrap()))
}

#[test]
fn a_request_names_its_tool() {
    let routine = json!({"call":"read","request":[
        {"op":"cases","at":"/full","when":[{"is":[true],"ops":[{"op":"call","tool":"read_all"}]}],"else":[]},
        {"op":"remove","at":"/full"}]});
    let all = request(routine.clone(), Some(r#"{"full":true}"#)).unwrap();
    assert_eq!(all, (Some("read_all".into()), "{}".into()));
    let one = request(routine.clone(), Some(r#"{"id":1}"#)).unwrap();
    assert_eq!(one, (Some("read".into()), r#"{"id":1}"#.into()));
    let routine: ToolRoutine = serde_json::from_value(routine).unwrap();
    let compiled = CompiledRoutine::compile("t", &routine).unwrap();
    assert_eq!(compiled.targets("t"), ["read_all", "read"]);
    let same = CompiledRoutine::compile("t", &ToolRoutine::default()).unwrap();
    assert_eq!(same.targets("t"), ["t"]);
}

#[test]
fn absent_arguments_stay_absent_unless_something_is_written() {
    let quiet = json!({"request":[{"op":"move","from":"/a","to":"/b","optional":true},{"op":"remove","at":"/c"}]});
    assert_eq!(request(quiet, None).unwrap(), (None, String::new()));
    let sets = json!({"request":[{"op":"set","at":"/method","value":"get"}]});
    assert_eq!(request(sets, None).unwrap(), (None, r#"{"method":"get"}"#.into()));
}

#[test]
fn an_identity_gives_the_same_bytes() {
    let text = "{ \"a\" : [1.0 , 1e400],\n\"b\":\"\\u00e9\" }";
    assert_eq!(run(&json!([]), text).unwrap(), text);
}

#[test]
fn what_grows_without_end_is_stopped() {
    let mut ops = vec![json!({"op":"set","at":"/0","value":"0123456789"})];
    ops.extend((1..100).map(
        |n| json!({"op":"template","text":format!("{{/{0}}}{{/{0}}}", n - 1),"to":format!("/{n}")}),
    ));
    assert!(
        matches!(run(&json!(ops), "{}"), Err(Failure::Operation { what, .. }) if what.contains("bytes"))
    );
}

#[test]
fn all_faults_are_told_with_their_place() {
    let routine: ToolRoutine = serde_json::from_value(json!({
        "call":"",
        "request":[
            {"op":"map","at":"/a","table":[{"from":1,"to":2},{"from":1,"to":3}]},
            {"op":"map","at":"/a","table":[{"from":{"a":1,"b":[1]},"to":2},{"from":{"b":[1.0],"a":1e0},"to":3}]},
            {"op":"cases","at":"/a","when":[{"is":[],"ops":[{"op":"scale","at":"/a","factor":0}]}]},
            {"op":"each","at":"/a","ops":[{"op":"call","tool":"x"}]}],
        "reply":[
            {"op":"call","tool":"x"},
            {"op":"extract","from":"/a","to":"/b","pattern":"(?=a)"},
            {"op":"extract","from":"/a","to":"/b","pattern":"(a)(b)"},
            {"op":"template","text":"{a}","to":"/b"},
            {"op":"date","at":"/a","from":"iso","to":"date"},
            {"op":"clamp","at":"/a"}],
        "errors":[{"from":"A","to":"B"},{"from":"A","to":"C"}]
    }))
    .unwrap();
    let faults = CompiledRoutine::compile("a/b", &routine).unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/a~1b/request/0/table/1/from",
            "/a~1b/request/1/table/1/from",
            "/a~1b/request/2/when/0/is",
            "/a~1b/request/2/when/0/ops/0/factor",
            "/a~1b/request/3/ops/0",
            "/a~1b/reply/0",
            "/a~1b/reply/1/pattern",
            "/a~1b/reply/2/pattern",
            "/a~1b/reply/3/text",
            "/a~1b/reply/4/from",
            "/a~1b/reply/5",
            "/a~1b/call",
            "/a~1b/errors/1/from",
        ]
    );
}

#[test]
fn limits_bite_before_anything_runs() {
    let many = vec![json!({"op":"remove","at":"/a"}); 257];
    let mut deep = json!({"op":"remove","at":"/a"});
    for _ in 0..16 {
        deep = json!({"op":"each","at":"","ops":[deep]});
    }
    let long = json!({"op":"remove","at":"/a".repeat(17)});
    let pattern =
        json!({"op":"extract","from":"/a","to":"/b","pattern":format!("({})", "a".repeat(1024))});
    let program = json!({"op":"extract","from":"/a","to":"/b","pattern":"((\\w{50}){50})"});
    for ops in [json!(many), json!([deep]), json!([long]), json!([pattern]), json!([program])] {
        let reply: Vec<Op> = serde_json::from_value(ops).unwrap();
        let routine = ToolRoutine { reply, ..ToolRoutine::default() };
        assert_eq!(CompiledRoutine::compile("t", &routine).unwrap_err().len(), 1);
    }
}

#[test]
fn a_call_is_refused_unless_a_value_fits() {
    let small = json!({"op":"refuse_unless","at":"/n","fits":{"type":"number","maximum":5},"reason":"too many"});
    gives(small.clone(), r#"{"n":5}"#, r#"{"n":5}"#);
    gives(small.clone(), r#"{"m":9}"#, r#"{"m":9}"#);
    fails(small, r#"{"n":6}"#, "too many");
    let whole = json!({"op":"refuse_unless","at":"","fits":{"required":["a"]},"reason":"needs a"});
    gives(whole.clone(), r#"{"a":1}"#, r#"{"a":1}"#);
    fails(whole, r#"{"b":1}"#, "needs a");
}

#[test]
fn a_list_joins_into_a_text_that_comes_apart_again() {
    let join = json!({"op":"join","from":["/v"],"separator":",","to":"/v"});
    gives(join.clone(), r#"{"v":["a","b c"]}"#, r#"{"v":"a,b c"}"#);
    gives(join.clone(), r#"{"v":[]}"#, r#"{"v":""}"#);
    fails(join.clone(), r#"{"v":["a,b"]}"#, "separator");
    fails(join, r#"{"v":["a",1]}"#, "array of strings");
}

#[test]
fn an_object_of_one_member_becomes_its_value() {
    let open = json!({"op":"unwrap","at":"/v","member":"uid"});
    gives(open.clone(), r#"{"v":{"uid":"x"}}"#, r#"{"v":"x"}"#);
    fails(open.clone(), r#"{"v":{"uid":"x","more":1}}"#, "one member");
    fails(open, r#"{"v":"x"}"#, "one member");
}

#[test]
fn printed_json_has_a_space_behind_colon_and_comma() {
    let print = json!({"op":"print","at":"/v"});
    gives(
        print,
        r#"{"v":{"a":[1,2],"b":"x,\":y"}}"#,
        r#"{"v":"{\"a\": [1, 2], \"b\": \"x,\\\":y\"}"}"#,
    );
}
