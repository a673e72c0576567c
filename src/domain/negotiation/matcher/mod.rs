//! The deterministic matcher: from two surfaces to candidates, without a model and without a guess.
//!
//! ```text
//!   promised tool ──► tools: kept, or its one successor ──► fields: arguments to arguments
//!                                                      └──► fields, reversed: reply to reply
//!                                                                 └──► values: one value to another
//! ```
//!
//! Never here: text that is composed, a value that no schema dictates, a choice between two that fit
//! alike. What could not be settled stands in [`Candidate::open`].

mod fields;
mod tools;
mod values;

#[cfg(test)]
mod tests;

use jsonptr::PointerBuf;
use serde_json::{Value, json};

use super::{Candidate, Origin};
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::normal::{admitted, normal, properties, types, values};
use crate::domain::drift::words::{Effect, effect, words};
use crate::domain::routine::{CaseArm, Op, ToolRoutine};
use fields::{Carried, Side, carry};
use tools::{Offered, Successor};

/// A candidate for every promised tool whose meaning changed or that is gone, where one can be made.
#[must_use]
pub fn propose(old: &Surface, new: &Surface) -> Vec<Candidate> {
    let offered = Offered::new(new);
    let successors = tools::successors(old, &offered);
    old.tools
        .iter()
        .filter_map(|tool| match new.tool(tool.name()) {
            Some(now) if now == tool || now.means(tool) => None,
            Some(now) => {
                let mut made = candidate(tool, now, Successor::kept())?;
                moved_elsewhere(tool, &offered, &mut made);
                Some(made)
            }
            None => {
                let (name, successor) = successors.get(tool.name())?;
                candidate(tool, new.tool(name)?, successor.clone())
            }
        })
        .collect()
}

/// Maps one promised tool onto one offered one; `None` where no call could be carried over, or where
/// nothing has to be done.
fn candidate(tool: &Tool, now: &Tool, successor: Successor) -> Option<Candidate> {
    let [promised, offered] = [tool, now].map(|t| t.input_schema().map_or_else(empty, normal));
    let fixed: Vec<&str> = successor.constant.iter().map(|(name, _)| name.as_str()).collect();
    let mut open = successor.open;
    let mut ops = Vec::new();
    let request =
        carry(Side::Request { reads: reads(tool) && reads(now) }, &promised, &offered, &fixed);
    let request = request?;
    if tool.name() != now.name() {
        open.extend(tools::choices(&promised, &offered, &fixed));
    }
    if let Some((name, value)) = successor.constant {
        ops.push(Op::Set { at: fields::at("", &name), value });
    }
    let maps = |op: &Op| {
        !matches!(op, Op::RefuseIf { .. } | Op::RefuseUnless { .. } | Op::RemoveIf { .. })
    };
    let useful = request.ops.iter().any(maps);
    let guards = request.ops.iter().all(|op| matches!(op, Op::RefuseUnless { .. }));
    ops.extend(request.ops);
    open.extend(request.open);
    ops.extend(as_a_whole(&promised, &offered));
    let reply = match (tool.output_schema(), now.output_schema()) {
        (Some(promised), Some(offered)) => {
            carry(Side::Reply, &normal(offered), &normal(promised), &[]).unwrap_or_default()
        }
        (Some(_), None) => {
            Carried { open: vec!["replies have no declared shape now".to_owned()], ops: Vec::new() }
        }
        _ => Carried::default(),
    };
    open.extend(reply.open);
    let call = (tool.name() != now.name()).then(|| now.name().to_owned());
    // What the peer refuses by itself, and tells, needs no routine.
    if call.is_none() && guards && reply.ops.is_empty() {
        return None;
    }
    let beside = |op: &Op| refuses_a_cursor(op, &promised) || refuses_a_reason(op, &promised);
    let same = reads(tool) && reads(now) && ops.iter().all(beside);
    if call.is_none() && !useful && !same && reply.ops.is_empty() {
        open.push("every call is carried over as it is, or refused: nothing is mapped".to_owned());
    }
    let routine = ToolRoutine { call, request: ops, reply: reply.ops, ..ToolRoutine::default() };
    Some(Candidate {
        tool: tool.name().to_owned(),
        to_tool: Some(now.name().to_owned()),
        routine,
        origin: Origin::Matcher,
        open,
    })
}

/// The argument that an operation refuses altogether: its name and schema.
fn refused<'p>(op: &Op, promised: &'p Value) -> Option<(&'p String, &'p Value)> {
    let Op::RefuseIf { at, not_one_of: None, .. } = op else { return None };
    let name = at.last().filter(|_| at.count() == 1)?.decoded().into_owned();
    properties(promised).find(|(known, _)| **known == name)
}

/// Whether an operation only refuses a place in a listing that the peer pages in another way now: a call
/// without one begins at the first page, as it did.
fn refuses_a_cursor(op: &Op, promised: &Value) -> bool {
    refused(op, promised).is_some_and(|(name, schema)| {
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        words(name).iter().any(|word| word == "cursor")
            || words(text).iter().any(|word| matches!(word.as_str(), "cursor" | "pagination"))
    })
}

/// Whether an operation only refuses free text that tells why a call is made: what a tool that looks
/// finds does not depend on it, so a call without one means what it meant.
fn refuses_a_reason(op: &Op, promised: &Value) -> bool {
    const WHY: [&str; 4] = ["justification", "purpose", "rationale", "reason"];
    refused(op, promised).is_some_and(|(name, schema)| {
        let text = types(schema).is_some_and(|types| types.contains("string"));
        let words = words(name);
        let why = matches!(words.as_slice(), [word] if WHY.contains(&word.as_str()));
        why && text && values(schema).is_none()
    })
}

/// Calls that use an argument which the tool no longer takes go where the argument is taken still: to
/// another tool that says this one's name and takes all its arguments. A person decides.
fn moved_elsewhere(tool: &Tool, offered: &Offered<'_>, made: &mut Candidate) {
    let only_refuses = |op: &Op| matches!(op, Op::RefuseIf { not_one_of: None, .. });
    if !made.routine.request.iter().all(only_refuses) || !made.routine.reply.is_empty() {
        return;
    }
    for op in &mut made.routine.request {
        let Op::RefuseIf { at, .. } = op else { continue };
        let lost = at.last().map(|token| token.decoded().into_owned()).unwrap_or_default();
        let Some((other, member, value)) = tools::elsewhere(tool, &lost, offered) else { continue };
        let at = at.clone();
        let call = Op::Call { tool: other.name().to_owned() };
        let choose = Op::Default { at: fields::at("", &member), value };
        made.to_tool = None;
        made.open.push(format!("calls that use `{lost}` go to `{}`", other.name()));
        let absent = CaseArm { is: None, ops: Vec::new() };
        *op = Op::Cases { at, when: vec![absent], r#else: Some(vec![call, choose]) };
    }
}

/// Keywords of an object that bind its members to one another.
const BINDING: &[&str] = &[
    "allOf",
    "anyOf",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "maxProperties",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
];

/// Refuses calls that the offer does not admit as a whole, where it binds its arguments to one another
/// in a way that was not promised.
fn as_a_whole(promised: &Value, offered: &Value) -> Option<Op> {
    let binds = BINDING.iter().any(|keyword| {
        offered.get(keyword).is_some() && offered.get(keyword) != promised.get(keyword)
    });
    let fits = admitted(offered);
    (binds && !fits.to_string().contains("\"$ref\"")).then(|| Op::RefuseUnless {
        at: PointerBuf::new(),
        fits,
        reason: "the peer no longer takes these arguments together".to_owned(),
    })
}

/// Whether a tool only looks, by its hint or else its name.
fn reads(tool: &Tool) -> bool {
    tool.hints().read_only.unwrap_or_else(|| effect(&words(tool.name())) == Effect::Reads)
}

fn empty() -> Value {
    json!({})
}

/// A pointer of names, each escaped.
fn pointer(base: &str, name: &str) -> PointerBuf {
    let mut made = PointerBuf::parse(base).unwrap_or_default();
    made.push_back(name);
    made
}
