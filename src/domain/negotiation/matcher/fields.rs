//! The members of one object carried over to another: same names first, then renames that have
//! evidence, then nesting; what is lost is refused by name.

use std::collections::BTreeMap;

use jsonptr::PointerBuf;
use serde_json::Value;

use super::super::names::{likeness, text_similarity};
use super::values::{Carriage, value};
use crate::domain::drift::is_default_changed;
use crate::domain::drift::normal::{is_closed, properties, required, shape, types, values};
use crate::domain::drift::words::{handle, units};
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
    let renames = renames(&lost, &fresh, &sources, &targets, &mut made.open);
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
    match value(side, from, into, place.as_str(), depth) {
        Carriage::Ops(ops) => made.ops.extend(ops),
        Carriage::Partly(ops, why) => {
            made.ops.extend(ops);
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
    if matches!(side, Side::Request { .. }) {
        keep_default(from, into, &place, name, made);
    }
    Some(())
}

/// A promised default that the peer changed is written out, so that an absent argument still means
/// what it meant.
fn keep_default(from: &Value, into: &Value, place: &PointerBuf, name: &str, made: &mut Carried) {
    let (Some(promised), offered) = (from.get("default"), into.get("default")) else { return };
    if !is_default_changed(Some(promised), offered) {
        return;
    }
    // The routine's own operations have carried the caller's values over; a default is written in the
    // offered spelling only where both admit it alike.
    let admitted = values(into).is_none_or(|list| list.contains(promised))
        && types(from).zip(types(into)).is_none_or(|(a, b)| a.is_subset(&b) || a == b);
    if admitted {
        made.ops.push(Op::Default { at: place.clone(), value: promised.clone() });
        // A changed default is semantic drift: the routine restores it, a person decides.
        made.open
            .push(format!("`{name}`: its default changed, and the promised one is written out"));
    } else {
        made.open.push(format!("`{name}`: its default changed and cannot be written out"));
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
    let score = |from: &str, to: &str| -> f64 {
        let (Some(old), Some(new)) = (sources.get(from), targets.get(to)) else { return 0.0 };
        evidence(from, old, to, new)
    };
    let mut made = BTreeMap::new();
    for from in lost {
        let Some(to) = fresh.iter().max_by(|a, b| score(from, a).total_cmp(&score(from, b))) else {
            continue;
        };
        let best = score(from, to);
        if best < LIKELY {
            continue;
        }
        let rival = fresh.iter().filter(|o| *o != to).map(|o| score(from, o));
        let rival = rival.chain(lost.iter().filter(|o| *o != from).map(|o| score(o, to)));
        if rival.fold(0.0, f64::max) > best - MARGIN {
            open.push(format!("`{from}` may be `{to}`, and something else fits as well"));
            continue;
        }
        if best < FIRM {
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
    let differs = |a: &str, b: &str| units(a) != units(b);
    if differs(from, to)
        || (differs(&before, &after) && !units(&before).is_empty() && !units(&after).is_empty())
    {
        return 0.0;
    }
    let names = likeness(from, to);
    if names.same {
        return 1.0;
    }
    let said = text_similarity(&before, &after);
    let same_text = !before.is_empty() && before == after;
    if same_text && shape(old) == shape(new) {
        return 0.95;
    }
    let within = names.apart == 1 || names.shared > names.apart;
    match (names.distinguishing.is_empty(), within) {
        (false, true) => 0.8 + 0.1 * said,
        _ if said > 0.6 && types(old) == types(new) => 0.55 + 0.2 * said,
        (true, true) if names.shared > 0 => 0.5 + 0.2 * said,
        _ => 0.0,
    }
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
            properties(target).any(|(n, s)| n == name && shape(s) == shape(schema))
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
            .find(|f| **f == name && targets.get(name).is_some_and(|t| shape(t) == shape(schema)))
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
    if reads && let Some(default) = lost.schema.get("default") {
        made.ops.push(Op::RemoveIf { at: place.clone(), one_of: vec![default.clone()] });
    }
    made.ops.push(Op::RefuseIf {
        at: place,
        not_one_of: None,
        reason: format!("`{}` is no longer accepted", lost.name),
    });
    Some(())
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
