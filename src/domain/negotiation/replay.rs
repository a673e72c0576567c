//! The pure part of paired replay: recorded replies against mended ones, value by value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One recorded request that was asked again through a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedSample {
    /// Structured replies of the old shape to this very request, oldest first.
    pub recorded: Vec<Value>,
    /// The new reply after the candidate's reply routine; `Err` says why it was not mended.
    pub mended: Result<Value, String>,
}

/// What paired replay showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayResult {
    /// Requests that were asked again and could be compared.
    pub compared: usize,
    /// Pointers to values that two recordings agreed on and that came back the same.
    pub equal: Vec<String>,
    /// Pointers to values that two recordings agreed on and that came back different or not at all.
    pub different: Vec<String>,
    /// Why requests could not be compared, in words, without values.
    pub failed: Vec<String>,
}

impl ReplayResult {
    /// Whether it shows that the candidate means the same: something was compared and nothing differed.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.compared > 0
            && !self.equal.is_empty()
            && self.different.is_empty()
            && self.failed.is_empty()
    }
}

/// Compares mended replies with recorded ones, where two recordings of one request agree.
#[must_use]
pub fn compare_replay(samples: &[PairedSample]) -> ReplayResult {
    let mut result = ReplayResult::default();
    for sample in samples {
        let [first, second, rest @ ..] = sample.recorded.as_slice() else {
            continue;
        };
        match &sample.mended {
            Ok(mended) => {
                result.compared += 1;
                let mut others = vec![second];
                others.extend(rest);
                compare(first, &others, Some(mended), &mut String::new(), &mut result);
            }
            Err(why) => result.failed.push(why.clone()),
        }
    }
    for list in [&mut result.equal, &mut result.different, &mut result.failed] {
        list.sort();
        list.dedup();
    }
    result
}

/// Descends where the recordings agree about the container, and compares what they agree on.
fn compare(
    first: &Value,
    others: &[&Value],
    mended: Option<&Value>,
    at: &mut String,
    result: &mut ReplayResult,
) {
    let length = at.len();
    match first {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let Some(others) =
                    others.iter().map(|other| other.get(name)).collect::<Option<Vec<_>>>()
                else {
                    continue;
                };
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                compare(value, &others, mended.and_then(|m| m.get(name)), at, result);
                at.truncate(length);
            }
        }
        Value::Array(items)
            if !items.is_empty()
                && others.iter().all(|o| o.as_array().is_some_and(|o| o.len() == items.len())) =>
        {
            if mended.and_then(Value::as_array).map(Vec::len) != Some(items.len()) {
                result.different.push(at.clone());
                return;
            }
            for (index, value) in items.iter().enumerate() {
                let others: Vec<&Value> = others.iter().filter_map(|o| o.get(index)).collect();
                at.push('/');
                at.push_str(&index.to_string());
                compare(value, &others, mended.and_then(|m| m.get(index)), at, result);
                at.truncate(length);
            }
        }
        _ if others.iter().all(|other| same(first, other)) => {
            let list = if mended.is_some_and(|mended| same(first, mended)) {
                &mut result.equal
            } else {
                &mut result.different
            };
            list.push(at.clone());
        }
        _ => {}
    }
}

/// Equality as JSON: numbers by value, members in any order.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_i64().is_none() || b.as_i64().is_none()) && a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(recorded: &[Value], mended: Value) -> PairedSample {
        PairedSample { recorded: recorded.to_vec(), mended: Ok(mended) }
    }

    #[test]
    fn values_that_agree_must_come_back_and_others_do_not_count() {
        let recorded = [json!({"city": "Bern", "at": 1}), json!({"city": "Bern", "at": 2})];
        let agrees = compare_replay(&[sample(&recorded, json!({"at": 3, "city": "Bern"}))]);
        assert!(agrees.agrees(), "{agrees:?}");
        let differs = compare_replay(&[sample(&recorded, json!({"at": 1, "city": "Basel"}))]);
        assert_eq!(differs.different, ["/city"]);
        assert!(!differs.agrees());
    }

    #[test]
    fn one_recording_alone_shows_nothing() {
        let alone = compare_replay(&[sample(&[json!({"a": 1})], json!({"a": 1}))]);
        assert!(!alone.agrees());
    }

    #[test]
    fn numbers_are_compared_by_value_and_lists_by_length() {
        let recorded = [json!({"n": 1.0, "l": [1, 2]}), json!({"n": 1, "l": [1, 2]})];
        assert!(compare_replay(&[sample(&recorded, json!({"n": 1, "l": [1, 2]}))]).agrees());
        assert!(!compare_replay(&[sample(&recorded, json!({"n": 1, "l": [1]}))]).agrees());
    }
}
