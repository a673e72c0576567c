//! The codes that an error names itself by, told as they were promised. All else of the error leaves
//! as the bytes that came.

use std::ops::{Range, RangeInclusive};

use crate::domain::json::{Edit, Item, Kind, Limits, Tape, quote, splice};
use crate::domain::message::VerdictNote;

use super::reply::{Reply, meta_edit, text_of};
use super::verdict;

/// What JSON-RPC keeps for itself: no routine says that such a code means another.
const RESERVED: RangeInclusive<i64> = -32_768..=-32_000;

/// An edit of the text that an error came in.
type Change = (Range<usize>, Vec<u8>);

/// Finds the promised code for one of the peer's.
type Told<'t> = dyn Fn(&str) -> Option<&'t str> + 't;

/// The message `text` with the codes of its error as `told` has them, and the verdict beside; `None`
/// where no code is told otherwise, or the reply is no error.
#[must_use]
pub fn recoded<'t>(
    text: &str,
    reply: Reply<'_>,
    told: &Told<'t>,
    note: &VerdictNote,
) -> Option<Vec<u8>> {
    let mut changes: Vec<Change> = Vec::new();
    match reply {
        Reply::Error { error, .. } => {
            let data = error.get("data");
            changes.extend(error.get("code").and_then(|code| changed(code, told)));
            let inner = data.and_then(|data| data.get("code"));
            changes.extend(inner.and_then(|code| changed(code, told)));
            if !changes.is_empty() {
                changes.extend(data_edit(error, data, note));
            }
        }
        Reply::Result(found) if found.is_error => {
            changes.extend(found.structured.into_iter().flat_map(|it| codes(it, told)));
            let blocks = found.result.get("content").map(Item::items).into_iter().flatten();
            changes.extend(blocks.filter_map(|block| retold(block, told)));
            if !changes.is_empty() {
                changes.push(meta_edit(found.result, note));
            }
        }
        Reply::Result(_) => {}
    }
    (!changes.is_empty()).then(|| applied(text, changes))
}

/// The codes of an error that is an object of the tool's own.
fn codes(error: Item<'_>, told: &Told<'_>) -> Vec<Change> {
    let inner = error.get("error");
    let nested = inner.and_then(|inner| inner.get("code"));
    let named = inner.filter(|inner| inner.kind() == Kind::String);
    let places = [error.get("code"), nested, named];
    places.into_iter().flatten().filter_map(|code| changed(code, told)).collect()
}

fn changed(code: Item<'_>, told: &Told<'_>) -> Option<Change> {
    let with = match code.kind() {
        Kind::String => {
            let mut quoted = Vec::new();
            quote(told(&code.as_str()?)?, &mut quoted);
            quoted
        }
        Kind::Number if !RESERVED.contains(&code.as_i64()?) => {
            let to: i64 = told(code.raw())?.parse().ok()?;
            // Nor does a peer's own code become one of those.
            (!RESERVED.contains(&to)).then(|| to.to_string().into_bytes())?
        }
        _ => return None,
    };
    Some((code.span(), with))
}

/// A text block that is an object with a code.
fn retold(block: Item<'_>, told: &Told<'_>) -> Option<Change> {
    let text = text_of(block)?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default()).ok()?;
    let changes = codes(document.root(), told);
    if changes.is_empty() {
        return None;
    }
    let mut quoted = Vec::new();
    quote(&String::from_utf8_lossy(&applied(&text, changes)), &mut quoted);
    Some((block.get("text")?.span(), quoted))
}

/// The verdict in the `data` of a JSON-RPC error; data that is no object has no room for it.
fn data_edit(error: Item<'_>, data: Option<Item<'_>>, note: &VerdictNote) -> Option<Change> {
    let told = verdict::value(note).to_string();
    let member = format!("\"{}\":{told}", verdict::KEY);
    match data {
        None => {
            let at = error.span().start + 1;
            Some((at..at, format!("\"data\":{{{member}}},").into_bytes()))
        }
        Some(data) => match data.get(verdict::KEY) {
            Some(spoken) => Some((spoken.span(), told.into_bytes())),
            None if data.kind() == Kind::Object => {
                let comma = if data.is_empty() { "" } else { "," };
                let at = data.span().start + 1;
                Some((at..at, format!("{member}{comma}").into_bytes()))
            }
            None => None,
        },
    }
}

fn applied(text: &str, mut changes: Vec<Change>) -> Vec<u8> {
    changes.sort_by_key(|(span, _)| (span.start, span.end));
    let edits: Vec<Edit<'_>> =
        changes.iter().map(|(span, with)| Edit { span: span.clone(), with }).collect();
    let mut out = Vec::with_capacity(text.len());
    splice(text.as_bytes(), &edits, &mut out);
    out
}
