//! What a routine says by itself, beside moving values: refusals, and the words that an agent would
//! read there. Whoever proposes is a stranger here too.

use serde_json::{Value, json};

use super::pair::Hold;
use super::{GateInput, field};
use crate::domain::contract::{Containment, Tool, contains};
use crate::domain::drift::clean_text;
use crate::domain::negotiation::Rule;
use crate::domain::routine::Op;

/// Longest reason of a refusal that goes without a person, in characters.
const REASON_CHARS: usize = 160;

/// Holds what the routine itself says against rules 5 and 7.
pub(super) fn judge(input: &GateInput<'_>, [promise, offer]: [&Value; 2], holds: &mut Vec<Hold>) {
    let routine = &input.candidate.routine;
    for (at, values, reason) in
        refusals(&routine.request).into_iter().chain(refusals(&routine.reply))
    {
        let told = Tool::from_definition(json!({ "name": "reason", "description": reason }));
        if reason.chars().count() > REASON_CHARS || !told.as_ref().is_some_and(clean_text) {
            let why = format!("{at}: the reason of a refusal is no plain sentence");
            holds.push((Rule::Text, why));
        }
        if values.is_none() && is_required(promise, at) {
            let why = format!("{at}: every call carries it, so every call would be refused");
            holds.push((Rule::NothingLost, why));
        }
        // A place that only the offer has is where a value was moved to: it is there to be taken.
        let taken = match (field::at(promise, at), field::at(offer, at)) {
            (_, None) => false,
            (None, Some(_)) => values.is_none(),
            (Some(promised), Some(offered)) => {
                matches!(contains(offered, promised), Containment::Yes)
            }
        };
        if taken {
            let why = format!("{at}: a value is refused that the offer still takes");
            holds.push((Rule::NothingLost, why));
        }
    }
}

/// Every refusal at the top of a list of operations or in its cases: where, what is admitted, why.
fn refusals(ops: &[Op]) -> Vec<(&str, Option<&[Value]>, &str)> {
    let mut found = Vec::new();
    for op in ops {
        match op {
            Op::RefuseIf { at, not_one_of, reason } => {
                found.push((at.as_str(), not_one_of.as_deref(), reason.as_str()));
            }
            Op::Each { ops, .. } => found.extend(refusals(ops)),
            Op::Cases { when, r#else, .. } => {
                let arms = when.iter().map(|arm| &arm.ops).chain(r#else);
                arms.for_each(|ops| found.extend(refusals(ops)));
            }
            _ => {}
        }
    }
    found
}

fn is_required(schema: &Value, pointer: &str) -> bool {
    let named = |name: &str| {
        let required = schema.get("required").and_then(Value::as_array);
        required.into_iter().flatten().any(|it| it == name)
    };
    pointer.matches('/').count() == 1 && named(&field::name(pointer))
}
