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

mod block;
mod canonical;
mod document;
mod judged;
mod keys;
mod node;
mod number;
mod scan;
mod splice;
mod text;

pub use canonical::{CanonicalError, canonical, canonical_digest};
pub use document::{Document, Item, Items, Members, Tape};
pub use judged::{
    Court, FuelSpent, InPlace, Judged, JudgedArray, JudgedItems, JudgedMembers, JudgedNumber,
    JudgedObject,
};
pub use keys::Name;
pub use node::Kind;
pub use scan::{Limits, ParseError, ParseFault};
pub use splice::{Edit, quote, splice};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
