//! The strict one-pass document over the original bytes, splicing, canonical text.
//!
//! ```text
//!   bytes ──► Tape::read ──► Document ──► Item (kind, span, members)      judged in place
//!   bytes + Edit* ──► splice ──► bytes                                    never re-serialised
//!   Value ──► canonical ──► Digest                                        only when sealing
//! ```
//!
//! Never here: a second parser; a tree of owned values on the hot path; a duplicate key that one
//! reader takes and another does not.

mod canonical;
mod document;
mod splice;

pub use canonical::{CanonicalError, canonical, canonical_digest};
pub use document::{Document, Item, Items, Kind, Limits, Members, ParseError, ParseFault, Tape};
pub use splice::{Edit, quote, splice};
