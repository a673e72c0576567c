//! The buffers that documents are read into: a thread's own, used again.

use std::cell::RefCell;

use crate::domain::json::Tape;

/// A tape that once held a very large document is not kept.
const KEPT: usize = 4;

thread_local! {
    static TAPES: RefCell<Vec<Tape>> = const { RefCell::new(Vec::new()) };
}

/// Lends a tape of this thread; calls may be nested.
pub(super) fn with_tape<R>(read: impl FnOnce(&mut Tape) -> R) -> R {
    let mut tape = TAPES.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = read(&mut tape);
    TAPES.with_borrow_mut(|tapes| {
        if tapes.len() < KEPT {
            tapes.push(tape);
        }
    });
    result
}
