//! Rewriting by spans: what is not edited leaves as the bytes that came.

use std::ops::Range;

/// Replaces a span of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'e> {
    /// Which bytes; empty to insert.
    pub span: Range<usize>,
    /// With what.
    pub with: &'e [u8],
}

/// Writes `text` with the edits applied to `out`. Edits are in order and do not overlap.
pub fn splice(text: &[u8], edits: &[Edit<'_>], out: &mut Vec<u8>) {
    let mut at = 0;
    for edit in edits {
        debug_assert!(at <= edit.span.start && edit.span.start <= edit.span.end);
        out.extend_from_slice(&text[at..edit.span.start]);
        out.extend_from_slice(edit.with);
        at = edit.span.end;
    }
    out.extend_from_slice(&text[at..]);
}

/// Writes `text` as a JSON string, quotes included.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}
