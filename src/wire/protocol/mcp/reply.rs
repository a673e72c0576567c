//! Finding one's way in a reply, and splicing a mended one.

use std::ops::Range;

use crate::domain::json::{Edit, Item, Kind, Limits, Tape, quote, splice};
use crate::domain::message::VerdictNote;

use super::verdict;

/// What `resultType` says (MCP 2026-07-28); absent is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// The promise applies.
    Complete,
    /// The server asks for more input first.
    InputRequired,
    /// The work goes on as a task.
    Task,
}

/// A reply to one request, over the document it was found in.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'d> {
    /// `result`
    Result(CallResult<'d>),
    /// `error`
    Error {
        /// The error itself, an object.
        error: Item<'d>,
        /// `error.code`
        code: i64,
    },
}

/// A result of `tools/call`.
#[derive(Clone, Copy, Debug)]
pub struct CallResult<'d> {
    /// The result itself, an object.
    pub result: Item<'d>,
    /// What it says it is.
    pub result_type: ResultType,
    /// `isError: true`
    pub is_error: bool,
    /// `structuredContent`; an explicit `null` is a value.
    pub structured: Option<Item<'d>>,
}

/// What one message on a response stream is, seen from the request it answers.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'d> {
    /// A notification or a request of the server: none of the contract's business.
    Interim {
        /// It is `notifications/tools/list_changed`.
        list_changed: bool,
    },
    /// The reply.
    Reply(Reply<'d>),
}

/// Reads one message of a response to the request with this id.
///
/// # Errors
/// Why it is neither a reply to that request nor a message of the server's own, in words.
pub fn incoming<'d>(root: Item<'d>, id: &str) -> Result<Incoming<'d>, String> {
    if root.kind() != Kind::Object {
        return Err("expected a JSON-RPC message, found another kind of value".to_owned());
    }
    let (result, error) = (root.get("result"), root.get("error"));
    if let Some(method) = root.get("method") {
        if result.is_some() || error.is_some() {
            return Err("a message has both a method and a result or error".to_owned());
        }
        let changed =
            method.as_str().is_some_and(|name| name == "notifications/tools/list_changed");
        return Ok(Incoming::Interim { list_changed: changed });
    }
    match root.get("id") {
        Some(found) if same_id(found, id) => {}
        Some(_) => return Err("the reply has another request's id".to_owned()),
        None => return Err("the reply has no id".to_owned()),
    }
    match (result, error) {
        (Some(result), None) if result.kind() == Kind::Object => {
            call_result(result).map(|found| Incoming::Reply(Reply::Result(found)))
        }
        (Some(_), None) => Err("`result` is no object".to_owned()),
        (None, Some(error)) => match error.get("code").and_then(Item::as_i64) {
            Some(code) => Ok(Incoming::Reply(Reply::Error { error, code })),
            None => Err("`error` has no integer `code`".to_owned()),
        },
        (Some(_), Some(_)) => Err("the reply has both `result` and `error`".to_owned()),
        (None, None) => Err("the reply has neither `result` nor `error`".to_owned()),
    }
}

fn call_result(result: Item<'_>) -> Result<CallResult<'_>, String> {
    let result_type = match result.get("resultType").map(Item::as_str) {
        None => ResultType::Complete,
        Some(Some(text)) if text == "complete" => ResultType::Complete,
        Some(Some(text)) if text == "input_required" => ResultType::InputRequired,
        Some(Some(text)) if text == "task" => ResultType::Task,
        Some(_) => return Err("`resultType` is none of complete, input_required, task".to_owned()),
    };
    let is_error = match result.get("isError") {
        None => false,
        Some(flag) => match flag.kind() {
            Kind::Bool => flag.as_bool() == Some(true),
            Kind::Null => false,
            // A truthy string would be an error to one client and a success to another.
            _ => return Err("`isError` is no boolean".to_owned()),
        },
    };
    // The legacy experimental tasks answer with a task instead of content.
    let legacy_task = result.get("task").is_some() && result.get("content").is_none();
    let result_type = if legacy_task && result_type == ResultType::Complete {
        ResultType::Task
    } else {
        result_type
    };
    Ok(CallResult { result, result_type, is_error, structured: result.get("structuredContent") })
}

/// The id of the task that a call goes on as (2025-11-25 tells it inside `task`, the tasks extension beside
/// `resultType`).
#[must_use]
pub fn task_id(result: CallResult<'_>) -> Option<Box<str>> {
    let task = result.result.get("task").unwrap_or(result.result);
    task.get("taskId").and_then(Item::as_str).map(Into::into)
}

/// The result of the call that a task stands for, inside what the task says of itself; `None` while there
/// is none (tasks extension, `tasks/get`).
///
/// # Errors
/// Why it is no result of a call, in words.
pub fn result_of_task(task: CallResult<'_>) -> Option<Result<CallResult<'_>, String>> {
    let result = task.result.get("result")?;
    Some(match result.kind() {
        Kind::Object => call_result(result),
        _ => Err("the task's `result` is no object".to_owned()),
    })
}

/// What a task says of itself, with the result of another message in the place of its call's; `None` where
/// either has none.
#[must_use]
pub fn with_result_of(task: &[u8], other: &[u8], limits: Limits) -> Option<Vec<u8>> {
    let (mut told, mut given) = (Tape::default(), Tape::default());
    let told = told.read(task, limits).ok()?.root().get("result")?.get("result")?.span();
    let given = given.read(other, limits).ok()?.root().get("result")?;
    let mut out = Vec::with_capacity(task.len());
    splice(task, &[Edit { span: told, with: given.raw().as_bytes() }], &mut out);
    Some(out)
}

/// Whether an id that came is the one that was sent: the same text, or the same string or integer
/// written otherwise. `"1"` is not `1`.
fn same_id(found: Item<'_>, sent: &str) -> bool {
    if found.raw() == sent {
        return true;
    }
    let mut tape = Tape::default();
    let Ok(sent) = tape.read(sent.as_bytes(), Limits::default()) else { return false };
    let sent = sent.root();
    match (found.kind(), sent.kind()) {
        (Kind::String, Kind::String) => found.as_str().is_some() && found.as_str() == sent.as_str(),
        (Kind::Number, Kind::Number) => found.as_i64().is_some() && found.as_i64() == sent.as_i64(),
        _ => false,
    }
}

/// Whether the reply looks like the peer's own validation of the arguments: an `isError` result
/// whose text speaks of arguments, parameters or schema the way the SDKs' validators do. Used only
/// to ask for a re-read of the surface, never to decide what a call meant.
#[must_use]
pub fn looks_like_rejection(result: CallResult<'_>) -> bool {
    if !result.is_error {
        return false;
    }
    let blocks = result.result.get("content").map(Item::items).into_iter().flatten();
    blocks.filter_map(text_of).any(|text| speaks_of_arguments(&text))
}

/// Whether a text speaks of arguments, parameters or schema the way the SDKs' validators do.
#[must_use]
pub fn speaks_of_arguments(text: &str) -> bool {
    const SIGNS: [&str; 18] = [
        "validation error",
        "invalid arguments",
        "invalid argument",
        "input validation",
        "invalid params",
        "invalid input",
        "unknown tool",
        "tool not found",
        "missing required",
        "required property",
        "required argument",
        "field required",
        "unexpected keyword",
        "unexpected property",
        "unrecognized key",
        "unknown argument",
        "additional properties",
        "unknown field",
    ];
    let mut end = text.len().min(4096);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text[..end].to_ascii_lowercase();
    SIGNS.iter().any(|sign| head.contains(sign))
        || (head.contains("tool ") && head.contains(" not found"))
}

pub(super) fn text_of(block: Item<'_>) -> Option<std::borrow::Cow<'_, str>> {
    if block.get("type")?.as_str()? != "text" {
        return None;
    }
    block.get("text")?.as_str()
}

/// The text of a result whose whole content is one text block.
#[must_use]
pub fn sole_text(found: CallResult<'_>) -> Option<Item<'_>> {
    let mut blocks = found.result.get("content")?.items();
    let block = blocks.next().filter(|_| blocks.next().is_none())?;
    let text = block.get("text")?;
    (block.get("type")?.as_str()? == "text" && text.kind() == Kind::String).then_some(text)
}

/// Whether a text can be a document of its own: scalars that a text happens to spell are none.
#[must_use]
pub fn may_be_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Writes the reply with what changed in it: its document replaced (`structuredContent` and each text
/// block that was its mirror; without it, the only text), and the verdict in `_meta`. All else leaves
/// as the bytes that came.
#[must_use]
pub fn rewritten(
    text: &str,
    found: CallResult<'_>,
    structured: Option<&[u8]>,
    note: Option<&VerdictNote>,
) -> Vec<u8> {
    let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    if let (Some(new), Some(old)) = (structured, found.structured) {
        edits.push((old.span(), new.to_vec()));
        for block in found.result.get("content").map(Item::items).into_iter().flatten() {
            if let Some(span) = mirror(block, old) {
                let mut quoted = Vec::new();
                quote(&String::from_utf8_lossy(new), &mut quoted);
                edits.push((span, quoted));
            }
        }
    }
    if let (Some(new), None, Some(old)) = (structured, found.structured, sole_text(found)) {
        let mut quoted = Vec::new();
        quote(&String::from_utf8_lossy(new), &mut quoted);
        edits.push((old.span(), quoted));
    }
    if let Some(note) = note {
        edits.push(meta_edit(found.result, note));
    }
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let grown: usize = edits.iter().map(|(_, with)| with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    let edits: Vec<Edit<'_>> =
        edits.iter().map(|(span, with)| Edit { span: span.clone(), with }).collect();
    splice(text.as_bytes(), &edits, &mut out);
    out
}

fn mirror(block: Item<'_>, old: Item<'_>) -> Option<Range<usize>> {
    let text = text_of(block)?;
    let mut tape = Tape::default();
    let parsed = tape.read(text.as_bytes(), Limits::default()).ok()?;
    equal(parsed.root(), old).then(|| block.get("text").map(Item::span)).flatten()
}

/// Whether two values are the same JSON value; the order of members is none of it.
#[must_use]
pub fn equal(a: Item<'_>, b: Item<'_>) -> bool {
    if a.kind() != b.kind() {
        return false;
    }
    match a.kind() {
        Kind::Null => true,
        Kind::Bool => a.as_bool() == b.as_bool(),
        Kind::Number => {
            a.raw() == b.raw()
                || match (a.as_i64(), b.as_i64()) {
                    (Some(a), Some(b)) => a == b,
                    (None, None) => {
                        let number = |item: Item<'_>| item.raw().parse::<f64>().ok();
                        number(a).is_some_and(|a| a.is_finite() && number(b) == Some(a))
                    }
                    _ => false,
                }
        }
        Kind::String => a.raw() == b.raw() || (a.as_str().is_some() && a.as_str() == b.as_str()),
        Kind::Array => a.len() == b.len() && a.items().zip(b.items()).all(|(a, b)| equal(a, b)),
        Kind::Object => {
            a.len() == b.len()
                && a.members().all(|(key, value)| {
                    key.as_str()
                        .and_then(|key| b.get(&key))
                        .is_some_and(|other| equal(value, other))
                })
        }
    }
}

pub(super) fn meta_edit(result: Item<'_>, note: &VerdictNote) -> (Range<usize>, Vec<u8>) {
    let told = verdict::value(note).to_string();
    let member = format!("\"{}\":{told}", verdict::KEY);
    match result.get("_meta") {
        // A verdict that the peer wrote is no verdict: ours replaces it.
        Some(meta) if meta.get(verdict::KEY).is_some() => {
            let span = meta.get(verdict::KEY).map_or(0..0, Item::span);
            (span, told.into_bytes())
        }
        Some(meta) if meta.kind() == Kind::Object => {
            let comma = if meta.is_empty() { "" } else { "," };
            let at = meta.span().start + 1;
            (at..at, format!("{member}{comma}").into_bytes())
        }
        Some(meta) => (meta.span(), format!("{{{member}}}").into_bytes()),
        None => {
            let comma = if result.is_empty() { "" } else { "," };
            let at = result.span().start + 1;
            (at..at, format!("\"_meta\":{{{member}}}{comma}").into_bytes())
        }
    }
}
