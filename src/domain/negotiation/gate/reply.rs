//! Rules 3, 4, 6 and 8 for what the agent is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::evidence::Derivation;
use super::field;
use super::flow::{Change, DEFAULTED, Flow, Source, follow};
use super::pair::{Hold, Sides};
use super::request::matches;
use super::{GateInput, context};
use crate::domain::contract::Tool;
use crate::domain::drift::normal::normal;
use crate::domain::negotiation::{ReplayResult, Rule};
use crate::domain::routine::Op;

/// Earlier replies that a derived relation needs.
const REPLIES_MIN: usize = 20;

/// Judges the reply operations for replies of one offered tool.
pub(super) fn judge(input: &GateInput<'_>, offered: &Tool, holds: &mut Vec<Hold>) {
    let ops = &input.candidate.routine.reply;
    let unseen = |at: &&String| !input.evidence.seen_gone.contains(at);
    for at in input.candidate.routine.gone.iter().filter(unseen) {
        let why = format!("{at} is named as gone, and no reply was seen without it");
        holds.push((Rule::NothingLost, why));
    }
    if ops.is_empty() {
        return;
    }
    if made_up(ops) {
        let why = "a constant stands in a reply: every value must come from this reply";
        holds.push((Rule::NothingMadeUp, why.to_owned()));
    }
    let schema = |tool: &Tool| tool.output_schema().map_or_else(|| json!({}), normal);
    let reply = Reply { input, from: schema(offered), to: schema(input.promised) };
    let context = &context(input.promised, offered);
    let sides = Sides { from: &reply.from, to: &reply.to, context, reads: true };
    for flow in follow(ops, &field::top(&reply.from), None) {
        reply.flow(&flow, &sides, holds);
    }
}

/// Whether every operation of the routine is a derived relation: the replay of an undecided proof, for
/// tools that write too (rule 8).
pub(super) fn rests_on_relations(input: &GateInput<'_>, offered: &Tool) -> bool {
    let routine = &input.candidate.routine;
    let alone = routine.request.is_empty() && routine.errors.is_empty() && routine.call.is_none();
    let schema = |tool: &Tool| tool.output_schema().map_or_else(|| json!({}), normal);
    let reply = Reply { input, from: schema(offered), to: schema(input.promised) };
    let flows = follow(&routine.reply, &field::top(&reply.from), None);
    let [flow] = flows.as_slice() else { return false };
    alone
        && !routine.reply.is_empty()
        && flow.undecided.is_empty()
        && routine.reply.iter().all(|op| match op {
            Op::Copy { from, to, .. } => reply.copied(to.as_str(), from.as_str()),
            Op::Extract { to, .. } | Op::Template { to, .. } => {
                reply.derived(to.as_str(), op, flow)
            }
            _ => false,
        })
}

/// `set`, `default`, and templates of constant text alone, wherever they stand.
fn made_up(ops: &[Op]) -> bool {
    ops.iter().any(|op| match op {
        Op::Set { .. } | Op::Default { .. } => true,
        Op::Template { text, .. } => super::flow::pointers(text).is_empty(),
        Op::Each { ops, .. } => made_up(ops),
        Op::Cases { when, r#else, .. } => {
            when.iter().map(|arm| &arm.ops).chain(r#else).any(|ops| made_up(ops))
        }
        _ => false,
    })
}

struct Reply<'r> {
    input: &'r GateInput<'r>,
    from: Value,
    to: Value,
}

impl Reply<'_> {
    fn flow(&self, flow: &Flow, sides: &Sides<'_>, holds: &mut Vec<Hold>) {
        for why in &flow.undecided {
            if !self.agrees() {
                holds.push((Rule::NothingMadeUp, format!("not followed in the reply: {why}")));
            }
        }
        let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (place, source) in &flow.places {
            match source {
                Source::Given { pointer, changes, .. } => {
                    uses.entry(pointer).or_default().push(place);
                    self.given(place, pointer, changes, sides, holds);
                }
                Source::Composed { op, .. } => {
                    if !self.shown(place) && !self.derived(place, op, flow) {
                        let why = format!("{place} is composed or cut, and nothing shows it");
                        holds.push((Rule::Places, why));
                    }
                }
                Source::Constant(_) => {
                    let at = place.trim_end_matches(DEFAULTED);
                    holds.push((Rule::NothingMadeUp, format!("{at} is a constant")));
                }
            }
        }
        for (pointer, places) in uses {
            let extra = places.iter().filter(|place| **place != pointer);
            let open =
                extra.filter(|place| !self.shown(place) && !self.copied(place, pointer)).count();
            if places.len() > 1 && open > 0 {
                holds.push((
                    Rule::Places,
                    format!("{pointer} of the reply stands in several places"),
                ));
            }
        }
        for lost in &flow.lost {
            if field::at(&self.to, &lost.pointer).is_some() {
                let why = format!("{}: a promised field is taken out of the reply", lost.pointer);
                holds.push((Rule::NothingLost, why));
            }
        }
    }

    fn given(
        &self,
        place: &str,
        pointer: &str,
        changes: &[Change],
        sides: &Sides<'_>,
        holds: &mut Vec<Hold>,
    ) {
        if place == pointer && changes.is_empty() && field::at(&self.to, place).is_none() {
            return;
        }
        let copied = changes == [Change::Copied];
        if copied && self.copied(place, pointer) {
            return;
        }
        if copied && !self.shown(place) {
            let why =
                format!("{place} is a copy of {pointer}, and nothing shows that it was before");
            holds.push((Rule::Places, why));
        }
        if self.shown(place) && field::at(&self.to, place).is_none() {
            return;
        }
        sides.judge(pointer, place, changes, self.shown(place), holds);
    }

    /// Whether the profile knows the field as this very template or pattern of untouched fields.
    fn derived(&self, place: &str, op: &Op, flow: &Flow) -> bool {
        let untouched = |at: &str| {
            matches!(flow.places.get(at),
                Some(Source::Given { pointer, changes, .. }) if pointer == at && changes.is_empty())
        };
        self.relations(place).any(|relation| match (op, relation) {
            (Op::Template { text, .. }, Derivation::Template(known)) => {
                text == known && super::flow::pointers(text).iter().all(|at| untouched(at))
            }
            (
                Op::Extract { from, pattern, .. },
                Derivation::Pattern { from: of, pattern: known },
            ) => from.as_str() == of && pattern == known && untouched(of),
            _ => false,
        })
    }

    fn copied(&self, place: &str, pointer: &str) -> bool {
        let copy = format!("{{{pointer}}}");
        self.relations(place).any(|it| matches!(it, Derivation::Template(text) if *text == copy))
    }

    fn relations<'s>(&'s self, place: &'s str) -> impl Iterator<Item = &'s Derivation> {
        let all = self.input.evidence.derived_relations.iter();
        all.filter(move |it| it.at == place && it.replies >= REPLIES_MIN).map(|it| &it.from)
    }

    fn agrees(&self) -> bool {
        self.input.evidence.replay.as_ref().is_some_and(ReplayResult::agrees)
    }

    /// Whether paired replay compared this place and found it equal.
    fn shown(&self, place: &str) -> bool {
        let equal = self.input.evidence.replay.as_ref().map(|replay| replay.equal.as_slice());
        self.agrees() && equal.unwrap_or_default().iter().any(|it| matches(it, place))
    }
}
