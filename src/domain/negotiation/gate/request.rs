//! Rules 2, 3, 4, 6 and 7 for the arguments that reach the peer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::field::{self, Field};
use super::flow::{Change, DEFAULTED, Flow, Lost, Source};
use super::pair::{Hold, Sides};
use super::{GateInput, context, effect};
use crate::domain::contract::Tool;
use crate::domain::drift::is_default_changed;
use crate::domain::drift::normal::{types, values};
use crate::domain::drift::words::words;
use crate::domain::negotiation::names::says_comma_separated;
use crate::domain::negotiation::{ReplayResult, Rule, same};
use crate::domain::routine::Op;

/// Words of arguments that stand for a person's consent.
const CONSENT: &[&str] = &[
    "accept",
    "acknowledge",
    "acknowledged",
    "agree",
    "allow",
    "approve",
    "approved",
    "confirm",
    "confirmation",
    "confirmed",
    "consent",
    "dangerous",
    "force",
    "forced",
    "i",
    "override",
    "permit",
    "skip",
    "sure",
    "unsafe",
    "yes",
];

/// One way through the request operations, against both schemas.
pub(super) struct Request<'r> {
    input: &'r GateInput<'r>,
    from: &'r Value,
    to: &'r Value,
    context: BTreeSet<String>,
    /// The place of the discriminator that the tool's name dictates.
    discriminator: Option<String>,
    /// Whether the offered tool only reads.
    reads: bool,
}

impl<'r> Request<'r> {
    pub(super) fn new(
        input: &'r GateInput<'r>,
        offered: &Tool,
        [from, to]: [&'r Value; 2],
        discriminator: Option<String>,
    ) -> Self {
        let reads = effect::effectively_read_only(offered, None)
            && effect::effectively_read_only(input.promised, None);
        Self { input, from, to, context: context(input.promised, offered), discriminator, reads }
    }

    /// Holds every value's way against the rules.
    pub(super) fn judge(&self, flow: &Flow, holds: &mut Vec<Hold>) {
        for why in &flow.undecided {
            holds.push((Rule::Places, format!("not followed: {why}")));
        }
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, source) in &flow.places {
            match source {
                Source::Given { pointer, changes, only } => {
                    *uses.entry(pointer).or_default() += 1;
                    self.given(place, pointer, changes, only.as_deref(), holds);
                }
                Source::Constant(value) => self.constant(flow, place, value, holds),
                Source::Composed { from, op } => {
                    if self.listed(op, place) {
                        continue;
                    }
                    if from.is_empty() || !from.iter().all(|at| self.shown(at)) {
                        let why = format!("{place} is composed or cut, and no replay shows it");
                        holds.push((Rule::Places, why));
                    }
                    from.iter().for_each(|at| *uses.entry(at).or_default() += 1);
                }
            }
        }
        for (pointer, count) in uses {
            if count > 1 && !self.shown(pointer) {
                holds.push((Rule::Places, format!("{pointer} goes to {count} places")));
            }
        }
        for lost in &flow.lost {
            self.lost(lost, holds);
        }
    }

    /// Whether a list is written out in its own place, with the comma that the place's text states.
    fn listed(&self, op: &Op, place: &str) -> bool {
        let Op::Join { from, separator, to } = op else { return false };
        let alone = matches!(from.as_slice(), [only] if only.as_str() == place && only == to);
        let lists = Field::find(self.from, place)
            .is_some_and(|it| types(it.schema).is_some_and(|types| types.contains("array")));
        let said = Field::find(self.to, place)
            .is_some_and(|it| separator == "," && says_comma_separated(it.description()));
        alone && lists && said
    }

    fn given(
        &self,
        place: &str,
        pointer: &str,
        changes: &[Change],
        only: Option<&[Value]>,
        holds: &mut Vec<Hold>,
    ) {
        if field::at(self.to, place).is_none() {
            if field::at(self.from, pointer).is_none() {
                return;
            }
            // It would reach a peer that does not declare it, and so would mean nothing there.
            let lost = Lost { pointer: pointer.to_owned(), only: only.map(<[Value]>::to_vec) };
            self.lost(&lost, holds);
            return;
        }
        let (from, to) = (self.from, self.to);
        let sides = Sides { from, to, context: &self.context, reads: self.reads };
        sides.judge(pointer, place, changes, self.shown(pointer), holds);
        if pointer == place {
            self.survived(pointer, holds);
        }
    }

    /// A surviving argument's default is part of its meaning for the calls that leave it out.
    fn survived(&self, pointer: &str, holds: &mut Vec<Hold>) {
        let (Some(old), Some(new)) =
            (Field::find(self.from, pointer), Field::find(self.to, pointer))
        else {
            return;
        };
        let before = old.default().filter(|value| !value.is_null());
        let after = new.default().filter(|value| !value.is_null());
        let filled = self.input.candidate.routine.request.iter().any(|op| {
            matches!(op, Op::Default { at, value }
                if at.as_str() == pointer && before.is_some_and(|it| same(it, value)))
        });
        if let (Some(before), Some(after)) = (before, after)
            && is_default_changed(Some(before), Some(after))
            && !filled
            && !self.shown(pointer)
        {
            holds.push((
                Rule::Values,
                format!("{pointer}: the default is another than was promised"),
            ));
        }
    }

    fn constant(&self, flow: &Flow, place: &str, value: &Value, holds: &mut Vec<Hold>) {
        let at = place.strip_suffix(DEFAULTED).unwrap_or(place);
        let mut hold = |why: &str| holds.push((Rule::Values, format!("{at}: {why}")));
        let Some(target) = Field::find(self.to, at) else {
            return hold("a constant for an argument that is not declared");
        };
        let said = words(&target.name());
        if said.iter().any(|word| CONSENT.contains(&word.as_str())) {
            return hold("an argument that stands for a person's consent");
        }
        // The promise's own default made explicit is no new value.
        if place != at
            && let Some(Source::Given { pointer, .. }) = flow.places.get(at)
        {
            let own = Field::find(self.from, pointer).and_then(|it| it.default());
            return if own.is_some_and(|own| same(own, value)) {
            } else {
                hold("not the default that was promised");
            };
        }
        if self.discriminator.as_deref() == Some(at) {
            return;
        }
        if !self.reads {
            return hold("a value for a new argument of a tool that may change something");
        }
        let closed =
            target.schema.get("const").or_else(|| match values(target.schema)?.as_slice() {
                [one] => Some(one),
                _ => None,
            });
        if closed.is_some_and(|it| same(it, value)) {
            return;
        }
        if target.default().is_some_and(|it| same(it, value)) {
            if self.input.evidence.recordings_agree && !self.agrees() {
                hold("a default of the offer, and recordings could be asked again");
            }
            return;
        }
        hold("a constant that no schema dictates");
    }

    /// Rule 7.
    fn lost(&self, lost: &Lost, holds: &mut Vec<Hold>) {
        let at = &lost.pointer;
        let mut hold = |why: &str| holds.push((Rule::NothingLost, format!("{at}: {why}")));
        let Some(old) = Field::find(self.from, at) else { return };
        let Some(only) = &lost.only else {
            return hold("the argument does not reach the peer");
        };
        let default = old.default();
        if !only.iter().all(|value| default.is_some_and(|default| same(default, value))) {
            return hold("a value that is not the promised default does not reach the peer");
        }
        match Field::find(self.to, at) {
            Some(new) => {
                let (before, after) = (default, new.default());
                let alike = match (before, after) {
                    (Some(Value::Null), None) => true,
                    (Some(before), Some(after)) => same(before, after),
                    _ => false,
                };
                if !alike {
                    hold("the offer's default is another than was promised");
                }
            }
            None if self.reads => {}
            None => hold("the offer dropped the argument, and the tool may change something"),
        }
    }

    fn agrees(&self) -> bool {
        self.input.evidence.replay.as_ref().is_some_and(ReplayResult::agrees)
    }

    /// Whether paired replay asked with this argument again and nothing differed.
    fn shown(&self, pointer: &str) -> bool {
        let carried = &self.input.evidence.replayed_arguments;
        self.agrees() && carried.iter().any(|it| matches(it, pointer))
    }
}

/// Whether a concrete pointer is the one with `*`, or lies within it.
pub(super) fn matches(concrete: &str, pointer: &str) -> bool {
    let mut concrete = concrete.split('/');
    pointer.split('/').all(|token| {
        concrete.next().is_some_and(|it| {
            it == token || token == "*" && it.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}
