//! What of a broken reply can be found by what held before.

use std::collections::{BTreeMap, BTreeSet};

use jsonptr::PointerBuf;
use serde_json::Value;

use super::flat::{Flat, Scalar, flat};
use super::learn::{Derived, Form, Piece, Relations, relation};
use crate::domain::contract::Violation;
use crate::domain::negotiation::{Derivation, DerivedRelation};
use crate::domain::routine::{Extracted, Op};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Operations on the reply, in order.
    pub reply: Vec<Op>,
    /// What they rest on, for the gate.
    pub relations: Vec<DerivedRelation>,
    /// Places that nothing stands for ([`Violation::general_place`]).
    pub gone: Vec<String>,
    /// In words, one line a field.
    pub steps: Vec<String>,
}

/// Finds the promised fields that a reply lacks: by a relation that held in all earlier replies, read
/// from a field that is still there or from a new one that alone has the form of the old.
#[must_use]
pub fn find(
    relations: Option<&Relations>,
    violations: &[Violation],
    reply: &Value,
    arguments: &Value,
) -> Found {
    let missing: BTreeSet<String> =
        violations.iter().filter(|it| it.is_missing()).map(Violation::place).collect();
    let mut found = Found::default();
    let mut open = missing.clone();
    if let Some(relations) = relations {
        let search =
            Search { relations, missing: &missing, reply: flat(reply), arguments: flat(arguments) };
        let stand_ins = search.stand_ins();
        for at in &missing {
            if let Some((op, rests_on, step)) = search.place(at, &stand_ins) {
                open.remove(at);
                found.reply.push(op);
                found.relations.push(rests_on);
                found.steps.push(step);
            }
        }
    }
    let open: BTreeSet<String> = violations
        .iter()
        .filter(|it| it.is_missing() && open.contains(&it.place()))
        .map(Violation::general_place)
        .collect();
    found.steps.extend(open.iter().map(|at| format!("{at} is gone: nothing stands for it")));
    found.gone = open.into_iter().collect();
    found
}

struct Search<'s> {
    relations: &'s Relations,
    missing: &'s BTreeSet<String>,
    reply: Flat,
    arguments: Flat,
}

impl Search<'_> {
    /// The new field that alone has the form of a missing one, by the missing one's place.
    fn stand_ins(&self) -> BTreeMap<String, String> {
        let forms = self.relations.forms.iter().filter(|(at, _)| self.missing.contains(*at));
        let found = forms.filter_map(|(at, form)| {
            let mut fitting = self.reply.iter().filter(|(_, value)| self.has(value, form));
            let (new, _) = fitting.next().filter(|_| fitting.next().is_none())?;
            (!form.alike.contains(new)).then(|| (at.clone(), new.clone()))
        });
        found.collect()
    }

    fn has(&self, value: &Scalar, form: &Form) -> bool {
        let Scalar::Text(text) = value else { return false };
        form.fits(text, &|piece, part| match piece {
            // A field that is there must say the same; one that is gone says nothing against it.
            Piece::Field { at, .. } => self.reply.get(at).is_none_or(|it| it.words() == part),
            Piece::Argument(at) => self.arguments.get(at).is_some_and(|it| it.words() == part),
            Piece::Text(_) => true,
        })
    }

    /// How a missing field is written from what is there.
    fn place(
        &self,
        at: &str,
        stand_ins: &BTreeMap<String, String>,
    ) -> Option<(Op, DerivedRelation, String)> {
        let to = PointerBuf::parse(at).ok()?;
        let replies = self.relations.replies;
        if let Some(new) = stand_ins.get(at) {
            let op = Op::Copy { from: PointerBuf::parse(new).ok()?, to, optional: false };
            let rests_on = relation(at, Derivation::Template(format!("{{{new}}}")), replies);
            let step = format!(
                "{at} is {new}: it alone has the form that {at} had in {replies} earlier replies"
            );
            return Some((op, rests_on, step));
        }
        for derived in self.relations.derived.iter().filter(|derived| derived.at == at) {
            let Some(from) = self.source(derived, stand_ins) else { continue };
            let source = PointerBuf::parse(&from).ok()?;
            let op = Op::Extract {
                from: source,
                to: to.clone(),
                pattern: derived.pattern.clone(),
                r#as: derived.integer.then_some(Extracted::Integer),
            };
            let derivation =
                Derivation::Pattern { from: from.clone(), pattern: derived.pattern.clone() };
            let step = format!(
                "{at} follows from {from}, as it did from {} in {replies} earlier replies",
                derived.from
            );
            return Some((op, relation(at, derivation, replies), step));
        }
        let text = self.relations.forms.get(at)?.template()?;
        let fields = self.relations.forms.get(at)?.pieces.iter();
        let there = fields.into_iter().all(|piece| match piece {
            Piece::Field { at, .. } => self.reply.contains_key(at),
            _ => true,
        });
        let op = Op::Template { text: text.clone(), to };
        let step = format!("{at} is made as it was in {replies} earlier replies: {text}");
        there.then(|| (op, relation(at, Derivation::Template(text), replies), step))
    }

    /// Where what a field follows from stands now, if it still has the form that it had.
    fn source(&self, derived: &Derived, stand_ins: &BTreeMap<String, String>) -> Option<String> {
        let from = stand_ins.get(&derived.from).unwrap_or(&derived.from);
        let value = self.reply.get(from)?;
        if let Some(form) = self.relations.forms.get(&derived.from)
            && !self.has(value, form)
        {
            return None;
        }
        let Scalar::Text(text) = value else { return None };
        let pattern = regex::Regex::new(&derived.pattern).ok()?;
        pattern.is_match(text).then(|| from.clone())
    }
}
