//! What a routine means, told the slow and obvious way: each operation takes a tree and gives a tree.
//! Nothing here knows of spans, overlays or compiled paths.

use jsonptr::Pointer;
use stipula::domain::contract::Schema;
use stipula::domain::json::{Limits, Tape};
use stipula::domain::routine::{CaseArm, CastTo, Extracted, Op};

use super::moment;
use super::number::{self, Number};
use super::tree::Tree;

/// Why no document comes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// `refuse_if` at this pointer.
    Refused(String),
    /// The operation with this index failed.
    Failed(String),
    /// The numbers are too large for this interpreter: nothing is known.
    Beyond,
}

/// What comes out: the document (`None` where there is none) and the tool that was named.
pub(crate) type Meaning = Result<(Option<Tree>, Option<String>), Stop>;

/// Runs the operations on a document, or on none.
pub(crate) fn run(ops: &[Op], document: Option<Tree>) -> Meaning {
    let mut call = None;
    number::beyond();
    let done = list(ops, document, &mut call);
    if number::beyond() {
        return Err(Stop::Beyond);
    }
    Ok((done?, call))
}

type Document = Option<Tree>;

/// `Err(None)`: this operation failed.
type Step = Result<Document, Option<Stop>>;

fn list(ops: &[Op], mut document: Document, call: &mut Option<String>) -> Result<Document, Stop> {
    for (index, op) in ops.iter().enumerate() {
        document = step(op, document, call).map_err(|stop| match stop {
            None => Stop::Failed(index.to_string()),
            Some(Stop::Failed(inner)) => Stop::Failed(format!("{index}.{inner}")),
            Some(other) => other,
        })?;
    }
    Ok(document)
}

fn step(op: &Op, document: Document, call: &mut Option<String>) -> Step {
    match op {
        Op::Move { from, to, optional } => match (get(&document, from), optional) {
            (None, true) => Ok(document),
            (None, false) => Err(None),
            // Within one object a member keeps its place.
            (Some(_), _) if in_one_object(&document, from, to) => renamed(document, from, to),
            (Some(value), _) => put(without(document, from), to, value),
        },
        Op::Copy { from, to, optional } => match (get(&document, from), optional) {
            (None, true) => Ok(document),
            (None, false) => Err(None),
            (Some(value), _) => put(document, to, value),
        },
        Op::Remove { at } => Ok(without(document, at)),
        Op::Set { at, value } => put(document, at, Tree::of(value)),
        Op::Default { at, value } => match get(&document, at) {
            Some(_) => Ok(document),
            None => put(document, at, Tree::of(value)),
        },
        Op::Split { .. } | Op::Join { .. } | Op::Template { .. } | Op::Extract { .. } => {
            texts(op, document)
        }
        Op::Cases { .. }
        | Op::RemoveIf { .. }
        | Op::RefuseIf { .. }
        | Op::RefuseUnless { .. }
        | Op::Call { .. } => choices(op, document, call),
        // What is left changes one value where it stands, and does nothing where none stands.
        Op::Cast { at, .. }
        | Op::Map { at, .. }
        | Op::Scale { at, .. }
        | Op::Wrap { at }
        | Op::Unwrap { at, .. }
        | Op::Each { at, .. }
        | Op::Parse { at }
        | Op::Print { at }
        | Op::Date { at, .. }
        | Op::Clamp { at, .. } => match get(&document, at) {
            Some(value) => {
                let changed = changed(op, value)?;
                Ok(replaced(document, at, changed))
            }
            None => Ok(document),
        },
    }
}

/// The operations that cut and compose text.
fn texts(op: &Op, document: Document) -> Step {
    match op {
        Op::Split { from, separator, to } => {
            let text = string(&get(&document, from).ok_or(None)?)?;
            let parts: Vec<&str> = text.split(separator.as_str()).collect();
            if parts.len() != to.len() {
                return Err(None);
            }
            to.iter().zip(parts).try_fold(without(document, from), |document, (to, part)| {
                put(document, to, Tree::String(part.to_owned()))
            })
        }
        Op::Join { from, separator, to } => {
            let part = |from| string(&get(&document, from).ok_or(None)?);
            let sole = from.first().filter(|_| from.len() == 1).map(|from| get(&document, from));
            let parts: Vec<String> = match sole {
                Some(Some(Tree::Array(items))) => {
                    let texts: Vec<String> = items.iter().map(string).collect::<Result<_, _>>()?;
                    let holds = |text: &String| !separator.is_empty() && text.contains(separator);
                    if texts.iter().any(holds) {
                        return Err(None);
                    }
                    texts
                }
                _ => from.iter().map(|from| part(from)).collect::<Result<_, _>>()?,
            };
            let left = from.iter().fold(document, |left, from| without(left, from));
            put(left, to, Tree::String(parts.join(separator)))
        }
        Op::Template { text, to } => {
            let text = composed(text, &document)?;
            put(document, to, Tree::String(text))
        }
        Op::Extract { from, to, pattern, r#as } => {
            let text = string(&get(&document, from).ok_or(None)?)?;
            let found = regex::Regex::new(pattern).unwrap();
            let found = found.captures(&text).and_then(|found| found.get(1)).ok_or(None)?.as_str();
            let value = match r#as {
                None | Some(Extracted::String) => Tree::String(found.to_owned()),
                Some(Extracted::Number) => {
                    Number::read(found).ok_or(None)?;
                    Tree::Number(found.to_owned())
                }
                Some(Extracted::Integer) => integer(found).map(Tree::Number).ok_or(None)?,
            };
            put(document, to, value)
        }
        _ => unreachable!("no operation on text"),
    }
}

/// The operations that look at a value and choose.
fn choices(op: &Op, document: Document, call: &mut Option<String>) -> Step {
    match op {
        Op::Cases { at, when, r#else } => {
            let found = get(&document, at);
            let fits = |arm: &&CaseArm| match (&arm.is, &found) {
                (Some(values), Some(found)) => values.iter().any(|it| same(found, &Tree::of(it))),
                (None, None) => true,
                _ => false,
            };
            let ops = when.iter().find(fits).map(|arm| &arm.ops).or(r#else.as_ref()).ok_or(None)?;
            list(ops, document, call).map_err(Some)
        }
        Op::RemoveIf { at, one_of } => {
            let found = get(&document, at);
            let hit = |found| one_of.iter().any(|value| same(found, &Tree::of(value)));
            Ok(if found.as_ref().is_some_and(hit) { without(document, at) } else { document })
        }
        Op::RefuseIf { at, not_one_of, .. } => {
            let listed = |found: &Tree| {
                let values = not_one_of.iter().flatten();
                values.into_iter().any(|value| same(found, &Tree::of(value)))
            };
            match get(&document, at) {
                Some(found) if !listed(&found) => Err(Some(Stop::Refused(at.to_string()))),
                _ => Ok(document),
            }
        }
        Op::RefuseUnless { at, fits, .. } => {
            let fits = Schema::compile(fits).unwrap();
            let admits = |found: Tree| {
                let (text, mut tape) = (found.text(), Tape::default());
                let read = tape.read(text.as_bytes(), Limits::default()).unwrap();
                fits.admits(read.root())
            };
            match get(&document, at).is_none_or(admits) {
                true => Ok(document),
                false => Err(Some(Stop::Refused(at.to_string()))),
            }
        }
        Op::Call { tool } => {
            *call = Some(tool.clone());
            Ok(document)
        }
        _ => unreachable!("no choice"),
    }
}

fn changed(op: &Op, value: Tree) -> Result<Tree, Option<Stop>> {
    match op {
        Op::Cast { to, .. } => cast(value, *to).ok_or(None),
        Op::Map { table, .. } => {
            let row = table.iter().find(|row| same(&value, &Tree::of(&row.from)));
            row.map(|row| Tree::of(&row.to)).ok_or(None)
        }
        Op::Scale { factor, offset, .. } => {
            let read = |text: String| Number::read(&text).ok_or(None);
            let offset = offset.as_ref().map_or("0".to_owned(), ToString::to_string);
            let value = number(&value)?;
            let scaled = value.scaled(read(factor.to_string())?, read(offset)?);
            Ok(Tree::Number(scaled.ok_or(Some(Stop::Beyond))?.text()))
        }
        Op::Wrap { .. } => Ok(Tree::Array(vec![value])),
        Op::Unwrap { member: Some(name), .. } => match value {
            Tree::Object(mut members) if members.len() == 1 && members[0].0 == *name => {
                Ok(members.remove(0).1)
            }
            _ => Err(None),
        },
        Op::Unwrap { .. } => match value {
            Tree::Array(mut items) if items.len() == 1 => Ok(items.remove(0)),
            _ => Err(None),
        },
        Op::Each { at, ops } => {
            let Tree::Array(items) = value else { return Err(None) };
            let each = items.into_iter().enumerate().map(|(index, item)| {
                let item = list(ops, Some(item), &mut None).map_err(|stop| match stop {
                    Stop::Refused(inner) => Stop::Refused(format!("{at}/{index}{inner}")),
                    other => other,
                });
                item.map_err(Some)?.ok_or(None)
            });
            each.collect::<Result<_, _>>().map(Tree::Array)
        }
        // A text that is no JSON is the caller's: that call is refused by name.
        Op::Parse { at } => {
            let refused = || Some(Stop::Refused(at.to_string()));
            let text = string(&value).map_err(|_| refused())?;
            let sound = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            let read = sound.then(|| Tree::read(&text)).ok_or_else(refused)?;
            if twice(&read) { Err(refused()) } else { Ok(read) }
        }
        Op::Print { .. } => Ok(Tree::String(value.printed())),
        Op::Date { from, to, .. } => dated(&value, from, to).ok_or(None),
        Op::Clamp { min, max, .. } => {
            let own = number(&value)?;
            let bound =
                |bound: &Option<serde_json::Number>| bound.as_ref().map(ToString::to_string);
            let beyond = |bound: &String, is: fn(std::cmp::Ordering) -> bool| {
                is(own.compare(Number::read(bound).unwrap()))
            };
            let low = bound(min).filter(|min| beyond(min, std::cmp::Ordering::is_lt));
            let high = bound(max).filter(|max| beyond(max, std::cmp::Ordering::is_gt));
            Ok(low.or(high).map_or(value, Tree::Number))
        }
        _ => unreachable!("not an operation in place"),
    }
}

fn string(value: &Tree) -> Result<String, Option<Stop>> {
    match value {
        Tree::String(text) => Ok(text.clone()),
        _ => Err(None),
    }
}

fn number(value: &Tree) -> Result<Number, Option<Stop>> {
    match value {
        Tree::Number(text) => Number::read(text).ok_or(None),
        _ => Err(None),
    }
}

/// Whether some object has a name twice.
fn twice(value: &Tree) -> bool {
    match value {
        Tree::Array(items) => items.iter().any(twice),
        Tree::Object(members) => members.iter().enumerate().any(|(index, (name, value))| {
            twice(value) || members[..index].iter().any(|(earlier, _)| earlier == name)
        }),
        _ => false,
    }
}

/// The same JSON value: numbers by value, members in any order; a lone surrogate equals nothing.
fn same(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Number(a), Tree::Number(b)) => Number::read(a) == Number::read(b),
        (Tree::Odd(_), _) | (_, Tree::Odd(_)) => false,
        (Tree::Array(a), Tree::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Tree::Object(a), Tree::Object(b)) => {
            let found = |(name, value): &(String, Tree)| {
                b.iter().any(|(other, theirs)| other == name && same(value, theirs))
            };
            a.len() == b.len() && a.iter().all(found)
        }
        _ => a == b,
    }
}

/// An integer without point or exponent, from the text of a number.
fn integer(text: &str) -> Option<String> {
    let value = Number::read(text)?;
    match text {
        "-0" => Some("0".to_owned()),
        _ if text.contains(['.', 'e', 'E']) => value.integer(),
        _ => Some(text.to_owned()),
    }
}

fn cast(value: Tree, to: CastTo) -> Option<Tree> {
    Some(match (to, value) {
        (CastTo::String, Tree::Number(text)) => {
            let plain = integer(&text).filter(|plain| plain.len() <= 40);
            Tree::String(plain.unwrap_or(text))
        }
        (CastTo::String, Tree::Bool(flag)) => Tree::String(flag.to_string()),
        (CastTo::Integer, Tree::Number(text) | Tree::String(text)) => Tree::Number(integer(&text)?),
        (CastTo::Number, Tree::String(text)) => {
            Number::read(&text)?;
            Tree::Number(text)
        }
        (CastTo::Boolean, Tree::String(text)) if text == "true" => Tree::Bool(true),
        (CastTo::Boolean, Tree::String(text)) if text == "false" => Tree::Bool(false),
        (CastTo::String, same @ (Tree::String(_) | Tree::Odd(_)))
        | (CastTo::Number, same @ Tree::Number(_))
        | (CastTo::Boolean, same @ Tree::Bool(_)) => same,
        _ => return None,
    })
}

fn dated(value: &Tree, from: &str, to: &str) -> Option<Tree> {
    const MILLI: i128 = 1_000_000;
    let at = match (from, value) {
        ("rfc3339", Tree::String(text)) => moment::rfc3339(text)?,
        ("date", Tree::String(text)) => moment::plain_date(text)?,
        ("%d.%m.%Y", Tree::String(text)) => moment::dotted(text)?,
        ("%Y-%m-%d %H:%M:%S", Tree::String(text)) => moment::spaced(text)?,
        ("unix_s", Tree::Number(text)) => {
            Number::read(text)?.integer()?.parse::<i128>().ok()? * 1000 * MILLI
        }
        ("unix_ms", Tree::Number(text)) => {
            Number::read(text)?.integer()?.parse::<i128>().ok()? * MILLI
        }
        _ => return None,
    };
    // Between the first and the last moment that a four-digit year can tell.
    (-62_167_219_200_000 * MILLI..253_402_300_800_000 * MILLI).contains(&at).then_some(())?;
    let whole = |unit: i128| (at % unit == 0).then(|| Tree::Number((at / unit).to_string()));
    match to {
        "unix_s" => whole(1000 * MILLI),
        "unix_ms" => whole(MILLI),
        _ => moment::text(to, at).map(Tree::String),
    }
}

/// Constant text with `{/pointer}` parts; `{{` stands for `{`.
fn composed(template: &str, document: &Document) -> Result<String, Option<Stop>> {
    let mut out = String::new();
    let mut rest = template.chars();
    while let Some(char) = rest.next() {
        if char != '{' {
            out.push(char);
        } else if let Some(after) = rest.as_str().strip_prefix('{') {
            out.push('{');
            rest = after.chars();
        } else {
            let pointer: String = rest.by_ref().take_while(|char| *char != '}').collect();
            match get(document, Pointer::parse(&pointer).unwrap()) {
                Some(Tree::String(text) | Tree::Number(text)) => out.push_str(&text),
                Some(Tree::Bool(flag)) => out.push_str(&flag.to_string()),
                _ => return Err(None),
            }
        }
    }
    Ok(out)
}

fn names(at: &Pointer) -> Vec<String> {
    at.tokens().map(|token| token.decoded().into_owned()).collect()
}

/// The index that a name is: digits without a leading zero.
fn index(name: &str) -> Option<usize> {
    let index: usize = name.parse().ok()?;
    (index.to_string() == name).then_some(index)
}

fn get(document: &Document, at: &Pointer) -> Option<Tree> {
    let mut value = document.as_ref()?;
    for name in names(at) {
        value = match value {
            Tree::Object(members) => &members.iter().find(|(key, _)| *key == name)?.1,
            Tree::Array(items) => items.get(index(&name)?)?,
            _ => return None,
        };
    }
    Some(value.clone())
}

/// The container that a pointer's last name stands in, taken apart: its pointer and the name.
fn above(at: &Pointer) -> Option<(Vec<String>, String)> {
    let mut names = names(at);
    let last = names.pop()?;
    Some((names, last))
}

/// The document with what stands at a place changed; `None` for the value takes it away.
fn edited(
    value: Tree,
    names: &[String],
    edit: &mut dyn FnMut(Tree) -> Option<Tree>,
) -> Option<Tree> {
    let Some((name, deeper)) = names.split_first() else { return edit(value) };
    Some(match value {
        Tree::Object(members) => {
            let member = |(key, value): (String, Tree)| match key == *name {
                true => edited(value, deeper, edit).map(|value| (key, value)),
                false => Some((key, value)),
            };
            Tree::Object(members.into_iter().filter_map(member).collect())
        }
        Tree::Array(items) => {
            let mut out = Vec::new();
            for (at, item) in items.into_iter().enumerate() {
                match index(name) == Some(at) {
                    true => out.extend(edited(item, deeper, edit)),
                    false => out.push(item),
                }
            }
            Tree::Array(out)
        }
        other => other,
    })
}

fn without(document: Document, at: &Pointer) -> Document {
    edited(document?, &names(at), &mut |_| None)
}

fn replaced(document: Document, at: &Pointer, value: Tree) -> Document {
    edited(document?, &names(at), &mut |_| Some(value.clone()))
}

fn in_one_object(document: &Document, from: &Pointer, to: &Pointer) -> bool {
    let (Some((old, _)), Some((new, _))) = (above(from), above(to)) else { return false };
    let holder = from.parent().and_then(|parent| get(document, parent));
    old == new && matches!(holder, Some(Tree::Object(_)))
}

fn renamed(document: Document, from: &Pointer, to: &Pointer) -> Step {
    if from != to && get(&document, to).is_some() {
        return Err(None);
    }
    let (Some((names, old)), Some((_, new))) = (above(from), above(to)) else { return Err(None) };
    let mut rename = |holder: Tree| {
        let Tree::Object(members) = holder else { return Some(holder) };
        let renamed = |(key, value)| (if key == old { new.clone() } else { key }, value);
        Some(Tree::Object(members.into_iter().map(renamed).collect()))
    };
    Ok(edited(document.ok_or(None)?, &names, &mut rename))
}

/// Puts a value where nothing stands; objects that are missing above it are made.
fn put(document: Document, at: &Pointer, value: Tree) -> Step {
    let names = names(at);
    match (document, names.is_empty()) {
        (Some(_), true) => Err(None),
        (None, true) => Ok(Some(value)),
        (document, false) => placed(document.unwrap_or(Tree::Object(Vec::new())), &names, value)
            .map(Some)
            .ok_or(None),
    }
}

fn placed(holder: Tree, names: &[String], value: Tree) -> Option<Tree> {
    let (name, deeper) = names.split_first()?;
    let fresh = |value: Tree| match deeper.is_empty() {
        true => Some(value),
        false => placed(Tree::Object(Vec::new()), deeper, value),
    };
    match holder {
        Tree::Object(mut members) => {
            match members.iter().position(|(key, _)| key == name) {
                Some(_) if deeper.is_empty() => return None,
                Some(at) => members[at].1 = placed(members[at].1.clone(), deeper, value)?,
                None => members.push((name.clone(), fresh(value)?)),
            }
            Some(Tree::Object(members))
        }
        Tree::Array(mut items) => {
            let at = if name == "-" { items.len() } else { index(name)? };
            match at.cmp(&items.len()) {
                std::cmp::Ordering::Less if deeper.is_empty() => return None,
                std::cmp::Ordering::Less => items[at] = placed(items[at].clone(), deeper, value)?,
                std::cmp::Ordering::Equal => items.push(fresh(value)?),
                std::cmp::Ordering::Greater => return None,
            }
            Some(Tree::Array(items))
        }
        _ => None,
    }
}
