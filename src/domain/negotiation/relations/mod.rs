//! Derived relations: what earlier replies show of fields that follow from others (rule 8), and what
//! of a broken reply can be found by them.
//!
//! ```text
//!   replies of one tool ──► Earlier ──► Relations   (patterns, copies, forms of texts)
//!   a broken reply ────────────────────────┴──► Found  (operations, what they rest on, what is gone)
//! ```
//!
//! Never here: a value that does not come from the reply itself; a field that stands for another while
//! a second one fits as well.

mod find;
mod flat;
mod learn;

pub use find::{Found, find};
pub use flat::Earlier;
pub use learn::Relations;

#[cfg(test)]
mod tests;
