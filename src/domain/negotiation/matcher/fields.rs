//! The members of one object carried over to another: same names first, then renames that have
//! evidence, then nesting; what is lost is refused by name.

use std::collections::{BTreeMap, BTreeSet};

use jsonptr::PointerBuf;
use serde_json::{Value, json};

use super::super::names::{likeness, text_similarity};
use super::values::{Carriage, value};
use crate::domain::drift::normal::{
    admitted, is_closed, properties, required, same_shape, types, values,
};
use crate::domain::drift::words::{handle, units, words};
use crate::domain::drift::{fits, is_default_changed};
use crate::domain::routine::Op;

/// Which way values flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Promised arguments to offered ones.
    Request {
        /// Whether both tools only look.
        reads: bool,
    },
    /// An offered reply to the promised one.
    Reply,
}

/// What carries an object over.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub(super) ops: Vec<Op>,
    pub(super) open: Vec<String>,
}

/// A rename below this likeness is not proposed; from `FIRM` on it is not left open.
const LIKELY: f64 = 0.55;
const FIRM: f64 = 0.8;
/// By how much the best rename must be ahead of the next.
const MARGIN: f64 = 0.15;

/// Carries the members at the root. `fixed` are target members that are filled already.
pub(super) fn carry(side: Side, from: &Value, into: &Value, fixed: &[&str]) -> Option<Carried> {
    members(side, from, into, fixed, "", 0)
}

/// Carries the members of an object inside.
pub(super) fn inside(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
) -> Option<Carried> {
    members(side, from, into, &[], at, depth)
}

/// The pointer of a place.
pub(super) fn place(at: &str) -> PointerBuf {
    PointerBuf::parse(at).unwrap_or_default()
}

/// The pointer of a member.
pub(super) fn at(base: &str, name: &str) -> PointerBuf {
    super::pointer(base, name)
}

fn members(
    side: Side,
    from: &Value,
    into: &Value,
    fixed: &[&str],
    base: &str,
    depth: usize,
) -> Option<Carried> {
    let mut made = Carried::default();
    let sources: BTreeMap<&str, &Value> = properties(from).map(|(n, s)| (n.as_str(), s)).collect();
    let targets: BTreeMap<&str, &Value> = properties(into)
        .map(|(n, s)| (n.as_str(), s))
        .filter(|(name, _)| !fixed.contains(name))
        .collect();
    let lost: Vec<&str> =
        sources.keys().filter(|name| !targets.contains_key(*name)).copied().collect();
    let fresh: Vec<&str> =
        targets.keys().filter(|name| !sources.contains_key(*name)).copied().collect();
    let mut filled: Vec<&str> = Vec::new();
    let needs = required(from);

    for (name, schema) in &sources {
        if let Some(target) = targets.get(name) {
            filled.push(name);
            let optional = !needs.contains(name);
            place_value(side, schema, target, base, name, (name, optional), depth, &mut made)?;
        }
    }
    let mut renames = renames(&lost, &fresh, &sources, &targets, &mut made.open);
    if matches!(side, Side::Request { .. }) {
        let ends =
            Ends { sources: &sources, targets: &targets, needs: &needs, asks: &required(into) };
        ends.left_over(&lost, &fresh, &mut renames, &mut made.open);
    }
    for name in lost {
        let schema = sources.get(name)?;
        let optional = !needs.contains(name);
        let whole = Lost { side, name, schema, optional, base };
        if let Some(to) = renames.get(name) {
            filled.push(to);
            made.ops.push(Op::Move { from: at(base, name), to: at(base, to), optional });
            let target = targets.get(to)?;
            place_value(side, schema, target, base, to, (name, optional), depth, &mut made)?;
        } else if let Some(container) = nested(name, schema, &fresh, &targets) {
            let inner = at(base, container);
            filled.push(container);
            made.ops.push(Op::Move {
                from: at(base, name),
                to: at(inner.as_str(), name),
                optional,
            });
        } else if !unnest(&whole, &fresh, &targets, &mut filled, &mut made) {
            give_up(&whole, into, &mut made)?;
        }
    }
    fill(side, from, into, fixed, base, &filled, &mut made)?;
    Some(made)
}

/// A source member without a target of its name.
struct Lost<'a> {
    side: Side,
    name: &'a str,
    schema: &'a Value,
    optional: bool,
    base: &'a str,
}

/// Carries one value to its place, which already holds it under the target's name.
#[expect(clippy::too_many_arguments, reason = "one place for what a member needs to be carried")]
fn place_value(
    side: Side,
    from: &Value,
    into: &Value,
    base: &str,
    target: &str,
    (name, optional): (&str, bool),
    depth: usize,
    made: &mut Carried,
) -> Option<()> {
    let place = at(base, target);
    let asks = matches!(side, Side::Request { .. });
    match value(side, from, into, place.as_str(), depth) {
        Carriage::Ops(ops) => keep_default(asks, (from, into), &place, name, ops, made),
        Carriage::Partly(ops, why) => {
            keep_default(asks, (from, into), &place, name, ops, made);
            made.open.push(format!("`{name}`: {why}"));
        }
        Carriage::Lost(why) => {
            made.open.push(format!("`{name}`: {why}"));
            match side {
                Side::Request { .. } if optional => made.ops.push(Op::RefuseIf {
                    at: place.clone(),
                    not_one_of: None,
                    reason: format!("`{name}` cannot be carried over"),
                }),
                Side::Request { .. } => return None,
                Side::Reply => {}
            }
        }
    }
    Some(())
}

/// Adds what carries a value over. A promised default that the peer changed is written out before it,
/// so that an absent argument still means what it meant and is spelled anew like any other.
fn keep_default(
    asks: bool,
    (from, into): (&Value, &Value),
    place: &PointerBuf,
    name: &str,
    ops: Vec<Op>,
    made: &mut Carried,
) {
    let (promised, offered) = (from.get("default"), into.get("default"));
    let respelled = promised.map(|promised| {
        let tables = ops.iter().filter_map(|op| match op {
            Op::Map { at, table } if at == place => Some(table),
            _ => None,
        });
        let row = tables.flatten().find(|row| row.from == *promised);
        row.map_or(promised, |row| &row.to).clone()
    });
    if asks
        && let Some(promised) = promised
        && is_default_changed(respelled.as_ref(), offered)
    {
        made.ops.push(Op::Default { at: place.clone(), value: promised.clone() });
        // A changed default is semantic drift: the routine restores it, a person decides.
        made.open
            .push(format!("`{name}`: its default changed, and the promised one is written out"));
        made.ops.extend(ops);
        if let Some(spelled) = &respelled
            && values(into).is_some_and(|list| !list.contains(spelled))
            && !made.ops.iter().any(|op| matches!(op, Op::RefuseUnless { at, .. } if at == place))
        {
            made.ops.push(Op::RefuseUnless {
                at: place.clone(),
                fits: admitted(into),
                reason: "the peer no longer takes the promised default".to_owned(),
            });
        }
        return;
    }
    made.ops.extend(ops);
}

/// Both ends of a mapping between members, and which of them must be there.
struct Ends<'e, 'a> {
    sources: &'e BTreeMap<&'a str, &'a Value>,
    targets: &'e BTreeMap<&'a str, &'a Value>,
    needs: &'e BTreeSet<&'a str>,
    asks: &'e BTreeSet<&'a str>,
}

impl<'a> Ends<'_, 'a> {
    /// What is left on either side where it is the only one of its kind. That is no evidence, so it is
    /// left open: the one required argument that vanished and the one that came; or the one vanished
    /// and the one new argument of one kind of handle.
    fn left_over(
        &self,
        lost: &[&'a str],
        fresh: &[&'a str],
        renames: &mut BTreeMap<&'a str, &'a str>,
        open: &mut Vec<String>,
    ) {
        let gone: Vec<&str> = lost.iter().filter(|n| !renames.contains_key(*n)).copied().collect();
        let come: Vec<&str> =
            fresh.iter().filter(|n| !renames.values().any(|to| to == *n)).copied().collect();
        let alone = |from: &str, to: &str| {
            let needed = |n: &&&str| self.needs.contains(**n);
            let asked = |n: &&&str| self.asks.contains(**n);
            let of_kind = |n: &&&str| handle(n) == handle(from);
            let only = |left: usize, right: usize| left == 1 && right == 1;
            (self.asks.contains(to)
                && only(gone.iter().filter(needed).count(), come.iter().filter(asked).count()))
                || (handle(from).is_some()
                    && only(
                        gone.iter().filter(of_kind).count(),
                        come.iter().filter(of_kind).count(),
                    ))
        };
        for from in gone.iter().filter(|name| self.needs.contains(**name)) {
            let to = come
                .iter()
                .find(|to| handle(from) == handle(to) && alone(from, to) && self.fits(from, to));
            if let Some(to) = to {
                renames.insert(*from, *to);
                open.push(format!("`{from}` may be `{to}`: only what is left over says so"));
            }
        }
    }

    fn fits(&self, from: &str, to: &str) -> bool {
        let (Some(old), Some(new)) = (self.sources.get(from), self.targets.get(to)) else {
            return false;
        };
        let (before, after) = (units(from), units(to));
        let clash = before != after && !before.is_empty() && !after.is_empty();
        !clash
            && !matches!(value(Side::Request { reads: false }, old, new, "", 0), Carriage::Lost(_))
    }
}

/// Renames with evidence, one to one, each ahead of every competitor by a margin.
fn renames<'a>(
    lost: &[&'a str],
    fresh: &[&'a str],
    sources: &BTreeMap<&str, &Value>,
    targets: &BTreeMap<&str, &Value>,
    open: &mut Vec<String>,
) -> BTreeMap<&'a str, &'a str> {
    let mut pairs: Vec<(f64, &'a str, &'a str)> = Vec::new();
    for from in lost {
        for to in fresh {
            let (Some(old), Some(new)) = (sources.get(from), targets.get(to)) else { continue };
            pairs.push((evidence(from, old, to, new), *from, *to));
        }
    }
    pairs.retain(|(score, ..)| *score >= LIKELY - MARGIN);
    // The firmest first: what is settled competes no longer.
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut made = BTreeMap::new();
    let mut held: BTreeSet<&str> = BTreeSet::new();
    for (best, from, to) in pairs.iter().filter(|(score, ..)| *score >= LIKELY) {
        let free = |made: &BTreeMap<&'a str, &'a str>, from: &str, to: &str| {
            !made.contains_key(from) && !made.values().any(|taken| *taken == to)
        };
        if held.contains(from) || !free(&made, from, to) {
            continue;
        }
        let rival = pairs.iter().any(|(score, f, t)| {
            ((f == from) != (t == to)) && *score > best - MARGIN && free(&made, f, t)
        });
        if rival {
            held.insert(from);
            open.push(format!("`{from}` may be `{to}`, and something else fits as well"));
            continue;
        }
        if *best < FIRM {
            open.push(format!(
                "`{from}` may be `{to}`: no distinguishing word and no text says so"
            ));
        }
        made.insert(*from, *to);
    }
    made
}

/// How much speaks for a rename, from 0 to 1.
fn evidence(from: &str, old: &Value, to: &str, new: &Value) -> f64 {
    if let Carriage::Lost(_) = value(Side::Reply, old, new, "", 0) {
        return 0.0;
    }
    let (one, other) = (handle(from), handle(to));
    if one.is_some() && other.is_some() && one != other {
        return 0.0;
    }
    let text = |schema: &Value| -> String {
        schema.get("description").and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    };
    let (before, after) = (text(old), text(new));
    // Both state a unit, and not the same one. A unit on one side only is the gate's to decide.
    let clash = |a: &str, b: &str| {
        let (a, b) = (units(a), units(b));
        a != b && !a.is_empty() && !b.is_empty()
    };
    if clash(from, to) || clash(&before, &after) {
        return 0.0;
    }
    let names = likeness(from, to);
    if names.same {
        return 1.0;
    }
    // The very same closed list of values, and a list that tells.
    if let (Some(one), Some(other)) = (values(old), values(new))
        && one == other
        && one.iter().filter(|value| value.is_string()).count() > 1
    {
        return 0.78;
    }
    let said = text_similarity(&before, &after);
    let same_text = !before.is_empty() && before == after;
    if same_text && same_shape(old, new) {
        return 0.95;
    }
    let within = names.apart == 1 || names.shared > names.apart;
    match (names.distinguishing.is_empty(), within) {
        (false, true) => 0.8 + 0.1 * said,
        _ if said > 0.6 && types(old) == types(new) => 0.55 + 0.2 * said,
        // One name is the other with a word more or less.
        (true, _) if names.shared > 0 && within_other(from, to) => 0.6 + 0.1 * said,
        (true, true) if names.shared > 0 => 0.5 + 0.2 * said,
        _ => 0.0,
    }
}

/// Whether all words of one name stand in the other.
fn within_other(one: &str, other: &str) -> bool {
    let (one, other): (BTreeSet<String>, BTreeSet<String>) =
        (words(one).into_iter().collect(), words(other).into_iter().collect());
    one.is_subset(&other) || other.is_subset(&one)
}

/// The one optional container of the target that declares a member of this very name and shape.
fn nested<'a>(
    name: &str,
    schema: &Value,
    fresh: &[&'a str],
    targets: &BTreeMap<&str, &Value>,
) -> Option<&'a str> {
    let mut holds = fresh.iter().filter(|container| {
        targets.get(*container).is_some_and(|target| {
            properties(target).any(|(n, s)| n == name && (same_shape(s, schema) || fits(schema, s)))
        })
    });
    let only = holds.next()?;
    holds.next().is_none().then_some(*only)
}

/// Members of an object that now stand beside it: all of them, or none.
fn unnest<'a>(
    lost: &Lost<'_>,
    fresh: &[&'a str],
    targets: &BTreeMap<&str, &Value>,
    filled: &mut Vec<&'a str>,
    made: &mut Carried,
) -> bool {
    let inner: Vec<(&String, &Value)> = properties(lost.schema).collect();
    let target = |name: &str, schema: &Value| {
        fresh
            .iter()
            .find(|f| **f == name && targets.get(name).is_some_and(|t| same_shape(t, schema)))
    };
    let found: Vec<&&'a str> = inner.iter().filter_map(|(n, s)| target(n, s)).collect();
    let enough = match lost.side {
        Side::Request { .. } => found.len() == inner.len(),
        Side::Reply => true,
    };
    if found.is_empty() || !enough || found.iter().any(|f| filled.contains(f)) {
        return false;
    }
    let needs = required(lost.schema);
    let container = at(lost.base, lost.name);
    for name in found {
        filled.push(name);
        let optional = lost.optional || !needs.contains(*name);
        made.ops.push(Op::Move {
            from: at(container.as_str(), name),
            to: at(lost.base, name),
            optional,
        });
    }
    made.ops.push(Op::Remove { at: container });
    true
}

/// Nothing takes the member: a request that carries it is refused by name.
fn give_up(lost: &Lost<'_>, into: &Value, made: &mut Carried) -> Option<()> {
    let place = at(lost.base, lost.name);
    let Side::Request { reads } = lost.side else {
        if is_closed(into) {
            made.ops.push(Op::Remove { at: place });
        }
        return Some(());
    };
    if !lost.optional {
        return None;
    }
    if first_page(lost.name, lost.schema, into) {
        made.ops.push(Op::RemoveIf { at: place.clone(), one_of: vec![json!(1)] });
    }
    // Where a person decides anyway, an explicit null is left out as an absent argument is.
    let told = !made.open.is_empty() && lost.schema.get("default") == Some(&Value::Null);
    if (reads || told)
        && let Some(default) = lost.schema.get("default")
    {
        made.ops.push(Op::RemoveIf { at: place.clone(), one_of: vec![default.clone()] });
    }
    made.ops.push(Op::RefuseIf {
        at: place,
        not_one_of: None,
        reason: format!("`{}` is no longer accepted", lost.name),
    });
    Some(())
}

/// Whether a page's number is gone where a cursor now says where to go on: the first page is where a
/// call without a cursor begins.
fn first_page(name: &str, schema: &Value, into: &Value) -> bool {
    let numbers = types(schema)
        .is_some_and(|types| types.iter().all(|it| matches!(*it, "integer" | "number" | "null")));
    let cursor = |name: &String| {
        words(name).iter().any(|word| matches!(word.as_str(), "after" | "cursor" | "token"))
    };
    numbers && words(name) == ["page"] && properties(into).any(|(name, _)| cursor(name))
}

/// Required members of the target that nothing filled: what a schema dictates, or nothing.
fn fill(
    side: Side,
    from: &Value,
    into: &Value,
    fixed: &[&str],
    base: &str,
    filled: &[&str],
    made: &mut Carried,
) -> Option<()> {
    let needed = required(from);
    let targets: BTreeMap<&str, &Value> = properties(into).map(|(n, s)| (n.as_str(), s)).collect();
    for name in required(into).into_iter().filter(|name| !fixed.contains(name)) {
        let place = at(base, name);
        let schema = targets.get(name).copied();
        if filled.contains(&name) {
            let source = properties(from).find(|(n, _)| *n == name).map(|(_, s)| s);
            if source.is_none() || needed.contains(name) {
                continue;
            }
            match (side, source.and_then(|s| s.get("default"))) {
                (Side::Request { .. }, Some(default)) if !default.is_null() => {
                    let value = default.clone();
                    made.ops.retain(|op| !matches!(op, Op::Default { at, .. } if *at == place));
                    made.ops.push(Op::Default { at: place, value });
                }
                _ => made.open.push(format!("`{name}` is now required and may be absent")),
            }
            continue;
        }
        if side == Side::Reply {
            made.open.push(format!("the reply no longer has `{name}`"));
            continue;
        }
        let dictated = schema.and_then(|s| match values(s).map(Vec::as_slice) {
            Some([one]) => Some(one.clone()),
            _ => s.get("default").cloned(),
        });
        made.ops.push(Op::Set { at: place, value: dictated? });
    }
    Some(())
}
