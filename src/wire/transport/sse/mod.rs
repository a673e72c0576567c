//! Event streams (WHATWG HTML, 9.2): split into events with their exact bytes, and written.
//!
//! ```text
//!   chunks ─► Splitter ─► Event { raw, data, name, id, retry } ─► raw as it came, or replace_data
//! ```
//!
//! Never here: a byte that is lost (the events' `raw`, put together, are the stream), a byte that
//! is looked at twice, an event that grows without a bound.

mod line;
mod splitter;
mod write;

pub use self::splitter::{Event, EventTooLarge, Splitter};
pub use self::write::{encode, replace_data};

#[cfg(test)]
mod tests;
