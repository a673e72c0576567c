//! Runs steps over an overlay. Pure: the same document gives the same bytes.

use super::change::{as_text, cast, clamped, integer, parsed, printed, scale, unwrapped, word};
use super::compile::LIMITS;
use super::decimal::is_number;
use super::fault::Failure;
use super::model::Extracted;
use super::overlay::{Blocked, Node, Overlay};
use super::path::Path;
use super::step::{Part, Step};
use crate::domain::contract::Schema;
use crate::domain::json::{Kind, Limits, Tape};

/// One run of one list of steps.
#[derive(Debug, Default)]
pub(super) struct Run<'a> {
    /// The tool that the last `call` named.
    pub(super) call: Option<&'a str>,
    steps: usize,
    made: usize,
}

impl<'a> Run<'a> {
    /// Runs the steps in order.
    pub(super) fn list(
        &mut self,
        steps: &'a [Step],
        over: &mut Overlay<'a>,
    ) -> Result<(), Failure> {
        for (index, step) in steps.iter().enumerate() {
            self.steps += 1;
            if self.steps > LIMITS.steps {
                let what = format!("expected at most {} steps in one run", LIMITS.steps);
                return Err(Failure::of(what).inside(index));
            }
            self.step(step, over).map_err(|failure| failure.inside(index))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &'a Step, over: &mut Overlay<'a>) -> Result<(), Failure> {
        match step {
            Step::Move { from, to, optional } => moved(over, from, to, *optional),
            Step::Copy { from, to, optional } => match over.find(from).map(|it| it.into_owned()) {
                Some(node) => {
                    self.charge(node.size())?;
                    put(over, to, node)
                }
                None => absent(from, *optional),
            },
            Step::Remove { at } => {
                over.take(at);
                Ok(())
            }
            Step::Set { at, value } => {
                self.charge(value.size())?;
                put(over, at, value.node())
            }
            Step::Default { at, value } if over.find(at).is_none() => {
                self.charge(value.size())?;
                put(over, at, value.node())
            }
            Step::Default { .. } => Ok(()),
            Step::Cast { .. }
            | Step::Map { .. }
            | Step::Scale { .. }
            | Step::Wrap { .. }
            | Step::Unwrap { .. }
            | Step::Parse { .. }
            | Step::Print { .. }
            | Step::Date { .. }
            | Step::Clamp { .. } => self.change(step, over),
            Step::Split { from, separator, to } => split(over, from, separator, to),
            Step::Join { from, separator, to } => join(over, from, separator, to),
            Step::Template { parts, to } => {
                let text = self.composed(over, parts)?;
                put(over, to, Node::string(&text))
            }
            Step::Extract { from, to, pattern, r#as } => {
                let node = extracted(over, from, pattern, *r#as)?;
                self.charge(node.size())?;
                put(over, to, node)
            }
            Step::Each { at, steps } => self.each(at, steps, over),
            Step::Cases { .. }
            | Step::RemoveIf { .. }
            | Step::RefuseIf { .. }
            | Step::RefuseUnless { .. }
            | Step::Call { .. } => self.choose(step, over),
        }
    }

    /// The operations that look at a value and choose.
    fn choose(&mut self, step: &'a Step, over: &mut Overlay<'a>) -> Result<(), Failure> {
        match step {
            Step::Cases { at, when, r#else } => {
                let found = over.find(at);
                let arm = when.iter().find(|arm| match (&arm.is, &found) {
                    (Some(values), Some(node)) => values.iter().any(|value| node.equals(value)),
                    (None, None) => true,
                    _ => false,
                });
                let steps = arm.map(|arm| &arm.steps).or(r#else.as_ref());
                drop(found);
                let missing =
                    || Failure::of(format!("{at}: no case fits what came", at = at.pointer));
                self.list(steps.ok_or_else(missing)?, over)
            }
            Step::RemoveIf { at, one_of } => {
                let hit = |it: &Node<'_>| one_of.iter().any(|value| it.equals(value));
                if over.find(at).is_some_and(|node| hit(&node)) {
                    over.take(at);
                }
                Ok(())
            }
            Step::RefuseIf { at, not_one_of, reason } => {
                let listed = |it: &Node<'_>| {
                    not_one_of.as_ref().is_some_and(|all| all.iter().any(|value| it.equals(value)))
                };
                match over.find(at) {
                    Some(node) if !listed(&node) => Err(Failure::Refused {
                        pointer: at.pointer.clone(),
                        reason: reason.clone(),
                    }),
                    _ => Ok(()),
                }
            }
            Step::RefuseUnless { at, fits, reason } => match over.find(at) {
                Some(node) if !fitting(&node, fits) => {
                    Err(Failure::Refused { pointer: at.pointer.clone(), reason: reason.clone() })
                }
                _ => Ok(()),
            },
            Step::Call { tool } => {
                self.call = Some(tool);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The operations that change one value where it stands; where it is absent, they do nothing.
    fn change(&mut self, step: &'a Step, over: &mut Overlay<'a>) -> Result<(), Failure> {
        let (Step::Cast { at, .. }
        | Step::Map { at, .. }
        | Step::Scale { at, .. }
        | Step::Wrap { at }
        | Step::Unwrap { at, .. }
        | Step::Parse { at }
        | Step::Print { at }
        | Step::Date { at, .. }
        | Step::Clamp { at, .. }) = step
        else {
            return Ok(());
        };
        let Some(slot) = over.slot(at) else { return Ok(()) };
        let changed = match step {
            Step::Cast { to, .. } => cast(slot, *to),
            Step::Map { table, .. } => match table.iter().find(|(from, _)| slot.equals(from)) {
                Some((_, to)) => Ok(Some(to.node())),
                None => Err("expected a value of the table, got another".to_owned()),
            },
            Step::Scale { factor, offset, .. } => scale(slot, factor, offset.as_ref()).map(Some),
            Step::Wrap { .. } => Ok(Some(Node::Array(vec![slot.clone()]))),
            Step::Unwrap { member: None, .. } => unwrapped(slot).map(Some),
            Step::Unwrap { member: Some(name), .. } => slot.sole_member(name).map(Some),
            Step::Parse { .. } => parsed(slot).map(Some),
            Step::Print { .. } => printed(slot).map(Some),
            Step::Date { from, to, .. } => from.read(slot).and_then(|it| to.write(it)).map(Some),
            Step::Clamp { min, max, .. } => clamped(slot, min.as_ref(), max.as_ref()),
            _ => Ok(None),
        };
        let changed = changed.map_err(|what| match step {
            // What the caller wrote is no JSON: that call is refused, the others go.
            Step::Parse { .. } => Failure::Refused { pointer: at.pointer.clone(), reason: what },
            _ => Failure::of(format!("{}: {what}", at.pointer)),
        })?;
        if let Some(node) = changed {
            self.charge(node.size())?;
            *slot = node;
        }
        Ok(())
    }

    fn each(
        &mut self,
        at: &'a Path,
        steps: &'a [Step],
        over: &mut Overlay<'a>,
    ) -> Result<(), Failure> {
        let Some(slot) = over.slot(at) else { return Ok(()) };
        let kind = slot.kind();
        slot.open();
        let Node::Array(items) = slot else {
            return Err(Failure::of(format!(
                "{}: expected an array, got {}",
                at.pointer,
                word(kind)
            )));
        };
        for (index, item) in items.iter_mut().enumerate() {
            let taken = std::mem::replace(item, Node::boolean(false));
            let mut inner = Overlay { root: Some(taken) };
            self.list(steps, &mut inner).map_err(|failure| match failure {
                Failure::Refused { pointer, reason } => {
                    Failure::Refused { pointer: format!("{}/{index}{pointer}", at.pointer), reason }
                }
                failed @ Failure::Operation { .. } => failed,
            })?;
            *item = inner.root.ok_or_else(|| {
                Failure::of(format!("{}/{index}: expected an item to remain", at.pointer))
            })?;
        }
        Ok(())
    }

    fn composed(&mut self, over: &Overlay<'a>, parts: &[Part]) -> Result<String, Failure> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(constant) => text.push_str(constant),
                Part::Value(path) => {
                    let node = over.find(path).ok_or_else(|| missing(path))?;
                    text.push_str(&as_text(&node).ok_or_else(|| {
                        Failure::of(format!(
                            "{}: expected a string, a number or a boolean, got {}",
                            path.pointer,
                            word(node.kind())
                        ))
                    })?);
                }
            }
            self.charge(text.len())?;
        }
        Ok(text)
    }

    /// Counts bytes that an operation makes: copies of copies must end somewhere.
    fn charge(&mut self, bytes: usize) -> Result<(), Failure> {
        self.made = self.made.saturating_add(bytes);
        if self.made > LIMITS.output {
            return Err(Failure::of(too_large()));
        }
        Ok(())
    }
}

/// What a result beyond the limit is told as.
pub(super) fn too_large() -> String {
    format!("expected a result of at most {} bytes", LIMITS.output)
}

fn missing(path: &Path) -> Failure {
    Failure::of(format!("{}: expected a value, nothing stands there", path.pointer))
}

fn absent(path: &Path, optional: bool) -> Result<(), Failure> {
    if optional { Ok(()) } else { Err(missing(path)) }
}

fn put<'a>(over: &mut Overlay<'a>, to: &Path, node: Node<'a>) -> Result<(), Failure> {
    over.put(to, node).map_err(|blocked| obstructed(to, blocked))
}

fn obstructed(to: &Path, blocked: Blocked) -> Failure {
    Failure::of(format!("{} {}", to.pointer, blocked.words()))
}

fn moved(over: &mut Overlay<'_>, from: &Path, to: &Path, optional: bool) -> Result<(), Failure> {
    if over.find(from).is_none() {
        return absent(from, optional);
    }
    if over.rename(from, to).map_err(|blocked| obstructed(to, blocked))? {
        return Ok(());
    }
    match over.take(from) {
        Some(node) => put(over, to, node),
        None => absent(from, optional),
    }
}

fn string_at(over: &Overlay<'_>, path: &Path) -> Result<String, Failure> {
    let node = over.find(path).ok_or_else(|| missing(path))?;
    let found =
        || Failure::of(format!("{}: expected a string, got {}", path.pointer, word(node.kind())));
    node.text().map(|text| text.into_owned()).ok_or_else(found)
}

fn split(over: &mut Overlay<'_>, from: &Path, separator: &str, to: &[Path]) -> Result<(), Failure> {
    let text = string_at(over, from)?;
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() != to.len() {
        let (pointer, want, got) = (&from.pointer, to.len(), parts.len());
        return Err(Failure::of(format!("{pointer}: expected {want} parts, got {got}")));
    }
    over.take(from);
    to.iter().zip(parts).try_for_each(|(to, part)| put(over, to, Node::string(part)))
}

/// The strings of an array, or a string alone; whoever cuts them apart again must find as many.
fn strings_at(over: &Overlay<'_>, path: &Path, separator: &str) -> Result<Vec<String>, Failure> {
    let node = over.find(path).ok_or_else(|| missing(path))?;
    if node.kind() != Kind::Array {
        return string_at(over, path).map(|text| vec![text]);
    }
    let mut opened = node.into_owned();
    opened.open();
    let Node::Array(items) = opened else { return Err(missing(path)) };
    let fault = |what: &str| Failure::of(format!("{}: {what}", path.pointer));
    let text = |item: &Node<'_>| match item.text() {
        Some(text) if separator.is_empty() || !text.contains(separator) => Ok(text.into_owned()),
        Some(_) => Err(fault("an item holds the separator that is to stand between items")),
        None => Err(fault("expected an array of strings")),
    };
    items.iter().map(text).collect()
}

/// Whether a value fits a schema; what cannot be read back does not.
fn fitting(node: &Node<'_>, schema: &Schema) -> bool {
    if let Node::Raw(item) = node {
        return schema.admits(*item);
    }
    let mut text = Vec::with_capacity(node.size());
    node.write(&mut text);
    let mut tape = Tape::default();
    tape.read(&text, Limits::default()).is_ok_and(|document| schema.admits(document.root()))
}

fn join(over: &mut Overlay<'_>, from: &[Path], separator: &str, to: &Path) -> Result<(), Failure> {
    let parts = match from {
        [only] => strings_at(over, only, separator)?,
        several => {
            several.iter().map(|path| string_at(over, path)).collect::<Result<Vec<_>, _>>()?
        }
    };
    for path in from {
        over.take(path);
    }
    put(over, to, Node::string(&parts.join(separator)))
}

fn extracted<'a>(
    over: &Overlay<'_>,
    from: &Path,
    pattern: &regex::Regex,
    kind: Extracted,
) -> Result<Node<'a>, Failure> {
    let text = string_at(over, from)?;
    let failed = |what: &str| Failure::of(format!("{}: {what}", from.pointer));
    let group = pattern.captures(&text).and_then(|captures| captures.get(1));
    let found = group.ok_or_else(|| failed("the pattern finds nothing"))?.as_str();
    match kind {
        Extracted::String => Ok(Node::string(found)),
        Extracted::Number if is_number(found) => Ok(Node::number(found.to_owned())),
        Extracted::Number => Err(failed("expected a number in what the pattern finds")),
        Extracted::Integer => integer(found)
            .map(Node::number)
            .ok_or_else(|| failed("expected an integer in what the pattern finds")),
    }
}
