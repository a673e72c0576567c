//! Operations as the executor runs them: paths tokenised, patterns compiled, constants written.

use std::borrow::Cow;

use regex::Regex;
use serde_json::Value;

use super::date::Format;
use super::decimal::Decimal;
use super::model::{CastTo, Extracted};
use super::overlay::Node;
use super::path::Path;
use crate::domain::contract::Schema;

/// One compiled operation.
#[derive(Debug)]
pub(super) enum Step {
    Move { from: Path, to: Path, optional: bool },
    Copy { from: Path, to: Path, optional: bool },
    Remove { at: Path },
    Set { at: Path, value: Constant },
    Default { at: Path, value: Constant },
    Cast { at: Path, to: CastTo },
    Map { at: Path, table: Vec<(Value, Constant)> },
    Scale { at: Path, factor: Decimal, offset: Option<Decimal> },
    Wrap { at: Path },
    Unwrap { at: Path, member: Option<String> },
    Each { at: Path, steps: Vec<Step> },
    Split { from: Path, separator: String, to: Vec<Path> },
    Join { from: Vec<Path>, separator: String, to: Path },
    Template { parts: Vec<Part>, to: Path },
    Extract { from: Path, to: Path, pattern: Regex, r#as: Extracted },
    Parse { at: Path },
    Print { at: Path },
    Date { at: Path, from: Format, to: Format },
    Clamp { at: Path, min: Option<Bound>, max: Option<Bound> },
    Cases { at: Path, when: Vec<Arm>, r#else: Option<Vec<Step>> },
    RemoveIf { at: Path, one_of: Vec<Value> },
    RefuseIf { at: Path, not_one_of: Option<Vec<Value>>, reason: String },
    RefuseUnless { at: Path, fits: Box<Schema>, reason: String },
    Call { tool: String },
}

/// A constant with its JSON text.
#[derive(Debug)]
pub(super) struct Constant {
    value: Value,
    text: String,
}

/// One piece of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Constant text.
    Text(String),
    /// The value at a place.
    Value(Path),
}

/// A bound of `clamp`.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) value: Decimal,
    pub(super) text: String,
}

/// An arm of `cases`: the values (`None`: absence) and what to do.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) is: Option<Vec<Value>>,
    pub(super) steps: Vec<Step>,
}

impl Constant {
    pub(super) fn new(value: &Value) -> Self {
        Self { value: value.clone(), text: value.to_string() }
    }

    /// Its size as JSON text, in bytes.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    pub(super) fn node(&self) -> Node<'_> {
        match Node::of_kind(&self.value) {
            Some(kind) => Node::Scalar(kind, Cow::Borrowed(&self.text)),
            None => Node::of(&self.value),
        }
    }
}
