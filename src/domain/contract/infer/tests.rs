use serde_json::{Value, json};

use super::{Generaliser, Inferred, PLACES};
use crate::domain::contract::Schema;

fn inferred(samples: impl IntoIterator<Item = Value>) -> Option<Inferred> {
    let mut generaliser = Generaliser::default();
    samples.into_iter().for_each(|sample| generaliser.take(&sample));
    generaliser.terms(20)
}

fn terms(sample: impl Fn(u64) -> Value) -> Value {
    inferred((0..20).map(sample)).expect("twenty samples give terms").schema
}

fn issue(n: u64) -> Value {
    json!({
        "number": n,
        "title": format!("issue {n}"),
        "state": if n.is_multiple_of(3) { "open" } else { "closed" },
        "html_url": format!("https://example.com/o/r/issues/{n}"),
        "closed_at": if n.is_multiple_of(2) { json!("2026-01-02T03:04:05Z") } else { Value::Null },
        "labels": [{ "name": "bug", "color": "ff0000" }, { "name": format!("l{n}"), "color": "0f0" }],
    })
}

#[test]
fn types_required_members_formats_and_closed_lists_are_terms() {
    let terms = terms(issue);
    assert_eq!(
        terms,
        json!({
            "type": "object",
            "required": ["closed_at", "html_url", "labels", "number", "state", "title"],
            "properties": {
                "number": { "type": "integer" },
                "title": { "type": "string" },
                "state": { "type": "string", "enum": ["closed", "open"] },
                "html_url": { "type": "string", "format": "uri" },
                "closed_at": { "type": ["null", "string"], "format": "date-time" },
                "labels": { "type": "array", "items": {
                    "type": "object",
                    "required": ["color", "name"],
                    "properties": { "name": { "type": "string" }, "color": { "type": "string" } },
                } },
            },
        })
    );
}

#[test]
fn nineteen_samples_are_not_enough() {
    assert!(inferred((0..19).map(issue)).is_none());
    assert_eq!(inferred((0..20).map(issue)).map(|it| it.samples), Some(20));
}

#[test]
fn every_sample_conforms_and_what_is_new_is_welcome() {
    let terms = Schema::compile(&terms(issue)).expect("terms pass the cost gate");
    for n in 0..200 {
        let mut reply = issue(n);
        reply["assignee"] = json!({ "login": "someone" });
        assert!(terms.admits_value(&reply), "{:?}", terms.violations_value(&reply));
    }
}

#[test]
fn a_member_that_is_gone_renamed_or_of_another_type_breaks_them() {
    let terms = Schema::compile(&terms(issue)).expect("terms pass the cost gate");
    for name in ["number", "title", "state", "html_url", "closed_at", "labels"] {
        let mut gone = issue(7);
        let value = gone.as_object_mut().and_then(|reply| reply.remove(name));
        assert!(!terms.admits_value(&gone), "without {name}");
        gone["another"] = value.unwrap_or_default();
        assert!(!terms.admits_value(&gone), "{name} under another name");
        let mut other = issue(7);
        other[name] = json!([[true]]);
        assert!(!terms.admits_value(&other), "{name} of another type");
    }
}

#[test]
fn ranges_and_lengths_are_no_terms_and_few_whole_numbers_may_become_fractions() {
    let terms = terms(|_| json!({ "celsius": 20, "text": "ab" }));
    assert_eq!(terms["properties"]["celsius"], json!({ "type": "number" }));
    let terms = Schema::compile(&terms).expect("terms pass the cost gate");
    assert!(terms.admits_value(&json!({ "celsius": -1e9, "text": "a".repeat(10_000) })));
}

#[test]
fn a_list_is_closed_only_where_its_name_says_a_class_and_each_came_again() {
    let of = |name: &str, values: &'static [&str]| {
        let sample = |n: u64| json!({ name: values[usize::try_from(n).unwrap() % values.len()] });
        terms(sample)["properties"][name].get("enum").is_some()
    };
    assert!(of("issueState", &["open", "closed"]));
    assert!(!of("login", &["ann", "bob"]), "few people");
    assert!(!of("state", &["open"]), "one value");
    assert!(!of("state", &["a", "b", "c", "d", "e"]), "too many for twenty samples");
    assert!(!of("status", &["all is well", "so so"]), "prose");
}

#[test]
fn keys_that_are_data_make_a_map() {
    let by_path = terms(|n| json!({ "files": { format!("src/f{n}.rs"): { "lines": n } } }));
    assert_eq!(
        by_path["properties"]["files"],
        json!({ "type": "object", "additionalProperties": {
            "type": "object", "required": ["lines"],
            "properties": { "lines": { "type": "integer" } } } })
    );
    let by_symbol = terms(|n| json!({ "prices": { format!("k{n}"): 1.5, format!("m{n}"): 2.5 } }));
    let prices = &by_symbol["properties"]["prices"];
    assert_eq!(prices["additionalProperties"], json!({ "type": "number" }), "{prices}");
    assert!(prices.get("required").is_none());
}

#[test]
fn members_that_come_and_go_are_optional() {
    let terms = terms(|n| if n < 12 { json!({ "a": 1, "b": "x" }) } else { json!({ "a": 2 }) });
    assert_eq!(terms["required"], json!(["a"]));
    assert_eq!(terms["properties"]["b"], json!({ "type": "string" }));
}

#[test]
fn what_stood_in_too_few_samples_is_left_open() {
    let terms = terms(|n| if n < 9 { json!({ "a": 1, "b": "x" }) } else { json!({ "a": 2 }) });
    assert_eq!(terms["properties"]["b"], json!({}));
}

#[test]
fn plain_text_gives_no_terms_and_is_admitted_beside_documents() {
    assert!(inferred((0..20).map(|n| json!(format!("done {n}")))).is_none());
    let mixed = terms(|n| if n < 5 { json!("nothing found") } else { json!({ "a": n }) });
    assert_eq!(mixed["type"], json!(["string", "object"]));
}

#[test]
fn replies_without_a_document_are_admitted_where_there_were_some() {
    let some = terms(|n| if n < 5 { Value::Null } else { json!({ "a": n }) });
    assert_eq!(some["type"], json!(["null", "object"]));
    assert!(inferred((0..20).map(|_| Value::Null)).is_none());
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut generaliser = Generaliser::default();
    for round in 0..40 {
        let wide: serde_json::Map<String, Value> = (0..100)
            .map(|n| (format!("k{n}"), json!({ format!("in{round}_{n}"): { "x": [n] } })))
            .collect();
        generaliser.take(&Value::Object(wide));
    }
    assert!(generaliser.places <= PLACES, "{}", generaliser.places);
    let mut deep = json!(1);
    (0..100).for_each(|_| deep = json!({ "in": deep.take() }));
    (0..20).for_each(|_| generaliser.take(&deep));
    let terms = generaliser.terms(20).map(|it| it.schema);
    assert!(
        terms.is_none_or(|schema| Schema::compile(&schema).is_ok_and(|it| it.admits_value(&deep)))
    );
}

#[test]
fn confidence_grows_with_the_samples() {
    let of = |samples| super::confidence(samples);
    assert!(of(0) < 0.01 && of(20) > 0.86 && of(20) < 0.87 && of(300) > 0.99);
}
