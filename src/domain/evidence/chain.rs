//! The chain: what a line of the ledger looks like, how it is sealed and how it is checked.
//!
//! ```text
//!   {"seq":7,"prev":"sha256:…","record":{…},"hash":"sha256:…"}\n
//!   └────────── hashed: SHA-256 ─────────┘└──── 82 bytes ────┘
//! ```
//!
//! `hash` is over the exact bytes of the line in front of `,"hash":`, so that whoever checks needs
//! SHA-256 and nothing of ours; `prev` is the `hash` of the line before, and 64 zeros in line 1.
//! The files of `checkpoints/` are chained in the same way.

use std::io::Write as _;

use crate::domain::message::Digest;

/// `,"hash":"sha256:`, 64 digits, `"}`.
const TRAILER: usize = 82;
/// How the last 82 bytes begin.
const HASH_HEAD: &[u8] = b",\"hash\":\"";
/// Zeros in a row that only a page which was never written leaves behind.
const UNWRITTEN: [u8; 512] = [0; 512];

/// Where a chain stands: the number and the hash of its newest line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the newest line, and so how many there are.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Default for Head {
    /// The head of an empty chain.
    fn default() -> Self {
        Self { seq: 0, hash: Digest::from_bytes([0; 32]) }
    }
}

/// One line that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'l> {
    /// Its number, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// The record's JSON text, exactly as it is hashed.
    pub record: &'l str,
    /// The whole line, without its line feed.
    pub text: &'l str,
}

/// Why a line does not continue the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} at byte {offset}: expected {expected}, found {found}")]
pub struct ChainFault {
    /// The number the line should have.
    pub seq: u64,
    /// Where the line begins in its file.
    pub offset: u64,
    /// What would be right.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// Writes the line, line feed included, that continues a chain; returns the new head.
///
/// `record` is a JSON object without a line feed.
pub fn write_line(head: Head, record: &[u8], out: &mut Vec<u8>) -> Head {
    let (start, seq) = (out.len(), head.seq.saturating_add(1));
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{{\"seq\":{seq},\"prev\":\"{}\",\"record\":", head.hash);
    out.extend_from_slice(record);
    let hash = Digest::of(&out[start..]);
    let _ = writeln!(out, ",\"hash\":\"{hash}\"}}");
    Head { seq, hash }
}

/// Checks the line (without its line feed) that should continue the chain; `offset` is where it
/// begins in its file.
///
/// # Errors
/// What was expected and what stands there.
pub fn check_line(head: Head, line: &[u8], offset: u64) -> Result<Line<'_>, ChainFault> {
    let seq = head.seq.saturating_add(1);
    let fault = |expected: String, found: String| ChainFault { seq, offset, expected, found };
    let shape = |expected: &str| fault(expected.to_owned(), excerpt(line));
    let text = std::str::from_utf8(line).map_err(|_| shape("UTF-8 text"))?;
    let cut = line.len().checked_sub(TRAILER).filter(|cut| text.is_char_boundary(*cut));
    let cut = cut.ok_or_else(|| shape("a line that ends in `,\"hash\":\"sha256:…\"}`"))?;
    let (hashed, trailer) = text.split_at(cut);
    let digits = trailer.strip_prefix(",\"hash\":\"").and_then(|rest| rest.strip_suffix("\"}"));
    let said = digits.ok_or_else(|| shape("a line that ends in `,\"hash\":\"sha256:…\"}`"))?;
    let hash = Digest::of(hashed.as_bytes());
    if said != hash.to_string() {
        return Err(fault(format!("the hash {hash} of its bytes"), said.to_owned()));
    }
    let opening = format!("{{\"seq\":{seq},\"prev\":\"{}\",\"record\":", head.hash);
    match hashed.strip_prefix(&opening) {
        Some(record) => Ok(Line { seq, hash, record, text }),
        None => Err(fault(opening, excerpt(line))),
    }
}

/// Whether a piece of a file that does not continue the chain is what an interrupted write leaves
/// at its end: a line that was not written to its end, or pages that were never written.
///
/// A whole line whose line feed became something else is not torn: it was written, and altered.
#[must_use]
pub fn is_torn(head: Head, piece: &[u8]) -> bool {
    if memchr::memmem::find(piece, &UNWRITTEN).is_some() {
        return true;
    }
    let whole_line_and_more = |at: usize| {
        let more = piece.get(at + TRAILER..).is_some_and(|more| more.iter().any(|byte| *byte != 0));
        more && check_line(head, &piece[..at + TRAILER], 0).is_ok()
    };
    memchr::memchr(b'\n', piece).is_none()
        && !memchr::memmem::find_iter(piece, HASH_HEAD).any(whole_line_and_more)
}

/// Follows a chain line by line, and takes it up again behind a fault, so that one altered record
/// is one fault and not as many as there are lines behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    head: Head,
    lost: bool,
}

impl Walk {
    /// A walk that begins in the middle: it takes the first line's word for where it stands.
    #[must_use]
    pub fn anywhere() -> Self {
        Self { lost: true, ..Self::default() }
    }

    /// The newest line that was seen, good or as it claims to be.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Checks the next line (without its line feed), which begins at byte `offset` of its file.
    ///
    /// # Errors
    /// As [`check_line`]; the walk can go on with the line behind it.
    pub fn step<'l>(&mut self, line: &'l [u8], offset: u64) -> Result<Line<'l>, ChainFault> {
        // Behind a line that could not be read at all, the next one is held to its own claim.
        let claimed = claim(line);
        let head = if self.lost { claimed.unwrap_or(self.head) } else { self.head };
        let checked = check_line(head, line, offset);
        let stands = match (&checked, claimed) {
            (Ok(line), _) => Some(*line),
            (Err(_), Some(claimed)) => check_line(claimed, line, offset).ok(),
            (Err(_), None) => None,
        };
        self.lost = stands.is_none();
        self.head = match stands {
            Some(line) => Head { seq: line.seq, hash: line.hash },
            None => Head { seq: head.seq.saturating_add(1), hash: head.hash },
        };
        checked
    }
}

/// The head that a line says it continues.
fn claim(line: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("{\"seq\":")?;
    let (seq, rest) = text.split_once(",\"prev\":\"")?;
    let (hash, _) = rest.split_once("\",\"record\":")?;
    let seq: u64 = seq.parse().ok()?;
    Some(Head { seq: seq.checked_sub(1)?, hash: hash.parse().ok()? })
}

/// The first bytes of a line, enough to find it by.
fn excerpt(line: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&line[..line.len().min(100)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Head, Walk, check_line, is_torn, write_line};
    use crate::domain::message::Digest;

    fn chain(records: &[&str]) -> (Vec<u8>, Head) {
        let mut text = Vec::new();
        let head = records
            .iter()
            .fold(Head::default(), |head, record| write_line(head, record.as_bytes(), &mut text));
        (text, head)
    }

    fn faults(text: &[u8]) -> Vec<u64> {
        let mut walk = Walk::default();
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let steps = lines.map(|line| walk.step(line.strip_suffix(b"\n").unwrap_or(line), 0).err());
        steps.flatten().map(|fault| fault.seq).collect()
    }

    #[test]
    fn a_line_is_hashed_as_the_documentation_says() {
        let (text, head) = chain(&["{\"a\":1}"]);
        let text = String::from_utf8(text).unwrap();
        let zeros = "0".repeat(64);
        let hashed = format!("{{\"seq\":1,\"prev\":\"sha256:{zeros}\",\"record\":{{\"a\":1}}");
        assert_eq!(head.hash, Digest::of(hashed.as_bytes()));
        assert_eq!(text, format!("{hashed},\"hash\":\"{}\"}}\n", head.hash));
    }

    #[test]
    fn a_chain_that_was_written_is_found_good() {
        let (text, head) = chain(&["{}", "{\"b\":\"é\"}", "[1]"]);
        assert_eq!(faults(&text), [] as [u64; 0]);
        assert_eq!(head.seq, 3);
    }

    #[test]
    fn every_flipped_bit_is_one_fault_at_its_record() {
        let (text, _) = chain(&["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        let line = text.len() / 3;
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut text = text.clone();
                text[at] ^= 1 << bit;
                let found = faults(&text);
                assert_eq!(
                    found.first(),
                    Some(&(at as u64 / line as u64 + 1)),
                    "byte {at} bit {bit}"
                );
                assert!(found.len() <= 2, "byte {at} bit {bit}: {found:?}");
            }
        }
    }

    #[test]
    fn a_line_left_out_doubled_or_moved_is_found() {
        let (text, _) = chain(&["1", "2", "3", "4"]);
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let [a, b, c, d] = lines[..] else { panic!("four lines") };
        for (lines, wanted) in [
            (vec![b, c, d], vec![1]),
            (vec![a, c, d], vec![2]),
            (vec![a, b, b, c, d], vec![3]),
            (vec![a, c, b, d], vec![2, 4, 3]),
        ] {
            assert_eq!(faults(&lines.concat()), wanted);
        }
    }

    #[test]
    fn only_what_an_interrupted_write_leaves_is_torn() {
        let contract = "{\"what\":\"sealed\",\"hash\":\"sha256:00\",\"more\":1}";
        let (text, _) = chain(&[contract]);
        let whole = &text[..text.len() - 1];
        for cut in 0..text.len() {
            assert!(is_torn(Head::default(), &text[..cut]), "cut at {cut}");
        }
        assert!(is_torn(Head::default(), &[whole, &[0; 40][..]].concat()));
        assert!(is_torn(Head::default(), &[&[0; 600][..], b"rest\n"].concat()));
        assert!(!is_torn(Head::default(), &[whole, b"x"].concat()));
        assert!(!is_torn(Head::default(), b"{}\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_check_fall_over(line in prop::collection::vec(any::<u8>(), 0..300)) {
            assert!(check_line(Head::default(), &line, 0).is_err());
            let _ = is_torn(Head::default(), &line);
            let _ = Walk::default().step(&line, 0);
        }
    }
}
