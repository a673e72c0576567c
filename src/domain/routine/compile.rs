//! From operations as data to operations as steps: everything that can be wrong is found here.

use std::collections::BTreeSet;

use jsonptr::{Pointer, PointerBuf};
use regex::{Regex, RegexBuilder};
use serde_json::{Number, Value};

use super::date::Format;
use super::decimal::Decimal;
use super::fault::CompileError;
use super::model::{CaseArm, Extracted, MapEntry, Op};
use super::overlay::Node;
use super::path::Path;
use super::step::{Arm, Bound, Constant, Part, Step};
use crate::domain::contract::Schema;

/// What a routine may hold and make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Operations of one tool, nested ones included.
    pub(super) operations: usize,
    /// Operations inside one another.
    pub(super) depth: usize,
    /// Tokens of one pointer.
    pub(super) tokens: usize,
    /// Bytes of one pattern.
    pub(super) pattern: usize,
    /// Bytes of a compiled pattern.
    pub(super) program: usize,
    /// Bytes that a result may have, and that its parts may have together.
    pub(super) output: usize,
    /// Steps of one run, each item of `each` counted.
    pub(super) steps: usize,
}

/// The limits in force.
pub(super) const LIMITS: Limits = Limits {
    operations: 256,
    depth: 16,
    tokens: 16,
    pattern: 1024,
    program: 1 << 20,
    output: 32 << 20,
    steps: 2_000_000,
};

/// Which way a list of operations goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the promised arguments to the offered ones.
    Request,
    /// From the offered reply to the promised one.
    Reply,
}

/// Compiles lists of operations of one tool and collects what is wrong.
#[derive(Debug)]
pub(super) struct Compiler {
    way: Way,
    left: usize,
    depth: usize,
    each: usize,
    faults: Vec<CompileError>,
}

/// An operation that does not compile; the fault is already noted.
struct Faulty;

impl Compiler {
    pub(super) fn new() -> Self {
        Self { way: Way::Request, left: LIMITS.operations, depth: 0, each: 0, faults: Vec::new() }
    }

    /// What was found wrong so far.
    pub(super) fn faults(self) -> Vec<CompileError> {
        self.faults
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, pointer: &str, what: impl Into<String>) {
        self.faults.push(CompileError { pointer: pointer.to_owned(), what: what.into() });
    }

    /// Compiles one whole list.
    pub(super) fn list(&mut self, way: Way, ops: &[Op], pointer: &str) -> Vec<Step> {
        self.way = way;
        self.nested(ops, pointer)
    }

    fn nested(&mut self, ops: &[Op], pointer: &str) -> Vec<Step> {
        if self.depth >= LIMITS.depth {
            let what = format!("expected operations nested at most {} deep", LIMITS.depth);
            self.fault(pointer, what);
            return Vec::new();
        }
        if ops.len() > self.left {
            self.left = 0;
            let what = format!("expected at most {} operations in all", LIMITS.operations);
            self.fault(pointer, what);
            return Vec::new();
        }
        self.left -= ops.len();
        self.depth += 1;
        let steps = ops
            .iter()
            .enumerate()
            .filter_map(|(index, op)| self.op(op, &format!("{pointer}/{index}")).ok())
            .collect();
        self.depth -= 1;
        steps
    }

    fn op(&mut self, op: &Op, here: &str) -> Result<Step, Faulty> {
        Ok(match op {
            Op::Move { from, to, optional } => {
                let (from, to) = self.between(from, to, here)?;
                Step::Move { from, to, optional: *optional }
            }
            Op::Copy { from, to, optional } => {
                let (from, to) = self.between(from, to, here)?;
                Step::Copy { from, to, optional: *optional }
            }
            Op::Remove { at } => Step::Remove { at: self.path(at, here, "at")? },
            Op::Set { at, value } => {
                Step::Set { at: self.path(at, here, "at")?, value: Constant::new(value) }
            }
            Op::Default { at, value } => {
                Step::Default { at: self.path(at, here, "at")?, value: Constant::new(value) }
            }
            Op::Cast { at, to } => Step::Cast { at: self.path(at, here, "at")?, to: *to },
            Op::Map { at, table } => {
                Step::Map { at: self.path(at, here, "at")?, table: self.table(table, here)? }
            }
            Op::Wrap { at } => Step::Wrap { at: self.path(at, here, "at")? },
            Op::Unwrap { at, member } => {
                Step::Unwrap { at: self.path(at, here, "at")?, member: member.clone() }
            }
            Op::Parse { at } => Step::Parse { at: self.path(at, here, "at")? },
            Op::Print { at } => Step::Print { at: self.path(at, here, "at")? },
            Op::Scale { .. } | Op::Clamp { .. } | Op::Date { .. } => self.measure(op, here)?,
            Op::Split { .. } | Op::Join { .. } | Op::Template { .. } | Op::Extract { .. } => {
                self.composed(op, here)?
            }
            Op::Each { .. }
            | Op::Cases { .. }
            | Op::RemoveIf { .. }
            | Op::RefuseIf { .. }
            | Op::RefuseUnless { .. }
            | Op::Call { .. } => self.control(op, here)?,
        })
    }

    /// Operations on quantities.
    fn measure(&mut self, op: &Op, here: &str) -> Result<Step, Faulty> {
        match op {
            Op::Scale { at, factor, offset } => {
                let at = self.path(at, here, "at")?;
                let value = self.decimal(factor, here, "factor")?;
                if value.is_zero() {
                    return self
                        .refuse(&format!("{here}/factor"), "expected a factor other than 0");
                }
                let offset = match offset {
                    Some(offset) => Some(self.decimal(offset, here, "offset")?),
                    None => None,
                };
                Ok(Step::Scale { at, factor: value, offset })
            }
            Op::Clamp { at, min, max } => {
                let at = self.path(at, here, "at")?;
                let (min, max) = (self.bound(min, here, "min")?, self.bound(max, here, "max")?);
                match (&min, &max) {
                    (None, None) => self.refuse(here, "expected min, max or both"),
                    (Some(low), Some(high)) if low.value.compare(&high.value).is_gt() => {
                        self.refuse(here, "expected min not above max")
                    }
                    _ => Ok(Step::Clamp { at, min, max }),
                }
            }
            Op::Date { at, from, to } => {
                let at = self.path(at, here, "at")?;
                let (from, to) = (self.format(from, here, "from")?, self.format(to, here, "to")?);
                Ok(Step::Date { at, from, to })
            }
            _ => Err(Faulty),
        }
    }

    /// Operations that cut or compose text.
    fn composed(&mut self, op: &Op, here: &str) -> Result<Step, Faulty> {
        match op {
            Op::Split { from, separator, to } => {
                if separator.is_empty() || to.is_empty() {
                    return self.refuse(here, "expected a separator and at least one target");
                }
                let from = self.path(from, here, "from")?;
                let to = self.paths(to, here, "to")?;
                Ok(Step::Split { from, separator: separator.clone(), to })
            }
            Op::Join { from, separator, to } => {
                if from.is_empty() {
                    return self.refuse(&format!("{here}/from"), "expected at least one source");
                }
                let from = self.paths(from, here, "from")?;
                let to = self.path(to, here, "to")?;
                Ok(Step::Join { from, separator: separator.clone(), to })
            }
            Op::Template { text, to } => {
                let to = self.path(to, here, "to")?;
                match template(text) {
                    Ok(parts) => Ok(Step::Template { parts, to }),
                    Err(what) => self.refuse(&format!("{here}/text"), what),
                }
            }
            Op::Extract { from, to, pattern, r#as } => {
                let (from, to) = self.between(from, to, here)?;
                let pattern = match one_group(pattern) {
                    Ok(pattern) => pattern,
                    Err(what) => return self.refuse(&format!("{here}/pattern"), what),
                };
                Ok(Step::Extract { from, to, pattern, r#as: r#as.unwrap_or(Extracted::String) })
            }
            _ => Err(Faulty),
        }
    }

    /// Operations that choose.
    fn control(&mut self, op: &Op, here: &str) -> Result<Step, Faulty> {
        match op {
            Op::Each { at, ops } => {
                let at = self.path(at, here, "at")?;
                self.each += 1;
                let steps = self.nested(ops, &format!("{here}/ops"));
                self.each -= 1;
                Ok(Step::Each { at, steps })
            }
            Op::Cases { at, when, r#else } => {
                let at = self.path(at, here, "at")?;
                if when.is_empty() {
                    return self.refuse(&format!("{here}/when"), "expected at least one arm");
                }
                let arms = when.iter().enumerate();
                let when = arms
                    .map(|(index, arm)| self.arm(arm, &format!("{here}/when/{index}")))
                    .collect();
                let other = r#else.as_ref().map(|ops| self.nested(ops, &format!("{here}/else")));
                Ok(Step::Cases { at, when, r#else: other })
            }
            Op::RemoveIf { at, one_of } if one_of.is_empty() => {
                self.refuse(&format!("{here}/one_of"), format!("expected values for {at}"))
            }
            Op::RemoveIf { at, one_of } => {
                Ok(Step::RemoveIf { at: self.path(at, here, "at")?, one_of: one_of.clone() })
            }
            Op::RefuseIf { at, not_one_of, reason } => Ok(Step::RefuseIf {
                at: self.path(at, here, "at")?,
                not_one_of: not_one_of.clone(),
                reason: reason.clone(),
            }),
            Op::RefuseUnless { at, fits, reason } => {
                let at = self.path(at, here, "at")?;
                match Schema::compile(fits) {
                    Ok(fits) => {
                        Ok(Step::RefuseUnless { at, fits: Box::new(fits), reason: reason.clone() })
                    }
                    Err(refused) => self.refuse(&format!("{here}/fits"), refused.to_string()),
                }
            }
            Op::Call { .. } if self.way == Way::Reply => {
                self.refuse(here, "expected call in requests only: a reply calls nothing")
            }
            Op::Call { .. } if self.each > 0 => {
                self.refuse(here, "expected call outside of each: one request is one call")
            }
            Op::Call { tool } if tool.is_empty() => {
                self.refuse(&format!("{here}/tool"), "expected the name of an offered tool")
            }
            Op::Call { tool } => Ok(Step::Call { tool: tool.clone() }),
            _ => Err(Faulty),
        }
    }

    fn arm(&mut self, arm: &CaseArm, here: &str) -> Arm {
        if arm.is.as_ref().is_some_and(Vec::is_empty) {
            self.fault(&format!("{here}/is"), "expected values, or no `is` at all for absence");
        }
        Arm { is: arm.is.clone(), steps: self.nested(&arm.ops, &format!("{here}/ops")) }
    }

    fn table(&mut self, table: &[MapEntry], here: &str) -> Result<Vec<(Value, Constant)>, Faulty> {
        let mut seen = BTreeSet::new();
        for (index, row) in table.iter().enumerate() {
            if !seen.insert(Node::of(&row.from).key()) {
                let at = format!("{here}/table/{index}/from");
                return self.refuse(&at, "expected each `from` once");
            }
        }
        if table.is_empty() {
            return self.refuse(&format!("{here}/table"), "expected at least one row");
        }
        Ok(table.iter().map(|row| (row.from.clone(), Constant::new(&row.to))).collect())
    }

    fn between(
        &mut self,
        from: &Pointer,
        to: &Pointer,
        here: &str,
    ) -> Result<(Path, Path), Faulty> {
        Ok((self.path(from, here, "from")?, self.path(to, here, "to")?))
    }

    fn paths(
        &mut self,
        pointers: &[PointerBuf],
        here: &str,
        member: &str,
    ) -> Result<Vec<Path>, Faulty> {
        let path =
            |(index, it): (usize, &PointerBuf)| self.path(it, here, &format!("{member}/{index}"));
        pointers.iter().enumerate().map(path).collect()
    }

    fn path(&mut self, pointer: &Pointer, here: &str, member: &str) -> Result<Path, Faulty> {
        if pointer.count() > LIMITS.tokens {
            let what = format!("expected a pointer of at most {} tokens", LIMITS.tokens);
            return self.refuse(&format!("{here}/{member}"), what);
        }
        Ok(Path::new(pointer))
    }

    fn decimal(&mut self, number: &Number, here: &str, member: &str) -> Result<Decimal, Faulty> {
        match Decimal::parse(&number.to_string()) {
            Some(decimal) => Ok(decimal),
            None => self.refuse(&format!("{here}/{member}"), "expected a smaller number"),
        }
    }

    fn bound(
        &mut self,
        number: &Option<Number>,
        here: &str,
        member: &str,
    ) -> Result<Option<Bound>, Faulty> {
        let Some(number) = number else { return Ok(None) };
        let value = self.decimal(number, here, member)?;
        Ok(Some(Bound { value, text: number.to_string() }))
    }

    fn format(&mut self, name: &str, here: &str, member: &str) -> Result<Format, Faulty> {
        Format::compile(name).or_else(|what| self.refuse(&format!("{here}/{member}"), what))
    }

    fn refuse<T>(&mut self, pointer: &str, what: impl Into<String>) -> Result<T, Faulty> {
        self.fault(pointer, what);
        Err(Faulty)
    }
}

fn one_group(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LIMITS.pattern {
        return Err(format!("expected a pattern of at most {} bytes", LIMITS.pattern));
    }
    let regex = RegexBuilder::new(pattern).size_limit(LIMITS.program).nest_limit(64).build();
    let regex = regex.map_err(|error| match error {
        regex::Error::Syntax(_) => "expected a regular expression of the linear engine (no \
                                    look-around, no back-references)"
            .to_owned(),
        _ => "expected a pattern whose compiled form is smaller".to_owned(),
    })?;
    match regex.captures_len() {
        2 => Ok(regex),
        found => Err(format!("expected one group, got {}", found.saturating_sub(1))),
    }
}

/// Cuts a template into its parts.
pub(super) fn template(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        constant.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            constant.push('{');
            rest = after;
            continue;
        }
        let close = rest.find('}').ok_or("expected } after {/pointer; {{ stands for {")?;
        let pointer = Pointer::parse(&rest[..close])
            .map_err(|_| "expected a JSON Pointer between { and }; {{ stands for {")?;
        if pointer.count() > LIMITS.tokens {
            return Err(format!("expected pointers of at most {} tokens", LIMITS.tokens));
        }
        if !constant.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut constant)));
        }
        parts.push(Part::Value(Path::new(pointer)));
        rest = &rest[close + 1..];
    }
    constant.push_str(rest);
    if !constant.is_empty() {
        parts.push(Part::Text(constant));
    }
    Ok(parts)
}
