//! What holds for every text: nobody else reads it otherwise, and nothing is lost on the way out.

use proptest::prelude::*;
use serde_json::Value;

use super::{Edit, Item, Kind, Limits, ParseFault, Tape, canonical, quote, splice};

/// Any JSON value as a text, with spaces and escapes that a writer would not choose.
fn json_text() -> impl Strategy<Value = String> {
    let space = || prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("\n\t\r ")];
    let char = prop_oneof![
        8 => "[a-c]",
        2 => "[ -~é€😀]".prop_filter("stands escaped", |c| c != "\"" && c != "\\"),
        2 => prop::sample::select(vec![
            "\\n", "\\\"", "\\\\", "\\/", "\\u0061", "\\u00e9", "\\ud83d\\ude00", "\\ud83d",
            "\\udE00", "\\u0000",
        ]).prop_map(str::to_owned),
    ];
    let string =
        prop::collection::vec(char, 0..12).prop_map(|chars| format!("\"{}\"", chars.concat()));
    let number = prop_oneof![
        4 => any::<i64>().prop_map(|n| n.to_string()),
        2 => any::<f64>().prop_filter("JSON has no other", |n| n.is_finite()).prop_map(|n| n.to_string()),
        2 => "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number,
        string.clone(),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        let spaced = (space(), inner, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (space(), string.clone(), space(), spaced.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            prop::collection::vec(spaced, 0..8).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..20).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

/// A text, or one with a byte cut out, put in, or changed.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let wrong =
        prop::sample::select(b"{}[]\",:\\ \n0123eE+-.truefalsn\x00\x1f\x7f\xc3\xff".to_vec());
    (json_text(), any::<prop::sample::Index>(), wrong, 0..6).prop_map(|(text, at, byte, how)| {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes.truncate(at),
            1 => bytes[at] = byte,
            2 => bytes.insert(at, byte),
            3 => drop(bytes.remove(at)),
            _ => {}
        }
        bytes
    })
}

/// Where serde_json refuses what is legal here (RFC 8259 sections 6 and 7).
fn is_beyond_serde(error: &serde_json::Error) -> bool {
    let error = error.to_string();
    ["number out of range", "surrogate", "unexpected end of hex escape"]
        .iter()
        .any(|known| error.contains(known))
}

fn walk(item: Item<'_>, see: &mut impl FnMut(Item<'_>)) {
    see(item);
    item.items().for_each(|inner| walk(inner, see));
    for (key, value) in item.members() {
        see(key);
        walk(value, see);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_accepts_and_means_what_serde_json_does(text in almost_json()) {
        let mut tape = Tape::default();
        let ours = tape.read(&text, Limits::default());
        let theirs = serde_json::from_slice::<Value>(&text);
        match (ours, theirs) {
            (Ok(document), Ok(value)) => prop_assert_eq!(document.root().to_value(), value),
            (Ok(_), Err(error)) => prop_assert!(is_beyond_serde(&error), "{}", error),
            (Err(error), Ok(_)) => prop_assert_eq!(error.fault, ParseFault::DuplicateKey),
            (Err(error), Err(_)) => prop_assert!(error.offset <= text.len()),
        }
    }

    #[test]
    fn every_value_stands_where_its_span_says(text in json_text()) {
        let mut tape = Tape::default();
        let Ok(document) = tape.read(text.as_bytes(), Limits::default()) else { return Ok(()) };
        let mut seen = 0;
        walk(document.root(), &mut |item| {
            seen += 1;
            let mut again = Tape::default();
            let alone = again.read(item.raw().as_bytes(), Limits::default()).unwrap().root();
            assert_eq!((alone.kind(), alone.len()), (item.kind(), item.len()));
            assert_eq!(alone.to_value(), item.to_value());
            assert!(item.as_str().is_none_or(|text| !text.contains('\u{fffd}')));
        });
        prop_assert_eq!(seen, document.nodes());
    }

    #[test]
    fn a_member_is_found_by_what_its_key_says(text in json_text()) {
        let mut tape = Tape::default();
        let Ok(document) = tape.read(text.as_bytes(), Limits::default()) else { return Ok(()) };
        walk(document.root(), &mut |item| {
            for (key, value) in item.members() {
                if let Some(name) = key.as_str() {
                    assert_eq!(item.get(&name).map(Item::span), Some(value.span()));
                    let pointer = jsonptr::PointerBuf::from_tokens([name.as_ref()]);
                    assert_eq!(item.at(&pointer).map(Item::span), Some(value.span()));
                }
            }
            assert!(item.get("no such member").is_none());
        });
    }

    #[test]
    fn splicing_nothing_leaves_every_byte(text in json_text()) {
        let mut out = Vec::new();
        splice(text.as_bytes(), &[], &mut out);
        prop_assert_eq!(&out, text.as_bytes());
        // Each value put in its own place is nothing, too.
        let mut tape = Tape::default();
        let Ok(document) = tape.read(text.as_bytes(), Limits::default()) else { return Ok(()) };
        let edits: Vec<_> = document
            .root()
            .items()
            .map(|item| Edit { span: item.span(), with: item.raw().as_bytes() })
            .collect();
        out.clear();
        splice(text.as_bytes(), &edits, &mut out);
        prop_assert_eq!(&out, text.as_bytes());
    }

    #[test]
    fn a_value_put_elsewhere_is_that_value_there(text in json_text(), with in json_text()) {
        let (mut tape, mut again) = (Tape::default(), Tape::default());
        let Ok(document) = tape.read(text.as_bytes(), Limits::default()) else { return Ok(()) };
        let Ok(other) = again.read(with.as_bytes(), Limits::default()) else { return Ok(()) };
        let Some(last) = document.root().items().last() else { return Ok(()) };
        let mut out = Vec::new();
        splice(text.as_bytes(), &[Edit { span: last.span(), with: other.root().raw().as_bytes() }], &mut out);
        let mut third = Tape::default();
        let root = third.read(&out, Limits::default()).unwrap().root();
        prop_assert_eq!(root.items().last().unwrap().to_value(), other.root().to_value());
        prop_assert_eq!(root.len(), document.root().len());
    }

    #[test]
    fn a_quoted_text_says_that_text(text in any::<String>()) {
        let mut out = Vec::new();
        quote(&text, &mut out);
        let mut tape = Tape::default();
        let root = tape.read(&out, Limits::default()).unwrap().root();
        prop_assert_eq!(root.kind(), Kind::String);
        let said = root.as_str();
        prop_assert_eq!(said.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn canonical_text_is_its_own_canonical_text(text in json_text()) {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        let once = canonical(&value).unwrap();
        let again: Value = serde_json::from_slice(&once).unwrap();
        prop_assert_eq!(canonical(&again).unwrap(), once);
        prop_assert_eq!(canonical(&turned(&value)).unwrap(), canonical(&value).unwrap());
    }
}

/// The same value with the members of every object in the other order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(turned).collect(),
        Value::Object(members) => Value::Object(
            members.iter().rev().map(|(key, value)| (key.clone(), turned(value))).collect(),
        ),
        other => other.clone(),
    }
}
