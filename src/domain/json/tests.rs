//! What is read, what is refused, and that nobody else reads it otherwise.

use serde_json::{Value, json};

use super::{Document, Kind, Limits, ParseError, ParseFault, Tape};

fn read<T>(text: &[u8], use_it: impl FnOnce(Result<Document<'_>, ParseError>) -> T) -> T {
    use_it(Tape::default().read(text, Limits::default()))
}

fn fault(text: impl AsRef<[u8]>) -> Option<(ParseFault, usize)> {
    read(text.as_ref(), |read| read.err().map(|error| (error.fault, error.offset)))
}

#[test]
fn members_and_items_come_in_order_with_their_spans() {
    let text = r#" {"a" : [1, {"b": "x\ny"}, []] , "\u0063": true} "#;
    read(text.as_bytes(), |document| {
        let root = document.unwrap().root();
        assert_eq!((root.kind(), root.len()), (Kind::Object, 2));
        let keys: Vec<_> = root.members().map(|(key, _)| key.as_str().unwrap()).collect();
        assert_eq!(keys, ["a", "c"]);
        let list = root.get("a").unwrap();
        assert_eq!(list.raw(), r#"[1, {"b": "x\ny"}, []]"#);
        let raws: Vec<_> = list.items().map(|item| item.raw()).collect();
        assert_eq!(raws, ["1", r#"{"b": "x\ny"}"#, "[]"]);
        assert_eq!(root.get("c").unwrap().as_bool(), Some(true));
        assert!(root.get("b").is_none());
        let inner = root.at(jsonptr::Pointer::from_static("/a/1/b")).unwrap();
        assert_eq!(inner.as_str().unwrap(), "x\ny");
        assert_eq!(root.to_value(), json!({"a": [1, {"b": "x\ny"}, []], "c": true}));
    });
}

#[test]
fn texts_that_are_not_json_are_refused_where_they_go_wrong() {
    let rows: [(&[u8], ParseFault, usize); 36] = [
        (b"", ParseFault::Truncated, 0),
        (b"  ", ParseFault::Truncated, 2),
        (b"{", ParseFault::Truncated, 1),
        (b"[1", ParseFault::Truncated, 2),
        (b"[1,", ParseFault::Truncated, 3),
        (b"[1,]", ParseFault::Syntax, 3),
        (b"[,1]", ParseFault::Syntax, 1),
        (b"[1}", ParseFault::Syntax, 2),
        (br#"{"a":1]"#, ParseFault::Syntax, 6),
        (br#"{"a":1,}"#, ParseFault::Syntax, 7),
        (br#"{"a" 1}"#, ParseFault::Syntax, 5),
        (br#"{a:1}"#, ParseFault::Syntax, 1),
        (br#"{"a""#, ParseFault::Truncated, 4),
        (br#"{"a":"#, ParseFault::Truncated, 5),
        (b"1 2", ParseFault::Trailing, 2),
        (b"{}{}", ParseFault::Trailing, 2),
        (b"[]]", ParseFault::Trailing, 2),
        (b"tru", ParseFault::Truncated, 3),
        (b"trie", ParseFault::Syntax, 2),
        (b"NaN", ParseFault::Syntax, 0),
        (b"Infinity", ParseFault::Syntax, 0),
        (b"+1", ParseFault::Syntax, 0),
        (b"01", ParseFault::Trailing, 1),
        (b"-", ParseFault::Truncated, 1),
        (b"-x", ParseFault::Syntax, 1),
        (b"1.", ParseFault::Truncated, 2),
        (b".5", ParseFault::Syntax, 0),
        (b"1e", ParseFault::Truncated, 2),
        (b"1e+]", ParseFault::Syntax, 3),
        (b"\"a", ParseFault::Truncated, 2),
        (b"\"a\x1f\"", ParseFault::Syntax, 2),
        (b"\"\\x\"", ParseFault::Syntax, 2),
        (b"\"\\u12g4\"", ParseFault::Syntax, 5),
        (b"\"\\u12", ParseFault::Truncated, 5),
        (b"\"\xff\"", ParseFault::Utf8, 1),
        (b"\xef\xbb\xbf{}", ParseFault::Syntax, 0),
    ];
    for (text, wrong, offset) in rows {
        assert_eq!(fault(text), Some((wrong, offset)), "{}", text.escape_ascii());
    }
}

#[test]
fn every_form_of_number_keeps_its_text() {
    let rows: [(&str, Option<i64>); 16] = [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-0.0e7", Some(0)),
        ("12", Some(12)),
        ("1E2", Some(100)),
        ("1.50e+2", Some(150)),
        ("1.0", Some(1)),
        ("1200e-2", Some(12)),
        ("0.5", None),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-922337203685477580.8e1", Some(i64::MIN)),
        ("1e400", None),
        ("1e99999999999999999999", None),
        ("0e99999999999999999999", Some(0)),
    ];
    for (text, integer) in rows {
        read(text.as_bytes(), |document| {
            let root = document.unwrap().root();
            assert_eq!((root.kind(), root.raw(), root.as_i64()), (Kind::Number, text, integer));
        });
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_however_it_is_written() {
    let rows = [
        (r#"{"a":1,"a":1}"#, 7),
        (r#"{"a":1,"\u0061":2}"#, 7),
        (r#"{"\u0061":1,"b":0,"a":2}"#, 18),
        (r#"{"":1,"":2}"#, 6),
        (r#"{"x":{"a":1,"b":2,"a":3}}"#, 18),
        (r#"{"😀":1,"\ud83d\ude00":2}"#, 10),
        (r#"{"\ud83d":1,"\uD83D":2}"#, 12),
        (r#"{"é":1,"\u00e9":2}"#, 8),
    ];
    for (text, offset) in rows {
        assert_eq!(fault(text), Some((ParseFault::DuplicateKey, offset)), "{text}");
    }
    let unique = r#"{"a":{"a":[{"a":1},{"a":2}]},"A":1,"\ud83d":1,"\ude00":2,"�":3}"#;
    assert_eq!(fault(unique), None);
}

#[test]
fn a_key_that_stands_twice_is_found_among_very_many() {
    let many = |last: &str| {
        let members: Vec<_> = (0..100_000).map(|at| format!("\"k{at:08}\":{at}")).collect();
        format!("{{{},\"{last}\":0}}", members.join(","))
    };
    assert_eq!(fault(many("other")), None);
    let twice = many("k0000\\u0034217");
    let offset = twice.rfind("\"k0000\\u").unwrap();
    assert_eq!(fault(&twice), Some((ParseFault::DuplicateKey, offset)));
}

#[test]
fn the_members_of_a_wide_object_are_found() {
    // Two wide objects in a third, keys of the same beginning and end, one of them escaped.
    let wide = |from: usize| {
        let members: Vec<_> =
            (from..from + 300).map(|at| format!("\"member {at:06} of many\": {at}")).collect();
        format!("{{{}, \"\\u0065nd\": -1}}", members.join(","))
    };
    let text = format!("{{\"x\": [{}], \"y\": {}, \"z\": 1}}", wide(0), wide(500));
    read(text.as_bytes(), |document| {
        let root = document.unwrap().root();
        let [x, y] = ["/x/0", "/y"].map(|at| root.at(jsonptr::Pointer::from_static(at)).unwrap());
        for (object, from) in [(x, 0), (y, 500)] {
            for at in from..from + 300 {
                let found = object.get(&format!("member {at:06} of many")).and_then(|v| v.as_i64());
                assert_eq!(found, Some(at));
            }
            assert_eq!(object.get("end").and_then(|value| value.as_i64()), Some(-1));
            assert!(object.get("member 000400 of many").is_none());
        }
    });
}

#[test]
fn depth_and_nodes_are_limited_while_scanning() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(fault(nested(127)), None);
    assert_eq!(fault(nested(128)), None);
    assert_eq!(fault(nested(129)), Some((ParseFault::TooDeep, 128)));
    assert_eq!(fault("[".repeat(100_000)), Some((ParseFault::TooDeep, 128)));
    assert_eq!(fault("[]".repeat(2)), Some((ParseFault::Trailing, 2)));
    let limits = Limits { depth: 2, nodes: 4 };
    let mut tape = Tape::default();
    assert!(tape.read(b"[[],[],[]]", limits).is_ok());
    let over = tape.read(br#"{"a":1,"b":2}"#, limits).map(|_| ()).unwrap_err();
    assert_eq!(over, ParseError { fault: ParseFault::TooMany, offset: 11 });
}

#[test]
fn no_recursion_is_needed_to_read_what_is_nested_very_deep() {
    let text = "[".repeat(100_000) + &"]".repeat(100_000);
    let limits = Limits { depth: u32::MAX, nodes: u32::MAX };
    let read = std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(move || Tape::default().read(text.as_bytes(), limits).is_ok())
        .unwrap();
    assert!(read.join().unwrap());
}

#[test]
fn strings_are_resolved_only_when_asked() {
    let rows: [(&str, Option<&str>); 9] = [
        (r#""""#, Some("")),
        (r#""plain, and longer than eight bytes""#, Some("plain, and longer than eight bytes")),
        (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
        (r#""aé\u00e9€\u20ac😀\ud83d\ude00z""#, Some("aéé€€😀😀z")),
        (r#""\u0000""#, Some("\0")),
        (r#""\ud83d""#, None),
        (r#""\ude00\ud83d""#, None),
        (r#""\ud83d\u0041""#, None),
        (r#""\ud83d\ud83d\ude00""#, None),
    ];
    for (text, says) in rows {
        read(text.as_bytes(), |document| {
            assert_eq!(document.unwrap().root().as_str().as_deref(), says, "{text}");
        });
    }
}

#[test]
fn a_tape_forgets_the_document_before() {
    let mut tape = Tape::default();
    for text in ["[1,2,3,4,5,6,7,8,9]", "{\"a\":{}}", "1", "[[[", "null"] {
        let expected = serde_json::from_str::<Value>(text).ok();
        let read = tape.read(text.as_bytes(), Limits::default()).ok();
        assert_eq!(read.map(|document| document.root().to_value()), expected);
    }
}

#[test]
fn a_hundred_thousand_levels_are_refused_without_a_stack() {
    for text in ["[".repeat(100_000), "[{\"\":".repeat(50_000) + "\n"] {
        assert_eq!(fault(text).map(|(fault, _)| fault), Some(ParseFault::TooDeep));
    }
}
