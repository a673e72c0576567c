//! A JSON Schema that passed its cost gate and was compiled; judges documents in place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, ValidationOptions, Validator};
use serde_json::Value;

use super::cost::{Cost, Dialect, gate};
use super::pattern::Pattern;
use super::refused::SchemaRefused;
use crate::domain::json::{Court, InPlace, Item, Judged, Limits, Tape};

/// A pattern's compiled size, in bytes.
const PATTERN_SIZE: usize = 1 << 20;
/// Violations that are told at most.
const VIOLATIONS: usize = 64;
/// Characters of a violation's message.
const MESSAGE: usize = 300;
/// Looks at a document that are granted: always, for each of its nodes, and at most (some two
/// seconds). An ordinary schema takes ten a node; a choice of many constants takes two for each.
const LOOKS: u64 = 1_000_000;
const LOOKS_PER_NODE: u64 = 512;
const LOOKS_MAX: u64 = 200_000_000;
/// Subschemas inside one another while judging, so that the stack suffices.
const LEVELS: u64 = 1_024;

/// One way in which a value breaks a schema. It never carries the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// JSON Pointer to the value.
    pub pointer: String,
    /// JSON Pointer into the schema.
    pub schema_pointer: String,
    /// `required`, `type`, `enum`, …; `undecided` where the schema could not be held against it.
    pub kind: String,
    /// In words, values masked.
    pub message: String,
}

impl Violation {
    /// Whether a promised member is not there, and nothing else is wrong.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == "required"
    }

    /// Whether the schema could not be held against the reply: that is our limit, and no fault of it.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.kind == "undecided"
    }

    /// JSON Pointer to what is broken: for a member that is not there, to its own place.
    #[must_use]
    pub fn place(&self) -> String {
        if !self.is_missing() {
            return self.pointer.clone();
        }
        // The message begins with the member's name, as JSON.
        let mut texts = serde_json::Deserializer::from_str(&self.message).into_iter::<String>();
        match texts.next() {
            Some(Ok(member)) => {
                let member = member.replace('~', "~0").replace('/', "~1");
                format!("{}/{member}", self.pointer)
            }
            _ => self.pointer.clone(),
        }
    }

    /// As [`Violation::place`], with `*` for the index of an item: the same for all of a list.
    #[must_use]
    pub fn general_place(&self) -> String {
        let place = self.place();
        let index = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
        let parts = place.split('/').map(|part| if index(&part) { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// What a schema says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It conforms.
    Conforms,
    /// It does not.
    Broken,
    /// It took more work or depth than is granted, or the validator failed: treat it as broken, and
    /// say that it is not known.
    Undecided,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    source: Value,
    cost: Cost,
    validator: Validator<InPlace>,
}

impl Schema {
    /// Gates and compiles (draft-07, 2020-12).
    ///
    /// # Errors
    /// Where the schema is malformed or too dear.
    pub fn compile(source: &Value) -> Result<Self, SchemaRefused> {
        let cost = gate(source)?;
        let draft = match cost.dialect {
            Dialect::Draft7 => Draft::Draft7,
            Dialect::Draft202012 => Draft::Draft202012,
        };
        let options = options(draft).with_keyword("pattern", move |_, pattern, _| {
            let pattern = Pattern::compile(pattern)?;
            Ok(Box::new(pattern))
        });
        let built = catch_unwind(AssertUnwindSafe(|| options.build(source)));
        let refused = |pointer: &str, what: String| SchemaRefused {
            pointer: pointer.to_owned(),
            what: shortened(what),
        };
        match built {
            Ok(Ok(validator)) => Ok(Self { source: source.clone(), cost, validator }),
            Ok(Err(error)) => Err(refused(error.instance_path().as_str(), error.to_string())),
            Err(_) => Err(refused("", "the compiler failed on it".to_owned())),
        }
    }

    /// The schema as it was given.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether the value conforms: the one question of the hot path.
    #[must_use]
    pub fn admits(&self, item: Item<'_>) -> bool {
        self.judge(item) == Judgement::Conforms
    }

    /// As [`Schema::admits`], and whether that is known.
    #[must_use]
    pub fn judge(&self, item: Item<'_>) -> Judgement {
        match self.attempt(item, |judged| self.validator.is_valid(judged)) {
            Some(true) => Judgement::Conforms,
            Some(false) => Judgement::Broken,
            None => Judgement::Undecided,
        }
    }

    /// All violations (at most 64), to be asked only after a "no".
    #[must_use]
    pub fn violations(&self, item: Item<'_>) -> Vec<Violation> {
        let found = self.attempt(item, |judged| {
            self.validator.iter_errors(judged).take(VIOLATIONS).map(|e| violation(&e)).collect()
        });
        found.unwrap_or_else(|| vec![undecided()])
    }

    /// As [`Schema::admits`], for a tree; off the hot path.
    #[must_use]
    pub fn admits_value(&self, value: &Value) -> bool {
        as_document(value, |item| self.admits(item)).unwrap_or(false)
    }

    /// As [`Schema::violations`], for a tree; off the hot path.
    #[must_use]
    pub fn violations_value(&self, value: &Value) -> Vec<Violation> {
        as_document(value, |item| self.violations(item)).unwrap_or_else(|| vec![undecided()])
    }

    /// Asks within the granted work and depth; `None` where they do not suffice.
    fn attempt<T>(&self, item: Item<'_>, ask: impl FnOnce(Judged<'_>) -> T) -> Option<T> {
        let document = item.document();
        let levels = if self.cost.recursive {
            u64::from(document.depth() + 1) * u64::from(self.cost.in_place)
        } else {
            u64::from(self.cost.nested)
        };
        if levels > LEVELS {
            return None;
        }
        let looks = LOOKS + LOOKS_PER_NODE * document.nodes() as u64;
        let court = Court::new(document, looks.min(LOOKS_MAX));
        catch_unwind(AssertUnwindSafe(|| ask(Judged::new(item, &court)))).ok()
    }
}

/// The one way from a tree: as text, so that both are judged alike.
fn as_document<T>(value: &Value, ask: impl FnOnce(Item<'_>) -> T) -> Option<T> {
    let text = serde_json::to_vec(value).ok()?;
    let mut tape = Tape::default();
    let document = tape.read(&text, Limits::default()).ok()?;
    Some(ask(document.root()))
}

fn options<'i>(
    draft: Draft,
) -> ValidationOptions<'i, std::sync::Arc<dyn jsonschema::Retrieve>, InPlace> {
    jsonschema::options_for::<InPlace>()
        .with_draft(draft)
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
}

fn violation(error: &ValidationError<'_>) -> Violation {
    let message = match error.kind() {
        // These two would count and list the items, which are masked.
        ValidationErrorKind::AdditionalItems { limit } => format!("more than {limit} items"),
        ValidationErrorKind::UnevaluatedItems { unexpected } => {
            format!("{} items that no part of the schema covers", unexpected.len())
        }
        _ => error.masked_with("the value").to_string(),
    };
    Violation {
        pointer: error.instance_path().as_str().to_owned(),
        schema_pointer: error.schema_path().as_str().to_owned(),
        kind: error.kind().keyword().to_owned(),
        message: shortened(message),
    }
}

fn undecided() -> Violation {
    Violation {
        pointer: String::new(),
        schema_pointer: String::new(),
        kind: "undecided".to_owned(),
        message: "the schema could not be held against the value within the granted work"
            .to_owned(),
    }
}

fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    message
}
