//! Containment by keywords, held by instances of schemas that proptest makes.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::covers::covers;
use super::sample::instances;
use super::{Schema, normal_schema};

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({"enum": ["a", "b", 1, 1.5, null]})),
        Just(json!({"enum": ["a", 1], "type": "string"})),
        Just(json!({"const": "a"})),
        Just(json!({"type": ["string", "null"], "maxLength": 3})),
        Just(json!({"type": "string", "pattern": "^a*$", "minLength": 1})),
        Just(json!({"type": ["integer", "boolean"]})),
        (0_i64..4, 0_i64..6, any::<bool>()).prop_map(|(a, b, out)| {
            let (least, most) = match out {
                true => ("exclusiveMinimum", "exclusiveMaximum"),
                false => ("minimum", "maximum"),
            };
            json!({"type": "number", least: a, most: b})
        }),
        (0_u64..3, 0_u64..3).prop_map(|(a, b)| json!({"minLength": a, "maxLength": b})),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 3, |inner| {
        let one = || inner.clone();
        let object = (one(), one(), one(), any::<[bool; 5]>()).prop_map(
            |(a, b, rest, [need, also, said, kind, pattern])| {
                let mut made = json!({"properties": {"a": a, "b": b}});
                if need {
                    made["required"] = if also { json!(["a", "b"]) } else { json!(["a"]) };
                }
                if said {
                    made["additionalProperties"] = rest;
                } else if pattern {
                    made["patternProperties"] = json!({"^[bu]": rest});
                }
                if kind {
                    made["type"] = json!("object");
                }
                made
            },
        );
        let list =
            (one(), one(), 0_u64..3, any::<bool>()).prop_map(
                |(items, first, n, tuple)| match tuple {
                    true => json!({"type": "array", "prefixItems": [first], "items": items}),
                    false => json!({"items": items, "minItems": n, "maxItems": n + 1}),
                },
            );
        prop_oneof![
            object,
            list,
            (one(), one(), any::<bool>())
                .prop_map(|(a, b, one)| { json!({if one { "oneOf" } else { "anyOf" }: [a, b]}) }),
            (one(), one(), leaf()).prop_map(|(a, b, c)| { json!({"anyOf": [a, b], "allOf": [c]}) }),
            one().prop_map(|it| json!({"not": it})),
        ]
    })
}

/// The schema with something left out or put in at one of its places.
fn changed(schema: &mut Value, path: &[usize], leaf: Value) {
    let Some((step, rest)) = path.split_first() else {
        *schema = leaf;
        return;
    };
    match schema {
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(step % members.len()).cloned().unwrap();
            if rest.is_empty() {
                members.shift_remove(&name);
            } else if let Some(inner @ (Value::Object(_) | Value::Array(_))) =
                members.get_mut(&name)
            {
                changed(inner, rest, leaf);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = step % items.len();
            if items[at].is_object() {
                changed(&mut items[at], rest, leaf);
            }
        }
        other if other.is_boolean() => *other = leaf,
        _ => {}
    }
}

#[test]
fn what_keywords_show_no_instance_denies() {
    let steps = proptest::collection::vec(0_usize..6, 0..6);
    let cases = (schema(), schema(), steps, leaf(), 0..4_u8);
    let mut runner = TestRunner::deterministic();
    let (mut shown, mut asked) = (0, 0);
    for _ in 0..6_000 {
        let (inner, other, path, leaf, turn) = cases.new_tree(&mut runner).unwrap().current();
        let mut near = inner.clone();
        changed(&mut near, &path, leaf);
        let (outer, inner) = match turn {
            0 => (other, inner),
            1 => (inner, near),
            _ => (near, inner),
        };
        let [outer, inner] = [outer, inner].map(|it| normal_schema(&it));
        let (Ok(wide), Ok(_)) = (Schema::compile(&outer), Schema::compile(&inner)) else {
            continue;
        };
        let mut ask = |_: &Value, _: &Value| {
            asked += 1;
            false
        };
        if outer == inner || !covers(&outer, &inner, &mut ask) {
            continue;
        }
        for value in instances(&inner, 40) {
            assert!(wide.admits_value(&value), "{outer} refuses {value} of {inner}");
            shown += 1;
        }
    }
    assert!(shown > 10_000 && asked > 500, "{shown} instances, asked {asked} times");
}

#[test]
fn it_is_told_whether_the_algebra_had_a_part() {
    let narrow = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let wide = |n: Value| json!({"type": "object", "properties": {"n": n}});
    let number = wide(json!({"type": "number"}));
    assert_eq!(super::covered(&number, &narrow), Ok(super::By::Keywords));
    // No keyword of the inner schema says what `not` asks.
    let no_text = wide(json!({"not": {"type": "string"}}));
    assert_eq!(super::covered(&no_text, &narrow), Ok(super::By::Algebra));
    let text = wide(json!({"type": "string"}));
    assert!(super::covered(&text, &narrow).is_err());
}
