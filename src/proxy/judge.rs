//! Did the peer keep its word? One message is held against the promise, and mended where a routine
//! is in force.

use bytes::Bytes;

use super::bind::Bond;
use super::tape::with_tape;
use crate::domain::contract::{Schema, Violation};
use crate::domain::health::Fault;
use crate::domain::json::{Item, Limits};
use crate::domain::message::{Executed, Verdict};
use crate::live::{Mode, Rejection};
use crate::wire::protocol::mcp::{
    CallResult, Incoming, Reply, ResultType, incoming, looks_like_rejection, may_be_document,
    recoded, result_of_task, rewritten, sole_text, task_id,
};

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum Finding {
    /// Not the reply yet.
    Interim {
        /// It says that the tools changed.
        list_changed: bool,
    },
    /// No reply of a call: what a task says of itself leaves as it came.
    Passed,
    /// It kept its promise, or the promise does not speak of it: it leaves as it came.
    Kept,
    /// The routine carried it back, and then it kept its promise.
    Mended(Bytes),
    /// The promise is broken.
    Broken(Broken),
    /// The peer did not take the call.
    Rejected(Rejection),
    /// No reply to this request.
    Malformed(String),
    /// Stipula itself could not judge it.
    Undecided(String),
}

/// How a reply breaks its promise.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) violations: Vec<Violation>,
    /// Its document as far as the routine could carry it back.
    pub(super) mended: Option<Vec<u8>>,
}

/// A message as it was judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) finding: Finding,
    pub(super) is_error: bool,
    /// The peer failed, by its own word.
    pub(super) fault: Option<Fault>,
    /// A whole result, no step towards one.
    pub(super) complete: bool,
    /// A declared reply was kept.
    pub(super) held_promise: bool,
    /// The reply's document as it is delivered, where it is sampled; as it came, where it is broken.
    pub(super) structured: Option<Bytes>,
    /// That document did not stand in `structuredContent`.
    pub(super) in_text: bool,
    /// `requestState` of a reply that asks for more input first.
    pub(super) next_round: Option<Box<str>>,
    /// The task that the call goes on as.
    pub(super) task: Option<Box<str>>,
}

impl Judged {
    pub(super) fn plain(finding: Finding) -> Self {
        Self {
            finding,
            is_error: false,
            fault: None,
            complete: false,
            held_promise: false,
            structured: None,
            in_text: false,
            next_round: None,
            task: None,
        }
    }
}

/// How a message is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How much it may hold.
    pub(super) limits: Limits,
    /// The reply's document is copied out.
    pub(super) sampled: bool,
    /// The reply is fetched: its call ended as a task.
    pub(super) fetched: Option<Fetched>,
}

/// Where the reply of a call is that went on as a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It is the result (`tasks/result`).
    Whole,
    /// Inside what the task says of itself, once it has ended (`tasks/get` of the extension).
    Inside,
}

/// Judges one message of the answer to the request with this id.
pub(super) fn judge(bond: &Bond, id: &str, text: &Bytes, manner: Manner) -> Judged {
    with_tape(|tape| {
        let document = match tape.read(text, manner.limits) {
            Ok(document) => document,
            Err(error) => return Judged::plain(Finding::Malformed(error.to_string())),
        };
        match incoming(document.root(), id) {
            Err(why) => Judged::plain(Finding::Malformed(why)),
            Ok(Incoming::Interim { list_changed }) => {
                Judged::plain(Finding::Interim { list_changed })
            }
            Ok(Incoming::Reply(reply)) => match manner.fetched {
                None => replied(bond, document.text(), reply, manner),
                Some(way) => fetched(bond, document.text(), reply, way, manner),
            },
        }
    })
}

fn replied(bond: &Bond, text: &str, reply: Reply<'_>, manner: Manner) -> Judged {
    let result = match reply {
        Reply::Error { code, .. } => return coded(bond, text, reply, error(code)),
        Reply::Result(result) => result,
    };
    if result.is_error {
        let rejection = Rejection { code: None, is_error: true };
        let finding = match looks_like_rejection(result) {
            true => Finding::Rejected(rejection),
            false => Finding::Kept,
        };
        let judged = Judged { is_error: true, ..Judged::plain(finding) };
        return coded(bond, text, reply, judged);
    }
    match result.result_type {
        ResultType::Complete => Judged { complete: true, ..complete(bond, text, result, manner) },
        ResultType::InputRequired => {
            let state = result.result.get("requestState").and_then(Item::as_str);
            Judged { next_round: state.map(Into::into), ..Judged::plain(Finding::Kept) }
        }
        ResultType::Task => Judged { task: task_id(result), ..Judged::plain(Finding::Kept) },
    }
}

/// What is said of a task holds no promise, but for the reply in it. It answers no arguments, so nothing
/// in it is a rejection of them, and no later call is answered with it.
fn fetched(bond: &Bond, text: &str, reply: Reply<'_>, way: Fetched, manner: Manner) -> Judged {
    let Reply::Result(told) = reply else { return Judged::plain(Finding::Passed) };
    let result = match way {
        Fetched::Whole => told,
        Fetched::Inside => match result_of_task(told) {
            None => return Judged::plain(Finding::Passed),
            Some(Err(why)) => return Judged::plain(Finding::Malformed(why)),
            Some(Ok(result)) => result,
        },
    };
    let judged = replied(bond, text, Reply::Result(result), manner);
    match judged.finding {
        Finding::Rejected(_) => {
            Judged { is_error: judged.is_error, ..Judged::plain(Finding::Kept) }
        }
        _ => Judged { complete: false, ..judged },
    }
}

fn error(code: i64) -> Judged {
    match code {
        -32602 | -32601 | -32020 => {
            Judged::plain(Finding::Rejected(Rejection { code: Some(code), is_error: false }))
        }
        _ => {
            let fault = match code {
                -32603 => Some(Fault::Internal),
                -32019..=-32000 => Some(Fault::Error),
                _ => None,
            };
            // It passes, and it is no reply that kept a promise.
            Judged { fault, is_error: true, ..Judged::plain(Finding::Kept) }
        }
    }
}

/// Tells an error by the codes that were promised, where the routine names others for them.
fn coded(bond: &Bond, text: &str, reply: Reply<'_>, judged: Judged) -> Judged {
    let Some(routine) = &bond.tool.routine else { return judged };
    if bond.tool.mode != Mode::Enforce || !matches!(judged.finding, Finding::Kept) {
        return judged;
    }
    let note = bond.note(Verdict::Mended, None, Executed::Yes);
    match recoded(text, reply, &|code| routine.error_code(code), &note) {
        Some(text) => Judged { finding: Finding::Mended(text.into()), ..judged },
        None => judged,
    }
}

/// Bytes of a broken reply above which no copy of it is told.
const BROKEN_BYTES_MAX: usize = 256 * 1024;

fn complete(bond: &Bond, text: &str, result: CallResult<'_>, manner: Manner) -> Judged {
    if result.structured.is_some() || !bond.tool.reads_text(manner.sampled) {
        return document(bond, text, result, result.structured, manner);
    }
    let judged = match sole_text(result) {
        Some(written) => in_text(bond, text, result, written, manner),
        None => without_document(bond, text, result, manner),
    };
    Judged { in_text: true, ..judged }
}

/// A reply without a document, to which nothing is declared: it counts as `null`, so that a tool that
/// answered so while it was learnt from may do it again.
fn without_document(bond: &Bond, text: &str, result: CallResult<'_>, manner: Manner) -> Judged {
    with_tape(|tape| {
        let nothing = tape.read(b"null", manner.limits).ok();
        let nothing = nothing.map(crate::domain::json::Document::root);
        document(bond, text, result, nothing, manner)
    })
}

/// A reply whose document is the JSON in its only text, or that text as a string.
fn in_text(
    bond: &Bond,
    text: &str,
    result: CallResult<'_>,
    written: Item<'_>,
    manner: Manner,
) -> Judged {
    let Some(words) = written.as_str().filter(|words| may_be_document(words)) else {
        return document(bond, text, result, Some(written), manner);
    };
    with_tape(|tape| {
        let parsed = tape.read(words.as_bytes(), manner.limits);
        let came = parsed.map_or(written, crate::domain::json::Document::root);
        document(bond, text, result, Some(came), manner)
    })
}

/// Holds the document of a reply against the promise.
fn document(
    bond: &Bond,
    text: &str,
    result: CallResult<'_>,
    came: Option<Item<'_>>,
    manner: Manner,
) -> Judged {
    let tool = &bond.tool;
    let promised = tool.reply.as_deref();
    let carried = match (&tool.routine, came) {
        (Some(routine), Some(structured))
            if tool.mode == Mode::Enforce && !routine.source().reply.is_empty() =>
        {
            let mut out = Vec::new();
            let carried = routine.reply(structured, &mut out).map(|()| out);
            Some(carried.map_err(|failure| routine_failed(&failure.to_string())))
        }
        _ => None,
    };
    let sampled = |bytes: &[u8]| manner.sampled.then(|| Bytes::copy_from_slice(bytes));
    let mended = match carried {
        None => None,
        Some(Err(violation)) => Some(Err(Broken { violations: vec![violation], mended: None })),
        // Nothing to mend: the bytes that came are judged.
        Some(Ok(out)) if came.is_some_and(|came| came.raw().as_bytes() == out) => None,
        Some(Ok(out)) => Some(match held(promised, &out, manner.limits) {
            Ok(()) => Ok(out),
            Err(violations) => Err(Broken { violations, mended: Some(out) }),
        }),
    };
    if let Some(Ok(out)) = mended {
        let note = bond.note(Verdict::Mended, None, Executed::Yes);
        let text = rewritten(text, result, Some(&out), Some(&note));
        let structured = sampled(&out);
        let judged = Judged::plain(Finding::Mended(text.into()));
        return Judged { held_promise: promised.is_some(), structured, ..judged };
    }
    let kept = |structured: Option<Item<'_>>| Judged {
        held_promise: promised.is_some(),
        structured: structured.and_then(|came| sampled(came.raw().as_bytes())),
        ..Judged::plain(Finding::Kept)
    };
    let violations = match (promised, came) {
        // A reply in the old shape needs no routine: a peer that is rolled out has both for a while.
        (Some(promised), Some(came)) if promised.admits(came) => return kept(Some(came)),
        (None, came) if mended.is_none() => return kept(came),
        (Some(promised), Some(came)) => promised.violations(came),
        (Some(_), None) => vec![absent()],
        (None, _) => Vec::new(),
    };
    let broken = match mended {
        Some(Err(broken)) => broken,
        Some(Ok(_)) | None => Broken { violations, mended: None },
    };
    let told = came.map(Item::raw).filter(|came| came.len() <= BROKEN_BYTES_MAX);
    let structured = told.map(|came| Bytes::copy_from_slice(came.as_bytes()));
    Judged { structured, ..Judged::plain(Finding::Broken(broken)) }
}

fn held(promised: Option<&Schema>, text: &[u8], limits: Limits) -> Result<(), Vec<Violation>> {
    let Some(promised) = promised else { return Ok(()) };
    with_tape(|tape| {
        let item = match tape.read(text, limits) {
            Ok(document) => document.root(),
            Err(error) => return Err(vec![routine_failed(&error.to_string())]),
        };
        if promised.admits(item) { Ok(()) } else { Err(promised.violations(item)) }
    })
}

fn routine_failed(why: &str) -> Violation {
    Violation {
        pointer: String::new(),
        schema_pointer: String::new(),
        kind: "routine".to_owned(),
        message: why.to_owned(),
    }
}

fn absent() -> Violation {
    Violation {
        pointer: String::new(),
        schema_pointer: String::new(),
        kind: "required".to_owned(),
        message: "\"structuredContent\" is a required property".to_owned(),
    }
}
