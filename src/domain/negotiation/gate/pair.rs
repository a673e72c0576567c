//! Rules 3, 4 and 6 for one value that leaves one declared place for another.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::field::{self, Field, opposed};
use super::flow::Change;
use crate::domain::contract::{Containment, contains};
use crate::domain::drift::normal::{same_shape, values};
use crate::domain::drift::words::{handle, tokens, units, words};
use crate::domain::negotiation::Rule;
use crate::domain::negotiation::names::{is_distinguishing, likeness, says_json};
use crate::domain::routine::MapEntry;

/// Both sides of a flow, and what is known around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides<'s> {
    /// Where values come from: the promised arguments, or the offered reply.
    pub(super) from: &'s Value,
    /// Where they go: the offered arguments, or the promised reply.
    pub(super) to: &'s Value,
    /// Words of the tools' names: they add nothing to a field's name.
    pub(super) context: &'s BTreeSet<String>,
    /// Whether both tools only look.
    pub(super) reads: bool,
}

/// A rule that a flow breaks, and why.
pub(super) type Hold = (Rule, String);

impl Sides<'_> {
    /// Holds one value's way against the rules. `shown` is whether paired replay shows it.
    pub(super) fn judge(
        &self,
        from: &str,
        to: &str,
        changes: &[Change],
        shown: bool,
        holds: &mut Vec<Hold>,
    ) {
        let Some(target) = Field::find(self.to, to) else {
            holds.push((Rule::Names, format!("{to} is not declared where {from} goes")));
            return;
        };
        let Some(source) = Field::find(self.from, from) else {
            if !shown {
                holds.push((
                    Rule::Names,
                    format!("{from} is not declared, so nothing says it is {to}"),
                ));
            }
            return;
        };
        if from == to {
            let scaled = changes.iter().any(|it| matches!(it, Change::Scale { .. }));
            if let Some(why) = contradicts(&source, &target, scaled).filter(|_| !shown) {
                holds.push((Rule::Names, format!("{from}: {why}")));
            }
        } else {
            self.renamed(&source, &target, changes, shown, holds);
        }
        for change in changes {
            judge_change(change, &source, &target, shown, holds);
        }
    }

    fn renamed(
        &self,
        source: &Field<'_>,
        target: &Field<'_>,
        changes: &[Change],
        shown: bool,
        holds: &mut Vec<Hold>,
    ) {
        let (from, to) = (source.pointer, target.pointer);
        let mut hold = |rule, why: &str| holds.push((rule, format!("{from} to {to}: {why}")));
        // These two hold whatever replay shows: a name that stands maps only to itself.
        if field::at(self.from, to).is_some() {
            hold(Rule::Names, "the target's name stood before, so it maps only to itself");
        }
        if field::at(self.to, from).is_some() {
            hold(Rule::Names, "the source's name still stands, so it maps only to itself");
        }
        let (old, new) = (source.name(), target.name());
        let same = likeness(&old, &new).same;
        match (handle(&old), handle(&new)) {
            (one, other) if one == other => {}
            (Some(_), Some(_)) => {
                hold(
                    Rule::Names,
                    "they are different kinds of handle (id, index, key, name, url …)",
                );
            }
            _ if shown || self.same_text(source, target) => {}
            _ => hold(Rule::Names, "only one of them names a kind of handle"),
        }
        if opposed(&words(&old), &words(&new)) {
            hold(Rule::Names, "they name opposite roles");
        }
        if shown {
            return;
        }
        if !self.reads && changes.contains(&Change::Reshaped) {
            hold(
                Rule::Names,
                "one value under a new name became several, and the tool may change them",
            );
        }
        if target.place() != source.place() && target.place().is_some() {
            hold(Rule::Places, "the target is another kind of place");
        }
        let scaled = changes.iter().any(|it| matches!(it, Change::Scale { .. }));
        if !scaled && source.units() != target.units() {
            hold(Rule::Units, "their units differ or stand on one side only");
        }
        if self.same_text(source, target) {
            return;
        }
        let compatible = !changes.is_empty()
            || matches!(contains(target.schema, source.schema), Containment::Yes)
            || kinds_meet(source.schema, target.schema);
        if !compatible {
            hold(Rule::Names, "their schemas do not fit");
        }
        let rank = self.rank(&old, &new).max(u8::from(Self::stated_alike(source, target)));
        if rank == 0 {
            hold(
                Rule::Names,
                "nothing says that they are the same: no description and no telling word",
            );
        } else if let Some(rival) = self.rival(source, target, rank) {
            hold(Rule::Names, &format!("{rival} competes"));
        } else if !same && contradicts(source, target, scaled).is_some() {
            hold(Rule::Names, "their descriptions contradict one another");
        }
    }

    /// Same schema, and the same description that says something and that no other field shares.
    fn same_text(&self, source: &Field<'_>, target: &Field<'_>) -> bool {
        let text = words(source.description());
        let telling = text.iter().filter(|word| is_distinguishing(word) && word.len() > 3).count();
        let shared = |schema: &Value| {
            let same = |at: &&String| {
                Field::find(schema, at).is_some_and(|it| words(it.description()) == text)
            };
            field::declared(schema).iter().filter(same).count() > 1
        };
        telling >= 2
            && words(target.description()) == text
            && same_shape(source.schema, target.schema)
            && !shared(self.from)
            && !shared(self.to)
    }

    /// 2: the same words; 1: the same distinguishing words, and beside them only words that say
    /// nothing or that the tool's own name says; 0: neither.
    fn rank(&self, old: &str, new: &str) -> u8 {
        let alike = likeness(old, new);
        if alike.same {
            return 2;
        }
        let (one, other): (BTreeSet<_>, BTreeSet<_>) =
            (words(old).into_iter().collect(), words(new).into_iter().collect());
        let mut extra = one.symmetric_difference(&other);
        // Units are rule 6's, which looks at them on its own.
        let silent = extra.all(|word| {
            !is_distinguishing(word) || self.context.contains(word) || !units(word).is_empty()
        });
        let head = |name: &str| words(name).into_iter().rfind(|word| units(word).is_empty());
        let head = head(old) == head(new);
        u8::from(!alike.distinguishing.is_empty() && silent && head)
    }

    /// A word more or less before the same head, and beside it the same telling default or the same
    /// list of values: what both schemas state is evidence enough that they are one.
    fn stated_alike(source: &Field<'_>, target: &Field<'_>) -> bool {
        let (old, new) = (words(&source.name()), words(&target.name()));
        let (short, long) = if old.len() <= new.len() { (&old, &new) } else { (&new, &old) };
        let head =
            short.last().is_some_and(|head| is_distinguishing(head)) && long.ends_with(short);
        let telling = |value: &Value| value.as_str().is_some_and(|text| text.len() > 2);
        let default =
            source.default().is_some_and(|it| telling(it) && target.default() == Some(it));
        let listed = values(source.schema)
            .is_some_and(|list| list.len() > 1 && values(target.schema) == Some(list));
        head && (default || listed) && same_shape(source.schema, target.schema)
    }

    /// Another new place, or another vanished one, that fits as well.
    fn rival(&self, source: &Field<'_>, target: &Field<'_>, rank: u8) -> Option<String> {
        let (old, new) = (source.name(), target.name());
        let rivals = |schema: &Value, other: &Value, mine: &str, fits: &dyn Fn(&str) -> bool| {
            field::declared(schema)
                .into_iter()
                .find(|at| at != mine && field::at(other, at).is_none() && fits(&field::name(at)))
        };
        rivals(self.to, self.from, target.pointer, &|name| self.rank(&old, name) >= rank).or_else(
            || rivals(self.from, self.to, source.pointer, &|name| self.rank(name, &new) >= rank),
        )
    }
}

/// What the descriptions contradict; units are left to rule 6 where a `scale` answers for them.
fn contradicts(source: &Field<'_>, target: &Field<'_>, scaled: bool) -> Option<String> {
    if scaled { source.role_changed(target) } else { source.meaning_changed(target) }
}

/// Whether two schemas admit a common type: the proof decides about values.
fn kinds_meet(one: &Value, other: &Value) -> bool {
    use crate::domain::drift::normal::types;
    match (types(one), types(other)) {
        (Some(one), Some(other)) => !one.is_disjoint(&other),
        _ => false,
    }
}

fn judge_change(
    change: &Change,
    source: &Field<'_>,
    target: &Field<'_>,
    shown: bool,
    holds: &mut Vec<Hold>,
) {
    let at = source.pointer;
    match change {
        Change::Cast | Change::Reshaped | Change::Copied => {}
        Change::Clamp => holds.push((Rule::NothingLost, format!("{at} is clamped"))),
        Change::Json if shown || states_json(source) || states_json(target) => {}
        // In its own place, and its own text says it: nothing else can be meant.
        Change::Json
            if source.pointer == target.pointer
                && [source, target].iter().any(|it| says_json(it.description())) => {}
        Change::Json => {
            holds.push((Rule::Places, format!("{at}: no schema states that a string holds JSON")));
        }
        Change::Map(table) => {
            if let Some(why) = renumbered(table, target) {
                holds.push((Rule::Names, format!("{at}: {why}")));
            }
        }
        Change::Scale { factor, offset } => {
            let follows = offset.is_none() && factor_follows(source, target, factor);
            if !shown && !follows {
                let why = format!("{at}: no two stated units give the factor {factor}");
                holds.push((Rule::Units, why));
            }
        }
        Change::Date { from, to } => {
            if !(states_date(source, from) && states_date(target, to)) {
                let why = format!("{at}: both schemas must state the formats {from} and {to}");
                holds.push((Rule::Names, why));
            }
        }
    }
}

fn states_json(field: &Field<'_>) -> bool {
    field.schema.get("contentMediaType").and_then(Value::as_str) == Some("application/json")
}

fn states_date(field: &Field<'_>, format: &str) -> bool {
    let stated = field.schema.get("format").and_then(Value::as_str);
    let said = tokens(field.description());
    let epoch = said.iter().any(|word| word == "unix" || word == "epoch");
    match format {
        "rfc3339" => stated == Some("date-time"),
        "date" => stated == Some("date"),
        "unix_s" => epoch && units(field.description()) == BTreeSet::from(["second"]),
        "unix_ms" => epoch && units(field.description()) == BTreeSet::from(["millisecond"]),
        _ => false,
    }
}

/// Why a table says more than that names are spelled anew; `None` where it does not.
fn renumbered(table: &[MapEntry], target: &Field<'_>) -> Option<String> {
    for (index, row) in table.iter().enumerate() {
        let (Value::String(from), Value::String(to)) = (&row.from, &row.to) else {
            if row.from == row.to {
                continue;
            }
            return Some("a table may only spell names anew, not replace other values".to_owned());
        };
        if from == to {
            continue;
        }
        if !respelled(from, to) {
            return Some("a table row maps a name to one that is not the same word".to_owned());
        }
        let admitted = values(target.schema).into_iter().flatten().filter_map(Value::as_str);
        if admitted.filter(|it| *it == from || (*it != to && respelled(from, it))).count() > 0 {
            return Some(
                "a table row's name competes with another that the target admits".to_owned(),
            );
        }
        if table[..index].iter().any(|earlier| earlier.to == row.to) {
            return Some("two table rows become the same value".to_owned());
        }
    }
    None
}

/// Equal but for case, separators, inflection or an affix.
fn respelled(from: &str, to: &str) -> bool {
    let (from, to) = (words(from), words(to));
    let (short, long) = if from.len() <= to.len() { (&from, &to) } else { (&to, &from) };
    let whole = |words: &[String]| words.concat();
    let telling = short.iter().any(|word| !word.chars().all(char::is_numeric));
    telling && (whole(short) == whole(long) || long.starts_with(short) || long.ends_with(short))
}

/// Exact ratios of units of one quantity to its base, as decimal text.
const RATIOS: &[(&str, &str, i64)] = &[
    ("nanosecond", "time", -9),
    ("microsecond", "time", -6),
    ("millisecond", "time", -3),
    ("second", "time", 0),
    ("millimetre", "length", -3),
    ("centimetre", "length", -2),
    ("metre", "length", 0),
    ("kilometre", "length", 3),
    ("gram", "mass", 0),
    ("kilogram", "mass", 3),
    ("cent", "dollar", -2),
    ("dollar", "dollar", 0),
];

/// Whether both sides state one unit of one quantity and the factor is their ratio.
fn factor_follows(source: &Field<'_>, target: &Field<'_>, factor: &Number) -> bool {
    let one = |field: &Field<'_>| {
        let found = field.units();
        let mut found = found.into_iter();
        let unit = found.next().filter(|_| found.next().is_none())?;
        RATIOS.iter().find(|(name, ..)| *name == unit)
    };
    let (Some((_, was, from)), Some((_, is, to))) = (one(source), one(target)) else {
        return false;
    };
    let exponent = from - to;
    // Powers of ten up to 18 are the same value whichever way they are written.
    was == is
        && i32::try_from(exponent).is_ok_and(|exponent| {
            factor.as_f64().is_some_and(|factor| {
                let text = format!("1e{exponent}");
                text.parse::<f64>().is_ok_and(|power| power.total_cmp(&factor).is_eq())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values_are_equal_but_for_spelling() {
        for (from, to) in [
            ("OPEN", "open"),
            ("in_progress", "inProgress"),
            ("open", "STATE_OPEN"),
            ("issue", "issues"),
        ] {
            assert!(respelled(from, to), "{from} {to}");
        }
        for (from, to) in [("open", "closed"), ("1", "01"), ("1", "low"), ("low", "slow")] {
            assert!(!respelled(from, to), "{from} {to}");
        }
    }
}
