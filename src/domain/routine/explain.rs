//! A routine as plain sentences, and what it does to a sample.

use std::fmt::Write;

use serde_json::{Value, json};

use super::compiled::CompiledRoutine;
use super::fault::Failure;
use super::model::{CastTo, Extracted, Op, RoutineDoc, ToolRoutine};
use crate::domain::json::{Limits, Tape};

/// A document as plain sentences, one an operation; nested ones are indented.
#[must_use]
pub fn explain(document: &RoutineDoc) -> String {
    let mut out = String::new();
    for (tool, routine) in &document.0 {
        tool_sentences(tool, routine, &mut out);
    }
    if document.is_empty() {
        out.push_str("Nothing is mapped: requests and replies pass as they are.\n");
    }
    out
}

fn tool_sentences(tool: &str, routine: &ToolRoutine, out: &mut String) {
    let target = routine.call.as_deref().unwrap_or(tool);
    line(out, 0, &format!("A call of {tool} becomes a call of {target}."));
    section(out, "The arguments:", &routine.request);
    section(out, "The reply:", &routine.reply);
    for pointer in &routine.gone {
        line(out, 1, &format!("The reply lacks {pointer}, and nothing stands for it."));
    }
    for error in &routine.errors {
        line(out, 1, &format!("The error {} is told as {}.", error.from, error.to));
    }
}

fn section(out: &mut String, title: &str, ops: &[Op]) {
    if ops.is_empty() {
        line(out, 1, &format!("{title} as they are."));
        return;
    }
    line(out, 1, title);
    sentences(ops, 2, out);
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}

fn sentences(ops: &[Op], depth: usize, out: &mut String) {
    for op in ops {
        line(out, depth, &sentence(op));
        match op {
            Op::Each { ops, .. } => sentences(ops, depth + 1, out),
            Op::Cases { when, r#else, .. } => {
                for arm in when {
                    let head = match &arm.is {
                        Some(values) => format!("If it is {}:", one_of(values)),
                        None => "If it is absent:".to_owned(),
                    };
                    line(out, depth + 1, &head);
                    branch(&arm.ops, depth + 2, out);
                }
                line(out, depth + 1, "Otherwise:");
                match r#else {
                    Some(ops) => branch(ops, depth + 2, out),
                    None => line(out, depth + 2, "Fail."),
                }
            }
            _ => {}
        }
    }
}

fn branch(ops: &[Op], depth: usize, out: &mut String) {
    if ops.is_empty() {
        line(out, depth, "Do nothing.");
    }
    sentences(ops, depth, out);
}

fn one_of(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}

fn sentence(op: &Op) -> String {
    match op {
        Op::Move { from, to, optional } => format!("Move {from} to {to}{}.", if_there(*optional)),
        Op::Copy { from, to, optional } => format!("Copy {from} to {to}{}.", if_there(*optional)),
        Op::Remove { at } => format!("Remove {at} if it is there."),
        Op::Set { at, value } => format!("Put {value} at {at}."),
        Op::Default { at, value } => format!("Put {value} at {at} where nothing stands there."),
        Op::RemoveIf { at, one_of: values } => format!("Remove {at} if it is {}.", one_of(values)),
        Op::RefuseIf { at, not_one_of: None, reason } => {
            format!("Refuse the call if {at} is there: {reason}.")
        }
        Op::RefuseUnless { at, fits, reason } => {
            format!("Refuse the call unless {} fits {fits}: {reason}.", place(at.as_str()))
        }
        Op::RefuseIf { at, not_one_of: Some(values), reason } => {
            format!("Refuse the call if {at} is there and not {}: {reason}.", one_of(values))
        }
        Op::Call { tool } => format!("Call {tool}."),
        Op::Each { at, .. } => format!("For each item of {}:", place(at.as_str())),
        Op::Cases { at, .. } => format!("Look at {}.", place(at.as_str())),
        _ => conversion(op),
    }
}

fn conversion(op: &Op) -> String {
    match op {
        Op::Cast { at, to } => {
            let name = match to {
                CastTo::String => "a string",
                CastTo::Integer => "an integer",
                CastTo::Number => "a number",
                CastTo::Boolean => "a boolean",
            };
            format!("Turn {at} into {name}, without loss.")
        }
        Op::Map { at, table } => {
            let rows: Vec<String> =
                table.iter().map(|row| format!("{} by {}", row.from, row.to)).collect();
            format!("In {at}, replace {}; any other value fails.", rows.join(", "))
        }
        Op::Scale { at, factor, offset } => match offset {
            Some(offset) => format!("Multiply {at} by {factor} and add {offset}."),
            None => format!("Multiply {at} by {factor}."),
        },
        Op::Wrap { at } => format!("Make {at} a list of that one value."),
        Op::Unwrap { at, member: None } => format!("Take the one item out of the list {at}."),
        Op::Unwrap { at, member: Some(name) } => {
            format!("Put the value of {name:?} in place of {}.", place(at.as_str()))
        }
        Op::Split { from, separator, to } => {
            let to: Vec<&str> = to.iter().map(|to| to.as_str()).collect();
            format!("Cut {from} at {separator:?} into {}.", to.join(", "))
        }
        Op::Join { from, separator, to } => {
            let from: Vec<&str> = from.iter().map(|from| from.as_str()).collect();
            format!("Join {} with {separator:?} into {to}.", from.join(", "))
        }
        Op::Template { text, to } => format!("Write {text:?} into {to}."),
        Op::Extract { from, to, pattern, r#as } => {
            let name = match r#as {
                None | Some(Extracted::String) => "a string",
                Some(Extracted::Integer) => "an integer",
                Some(Extracted::Number) => "a number",
            };
            format!("Find {pattern:?} in {from} and put its group into {to} as {name}.")
        }
        Op::Parse { at } => format!("Read the JSON in the string {at}."),
        Op::Print { at } => format!("Turn {at} into a string of its JSON."),
        Op::Date { at, from, to } => format!("Rewrite the date {at} from {from} to {to}."),
        Op::Clamp { at, min, max } => {
            let bound = |word: &str, bound: &Option<serde_json::Number>| {
                bound.as_ref().map(|bound| format!(" {word} {bound}")).unwrap_or_default()
            };
            format!("Keep {at}{}{}.", bound("at or above", min), bound("at or below", max))
        }
        _ => String::new(),
    }
}

fn if_there(optional: bool) -> &'static str {
    if optional { " if it is there" } else { "" }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole value" } else { pointer }
}

/// What a routine makes of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct BeforeAfter {
    /// As it comes.
    pub before: Value,
    /// As it leaves; `{"tool", "arguments"}` for a request.
    pub after: Result<Value, Failure>,
}

impl CompiledRoutine {
    /// Shows what becomes of recorded arguments of the promised tool `tool`.
    #[must_use]
    pub fn request_before_after(&self, tool: &str, arguments: &Value) -> BeforeAfter {
        let after = with_item(arguments, |item, out| self.request(Some(item), out)).map(
            |(mapped, after)| {
                let tool = mapped.call.unwrap_or_else(|| tool.to_owned());
                json!({ "tool": tool, "arguments": after })
            },
        );
        BeforeAfter { before: arguments.clone(), after }
    }

    /// Shows what becomes of a recorded `structuredContent`.
    #[must_use]
    pub fn reply_before_after(&self, structured: &Value) -> BeforeAfter {
        let after = with_item(structured, |item, out| self.reply(item, out));
        BeforeAfter { before: structured.clone(), after: after.map(|((), after)| after) }
    }
}

/// Runs over a tree by way of its text; off the hot path.
fn with_item<T>(
    value: &Value,
    run: impl FnOnce(crate::domain::json::Item<'_>, &mut Vec<u8>) -> Result<T, Failure>,
) -> Result<(T, Value), Failure> {
    let text = value.to_string();
    let mut tape = Tape::default();
    let document = tape
        .read(text.as_bytes(), Limits::default())
        .map_err(|error| Failure::of(format!("the sample cannot be read: {error}")))?;
    let mut out = Vec::new();
    let done = run(document.root(), &mut out)?;
    let mut tape = Tape::default();
    let after = tape
        .read(&out, Limits::default())
        .map_err(|error| Failure::of(format!("the result cannot be read: {error}")))?;
    Ok((done, after.root().to_value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> RoutineDoc {
        RoutineDoc::from_value(&json!({"get_issue": {
            "call": "issue_read",
            "request": [
                {"op":"move","from":"/issue_number","to":"/number"},
                {"op":"cases","at":"/full","when":[{"is":[true],"ops":[{"op":"remove","at":"/full"}]},{"ops":[]}]}
            ],
            "reply": [{"op":"each","at":"","ops":[{"op":"cast","at":"/id","to":"string"}]}],
            "errors": [{"from":"NOT_FOUND","to":"E404"}]
        }}))
        .unwrap()
    }

    #[test]
    fn a_routine_reads_as_sentences() {
        let expected = "\
A call of get_issue becomes a call of issue_read.
  The arguments:
    Move /issue_number to /number.
    Look at /full.
      If it is true:
        Remove /full if it is there.
      If it is absent:
        Do nothing.
      Otherwise:
        Fail.
  The reply:
    For each item of the whole value:
      Turn /id into a string, without loss.
  The error NOT_FOUND is told as E404.
";
        assert_eq!(explain(&document()), expected);
    }

    #[test]
    fn a_sample_shows_before_and_after() {
        let routine = &document().0["get_issue"];
        let compiled = CompiledRoutine::compile("get_issue", routine).unwrap();
        let shown = compiled.request_before_after("get_issue", &json!({"issue_number":1}));
        let expected = json!({"tool":"issue_read","arguments":{"number":1}});
        assert_eq!(shown.after, Ok(expected));
        let shown = compiled.reply_before_after(&json!([{"id":1}]));
        assert_eq!(shown.after, Ok(json!([{"id":"1"}])));
        assert!(compiled.request_before_after("get_issue", &json!({})).after.is_err());
    }
}
