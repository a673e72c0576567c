//! The contract room, held by rows and properties.

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sample::instances;
use super::{
    Containment, Contract, Direction, FirstVersion, ManifestError, MessageType, Next, Offer,
    Provenance, ProvenanceKind, Schema, SealError, Sealed, Signer, SigningAlgorithm, Step, Surface,
    TermSource, Tool, closed, contains, explain, first_version, next_version, seal, verify_chain,
};
use crate::domain::message::{Millis, UnixMillis};
use crate::domain::routine::RoutineDoc;

const DAY: Millis = Millis(24 * 60 * 60 * 1000);
const AT: UnixMillis = UnixMillis(1_790_000_000_000);

fn search() -> Value {
    json!({
        "name": "search",
        "description": "Finds flights.",
        "inputSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "from": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
            },
            "required": ["from"],
        },
        "outputSchema": {
            "type": "object",
            "properties": {"flights": {"type": "array", "items": {"type": "string"}}},
            "required": ["flights"],
        },
    })
}

fn book() -> Value {
    json!({"name": "book", "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}})
}

fn surface() -> Surface {
    Surface::from_json(&json!({"tools": [search(), book()]})).unwrap()
}

fn draft_of(surface: &Surface) -> Contract {
    let from = FirstVersion {
        id: Uuid::from_u128(1),
        peer_identity: "http://127.0.0.1:3000 flights".to_owned(),
        surface,
        at: AT,
        lifetime: Millis(7 * DAY.0),
        reference: "first-use".to_owned(),
        kind: ProvenanceKind::Negotiation,
    };
    let (draft, left_out) = first_version(from);
    assert_eq!(left_out, []);
    draft
}

fn next_of(id: u128, step: Step) -> Next {
    Next {
        id: Uuid::from_u128(id),
        at: AT.plus(DAY),
        lifetime: DAY,
        step,
        offer: None,
        routine: RoutineDoc::default(),
        adopted: Vec::new(),
        dropped: Vec::new(),
        replies: Vec::new(),
        provenance: Provenance {
            r#ref: "drift-1".to_owned(),
            kind: ProvenanceKind::Negotiation,
            timestamp: AT.plus(DAY),
            detail: "the peer changed".to_owned(),
        },
    }
}

fn signer() -> Signer {
    Signer::from_seed(&[7; 32]).unwrap()
}

fn faults(result: Result<Sealed, SealError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_first_version_promises_each_tool_as_it_was_listed() {
    let sealed = seal(draft_of(&surface()), None).unwrap();
    assert_eq!(sealed.version.to_string(), "1.0.0");
    let names: Vec<&str> = sealed.promised_tools().into_iter().map(Tool::name).collect();
    assert_eq!(names, ["search", "book"]);
    assert_eq!(sealed.promised("search").unwrap().definition(), &search());
    assert_eq!(sealed.offered("search"), sealed.promised("search"));
    assert_eq!(sealed.reply_schema("search"), Some(&search()["outputSchema"]));
    assert_eq!(sealed.reply_schema("book"), None);
    assert_eq!(sealed.request_schema("book"), Some(&book()["inputSchema"]));
    assert_eq!(sealed.message("search", Direction::Request).unwrap().required_fields, ["from"]);
    assert_eq!(sealed.intents.len(), 2);
    assert_eq!(sealed.expiry, AT.plus(Millis(7 * DAY.0)));
    let said = explain(&sealed);
    for words in ["search", "book", "1.0.0", "first-use", "2026-09-28", "7 days"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn a_tool_with_a_number_that_has_no_canonical_form_is_left_out_and_named() {
    let mut tool = book();
    tool["inputSchema"]["properties"]["id"] =
        json!({"type": "integer", "maximum": 9_223_372_036_854_775_807_i64});
    let surface = Surface::from_json(&json!([search(), tool])).unwrap();
    let (draft, left_out) = first_version(FirstVersion {
        id: Uuid::from_u128(1),
        peer_identity: "p".to_owned(),
        surface: &surface,
        at: AT,
        lifetime: DAY,
        reference: "first-use".to_owned(),
        kind: ProvenanceKind::Negotiation,
    });
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].tool, "book");
    assert!(left_out[0].why.contains("/inputSchema/properties/id/maximum"), "{}", left_out[0].why);
    assert_eq!(seal(draft, None).unwrap().promised_tools().len(), 1);
}

#[test]
fn a_seal_does_not_depend_on_the_order_of_keys() {
    let reordered = |value: &Value| -> Value {
        // The parser sorts nothing, so the members come back in the opposite order.
        fn turned(value: &Value) -> Value {
            match value {
                Value::Object(members) => {
                    members.iter().rev().map(|(k, v)| (k.clone(), turned(v))).collect()
                }
                Value::Array(items) => items.iter().map(turned).collect(),
                other => other.clone(),
            }
        }
        turned(value)
    };
    let one = seal(draft_of(&surface()), None).unwrap();
    let turned = reordered(&json!({"tools": [search(), book()]}));
    let other = Surface::from_json(&turned).unwrap();
    assert_eq!(one.hash, seal(draft_of(&other), None).unwrap().hash);
    let file = reordered(&serde_json::from_str(&one.text()).unwrap()).to_string();
    assert_eq!(Sealed::parse(file.as_bytes()).unwrap(), one);
}

#[test]
fn a_signed_seal_holds_and_another_key_does_not() {
    let sealed = seal(draft_of(&surface()), Some(&signer())).unwrap();
    assert_eq!(sealed.signing.public_key.as_deref(), Some(signer().public_key().as_str()));
    assert_eq!(Sealed::parse(sealed.text().as_bytes()).unwrap(), sealed);

    let other = Signer::from_seed(&[8; 32]).unwrap();
    let forged = seal(draft_of(&surface()), Some(&other)).unwrap();
    let mut swapped = sealed.contract().clone();
    swapped.signing.signature.clone_from(&forged.signing.signature);
    assert!(faults(Sealed::open(swapped)).contains("/signing/signature"));

    // The algorithm is part of what is hashed, so dropping the signature is seen.
    let mut stripped = sealed.contract().clone();
    stripped.signing.algorithm = SigningAlgorithm::Sha256;
    stripped.signing.public_key = None;
    stripped.signing.signature = None;
    assert!(faults(Sealed::open(stripped)).contains("/hash"));

    let mut unsigned = sealed.contract().clone();
    unsigned.signing.signature = None;
    assert!(faults(Sealed::open(unsigned)).contains("signature"));
}

#[test]
fn what_was_signed_for_another_purpose_is_no_seal() {
    use aws_lc_rs::signature::Ed25519KeyPair;
    let sealed = seal(draft_of(&surface()), Some(&signer())).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let mut reused = sealed.contract().clone();
    reused.signing.signature = Some(hex::encode(key.sign(reused.hash.as_bytes()).as_ref()));
    assert!(faults(Sealed::open(reused)).contains("/signing/signature"));
    // A signature whose S is not reduced (S + L) is another spelling of the same one (RFC 8032, 5.1.7).
    let mut high = sealed.contract().clone();
    let mut bytes = hex::decode(high.signing.signature.take().unwrap()).unwrap();
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    for (digit, more) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(more) + carry;
        *digit = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    high.signing.signature = Some(hex::encode(bytes));
    assert!(faults(Sealed::open(high)).contains("/signing/signature"));
}

#[test]
fn every_fault_of_a_draft_is_named() {
    let mut draft = draft_of(&surface());
    draft.participants.truncate(1);
    draft.expiry = draft.sealed_at.plus(Millis(1000));
    let twice = draft.message_types[0].clone();
    draft.message_types.push(twice);
    let said = faults(seal(draft, None));
    for pointer in ["/participants", "/expiry", "/message_types/3"] {
        assert!(said.contains(pointer), "{pointer} in {said}");
    }
    let mut long = draft_of(&surface());
    long.expiry = long.sealed_at.plus(Millis(31 * DAY.0));
    assert!(faults(seal(long, None)).contains("/expiry"));
}

#[test]
fn a_key_that_stands_twice_is_no_contract() {
    let text = seal(draft_of(&surface()), None).unwrap().text();
    let twice = text.replacen(
        "\"description\": \"Finds flights.\"",
        "\"description\": \"x\", \"description\": \"Finds flights.\"",
        1,
    );
    assert_ne!(text, twice);
    assert!(matches!(
        Sealed::parse(twice.as_bytes()),
        Err(SealError::Unreadable(_) | SealError::Faults(_))
    ));
    let unknown = text.replacen("{", "{\"more\": 1,", 1);
    assert!(matches!(Sealed::parse(unknown.as_bytes()), Err(SealError::Unreadable(_))));
}

#[test]
fn a_chain_is_one_only_where_each_version_follows_the_one_before() {
    let first = seal(draft_of(&surface()), Some(&signer())).unwrap();
    let second = seal(next_version(&first, next_of(2, Step::Minor)), Some(&signer())).unwrap();
    let third = seal(next_version(&second, next_of(3, Step::Major)), Some(&signer())).unwrap();
    assert_eq!(second.version.to_string(), "1.1.0");
    assert_eq!(third.version.to_string(), "2.0.0");
    assert_eq!(second.rollback.rollback_to, Some(first.hash));
    let (one, two, three) =
        (first.contract().clone(), second.contract().clone(), third.contract().clone());
    assert_eq!(verify_chain(&[one.clone(), two.clone(), three.clone()]), []);
    let skipped = verify_chain(&[one.clone(), three.clone()]);
    assert!(skipped[0].what.contains("supersede"), "{skipped:?}");
    assert_eq!(verify_chain(&[two.clone(), one.clone()]).len(), 3);
    assert!(
        verify_chain(&[one.clone(), one.clone()]).iter().any(|fault| fault.what.contains("twice"))
    );
    let unsigned = seal(next_version(&first, next_of(4, Step::Patch)), None).unwrap();
    let downgraded = verify_chain(&[one, unsigned.contract().clone()]);
    assert!(downgraded.iter().any(|fault| fault.what.contains("key")), "{downgraded:?}");
}

#[test]
fn a_next_version_keeps_what_is_not_named() {
    let first = seal(draft_of(&surface()), None).unwrap();
    let mut changed = search();
    changed["inputSchema"]["required"] = json!(["from", "limit"]);
    let offered = Tool::from_definition(changed.clone()).unwrap();
    let offer = Offer {
        surface: surface().digest(),
        tools: vec![offered.clone()],
        gone: vec!["book".to_owned()],
    };
    let healed = next_version(&first, Next { offer: Some(offer), ..next_of(2, Step::Minor) });
    assert_eq!(healed.promised("search").unwrap().definition(), &search());
    assert_eq!(healed.offered("search"), Some(&offered));
    assert_eq!(healed.offered("book"), None);
    assert_eq!(healed.version.to_string(), "1.1.0");

    let reply = MessageType {
        name: "book".to_owned(),
        direction: Direction::Reply,
        schema: json!({"type": "object"}),
        required_fields: Vec::new(),
        source: TermSource::Inferred,
        samples: Some(20),
        definition: None,
    };
    let new = Tool::from_definition(json!({"name": "new"})).unwrap();
    let adopted = next_version(
        &healed,
        Next {
            adopted: vec![new, offered.clone()],
            replies: vec![reply],
            ..next_of(3, Step::Major)
        },
    );
    let order: Vec<(&str, Direction)> =
        adopted.message_types.iter().map(|it| (it.name.as_str(), it.direction)).collect();
    assert_eq!(
        order,
        [
            ("search", Direction::Request),
            ("search", Direction::Reply),
            ("book", Direction::Request),
            ("book", Direction::Reply),
            ("new", Direction::Request),
        ]
    );
    assert_eq!(adopted.promised("search"), Some(&offered));
    assert_eq!(adopted.offer, None);
    let tell = |more: serde_json::Value| {
        let mut definition = json!({"name": "book", "description": "Books it."});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Tool::from_definition(definition).unwrap()
    };
    let with = |tool| Next { adopted: vec![tool], ..next_of(5, Step::Minor) };
    let reworded = next_version(&adopted, with(tell(json!({}))));
    let reply = reworded.message("book", Direction::Reply).unwrap();
    assert_eq!((reply.source, reply.samples), (TermSource::Inferred, Some(20)));
    let declares = next_version(&adopted, with(tell(json!({"outputSchema": {"type": "array"}}))));
    let reply = declares.message("book", Direction::Reply).unwrap();
    assert_eq!((reply.source, &reply.schema), (TermSource::Declared, &json!({"type": "array"})));

    let dropped = next_version(
        &adopted,
        Next { dropped: vec!["search".to_owned()], ..next_of(4, Step::Major) },
    );
    assert_eq!(dropped.promised("search"), None);
    assert_eq!(dropped.intents.len(), 2);
    assert!(seal(dropped, None).is_ok());
}

#[test]
fn every_saved_form_is_read_as_the_same_surface() {
    let tools = json!([search(), book()]);
    let contract: Value =
        serde_json::from_str(&seal(draft_of(&surface()), None).unwrap().text()).unwrap();
    let mut noted = search();
    noted["_snap"] = json!("search");
    for form in [
        tools.clone(),
        json!({"tools": tools}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, "ttlMs": 5}}),
        json!({"source": "s", "version": "1", "serverInfo": null, "tools": [noted, book()]}),
        contract,
    ] {
        let read = Surface::from_json(&form).unwrap();
        assert_eq!(read.tools, surface().tools, "{form}");
    }
    let named =
        Surface::from_json(&json!({"serverInfo": {"name": "flights"}, "tools": []})).unwrap();
    assert_eq!(named.server_name.as_deref(), Some("flights"));
    let twice = Surface::from_json(&json!([book(), search(), book()])).unwrap_err();
    assert_eq!(twice, ManifestError::Duplicate(vec!["book".to_owned()]));
    for (form, words) in [
        (json!({"hello": 1}), "hello"),
        (json!("x"), "a string"),
        (json!([{"title": "x"}]), "/0"),
        (json!({"result": {"tools": [book(), 3]}}), "/result/tools/1"),
        (json!({"contract_id": "x"}), "does not read"),
    ] {
        let error = Surface::from_json(&form).unwrap_err().to_string();
        assert!(error.contains(words), "{words} in {error}");
    }
}

#[test]
fn wording_alone_changes_no_meaning_and_a_change_does() {
    let of =
        |input: Value| Tool::from_definition(json!({"name": "t", "inputSchema": input})).unwrap();
    let same = [
        (
            json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"default": null, "type": ["null", "string"]}}, "type": "object", "required": [], "additionalProperties": true}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string", "enum": ["y", "x"]}}}),
            json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "y"]}}}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}}, "$defs": {"A": {"type": "integer"}}}),
            json!({"type": "object", "properties": {"a": {"type": "integer", "description": "d"}}}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}]}}}),
            json!({"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x", null]}}}),
        ),
        (
            json!({"type": "object", "required": ["b", "a"]}),
            json!({"type": ["object"], "required": ["a", "b"]}),
        ),
    ];
    for (one, other) in same {
        let (one, other) = (of(one), of(other));
        assert_eq!(one.meaning(), other.meaning());
        assert_ne!(one.digest(), other.digest());
        let surface = |tool: &Tool| Surface { tools: vec![tool.clone()], ..Surface::default() };
        assert_eq!(surface(&one).digest(), surface(&other).digest());
    }
    let base = search();
    for (pointer, value) in [
        ("/description", json!("Finds flights!")),
        ("/inputSchema/properties/limit/maximum", json!(51)),
        ("/inputSchema/properties/limit/default", json!(11)),
        ("/inputSchema/required/0", json!("limit")),
        ("/outputSchema/properties/flights/items/type", json!("integer")),
    ] {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let meaning = |value: Value| Tool::from_definition(value).unwrap().meaning();
        assert_ne!(meaning(base.clone()), meaning(changed), "{pointer}");
    }
    let mut adorned = base.clone();
    adorned["icons"] = json!([1]);
    adorned["execution"] = json!({});
    adorned["_meta"] = json!({"x": 1});
    let meaning = |value: Value| Tool::from_definition(value).unwrap().meaning();
    assert_eq!(meaning(adorned.clone()), meaning(base.clone()));
    adorned["_meta"]["ui"] = json!({"resourceUri": "ui://x"});
    assert_ne!(meaning(adorned), meaning(base));
}

#[test]
fn a_recursive_schema_keeps_its_reference() {
    let tree = json!({
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/Node"}},
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    });
    let normal = super::normal::normal_schema(&tree);
    assert_eq!(normal["properties"]["root"]["properties"]["next"]["$ref"], "#/$defs/Node");
    assert!(normal.get("$defs").is_some());
    assert!(contains(&tree, &tree) == Containment::Yes);
    // Definitions that double at each level stay within the budget.
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"anyOf": [next, next]}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string"}));
    let doubling = json!({"$ref": "#/$defs/L0", "$defs": defs});
    let normal = super::normal::normal_schema(&doubling);
    assert!(normal.to_string().len() < 4_000_000);
}

#[test]
fn mirrored_headers_are_found_and_their_rules_held() {
    let of = |input: Value| {
        Tool::from_definition(json!({"name": "t", "inputSchema": input}))
            .unwrap()
            .mirrored_headers()
    };
    let good = of(json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "page": {"type": "object", "properties": {"at": {"type": "integer", "x-mcp-header": "Page-At"}}},
        "x-mcp-header": {"type": "string"},
    }}))
    .unwrap();
    let found: Vec<(Vec<&str>, &str)> = good
        .iter()
        .map(|it| (it.path.iter().map(String::as_str).collect(), it.name.as_str()))
        .collect();
    assert_eq!(found, [(vec!["region"], "Region"), (vec!["page", "at"], "Page-At")]);
    let bad = of(json!({"type": "object", "properties": {
        "a": {"type": "number", "x-mcp-header": "A"},
        "b": {"type": "string", "x-mcp-header": "a"},
        "c": {"type": "string", "x-mcp-header": "no spaces"},
        "d": {"type": "string", "x-mcp-header": ""},
        "e": {"type": "array", "items": {"type": "string", "x-mcp-header": "E"}},
        "f": {"anyOf": [{"type": "string", "x-mcp-header": "F"}]},
    }}))
    .unwrap_err();
    let pointers: Vec<&str> = bad.iter().map(|fault| fault.pointer.as_str()).collect();
    let at = |rest: &str| format!("/inputSchema/properties/{rest}/x-mcp-header");
    assert_eq!(pointers, [at("a"), at("b"), at("c"), at("d"), at("e/items"), at("f/anyOf/0")]);
}

#[test]
fn containment_answers_as_the_rows_say() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/containment.json")).unwrap();
    for row in rows {
        let (outer, inner, answer) = (&row["outer"], &row["inner"], &row["answer"]);
        let said = contains(outer, inner);
        let word = match &said {
            Containment::Yes => "yes",
            Containment::No(witness) => {
                assert!(Schema::compile(inner).unwrap().admits_value(witness));
                assert!(!Schema::compile(outer).unwrap().admits_value(witness));
                "no"
            }
            Containment::Unknown(_) => "unknown",
        };
        assert_eq!(word, answer, "{outer} over {inner}: {said:?}");
    }
}

#[test]
fn instances_cover_both_bounds_every_value_and_absence() {
    let schema = json!({
        "type": "object",
        "properties": {
            "mode": {"enum": ["a", "b", "c"]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            "note": {"type": ["string", "null"], "maxLength": 5},
            "id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
            "deep": {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "boolean"}}}, "required": ["x"]},
        },
        "required": ["mode", "id"],
        "additionalProperties": false,
    });
    let found = instances(&schema, 500);
    let at =
        |pointer: &str, value: Value| found.iter().any(|it| it.pointer(pointer) == Some(&value));
    for (pointer, value) in [
        ("/mode", json!("a")),
        ("/mode", json!("c")),
        ("/limit", json!(1)),
        ("/limit", json!(50)),
        ("/note", Value::Null),
        ("/note", json!("")),
        ("/note", json!("mmmmm")),
        ("/deep/x", json!([])),
        ("/deep/x/0", json!(false)),
    ] {
        assert!(at(pointer, value.clone()), "{pointer} {value}");
    }
    assert!(found.iter().any(|it| it.as_object().unwrap().len() == 2));
    assert!(found.len() >= 200, "{}", found.len());
    assert_eq!(found, instances(&schema, 500));
}

fn small_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer"})),
        Just(json!({"type": "number", "maximum": 5})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({"enum": ["a", "b", 1, null]})),
        Just(json!({"enum": ["a"]})),
        (0_i64..4, 2_i64..6)
            .prop_map(|(a, b)| json!({"type": "integer", "minimum": a, "maximum": b})),
        (0_u64..3, 1_u64..5)
            .prop_map(|(a, b)| json!({"type": "string", "minLength": a, "maxLength": b})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            (inner.clone(), inner.clone(), any::<bool>(), any::<bool>()).prop_map(|(a, b, need, shut)| {
                let required = if need { json!(["a"]) } else { json!([]) };
                json!({"type": "object", "properties": {"a": a, "b": b}, "required": required, "additionalProperties": !shut})
            }),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"anyOf": [a, b]})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn containment_agrees_with_instances(outer in small_schema(), inner in small_schema()) {
        let (wide, narrow) = (Schema::compile(&outer).unwrap(), Schema::compile(&inner).unwrap());
        match contains(&outer, &inner) {
            Containment::Yes => {
                for value in instances(&inner, 600) {
                    prop_assert!(wide.admits_value(&value), "{} refuses {} of {}", outer, value, inner);
                }
            }
            Containment::No(value) => {
                prop_assert!(narrow.admits_value(&value) && !wide.admits_value(&value));
            }
            Containment::Unknown(_) => {}
        }
    }

    #[test]
    fn a_schema_admits_what_its_normal_form_admits(schema in small_schema()) {
        let normal = super::normal::normal_schema(&schema);
        let (one, other) = (Schema::compile(&schema).unwrap(), Schema::compile(&normal).unwrap());
        for value in instances(&schema, 100) {
            prop_assert!(other.admits_value(&value));
        }
        for value in instances(&normal, 100) {
            prop_assert!(one.admits_value(&value));
        }
        let shut = closed(&schema);
        for value in instances(&shut, 100) {
            prop_assert!(one.admits_value(&value), "{} of {} is none of {}", value, shut, schema);
        }
    }

    #[test]
    fn a_changed_byte_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let sealed = seal(draft_of(&surface()), Some(&signer())).unwrap();
        let mut text = sealed.text().into_bytes();
        let at = at.index(text.len() - 1);
        text[at] ^= 1 << bit;
        prop_assert!(Sealed::parse(&text).is_err(), "byte {}", at);
    }
}
