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
use crate::domain::drift::normal::normal;
use crate::domain::drift::words::{Effect, effect, words};
use crate::domain::routine::{Op, ToolRoutine};
use fields::{Carried, Side, carry};
use tools::Successor;

/// A candidate for every promised tool whose meaning changed or that is gone, where one can be made.
#[must_use]
pub fn propose(old: &Surface, new: &Surface) -> Vec<Candidate> {
    let successors = tools::successors(old, new);
    old.tools
        .iter()
        .filter_map(|tool| match new.tool(tool.name()) {
            Some(now) if now.meaning() == tool.meaning() => None,
            Some(now) => candidate(tool, now, Successor::kept()),
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
    let useful =
        request.ops.iter().any(|op| !matches!(op, Op::RefuseIf { .. } | Op::RemoveIf { .. }));
    ops.extend(request.ops);
    open.extend(request.open);
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
    if call.is_none() && ops.is_empty() && reply.ops.is_empty() {
        return None;
    }
    if call.is_none() && !useful && reply.ops.is_empty() {
        open.push("every call is carried over as it is, or refused: nothing is mapped".to_owned());
    }
    let routine = ToolRoutine { call, request: ops, reply: reply.ops, errors: Vec::new() };
    Some(Candidate {
        tool: tool.name().to_owned(),
        to_tool: Some(now.name().to_owned()),
        routine,
        origin: Origin::Matcher,
        open,
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
