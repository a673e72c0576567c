//! What operations on one value do to its schema.

use serde_json::{Map, Number, Value, json};

use crate::domain::contract::Schema;
use crate::domain::routine::{CastTo, WHOLE};

/// The values of a place that has few, each admitted by its schema; `None` where there are many.
pub(super) fn finite(schema: &Value) -> Option<Vec<Value>> {
    let members = schema.as_object()?;
    let listed = match (members.get("const"), members.get("enum"), members.get("type")) {
        (Some(value), ..) => vec![value.clone()],
        (None, Some(Value::Array(values)), _) => values.clone(),
        (None, None, Some(Value::String(kind))) => of_kind(kind)?,
        (None, None, Some(Value::Array(kinds))) => {
            let each: Option<Vec<_>> =
                kinds.iter().map(|kind| kind.as_str().and_then(of_kind)).collect();
            each?.concat()
        }
        _ => return None,
    };
    Some(admitted(schema, listed))
}

fn of_kind(kind: &str) -> Option<Vec<Value>> {
    match kind {
        "boolean" => Some(vec![json!(true), json!(false)]),
        "null" => Some(vec![Value::Null]),
        _ => None,
    }
}

/// Those of the values that the schema admits; all where that cannot be told.
fn admitted(schema: &Value, mut values: Vec<Value>) -> Vec<Value> {
    if let Ok(schema) = Schema::compile(schema) {
        values.retain(|value| schema.admits_value(value));
    }
    values
}

/// The schema of a list of values.
pub(super) fn one_of(values: Vec<Value>) -> Value {
    let mut different: Vec<Value> = Vec::new();
    for value in values {
        if !different.contains(&value) {
            different.push(value);
        }
    }
    json!({"enum": different})
}

/// The part of a schema that is among `values`; `None` where there is none.
pub(super) fn narrowed(schema: &Value, values: &[Value]) -> Option<Value> {
    let some = admitted(schema, values.to_vec());
    (!some.is_empty()).then(|| one_of(some))
}

/// The part of a schema that is not among `values`, or more; `None` where nothing is left.
pub(super) fn minus(schema: &Value, values: &[Value]) -> Option<Value> {
    if let Some(mut left) = finite(schema) {
        left.retain(|value| !values.contains(value));
        return (!left.is_empty()).then(|| one_of(left));
    }
    let mut out = schema.clone();
    if values.contains(&Value::Null)
        && let Some(Value::Array(kinds)) = out.get_mut("type")
    {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            let one = one.clone();
            out["type"] = one;
        }
    }
    Some(out)
}

fn kinds(schema: &Value) -> Option<Vec<&str>> {
    let members = schema.as_object()?;
    // A union may add types that its siblings do not state, never more than a stated `type`.
    match members.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The image of a cast.
pub(super) fn cast(schema: &Value, to: CastTo) -> Result<Value, String> {
    if let Some(values) = finite(schema) {
        let made: Option<Vec<Value>> = values.iter().map(|value| cast_value(value, to)).collect();
        // 0.5 may come as 0.50 and leaves as it is written.
        if to == CastTo::String && made.is_some() && values.iter().any(Value::is_f64) {
            return Ok(json!({"type": "string"}));
        }
        return made
            .map(one_of)
            .ok_or_else(|| format!("a value may stand there that is no {}", word(to)));
    }
    let kinds = kinds(schema).ok_or("the schema does not state a type there")?;
    let all = |known: &[&str]| kinds.iter().all(|kind| known.contains(kind));
    let image = match to {
        CastTo::String if all(&["string"]) => schema.clone(),
        // Without bounds `1e400` may stand there, which stays as it is written.
        CastTo::String
            if all(&["integer"]) && matches!(bounds(schema), Ok((Some(_), Some(_), _))) =>
        {
            json!({"type": "string", "pattern": "^-?[0-9]+$"})
        }
        CastTo::String if all(&["string", "integer", "number", "boolean"]) => {
            json!({"type": "string"})
        }
        CastTo::Integer if all(&["integer"]) => schema.clone(),
        // The texts that are whole numbers and that every reader takes for the same one.
        CastTo::Integer | CastTo::Number
            if kinds == ["string"] && schema.get("pattern") == Some(&json!(WHOLE)) =>
        {
            json!({"type": "integer"})
        }
        CastTo::Number if all(&["integer", "number"]) => schema.clone(),
        CastTo::Boolean if all(&["boolean"]) => schema.clone(),
        _ => return Err(format!("a value may stand there that is no {}", word(to))),
    };
    Ok(image)
}

const fn word(to: CastTo) -> &'static str {
    match to {
        CastTo::String => "string",
        CastTo::Integer => "integer",
        CastTo::Number => "number",
        CastTo::Boolean => "boolean",
    }
}

fn cast_value(value: &Value, to: CastTo) -> Option<Value> {
    match (to, value) {
        (CastTo::String, Value::String(_))
        | (CastTo::Number, Value::Number(_))
        | (CastTo::Boolean, Value::Bool(_)) => Some(value.clone()),
        (CastTo::String, Value::Number(number)) => Some(json!(number.to_string())),
        (CastTo::String, Value::Bool(flag)) => Some(json!(flag.to_string())),
        (CastTo::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Some(value.clone())
        }
        (CastTo::Integer, Value::String(text)) => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == *text).then(|| json!(number))
        }
        (CastTo::Number, Value::String(text)) => {
            let number: Number = text.parse().ok()?;
            (number.to_string() == *text).then(|| Value::Number(number))
        }
        (CastTo::Boolean, Value::String(text)) => match text.as_str() {
            "true" => Some(json!(true)),
            "false" => Some(json!(false)),
            _ => None,
        },
        _ => None,
    }
}

/// Bounds of a place that holds numbers alone: (least, most, whole).
fn bounds(schema: &Value) -> Result<(Option<f64>, Option<f64>, bool), String> {
    let kinds = kinds(schema).ok_or("the schema does not state a type there")?;
    if !kinds.iter().all(|kind| ["integer", "number"].contains(kind)) {
        return Err("something other than a number may stand there".to_owned());
    }
    let members = schema.as_object().cloned().unwrap_or_default();
    let bound = |keyword: &str| exact(members.get(keyword)?.as_number()?);
    let least = bound("minimum").or(bound("exclusiveMinimum"));
    let most = bound("maximum").or(bound("exclusiveMaximum"));
    Ok((least, most, kinds == ["integer"]))
}

/// The value of a number that a float tells exactly; what is between two floats is told as neither.
fn exact(number: &Number) -> Option<f64> {
    let whole = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
    if whole.is_some_and(|whole| whole > 1 << 53) { None } else { number.as_f64() }
}

fn bounded(whole: bool, least: Option<f64>, most: Option<f64>) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), json!(if whole { "integer" } else { "number" }));
    for (keyword, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
            out.insert(keyword.to_owned(), json!(bound));
        }
    }
    Value::Object(out)
}

/// The image of bounding a number.
pub(super) fn clamped(
    schema: &Value,
    min: Option<&Number>,
    max: Option<&Number>,
) -> Result<Value, String> {
    let far = "the bound is too large to be reckoned with here";
    let float = |number: Option<&Number>| number.map(|it| exact(it).ok_or(far)).transpose();
    let (least_kept, most_kept) = (float(min)?, float(max)?);
    if let Some(values) = finite(schema) {
        let held = values.into_iter().map(|value| {
            let size = exact(value.as_number()?)?;
            let low = min.filter(|_| least_kept.is_some_and(|min| size < min));
            let high = max.filter(|_| most_kept.is_some_and(|max| size > max));
            Some(low.or(high).cloned().map_or(value, Value::Number))
        });
        let held: Option<Vec<Value>> = held.collect();
        return held.map(one_of).ok_or("something other than a number may stand there".to_owned());
    }
    let (least, most, whole) = bounds(schema)?;
    let (min, max) = (least_kept, most_kept);
    // Whatever was below the bound becomes the bound, so the bound joins the range.
    let held = |bound: f64| {
        let bound = min.map_or(bound, |min| bound.max(min));
        max.map_or(bound, |max| bound.min(max))
    };
    let (least, most) = (least.map(held).or(min), most.map(held).or(max));
    let fraction = |bound: Option<f64>| bound.is_some_and(|bound| bound.fract() != 0.0);
    Ok(bounded(whole && !fraction(min) && !fraction(max), least, most))
}

/// The image of `value * factor + offset`.
pub(super) fn scaled(
    schema: &Value,
    factor: &Number,
    offset: Option<&Number>,
) -> Result<Value, String> {
    let schema = match finite(schema) {
        Some(values) if values.iter().all(Value::is_number) => json!({"type": "number"}),
        _ => schema.clone(),
    };
    let (least, most, whole) = bounds(&schema)?;
    let factor = factor.as_f64().ok_or("the factor is no number")?;
    let offset = offset.and_then(Number::as_f64).unwrap_or(0.0);
    // Bounds are kept where reckoning with them in binary is exact; else the image has none.
    let exact = |value: f64| value.fract() == 0.0 && value.abs() < 4_503_599_627_370_496.0;
    let plain = exact(factor) && exact(offset);
    let moved = |bound: f64| {
        let moved = bound * factor + offset;
        (plain && exact(bound) && exact(moved)).then_some(moved)
    };
    let (low, high) = (least.and_then(moved), most.and_then(moved));
    let (low, high) = if factor < 0.0 { (high, low) } else { (low, high) };
    Ok(bounded(whole && plain, low, high))
}
