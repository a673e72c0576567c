//! The routine as data: what is written in a contract, a file, an advisor's answer.

use std::collections::BTreeMap;

use jsonptr::PointerBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A routine document: one entry for each promised tool that differs from what is offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RoutineDoc(pub BTreeMap<String, ToolRoutine>);

impl RoutineDoc {
    /// Whether it maps nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How one promised tool is carried over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolRoutine {
    /// The offered tool to call; the promised name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// From the promised arguments to the offered ones, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<Op>,
    /// From the offered `structuredContent` to the promised one, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply: Vec<Op>,
    /// From the codes of the peer's errors to the promised ones. They stand at `code` and `data.code`
    /// of a JSON-RPC error; in an `isError` result at `code`, `error.code` and `error` (a string) of
    /// `structuredContent`, and of each text block that is a JSON object. The codes that JSON-RPC
    /// keeps for itself (-32768 to -32000) are never told otherwise, nor is any prose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorMap>,
    /// Promised reply fields that the peer sends no more and that nothing stands for, as pointers with
    /// `*` for every item: a reply without them is no miss of the routine, and says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}

impl ToolRoutine {
    /// Every offered tool that the routine can call, in the order it names them: the promised name
    /// where nothing re-targets.
    #[must_use]
    pub fn targets(&self, promised: &str) -> Vec<String> {
        let mut targets = vec![self.call.clone().unwrap_or_else(|| promised.to_owned())];
        called(&self.request, &mut targets);
        targets
    }
}

/// Collects the tools that operations call; one that is always re-targeted replaces what stood before.
fn called(ops: &[Op], targets: &mut Vec<String>) {
    for op in ops {
        match op {
            Op::Call { tool } => *targets = vec![tool.clone()],
            Op::Cases { when, r#else, .. } => {
                let before = targets.clone();
                let mut after = Vec::new();
                let arms = when.iter().map(|arm| arm.ops.as_slice());
                for arm in arms.chain(r#else.as_deref()) {
                    let mut own = before.clone();
                    called(arm, &mut own);
                    own.into_iter().for_each(|tool| {
                        if !after.contains(&tool) {
                            after.push(tool);
                        }
                    });
                }
                *targets = if after.is_empty() { before } else { after };
            }
            _ => {}
        }
    }
}

/// One error code carried over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorMap {
    /// As the peer writes it; a number by its digits.
    pub from: String,
    /// As it was promised. Where the peer writes a number, this must be an integer too, or the code
    /// stays.
    pub to: String,
}

/// One operation. Paths are JSON Pointers (RFC 6901) into arguments or `structuredContent`.
///
/// A missing source, an occupied target or a lossy cast fails the routine as a whole, save where an
/// operation says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Takes the value away from one place and puts it at another. An absent source is no failure
    /// where `optional` is set.
    Move {
        /// Source.
        #[schemars(with = "String")]
        from: PointerBuf,
        /// Target; must be free.
        #[schemars(with = "String")]
        to: PointerBuf,
        /// Whether the source may be absent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        optional: bool,
    },
    /// Repeats a value at a second place.
    Copy {
        /// Source.
        #[schemars(with = "String")]
        from: PointerBuf,
        /// Target; must be free.
        #[schemars(with = "String")]
        to: PointerBuf,
        /// Whether the source may be absent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        optional: bool,
    },
    /// Takes a value away; absent is no failure.
    Remove {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
    },
    /// Puts a constant; the place must be free.
    Set {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// The constant.
        value: Value,
    },
    /// Puts a constant only where nothing stands.
    Default {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// The constant.
        value: Value,
    },
    /// Changes a scalar's type without loss, or fails; absent is no failure.
    Cast {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// To what.
        to: CastTo,
    },
    /// Replaces a value by table; a value that the table lacks fails. Absent is no failure.
    Map {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// The table; `from` values are unique.
        table: Vec<MapEntry>,
    },
    /// `value * factor + offset`, in exact decimal arithmetic or it fails; absent is no failure.
    Scale {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// Factor.
        factor: serde_json::Number,
        /// Offset, 0 where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<serde_json::Number>,
    },
    /// A value becomes an array of it; absent is no failure.
    Wrap {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
    },
    /// An array of one becomes its element, any other fails; absent is no failure.
    Unwrap {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// Instead: an object of this one member becomes the member's value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
    },
    /// Applies operations to every item of an array; pointers inside start at the item.
    Each {
        /// The array; absent is no failure.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// What to do to each.
        ops: Vec<Op>,
    },
    /// Cuts a string at a separator into as many parts as there are targets, or fails.
    Split {
        /// Source; taken away.
        #[schemars(with = "String")]
        from: PointerBuf,
        /// Not empty.
        separator: String,
        /// Targets; must be free.
        #[schemars(with = "Vec<String>")]
        to: Vec<PointerBuf>,
    },
    /// Joins strings with a separator; the sources are taken away. A sole source may be an array of
    /// strings; it fails where one of them holds the separator.
    Join {
        /// Sources.
        #[schemars(with = "Vec<String>")]
        from: Vec<PointerBuf>,
        /// Between the parts.
        separator: String,
        /// Target; must be free.
        #[schemars(with = "String")]
        to: PointerBuf,
    },
    /// Composes a string of constant text and `{/pointer}` parts; `{{` stands for `{`.
    Template {
        /// The text.
        text: String,
        /// Target; must be free.
        #[schemars(with = "String")]
        to: PointerBuf,
    },
    /// Takes the first group of a linear-time regular expression out of a string.
    Extract {
        /// Source; stays.
        #[schemars(with = "String")]
        from: PointerBuf,
        /// Target; must be free.
        #[schemars(with = "String")]
        to: PointerBuf,
        /// With one group.
        pattern: String,
        /// The type of the result, a string where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        r#as: Option<Extracted>,
    },
    /// A string of JSON becomes the value; absent is no failure.
    Parse {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
    },
    /// A value becomes its JSON text, with a space behind `:` and `,` as most writers put it; absent is
    /// no failure.
    Print {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
    },
    /// Rewrites a date from one format to another (`rfc3339`, `date`, `unix_s`, `unix_ms`, or
    /// strftime); absent is no failure.
    Date {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// Format it comes in.
        from: String,
        /// Format it leaves in.
        to: String,
    },
    /// Bounds a number; absent is no failure.
    Clamp {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// Lower bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<serde_json::Number>,
        /// Upper bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<serde_json::Number>,
    },
    /// Chooses operations by the value at a place.
    Cases {
        /// Where to look.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// The first arm that matches is taken.
        when: Vec<CaseArm>,
        /// Taken when no arm matches; without it, no match fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        r#else: Option<Vec<Op>>,
    },
    /// Takes a value away where it is one of these.
    RemoveIf {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// The values.
        one_of: Vec<Value>,
    },
    /// Refuses the call by name: where a value is present, or where it is not one of a list.
    RefuseIf {
        /// Where.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// Refuses what is not one of these; where absent, refuses any presence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_one_of: Option<Vec<Value>>,
        /// Why, in words the agent reads.
        reason: String,
    },
    /// Refuses the call by name where the value that stands there does not fit a schema: a bound that
    /// became narrower, a list of values that was closed. Absent is no refusal.
    RefuseUnless {
        /// Where; the empty pointer is the whole value.
        #[schemars(with = "String")]
        at: PointerBuf,
        /// A JSON Schema that stands for itself: no references out of it.
        fits: Value,
        /// Why, in words the agent reads.
        reason: String,
    },
    /// Calls another offered tool; requests only.
    Call {
        /// Its name.
        tool: String,
    },
}

/// What a cast makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CastTo {
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
}

/// What an extraction makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extracted {
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A number.
    Number,
}

/// A pattern of the texts that are whole numbers, each written in one way.
pub const WHOLE: &str = "^(0|-?[1-9][0-9]{0,14})$";

/// A pattern of the texts that do not hold a separator of one character.
#[must_use]
pub fn without(separator: &str) -> String {
    let escaped = if separator.chars().all(char::is_alphanumeric) { "" } else { "\\" };
    format!("^[^{escaped}{separator}]*$")
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapEntry {
    /// The value as it comes.
    pub from: Value,
    /// The value as it leaves.
    pub to: Value,
}

/// One arm of a choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseArm {
    /// Matches one of these values; `None` matches absence (written by leaving `is` out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Vec<Value>>,
    /// What to do.
    pub ops: Vec<Op>,
}
